"""Measure how old the weights are that asynchronous training learns with.

A sample goes forward through a layer and comes back to it with an error, which does not reflect what other samples have
taught the layer meanwhile. The staleness of a sample on a layer is the number of other samples whose writing
of the weights that are read there ends between the start of its first forward vector and the start of its own update.
What writes them are the update's own pulses, or where cells transfer, the transfers to arrays that are visible.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from rpusim.arch.contract.activity import Activity, Phase
from rpusim.arch.engine.events import Events, Op
from rpusim.arch.schedule.plan import Plan

_NEVER = np.iinfo(np.int64).max


@dataclass(frozen=True)
class Staleness:
    """Hold the staleness over all samples and layers that learn, in samples; 0 if there are none.

    mean:     over all of them.
    largest:  of any of them.
    """

    mean: float
    largest: int


def staleness(plan: Plan, activity: Activity, events: Events) -> Staleness:
    """Measure the staleness of a training.

    Args:
        plan: of the chip and network.
        activity: the rows that were done.
        events: when that was done.
    """
    found = np.concatenate([np.zeros(0, np.int64), *_by_layer(plan, activity, events)])
    return Staleness(float(found.mean()) if len(found) else 0.0, int(found.max(initial=0)))


def _by_layer(plan: Plan, activity: Activity, events: Events) -> Iterator[NDArray[np.int64]]:
    """Yield for every layer the staleness of each sample that went forward and learned there."""
    vectors = np.array([layer.placed.layer.vectors for layer in plan.layers])
    per_step = 1 + int((activity.vector // vectors[activity.layer]).max(initial=0))
    cell = plan.placement.cell
    writes = (events.op == Op.PULSE) | (events.op == Op.WRITE)
    writes &= (events.phase == Phase.UPDATE) | (events.phase == Phase.TRANSFER)
    row = np.maximum(events.row, 0)  # below 0 there is none, and nobody asks for its sample
    sample = activity.step[row] * per_step + (activity.vector // vectors[activity.layer])[row]
    for layer in plan.layers:
        here = (events.layer == layer.index) & (events.row >= 0)
        forward = here & (events.phase == Phase.FORWARD) & (events.op == Op.DRIVE)
        update = here & (events.phase == Phase.UPDATE) & ((events.op == Op.PULSE) | (not cell.learning))
        visible = [block.arrays[k].array for block in layer.blocks for k in cell.visible]
        written = (events.row >= 0) & writes & np.isin(events.station, visible)  # by whichever use of the weight
        samples = int(sample.max(initial=-1)) + 1
        went, learned, ended = np.full(samples, _NEVER), np.full(samples, _NEVER), np.full(samples, -1)
        np.minimum.at(went, sample[forward], events.start[forward])
        np.minimum.at(learned, sample[update], events.start[update])
        np.maximum.at(ended, sample[written], events.end[written])
        ends = np.sort(ended[ended >= 0])
        both = (went < _NEVER) & (learned < _NEVER)
        before, after = (np.searchsorted(ends, time[both], side="right") for time in (went, learned))
        yield after - before
