"""Tiles that talk to each other put near each other: fewer bits times hops, by a greedy start and swaps.

Today's order puts layers on tiles one after the other, row of the mesh by row. Here the same tiles, with what lies on
them, are put on other places of their kind:

* the places are those of today, or the nodes of the smallest square at the edge of the mesh that holds them;
* the *greedy* start takes tiles in the order of what they exchange with those placed already, each to the free place
  that costs least;
* then places are exchanged, of two tiles or with a free one, the best exchange of one tile at a time, in an order that
  a seed draws, until none helps, or after `MOST_TRIES` times as many tries as there are places;
* what results is taken only if the bits times hops are fewer than today's, and no more digital units and pools of
  converters are used, where tiles share them.

Free tiles beyond the square are never used, so a chip with more rows of tiles has a placement at least as near. The
search counts every message by itself; where routers copy messages, what is taken is settled on the trees.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from math import isqrt

import numpy as np
from numpy.typing import NDArray

from rpusim.arch.chips.chip import Chip
from rpusim.arch.choice.traffic_of_tiles import EDGE, between_tiles, bits_times_hops
from rpusim.arch.mapping.placement import Block, PlacedLayer, Placement
from rpusim.arch.schedule.plan import make_plan

MOST_TRIES = 20
"""Tries of a search, over its places: each looks at all exchanges of one tile."""
MOST_PLACES = 3_000
"""Places of the largest search; larger chips keep today's order. A search of so many takes some ten seconds."""

Floats = NDArray[np.float64]


def nearer(placement: Placement, training: bool = False, seed: int = 0) -> Placement:
    """Put tiles near those with which they exchange bits.

    Args:
        placement: in any order.
        training: whether what goes back counts, too.
        seed: of the order of tries; the same seed gives the same placement.

    Returns:
        The placement with the fewest bits times hops that was found; the given one if none has fewer.
    """
    plan = make_plan(placement)
    best, fewest = placement, bits_times_hops(plan, training)
    used = sorted({tile for block in _all(placement) for tile, _ in block.slots})
    if len(used) < 2 or not fewest:
        return placement
    traffic = between_tiles(plan, training)
    for places in _regions(placement.chip, used):
        search = _Search.of(placement.chip, used, places, traffic)
        for start in search.starts():
            found = search.improved(start, seed)
            moved = _moved(placement, dict(zip(used, (places[p] for p in found[: len(used)]), strict=True)))
            if _units(moved) > _units(placement):  # more of them would be on
                continue
            if (number := bits_times_hops(make_plan(moved), training)) < fewest:
                best, fewest = moved, number
    return best


def hops(chip: Chip, places: Sequence[int]) -> Floats:
    """Count the links between tiles: (tiles, tiles), see `rpusim.arch.mapping.routes`."""
    of_chip, within = np.array([chip.of_chip(tile) for tile in places]).T
    row, column = np.divmod(within // chip.mesh.tiles_per_router, chip.mesh.columns)
    within_one = np.abs(row[:, None] - row) + np.abs(column[:, None] - column)
    over_edges = (row + column)[:, None] + row + column + np.abs(of_chip[:, None] - of_chip)
    found: Floats = np.where(of_chip[:, None] == of_chip, within_one, over_edges).astype(np.float64)
    return found


def _regions(chip: Chip, used: Sequence[int]) -> list[list[int]]:
    """List sets of tiles on which those used could be: their own, and a square of nodes at the edge of the mesh."""
    regions, mesh = [list(used)], chip.mesh
    side = isqrt(mesh.nodes(len(used)) - 1) + 1
    if chip.chips == 1 and side <= mesh.columns:
        nodes = (np.arange(side)[:, None] * mesh.columns + np.arange(side)).ravel()
        square = (nodes[:, None] * mesh.tiles_per_router + np.arange(mesh.tiles_per_router)).ravel().tolist()
        there = max(square) < chip.tile_count
        needed, found = (
            np.bincount([_kind(chip, tile) for tile in each]) for each in (used, square if there else used)
        )
        if there and len(needed) <= len(found) and np.all(needed <= found[: len(needed)]):
            regions.append(square)
    return [region for region in regions if len(region) <= MOST_PLACES]


def _kind(chip: Chip, tile: int) -> int:
    """Find the kind of a tile by its number."""
    return int(np.searchsorted(np.cumsum([kind.count for kind in chip.tiles]), tile, side="right"))


@dataclass(frozen=True)
class _Search:
    """Tiles and places; the tiles that are used come first, then as many without traffic as places are left.

    bits:   (places, places) between tiles, in both directions together.
    edge:   (places,) between a tile and the edge of the mesh.
    far:    (places, places) hops between places. out: (places,) hops from a place to the edge.
    kinds:  (places,) kind of each place. wanted: (used,) kind of each tile.
    today:  (used,) the place of each tile in today's order; None: it is not among the places.
    """

    bits: Floats
    edge: Floats
    far: Floats
    out: Floats
    kinds: NDArray[np.int64]
    wanted: NDArray[np.int64]
    today: list[int] | None

    @staticmethod
    def of(chip: Chip, used: Sequence[int], places: Sequence[int], traffic: dict[tuple[int, int], int]) -> _Search:
        """Make it; ``traffic``: as `between_tiles` counts it."""
        number = {tile: index for index, tile in enumerate(used)}
        bits, edge = np.zeros((len(places), len(places))), np.zeros(len(places))
        for (source, target), amount in traffic.items():
            if source == EDGE:
                edge[number[target]] += amount
            else:
                bits[number[source], number[target]] += amount
                bits[number[target], number[source]] += amount
        kinds, wanted = (np.array([_kind(chip, tile) for tile in tiles]) for tiles in (places, used))
        far = hops(chip, [0, *places])
        today = [places.index(tile) for tile in used] if set(used) <= set(places) else None
        return _Search(bits, edge, far[1:, 1:], far[0, 1:], kinds, wanted, today)

    def starts(self) -> list[list[int]]:
        """List places of the used tiles to begin with: greedily chosen ones, and today's."""
        return [self._greedy(), *([self.today] if self.today else [])]

    def _greedy(self) -> list[int]:
        """Place the tile that exchanges most with those placed (and the edge), then the next one."""
        used = len(self.wanted)
        pull, cost = self.edge[:used].copy(), np.outer(self.edge[:used], self.out)
        place, free = [-1] * used, np.ones(len(self.kinds), np.bool_)
        pull[pull == 0] += self.bits.sum(1)[:used][pull == 0] * 1e-9  # who talks most, where nobody is placed yet
        for _ in range(used):
            tile = int(np.argmax(np.where(np.array(place) < 0, pull, -1.0)))
            allowed = free & (self.kinds == self.wanted[tile])
            where = int(np.argmin(np.where(allowed, cost[tile], np.inf)))
            place[tile], free[where] = where, False
            pull += self.bits[:used, tile]
            cost += np.outer(self.bits[:used, tile], self.far[where])
        return place

    def improved(self, start: Sequence[int], seed: int) -> list[int]:
        """Exchange places while that saves bits times hops; all numbers are whole, so that sums are exact."""
        size, used = len(self.kinds), len(self.wanted)
        place = np.array([*start, *sorted(set(range(size)) - set(start))])
        cost = self.bits @ self.far[place] + np.outer(self.edge, self.out)  # of each tile at each place
        draw, idle, tries = np.random.default_rng(seed), 0, 0
        order = draw.permutation(used)
        while idle < used and tries < MOST_TRIES * size:
            tile = int(order[tries % used])
            here = int(place[tile])
            at = cost[np.arange(size), place]
            saved = cost[tile, place] - at[tile] + cost[:, here] - at + 2 * self.bits[tile] * self.far[here, place]
            saved[self.kinds[place] != self.kinds[here]] = 0
            other = int(np.argmin(saved))
            tries, idle = tries + 1, idle + 1
            if saved[other] < 0:
                there, idle = int(place[other]), 0
                cost += np.outer(self.bits[:, tile] - self.bits[:, other], self.far[there] - self.far[here])
                place[tile], place[other] = there, here
        return [int(each) for each in place]


def _all(placement: Placement) -> list[Block]:
    """List all blocks that lie on the chip."""
    return [*placement.blocks(), *placement.resting]


def _units(placement: Placement) -> int:
    """Count the digital units and pools of converters of the tiles that are used."""
    kinds, found = placement.chip.tiles, set[tuple[str, int, int]]()
    for block in _all(placement):
        first = sum(kind.count for kind in kinds[: block.kind])
        for tile, _ in block.slots:
            found.add(("digital", block.kind, (tile - first) // kinds[block.kind].digital.tiles_per_unit))
            if pool := kinds[block.kind].adc.pool:
                found.add(("pool", block.kind, (tile - first) // pool.tiles))
    return len(found)


def _moved(placement: Placement, to: dict[int, int]) -> Placement:
    """Put tiles, with what lies on them, on others; ``to``: by the number of the tile."""

    def block(each: Block) -> Block:
        slots = tuple((to[tile], array) for tile, array in each.slots)
        turned = each.turned and block(each.turned)
        return replace(each, chip_tile=to[each.chip_tile], slots=slots, turned=turned)

    def layer(each: PlacedLayer) -> PlacedLayer:
        turned = each.turned and layer(each.turned)
        return replace(each, blocks=tuple(map(block, each.blocks)), turned=turned)

    layers, resting = tuple(map(layer, placement.layers)), tuple(map(block, placement.resting))
    return replace(placement, layers=layers, resting=resting)
