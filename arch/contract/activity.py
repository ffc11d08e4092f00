"""What the numbers really did, in columns: the contract between the numeric kernel and the event engine.

One row stands for what one vector did in one phase on one tile (``count`` identical vectors where rows are aggregated).
The kernel writes the rows while it computes; exactly these rows are scheduled, simulated and priced.
Orientation is that of the weight matrix in ``y = W x``: an array's *columns* are the lines of the input ``x`` and
its *rows* the lines of the output ``y`` (and of the error ``d``), as in the RPU literature.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, fields
from enum import IntEnum
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from rpusim.arch.contract.columns import Integers, distinct
from rpusim.arch.contract.digital_work import CLASSES, Work


class Phase(IntEnum):
    """What a tile is doing for a vector; the order is the tie-break between equal request times."""

    FORWARD = 0
    BACKWARD = 1
    UPDATE = 2
    TRANSFER = 3
    MAINTENANCE = 4


@dataclass(frozen=True)
class Activity:
    """Hold rows of tile activity in program order, as equally long one-dimensional arrays of integers.

    step:          number of the mini-batch since the run began.
    layer, tile:   index of the weight layer in the network, and of the tile within the layer (row-major over the
                   layer's blocks of outputs x inputs).
    phase:         a `Phase`.
    array:         which array of the unit cell a transfer reads, or maintenance reads and writes; else 0.
    vector:        index of the vector within its mini-batch: sample * vectors_per_sample + position.
    slots:         pulse slots (BL) really used; 0 outside updates.
    coincidences_up, coincidences_down: pulses that raised or lowered a weight, summed over the array.
    active_rows, active_columns: lines that took part: non-zero inputs of a multiplication; in an update the lines
                   that fired at least once.
    row_pulses, column_pulses: pulses fired on all lines of a side over all slots of an update. Where a weight is cut
                   over cells on rows of their own, coincidences and row pulses are those of all its cells.
    set_bits:      of a multiplication by bit-serial inputs, how often a bit that is set, or a digit of several bits
                   that is not 0, drives a line, over all passes; 0: not known, or inputs are not bit-serial.
    passes:        analog passes of a multiplication: 1 + retries of bound management; 0 = skipped (all-zero vector).
    writes:        weights of one array written by a transfer or by programming, however many cells hold each.
    adds, multiplies, divides, compares, randoms: digital operations that algorithm and management asked for, by class
                   (not those of the network's layers); see `rpusim.arch.contract.digital_work.Work`.
    count:         how many identical vectors the row stands for; usually 1.
    """

    step: NDArray[np.int64]
    layer: NDArray[np.int32]
    tile: NDArray[np.int32]
    phase: NDArray[np.int32]
    array: NDArray[np.int32]
    vector: NDArray[np.int32]
    slots: NDArray[np.int32]
    coincidences_up: NDArray[np.int64]
    coincidences_down: NDArray[np.int64]
    active_rows: NDArray[np.int32]
    active_columns: NDArray[np.int32]
    row_pulses: NDArray[np.int32]
    column_pulses: NDArray[np.int32]
    set_bits: NDArray[np.int64]
    passes: NDArray[np.int32]
    writes: NDArray[np.int64]
    adds: NDArray[np.int64]
    multiplies: NDArray[np.int64]
    divides: NDArray[np.int64]
    compares: NDArray[np.int64]
    randoms: NDArray[np.int64]
    count: NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.layer)

    @property
    def mini_batch(self) -> Integers:
        """Number every row's mini-batch among those that have rows, from 0, whatever their steps are numbered from.

        Rows of the steps 7, 7, 9 and 12 belong to the mini-batches 0, 0, 1 and 2.
        """
        return np.searchsorted(distinct(self.step), self.step)

    @property
    def trains(self) -> bool:
        """Whether anything goes back or learns; programming alone is no training."""
        return bool(np.any((self.phase == Phase.BACKWARD) | (self.phase == Phase.UPDATE)))

    @property
    def digital_ops(self) -> Integers:
        """(rows,) digital operations of all classes together."""
        total: Integers = sum(getattr(self, name) for name in WORK_COLUMNS)
        return total

    @property
    def works(self) -> Integers:
        """(rows, classes) digital operations by class, in the order of `CLASSES`."""
        table = np.zeros((len(self), len(CLASSES)), np.int64)
        for name, kind in zip(WORK_COLUMNS, CLASSES_OF_COLUMNS, strict=True):
            table[:, CLASSES.index(kind)] = getattr(self, name)
        return table

    def select(self, rows: ArrayLike) -> Activity:
        """Pick rows by an array of indices, in its order, or by a boolean array with one entry per row.

        Nothing is copied where all rows are picked by a boolean array.
        """
        if isinstance(rows, np.ndarray) and rows.dtype == np.bool_ and len(rows) == len(self) and rows.all():
            return self
        return Activity(**{name: getattr(self, name)[rows] for name in COLUMNS})

    @staticmethod
    def rows(**columns: ArrayLike) -> Activity:
        """Build rows from the columns that matter, given by name; the others are 0 (``count`` 1).

        A number stands for that number in every row; arrays are equally long. Numbers only make one row.

        >>> Activity.rows(layer=0, phase=Phase.FORWARD, vector=[0, 1], passes=1).passes
        array([1, 1], dtype=int32)
        """
        unknown = set(columns) - set(COLUMNS)
        assert not unknown, f"no such Activity column: {sorted(unknown)}"
        length = max((np.size(v) for v in columns.values() if np.ndim(v)), default=1)
        filled: dict[str, Any] = {}
        for name, dtype in COLUMNS.items():
            value = columns.get(name, 1 if name == "count" else 0)
            filled[name] = np.full(length, value, dtype)
        return Activity(**filled)

    @staticmethod
    def concatenate(parts: Iterable[Activity]) -> Activity:
        """Join all rows of all parts, in order. Nothing is copied where only one part has rows."""
        parts = [part for part in parts if len(part)]
        if len(parts) < 2:
            return parts[0] if parts else EMPTY
        return Activity(**{name: np.concatenate([getattr(p, name) for p in parts]) for name in COLUMNS})


WORK_COLUMNS = ("adds", "multiplies", "divides", "compares", "randoms")
"""Columns of digital operations; in the order of ``CLASSES_OF_COLUMNS``."""
CLASSES_OF_COLUMNS = ("add", "multiply", "divide", "compare", "random")
"""Classes of operations that these columns count; algorithms and management need no others."""

_WIDE = {"step", "coincidences_up", "coincidences_down", "set_bits", "writes", *WORK_COLUMNS, "count"}
COLUMNS: dict[str, type] = {f.name: np.int64 if f.name in _WIDE else np.int32 for f in fields(Activity)}
"""Names of the columns, and the type of numbers that each one holds; wide are those that are summed or multiplied."""


def work_columns(work: Work) -> dict[str, int]:
    """Return the columns of `Activity` that some digital work fills, by name; it has no classes but theirs."""
    found = {name: getattr(work, kind) for name, kind in zip(WORK_COLUMNS, CLASSES_OF_COLUMNS, strict=True)}
    assert sum(found.values()) == work.total, "a class of operations without a column of activity"
    return found


EMPTY = Activity(**{name: np.empty(0, dtype) for name, dtype in COLUMNS.items()})
"""No rows."""


class ActivityLog:
    """Collect the rows of a run of mini-batches as the kernel produces them.

    step: number of the current mini-batch, written into every row; whoever drives the training raises it by one each.
    uses: numbers of the layers that rows of several uses of one weight get, use by use; empty: rows stay as they are.
    tiles: use by use, the number that rows of each tile get; None: its own.

    >>> log = ActivityLog()
    >>> log.append(2, layer=0, tile=0, phase=Phase.FORWARD, vector=[0, 1], passes=[1, 2])
    >>> len(log.take())
    2
    """

    def __init__(self) -> None:
        self.step = 0
        self.uses: tuple[int, ...] = ()
        self.tiles: tuple[Integers | None, ...] = ()
        self._length = 0
        self._parts: list[tuple[int, int, dict[str, ArrayLike]]] = []

    def append(self, length: int, **columns: ArrayLike) -> None:
        """Add rows.

        length: how many rows.
        columns: as for `Activity.rows`, with numbers or arrays of that length; a ``step`` given here overrides the
            log's own. Arrays are kept as given until `take`, without a copy: do not reuse them.
        """
        self._parts.append((length, self.step, columns))
        self._length += length

    @property
    def whole(self) -> ActivityLog:
        """The log of the whole run, where this one only hands rows on to it."""
        return self

    def mini_batch_over(self, by: object) -> None:
        """Count on to the next mini-batch. by: the optimizer whose step ended this one."""
        self.step += 1

    def __len__(self) -> int:
        return self._length

    def take(self) -> Activity:
        """Return the rows collected so far, in program order, and leave the log empty."""
        taken: dict[str, Any] = {name: np.zeros(self._length, dtype) for name, dtype in COLUMNS.items()}
        taken["count"][:] = 1
        start = 0
        for length, step, columns in self._parts:
            place = slice(start, start + length)
            taken["step"][place] = step
            for name, value in columns.items():
                taken[name][place] = value
            start += length
        self._parts, self._length = [], 0
        return Activity(**taken)
