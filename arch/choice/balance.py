"""Replicas of layers that make all stages of a pipeline equally fast, within a budget of tiles.

    stage time      t(r) = ceil(vectors / r) x time for which a vector holds an array                              (1)
    tiles           sum over kinds of ceil(arrays of all replicas / arrays of a tile)                              (2)

A *stage* is one weight with all its uses. As in water-filling, a level is sought: the least time such that the fewest
replicas by which every stage takes no more fit the budget. Fewer replicas never take more tiles, and a lower level
never needs fewer replicas, so the least level that fits is the least that any choice has (tested against all choices
on small cases). A level is one of the times that some stage can take, so it is found exactly.

Counted is the time of arrays in a forward pass of one pass per vector; converters that arrays share, digital units and
links may set another pace, which the engine shows.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from rpusim.arch.chips.chip import Chip
from rpusim.arch.contract.cell_layout import SINGLE, CellLayout
from rpusim.arch.mapping.fit.wanted import AS_IS, Fit, GivenFit, wanted
from rpusim.arch.mapping.placement import Bias, place, replicas_of
from rpusim.arch.network.network import Network
from rpusim.arch.schedule.plan import BlockPlan, make_plan
from rpusim.errors import InputError, nearest, shown

GivenReplicas = Mapping[str, int] | str | None
"""Copies by layer; "balance", "max", or None: one of each."""

CHOICES = ("balance", "max")
"""What replicas can be chosen by."""


@dataclass(frozen=True)
class Stage:
    """One weight, as far as its replicas matter.

    name:     of the layer that uses it first.
    vectors:  of a sample, of every layer that uses it.
    held_ps:  for which a vector holds an array (ps).
    arrays:   of one copy.
    kind:     number of the kind of tile.
    most:     the most replicas that it can have.
    """

    name: str
    vectors: tuple[int, ...]
    held_ps: int
    arrays: int
    kind: int
    most: int

    def time_ps(self, replicas: int) -> int:
        """Compute the stage time (ps), equation 1."""
        return sum(-(-number // replicas) for number in self.vectors) * self.held_ps

    def fewest(self, level_ps: int) -> int | None:
        """Find the fewest replicas by which it takes no more than a level (ps); None: it always takes more."""
        if self.time_ps(self.most) > level_ps:
            return None
        low, high = 1, self.most
        while low < high:
            middle = (low + high) // 2
            low, high = (low, middle) if self.time_ps(middle) <= level_ps else (middle + 1, high)
        return low


@dataclass(frozen=True)
class Budget:
    """How many tiles may be used.

    tiles:   of all kinds together, equation 2.
    places:  by kind of tile: arrays on one.
    counts:  by kind: tiles that there are; None: as many as it takes.
    """

    tiles: int
    places: tuple[int, ...]
    counts: tuple[int, ...] | None = None

    def used(self, stages: Sequence[Stage], replicas: Sequence[int]) -> int:
        """Count the tiles that replicas of stages take, equation 2."""
        return sum(self._by_kind(stages, replicas))

    def allows(self, stages: Sequence[Stage], replicas: Sequence[int]) -> bool:
        """Tell whether there is room for replicas of stages."""
        by_kind = self._by_kind(stages, replicas)
        there = self.counts is None or all(n <= count for n, count in zip(by_kind, self.counts, strict=True))
        return there and sum(by_kind) <= self.tiles

    def _by_kind(self, stages: Sequence[Stage], replicas: Sequence[int]) -> list[int]:
        arrays = [0] * len(self.places)
        for stage, number in zip(stages, replicas, strict=True):
            arrays[stage.kind] += stage.arrays * number
        return [-(-number // places) for number, places in zip(arrays, self.places, strict=True)]


def balanced(stages: Sequence[Stage], budget: Budget) -> list[int] | None:
    """Find the fewest replicas of every stage by which the slowest takes as little time as the budget allows.

    Returns one number for each stage; None if there is no room for one of each.
    """
    best = [1] * len(stages)
    if not budget.allows(stages, best):
        return None
    slowest = max(stage.time_ps(1) for stage in stages)
    levels = sorted({time for stage in stages for n in _turning_points(stage) if (time := stage.time_ps(n)) <= slowest})
    low, high = 0, len(levels) - 1
    while low <= high:
        middle = (low + high) // 2
        found = [stage.fewest(levels[middle]) for stage in stages]
        replicas = [number for number in found if number is not None]
        if len(replicas) == len(stages) and budget.allows(stages, replicas):
            best, high = replicas, middle - 1
        else:
            low = middle + 1
    return best


def _turning_points(stage: Stage) -> set[int]:
    """List numbers of replicas that take less time than one fewer does."""
    points = {1}
    for vectors in stage.vectors:
        number = 1
        while number < min(vectors, stage.most):  # the next one with fewer vectors on the busiest replica
            number = -(-vectors // (-(-vectors // number) - 1))
            points.add(min(number, stage.most))
    return points


def chosen_replicas(
    network: Network,
    chip: Chip,
    given: GivenReplicas,
    tiles: int | None = None,
    bias: Bias = "column",
    cell: CellLayout = SINGLE,
    fit: GivenFit = AS_IS,
) -> dict[str, int]:
    """Find the replicas of every layer, as they are given, or chosen.

    Args:
        network, chip, bias, cell, fit: as for `rpusim.arch.mapping.placement.place`.
        given: copies by layer; "balance": as few as make the slowest stage as fast as the tiles allow; "max": as many
            as every layer has vectors.
        tiles: how many "balance" may use; None: as many as the chip has.

    Returns:
        Copies by layer. Raises `InputError` for what is not accepted, or if there is no room for one of each.
    """
    fit = wanted(fit)
    if tiles is not None and (given != "balance" or tiles < 1):
        raise InputError(
            f"tiles: got {tiles} with replicas {shown(repr(given))}; accepted: at least 1 tile, with replicas 'balance'"
        )
    if given is None or isinstance(given, Mapping):
        return dict(given or {})
    if given not in CHOICES:
        raise InputError(f"replicas: got {given!r}{nearest(given, CHOICES)}, or LAYER=N with commas between")
    stages = _stages(network, chip, bias, cell, fit)
    if given == "max":
        return {stage.name: stage.most for stage in stages}
    there, grows = chip.tile_count * fit.chips, fit.way == "grow"
    if not grows and (tiles or 0) > there:
        raise InputError(f"tiles: got {tiles}, but chip {chip.name} has {there}; accepted: at most these, or fit grow")
    counts = None if grows else tuple(kind.count * fit.chips for kind in chip.tiles)
    budget = Budget(tiles or there, tuple(kind.places for kind in chip.tiles), counts)
    found = balanced(stages, budget)
    if found is None:
        needed = budget.used(stages, [1] * len(stages))
        raise InputError(
            f"tiles: network {network.name!r} needs {needed} tiles of chip {chip.name} without any replicas, but "
            f"{budget.tiles} may be used; accepted: at least {needed}, or fit grow"
        )
    return replicas_of(network, {stage.name: number for stage, number in zip(stages, found, strict=True)})


def _stages(network: Network, chip: Chip, bias: Bias, cell: CellLayout, fit: Fit) -> list[Stage]:
    """List the stages of a network on a chip, each on arrays of its own."""
    if fit.way not in ("as-is", "grow") or "pack" in fit.layers.values():
        raise InputError(
            f"replicas: balance and max count arrays that layers have for themselves, but fit is {fit}; accepted: "
            "as-is or grow"
        )
    plan = make_plan(place(network, chip, bias, cell, fit=replace(fit, way="grow", layers={}, chips=1)))
    stages = []
    for layer in plan.layers:
        uses = [network.layers[use] for use in network.uses(layer.index)]
        if uses[0] is not network.layers[layer.index]:
            continue
        blocks = layer.placed.blocks
        most = 1 if any(use.is_recurrent for use in uses) else min(use.vectors for use in uses)
        vectors, held = tuple(use.vectors for use in uses), max(map(_held_ps, layer.blocks))
        stages.append(Stage(uses[0].name, vectors, held, len(blocks) * cell.arrays, blocks[0].kind, most))
    return stages


def _held_ps(block: BlockPlan) -> int:
    """Compute for how long (ps) one pass of a vector holds an array."""
    one = block.forward
    return one.lead_ps + one.overlap_ps + (0 if block.sample_and_hold else one.tail_ps)
