"""Find the critical path: what the last event waited for, and what that had waited for, back to the beginning.

From the last event the walk goes to an event that ended in the very picosecond in which it began, and so on. What a
link, DRAM or the host sent ends for others when it has arrived, and for who uses the same unit when it has left. Where
several did, the first of these is taken: what the same vector did before on its block (data), what the same unit did
before (contention), an event of the same vector in the same layer, another event of the same layer, any event. A
conversion that waited for neither data nor its unit came out of a drive that was still going on; of that drive only the
time before the conversion counts. Where nothing ended, the time since the latest end is waiting. So the pieces of the
path join without a gap, and their times add up to the makespan.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from rpusim.arch.contract.activity import Phase
from rpusim.arch.contract.columns import Integers
from rpusim.arch.contract.compiled_loops import compiled
from rpusim.arch.engine.events import Events, Op
from rpusim.arch.schedule.plan import Plan

WAITING = "waiting"
"""Name of time during which no event of the path took place."""
_NONE = -1
"""In place of the index of an event: there is none."""
_DATA, _SAME_UNIT, _SAME_VECTOR, _SAME_LAYER, _ANYTHING = range(5)
"""Ranks of predecessors, the likeliest first."""


@dataclass(frozen=True)
class CriticalPath:
    """Hold the pieces of a path from the beginning to the end; all columns are (pieces,).

    event:  index of an event; -1: waiting.
    begin:  ps from which it counts.
    until:  ps until which it counts.
    """

    event: Integers
    begin: Integers
    until: Integers

    def __len__(self) -> int:
        return len(self.event)

    @property
    def duration(self) -> Integers:
        """(pieces,) how long each counts (ps)."""
        return self.until - self.begin

    def by(self, names: Sequence[str], which: Integers) -> dict[str, int]:
        """Sum the time (ps) of the path by name, largest first.

        Args:
            names: of what is told apart.
            which: (events,) index of each event's name.

        Returns:
            Time by name, with `WAITING` for pieces without an event.
        """
        times = np.zeros(len(names) + 1, np.int64)
        np.add.at(times, np.where(self.event == _NONE, len(names), which[self.event]), self.duration)
        summed: dict[str, int] = {}
        for name, time in zip((*names, WAITING), times.tolist(), strict=True):
            if time:
                summed[name] = summed.get(name, 0) + time
        return dict(sorted(summed.items(), key=lambda item: -item[1]))

    def by_part(self, plan: Plan, events: Events) -> dict[str, int]:
        """Sum the time (ps) by kind of unit."""
        return self.by(plan.station_parts, events.station)

    def by_phase(self, events: Events) -> dict[str, int]:
        """Sum the time (ps) by phase."""
        return self.by([phase.name.lower() for phase in Phase], events.phase)

    def by_layer(self, plan: Plan, events: Events) -> dict[str, int]:
        """Sum the time (ps) by name of the layer."""
        return self.by([layer.placed.layer.name for layer in plan.layers], events.layer)


def critical_path(events: Events, latency: Sequence[int] = ()) -> CriticalPath:
    """Find the path to the last event.

    Args:
        events: all events of a piece of work.
        latency: (stations,) ps for which what left each unit is on its way, `Plan.station_latency`; (): no time.
    """
    if not np.any(events.amount):
        return CriticalPath(*(np.zeros(0, np.int64) for _ in range(3)))
    leading = np.flatnonzero(events.amount > 0)  # not the drivers that an array is held with
    ways = np.array(latency, np.int64)[events.station[leading]] if len(latency) else np.zeros(len(leading), np.int64)
    sent = np.flatnonzero(ways)  # these come twice: when they left, for who uses the unit, and when they arrived
    twice = np.concatenate([leading, leading[sent]])
    ends = np.concatenate([events.end[leading] + ways, events.end[leading[sent]]])
    left = np.arange(len(twice)) >= len(leading)
    order = np.argsort(ends, kind="stable")
    order = order[: np.searchsorted(ends[order], events.makespan_ps, side="right")]
    of_vector = np.stack([events.layer, events.tile, events.phase, events.vector, events.row])
    drives = _drives(events, of_vector)
    found = _walk(twice[order], ends[order], left[order], events.start, events.station, of_vector, drives)
    return CriticalPath(*(np.array(column[::-1], np.int64) for column in found))


def _drives(events: Events, of_vector: Integers) -> Integers:
    """Find the drive that each conversion came out of.

    Args:
        events: all of them.
        of_vector: (5, events) layer, tile, phase, vector and row of each.

    Returns:
        (events,) index of the drive; -1 for all but conversions.
    """
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


@compiled
def _walk(
    order: Integers,
    ends: Integers,
    left: NDArray[np.bool_],
    start: Integers,
    station: Integers,
    of_vector: Integers,
    drives: Integers,
) -> tuple[list[int], list[int], list[int]]:
    """Walk back from the last event.

    Args:
        order: (candidates,) indices of events, in order of their ends.
        ends: (candidates,) ps.
        left: (candidates,) whether that end counts only for who uses the same unit.
        start: (events,) ps.
        station: (events,).
        of_vector: (5, events) layer, tile, phase, vector and row.
        drives: (events,) see `_drives`.

    Returns:
        Event, begin and end of every piece, the last one first.
    """
    pieces, begins, untils = [order[-1]], [start[order[-1]]], [ends[-1]]
    while begins[-1] > 0:
        now, tick = pieces[-1], begins[-1]
        first = np.searchsorted(ends, tick)
        best, rank = _best(order, ends, left, start, station, of_vector, now, first, tick)
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


@compiled
def _best(
    order: Integers,
    ends: Integers,
    left: NDArray[np.bool_],
    start: Integers,
    station: Integers,
    of_vector: Integers,
    now: int,
    first: int,
    tick: int,
) -> tuple[int, int]:
    """Choose from the events that end at ``tick`` the one that event ``now`` most likely waited for.

    ``first``: place in ``order`` of the first that ends then; other arguments as for `_walk`. Returns the event's index
    (-1: there is none) and its rank.
    """
    best, lowest = _NONE, _ANYTHING + 1
    at = first
    while at < len(ends) and ends[at] == tick:
        other, only_unit = order[at], left[at]
        at += 1
        if start[other] >= tick or (only_unit and (now < 0 or station[other] != station[now])):
            continue
        rank = _ANYTHING
        if now >= 0:
            if np.all(of_vector[:, other] == of_vector[:, now]):
                rank = _DATA
            elif station[other] == station[now]:
                rank = _SAME_UNIT
            elif of_vector[0, other] == of_vector[0, now]:
                rank = _SAME_VECTOR if of_vector[3, other] == of_vector[3, now] else _SAME_LAYER
        if rank < lowest:
            best, lowest = other, rank
    return best, lowest
