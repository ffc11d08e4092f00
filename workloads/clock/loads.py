"""Blocks that take turns on arrays, between numbers and clock: when tiles are loaded, and rows sample by sample.

    clock -> numbers    which uses of a weight find it written anew (`rpusim.arch.mapping.fit.turns`), and how long
                        before their first vector that was: what a device has drifted by then
    numbers -> clock    a row of maintenance for each load, and every sample as a step of its own

The ages are those of a sample that follows others, each vector in one pass, with management's digital work; retries of
bound management make blocks older by what they take, which is not followed. Time counts as the noise model counts it,
such as from its first measurement. A model that no measurement covers at such an age leaves cells as programming does.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from torch import nn

from rpusim.arch.contract.activity import Phase
from rpusim.arch.contract.quantity import PICOSECONDS_PER_SECOND
from rpusim.arch.engine.events import Op
from rpusim.arch.mapping.assumed_activity import assumed_activity
from rpusim.arch.mapping.fit.turns import turns
from rpusim.arch.mapping.placement import Placement
from rpusim.arch.schedule.plan import make_plan
from rpusim.arch.schedule.schedules import run
from rpusim.errors import InputError
from rpusim.kernels.inference import InferenceTile
from rpusim.kernels.inference.loads import Loads
from rpusim.kernels.layers.shared import layer_of
from rpusim.workloads.cells.management import Management
from rpusim.workloads.cells.periphery import with_management

SAMPLES = 3
"""Samples that are timed to find the ages of loads; those of the last one are taken."""

Ages = dict[tuple[int, int], int]
"""By layer and tile: how long (ps) before its first vector of a sample a block was written."""


def load_by_sample(model: nn.Module, placement: Placement, management: Management) -> None:
    """Let tiles that take turns be programmed anew for every sample.

    model: on the arrays of the placement, of cells that infer. management: whose digital work is on the clock.
    """
    if not placement.reloads:
        return
    written, known = turns(placement), ages(placement, management)
    for placed in placement.holders:
        part = layer_of(model, placed.layer.parameter)
        uses = [placement.layers[use] for use in placement.network.uses(placed.index)]
        for tile in part.modules():
            if not isinstance(tile, InferenceTile):
                continue
            number = tile.tile
            loaded = tuple(number in written.get(use.index, {}) for use in uses)
            if any(loaded):  # else nobody else needs its array
                vectors = tuple(use.layer.vectors for use in uses)
                together = tuple(use.layer.together for use in uses)
                since = tuple(known[use.index, number] / PICOSECONDS_PER_SECOND for use in uses)
                ages_covered = tuple(_covered(tile, seconds) for seconds in since)
                tile.loads = Loads(part, vectors, together, loaded, since, ages_covered)


def document(model: nn.Module, placement: Placement) -> dict[str, Any]:
    """Say what the numbers did, for the document's ``reload``: how often blocks were loaded, and how old they were.

    model: on the arrays of the placement. Returns ``loads`` and, where something was, ``age_s``: ``least`` and ``most``
    seconds from a load to its first vector, over blocks and uses.
    """
    tiles = [tile for tile in model.modules() if isinstance(tile, InferenceTile) and tile.loads is not None]
    known = [seconds for tile in tiles if tile.loads for seconds in tile.loads.seconds]
    loads = sum(tile.loads.number(tile.samples, -1) + 1 for tile in tiles if tile.loads)
    return {"loads": loads, **({"age_s": {"least": min(known), "most": max(known)}} if known else {})}


def _covered(tile: InferenceTile, seconds: float) -> float | None:
    """Return an age, or None if the tile's noise model was not measured then."""
    try:
        if tile.config.noise is not None:
            tile.config.noise.check_time(seconds)
    except InputError:
        return None
    return seconds


def ages(placement: Placement, management: Management | None = None) -> Ages:
    """Find how long before its first vector of a sample every block that takes turns was written, by the engine.

    placement: that reloads. management: whose digital work is on the clock; None: none.
    """
    activity = assumed_activity(placement, SAMPLES, training=False)
    if management is not None:
        activity = with_management(activity, placement, management)
    events = run(make_plan(placement), activity, "sequential")
    step = np.where(events.row >= 0, activity.step[np.maximum(events.row, 0)], -1)
    writes = (events.op == Op.WRITE) & (events.phase == Phase.MAINTENANCE)
    reads = (events.op == Op.DRIVE) & (events.phase == Phase.FORWARD) & (step == SAMPLES - 1)
    ended, begun = dict[tuple[int, int], list[int]](), Ages()
    of_weight = [placement.network.uses(placed.index)[0] for placed in placement.layers]
    for event in np.flatnonzero(writes).tolist():
        key = of_weight[events.layer[event]], int(events.tile[event])
        ended.setdefault(key, []).append(int(events.end[event]))
    for event in np.flatnonzero(reads).tolist():
        key = int(events.layer[event]), int(events.tile[event])
        begun[key] = min(begun.get(key, int(events.start[event])), int(events.start[event]))
    return {
        (layer, tile): time - max(end for end in ended[of_weight[layer], tile] if end <= time)
        for (layer, tile), time in begun.items()
        if (of_weight[layer], tile) in ended
    }
