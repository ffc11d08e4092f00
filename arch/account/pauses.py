"""Find the pauses of groups of stations: how long each was at work, and how long it was woken before it worked again.

A group works while any of its stations does. A pause ends with an operation; the first one begins with the work, at 0.
Before it ends, the group is awake for its wake time, or for all of the pause if that is shorter.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from rpusim.arch.contract.columns import Integers
from rpusim.arch.contract.compiled_loops import compiled
from rpusim.arch.engine.events import Events

Groups = Sequence[tuple[tuple[int, ...], int]]
"""Stations of each group, and its wake time (ps)."""


@dataclass(frozen=True)
class Pauses:
    """Hold what was found, (groups,) each.

    covered_ps:  how long each group worked.
    waking_ps:   how long it was awake before it worked.
    first_ps:    when it first began to work; 0 if it never did.
    last_ps:     when it last ended to; 0 if it never did.
    wake_ps:     its wake time.
    """

    covered_ps: Integers
    waking_ps: Integers
    first_ps: Integers
    last_ps: Integers
    wake_ps: Integers

    @staticmethod
    def none(groups: int) -> Pauses:
        """Return what is found where nothing was done."""
        return Pauses(*(np.zeros(groups, np.int64) for _ in range(5)))

    @staticmethod
    def of(events: Events, groups: Groups) -> Pauses:
        """Find the pauses between events one by one."""
        stations = int(max(events.station.max(initial=-1), *(max(group) for group, _ in groups), -1)) + 1
        member = [[] for _ in range(stations)]  # type: list[list[int]]
        for number, (group, _) in enumerate(groups):
            for station in group:
                member[station].append(number)
        first = np.cumsum([0, *(len(of) for of in member)])
        flat = np.array([number for of in member for number in of], np.int64)
        wake = np.array([wake for _, wake in groups], np.int64)
        order = np.argsort(events.start, kind="stable")
        found = _walk(events.station[order], events.start[order], events.end[order], first, flat, wake)
        return Pauses(*found, wake)

    def awake_ps(self, group: int) -> int:
        """Return how long a group was on (ps)."""
        return int(self.covered_ps[group] + self.waking_ps[group])

    def seam(self, time_ps: int) -> Pauses:
        """Return how much longer groups wake between a piece of work and the same again than at its beginning.

        time_ps: how long the piece takes.
        """
        used = self.covered_ps > 0
        pause = np.minimum(time_ps - self.last_ps + self.first_ps, self.wake_ps)
        longer = np.where(used, pause - np.minimum(self.first_ps, self.wake_ps), 0)
        nothing = np.zeros_like(longer)
        return Pauses(nothing, longer, nothing, nothing, self.wake_ps)


@compiled
def _walk(
    station: Integers, start: Integers, end: Integers, first: Integers, flat: Integers, wake: Integers
) -> tuple[Integers, Integers, Integers, Integers]:
    """Go through events in the order of their starts.

    station, start, end: (events,) of each. first: (stations + 1,) where the groups of each station begin in ``flat``.
    wake: (groups,) ps. Returns the first four columns of `Pauses`.
    """
    covered, waking = np.zeros(len(wake), np.int64), np.zeros(len(wake), np.int64)
    begun, closed = np.full(len(wake), -1), np.zeros(len(wake), np.int64)
    for event in range(len(station)):
        if end[event] == start[event]:
            continue
        for at in range(first[station[event]], first[station[event] + 1]):
            group = flat[at]
            if begun[group] < 0:
                begun[group] = start[event]
            if start[event] > closed[group]:
                waking[group] += min(start[event] - closed[group], wake[group])
                closed[group] = start[event]
            if end[event] > closed[group]:
                covered[group] += end[event] - closed[group]
                closed[group] = end[event]
    return covered, waking, np.maximum(begun, 0), closed
