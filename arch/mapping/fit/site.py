"""Where every weight of a network goes on a chip: the kind of tile, how it is cut, and a place for every block.

A weight goes to the kind of tile that is named for it; else to the fastest kind of which one array holds it whole, else
to the kind on which it has the fewest blocks (the faster one, if equal). Its blocks are as large as arrays allow, or as
the cut that is asked for. It gets arrays of its own there, or places on arrays that are shared, as its `Fit` says.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Protocol

from rpusim.arch.chips.chip import Chip
from rpusim.arch.chips.description import TileKind
from rpusim.arch.contract.cell_layout import SINGLE, CellLayout
from rpusim.arch.mapping.fit.arrays import Arrays, Place
from rpusim.arch.mapping.fit.wanted import Fit
from rpusim.arch.mapping.grids import MOST_ARRAYS, Cut, Grid, blocks_of, grid, most_joined
from rpusim.arch.network.operations import WeightLayer
from rpusim.errors import InputError, nearest


class HasWeights(Protocol):
    """A network, as far as it has to be known to place its weights."""

    @property
    def layers(self) -> Sequence[WeightLayer]:
        """The weight layers in execution order."""

    def uses(self, layer: int) -> Sequence[int]:
        """List the layers that use the same weight as one, itself among them, in execution order."""


@dataclass(frozen=True)
class Weight:
    """One weight of a network that needs a place.

    index:    of its first use among the network's layers.
    layer:    as it lies on arrays, see `as_it_lies`.
    columns:  of a group, with that of the bias if it has one on the array.
    copies:   replicas, none of which shares an array with another.
    turns:    whether it is also used transposed.
    fit:      "as-is", "pack" or "reload".
    on:       the kind of tile that it has to lie on; "": the one that suits it best.
    cut:      the most rows and columns of a block; None: those of an array.
    """

    index: int
    layer: WeightLayer
    columns: int
    copies: int
    turns: bool
    fit: str
    on: str = ""
    cut: Cut = None

    def may_lie_on(self, kind: TileKind) -> bool:
        """Tell whether it may lie on a kind of tile."""
        return self.on in ("", kind.name) and (kind.turns or not self.turns)


@dataclass(frozen=True)
class Settled:
    """Where a weight goes.

    kind:    number of the kind of tile.
    grid:    how it is cut there.
    places:  of all blocks, of one replica after the other.
    rounds:  how many blocks are on arrays together, round after round, and how many of them, the last ones, take turns
             with others; empty: all are there for ever.
    """

    kind: int
    grid: Grid
    places: list[Place]
    rounds: tuple[tuple[int, int], ...] = ()


def weights(
    network: HasWeights, bias_column: bool, fit: Fit, copies: Mapping[str, int] | None = None
) -> Iterator[Weight]:
    """List the weights of a network, each once, in the order of their first use.

    bias_column: whether biases are columns of their matrices. fit: what is wanted. copies: replicas by layer; None: 1.
    """
    turned = {network.uses(index)[0] for index, layer in enumerate(network.layers) if layer.turned}
    for index in range(len(network.layers)):
        if network.uses(index)[0] == index:
            layer = as_it_lies(network, index)
            columns, number = layer.columns + (layer.bias and bias_column), (copies or {}).get(layer.name, 1)
            name = network.layers[index].name
            wanted = fit.of_layer(name), fit.kinds.get(name, ""), fit.cuts.get(name)
            yield Weight(index, layer, columns, number, index in turned, *wanted)


class Site:
    """A chip while weights are being placed on it.

    chip:     is not changed.
    cell:     how many arrays a unit cell takes: so many make a bundle, of which blocks take places together.
    endless:  whether there are as many arrays as it takes, however many the chip has.

    Attributes:
        chip: as given.
        arrays: of every kind of tile, how many are taken and what is free.
    """

    def __init__(self, chip: Chip, cell: CellLayout = SINGLE, endless: bool = False) -> None:
        self.chip, self._cell = chip, cell
        self.arrays = [
            Arrays(
                kind.array.weight_rows,
                kind.array.columns,
                MOST_ARRAYS if endless else kind.count * kind.places // cell.arrays,
            )
            for kind in chip.tiles
        ]

    def settle(self, weight: Weight) -> Settled | None:
        """Take places for a weight; None, and nothing is taken, if there is no room. Raises `InputError`: see `check`.

        Groups of a convolution are joined where it is packed, and a unit cell is one device: what lies beside the
        diagonal then holds nothing, as updates go group by group.
        """
        for _, _, number, joined in sorted(self._options(weight)):
            cut = grid(weight.layer, weight.columns, self.chip.tiles[number], joined, weight.cut)
            places = self._places(weight, cut, self.arrays[number])
            if places is not None:
                return Settled(number, cut, places)
        return None

    def needed(self, weight: Weight) -> tuple[int, int]:
        """Count the arrays that a weight needs of the kind that suits it best; returns them, and the kind's number."""
        blocks, _, number, _ = min(self._options(weight))
        return blocks * weight.copies * self._cell.arrays, number

    @property
    def left(self) -> tuple[int, int]:
        """How many arrays of all kinds together hold nothing, and how many there are."""
        each = self._cell.arrays
        everything = sum(kind.count * kind.places for kind in self.chip.tiles)
        return everything - sum(arrays.taken for arrays in self.arrays) * each, everything

    def _options(self, weight: Weight) -> Iterator[tuple[int, float, int, int]]:
        """Yield blocks of a copy, seconds that a vector holds an array, number of the kind and groups of a block."""
        for number, kind in enumerate(self.chip.tiles):
            if not weight.may_lie_on(kind):
                continue
            joined = self._joined(weight, kind)
            blocks = blocks_of(weight.layer, weight.columns, kind, joined, weight.cut)
            yield blocks, kind.read_seconds * kind.inputs.cycles, number, joined

    def _joined(self, weight: Weight, kind: TileKind) -> int:
        plain = weight.fit == "pack" and replace(self._cell, name=SINGLE.name) == SINGLE
        return most_joined(weight.layer, weight.columns, kind, weight.cut) if plain and not weight.turns else 1

    def _places(self, weight: Weight, cut: Grid, arrays: Arrays) -> list[Place] | None:
        """Find places for all blocks of all copies, in the order of the blocks."""
        number = cut.blocks * weight.copies
        if number > MOST_ARRAYS:
            return None
        if weight.fit == "as-is":
            return arrays.alone(number)
        before = replace(arrays)
        found: list[Place] = []
        for _ in range(weight.copies):
            own = self._shared(cut, arrays, {array for array, _, _ in found})
            if own is None:
                vars(arrays).update(vars(before))
                return None
            found += own
        return found

    @staticmethod
    def _shared(cut: Grid, arrays: Arrays, never: set[int]) -> list[Place] | None:
        """Find places for the blocks of a copy, equal ones together, the largest first."""
        sizes: dict[tuple[int, int], list[int]] = {}
        across = len(cut.column_splits)
        for i, rows in enumerate(cut.row_splits):
            for j, columns in enumerate(cut.column_splits):
                sizes.setdefault((rows, columns), []).append(i * across + j)
        places: list[Place] = [(0, 0, 0)] * cut.blocks
        for (rows, columns), blocks in sorted(sizes.items(), key=lambda each: -each[0][0] * each[0][1]):
            found = arrays.shared(rows, columns, len(blocks), never)
            if found is None:
                return None
            for block, place in zip(blocks, found, strict=True):
                places[block] = place
        return places


def tiles_for(every: Sequence[Weight], site: Site) -> list[int]:
    """Count the tiles of each kind that a chip would have if all of these weights had arrays of their own on it."""
    kinds = site.chip.tiles
    wanted = [0] * len(kinds)
    for weight in every:
        needed, kind = site.needed(weight)
        wanted[kind] += needed
    return [max(kind.count, -(-number // kind.places)) for kind, number in zip(kinds, wanted, strict=True)]


def check(chip: Chip, weight: Weight) -> None:
    """Refuse a weight that no number of the chip's tiles could hold. Raises `InputError`."""
    kinds = [kind.name for kind in chip.tiles]
    if weight.on and weight.on not in kinds:
        raise InputError(
            f"mapping.fit: got layer {weight.layer.name!r} on {weight.on!r}, which is no kind of tile of chip "
            f"{chip.name}{nearest(weight.on, kinds)}"
        )
    if weight.turns and not any(weight.may_lie_on(kind) for kind in chip.tiles):
        raise InputError(
            f"chip {chip.name}: the weight of layer {weight.layer.name!r} is used transposed, but its tiles drive "
            "arrays on one side only; accepted: a chip that trains (pulses), or a layer with a weight of its own"
        )
    allowed = (kind for kind in chip.tiles if weight.may_lie_on(kind))
    blocks = min(blocks_of(weight.layer, weight.columns, kind, 1, weight.cut) for kind in allowed) * weight.copies
    if weight.fit == "as-is" and blocks > MOST_ARRAYS:
        raise InputError(
            f"network: layer {weight.layer.name!r} ({weight.layer.rows} x {weight.columns}) needs {blocks} arrays of "
            f"chip {chip.name}, but at most {MOST_ARRAYS} can be placed; a smaller network is needed"
        )


def as_it_lies(network: HasWeights, index: int) -> WeightLayer:
    """Find the layer whose matrix lies on the arrays of a weight: its first use that is not transposed.

    network: that uses it. index: of any of its uses. Returns the layer; if all uses are transposed, the first one of
    them the other way round, without a bias.
    """
    uses = [network.layers[use] for use in network.uses(index)]
    first = uses[0]
    plain = next((use for use in uses if not use.turned), None)
    shape = (*first.shape[:-1], first.columns)
    return plain or replace(first, shape=shape, rows=first.columns, columns=first.rows, bias=False, turned=False)
