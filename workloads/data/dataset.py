"""What every kind of data becomes: samples and labels, checked once, and the protocol that all kinds keep to.

A kind of data is a module of this room with `load`, which makes a `Data` of what a user names. Whoever runs asks it for
samples of the shape that the network reads, `Data.shaped`: images of as many values are reshaped, a text is cut into
windows of so many characters. What is wrong with data is said here, for all kinds alike, in one sentence.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from rpusim.arch.contract.configuration import shown
from rpusim.errors import InputError

SPLIT_SEED = 2016
"""Seed of every split into training and test samples; that of a run does not change which samples are for testing."""
TEST_SHARE = 0.2
"""Share of the samples that are for testing where the data do not say it themselves."""


class Data(Protocol):
    """Data to learn from, of some kind."""

    @property
    def source(self) -> str:
        """One sentence: where the data come from and how they were split."""
        ...

    def shaped(self, input_shape: tuple[int, ...]) -> Dataset:
        """Return samples of the shape that a network reads. Raises InputError if they cannot have it."""
        ...


@dataclass(frozen=True, eq=False)
class Dataset:
    """Samples and labels, read-only: `torch.tensor(data.train_x)` makes a tensor (a copy) without complaint.

    train_x, test_x:  float32, of images in 0...1, shape (samples, channels, height, width), or (samples, values) if
                      flat; or int64, numbers of rows of a table.
    train_y, test_y:  int64 in 0...classes-1, for each sample, or (samples, positions).
    classes:          number of classes.
    source:           one sentence: where the data come from and how they were split.
    """

    train_x: NDArray[Any]
    train_y: NDArray[np.int64]
    test_x: NDArray[Any]
    test_y: NDArray[np.int64]
    classes: int
    source: str

    def __post_init__(self) -> None:
        """Check samples and labels. Raises InputError for what cannot be learned."""
        for part, x, y in (("training", self.train_x, self.train_y), ("test", self.test_x, self.test_y)):
            if not x.size:
                raise InputError(f"the {part} data are empty ({self.source}), accepted: at least one sample")
            if len(x) != len(y):
                raise InputError(f"the {part} data have {len(x)} samples but {len(y)} labels ({self.source})")
            if not np.isfinite(x).all():
                bad = int(np.count_nonzero(~np.isfinite(x).all(axis=tuple(range(1, x.ndim)))))
                raise InputError(
                    f"the {part} data hold values that are not finite numbers, in {bad} of {len(x)} samples "
                    f"({self.source}), accepted: finite numbers"
                )
            if y.min() < 0 or y.max() >= self.classes:
                raise InputError(
                    f"the {part} labels are {y.min()} to {y.max()}, accepted: 0 to {self.classes - 1} ({self.source})"
                )
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

    def of_type(self, whole: bool) -> Dataset:
        """Return the same data as whole numbers, which find rows of a table, or as numbers to compute with.

        Raises InputError if whole numbers are wanted and samples hold others.
        """
        kind = np.int64 if whole else np.float32
        if self.train_x.dtype == kind:
            return self
        if whole and not all(np.array_equal(x, np.round(x)) for x in (self.train_x, self.test_x)):
            raise InputError(
                f"the network reads whole numbers, for rows of a table, but samples hold fractions ({self.source}), "
                "accepted: whole numbers"
            )
        train, test = self.train_x.astype(kind), self.test_x.astype(kind)
        return Dataset(train, self.train_y, test, self.test_y, self.classes, self.source)


def checked(source: str, train: tuple[Any, Any], test: tuple[Any, Any] | None = None) -> Dataset:
    """Make a `Dataset` of arrays as they come.

    source: one sentence about them; how they were split is added. train, test: samples and labels each; without
    ``test``, `TEST_SHARE` of the samples are drawn for it.

    Samples of whole numbers wider than bytes stay whole (they are numbers of rows of tables); bytes are scaled to
    0...1, all else becomes float32. Labels are whole numbers from 0, for each sample or for each of its positions.

    Raises InputError if they are no such arrays.
    """
    parts = [_pair(each, source) for each in ([train] if test is None else [train, test])]
    if test is None:
        ((x, y),) = parts
        number = min(max(round(TEST_SHARE * len(y)), 1), len(y) - 1)
        if number < 1:
            raise InputError(f"data: {len(y)} samples ({source}), accepted: two or more, for learning and for testing")
        order = np.random.default_rng(SPLIT_SEED).permutation(len(y))
        parts = [(x[order[number:]], y[order[number:]]), (x[order[:number]], y[order[:number]])]
        source += f", split {len(y) - number} / {number} with seed {SPLIT_SEED}"
    else:
        source += f", {len(parts[0][1])} / {len(parts[1][1])} samples as given"
    (train_x, train_y), (test_x, test_y) = parts
    if train_x.shape[1:] != test_x.shape[1:]:
        raise InputError(
            f"data: training samples are of shape {train_x.shape[1:]} but test samples of {test_x.shape[1:]} ({source})"
        )
    classes = int(max(train_y.max(initial=0), test_y.max(initial=0))) + 1
    return Dataset(train_x, train_y, test_x, test_y, classes, source)


def _pair(given: tuple[Any, Any], source: str) -> tuple[NDArray[Any], NDArray[np.int64]]:
    """Turn samples and labels into arrays of the types that a `Dataset` has."""
    x, y = (np.asarray(each) for each in given)
    if x.dtype.kind not in "fiub" or x.ndim < 2:
        raise InputError(
            f"data: samples are {x.dtype} of shape {x.shape} ({source}), accepted: numbers of shape (samples, ...)"
        )
    if x.dtype == np.uint8:
        x = x / np.float32(255)
    whole = x.dtype.kind in "iu"
    x = np.ascontiguousarray(x, np.int64 if whole else np.float32)
    if y.dtype.kind == "f" and y.size and np.isfinite(y).all() and np.array_equal(y, np.round(y)):
        y = y.astype(np.int64)
    if y.dtype.kind not in "iub":
        shown_first = shown(str(y.ravel()[:1].tolist()))
        raise InputError(f"data: labels are {y.dtype}, {shown_first} and on ({source}), accepted: whole numbers from 0")
    if len(x) != len(y):
        raise InputError(f"data: {len(x)} samples but {len(y)} labels ({source}), accepted: one for each")
    y = np.ascontiguousarray(y, np.int64)
    return x, y[:, 0] if y.ndim == 2 and y.shape[1] == 1 else y
