"""What the events of a piece of work do together: the time during which units are busy, and the peak of power.

`overlap` finds the same of work that repeats itself, without writing out all of it.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from rpusim.arch.contract.columns import Integers
from rpusim.arch.contract.compiled_loops import compiled
from rpusim.arch.engine.events import Events


@dataclass(frozen=True)
class Timeline:
    """Hold events in the order of their starts, and of their ends.

    events:   in any order.
    by_start: (events,) numbers of the events, in the order of their starts.
    by_end:   (events,) the same in the order of their ends.
    """

    events: Events
    by_start: Integers
    by_end: Integers

    @staticmethod
    def of(events: Events) -> Timeline:
        """Put events in order."""
        by_start, by_end = (np.argsort(times, kind="stable") for times in (events.start, events.end))
        return Timeline(events, by_start, by_end)

    def covered_ps(self, lanes: Integers, number: int) -> Integers:
        """Measure the time (ps) covered by the events of each lane, overlaps counted once.

        Args:
            lanes: (stations,) the lane of each station.
            number: of lanes.

        Returns:
            (lanes,) ps.
        """
        events = self.events
        return _covered(self.by_start, events.station, events.start, events.end, lanes, number)

    def peak(self, power: Integers) -> int:
        """Find the largest sum of the power of simultaneous events; each counts from its start up to its end.

        Args:
            power: (events,) of each; below zero where a unit draws less at work than while it waits. It is summed in
                integers, so that the peak does not depend on the order of the events.

        Returns:
            The peak, in the unit of ``power``; at least 0.
        """
        return int(_peak(self.by_start, self.by_end, self.events.start, self.events.end, power))


@compiled
def _covered(
    by_start: Integers, station: Integers, start: Integers, end: Integers, lanes: Integers, number: int
) -> Integers:
    """Walk through events in the order of their starts; ``closed`` is until when each lane has been covered."""
    covered, closed = np.zeros(number, np.int64), np.full(number, np.iinfo(np.int64).min)
    for event in by_start:
        lane = lanes[station[event]]
        if end[event] > closed[lane]:
            covered[lane] += end[event] - max(start[event], closed[lane])
            closed[lane] = end[event]
    return covered


@compiled
def _peak(by_start: Integers, by_end: Integers, start: Integers, end: Integers, power: Integers) -> int:
    """Walk through starts and ends in the order of time; all changes of one tick are made at once."""
    now, most, begun, ended = 0, 0, 0, 0
    while ended < len(by_end):
        tick = end[by_end[ended]]
        if begun < len(by_start):
            tick = min(tick, start[by_start[begun]])
        while ended < len(by_end) and end[by_end[ended]] == tick:
            now -= power[by_end[ended]]
            ended += 1
        while begun < len(by_start) and start[by_start[begun]] == tick:
            now += power[by_start[begun]]
            begun += 1
        most = max(most, now)
    return most
