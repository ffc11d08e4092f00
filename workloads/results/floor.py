"""The floor plan of a placement: where each tile is on the mesh, what lies on it, and what its links carry.

Bits are those of the messages of a sample (its input, partial sums, results; in training what goes back, too), see
`rpusim.arch.choice.traffic_of_tiles`; overflow of buffers, transfers and caches are not among them.
"""

from __future__ import annotations

import re
from typing import Any

from rpusim.arch.choice.traffic_of_tiles import bits_times_hops, over_stations
from rpusim.arch.mapping.placement import Placement
from rpusim.arch.schedule.plan import Plan

MOST_BLOCKS = 4_000
"""Blocks of the largest placement of which a floor plan is made; beyond, a document has none."""

_LINK = re.compile(r"link \((\d+),(\d+)\)-\((\d+),(\d+)\)(?: of chip (\d+))?")


def is_drawn(placement: Placement) -> bool:
    """Tell whether a placement is small enough for a floor plan."""
    return sum(len(placed.blocks) for placed in placement.layers) <= MOST_BLOCKS


def floor(plan: Plan, training: bool) -> dict[str, Any] | None:
    """Describe the floor plan of a plan, as a document; ``training``: whether a sample goes back, too.

    Returns the mesh, every tile that is used with its node and the share of its cells that each layer holds, every
    link with the bits that it carries for a sample, and the bits times hops; None if there are too many blocks.
    """
    placement = plan.placement
    chip = placement.chip
    if not is_drawn(placement):
        return None
    links = []
    for name, part, bits in zip(plan.stations, plan.station_parts, over_stations(plan, training).tolist(), strict=True):
        if part == "link" and bits:
            found = _LINK.fullmatch(name)
            assert found is not None, f"a link with another name: {name}"
            row, column, to_row, to_column = (int(group) for group in found.groups()[:4])
            links.append({"chip": int(found[5] or 0), "from": [row, column], "to": [to_row, to_column], "bits": bits})
    return {
        "chips": chip.chips,
        "columns": chip.mesh.columns,
        "tiles_per_router": chip.mesh.tiles_per_router,
        "tiles": _tiles(plan),
        "links": links,
        "bits_times_hops": bits_times_hops(plan, training),
    }


def _tiles(plan: Plan) -> list[dict[str, Any]]:
    """List the tiles that are used, in order."""
    placement = plan.placement
    chip, mesh = placement.chip, placement.chip.mesh
    held: dict[int, dict[str, float]] = {}
    kinds: dict[int, int] = {}
    for placed in placement.holders:
        name = placement.network.layers[placed.index].name
        for block in placed.blocks:
            array = chip.tiles[block.kind].array
            cells = array.rows * array.columns * chip.tiles[block.kind].places
            share = block.weights * array.cells_per_weight / cells
            for tile, _ in block.slots:
                of_tile = held.setdefault(tile, {})
                of_tile[name] = of_tile.get(name, 0.0) + share
                kinds[tile] = block.kind
    found = []
    for tile, layers in sorted(held.items()):
        of_chip, within = chip.of_chip(tile)
        row, column = divmod(within // mesh.tiles_per_router, mesh.columns)
        place = {"tile": tile, "chip": of_chip, "row": row, "column": column, "at": within % mesh.tiles_per_router}
        found.append({**place, "kind": chip.tiles[kinds[tile]].name, "cells": layers})
    return found
