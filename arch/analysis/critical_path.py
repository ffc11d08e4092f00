"""What the last event waited for, and what that had waited for, back to the beginning: the critical path.

From the last event the walk goes to one that ended in the very picosecond in which it began, and so on. Where several
did, in this order: what the same vector did before on its block (data), what the same unit did before (contention),
then what else there is in the same layer, then anything. A conversion that neither had to wait for came out of a drive
that was still going on; only that drive's time before it counts. Where nothing ended, the time since the latest end is
waiting. So the pieces of the path join without a gap, and their times add up to the makespan.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numba import njit

from rpusim.arch.contract.activity import Phase
from rpusim.arch.contract.columns import Integers
from rpusim.arch.engine.events import Events, Op
from rpusim.arch.schedule.plan import Plan

WAITING = "waiting"
_NONE = -1
_SAME_UNIT, _ANYTHING = 1, 4
"""Ranks of predecessors; 0 is the same vector on the same block."""


@dataclass(frozen=True)
class CriticalPath:
    """Pieces from the beginning to the end: an event's index (-1: waiting), and from when until when it counts (ps)."""

    event: Integers
    begin: Integers
    until: Integers

    def __len__(self) -> int:
        return len(self.event)

    @property
    def duration(self) -> Integers:
        return self.until - self.begin

    def by(self, names: Sequence[str], which: Integers) -> dict[str, int]:
        """Time (ps) by name, largest first: event i is called ``names[which[i]]``, and no event "waiting"."""
        times = np.zeros(len(names) + 1, np.int64)
        np.add.at(times, np.where(self.event == _NONE, len(names), which[self.event]), self.duration)
        summed: dict[str, int] = {}
        for name, time in zip((*names, WAITING), times.tolist(), strict=True):
            if time:
                summed[name] = summed.get(name, 0) + time
        return dict(sorted(summed.items(), key=lambda item: -item[1]))

    def by_part(self, plan: Plan, events: Events) -> dict[str, int]:
        return self.by(plan.station_parts, events.station)

    def by_phase(self, events: Events) -> dict[str, int]:
        return self.by([phase.name.lower() for phase in Phase], events.phase)

    def by_layer(self, plan: Plan, events: Events) -> dict[str, int]:
        return self.by([layer.placed.layer.name for layer in plan.layers], events.layer)


def critical_path(events: Events) -> CriticalPath:
    """The path to the last event."""
    if not np.any(events.amount):
        return CriticalPath(*(np.zeros(0, np.int64) for _ in range(3)))
    leading = np.flatnonzero(events.amount > 0)  # not the drivers that an array is held with
    order = leading[np.argsort(events.end[leading], kind="stable")]
    of_vector = np.stack([events.layer, events.tile, events.phase, events.vector, events.row])
    found = _walk(order, events.end[order], events.start, events.station, of_vector, _drives(events, of_vector))
    return CriticalPath(*(np.array(column[::-1], np.int64) for column in found))


def _drives(events: Events, of_vector: Integers) -> Integers:
    """For every conversion the drive it came out of; -1 for all else."""
    chosen = np.flatnonzero((events.op == Op.DRIVE) | (events.op == Op.CONVERT))
    order = chosen[np.lexsort((events.op[chosen], events.start[chosen], *of_vector[:, chosen]))]
    converts = events.op[order] == Op.CONVERT
    place = np.arange(len(order))
    latest = np.maximum.accumulate(np.where(converts, _NONE, place))  # the drive before each in this order
    found = np.full(len(events), _NONE, np.int64)
    of_one = order[converts & (latest >= 0)]
    drive = order[latest[converts & (latest >= 0)]]
    same = np.all(of_vector[:, of_one] == of_vector[:, drive], axis=0) & (events.start[drive] < events.start[of_one])
    found[of_one[same]] = drive[same]
    return found


@njit(cache=True)
def _walk(order, ends, start, station, of_vector, drives):  # type: ignore[no-untyped-def]
    """Event, begin and end of every piece, the last one first."""
    pieces, begins, untils = [order[-1]], [start[order[-1]]], [ends[-1]]
    while begins[-1] > 0:
        now, tick = pieces[-1], begins[-1]
        first = np.searchsorted(ends, tick)
        best, rank = _best(order, ends, start, station, of_vector, now, first, tick)
        if rank > _SAME_UNIT and now >= 0 and drives[now] >= 0:
            best = drives[now]
        if best >= 0:
            pieces.append(best)
            begins.append(start[best])
        else:
            pieces.append(_NONE)
            begins.append(ends[first - 1] if first > 0 else 0)
        untils.append(tick)
    return pieces, begins, untils


@njit(cache=True)
def _best(order, ends, start, station, of_vector, now, first, tick):  # type: ignore[no-untyped-def]
    """Of the events that end at ``tick`` the one that ``now`` most likely waited for, and its rank."""
    best, lowest = _NONE, _ANYTHING + 1
    at = first
    while at < len(ends) and ends[at] == tick:
        other = order[at]
        at += 1
        if start[other] >= tick:
            continue
        rank = _ANYTHING
        if now >= 0:
            if np.all(of_vector[:, other] == of_vector[:, now]):
                rank = 0
            elif station[other] == station[now]:
                rank = _SAME_UNIT
            elif of_vector[0, other] == of_vector[0, now]:
                rank = 2 if of_vector[3, other] == of_vector[3, now] else 3
        if rank < lowest:
            best, lowest = other, rank
    return best, lowest
