"""The fast engine.

The rounds and ticks of `engine` in compiled loops, to the same picosecond.

A process does not wait for the clock. It has a time of its own and *runs ahead* until it waits for a gate or a station,
since most of what it does concerns nobody else: a gate opens at the latest time of those that raise it, a station is
free from the time at which it was given back. Only the order in which a station serves has to be that of the requests.
There are two ways to see to that:

*on sight*     The station serves whoever comes, and checks that requests come in their proper order.
*by calendar*  Requests are kept in a calendar and made when no earlier one can come any more.

A station that one instruction of the program asks for is served on sight, others by calendar. If a check fails, all
stations are run by calendar from the beginning. So the events are those of `engine` in any case. A time is one number
made of tick, round and kind, see `_ROUND`; where that number is too small, `engine` itself runs.
"""

from __future__ import annotations

import numpy as np
from numba import njit
from numpy.typing import NDArray

from rpusim.arch.contract.columns import Integers
from rpusim.arch.engine.events import Events
from rpusim.arch.engine.program import NEVER, NO_SLOT, REGISTERS, Do, Program, operand
from rpusim.arch.engine.simpy_engine import Engine

NOBODY = -1
_WAIT, _RAISE, _TAKE, _GIVE, _USE, _HOLD, _SKIP, _NOTE, _LOG = (int(do) for do in Do)
_DO, _A, _A_COLUMN, _B, _B_COLUMN, _SLOT, _REGISTER = range(7)

_GIVES, _ASKS, _SETTLES = 0, 1, 2
"""Kinds of entries in the calendar, in their order at one time: all that is given back in a round, then requests, then
stations hand out. A process that was handed a station has that kind until it goes on."""
_KIND = 3
_ROUND = 4
"""To the next round; the lowest bits are the kind, those from `_TICK` on the tick."""
_TICK = 14
_ROUNDS = (1 << _TICK) - 1
_LAST_TICK = (1 << 48) - 1
_HELD = np.iinfo(np.int64).max
"""The time from which a station is free that nobody has given back yet."""

_RAN, _DISORDER, _TOO_LARGE = range(3)
_WAITS, _OUT_OF_ORDER = -1, -2


# Columns of processes. number: in its task. at: the instruction at which it waits, or goes on; -1 when it is done.
# time: its own; with a kind, if it is in the calendar or was handed a station. link: the next in its list.
_NUMBER, _STOP, _KEY, _AT, _TIME, _LINK, _NOTED = range(7)
# Of gates. closed: how often each still has to be raised. opened: when it was raised last. sleeping: the last of those
# that wait for it; it links to the first.
_CLOSED, _OPENED, _SLEEPING = range(3)
# Of stations. free: how much of a pool there is; of a single one, the time from which it is free. queue: its first, its
# last, and who was last put between others. settling: whether it is in the calendar. On sight: who asked last and when;
# when the last was given, and when the last of what was handed out had been; first and last gift not yet handed out.
_SINGLE, _BY_CALENDAR, _FREE, _QUEUE, _QUEUE_END, _FINGER, _SETTLING = range(7)
_ASKED, _ASKED_AT, _GAVE_AT, _GOT_AT, _GIFTS, _GIFTS_END = range(7, 13)
# Of the code, beside those of `INSTRUCTION`: the last of those that follow one of its processes in the calendar.
_CHAIN = 7
# Of the state: first and last of those that can go on, entries of the calendar, gifts.
_READY, _READY_END, _ENTRIES, _GIVEN = range(4)


class FastEngine:
    """Runs one program from time 0; the same interface as `Engine`."""

    def __init__(self, program: Program) -> None:
        self._program = program
        self.stuck: dict[int, int] = {}
        self.on_sight = False
        """After the run: whether any station was served on sight."""

    def run(self) -> Events:
        """All events; see `stuck` for what never came to an end."""
        return self._program.events(*self.times())

    def times(self) -> tuple[Integers, Integers]:
        """Start and end in every slot of the program."""
        asks = self._program.code[np.isin(self._program.code[:, _DO], (_TAKE, _USE)), _A]
        several = np.bincount(asks, minlength=len(self._program.capacity)) > 1
        outcome, at, start, end = self._run(several)
        self.on_sight = outcome == _RAN
        if outcome == _DISORDER:
            outcome, at, start, end = self._run(np.ones_like(several))
        if outcome == _TOO_LARGE:
            definition = Engine(self._program)
            times = definition.times()
            self.stuck = definition.stuck
            return times
        waiting = np.flatnonzero(at >= 0)
        self.stuck = dict(zip(waiting.tolist(), at[waiting].tolist(), strict=True))
        return start, end

    def _run(self, by_calendar: NDArray[np.bool_]) -> tuple[int, Integers, Integers, Integers]:
        """How it ended, where each process waits, and the times."""
        p, single = self._program, self._program.capacity == 1
        task = np.repeat(np.arange(len(p.tasks)), p.tasks[:, 3])
        processes = np.empty((len(task), _NOTED + REGISTERS), np.int64)
        processes[:, _NUMBER] = np.arange(len(task)) - p.tasks[task, 2]
        processes[:, _STOP], processes[:, _AT] = p.tasks[task, 1], p.tasks[task, 0]
        processes[:, _KEY] = p.keys
        gates = np.zeros((len(p.raises), 3), np.int64)
        gates[:, _CLOSED], gates[:, _SLEEPING] = p.raises, NOBODY
        stations = np.zeros((len(single), _GIFTS_END + 1), np.int64)
        stations[:, _SINGLE], stations[:, _BY_CALENDAR] = single, by_calendar
        stations[:, _FREE] = np.where(single, 0, p.capacity)
        stations[:, [_QUEUE, _FINGER, _ASKED, _GIFTS]] = NOBODY
        code = np.column_stack([p.code, np.full(len(p.code), NOBODY)])
        state = np.array([NOBODY, NOBODY, 0, 0])
        gifts = np.empty((_most_gifts(p, by_calendar | single), 3), np.int64)
        calendar = np.empty((len(processes) + len(stations), 3), np.int64)
        start, end = np.full(p.slots, NEVER), np.full(p.slots, NEVER)
        outcome = _run(code, p.data, processes, gates, stations, gifts, calendar, state, start, end)
        return outcome, processes[:, _AT], start, end


def _most_gifts(p: Program, otherwise: NDArray[np.bool_]) -> int:
    """How often something is given to pools on sight."""
    gives = np.flatnonzero(np.isin(p.code[:, _DO], (_GIVE, _USE)))
    gives = gives[~otherwise[p.code[gives, _A]]]
    return int(p.tasks[np.searchsorted(p.tasks[:, 1], gives, side="right"), 3].sum())


_number = njit(cache=True)(operand)


@njit(cache=True)
def _wanted(code, data, processes, process):  # type: ignore[no-untyped-def]
    """How much of a station a process takes or gives where it is."""
    here = processes[process, _AT]
    if code[here, _DO] == _USE:
        return 1
    return _number(data, code[here, _B], code[here, _B_COLUMN], processes[process, _NUMBER])


@njit(cache=True)
def _before(processes, time, process, other_time, other):  # type: ignore[no-untyped-def]
    """Whether one comes before another: by time, then key, then number."""
    if time != other_time:
        return time < other_time
    key, other_key = processes[process, _KEY], processes[other, _KEY]
    return key < other_key or (key == other_key and process < other)


# --- the calendar -----------------------------------------------------------------------------------------------------


@njit(cache=True)
def _earlier(calendar, entry, time, key, number):  # type: ignore[no-untyped-def]
    """Whether an entry of the heap is."""
    if calendar[entry, 0] != time:
        return calendar[entry, 0] < time
    if calendar[entry, 1] != key:
        return calendar[entry, 1] < key
    return calendar[entry, 2] < number


@njit(cache=True)
def _put(calendar, entry, time, key, number):  # type: ignore[no-untyped-def]
    calendar[entry, 0], calendar[entry, 1], calendar[entry, 2] = time, key, number


@njit(cache=True)
def _push(calendar, state, time, key, number):  # type: ignore[no-untyped-def]
    hole = state[_ENTRIES]
    state[_ENTRIES] += 1
    while hole > 0:
        parent = (hole - 1) >> 1
        if _earlier(calendar, parent, time, key, number):
            break
        _put(calendar, hole, calendar[parent, 0], calendar[parent, 1], calendar[parent, 2])
        hole = parent
    _put(calendar, hole, time, key, number)


@njit(cache=True)
def _put_first(calendar, state, time, key, number):  # type: ignore[no-untyped-def]
    """In place of the first entry."""
    size, hole = state[_ENTRIES], 0
    while True:
        child = 2 * hole + 1
        if child >= size:
            break
        right = child + 1
        if right < size and _earlier(calendar, right, calendar[child, 0], calendar[child, 1], calendar[child, 2]):
            child = right
        if not _earlier(calendar, child, time, key, number):
            break
        _put(calendar, hole, calendar[child, 0], calendar[child, 1], calendar[child, 2])
        hole = child
    _put(calendar, hole, time, key, number)


@njit(cache=True)
def _pop(calendar, state):  # type: ignore[no-untyped-def]
    state[_ENTRIES] -= 1
    last = state[_ENTRIES]
    if last > 0:
        _put_first(calendar, state, calendar[last, 0], calendar[last, 1], calendar[last, 2])


@njit(cache=True)
def _enter(code, processes, calendar, state, process, time, here):  # type: ignore[no-untyped-def]
    """A process into the calendar: behind those that wait at the same instruction, if it is later than they are."""
    processes[process, _TIME], processes[process, _AT], processes[process, _LINK] = time, here, NOBODY
    last = code[here, _CHAIN]
    if last != NOBODY and _before(processes, processes[last, _TIME], last, time, process):
        processes[last, _LINK] = process
        code[here, _CHAIN] = process
        return
    if last == NOBODY:
        code[here, _CHAIN] = process
    _push(calendar, state, time, processes[process, _KEY], process)


@njit(cache=True)
def _leave(code, processes, calendar, state):  # type: ignore[no-untyped-def]
    """Take the first entry out; the next of its chain comes in its place."""
    number = calendar[0, 2]
    if number >= len(processes):
        _pop(calendar, state)
        return number
    following = processes[number, _LINK]
    if following != NOBODY:
        _put_first(calendar, state, processes[following, _TIME], processes[following, _KEY], following)
    else:
        _pop(calendar, state)
        if code[processes[number, _AT], _CHAIN] == number:
            code[processes[number, _AT], _CHAIN] = NOBODY
    return number


# --- stations ---------------------------------------------------------------------------------------------------------


@njit(cache=True)
def _goes_on(processes, state, process, time):  # type: ignore[no-untyped-def]
    processes[process, _TIME], processes[process, _LINK] = time, NOBODY
    if state[_READY] == NOBODY:
        state[_READY] = process
    else:
        processes[state[_READY_END], _LINK] = process
    state[_READY_END] = process


@njit(cache=True)
def _queue(processes, stations, station, process):  # type: ignore[no-untyped-def]
    """Into the queue of a station by tick, key and number; that is nearly always behind all others."""
    processes[process, _LINK] = NOBODY
    if stations[station, _QUEUE] == NOBODY:
        stations[station, _QUEUE] = stations[station, _QUEUE_END] = process
        return
    last, tick = stations[station, _QUEUE_END], processes[process, _TIME] >> _TICK
    if _before(processes, processes[last, _TIME] >> _TICK, last, tick, process):
        processes[last, _LINK] = stations[station, _QUEUE_END] = process
        return
    at, previous, finger = stations[station, _QUEUE], NOBODY, stations[station, _FINGER]
    if finger != NOBODY and _before(processes, processes[finger, _TIME] >> _TICK, finger, tick, process):
        at, previous = processes[finger, _LINK], finger
    while _before(processes, processes[at, _TIME] >> _TICK, at, tick, process):
        previous, at = at, processes[at, _LINK]
    processes[process, _LINK], stations[station, _FINGER] = at, process
    if previous == NOBODY:
        stations[station, _QUEUE] = process
    else:
        processes[previous, _LINK] = process


@njit(cache=True)
def _hand(processes, stations, state, station, time):  # type: ignore[no-untyped-def]
    """Give the station, or what it wants of it, to the first in the queue; it goes on in the round after."""
    process = stations[station, _QUEUE]
    stations[station, _QUEUE] = processes[process, _LINK]
    if stations[station, _FINGER] == process:
        stations[station, _FINGER] = NOBODY
    _goes_on(processes, state, process, time | _SETTLES)


@njit(cache=True)
def _settle_at(processes, stations, calendar, state, station, time):  # type: ignore[no-untyped-def]
    """Have a station hand out at the end of that round."""
    if not stations[station, _SETTLING]:
        stations[station, _SETTLING] = 1
        _push(calendar, state, time | _SETTLES, 0, len(processes) + station)


@njit(cache=True)
def _settle(code, data, processes, stations, state, station, now):  # type: ignore[no-untyped-def]
    stations[station, _SETTLING] = 0
    if stations[station, _SINGLE]:
        if stations[station, _QUEUE] != NOBODY:
            stations[station, _FREE] = _HELD
            _hand(processes, stations, state, station, now)
        return
    while stations[station, _QUEUE] != NOBODY:
        process = stations[station, _QUEUE]
        wanted = _wanted(code, data, processes, process)
        if stations[station, _FREE] < wanted:
            break
        stations[station, _FREE] -= wanted
        _hand(processes, stations, state, station, now)


@njit(cache=True)
def _ask(processes, stations, calendar, state, station, process, now):  # type: ignore[no-untyped-def]
    """Of a station by calendar, whose time has come. The time from which the process has it, or that it waits."""
    free = stations[station, _FREE]
    if stations[station, _SINGLE] and stations[station, _QUEUE] == NOBODY and free != _HELD:
        # Where nobody else can ask in this tick, it is the next even if the station is not free yet.
        alone = state[_ENTRIES] == 0 or calendar[0, 0] >> _TICK > now >> _TICK
        if free <= now or alone:
            stations[station, _FREE] = _HELD
            return max(now, free)
    processes[process, _TIME] = now
    _queue(processes, stations, station, process)
    if not stations[station, _SINGLE]:
        _settle_at(processes, stations, calendar, state, station, now)
    elif free != _HELD:
        _settle_at(processes, stations, calendar, state, station, max(now, free))
    return _WAITS


@njit(cache=True)
def _at_once(stations, station, now):  # type: ignore[no-untyped-def]
    """Whether a station on sight can be had without a look at queues, keys and gifts: nearly always."""
    later = now >> _TICK > stations[station, _ASKED_AT] >> _TICK
    return later and stations[station, _SINGLE] and stations[station, _FREE] != _HELD


@njit(cache=True)
def _ask_on_sight(code, data, processes, stations, gifts, station, process, now, here):  # type: ignore[no-untyped-def]
    """As `_ask`; or that a request comes which should have come before the last one."""
    other, other_time = stations[station, _ASKED], stations[station, _ASKED_AT]
    if other != NOBODY and now >> _TICK == other_time >> _TICK and _before(processes, 0, process, 0, other):
        return _OUT_OF_ORDER
    if now < other_time:
        return _OUT_OF_ORDER
    stations[station, _ASKED], stations[station, _ASKED_AT], processes[process, _AT] = process, now, here
    if stations[station, _QUEUE] == NOBODY:
        if stations[station, _SINGLE]:
            free = stations[station, _FREE]
            if free != _HELD:
                stations[station, _FREE] = _HELD
                return max(now, free)
        elif _has(stations, gifts, station, _wanted(code, data, processes, process)):
            return max(now, stations[station, _GOT_AT])
        stations[station, _QUEUE] = process
    else:
        processes[stations[station, _QUEUE_END], _LINK] = process
    stations[station, _QUEUE_END] = process
    processes[process, _TIME], processes[process, _LINK] = now, NOBODY
    return _WAITS


@njit(cache=True)
def _has(stations, gifts, pool, wanted):  # type: ignore[no-untyped-def]
    """Take so much of a pool on sight, and as many gifts as that needs; whether they are enough."""
    while stations[pool, _FREE] < wanted and stations[pool, _GIFTS] != NOBODY:
        gift = stations[pool, _GIFTS]
        stations[pool, _GOT_AT] = gifts[gift, 0]
        stations[pool, _FREE] += gifts[gift, 1]
        stations[pool, _GIFTS] = gifts[gift, 2]
    if stations[pool, _FREE] < wanted:
        return False
    stations[pool, _FREE] -= wanted
    return True


@njit(cache=True)
def _pass_on(processes, stations, calendar, state, station, now):  # type: ignore[no-untyped-def]
    """A single station, given back at a time that may be ahead, to the next in its queue.

    Whether anybody is in the queue is asked by those who call, who stand in the loop: a call for each station that is
    given back takes a sixth of the whole time.
    """
    if stations[station, _BY_CALENDAR]:
        _settle_at(processes, stations, calendar, state, station, now)
    else:
        stations[station, _FREE] = _HELD
        _hand(processes, stations, state, station, max(processes[stations[station, _QUEUE], _TIME], now))


@njit(cache=True)
def _give_on_sight(code, data, processes, stations, gifts, state, pool, amount, now):  # type: ignore[no-untyped-def]
    """To a pool; whether that is not before what was given last."""
    if now < stations[pool, _GAVE_AT]:
        return False
    stations[pool, _GAVE_AT] = now
    gift = state[_GIVEN]
    state[_GIVEN] += 1
    gifts[gift, 0], gifts[gift, 1], gifts[gift, 2] = now, amount, NOBODY
    if stations[pool, _GIFTS] == NOBODY:
        stations[pool, _GIFTS] = gift
    else:
        gifts[stations[pool, _GIFTS_END], 2] = gift
    stations[pool, _GIFTS_END] = gift
    while stations[pool, _QUEUE] != NOBODY:
        process = stations[pool, _QUEUE]
        if not _has(stations, gifts, pool, _wanted(code, data, processes, process)):
            break
        _hand(processes, stations, state, pool, max(processes[process, _TIME], stations[pool, _GOT_AT]))
    return True


# --- processes --------------------------------------------------------------------------------------------------------


@njit(cache=True)
def _run(code, data, processes, gates, stations, gifts, calendar, state, start, end):  # type: ignore[no-untyped-def]
    """Runs all processes; how it ended. Each goes on, at ``here`` and ``now``, until it waits; ``granted``: it was
    given the station that it asks for there, at the end of that round."""
    begun = 0
    while True:
        granted = False
        if begun < len(processes):
            process = begun
            begun += 1
            here, now = processes[process, _AT], 0
        elif state[_READY] != NOBODY:
            process = state[_READY]
            state[_READY] = processes[process, _LINK]
            here, now = processes[process, _AT], processes[process, _TIME] & ~_KIND
            granted = processes[process, _TIME] & _KIND == _SETTLES
        elif state[_ENTRIES] > 0:
            process, here, now, granted = _from_calendar(code, data, processes, stations, calendar, state)
            if process == NOBODY:
                continue
        else:
            return _RAN
        stop, number = processes[process, _STOP], processes[process, _NUMBER]
        while here < stop:
            do = code[here, _DO]
            if do == _WAIT:
                gate = _number(data, code[here, _A], code[here, _A_COLUMN], number)
                if gates[gate, _CLOSED] > 0:
                    _sleep(processes, gates, gate, process, here, now)
                    break
                now = max(now, gates[gate, _OPENED])
                if code[here, _SLOT] != NO_SLOT:
                    end[code[here, _SLOT] + number] = now >> _TICK
            elif do == _RAISE:
                gate = _number(data, code[here, _A], code[here, _A_COLUMN], number)
                gates[gate, _OPENED] = max(gates[gate, _OPENED], now)
                gates[gate, _CLOSED] -= 1
                if gates[gate, _CLOSED] == 0 and gates[gate, _SLEEPING] != NOBODY:
                    _wake(processes, gates, state, gate)
            elif do in (_TAKE, _USE):
                station, duration = code[here, _A], 0
                if do == _USE:
                    duration = _number(data, code[here, _B], code[here, _B_COLUMN], number)
                    if duration == 0:
                        here += 1
                        continue
                if not granted:
                    if stations[station, _BY_CALENDAR]:
                        first = state[_ENTRIES] == 0 or now | _ASKS < calendar[0, 0]
                        if not first or state[_READY] != NOBODY or begun < len(processes):
                            _enter(code, processes, calendar, state, process, now | _ASKS, here)
                            break
                        processes[process, _AT] = here
                        now = _ask(processes, stations, calendar, state, station, process, now)
                        if now == _WAITS:
                            break
                    elif _at_once(stations, station, now):
                        stations[station, _ASKED], stations[station, _ASKED_AT] = process, now
                        now = max(now, stations[station, _FREE])
                        stations[station, _FREE] = _HELD
                    else:
                        now = _ask_on_sight(code, data, processes, stations, gifts, station, process, now, here)
                        if now < 0:
                            if now == _OUT_OF_ORDER:
                                return _DISORDER
                            break
                granted = False
                now += _ROUND
                if now & _ROUNDS == 0:
                    return _TOO_LARGE
                if do == _USE:
                    slot, tick = code[here, _SLOT] + number, now >> _TICK
                    start[slot], end[slot] = tick, tick + duration
                    if tick + duration > _LAST_TICK:
                        return _TOO_LARGE
                    now = (tick + duration) << _TICK
                    if stations[station, _SINGLE]:
                        stations[station, _FREE] = now
                        if stations[station, _QUEUE] != NOBODY:
                            _pass_on(processes, stations, calendar, state, station, now)
                    elif stations[station, _BY_CALENDAR]:
                        _enter(code, processes, calendar, state, process, now | _GIVES, here)
                        break
                    elif not _give_on_sight(code, data, processes, stations, gifts, state, station, 1, now):
                        return _DISORDER
                elif code[here, _SLOT] != NO_SLOT:
                    end[code[here, _SLOT] + number] = now >> _TICK
            elif do == _GIVE:
                station = code[here, _A]
                if stations[station, _SINGLE]:
                    stations[station, _FREE] = now
                    if stations[station, _QUEUE] != NOBODY:
                        _pass_on(processes, stations, calendar, state, station, now)
                elif stations[station, _BY_CALENDAR]:
                    _enter(code, processes, calendar, state, process, now | _GIVES, here)
                    break
                else:
                    amount = _number(data, code[here, _B], code[here, _B_COLUMN], number)
                    if not _give_on_sight(code, data, processes, stations, gifts, state, station, amount, now):
                        return _DISORDER
            elif do == _HOLD:
                duration = _number(data, code[here, _B], code[here, _B_COLUMN], number)
                if duration > 0:
                    tick = (now >> _TICK) + duration
                    if tick > _LAST_TICK:
                        return _TOO_LARGE
                    now = tick << _TICK
                if code[here, _SLOT] != NO_SLOT:
                    end[code[here, _SLOT] + number] = now >> _TICK
            elif do == _SKIP:
                if _number(data, code[here, _B], code[here, _B_COLUMN], number) == 0:
                    here += code[here, _A]
            elif do == _NOTE:
                processes[process, _NOTED + code[here, _REGISTER]] = now >> _TICK
            else:
                slot = code[here, _SLOT] + number
                start[slot], end[slot] = processes[process, _NOTED + code[here, _REGISTER]], now >> _TICK
            here += 1
        else:
            processes[process, _AT] = -1


@njit(cache=True)
def _from_calendar(code, data, processes, stations, calendar, state):  # type: ignore[no-untyped-def]
    """What the first entry is about; who goes on, if anybody: at which instruction, when, and whether granted."""
    now, kind = calendar[0, 0] & ~_KIND, calendar[0, 0] & _KIND
    number = _leave(code, processes, calendar, state)
    if kind == _SETTLES:
        _settle(code, data, processes, stations, state, number - len(processes), now)
        return NOBODY, 0, now, False
    here = processes[number, _AT]
    station = code[here, _A]
    if kind == _ASKS:
        has = _ask(processes, stations, calendar, state, station, number, now)
        return (NOBODY if has == _WAITS else number), here, has, True
    stations[station, _FREE] += _wanted(code, data, processes, number)
    if stations[station, _QUEUE] != NOBODY:
        _settle_at(processes, stations, calendar, state, station, now)
    return number, here + 1, now, False


@njit(cache=True)
def _sleep(processes, gates, gate, process, here, now):  # type: ignore[no-untyped-def]
    """Until the gate opens; then it is asked for again."""
    processes[process, _TIME], processes[process, _AT] = now, here
    last = gates[gate, _SLEEPING]
    if last == NOBODY:
        processes[process, _LINK] = process
    else:
        processes[process, _LINK] = processes[last, _LINK]
        processes[last, _LINK] = process
    gates[gate, _SLEEPING] = process


@njit(cache=True)
def _wake(processes, gates, state, gate):  # type: ignore[no-untyped-def]
    """In the order in which they came."""
    last = gates[gate, _SLEEPING]
    process = processes[last, _LINK]
    while process != last:
        following = processes[process, _LINK]
        _goes_on(processes, state, process, processes[process, _TIME])
        process = following
    _goes_on(processes, state, last, processes[last, _TIME])
