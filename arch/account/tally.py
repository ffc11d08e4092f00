"""What the times of a program come to, without a row for every event.

Events of one kind that took equally long, with equal amounts and equal rows of activity, are a *group*: one event that
stands for so many. Units that are busy at the same time, and the power that they draw together, are found by going
through starts and ends in order of time; those of one kind are in order already, so they are merged as sorted lists
are.
"""

from __future__ import annotations

from dataclasses import dataclass, fields, replace

import numpy as np
from numba import njit

from rpusim.arch.contract.activity import Activity
from rpusim.arch.contract.columns import Integers
from rpusim.arch.engine.events import Events
from rpusim.arch.engine.program import NEVER, Program, operand

_APART = ("step", "layer", "tile", "phase", "vector", "count")
"""Columns of activity that say when and where, not what was done."""
_OVER = np.iinfo(np.int64).max
"""When a stream that has come to its end goes on."""
_REMEMBERED = 8
"""Groups of a kind that an event is compared with, the latest; others like it may make another group."""


@dataclass(frozen=True)
class Repeats:
    """Of each task: what happened from ``since`` up to ``until`` happens ``times`` more, one after the other.

    before: how much later all of the task happens than its times say, as others repeat what comes before it.
    whole: whether the machine does nothing else meanwhile, which is true of one such time at most.
    """

    since: Integers
    until: Integers
    times: Integers
    before: Integers
    whole: Integers

    @staticmethod
    def of(tasks: int, since: int = 0, until: int = 0, times: int = 0) -> Repeats:
        """The whole machine."""
        return Repeats(*(np.full(tasks, number) for number in (since, until, times, 0, 1)))

    def pick(self, tasks: Integers) -> Repeats:
        return Repeats(*(column[tasks] for column in vars(self).values()))

    @property
    def later(self) -> Integers:
        """By how much what comes after is."""
        return self.before + self.times * (self.until - self.since)


@dataclass(frozen=True)
class Lanes:
    """Times in the slots of one instruction each: first slot, and slots; starts and ends in order, with what is drawn.

    kinds: of units that are busy, one bit for each. task: whose they are.
    """

    first: Integers
    size: Integers
    kinds: Integers
    task: Integers
    start: Integers
    end: Integers
    rising: Integers
    falling: Integers


class Tally:
    """Of times that an engine found for a program of ``activity``.

    events: one of each group. count: how many each stands for, with those that are repeated.
    """

    def __init__(
        self, program: Program, start: Integers, end: Integers, activity: Activity, repeats: Repeats | None = None
    ) -> None:
        self.repeats = repeats or Repeats.of(len(program.tasks))
        logged, data = program.logged, program.data
        self._slots, self._sizes = logged[:, 0], program.tasks[logged[:, 1], 3]
        slots = int((logged[:, 0] + self._sizes).max(initial=0))  # a traced program has more, for other times
        self._program, self._start, self._end = program, start[:slots], end[:slots]
        self._member = np.empty(int(self._sizes.sum()), np.int32)
        of_kind = self.repeats.pick(logged[:, 1])
        kind, number, row, amount, count, within = _survey(
            logged, self._sizes, data, _alike(activity), start, end, of_kind.since, of_kind.until, self._member
        )
        self.count = count + of_kind.times[kind] * within
        slot, task, op, station = logged[kind, :4].T
        phase, layer, tile, vector, vector_column = program.heads[task].T
        self.events = Events(
            op=op,
            station=station,
            row=row,
            layer=layer,
            tile=tile,
            phase=phase,
            vector=program.columns(vector, vector_column, number),
            start=start[slot + number],
            end=end[slot + number],
            amount=amount,
        )

    @property
    def makespan_ps(self) -> int:
        ends = np.array(
            [self._end[slot : slot + size].max() for slot, size in zip(self._slots, self._sizes, strict=True)]
        )
        repeats = self.repeats.pick(self._program.logged[:, 1])
        return int((ends + np.where(ends >= repeats.since, repeats.later, repeats.before)).max(initial=0))

    def lanes(self, power: Integers, kind_of_station: Integers) -> Lanes:
        """``power``: of each group; ``kind_of_station``: the kind of unit that each station is."""
        logged = self._program.logged
        first, kinds = np.unique(logged[:, 0], return_inverse=True)
        size, bits = np.zeros(len(first), np.int64), np.zeros(len(first), np.int64)
        size[kinds] = self._sizes
        np.bitwise_or.at(bits, kinds, 1 << kind_of_station[logged[:, 3]])
        task = np.zeros(len(first), np.int64)
        task[kinds] = logged[:, 1]
        drawn = np.zeros(len(self._start), np.int64)
        _draw(logged, self._sizes, self._member, power, drawn)
        lanes = Lanes(first, size, bits, task, self._start, self._end, drawn, drawn)
        return _sorted(lanes)


def _alike(activity: Activity) -> Integers:
    """Of each row: the first row that says the same of what was done."""
    mixed = np.zeros(len(activity), np.uint64)
    columns = [getattr(activity, f.name) for f in fields(activity) if f.name not in _APART]
    for column in columns:
        mixed = (mixed ^ column.astype(np.uint64)) * np.uint64(0x9E3779B97F4A7C15)
        mixed ^= mixed >> np.uint64(29)
    _, first, which = np.unique(mixed, return_index=True, return_inverse=True)
    alike: Integers = first[which]
    assert all(np.array_equal(column, column[alike]) for column in columns), "two rows are not what they seem"
    return alike


def _sorted(lanes: Lanes) -> Lanes:
    """Starts and ends of every lane in order."""
    odd = np.flatnonzero(~_ordered(lanes.first, lanes.size, lanes.start, lanes.end))
    if not len(odd):
        return lanes
    start, end, rising, falling = lanes.start.copy(), lanes.end.copy(), lanes.rising.copy(), lanes.falling.copy()
    for first, size in zip(lanes.first[odd].tolist(), lanes.size[odd].tolist(), strict=True):
        here = slice(first, first + size)
        for times, powers in ((start, rising), (end, falling)):
            order = np.argsort(times[here], kind="stable")
            times[here], powers[here] = times[here][order], powers[here][order]
    return replace(lanes, start=start, end=end, rising=rising, falling=falling)


def busy_together(lanes: Lanes, repeats: Repeats) -> tuple[Integers, int]:
    """Picoseconds during which any unit of each kind is busy, and the most that is drawn at once."""
    whole = np.flatnonzero(repeats.whole)
    since, until, times = (int(c[whole[0]]) if len(whole) else 0 for c in (repeats.since, repeats.until, repeats.times))
    # What the whole machine repeats need not be gone through more than once.
    mine = repeats.pick(lanes.task)
    again, before = np.where(mine.whole, 0, mine.times), np.where(mine.whole, 0, mine.before - times * (until - since))
    covered, within, most = _sweep(
        *(lanes.first, lanes.size, lanes.kinds, lanes.start, lanes.end, lanes.rising, lanes.falling),
        *(mine.since, mine.until, again, before, since, until),
    )
    return covered + times * within, most


_of = njit(cache=True)(operand)


@njit(cache=True)
def _survey(logged, sizes, data, alike, start, end, since, until, member):  # type: ignore[no-untyped-def]
    most = len(member)  # what is not written to takes no memory
    kinds, numbers, rows = np.empty(most, np.int64), np.empty(most, np.int64), np.empty(most, np.int64)
    amounts, lasting, same = np.empty(most, np.int64), np.empty(most, np.int64), np.empty(most, np.int64)
    count, within = np.empty(most, np.int64), np.empty(most, np.int64)
    groups, at = 0, 0
    for kind in range(len(logged)):
        slot, first = logged[kind, 0], groups
        for number in range(sizes[kind]):
            began, ended = start[slot + number], end[slot + number]
            if began == NEVER:
                member[at] = -1
                at += 1
                continue
            amount = _of(data, logged[kind, 4], logged[kind, 5], number)
            row = _of(data, logged[kind, 6], logged[kind, 7], number)
            like = alike[row] if row >= 0 else -1
            group, last = groups - 1, max(first, groups - _REMEMBERED)
            while group >= last and not (
                amounts[group] == amount and lasting[group] == ended - began and same[group] == like
            ):
                group -= 1
            if group < last:
                group = groups
                groups += 1
                kinds[group], numbers[group], rows[group], amounts[group] = kind, number, row, amount
                lasting[group], same[group], count[group], within[group] = ended - began, like, 0, 0
            count[group] += 1
            if since[kind] <= ended < until[kind]:
                within[group] += 1
            member[at] = group
            at += 1
    return kinds[:groups], numbers[:groups], rows[:groups], amounts[:groups], count[:groups], within[:groups]


@njit(cache=True)
def _draw(logged, sizes, member, power, drawn):  # type: ignore[no-untyped-def]
    """Add to each slot the power of its events."""
    at = 0
    for kind in range(len(logged)):
        for number in range(sizes[kind]):
            if member[at] >= 0:
                drawn[logged[kind, 0] + number] += power[member[at]]
            at += 1


@njit(cache=True)
def _ordered(first, size, start, end):  # type: ignore[no-untyped-def]
    found = np.ones(len(first), np.bool_)
    for lane in range(len(first)):
        began, ended = -1, -1
        for slot in range(first[lane], first[lane] + size[lane]):
            if start[slot] != NEVER:
                if start[slot] < began or end[slot] < ended:
                    found[lane] = False
                    break
                began, ended = start[slot], end[slot]
    return found


@njit(cache=True)
def _sift(heap, owner, hole, size):  # type: ignore[no-untyped-def]
    """Move an entry down to its place."""
    key, stream = heap[hole], owner[hole]
    while True:
        child = 2 * hole + 1
        if child >= size:
            break
        if child + 1 < size and heap[child + 1] < heap[child]:
            child += 1
        if heap[child] >= key:
            break
        heap[hole], owner[hole] = heap[child], owner[child]
        hole = child
    heap[hole], owner[hole] = key, stream


@njit(cache=True)
def _sweep(  # type: ignore[no-untyped-def]
    first, size, bits, start, end, rising, falling, since, until, times, before, window_start, window_end
):
    """Each lane has two streams, of ends (0) and starts (1); what is due first of either is in the heap. At equal times
    what ends comes first."""
    lanes = len(first)
    at, due, rounds = np.empty((lanes, 2), np.int64), np.full((lanes, 2), _OVER), np.zeros((lanes, 2), np.int64)
    back = np.full((lanes, 2), -1)  # where what is repeated begins
    heap, owner, entries = np.empty(lanes, np.int64), np.empty(lanes, np.int64), 0
    working, opened, covered = np.zeros(64, np.int64), np.zeros(64, np.int64), np.zeros(64, np.int64)
    inside = np.zeros(64, np.int64)
    power, peak = 0, 0
    for lane in range(lanes):
        slot = first[lane]
        while slot < first[lane] + size[lane] and start[slot] == NEVER:
            slot += 1
        if slot < first[lane] + size[lane]:
            for begins in range(2):
                tick = start[slot] if begins else end[slot]
                at[lane, begins] = slot
                if since[lane] <= tick < until[lane]:
                    back[lane, begins] = slot
                due[lane, begins] = (tick + before[lane]) * 2 + begins
            heap[entries], owner[entries] = min(due[lane, 0], due[lane, 1]), lane
            entries += 1
    for entry in range(entries // 2 - 1, -1, -1):
        _sift(heap, owner, entry, entries)
    while entries > 0:
        tick, begins, lane = heap[0] >> 1, heap[0] & 1, owner[0]
        slot = at[lane, begins]
        power += rising[slot] if begins else -falling[slot]
        peak = max(peak, power)
        kinds, kind = bits[lane], 0
        while kinds > 0:
            if kinds & 1:
                working[kind] += 1 if begins else -1
                if begins and working[kind] == 1:
                    opened[kind] = tick
                elif not begins and working[kind] == 0:
                    covered[kind] += tick - opened[kind]
                    overlap = min(tick, window_end) - max(opened[kind], window_start)
                    if overlap > 0:
                        inside[kind] += overlap
            kinds >>= 1
            kind += 1
        # The next of this stream, perhaps once more from where what is repeated begins.
        stop = first[lane] + size[lane]
        column = start if begins else end
        slot += 1
        while slot < stop and start[slot] == NEVER:
            slot += 1
        again = back[lane, begins] >= 0 and rounds[lane, begins] < times[lane]
        if again and (slot == stop or column[slot] >= until[lane]):
            slot = back[lane, begins]
            rounds[lane, begins] += 1
        if slot < stop:
            if back[lane, begins] < 0 and since[lane] <= column[slot] < until[lane]:
                back[lane, begins] = slot
            later = before[lane] + rounds[lane, begins] * (until[lane] - since[lane])
            at[lane, begins], due[lane, begins] = slot, (column[slot] + later) * 2 + begins
        else:
            due[lane, begins] = _OVER
        heap[0] = min(due[lane, 0], due[lane, 1])
        if heap[0] == _OVER:
            entries -= 1
            heap[0], owner[0] = heap[entries], owner[entries]
        _sift(heap, owner, 0, entries)
    return covered, inside, peak
