"""The arrays of a chip while a network is being placed: which are taken, and which have cells left.

A *place* is the rectangle of cells of one block: the number of an array among those of its kind of tile (of a bundle
of arrays, where a unit cell takes several), and its first row and column of weights. Blocks that have an array of their
own begin at its first cell.

Blocks that share arrays are put into the free rectangle that they fill best, side by side or one above the other; what
is left of it stays free in two parts, the larger one whole. As they lie apart, each is driven and read without the
others: lines of an array that are not used are at ground.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

Place = tuple[int, int, int]
"""Array (or bundle of arrays), first row, first column."""


@dataclass
class Arrays:
    """The arrays of one kind of tile.

    rows, columns:  of weights on one array.
    number:         how many arrays (or bundles) there are.
    taken:          how many of them hold something.
    """

    rows: int
    columns: int
    number: int
    taken: int = 0
    _free: NDArray[np.int64] = field(default_factory=lambda: np.empty((0, 5), np.int64))
    """(rectangles, 5) array, first row, first column, rows and columns of what is free on arrays that are shared."""

    @property
    def left(self) -> int:
        """Arrays that hold nothing."""
        return self.number - self.taken

    def alone(self, number: int) -> list[Place] | None:
        """Take so many arrays for one block each; None, and nothing is taken, if there are too few."""
        if number > self.left:
            return None
        self.taken += number
        return [(array, 0, 0) for array in range(self.taken - number, self.taken)]

    def shared(self, rows: int, columns: int, number: int, never: Collection[int] = ()) -> list[Place] | None:
        """Find places for equal blocks that may share arrays; None, and nothing is taken, if there is no room.

        rows, columns: of each block. number: of blocks. never: arrays that must not be used.
        """
        free, before = self._free, self.taken
        fits = (free[:, 3] >= rows) & (free[:, 4] >= columns)
        if never:
            fits &= ~np.isin(free[:, 0], list(never))
        slack = np.minimum(free[:, 3] - rows, free[:, 4] - columns)
        fitting = np.flatnonzero(fits)
        places: list[Place] = []
        used, left = list[int](), list[tuple[int, ...]]()
        for index in fitting[np.lexsort((fitting, slack[fitting]))].tolist():
            if len(places) == number:
                break
            used.append(index)
            _fill(free[index].tolist(), rows, columns, number - len(places), places, left)
        while len(places) < number:
            if self.taken == self.number:
                self.taken = before
                return None
            _fill([self.taken, 0, 0, self.rows, self.columns], rows, columns, number - len(places), places, left)
            self.taken += 1
        kept = np.delete(free, used, axis=0)
        self._free = np.concatenate([kept, np.array(left, np.int64).reshape(-1, 5)])
        return places


def _fill(
    free: list[int], rows: int, columns: int, number: int, places: list[Place], left: list[tuple[int, ...]]
) -> None:
    """Put up to so many equal blocks into a free rectangle, row by row, and note what is left of it.

    free: array, first row, first column, rows, columns. places, left: are added to.
    """
    array, row, column, height, width = free
    across = min(width // columns, number)
    down = min(height // rows, -(-number // across))
    count = min(number, across * down)
    places += [(array, row + k // across * rows, column + k % across * columns) for k in range(count)]
    if missing := across * down - count:
        left.append((array, row + (down - 1) * rows, column + (across - missing) * columns, rows, missing * columns))
    below, beside = height - down * rows, width - across * columns
    whole_below = below * width >= beside * height
    if below:
        left.append((array, row + down * rows, column, below, width if whole_below else across * columns))
    if beside:
        left.append((array, row, column + across * columns, down * rows if whole_below else height, beside))
