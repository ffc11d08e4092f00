"""Which blocks are written anew for every sample, after whom, and what writing them is: of placements that reload."""

from __future__ import annotations

import math
from typing import Any

from rpusim.arch.chips.description import TileKind
from rpusim.arch.contract.activity import Phase
from rpusim.arch.mapping.placement import Block, Placement

BEFORE = (-1, -1)
"""A block is written after the sample before has left its array."""


User = tuple[int, int]
"""A layer, and which of its rounds."""


def turns(placement: Placement) -> dict[int, dict[int, User]]:
    """Find which blocks have to be written before a layer of every sample uses them.

    Returns by layer, and then by tile, the layer of the same sample and the round that use the array before, or
    `BEFORE`. A block that nobody has replaced since it was used last is not written again.
    """
    if not placement.reloads:
        return {}
    there: dict[tuple[int, int], tuple[tuple[int, int], User]] = {}
    found: dict[int, dict[int, User]] = {}
    for again in (False, True):  # once to find what the sample before has left
        for placed in placement.layers:
            weight = placement.network.uses(placed.index)[0]
            for block in sorted(placed.blocks, key=lambda block: block.round):
                if block.reloaded:
                    lying = block if block.turned is None else block.turned
                    held, user = there.get(block.slots[0], ((weight, -1), BEFORE))
                    if again and held != (weight, lying.tile):
                        found.setdefault(placed.index, {})[block.tile] = user
                    there[block.slots[0]] = (weight, lying.tile), (placed.index, block.round)
        there = {slot: (held, BEFORE) for slot, (held, _) in there.items()}
    return found


def writing(kind: TileKind, block: Block, chip: str = "") -> dict[str, Any]:
    """Make the columns of `Activity` of writing all weights of a block, and reading them if the chip verifies.

    kind: of its tile. block: as it lies on the array. chip: name of the chip, for the error if it does not say how.
    """
    programming = kind.writing(chip)
    return {
        "phase": Phase.MAINTENANCE,
        "vector": -1,
        "layer": block.layer,
        "tile": block.tile,
        "writes": block.weights,
        "active_rows": block.rows,
        "active_columns": block.columns,
        "passes": math.ceil(block.columns * programming.iterations) if programming.verify else 0,
    }
