"""Placing a network on a chip: which block of which weight matrix lies on which array of which tile.

A layer larger than an array is cut into balanced blocks (sizes differ by at most one); the blocks of one output range
add up their partial sums in the digital unit of the first of them, their *home*. A bias is one more column of the
matrix, fed with a constant 1, or is added digitally. Arrays are not shared between layers.

A weight may live on several arrays at once, as the unit cells of Tiki-Taka or a one-sided pair do (`CellLayout`): each
block then takes as many arrays. A layer may have replicas, which share its vectors among them (Rasch et al., Front.
Neurosci. 13:753, 2019): each is a grid of blocks of its own.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import accumulate, product
from typing import Literal

from rpusim.arch.chips.chip import Chip
from rpusim.arch.chips.description import TileKind
from rpusim.arch.contract.cell_layout import SINGLE, CellLayout
from rpusim.arch.network.network import Network
from rpusim.arch.network.operations import WeightLayer
from rpusim.errors import InputError, nearest

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
    """Which tile of the chip, counted over all kinds; that of the first array, if there are several."""
    array: int
    """Which array within that tile."""
    slots: tuple[tuple[int, int], ...] = ()
    """Tile and array within it of every array of the unit cell."""

    @property
    def rows(self) -> int:
        return self.row_stop - self.row_start

    @property
    def columns(self) -> int:
        return self.column_stop - self.column_start


@dataclass(frozen=True)
class PlacedLayer:
    """A layer cut into a grid of ``len(row_splits)`` x ``len(column_splits)`` blocks; ``blocks`` are those of every
    replica, one after the other. Groups of a convolution have blocks of their own, with the same ranges of columns."""

    layer: WeightLayer
    index: int
    row_splits: tuple[int, ...]
    column_splits: tuple[int, ...]
    blocks: tuple[Block, ...]
    replicas: int = 1

    @property
    def grid(self) -> int:
        """Blocks of one replica."""
        return len(self.row_splits) * len(self.column_splits)

    def row_home(self, block: Block) -> Block:
        """Where forward partial sums of the block's outputs are added up: the first block of its row of blocks."""
        return self.blocks[block.tile - block.tile % len(self.column_splits)]

    def column_home(self, block: Block) -> Block:
        """Where backward partial sums of the block's inputs are added up: the first block of its column of blocks."""
        of_group = self.grid // self.layer.groups
        first = block.tile - block.tile % of_group
        return self.blocks[first + block.tile % of_group % len(self.column_splits)]

    @property
    def row_homes(self) -> tuple[Block, ...]:
        """Of all replicas in turn."""
        return self.blocks[:: len(self.column_splits)]

    @property
    def column_homes(self) -> tuple[Block, ...]:
        """Of all replicas in turn."""
        of_group = self.grid // self.layer.groups
        return tuple(b for b in self.blocks if b.tile % of_group < len(self.column_splits))

    def group(self, block: Block) -> int:
        """Which of the layer's groups a block belongs to."""
        return block.row_start // (self.layer.rows // self.layer.groups)


@dataclass(frozen=True)
class Placement:
    """Where everything lies; what `rpusim map` prints."""

    network: Network
    chip: Chip
    bias: Bias
    layers: tuple[PlacedLayer, ...]
    cell: CellLayout = SINGLE

    def blocks(self) -> Iterator[Block]:
        for layer in self.layers:
            yield from layer.blocks

    @property
    def arrays_used(self) -> int:
        return sum(len(layer.blocks) for layer in self.layers) * self.cell.arrays

    @property
    def tiles_used(self) -> int:
        return len({tile for block in self.blocks() for tile, _ in block.slots})

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


def place(
    network: Network,
    chip: Chip,
    bias: Bias = "column",
    cell: CellLayout = SINGLE,
    replicas: Mapping[str, int] | None = None,
) -> Placement:
    """Place every weight layer of ``network`` on ``chip``, in order; ``replicas`` by layer name, 1 if not given.

    A layer goes to the fastest kind of tile of which one array holds it whole, else to the kind that needs the fewest
    arrays (the faster one, if equal). InputError if the chip has too few arrays.
    """
    copies = _replicas(network, replicas or {})
    free = [kind.count * kind.array.arrays for kind in chip.tiles]
    first_tile = [sum(kind.count for kind in chip.tiles[:k]) for k in range(len(chip.tiles))]
    taken = [0] * len(chip.tiles)
    placed = []
    for index, layer in enumerate(network.layers):
        columns = layer.columns + (layer.bias and bias == "column")
        options = []
        for k, kind in enumerate(chip.tiles):
            rows_cut, columns_cut = _cuts(layer, columns, kind)
            needed = len(rows_cut) * len(columns_cut) * copies[layer.name] * cell.arrays
            options.append((needed, kind.read_seconds * kind.inputs.cycles, k, rows_cut, columns_cut))
        fitting = [option for option in options if option[0] <= free[option[2]] - taken[option[2]]]
        if not fitting:
            raise InputError(
                f"chip {chip.name}: layer {layer.name!r} ({layer.rows} x {columns}) needs {min(options)[0]} arrays, "
                f"but {sum(free) - sum(taken)} of {sum(free)} are left; a chip with more tiles or a smaller network "
                "is needed"
            )
        needed, _, k, rows_cut, columns_cut = min(fitting)
        grids = (rows_cut, columns_cut, copies[layer.name])
        blocks = _blocks(index, *grids, k, taken[k], chip.tiles[k], first_tile[k], cell.arrays)
        taken[k] += needed
        placed.append(PlacedLayer(layer, index, rows_cut, columns_cut, blocks, copies[layer.name]))
    return Placement(network, chip, bias, tuple(placed), cell)


def _replicas(network: Network, given: Mapping[str, int]) -> dict[str, int]:
    """Copies of every layer; a replica without a vector of its own would be of no use."""
    copies = dict.fromkeys((layer.name for layer in network.layers), 1)
    for name, number in given.items():
        if name not in copies:
            raise InputError(f"replicas: {name!r} is not a layer of {network.name}{nearest(name, copies)}")
        vectors = next(layer.vectors for layer in network.layers if layer.name == name)
        if not isinstance(number, int) or not 1 <= number <= vectors:
            raise InputError(
                f"replicas: got {number!r} for layer {name!r}, but an integer from 1 to its {vectors} vectors per "
                "sample is needed"
            )
        if number > 1 and next(layer for layer in network.layers if layer.name == name).is_recurrent:
            raise InputError(
                f"replicas: got {number} for layer {name!r}, but its vectors wait for one another; 1 is needed"
            )
        copies[name] = number
    return copies


def _cuts(layer: WeightLayer, columns: int, kind: TileKind) -> tuple[tuple[int, ...], tuple[int, ...]]:
    of_group = balanced(layer.rows // layer.groups, kind.array.weight_rows)
    return of_group * layer.groups, balanced(columns, kind.array.columns)


def _blocks(
    layer: int,
    rows_cut: tuple[int, ...],
    columns_cut: tuple[int, ...],
    copies: int,
    k: int,
    taken: int,
    kind: TileKind,
    first_tile: int,
    arrays: int,
) -> tuple[Block, ...]:
    blocks: list[Block] = []
    row_ends, column_ends = list(accumulate(rows_cut)), list(accumulate(columns_cut))
    for _, row_stop, column_stop in product(range(copies), row_ends, column_ends):
        rows, columns = rows_cut[row_ends.index(row_stop)], columns_cut[column_ends.index(column_stop)]
        extent = (row_stop - rows, row_stop, column_stop - columns, column_stop)
        numbers = range(taken + len(blocks) * arrays, taken + (len(blocks) + 1) * arrays)
        slots = tuple((first_tile + n // kind.array.arrays, n % kind.array.arrays) for n in numbers)
        tile, array = slots[0]
        blocks.append(Block(layer, len(blocks), *extent, kind=k, chip_tile=tile, array=array, slots=slots))
    return tuple(blocks)
