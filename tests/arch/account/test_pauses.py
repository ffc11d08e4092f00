"""Pauses of groups of stations, picosecond by picosecond: what `Pauses` finds is what a clock would have counted."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from rpusim.arch.account.pauses import Groups, Pauses
from rpusim.arch.contract.columns import Integers
from rpusim.arch.engine.events import Events

Work = list[tuple[int, int, int]]
"""(station, start, end) of every event."""

STATIONS = 4
works = st.lists(
    st.tuples(st.integers(0, STATIONS - 1), st.integers(0, 40), st.integers(0, 8)).map(
        lambda event: (event[0], event[1], event[1] + event[2])
    ),
    max_size=8,
)
groups = st.lists(
    st.tuples(
        st.sets(st.integers(0, STATIONS + 1), min_size=1, max_size=3).map(lambda some: tuple(sorted(some))),
        st.integers(0, 12),
        st.integers(0, 9),
    ),
    min_size=1,
    max_size=3,
)


def events_of(work: Work) -> Events:
    columns = {name: np.zeros(len(work), np.int64) for name in Events.__dataclass_fields__ if name != "works"}
    for number, name in enumerate(("station", "start", "end")):
        columns[name] = np.array([event[number] for event in work], np.int64)
    return Events(**columns)


def later(work: Work, ticks: int) -> Work:
    return [(station, start + ticks, end + ticks) for station, start, end in work]


def lasting(work: Work) -> int:
    """Until when the work lasts."""
    return max((end for *_, end in work), default=0)


def ticks_of(work: Work, stations: Sequence[int]) -> list[int]:
    """Every picosecond in which any of these stations works, in order."""
    return sorted({tick for station, start, end in work if station in stations for tick in range(start, end)})


def waking(ticks: Sequence[int], wake: int, closed: int = 0) -> int:
    """For how long a group that works in these picoseconds is woken, if its first pause began at ``closed``."""
    total = 0
    for tick in ticks:
        total += min(tick - closed, wake)
        closed = tick + 1
    return total


@given(work=works, of=groups)
@settings(deadline=None)
def test_they_are_what_a_clock_counts(work: Work, of: Groups) -> None:
    found = Pauses.of(events_of(work), of)
    for number, (stations, wake, _) in enumerate(of):
        ticks = ticks_of(work, stations)
        assert found.covered_ps[number] == len(ticks)
        assert found.waking_ps[number] == waking(ticks, wake)
        assert found.awake_ps(number) == len(ticks) + waking(ticks, wake)
        assert found.first_ps[number] == (ticks[0] if ticks else 0)
        assert found.last_ps[number] == (ticks[-1] + 1 if ticks else 0)
        assert found.wake_ps[number] == wake


@given(work=works, of=groups, rested=st.sampled_from([None, -1, 0, 1, 9]), first_whole=st.booleans())
@settings(deadline=None)
def test_waking_is_spread_over_the_event_that_ends_the_pause(
    work: Work, of: Groups, rested: int | None, first_whole: bool
) -> None:
    """Of events that start together it is the first; a group that never worked counts all of its wake time."""
    before = None if rested is None else np.full(len(of), rested)
    found = Pauses.of(events_of(work), of, first_whole, before)
    expected, rested = [0] * len(work), -1 if rested is None else rested
    for stations, wake, draws in of:
        mine = [event for event in sorted(range(len(work)), key=lambda i: work[i][1]) if work[event][0] in stations]
        closed, worked = -max(rested, 0), rested >= 0
        for event in mine:
            _, start, end = work[event]
            if end > start:
                pause = min(max(start - closed, 0), wake)
                awake = pause if worked or not first_whole else wake
                expected[event] += round(draws * 1000 * awake / (end - start))
                closed, worked = max(closed, end), True
    assert found.woken_pw.tolist() == expected


@example(first=[(0, 5, 6)], second=[(0, 2, 3)], of=[((0,), 7, 0)], waited=1)
@given(first=works, second=works, of=groups, waited=st.integers(0, 2))
@settings(deadline=None)
def test_work_in_two_pieces_wakes_as_often_as_in_one(first: Work, second: Work, of: Groups, waited: int) -> None:
    length = lasting(first) + waited
    whole = Pauses.of(events_of([*first, *later(second, length)]), of)
    one = Pauses.of(events_of(first), of)
    rested = one.rested_ps(length, None)
    two = Pauses.of(events_of(second), of, rested=rested)
    # Where the first piece did nothing, nothing is known of the time before the second.
    idle = one.covered_ps == 0
    assert (one.covered_ps + two.covered_ps).tolist() == whole.covered_ps.tolist()
    assert (one.waking_ps + two.waking_ps)[~idle].tolist() == whole.waking_ps[~idle].tolist()
    assert np.all(rested[idle] == -1)
    end = length + lasting(second)
    known = np.where(whole.covered_ps > 0, end - whole.last_ps, -1)
    assert two.rested_ps(lasting(second), rested).tolist() == known.tolist()


@example(work=[(0, 5, 6)], of=[((0,), 7, 0)], waited=1)
@given(work=works, of=groups, waited=st.integers(0, 2))
@settings(deadline=None)
def test_a_seam_is_what_twice_the_work_wakes_longer(work: Work, of: Groups, waited: int) -> None:
    length = lasting(work) + waited
    once, twice = Pauses.of(events_of(work), of), Pauses.of(events_of([*work, *later(work, length)]), of)
    seam = once.seam(length)
    assert seam.waking_ps.tolist() == (twice.waking_ps - 2 * once.waking_ps).tolist()
    assert seam.wake_ps.tolist() == [wake for _, wake, _ in of]
    for column in (seam.covered_ps, seam.first_ps, seam.last_ps):
        assert column.tolist() == [0] * len(of)


@pytest.mark.parametrize("groups", [0, 3])
def test_where_nothing_was_done_nothing_is_found(groups: int) -> None:
    none = Pauses.none(groups)
    columns: list[Integers] = [none.covered_ps, none.waking_ps, none.first_ps, none.last_ps, none.wake_ps]
    assert all(column.tolist() == [0] * groups for column in columns)
    assert len({id(column) for column in columns}) == 5 and not len(none.woken_pw)
