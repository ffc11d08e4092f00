"""How full buffers are, and how many converters work, by event: what a log of events does not say itself.

A tile's buffer takes in results for the layers on it (a STORE), and holds them until they have been used for the last
time: in inference by the last window that sees them, in training by the update. Not counted: the network's input where
it is taken to be there, partial sums on their way to a sum, and the digital memory of unit cells.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from rpusim.arch.activity import Activity, Phase
from rpusim.arch.events import Events, Op
from rpusim.arch.plan import LayerPlan, Plan
from rpusim.arch.profile import Integers


def converters(plan: Plan, activity: Activity, events: Events) -> Integers:
    """Converters that work during each event; 0 for all but conversions."""
    chosen = np.flatnonzero(events.op == Op.CONVERT)
    kinds = plan.placement.chip.tiles
    kind = np.array(plan.station_kinds)[events.station[chosen]]
    cycles = np.array([k.inputs.cycles for k in kinds])[kind]
    shared_by = np.array([k.adc.lines_per_adc for k in kinds])[kind]
    lines = events.amount[chosen] // (activity.passes[events.row[chosen]] * cycles)
    found = np.zeros(len(events), np.int64)
    found[chosen] = -(-lines // shared_by)
    return found


def kept_bits(plan: Plan, events: Events) -> Integers:
    """By how much each event, when it ends, changes the bits kept in the buffer of its tile."""
    change = np.zeros(len(events), np.int64)
    trains = bool(np.any(events.phase == Phase.UPDATE))
    stored = (events.op == Op.STORE) & (events.row < 0)
    for layer in plan.layers:
        for phase, sources in ((Phase.FORWARD, _producers(plan, layer)), (Phase.BACKWARD, _consumers(plan, layer))):
            for source in sources:
                frees = dict(layer.frees).get(source, ()) if not trains else ()
                arriving = stored & (events.phase == phase) & (events.layer == source)
                for station in {block.buffer for block in layer.blocks}:
                    mine = np.flatnonzero(arriving & (events.station == station))
                    change[mine] = events.amount[mine]
                    _release(change, events, layer, station, int(events.amount[mine].sum()), frees)
    return change


def _producers(plan: Plan, layer: LayerPlan) -> Iterator[int]:
    """Layers whose results come to this one directly, not by way of a sum of branches that another one does."""
    before = [e.producer for e in plan.placement.network.edges if e.consumer == layer.index]
    yield from (p for p in before if p >= 0 and p == max(before))


def _consumers(plan: Plan, layer: LayerPlan) -> Iterator[int]:
    yield from (e.consumer for e in plan.placement.network.edges if e.producer == layer.index)


def _release(
    change: Integers, events: Events, layer: LayerPlan, buffer: int, arrived: int, frees: tuple[int, ...]
) -> None:
    """Take ``arrived`` bits out again, sample by sample, with the vectors that the layer uses on this tile.

    frees: positions that each vector is the last to read; if not given, a sample's updates free it in equal shares.
    """
    block = next(b for b in layer.blocks if b.buffer == buffer)
    op, phase = (Op.DRIVE, Phase.FORWARD) if frees else (Op.PULSE, Phase.UPDATE)
    used = (events.op == op) & (events.phase == phase) & (events.layer == layer.index)
    arrays = [array.array for array in block.arrays]
    users = np.flatnonzero(used & (events.amount > 0) & np.isin(events.station, arrays))
    if not len(users) or not arrived:
        return
    users = users[np.unique(events.row[users], return_index=True)[1]]  # of arrays that work together the first
    users = users[np.argsort(events.start[users], kind="stable")]
    vectors = layer.placed.layer.vectors
    share = np.cumsum(frees or np.ones(vectors, np.int64))
    vector = events.vector[users]
    again = np.concatenate([[0], np.cumsum(np.diff(vector) <= 0)])  # a new mini-batch
    sample = again * (int(vector.max()) // vectors + 1) + vector // vectors
    samples = int(sample[-1]) + 1
    freed = arrived * (sample * int(share[-1]) + share[vector % vectors]) // (samples * int(share[-1]))
    freed = np.maximum.accumulate(freed)
    np.subtract.at(change, users, np.diff(np.concatenate([[0], freed])))
