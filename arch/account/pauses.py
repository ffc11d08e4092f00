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

Groups = Sequence[tuple[tuple[int, ...], int, int]]
"""Stations of each group, its wake time (ps), and what a peak of power counts of it while it is woken (zJ/ps)."""


@dataclass(frozen=True)
class Pauses:
    """Hold what was found, (groups,) each.

    covered_ps:  how long each group worked.
    waking_ps:   how long it was awake before it worked.
    first_ps:    when it first began to work; 0 if it never did.
    last_ps:     when it last ended to; 0 if it never did.
    wake_ps:     its wake time.
    woken_pw:    (events,) or (slots,) pW that waking takes before each, spread over it; before the first one, of all of
                 the wake time.
    """

    covered_ps: Integers
    waking_ps: Integers
    first_ps: Integers
    last_ps: Integers
    wake_ps: Integers
    woken_pw: Integers

    @staticmethod
    def none(groups: int) -> Pauses:
        """Return what is found where nothing was done."""
        nothing = np.zeros(groups, np.int64)
        return Pauses(nothing, nothing.copy(), nothing.copy(), nothing.copy(), nothing.copy(), np.zeros(0, np.int64))

    @staticmethod
    def of(
        events: Events,
        groups: Groups,
        first_whole: bool = True,
        rested: Integers | None = None,
        by_start: Integers | None = None,
    ) -> Pauses:
        """Find the pauses between events one by one.

        events:       in any order.
        groups:       of which stations.
        first_whole:  whether ``woken_pw`` counts all of the wake time before a first event, as a peak does.
        rested:       (groups,) for how long each had not worked when this piece of work began (ps), see `rested_ps`; -1
                      where it never had. None: none ever had.
        by_start:     (events,) numbers of the events in the order of their starts; None: they are put in order here.
        """
        stations = int(max(events.station.max(initial=-1), *(max(group[0]) for group in groups), -1)) + 1
        member = [[] for _ in range(stations)]  # type: list[list[int]]
        for number, (group, _, _) in enumerate(groups):
            for station in group:
                member[station].append(number)
        first = np.cumsum([0, *(len(of) for of in member)])
        flat = np.array([number for of in member for number in of], np.int64)
        wake, draws = (np.array([group[column] for group in groups], np.int64) for column in (1, 2))
        order = np.argsort(events.start, kind="stable") if by_start is None else by_start
        woken = np.zeros(len(events), np.int64)
        before = np.full(len(groups), -1) if rested is None else rested
        columns = events.station, events.start, events.end
        covered, waking, begun, last = _walk(order, *columns, first, flat, wake, draws, first_whole, before, woken)
        return Pauses(covered, waking, begun, last, wake, woken)

    def awake_ps(self, group: int) -> int:
        """Return how long a group was on (ps)."""
        return int(self.covered_ps[group] + self.waking_ps[group])

    def rested_ps(self, time_ps: int, before: Integers | None) -> Integers:
        """Return (groups,) for how long each has not worked at the end of a piece of work (ps); -1 where it never has.

        time_ps: how long the piece took.
        before: the same at its beginning; None: none ever had worked.
        """
        unused = -1 if before is None else np.where(before < 0, -1, before + time_ps)
        rested: Integers = np.where(self.covered_ps > 0, time_ps - self.last_ps, unused)
        return rested

    def seam(self, time_ps: int) -> Pauses:
        """Return how much longer groups wake between a piece of work and the same again than at its beginning.

        time_ps: how long the piece takes.
        """
        used = self.covered_ps > 0
        pause = np.minimum(time_ps - self.last_ps + self.first_ps, self.wake_ps)
        longer = np.where(used, pause - np.minimum(self.first_ps, self.wake_ps), 0)
        nothing = np.zeros_like(longer)
        return Pauses(nothing, longer, nothing, nothing, self.wake_ps, self.woken_pw)


def wakings(events: Events, stations: Sequence[int], wake_ps: int) -> tuple[Integers, Integers]:
    """Find when a group is woken: (wakings,) begin and end (ps) of each, no two of which overlap.

    events: in any order. stations, wake_ps: of the group, which never worked before the first of the events.
    """
    own = np.isin(events.station, stations) & (events.end > events.start)
    order = np.argsort(events.start[own], kind="stable")
    start, end = events.start[own][order], events.end[own][order]
    closed = np.concatenate([[0], np.maximum.accumulate(end)[:-1]])[: len(end)]
    pause = np.clip(start - closed, 0, wake_ps)
    woken = pause > 0
    return start[woken] - pause[woken], start[woken]


@compiled
def picowatts(zj_per_ps: int, waking_ps: int, lasting_ps: int) -> int:
    """Spread what is drawn for a time over another time, in whole pW."""
    return round(zj_per_ps * 1000.0 * waking_ps / max(lasting_ps, 1))


@compiled
def _walk(
    order: Integers,
    station: Integers,
    start: Integers,
    end: Integers,
    first: Integers,
    flat: Integers,
    wake: Integers,
    draws: Integers,
    first_whole: bool,
    rested: Integers,
    woken: Integers,
) -> tuple[Integers, Integers, Integers, Integers]:
    """Go through events in the order of their starts.

    order: (events,) numbers of the events, in the order of their starts. station, start, end: (events,) of each.
    first: (stations + 1,) where the groups of each station begin in ``flat``. wake, rested: (groups,) ps. draws:
    (groups,) zJ/ps while it is woken. woken: (events,) pW is filled. Returns the first columns of `Pauses`.
    """
    covered, waking = np.zeros(len(wake), np.int64), np.zeros(len(wake), np.int64)
    begun, closed = np.full(len(wake), -1), -np.maximum(rested, 0)
    for event in order:
        if end[event] == start[event]:
            continue
        for at in range(first[station[event]], first[station[event] + 1]):
            group = flat[at]
            pause = min(max(start[event] - closed[group], 0), wake[group])
            waking[group] += pause
            awake = wake[group] if begun[group] < 0 and rested[group] < 0 and first_whole else pause
            woken[event] += picowatts(draws[group], awake, end[event] - start[event])
            if begun[group] < 0:
                begun[group] = start[event]
            closed[group] = max(closed[group], start[event])
            if end[event] > closed[group]:
                covered[group] += end[event] - closed[group]
                closed[group] = end[event]
    return covered, waking, np.maximum(begun, 0), np.maximum(closed, 0)
