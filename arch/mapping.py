"""Placing a network on a chip: which block of which weight matrix lies on which array of which tile.

A layer larger than an array is cut into balanced blocks (sizes differ by at most one); the blocks of one output range
add up their partial sums in the digital unit of the first of them, their *home*. A bias is one more column of the
matrix, fed with a constant 1, or is added digitally. Arrays are not shared between layers.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

from rpusim.arch.chip import Chip, TileKind
from rpusim.arch.network import Network, WeightLayer
from rpusim.errors import InputError

Bias = Literal["column", "digital"]


@dataclass(frozen=True)
class Block:
    """The part of a layer's matrix on one array: rows [row_start, row_stop) x columns [column_start, column_stop)."""

    layer: int
    tile: int
    """Index of the block within its layer, row-major over the grid of blocks."""
    row_start: int
    row_stop: int
    column_start: int
    column_stop: int
    kind: int
    """Index of the tile kind in the chip."""
    chip_tile: int
    """Which tile of the chip, counted over all kinds."""
    array: int
    """Which array within that tile."""

    @property
    def rows(self) -> int:
        return self.row_stop - self.row_start

    @property
    def columns(self) -> int:
        return self.column_stop - self.column_start


@dataclass(frozen=True)
class PlacedLayer:
    """A layer cut into a grid of ``len(row_splits)`` x ``len(column_splits)`` blocks."""

    layer: WeightLayer
    index: int
    row_splits: tuple[int, ...]
    column_splits: tuple[int, ...]
    blocks: tuple[Block, ...]

    def row_home(self, block: Block) -> Block:
        """Where forward partial sums of the block's outputs are added up: the first block of its row of blocks."""
        return self.blocks[block.tile - block.tile % len(self.column_splits)]

    def column_home(self, block: Block) -> Block:
        """Where backward partial sums of the block's inputs are added up: the first block of its column of blocks."""
        return self.blocks[block.tile % len(self.column_splits)]

    @property
    def row_homes(self) -> tuple[Block, ...]:
        return self.blocks[:: len(self.column_splits)]

    @property
    def column_homes(self) -> tuple[Block, ...]:
        return self.blocks[: len(self.column_splits)]


@dataclass(frozen=True)
class Placement:
    """Where everything lies; what `rpusim map` prints."""

    network: Network
    chip: Chip
    bias: Bias
    layers: tuple[PlacedLayer, ...]

    def blocks(self) -> Iterator[Block]:
        for layer in self.layers:
            yield from layer.blocks

    @property
    def arrays_used(self) -> int:
        return sum(len(layer.blocks) for layer in self.layers)

    @property
    def tiles_used(self) -> int:
        return len({block.chip_tile for block in self.blocks()})

    @property
    def utilisation(self) -> float:
        """Cells that hold a weight, over the cells of the arrays that are used."""
        kinds = self.chip.tiles
        held = sum(b.rows * b.columns * kinds[b.kind].array.cells_per_weight for b in self.blocks())
        there = sum(kinds[b.kind].array.rows * kinds[b.kind].array.columns for b in self.blocks())
        return held / there


def balanced(length: int, largest: int) -> tuple[int, ...]:
    """Split ``length`` into the fewest parts of at most ``largest``; sizes differ by at most one, larger ones first.

    >>> balanced(1025, 512)
    (342, 342, 341)
    """
    parts = -(-length // largest)
    size, extra = divmod(length, parts)
    return tuple(size + (i < extra) for i in range(parts))


def place(network: Network, chip: Chip, bias: Bias = "column") -> Placement:
    """Place every weight layer of ``network`` on ``chip``, in order.

    A layer goes to the fastest kind of tile of which one array holds it whole, else to the kind that needs the fewest
    arrays (the faster one, if equal). InputError if the chip has too few arrays.
    """
    free = [kind.count * kind.array.arrays for kind in chip.tiles]
    first_tile = [sum(kind.count for kind in chip.tiles[:k]) for k in range(len(chip.tiles))]
    taken = [0] * len(chip.tiles)
    placed = []
    for index, layer in enumerate(network.layers):
        columns = layer.columns + (layer.bias and bias == "column")
        options = []
        for k, kind in enumerate(chip.tiles):
            rows_cut, columns_cut = _cuts(layer.rows, columns, kind)
            needed = len(rows_cut) * len(columns_cut)
            options.append((needed, kind.read_seconds * kind.inputs.cycles, k, rows_cut, columns_cut))
        fitting = [option for option in options if option[0] <= free[option[2]] - taken[option[2]]]
        if not fitting:
            raise InputError(
                f"chip {chip.name}: layer {layer.name!r} ({layer.rows} x {columns}) needs {min(options)[0]} arrays, "
                f"but {sum(free) - sum(taken)} of {sum(free)} are left; a chip with more tiles or a smaller network "
                "is needed"
            )
        needed, _, k, rows_cut, columns_cut = min(fitting)
        blocks = _blocks(index, rows_cut, columns_cut, k, taken[k], chip.tiles[k], first_tile[k])
        taken[k] += needed
        placed.append(PlacedLayer(layer, index, rows_cut, columns_cut, blocks))
    return Placement(network, chip, bias, tuple(placed))


def _cuts(rows: int, columns: int, kind: TileKind) -> tuple[tuple[int, ...], tuple[int, ...]]:
    return balanced(rows, kind.array.weight_rows), balanced(columns, kind.array.columns)


def _blocks(
    layer: int,
    rows_cut: tuple[int, ...],
    columns_cut: tuple[int, ...],
    k: int,
    taken: int,
    kind: TileKind,
    first_tile: int,
) -> tuple[Block, ...]:
    blocks: list[Block] = []
    row_start = 0
    for rows in rows_cut:
        column_start = 0
        for columns in columns_cut:
            slot = taken + len(blocks)
            tile, array = divmod(slot, kind.array.arrays)
            extent = (row_start, row_start + rows, column_start, column_start + columns)
            blocks.append(Block(layer, len(blocks), *extent, kind=k, chip_tile=first_tile + tile, array=array))
            column_start += columns
        row_start += rows
    return tuple(blocks)
