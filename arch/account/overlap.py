"""Measure how long units are busy at the same time, and the most power that they draw together.

Starts and ends of all events are gone through in order of time. Those of one kind of event are in order already, so
they are merged as sorted lists are, and what is repeated is gone through again without being stored more than once.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from rpusim.arch.account.pauses import picowatts
from rpusim.arch.account.recurrence import Repeats
from rpusim.arch.contract.columns import Integers
from rpusim.arch.contract.compiled_loops import compiled
from rpusim.arch.engine.events import NEVER

AT_ONCE = 60
"""How many groups of stations are looked at in one go: one bit for each."""
_BITS = 64
"""How many kinds of units, or groups of stations, have a bit in an integer, the sign included."""
_OVER = np.iinfo(np.int64).max
"""When the next time of a stream comes that has none left."""


@dataclass(frozen=True)
class Lanes:
    """Hold the times of events lane by lane; a lane is the slots of one instruction, in which times ascend.

    first:    (lanes,) first slot.
    size:     (lanes,) number of slots.
    kinds:    (lanes,) kinds of units that are busy, one bit for each.
    task:     (lanes,) that the instruction belongs to.
    start:    (slots,) ps.
    end:      (slots,) ps.
    rising:   (slots,) power (pW) that begins to be drawn with each start.
    falling:  (slots,) power (pW) that ceases with each end.
    woken:    (slots,) power (pW) that begins with each start and ceases with the next end of the lane; where pauses are
              looked for, the number of each slot.
    """

    first: Integers
    size: Integers
    kinds: Integers
    task: Integers
    start: Integers
    end: Integers
    rising: Integers
    falling: Integers
    woken: Integers


def in_order(lanes: Lanes) -> Lanes:
    """Put starts and ends of every lane in order; few lanes are not."""
    odd = np.flatnonzero(~_ordered(lanes.first, lanes.size, lanes.start, lanes.end))
    if not len(odd):
        return lanes
    start, end, rising, falling = lanes.start.copy(), lanes.end.copy(), lanes.rising.copy(), lanes.falling.copy()
    woken = lanes.woken.copy()
    for first, size in zip(lanes.first[odd].tolist(), lanes.size[odd].tolist(), strict=True):
        here = slice(first, first + size)
        for times, columns in ((start, (rising, woken)), (end, (falling,))):
            order = np.argsort(times[here], kind="stable")
            for column in (times, *columns):
                column[here] = column[here][order]
    return replace(lanes, start=start, end=end, rising=rising, falling=falling, woken=woken)


def busy_together(lanes: Lanes, repeats: Repeats) -> tuple[Integers, int]:
    """Measure how long units of each kind are busy, and the most power drawn at once.

    Args:
        lanes: times of all events, with what they draw.
        repeats: what happens more often than it was run.

    Returns:
        (64,) ps during which any unit of each kind is busy, and the largest power (pW) drawn at any time.
    """
    since, until, times = _of_the_whole(repeats)
    mine = repeats.pick(lanes.task)
    covered, within, most = _sweep(
        *(lanes.first, lanes.size, lanes.kinds, lanes.start, lanes.end, lanes.rising, lanes.falling, lanes.woken),
        *(mine.since, mine.until, np.where(mine.whole, 0, mine.times), since, until),
        *(np.zeros((len(_SEEN), _BITS), np.int64), np.zeros((2, 0), np.int64)),
    )
    return covered + times * within, most


def _of_the_whole(repeats: Repeats) -> tuple[int, int, int]:
    """Return from when, until when and how often the whole machine repeats a period.

    It is gone through once, and its busy time counted more often; what comes after it is not put off meanwhile.
    """
    whole = np.flatnonzero(repeats.whole)[:1]
    since, until, times = (int(column[whole].sum()) for column in (repeats.since, repeats.until, repeats.times))
    return since, until, times


def pauses_between(
    lanes: Lanes, repeats: Repeats, wake: Integers, zj_per_ps: Integers, woken: Integers
) -> dict[str, Integers]:
    """Find the pauses of at most `AT_ONCE` groups of stations.

    Args:
        lanes: times of their events; ``kinds`` has a bit for each group, ``woken`` the number of each slot.
        repeats: what happens more often than it was run.
        wake: (groups,) ps that each group is awake before it works.
        zj_per_ps: (groups,) what each draws meanwhile.
        woken: (2, slots) ps that each slot lasts, and pW that waking takes before it, spread over it, to which those of
            these groups are added: of the whole wake time before a first start, and of the longest of repeated pauses.

    Returns:
        The columns of `rpusim.arch.account.pauses.Pauses`, (groups,) each, by name.
    """
    since, until, times = _of_the_whole(repeats)
    mine, groups, period = repeats.pick(lanes.task), len(wake), until - since
    seen = np.zeros((len(_SEEN), _BITS), np.int64)
    seen[_WAKE, :groups], seen[_FIRST], seen[_FIRST_INSIDE], seen[_LATE] = wake, -1, -1, -1
    seen[_DRAWS, :groups], seen[_AGAIN_SLOT] = zj_per_ps, -1
    covered, within, _ = _sweep(
        *(lanes.first, lanes.size, lanes.kinds, lanes.start, lanes.end, lanes.rising, lanes.falling, lanes.woken),
        *(mine.since, mine.until, np.where(mine.whole, 0, mine.times), since, until, seen, woken),
    )
    seen = seen[:, :groups]
    used = seen[_FIRST_INSIDE] >= 0
    # The first pause of a period that is repeated began in the period before, unless it began in its own.
    began = seen[_FIRST_INSIDE] - since + until - seen[_LAST_INSIDE]
    first_again = np.where(seen[_FIRST_OWN] > 0, seen[_FIRST_WAKING], np.minimum(began, wake))
    each = np.where(used, seen[_WAKING_INSIDE] - seen[_FIRST_WAKING] + first_again, 0)
    late = ~used & (seen[_LATE] >= 0)  # a pause that all periods fall into
    longer = np.minimum(seen[_LATE] + times * period, wake) - np.minimum(seen[_LATE], wake)
    if times:
        more = np.where(used, first_again - seen[_FIRST_WAKING], np.where(late, longer, 0))
        more = np.where(seen[_FIRST_SLOT] == seen[_SLOT], 0, np.maximum(more, 0))  # the first one has all already
        for kind in np.flatnonzero(more):
            slot, draws, waking = seen[_SLOT, kind], zj_per_ps[kind], seen[_SLOT_WAKING, kind]
            longest = picowatts(draws, waking + more[kind], woken[0, slot])
            woken[1, slot] += longest - picowatts(draws, waking, woken[0, slot])
    last = seen[_CLOSED]
    return {
        "covered_ps": (covered + times * within)[:groups],
        "waking_ps": seen[_WAKING] + times * each + np.where(late, longer, 0),
        "first_ps": np.maximum(seen[_FIRST], 0) + np.where(seen[_FIRST] >= until, times * period, 0),
        "last_ps": last + np.where(last >= since, times * period, 0),
        "wake_ps": wake,
    }


_SEEN = (
    _WAKE,
    _CLOSED,
    _WAKING,
    _FIRST,
    _WAKING_INSIDE,
    _FIRST_INSIDE,
    _FIRST_WAKING,
    _FIRST_OWN,
    _LAST_INSIDE,
    _LATE,
    _DRAWS,
    _FIRST_SLOT,
    _SLOT,
    _SLOT_WAKING,
    _AGAIN_SLOT,
    _AGAIN_AWAKE,
) = range(16)
"""Rows of what a sweep notes of pauses, (64,) each: wake time; end of the last work so far; time awake before work;
beginning of the first work; and of the window: time awake, beginning of the first work, time awake before that, whether
that pause began within the window, end of the last work, and the pause before the first work after a window without;
what is drawn while it is woken (zJ/ps), the slot of the first work, and that of the first work in or after the window,
with the time awake before it; and where a part of the machine is gone through again and again, the slot of the first
work in its period, with the time awake before it in the first round."""


@compiled
def _ordered(first: Integers, size: Integers, start: Integers, end: Integers) -> NDArray[np.bool_]:
    """Return (lanes,) whether starts and ends of each lane ascend."""
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


@compiled
def _sift(heap: Integers, owner: Integers, hole: int, size: int) -> None:
    """Move an entry of the heap down to its place."""
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


@compiled
def _first_times(
    first: Integers,
    stop: Integers,
    start: Integers,
    end: Integers,
    since: Integers,
    until: Integers,
    times: Integers,
    at: Integers,
    due: Integers,
    back: Integers,
) -> None:
    """Put all streams at the first slot of their lane in which something was done."""
    for lane in range(len(first)):
        slot = first[lane]
        while slot < stop[lane] and start[slot] == NEVER:
            slot += 1
        if slot == stop[lane]:
            continue
        for begins in range(2):
            tick = start[slot] if begins else end[slot]
            at[lane, begins] = slot
            if since[lane] <= tick < until[lane]:
                back[lane, begins] = slot
            passed = times[lane] * (until[lane] - since[lane]) if tick >= until[lane] else 0
            due[lane, begins] = (tick + passed) * 2 + begins


@compiled
def _note_pause(
    kind: int, tick: int, window_start: int, window_end: int, seen: Integers, slot: int, woken: Integers, again: int
) -> None:
    """Note the pause that ends at ``tick`` with the work of a slot; see `_SEEN`.

    again: in which round of its lane's period the slot is, from 0; -1 where it is in none. What waking takes is that of
    the longest pause of all rounds: only that before the first work may be another in the second round.
    """
    pause = tick - seen[_CLOSED, kind]
    waking = min(pause, seen[_WAKE, kind])
    seen[_WAKING, kind] += waking
    if woken.size:
        draws, lasting = seen[_DRAWS, kind], woken[0, slot]
        awake = seen[_WAKE, kind] if seen[_FIRST, kind] < 0 else waking
        if again < 1:
            woken[1, slot] += picowatts(draws, awake, lasting)
        elif again == 1 and slot == seen[_AGAIN_SLOT, kind]:
            before = seen[_AGAIN_AWAKE, kind]
            woken[1, slot] += picowatts(draws, max(waking, before), lasting) - picowatts(draws, before, lasting)
        if again == 0 and seen[_AGAIN_SLOT, kind] < 0:
            seen[_AGAIN_SLOT, kind], seen[_AGAIN_AWAKE, kind] = slot, awake
    if seen[_FIRST, kind] < 0:
        seen[_FIRST, kind], seen[_FIRST_SLOT, kind] = tick, slot
    if window_start <= tick < window_end:
        seen[_WAKING_INSIDE, kind] += waking
        if seen[_FIRST_INSIDE, kind] < 0:
            seen[_FIRST_INSIDE, kind], seen[_FIRST_WAKING, kind], seen[_SLOT, kind] = tick, waking, slot
            seen[_SLOT_WAKING, kind] = waking
            seen[_FIRST_OWN, kind] = int(seen[_CLOSED, kind] >= window_start)
    elif tick >= window_end and seen[_FIRST_INSIDE, kind] < 0 and seen[_CLOSED, kind] < window_start:
        seen[_LATE, kind], seen[_SLOT, kind], seen[_SLOT_WAKING, kind] = pause, slot, waking


@compiled
def _count(
    kinds: int,
    begins: int,
    tick: int,
    window_start: int,
    window_end: int,
    working: Integers,
    opened: Integers,
    covered: Integers,
    inside: Integers,
    seen: Integers,
    slot: int,
    woken: Integers,
    again: int,
) -> None:
    """Count one more, or one less, unit of each of these kinds at work from ``tick`` on."""
    kind = 0
    while kinds > 0:
        if kinds & 1:
            working[kind] += 1 if begins else -1
            if begins and working[kind] == 1:
                opened[kind] = tick
                _note_pause(kind, tick, window_start, window_end, seen, slot, woken, again)
            elif not begins and working[kind] == 0:
                seen[_CLOSED, kind] = tick
                if tick < window_end:
                    seen[_LAST_INSIDE, kind] = tick
                covered[kind] += tick - opened[kind]
                overlap = min(tick, window_end) - max(opened[kind], window_start)
                if overlap > 0:
                    inside[kind] += overlap
        kinds >>= 1
        kind += 1


@compiled
def _sweep(
    first: Integers,
    size: Integers,
    bits: Integers,
    start: Integers,
    end: Integers,
    rising: Integers,
    falling: Integers,
    extra: Integers,
    since: Integers,
    until: Integers,
    times: Integers,
    window_start: int,
    window_end: int,
    seen: Integers,
    woken: Integers,
) -> tuple[Integers, Integers, int]:
    """Merge the lanes in order of time.

    Each lane has two streams, its ends (0) and its starts (1); the heap holds, for each lane, which of its two streams
    is due first. A due time is twice the tick, plus 1 for starts: of equal ticks what ends comes first.

    Args:
        first, size, bits, start, end, rising, falling, extra: the columns of `Lanes` (bits: kinds, extra: woken).
        since, until, times: of each lane's task, see `Repeats`; 0 times where the whole machine repeats it.
        window_start, window_end: ps between which busy time is also counted on its own.
        seen: (rows of `_SEEN`, 64) where pauses are noted.
        woken: (2, slots) where it is noted what waking took, by the numbers in ``extra``; empty: nowhere.

    Returns:
        (64,) busy time of each kind of unit (ps), (64,) that within the window, and the largest power (pW).
    """
    lanes, stop = len(first), first + size
    at, due, rounds = np.empty((lanes, 2), np.int64), np.full((lanes, 2), _OVER), np.zeros((lanes, 2), np.int64)
    back = np.full((lanes, 2), -1)  # the first slot of what is repeated; -1: not come to yet
    _first_times(first, stop, start, end, since, until, times, at, due, back)
    heap, owner, entries = np.empty(lanes, np.int64), np.empty(lanes, np.int64), 0
    for lane in range(lanes):
        if due[lane, 0] != _OVER:
            heap[entries], owner[entries] = min(due[lane, 0], due[lane, 1]), lane
            entries += 1
    for entry in range(entries // 2 - 1, -1, -1):
        _sift(heap, owner, entry, entries)
    working, opened, covered, inside = np.zeros((4, _BITS), np.int64)
    power, peak, now, pending = 0, 0, -1, np.zeros(lanes, np.int64)
    while entries > 0:
        tick, begins, lane = heap[0] >> 1, heap[0] & 1, owner[0]
        if tick != now:  # all changes of a tick are made at once: a unit that waited draws less of one kind, and more
            peak, now = max(peak, power), tick
        slot = at[lane, begins]
        if begins:
            pending[lane] = 0 if woken.size else extra[slot]
            power += rising[slot] + pending[lane]
        else:
            power -= falling[slot] + pending[lane]
            pending[lane] = 0
        _count(
            bits[lane],
            begins,
            tick,
            window_start,
            window_end,
            working,
            opened,
            covered,
            inside,
            seen,
            extra[slot],
            woken,
            rounds[lane, begins] if times[lane] and since[lane] <= start[slot] < until[lane] else -1,
        )
        # The next of this stream, perhaps once more from where what is repeated begins.
        column = start if begins else end
        slot += 1
        while slot < stop[lane] and start[slot] == NEVER:
            slot += 1
        again = back[lane, begins] >= 0 and rounds[lane, begins] < times[lane]
        if again and (slot == stop[lane] or column[slot] >= until[lane]):
            slot = back[lane, begins]
            rounds[lane, begins] += 1
        if slot < stop[lane]:
            if back[lane, begins] < 0 and since[lane] <= column[slot] < until[lane]:
                back[lane, begins] = slot
            # What comes after the period is later by all its rounds, also where nothing is done within it.
            passed = times[lane] if column[slot] >= until[lane] else rounds[lane, begins]
            later = passed * (until[lane] - since[lane])
            at[lane, begins], due[lane, begins] = slot, (column[slot] + later) * 2 + begins
        else:
            due[lane, begins] = _OVER
        heap[0] = min(due[lane, 0], due[lane, 1])
        if heap[0] == _OVER:
            entries -= 1
            heap[0], owner[0] = heap[entries], owner[entries]
        _sift(heap, owner, 0, entries)
    return covered, inside, max(peak, power)
