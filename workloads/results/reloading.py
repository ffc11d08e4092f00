"""What it takes that blocks take turns on arrays: how much is written for a sample, how that wears, what it costs."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from typing import Any

from rpusim.arch.account.ledger import Ledger
from rpusim.arch.mapping.fit.turns import turns
from rpusim.arch.mapping.placement import Placement


def written(placement: Placement) -> dict[str, Any]:
    """Count what is written for every sample, of a placement that reloads.

    Returns ``blocks`` and how many of them are ``written_blocks``, ``written_weights`` of them; and of a cell
    ``writes_per_cell``, at most and in the mean over arrays that are written, each with ``pulses_per_write``.
    """
    writes, weights, pulses, blocks = Counter[tuple[int, int]](), 0, 0.0, 0
    for index, of_layer in turns(placement).items():
        for tile in of_layer:
            block = placement.layers[index].blocks[tile]
            writes[block.slots[0]] += 1
            weights, blocks = weights + block.weights, blocks + 1
            programming = placement.chip.tiles[block.kind].writing(placement.chip.name)
            pulses = max(pulses, programming.iterations)
    return {
        "blocks": sum(len(placed.blocks) for placed in placement.holders),
        "written_blocks": blocks,
        "written_weights": weights,
        "writes_per_cell": {
            "most": max(writes.values(), default=0),
            "mean": sum(writes.values()) / max(len(writes), 1),
        },
        "pulses_per_write": pulses,
    }


def document(placement: Placement, ledger: Ledger, account: Callable[[Placement], Ledger]) -> dict[str, Any]:
    """Make the document's ``reload``: what is written per sample, and the shares of time and energy that this takes.

    placement: what was timed. ledger: its account. account: makes that of another placement of the same work.

    A share is what would be saved if all blocks lay where they are and none had to be written: they still wait for
    their arrays. Returns nothing if no blocks take turns.
    """
    if not placement.reloads:
        return {}
    still = account(without_turns(placement))
    shares = {
        "time_share": 1 - still.time_ps / ledger.time_ps,
        "energy_share": 1 - still.total_zj / ledger.total_zj,
    }
    return {"reload": {**written(placement), **shares}}


def without_turns(placement: Placement) -> Placement:
    """Return the placement as if every block could stay on its array while others are there."""
    layers = tuple(
        replace(placed, blocks=tuple(replace(block, reloaded=False) for block in placed.blocks))
        for placed in placement.layers
    )
    return replace(placement, layers=layers)
