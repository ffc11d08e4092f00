"""The fast engine: the rounds and ticks of `engine` in compiled loops, to the same picosecond.

A process does not wait for the clock. It has a time of its own and *runs ahead* until it waits for a gate or a station,
since most of what it does concerns nobody else: a gate opens at the latest time of those that raise it, a station is
free from the time at which it was given back. Only the order in which a station serves has to be that of the requests.
There are two ways to see to that:

*on sight*     The station serves whoever comes, and checks that requests come in their proper order. A pool that should
               always have enough gives to all, and the whole account is checked at the end.
*by calendar*  Requests are kept in a calendar and made when no earlier one can come any more.

A station that one instruction of the program asks for is served on sight, others by calendar. If a check fails, which
is noticed at once or at the end, all stations are run by calendar from the beginning. So the events are those of
`engine` in any case. Times are kept as one number, (tick, round, kind), see `_ROUND`; where that number is too small
`engine` itself runs.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numba import njit
from numpy.typing import NDArray

from rpusim.arch.engine import Engine
from rpusim.arch.events import Events
from rpusim.arch.program import ALONE, COUNTED, HEAD, NEVER, Do, Integers, Program

NOBODY = -1
_WAIT, _RAISE, _TAKE, _GIVE, _USE, _HOLD, _SKIP, _NOTE, _LOG = (int(do) for do in Do)
_A, _A_COLUMN, _B, _B_COLUMN, _SLOT, _REGISTER = range(1, 7)
_VECTOR, _VECTOR_COLUMN = HEAD.index("vector"), HEAD.index("vector_column")

_GIVES, _ASKS, _SETTLES = 0, 1, 2
"""Kinds of entries in the calendar, in their order at one time: all that is given back in a round, then requests, then
stations hand out."""
_ROUND = 4
_TICK = 1 << 14
_KIND, _ROUNDS = _ROUND - 1, _TICK - 1
_HELD = np.iinfo(np.int64).max
_LAST_TICK = (1 << 48) - 1

_RAN, _DISORDER, _TOO_LARGE = range(3)


class FastEngine:
    """Runs one program from time 0; the same interface as `Engine`."""

    def __init__(self, program: Program) -> None:
        self._program = program
        self.stuck: dict[int, int] = {}

    def run(self) -> Events:
        """All events; see `stuck` for what never came to an end."""
        return self._program.events(*self.times())

    def times(self) -> tuple[Integers, Integers]:
        """Start and end in every slot of the program."""
        by_calendar = _asked_for(self._program) > 1
        outcome, at, start, end = self._run(by_calendar)
        if outcome == _DISORDER:
            outcome, at, start, end = self._run(np.ones_like(by_calendar))
        if outcome == _TOO_LARGE:
            definition = Engine(self._program)
            start, end = definition.times()
            self.stuck = definition.stuck
            return start, end
        waiting = np.flatnonzero(at >= 0)
        self.stuck = dict(zip(waiting.tolist(), at[waiting].tolist(), strict=True))
        return start, end

    def _run(self, by_calendar: NDArray[np.bool_]) -> tuple[int, NDArray[np.int32], Integers, Integers]:
        p = self._program
        start, end = np.full(p.slots, NEVER), np.empty(p.slots, np.int64)
        listed = _records(p, by_calendar)
        code = _Code(p.code, p.data, p.tasks, p.heads, p.keys)
        records = np.empty(listed, np.int32), np.empty(listed, np.int64), np.empty(listed, np.int64)
        outcome, at, recorded = _run(code, p.capacity, by_calendar, p.raises, start, end, *records)
        if outcome == _RAN and listed and not _enough(p.capacity, *(column[:recorded] for column in records)):
            outcome = _DISORDER
        return outcome, at, start, end


def _asked_for(program: Program) -> Integers:
    """By how many instructions each station is."""
    asks = program.code[np.isin(program.code[:, 0], (_TAKE, _USE))]
    single = program.capacity == 1
    return np.bincount(asks[:, _A], minlength=len(program.capacity)) * single


def _records(program: Program, by_calendar: NDArray[np.bool_]) -> int:
    """How often something is taken from, or given to, pools that are served on sight."""
    of_pool = np.isin(program.code[:, 0], (_TAKE, _GIVE, _USE)) & ~by_calendar[program.code[:, _A] % len(by_calendar)]
    of_pool &= program.capacity[program.code[:, _A] % len(by_calendar)] > 1
    times = np.where(program.code[:, 0] == _USE, 2, 1) * of_pool
    task = np.searchsorted(program.tasks[:, 1], np.arange(len(times)), side="right")
    return int((times * program.tasks[task, 3]).sum()) if len(times) else 0


def _enough(capacity: Integers, station: NDArray[np.int32], time: Integers, amount: Integers) -> bool:
    """Whether each pool had what was taken from it, at all times; what is given in a round can be had in it."""
    for pool in np.unique(station):
        here = station == pool
        order = np.lexsort((amount[here], time[here]))
        if np.cumsum(amount[here][order]).max(initial=0) > capacity[pool]:
            return False
    return True


class _Code(NamedTuple):
    """The program, as `Program` has it."""

    code: Integers
    data: NDArray[np.int32] | Integers
    tasks: Integers
    heads: Integers
    keys: Integers


class _State(NamedTuple):
    """Where processes and stations are. A process is in one list at most, so all lists are linked by one array."""

    link: NDArray[np.int32]
    task: NDArray[np.int32]
    at: NDArray[np.int32]
    """The instruction at which a process waits, or goes on; -1 when it is done."""
    time: Integers
    """Its own; of one in the calendar with the kind of its entry."""
    free: Integers
    """How much of a pool there is; of a single station, the time from which it is free."""
    first: NDArray[np.int32]
    last: NDArray[np.int32]
    """Of the queue of each station."""
    settles: NDArray[np.bool_]
    """Whether the station has an entry in the calendar."""
    chain: NDArray[np.int32]
    """Of each instruction: the last of those that follow one in the calendar, in order."""
    ready: NDArray[np.int32]
    """First and last of those that can go on."""


class _Calendar(NamedTuple):
    """A binary heap by time, key, and number (of a process, or of a station after all processes)."""

    time: Integers
    key: Integers
    number: NDArray[np.int32]
    size: NDArray[np.int64]


@njit(cache=True)
def _number(code, value, column, number):  # type: ignore[no-untyped-def]
    """An operand of process ``number`` of its task."""
    if column == ALONE:
        return value
    if column == COUNTED:
        return value + number
    return value + code.data[column + number]


@njit(cache=True)
def _key(code, state, process):  # type: ignore[no-untyped-def]
    of = state.task[process]
    head = code.heads[of]
    return code.keys[of] | _number(code, head[_VECTOR], head[_VECTOR_COLUMN], process - code.tasks[of, 2]) << 16


@njit(cache=True)
def _before(time, key, number, other_time, other_key, other):  # type: ignore[no-untyped-def]
    if time != other_time:
        return time < other_time
    if key != other_key:
        return key < other_key
    return number < other


@njit(cache=True)
def _sift_down(heap, time, key, number):  # type: ignore[no-untyped-def]
    """Put an entry at the root, whose place is free."""
    size, hole = heap.size[0], 0
    while True:
        child = 2 * hole + 1
        if child >= size:
            break
        right = child + 1
        if right < size and _before(
            heap.time[right], heap.key[right], heap.number[right], heap.time[child], heap.key[child], heap.number[child]
        ):
            child = right
        if _before(time, key, number, heap.time[child], heap.key[child], heap.number[child]):
            break
        heap.time[hole], heap.key[hole], heap.number[hole] = heap.time[child], heap.key[child], heap.number[child]
        hole = child
    heap.time[hole], heap.key[hole], heap.number[hole] = time, key, number


@njit(cache=True)
def _push(heap, time, key, number):  # type: ignore[no-untyped-def]
    hole = heap.size[0]
    heap.size[0] += 1
    while hole > 0:
        parent = (hole - 1) // 2
        if _before(heap.time[parent], heap.key[parent], heap.number[parent], time, key, number):
            break
        heap.time[hole], heap.key[hole], heap.number[hole] = heap.time[parent], heap.key[parent], heap.number[parent]
        hole = parent
    heap.time[hole], heap.key[hole], heap.number[hole] = time, key, number


@njit(cache=True)
def _pop(heap):  # type: ignore[no-untyped-def]
    heap.size[0] -= 1
    last = heap.size[0]
    if last > 0:
        _sift_down(heap, heap.time[last], heap.key[last], heap.number[last])


@njit(cache=True)
def _enter(code, state, heap, process, time, here):  # type: ignore[no-untyped-def]
    """A process into the calendar: behind those that wait at the same instruction, if it is later than they are."""
    state.time[process], state.at[process], state.link[process] = time, here, NOBODY
    last = state.chain[here]
    if last != NOBODY and (
        state.time[last] < time
        or (state.time[last] == time and (_key(code, state, last), last) < (_key(code, state, process), process))
    ):
        state.link[last] = process
        state.chain[here] = process
        return
    if last == NOBODY:
        state.chain[here] = process
    _push(heap, time, _key(code, state, process), process)


@njit(cache=True)
def _leave(code, state, heap):  # type: ignore[no-untyped-def]
    """Take the first entry out; the next of its chain comes in its place."""
    number = heap.number[0]
    if number >= len(state.at):
        _pop(heap)
        return number
    following = state.link[number]
    if following != NOBODY:
        _sift_down(heap, state.time[following], _key(code, state, following), following)
    else:
        _pop(heap)
        if state.chain[state.at[number]] == number:
            state.chain[state.at[number]] = NOBODY
    return number


@njit(cache=True)
def _goes_on(state, process, time, here):  # type: ignore[no-untyped-def]
    state.time[process], state.at[process], state.link[process] = time, here, NOBODY
    if state.ready[0] == NOBODY:
        state.ready[0] = process
    else:
        state.link[state.ready[1]] = process
    state.ready[1] = process


@njit(cache=True)
def _queue(code, state, station, process):  # type: ignore[no-untyped-def]
    """Into the queue of a station, by tick, key and number; that is nearly always behind all others."""
    state.link[process] = NOBODY
    last = state.last[station]
    tick, key = state.time[process] // _TICK, _key(code, state, process)
    if state.first[station] == NOBODY:
        state.first[station] = state.last[station] = process
        return
    if not _before(tick, key, process, state.time[last] // _TICK, _key(code, state, last), last):
        state.link[last] = process
        state.last[station] = process
        return
    at, previous = state.first[station], NOBODY
    while _before(state.time[at] // _TICK, _key(code, state, at), at, tick, key, process):
        previous, at = at, state.link[at]
    state.link[process] = at
    if previous == NOBODY:
        state.first[station] = process
    else:
        state.link[previous] = process


@njit(cache=True)
def _next_in(state, station):  # type: ignore[no-untyped-def]
    process = state.first[station]
    state.first[station] = state.link[process]
    return process


@njit(cache=True)
def _settle(state, heap, station, time):  # type: ignore[no-untyped-def]
    """Have a station hand out at the end of that round."""
    if not state.settles[station]:
        state.settles[station] = True
        _push(heap, time | _SETTLES, 0, len(state.at) + station)


@njit(cache=True)
def _run(code, capacity, by_calendar, raises, start, end, pool, pool_time, pool_amount):  # type: ignore[no-untyped-def]
    """Fills start and end of all slots, and what pools on sight were asked for.

    Returns how it ended, the instruction at which each process waits, and the number of such records.
    """
    processes, stations = 0, len(capacity)
    for of in range(len(code.tasks)):
        processes += code.tasks[of, 3]
    task = np.empty(processes, np.int32)
    at = np.empty(processes, np.int32)
    for of in range(len(code.tasks)):
        first = code.tasks[of, 2]
        for process in range(first, first + code.tasks[of, 3]):
            task[process], at[process] = of, code.tasks[of, 0]
    single = capacity == 1
    state = _State(
        np.full(processes, NOBODY, np.int32),
        task,
        at,
        np.zeros(processes, np.int64),
        np.where(single, 0, capacity),
        np.full(stations, NOBODY, np.int32),
        np.full(stations, NOBODY, np.int32),
        np.zeros(stations, np.bool_),
        np.full(len(code.code), NOBODY, np.int32),
        np.full(2, NOBODY, np.int32),
    )
    room = processes + stations
    heap = _Calendar(
        np.empty(room, np.int64), np.empty(room, np.int64), np.empty(room, np.int32), np.zeros(1, np.int64)
    )
    noted = np.empty((processes, 2), np.int64)
    closed, opened = raises.copy(), np.zeros(len(raises), np.int64)
    sleeping = np.full(len(raises), NOBODY, np.int32)  # the last; it links to the first
    asked = np.full(stations, NOBODY, np.int32)  # on sight: who asked last, and when
    asked_at = np.zeros(stations, np.int64)
    begun, recorded = 0, 0

    while True:
        granted = False
        if begun < processes:
            process = begun
            begun += 1
        elif state.ready[0] != NOBODY:
            process = state.ready[0]
            state.ready[0] = state.link[process]
            # who was given a station has it from the round after; who slept at a gate asks again
            here = at[process]
            granted = state.time[process] & _KIND == _SETTLES
        elif heap.size[0] > 0:
            now = heap.time[0] & ~_KIND
            kind = heap.time[0] & _KIND
            process = _leave(code, state, heap)
            if kind == _SETTLES:
                station = process - processes
                state.settles[station] = False
                process = state.first[station]
                if process == NOBODY:
                    continue
                if single[station]:
                    state.free[station] = _HELD
                    _goes_on(state, _next_in(state, station), now | _SETTLES, at[process])
                else:
                    while process != NOBODY:
                        of, here = task[process], at[process]
                        line = code.code[here]
                        wanted = 1
                        if line[0] == _TAKE:
                            wanted = _number(code, line[_B], line[_B_COLUMN], process - code.tasks[of, 2])
                        if state.free[station] < wanted:
                            break
                        state.free[station] -= wanted
                        _goes_on(state, _next_in(state, station), now | _SETTLES, here)
                        process = state.first[station]
                continue
            here, of = at[process], task[process]
            line = code.code[here]
            station = line[_A]
            state.time[process] = now
            if kind == _GIVES:
                amount = 1
                if line[0] == _GIVE:
                    amount = _number(code, line[_B], line[_B_COLUMN], process - code.tasks[of, 2])
                state.free[station] += amount
                if state.first[station] != NOBODY:
                    _settle(state, heap, station, now)
                at[process] = here + 1
            elif single[station] and state.first[station] == NOBODY and state.free[station] <= now:
                state.free[station] = _HELD
                granted = True
            else:
                _queue(code, state, station, process)
                if not single[station]:
                    _settle(state, heap, station, now)
                elif state.free[station] != _HELD:
                    _settle(state, heap, station, max(now, state.free[station]))
                continue
        else:
            break

        of = task[process]
        stop, number = code.tasks[of, 1], process - code.tasks[of, 2]
        here, now = np.int64(at[process]), state.time[process] & ~_KIND
        while here < stop:
            line = code.code[here]
            do = line[0]
            if do == _WAIT:
                gate = _number(code, line[_A], line[_A_COLUMN], number)
                if closed[gate] > 0:
                    last = sleeping[gate]
                    if last == NOBODY:
                        state.link[process] = process
                    else:
                        state.link[process] = state.link[last]
                        state.link[last] = process
                    sleeping[gate] = process
                    state.time[process], at[process] = now, here
                    break
                now = max(now, opened[gate])
            elif do == _RAISE:
                gate = _number(code, line[_A], line[_A_COLUMN], number)
                closed[gate] -= 1
                opened[gate] = max(opened[gate], now)
                if closed[gate] == 0 and sleeping[gate] != NOBODY:
                    last = sleeping[gate]
                    sleeper = state.link[last]
                    while True:
                        following = state.link[sleeper]
                        _goes_on(state, sleeper, state.time[sleeper], at[sleeper])
                        if sleeper == last:
                            break
                        sleeper = following
            elif do in (_TAKE, _USE):
                station = line[_A]
                b = _number(code, line[_B], line[_B_COLUMN], number)
                if not granted:
                    if do == _USE and b == 0:
                        here += 1
                        continue
                    if by_calendar[station]:
                        _enter(code, state, heap, process, now | _ASKS, here)
                        break
                    if single[station]:
                        other = asked[station]
                        if other != NOBODY:
                            if now < asked_at[station]:
                                return _DISORDER, at, recorded
                            if now // _TICK == asked_at[station] // _TICK and (_key(code, state, process), process) < (
                                _key(code, state, other),
                                other,
                            ):
                                return _DISORDER, at, recorded
                        asked[station], asked_at[station] = process, now
                        if state.free[station] == _HELD:
                            state.time[process], at[process], state.link[process] = now, here, NOBODY
                            if state.first[station] == NOBODY:
                                state.first[station] = process
                            else:
                                state.link[state.last[station]] = process
                            state.last[station] = process
                            break
                        now = max(now, state.free[station])
                        state.free[station] = _HELD
                    else:
                        pool[recorded], pool_time[recorded] = station, now
                        pool_amount[recorded] = b if do == _TAKE else 1
                        recorded += 1
                granted = False
                now += _ROUND
                if now & _ROUNDS == 0:
                    return _TOO_LARGE, at, recorded
                if do == _USE:
                    slot = line[_SLOT] + number
                    ended = now // _TICK + b
                    start[slot], end[slot] = now // _TICK, ended
                    now = ended * _TICK
                    if ended > _LAST_TICK:
                        return _TOO_LARGE, at, recorded
                    if single[station]:
                        state.free[station] = now
                        if state.first[station] != NOBODY:
                            if by_calendar[station]:
                                _settle(state, heap, station, now)
                            else:
                                waiting = _next_in(state, station)
                                state.free[station] = _HELD
                                _goes_on(state, waiting, max(state.time[waiting], now) | _SETTLES, at[waiting])
                    elif by_calendar[station]:
                        _enter(code, state, heap, process, now | _GIVES, here)
                        break
                    else:
                        pool[recorded], pool_time[recorded], pool_amount[recorded] = station, now, -1
                        recorded += 1
            elif do == _GIVE:
                station = line[_A]
                if single[station]:
                    state.free[station] = now
                    if state.first[station] != NOBODY:
                        if by_calendar[station]:
                            _settle(state, heap, station, now)
                        else:
                            waiting = _next_in(state, station)
                            state.free[station] = _HELD
                            _goes_on(state, waiting, max(state.time[waiting], now) | _SETTLES, at[waiting])
                elif by_calendar[station]:
                    _enter(code, state, heap, process, now | _GIVES, here)
                    break
                else:
                    b = _number(code, line[_B], line[_B_COLUMN], number)
                    pool[recorded], pool_time[recorded], pool_amount[recorded] = station, now, -b
                    recorded += 1
            elif do == _HOLD:
                b = _number(code, line[_B], line[_B_COLUMN], number)
                if b > 0:
                    now = (now // _TICK + b) * _TICK
                    if now // _TICK > _LAST_TICK:
                        return _TOO_LARGE, at, recorded
            elif do == _SKIP:
                if _number(code, line[_B], line[_B_COLUMN], number) == 0:
                    here += line[_A]
            elif do == _NOTE:
                noted[process, line[_REGISTER]] = now // _TICK
            else:
                slot = line[_SLOT] + number
                start[slot], end[slot] = noted[process, line[_REGISTER]], now // _TICK
            here += 1
        else:
            at[process] = -1
    return _RAN, at, recorded
