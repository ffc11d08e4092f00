"""Units busy at the same time, and their pauses: a sweep with repeats finds what all events written out give."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from rpusim.arch.account.overlap import Lanes, busy_together, in_order, pauses_between
from rpusim.arch.account.pauses import Pauses
from rpusim.arch.account.recurrence import Repeats
from rpusim.arch.contract.columns import Integers
from rpusim.arch.engine.events import NEVER, Events, covered_ps

KINDS = 9
"""One for each lane, and three that several lanes may belong to."""


@dataclass(frozen=True)
class Event:
    """Work from ``start`` up to ``end`` in a slot of a lane."""

    slot: int
    lane: int
    start: int
    end: int


@dataclass(frozen=True)
class Timeline:
    """Events as they were run, with repeats, and all written out; ``like``: (slots,) a slot that draws as much."""

    lanes: Lanes
    like: Integers
    repeats: Repeats
    every: tuple[Event, ...]


LANES, WIDE = 3, 2
"""Lanes of a part of the machine, and which of them does several events at a time."""
Stretch = list[tuple[int, int, int]]
"""(lane, ps after the last start in this lane, ps that it lasts) of events, one after the other in every lane."""


def stretches(lanes: int, most: int) -> st.SearchStrategy[Stretch]:
    return st.lists(st.tuples(st.integers(0, lanes - 1), st.integers(0, 6), st.integers(1, 9)), max_size=most)


def laid_out(stretch: Stretch, origin: int, lanes: int, first_lane: int) -> list[tuple[int, int, int]]:
    """(lane, start, end) of a stretch that begins at ``origin``.

    An event of a lane waits for the one before it, but in every third lane, which does several at a time.
    """
    free, found = [origin] * lanes, []
    for lane, gap, lasting in stretch:
        start = free[lane] + gap
        free[lane] = start + (lasting if lane < WIDE else 0)
        found.append((first_lane + lane, start, start + lasting))
    return found


@dataclass(frozen=True)
class Part:
    """A piece of the machine: what comes first, what it does again and again, and what comes last."""

    before: list[tuple[int, int, int]]
    period: list[tuple[int, int, int]]
    after: list[tuple[int, int, int]]
    since: int
    length: int
    times: int

    def run(self) -> Iterator[tuple[int, int, int]]:
        yield from self.before
        yield from self.period
        yield from self.after

    def written_out(self, later: int) -> Iterator[tuple[int, int, int, int]]:
        """(number within what was run, lane, start, end) of every event, ``later`` than it was run."""
        number = 0
        for stretch, rounds, behind in ((self.before, 1, 0), (self.period, self.times + 1, 0), (self.after, 1, 1)):
            for lane, start, end in stretch:
                for again in range(rounds):
                    shift = later + (again + behind * self.times) * self.length
                    yield number, lane, start + shift, end + shift
                number += 1


@st.composite
def parts(draw: st.DrawFn, origin: int, first_lane: int) -> Part:
    """A part whose period also happens once before it, so that the machine is as it was; events may reach over it."""
    lanes = LANES
    begun = laid_out(draw(stretches(lanes, 3)), origin, lanes, first_lane)
    start = max((end for *_, end in begun), default=origin) + draw(st.integers(0, 3))
    pattern = laid_out(draw(stretches(lanes, 6)), start, lanes, first_lane)
    # A lane is free again when its own first event of the period comes again.
    need = [1]
    for lane in range(first_lane, first_lane + lanes):
        mine = [(begin, end) for which, begin, end in pattern if which == lane]
        need += [mine[-1][0] - start + 1, max(end - begin for begin, end in mine)] if mine else []
        need += [mine[-1][1] - mine[0][0]] if mine and lane - first_lane < WIDE else []
    length = max(need) + draw(st.integers(0, 4))
    period = [(lane, begin + length, end + length) for lane, begin, end in pattern]
    since = start + length
    gone = max([since + length, *(end for *_, end in period)])
    after = laid_out(draw(stretches(lanes, 3)), gone + draw(st.integers(0, 2)), lanes, first_lane)
    return Part(begun + pattern, period, after, since, length, draw(st.integers(0, 4)))


@st.composite
def timelines(draw: st.DrawFn) -> Timeline:
    """One part that all of the machine repeats, and perhaps one behind it with a period of its own."""
    one = draw(parts(draw(st.integers(0, 5)), 0))
    found = [one]
    if draw(st.booleans()):
        end = max([one.since + one.length, *(end for *_, end in one.run())])
        found.append(draw(parts(end + draw(st.integers(0, 4)), LANES)))
    runs = [(part, event) for part in found for event in part.run()]
    first, size, start, ended, slots = [], [], [], [], dict[tuple[int, int], int]()
    lane_part = [part for part in range(len(found)) for _ in range(LANES)]
    for lane in range(LANES * len(found)):
        part = found[lane_part[lane]]
        first.append(len(start))
        for number, (which, begin, end) in enumerate(part.run()):
            if which == lane:
                for _ in range(draw(st.sampled_from([0, 0, 0, 1]))):
                    start.append(NEVER)
                    ended.append(NEVER)
                slots[lane_part[lane], number] = len(start)
                start.append(begin)
                ended.append(end)
        size.append(len(start) - first[-1])
    assert len(slots) == len(runs)
    like = np.arange(len(start))
    for which, part in enumerate(found):
        again = len(part.before)
        for number in range(again, again + len(part.period)):
            like[slots[which, number - len(part.period)]] = slots[which, number]
    bits = [1 << lane | draw(st.integers(0, 7)) << 2 * LANES for lane in range(len(first))]
    numbers = [np.array(column, np.int64) for column in (first, size, bits, lane_part, start, ended)]
    nothing = np.zeros(len(start), np.int64)
    lanes = Lanes(*numbers, nothing, nothing, np.arange(len(start)))
    later = one.times * one.length
    every = tuple(
        Event(slots[part, number], lane, begin, end)
        for part in range(len(found))
        for number, lane, begin, end in found[part].written_out(later if part else 0)
    )
    columns = [[p.since for p in found], [p.since + p.length for p in found], [p.times for p in found]]
    rest = [[0, later], [1, 0]]
    repeats = Repeats(*(np.array(column[: len(found)], np.int64) for column in (*columns, *rest)))
    return Timeline(lanes, like, repeats, every)


def shuffled(lanes: Lanes, seed: int) -> Lanes:
    """The same times, those of every lane in another order."""
    rng, order = np.random.default_rng(seed), np.arange(len(lanes.start))
    for first, size in zip(lanes.first, lanes.size, strict=True):
        order[first : first + size] = rng.permutation(order[first : first + size])
    columns = ("start", "end", "rising", "falling", "woken")
    return replace(lanes, **{name: getattr(lanes, name)[order] for name in columns})


def most_drawn(timeline: Timeline, power: Integers, woken: Integers) -> int:
    """The most power of events that are at work in the same picosecond."""
    last = max((event.end for event in timeline.every), default=0)
    drawn = np.zeros(last + 1, np.int64)
    for event in timeline.every:
        drawn[event.start : event.end] += power[event.slot] + woken[event.slot]
    return int(drawn.max(initial=0))


@given(timeline=timelines(), seed=st.integers(0, 9))
@settings(deadline=None, max_examples=150)
def test_busy_time_and_the_peak_are_those_of_all_events_written_out(timeline: Timeline, seed: int) -> None:
    lanes, rng = timeline.lanes, np.random.default_rng(seed)
    power, woken = (rng.integers(low, 20, len(lanes.start))[timeline.like] for low in (-3, 0))
    for lane in range(WIDE, len(lanes.first), LANES):
        woken[lanes.first[lane] :][: lanes.size[lane]] = 0
    told = replace(lanes, rising=power, falling=power, woken=woken)
    covered, peak = busy_together(in_order(shuffled(told, seed)), timeline.repeats)
    for kind in range(KINDS):
        mine = [event for event in timeline.every if lanes.kinds[event.lane] >> kind & 1]
        times = (np.array([getattr(event, name) for event in mine], np.int64) for name in ("start", "end"))
        assert covered[kind] == covered_ps(*times)
    assert not covered[KINDS:].any()
    assert peak == most_drawn(timeline, power, woken)


@given(
    timeline=timelines(),
    wake=st.lists(st.integers(0, 40), min_size=KINDS, max_size=KINDS),
    draws=st.lists(st.integers(0, 30), min_size=KINDS, max_size=KINDS),
    seed=st.integers(0, 9),
)
@settings(deadline=None, max_examples=300)
def test_pauses_are_those_of_all_events_written_out(
    timeline: Timeline, wake: Sequence[int], draws: Sequence[int], seed: int
) -> None:
    """What waking takes is counted before each slot for the longest of its pauses, if one station alone is woken."""
    lanes, every = timeline.lanes, timeline.every
    columns = {name: np.zeros(len(every), np.int64) for name in Events.__dataclass_fields__ if name != "works"}
    columns |= {name: np.array([getattr(e, name) for e in every], np.int64) for name in ("start", "end")}
    columns["station"] = np.array([event.lane for event in every], np.int64)
    events = Events(**columns)
    groups = []
    for kind in range(KINDS):
        stations = tuple(np.flatnonzero(lanes.kinds >> kind & 1).tolist())
        groups.append(
            (
                stations or (len(lanes.kinds),),
                wake[kind],
                draws[kind] if len(stations) == 1 and stations[0] % LANES < WIDE else 0,
            )
        )
    woken = np.stack([lanes.end - lanes.start, np.zeros_like(lanes.start)])
    found = pauses_between(
        in_order(shuffled(lanes, seed)),
        timeline.repeats,
        np.array(wake),
        np.array([group[2] for group in groups]),
        woken,
    )
    expected = Pauses.of(events, groups)
    for name in ("covered_ps", "waking_ps", "first_ps", "last_ps", "wake_ps"):
        assert found[name].tolist() == getattr(expected, name).tolist(), name
    longest = np.zeros(len(lanes.start), np.int64)
    for group in groups:
        each = np.zeros(len(lanes.start), np.int64)
        np.maximum.at(each, [event.slot for event in every], Pauses.of(events, [group]).woken_pw)
        longest += each
    assert woken[1].tolist() == longest.tolist()


@given(seed=st.integers(0, 999), number=st.integers(1, 40))
@settings(deadline=None)
def test_many_lanes_are_merged_in_order_of_time(seed: int, number: int) -> None:
    rng = np.random.default_rng(seed)
    size = rng.integers(0, 5, number)
    first = np.cumsum(size) - size
    start = np.concatenate([np.zeros(0, np.int64), *(np.sort(rng.integers(0, 60, each)) for each in size)])
    end, power = start + rng.integers(1, 30, len(start)), rng.integers(0, 9, len(start))
    nothing, lane = np.zeros_like(start), np.repeat(np.arange(number), size)
    lanes = Lanes(first, size, 1 << np.arange(number), np.zeros(number, np.int64), start, end, power, power, nothing)
    covered, peak = busy_together(in_order(lanes), Repeats.of(1))
    assert covered[:number].tolist() == [covered_ps(start[lane == each], end[lane == each]) for each in range(number)]
    drawn = [int(power[(start <= tick) & (tick < end)].sum()) for tick in range(90)]
    assert peak == max(drawn)
