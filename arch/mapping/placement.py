"""Placing a network on a chip: which block of which weight matrix lies on which array of which tile.

A layer larger than an array is cut into balanced blocks (sizes differ by at most one); the blocks of one output range
add up their partial sums in the digital unit of the first of them, their *home*. A bias is one more column of the
matrix, fed with a constant 1, or is added digitally. Layers that use one and the same weight (a module called twice, a
loop that is written out, tied weights) lie on the same arrays, which serve them in turn; others share none. One that
uses it transposed, as a decoder does that is tied to its encoder, reads these arrays from their rows to their columns:
its blocks are theirs with both sides exchanged, and its bias is added digitally, as no array has a row for it.

A weight may live on several arrays at once, as the unit cells of Tiki-Taka or a one-sided pair do (`CellLayout`): each
block then takes as many arrays. A layer may have replicas, which share its vectors among them (Rasch et al., Front.
Neurosci. 13:753, 2019): each is a grid of blocks of its own.

How blocks find their arrays is said by a `Fit`: each on an array of its own, or several on one (see
`rpusim.arch.mapping.fit`).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import product
from typing import Literal

from rpusim.arch.chips.bill_of_parts import BillOfParts, bill_of_parts
from rpusim.arch.chips.chip import Chip
from rpusim.arch.contract.cell_layout import SINGLE, CellLayout
from rpusim.arch.mapping.fit.site import Settled, Weight
from rpusim.arch.mapping.fit.wanted import AS_IS, Fit, GivenFit, wanted
from rpusim.arch.mapping.fit.ways import settled
from rpusim.arch.mapping.grids import ranges
from rpusim.arch.network.network import Network
from rpusim.arch.network.operations import WeightLayer
from rpusim.errors import InputError, nearest

Bias = Literal["column", "digital"]
"""Where a layer's bias is: one more column of its matrix, or a number that the digital unit adds."""


@dataclass(frozen=True)
class Block:
    """The part of a layer's matrix on one array: rows [row_start, row_stop) x columns [column_start, column_stop).

    layer:      index of the weight layer in the network.
    tile:       index of the block within its layer, row-major over the grid of blocks, replica after replica.
    row_start, row_stop, column_start, column_stop:  its part of the matrix, the bias column included.
    kind:       index of the kind of tile in the chip.
    chip_tile:  number of the tile, counted over all kinds; that of the first array, if there are several.
    array:      number of the (first) array within that tile.
    slots:      tile and array within it of every array of the unit cell.
    turned:     the block as it lies on the array, of which this one is the other way round, for a use of the weight
                transposed; None: this is how it lies there.
    corner:     the row and column of weights of its array at which it begins; (0, 0) on an array of its own.
    joined:     groups of a convolution along its diagonal, which alone holds weights; 1: it holds weights everywhere.
    reloaded:   whether it takes turns with other blocks on its array.
    round:      of a layer that is larger than the chip, in which of its rounds the block is there; else 0.
    """

    layer: int
    tile: int
    row_start: int
    row_stop: int
    column_start: int
    column_stop: int
    kind: int
    chip_tile: int
    array: int
    slots: tuple[tuple[int, int], ...] = ()
    turned: Block | None = None
    corner: tuple[int, int] = (0, 0)
    joined: int = 1
    reloaded: bool = False
    round: int = 0

    @property
    def weights(self) -> int:
        """Weights on the array, those of a column of biases counted."""
        rows, columns = self.lines
        return rows * columns // self.joined

    @property
    def lines(self) -> tuple[int, int]:
        """Rows and columns of weights on the array, of which a turned block's outputs are the columns."""
        return (self.rows, self.columns) if self.turned is None else self.turned.lines

    @property
    def rows(self) -> int:
        """Outputs of the block."""
        return self.row_stop - self.row_start

    @property
    def columns(self) -> int:
        """Inputs of the block."""
        return self.column_stop - self.column_start


@dataclass(frozen=True)
class PlacedLayer:
    """A layer cut into a grid of blocks, once for every replica.

    layer:          what is placed; where groups are joined, with as many fewer groups, of so many more columns.
    index:          its index in the network. Where a weight has several uses each is a layer of its own, with the
                    blocks of the first one.
    row_splits:     how many rows the blocks have, from the top of the matrix on. Groups of a convolution have blocks of
                    their own, all with the same ranges of columns.
    column_splits:  how many columns the blocks have, from the left of the matrix on.
    blocks:         all blocks, row-major, replica after replica.
    replicas:       copies of the matrix, which share the vectors of a mini-batch.
    turned:         for a use of a weight transposed, the grid as it lies on the arrays; None: this is how it lies.
    joined:         groups of a convolution along the diagonal of each block.
    """

    layer: WeightLayer
    index: int
    row_splits: tuple[int, ...]
    column_splits: tuple[int, ...]
    blocks: tuple[Block, ...]
    replicas: int = 1
    turned: PlacedLayer | None = None
    joined: int = 1

    @property
    def parts(self) -> int:
        """Matrices of one replica that are computed for themselves: its blocks, or the groups that these join."""
        return self.grid * self.joined

    @property
    def on_arrays(self) -> PlacedLayer:
        """The grid as it lies on the arrays, whichever way this use reads them."""
        return self if self.turned is None else self.turned

    @property
    def grid(self) -> int:
        """Blocks of one replica."""
        return len(self.row_splits) * len(self.column_splits)

    def row_home(self, block: Block) -> Block:
        """The block at which forward partial sums of its outputs are added up: the first of its row of blocks."""
        return self.blocks[block.tile - block.tile % len(self.column_splits)]

    def column_home(self, block: Block) -> Block:
        """The block at which backward partial sums of its inputs are added up: the first of its column of blocks."""
        of_group = self.grid // self.layer.groups
        first = block.tile - block.tile % of_group
        return self.blocks[first + block.tile % of_group % len(self.column_splits)]

    @cached_property
    def rounds(self) -> tuple[tuple[int, ...], ...]:
        """The blocks by number, as they are on arrays together: all at once, but of a layer larger than the chip."""
        found: dict[int, list[int]] = {}
        for block in self.blocks:
            found.setdefault(block.round, []).append(block.tile)
        return tuple(tuple(found[number]) for number in sorted(found))

    def rounds_before_the_last(self, home: Block) -> list[int]:
        """List the rounds, less the last, in which a row of blocks works, so that its sums wait; home: its first."""
        row = self.blocks[home.tile : home.tile + len(self.column_splits)]
        return sorted({block.round for block in row} - {len(self.rounds) - 1})

    @property
    def row_homes(self) -> tuple[Block, ...]:
        """The first block of every row of blocks, from top to bottom, replica after replica."""
        return self.blocks[:: len(self.column_splits)]

    @property
    def column_homes(self) -> tuple[Block, ...]:
        """The first block of every column of blocks, of each group and replica in turn."""
        of_group = self.grid // self.layer.groups
        return tuple(b for b in self.blocks if b.tile % of_group < len(self.column_splits))

    def group(self, block: Block) -> int:
        """Which of the layer's groups a block belongs to."""
        return block.row_start // (self.layer.rows // self.layer.groups)


@dataclass(frozen=True)
class Placement:
    """Where everything lies; what `rpusim map` prints.

    network:  what is placed.
    chip:     where it is placed.
    bias:     whether a bias is one more column of its matrix, or added by the digital unit.
    layers:   the placed weight layers, in the network's order.
    cell:     how many arrays a unit cell takes, and what they are for.
    cache:    where keys and values of tokens before are: "buffer" (of the tile that multiplies them), "global buffer"
              or "DRAM".
    resting:  blocks of weights that lie on the chip and that the network does not use.
    drawn:    whether rows of activity say which replica does a vector; else replicas take turns.
    fit:      how blocks found their arrays.
    """

    network: Network
    chip: Chip
    bias: Bias
    layers: tuple[PlacedLayer, ...]
    cell: CellLayout = SINGLE
    cache: str = "buffer"
    resting: tuple[Block, ...] = ()
    drawn: bool = False
    fit: Fit = AS_IS

    @cached_property
    def bill(self) -> BillOfParts:
        """The parts of the chip."""
        return bill_of_parts(self.chip)

    def blocks(self) -> Iterator[Block]:
        """All blocks of all layers, in order."""
        for layer in self.layers:
            yield from layer.blocks

    @property
    def holders(self) -> tuple[PlacedLayer, ...]:
        """The layers without those that use the weight, and so the arrays, of one before them."""
        return tuple(placed for placed in self.layers if self.network.uses(placed.index)[0] == placed.index)

    @cached_property
    def reloads(self) -> bool:
        """Whether blocks take turns on arrays, which are written for every sample."""
        return any(block.reloaded for block in self.blocks())

    @cached_property
    def arrays_used(self) -> int:
        """Arrays of the chip that hold weights, all arrays of a unit cell counted."""
        return len({slot for block in self._held() for slot in block.slots})

    @cached_property
    def tiles_used(self) -> int:
        """Tiles of the chip of which at least one array is used."""
        return len({tile for block in (*self.blocks(), *self.resting) for tile, _ in block.slots})

    @cached_property
    def utilisation(self) -> float:
        """Cells that hold a weight over the cells of the arrays that are used, between 0 and 1.

        An array on which blocks take turns counts once for each of them.
        """
        arrays = [kind.array for kind in self.chip.tiles]
        held = sum(block.weights * arrays[block.kind].cells_per_weight for block in self._held())
        used = {block.slots[0]: block.kind for block in self._held() if not block.reloaded}
        kinds = [*used.values(), *(block.kind for block in self._held() if block.reloaded)]
        return held / sum(arrays[kind].rows * arrays[kind].columns for kind in kinds)

    def _held(self) -> Iterator[Block]:
        """All blocks of weights that lie on the chip, each once."""
        yield from (block for placed in self.holders for block in placed.blocks)
        yield from self.resting


def place(
    network: Network,
    chip: Chip,
    bias: Bias = "column",
    cell: CellLayout = SINGLE,
    replicas: Mapping[str, int] | None = None,
    drawn: bool = False,
    fit: GivenFit = AS_IS,
) -> Placement:
    """Place every weight of a network on a chip, in the order of the layers.

    network: what is placed.
    chip: where it is placed.
    bias: "column": a bias is one more column of the matrix; "digital": it is added by the digital unit.
    cell: what the unit cells need of the chip.
    replicas: copies of a layer, by its name; 1 for every layer that is not named.
    drawn: whether activity says which replica does a vector, as where that is drawn by chance; else they take turns.
    fit: how blocks find arrays, see `rpusim.arch.mapping.fit.wanted.GivenFit`; the placement is on the chip that has
        grown, if that is wanted.
    Raises `InputError` if the chip has too few arrays, a layer cannot have so many replicas, or layers that use one
    weight do not use it alike.
    """
    copies, fit = replicas_of(network, replicas or {}), wanted(fit)
    fit.check_names([layer.name for layer in network.layers], network.name)
    if drawn := drawn and max(copies.values()) > 1:
        _check_drawn(network, copies)
    if cell.arrays > 1 and any(kind.tiers > 1 for kind in chip.tiles):
        raise InputError(
            f"chip {chip.name}: unit cells of {cell.arrays} arrays use them together, but of arrays on one another one "
            "works at a time; accepted: tiers 1, or unit cells of one array"
        )
    chip, chosen = settled(network, chip, fit, bias == "column", cell, copies)
    places = {weight.index: (weight, found) for weight, found in chosen}
    placed: list[PlacedLayer] = []
    for index, used in enumerate(network.layers):
        if index in places:
            lying = _lying(chip, cell, *places[index])
            placed.append(_turned(lying, used, index) if used.turned else lying)
        else:
            placed.append(_used_again(placed[network.uses(index)[0]].on_arrays, used, index, bias))
    return Placement(network, chip, bias, tuple(placed), cell, drawn=drawn, fit=fit)


def _lying(chip: Chip, cell: CellLayout, weight: Weight, found: Settled) -> PlacedLayer:
    """Make the blocks of a weight, on as many arrays each as a unit cell takes."""
    kind, cut = chip.tiles[found.kind], found.grid
    of_tile, of_tier = kind.array.arrays, kind.count * kind.array.arrays
    first_tile = sum(earlier.count for earlier in chip.tiles[: found.kind])
    grids = product(range(weight.copies), ranges(cut.row_splits), ranges(cut.column_splits))
    blocks: list[Block] = []
    rounds = found.rounds or ((len(found.places), 0),)
    turns = [(turn, n >= there - turning) for turn, (there, turning) in enumerate(rounds) for n in range(there)]
    for (_, rows, columns), (bundle, row, column) in zip(grids, found.places, strict=True):
        numbers = range(bundle * cell.arrays, (bundle + 1) * cell.arrays)
        at = [(number // of_tier, number % of_tier) for number in numbers]  # one tier of all tiles, then the next
        slots = tuple((first_tile + place // of_tile, tier * of_tile + place % of_tile) for tier, place in at)
        tile, array = slots[0]
        turn, turning = turns[len(blocks)]
        own = weight.index, len(blocks), *rows, *columns
        blocks.append(Block(*own, found.kind, tile, array, slots, None, (row, column), cut.joined, turning, turn))
    layer = _joining(weight.layer, cut.joined)
    row_splits, column_splits = cut.row_splits, cut.column_splits
    return PlacedLayer(layer, weight.index, row_splits, column_splits, tuple(blocks), weight.copies, joined=cut.joined)


def _joining(layer: WeightLayer, number: int) -> WeightLayer:
    """Return a layer with so many groups put together to one, of which each output reads a part of the columns."""
    return replace(layer, groups=layer.groups // number, columns=layer.columns * number) if number > 1 else layer


def place_beside(network: Network, other: Placement) -> Placement:
    """Place a network whose weights lie on a chip already, on the arrays of another one that has them, too.

    network: what is placed, such as a step of a language model. other: where the weights lie, without replicas.

    Returns the placement; weights that only the other one uses are `Placement.resting`. Raises `InputError` if a weight
    does not lie there.
    """
    lying = {placed.layer.parameter: placed for placed in other.holders}
    found: list[PlacedLayer] = []
    for index, layer in enumerate(network.layers):
        if layer.parameter not in lying:
            raise InputError(
                f"network {network.name!r}: {layer.parameter!r} does not lie on the chip, accepted: one that does"
            )
        found.append(_used_again(lying[layer.parameter].on_arrays, layer, index, other.bias))
    used = {layer.parameter for layer in network.layers}
    resting = tuple(block for name, placed in lying.items() if name not in used for block in placed.blocks)
    return Placement(network, other.chip, other.bias, tuple(found), other.cell, other.cache, resting)


def _used_again(first: PlacedLayer, layer: WeightLayer, index: int, bias: Bias) -> PlacedLayer:
    """Place a further use of a weight where the first one is."""
    if layer.turned:
        return _turned(first, layer, index)
    before, layer = first.layer, _joining(layer, first.joined)
    both = f"network: layers {before.name!r} and {layer.name!r} use one weight"
    if (before.rows, before.columns, before.groups) != (layer.rows, layer.columns, layer.groups):
        raise InputError(
            f"{both}, but one as {before.rows} x {before.columns} in {before.groups} groups and the other as "
            f"{layer.rows} x {layer.columns} in {layer.groups}; accepted: the same in both"
        )
    if bias == "column" and (before.bias, before.bias_parameter) != (layer.bias, layer.bias_parameter):
        raise InputError(
            f"{both} but not one bias, and an array has one column for it; accepted: the same bias in both, none, or "
            "biases that are added digitally (bias: digital)"
        )
    return replace(first, layer=layer, index=index, blocks=tuple(replace(b, layer=index) for b in first.blocks))


def _turned(lying: PlacedLayer, layer: WeightLayer, index: int) -> PlacedLayer:
    """Place a use of a weight transposed: the grid of blocks with rows and columns exchanged.

    lying: the grid as it lies on the arrays; a column of biases is the last one, and makes no output.
    """
    placed = lying.layer
    both = f"network: layers {placed.name!r} and {layer.name!r} use one weight, the second one transposed"
    if placed.kind != "linear" or (placed.rows, placed.columns) != (layer.columns, layer.rows):
        raise InputError(
            f"{both}, but the first is {placed.kind} of {placed.rows} x {placed.columns} and the second reads "
            f"{layer.columns} and makes {layer.rows}; accepted: linear layers of one matrix"
        )
    outputs = list(lying.column_splits)
    outputs[-1] -= sum(outputs) - layer.rows
    if not outputs[-1]:
        raise InputError(
            f"{both}, and an array of {lying.column_splits[-1]} columns holds nothing but biases; accepted: biases "
            "that are added digitally (bias: digital)"
        )
    across = range(len(outputs))
    blocks: list[Block] = []
    for copy, column, row in product(range(lying.replicas), across, range(len(lying.row_splits))):
        block = lying.blocks[copy * lying.grid + row * len(outputs) + column]
        rows = block.column_start, min(block.column_stop, layer.rows)
        columns = block.row_start, block.row_stop
        place = block.kind, block.chip_tile, block.array
        made = Block(index, len(blocks), *rows, *columns, *place, block.slots, block, block.corner)
        blocks.append(replace(made, reloaded=block.reloaded, round=block.round))
    return PlacedLayer(layer, index, tuple(outputs), lying.row_splits, tuple(blocks), lying.replicas, lying)


def replicas_of(network: Network, given: Mapping[str, int]) -> dict[str, int]:
    """Find the replicas of every layer, by its name; one without a vector of its own would be of no use.

    given: of some layers; the others have 1. Raises `InputError` if a layer cannot have so many.
    """
    layers = {layer.name: layer for layer in network.layers}
    copies = dict.fromkeys(layers, 1)
    for name, number in given.items():
        if name not in layers:
            raise InputError(f"replicas: {name!r} is not a layer of {network.name}{nearest(name, layers)}")
        vectors = layers[name].vectors
        if not isinstance(number, int) or not 1 <= number <= vectors:
            raise InputError(
                f"replicas: got {number!r} for layer {name!r}, but an integer from 1 to its {vectors} vectors per "
                "sample is needed"
            )
        if number > 1 and layers[name].is_recurrent:
            raise InputError(
                f"replicas: got {number} for layer {name!r}, but its vectors wait for one another; 1 is needed"
            )
        copies[name] = number
    for index, layer in enumerate(network.layers):
        first = network.layers[network.uses(index)[0]]
        if (layer.name in given and given[layer.name] != copies[first.name]) or layer.vectors < copies[first.name]:
            raise InputError(
                f"replicas: {first.name!r} has {copies[first.name]} and is used again as {layer.name!r} with "
                f"{layer.vectors} vectors per sample, which those copies share among them; accepted: one number for "
                "both, and at most so many"
            )
        copies[layer.name] = copies[first.name]
    return copies


def _check_drawn(network: Network, copies: Mapping[str, int]) -> None:
    """Refuse sums whose parts would wait at replicas of which nobody knows which one takes them."""
    for each in network.sums:
        name = network.layers[each.home].name
        if copies[name] > 1:
            raise InputError(
                f"replicas: got {copies[name]} for layer {name!r}, where the branches of {each.name!r} are summed, and "
                "vectors that go to replicas at random; accepted: 1 for this layer, or in an experiment "
                "sharing.training: in-turn"
            )
