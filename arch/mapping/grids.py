"""Cutting a layer's matrix into blocks that fit on the arrays of one kind of tile.

Blocks of a cut are balanced: their sizes differ by at most one. No block holds rows of two groups of a convolution,
unless groups are *joined*: then a block holds several of them along its diagonal, each with rows and columns of its
own, and one read multiplies all of them. Cells off the diagonal hold no weight.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import accumulate

from rpusim.arch.chips.description import TileKind
from rpusim.arch.network.operations import WeightLayer

MOST_ARRAYS = 1_000_000
"""The most arrays of one layer that are placed: each is an entry in the plan."""


@dataclass(frozen=True)
class Grid:
    """How a layer is cut.

    row_splits:     rows of the blocks, from the top of the matrix on, group after group.
    column_splits:  columns of the blocks, from the left on; the same for every group.
    joined:         groups of a convolution along the diagonal of each block.
    """

    row_splits: tuple[int, ...]
    column_splits: tuple[int, ...]
    joined: int = 1

    @property
    def blocks(self) -> int:
        """Blocks of one copy of the layer."""
        return len(self.row_splits) * len(self.column_splits)


def balanced(length: int, largest: int) -> tuple[int, ...]:
    """Split ``length`` into the fewest parts of at most ``largest``.

    Returns their sizes, which differ by at most one, larger ones first.

    >>> balanced(1025, 512)
    (342, 342, 341)
    """
    parts = -(-length // largest)
    size, extra = divmod(length, parts)
    return tuple(size + (i < extra) for i in range(parts))


def ranges(splits: Sequence[int]) -> list[tuple[int, int]]:
    """Return first and last place (not included) of every part of a split."""
    return [(stop - size, stop) for size, stop in zip(splits, accumulate(splits), strict=True)]


Cut = tuple[int, int] | None
"""The most rows and columns of a block, where they are to be fewer than those of an array; None: as many as fit."""


def _largest(kind: TileKind, cut: Cut) -> tuple[int, int]:
    """Return the most rows and columns of a block on one kind of tile."""
    rows, columns = cut or (kind.array.weight_rows, kind.array.columns)
    return min(rows, kind.array.weight_rows), min(columns, kind.array.columns)


def blocks_of(layer: WeightLayer, columns: int, kind: TileKind, joined: int = 1, cut: Cut = None) -> int:
    """Count the blocks of a layer on one kind of tile, without cutting it.

    columns: of a group, with that of its bias if it has one there. joined: groups on the diagonal of a block. cut: the
    most rows and columns of a block; None: those of an array.
    """
    if joined > 1:
        return layer.groups // joined
    most_rows, most_columns = _largest(kind, cut)
    return -(-(layer.rows // layer.groups) // most_rows) * layer.groups * -(-columns // most_columns)


def grid(layer: WeightLayer, columns: int, kind: TileKind, joined: int = 1, cut: Cut = None) -> Grid:
    """Cut a layer for the arrays of one kind of tile; for the arguments see `blocks_of`."""
    rows = layer.rows // layer.groups
    if joined > 1:
        return Grid((rows * joined,) * (layer.groups // joined), (columns * joined,), joined)
    most_rows, most_columns = _largest(kind, cut)
    return Grid(balanced(rows, most_rows) * layer.groups, balanced(columns, most_columns))


def most_joined(layer: WeightLayer, columns: int, kind: TileKind, cut: Cut = None) -> int:
    """Find how many groups of a convolution lie on the diagonal of one array; for the arguments see `blocks_of`.

    Returns the largest divisor of the number of groups that fits, so that all blocks are alike; 1: they are not joined.
    """
    most_rows, most_columns = _largest(kind, cut)
    most = min(most_rows // (layer.rows // layer.groups), most_columns // columns, layer.groups)
    return next((number for number in range(most, 1, -1) if layer.groups % number == 0), 1)
