"""Run a program in compiled loops, to the same picosecond as `simpy_engine`: the engine used by default.

A process does not wait for the clock. It has a time of its own and *runs ahead* until it waits for a gate or a station,
since most of what it does concerns no other process: a gate opens at the latest time of those that raise it, and a
station is free from the time at which it was given back. Only the order in which a station serves its requests has to
be right. There are two ways to ensure that:

*on sight*     The station serves a request as soon as the loop comes to it, and checks that requests come in order.
*by calendar*  Requests are kept in a calendar (a heap ordered by time) and made when no earlier one can come any more.

A station that only one instruction of the program asks for is served on sight, others by calendar. If a check fails,
the program is run again from the beginning with all stations by calendar. A time is one integer made of tick, round and
kind (see `_ROUND`); where a program needs more ticks or rounds than fit in it, `simpy_engine` runs instead.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from rpusim.arch.contract.columns import Integers
from rpusim.arch.contract.compiled_loops import compiled, inlined
from rpusim.arch.contract.uncounted import uncounted
from rpusim.arch.engine.events import NEVER, Events
from rpusim.arch.engine.operands import Data, operand
from rpusim.arch.engine.program import NO_SLOT, REGISTERS, Do, Program
from rpusim.arch.engine.simpy_engine import SimpyEngine

NOBODY = -1
_WAIT, _RAISE, _TAKE, _GIVE, _USE, _HOLD, _SKIP, _NOTE, _LOG, _UNTIL = (int(do) for do in Do)
_DO, _A, _A_COLUMN, _B, _B_COLUMN, _SLOT, _REGISTER = range(7)

# A time is one integer: tick << _TICK | round << 2 | kind.
_GIVES, _ASKS, _SETTLES = 0, 1, 2
"""Kinds of entries in the calendar, in their order within a round: amounts given back, then requests, then stations
that hand out what is free. The time of a process that was handed a station has the last kind until it runs on."""
_KIND = 3
"""Mask of the kind in a time."""
_ROUND = 4
"""What is added to a time to get to the next round."""
_TICK = 14
"""Place of the tick in a time: the bits below it are round and kind."""
_ROUNDS = (1 << _TICK) - 1
"""Mask of round and kind in a time."""
_LAST_TICK = (1 << 48) - 1
_END = _LAST_TICK << _TICK
"""The time of the last tick."""
_HELD = np.iinfo(np.int64).max
"""The time from which a station is free that has not been given back yet."""

_RAN, _DISORDER, _TOO_LARGE = range(3)
"""How a run ended: complete, with requests out of order at a station on sight, or with times too large for a number."""
_WAITS, _OUT_OF_ORDER = -1, -2
"""Answers to a request in place of the time at which it is granted."""


# Columns of ``processes``:
# number: in its task. stop: the instruction after its last. key: see `Program.keys`. at: the instruction at which it
# waits or runs on; -1 when it has finished. time: its own; with a kind while it is in the calendar or was handed a
# station. link: the next process in the list that it is in. From noted on: its registers.
_NUMBER, _STOP, _KEY, _AT, _TIME, _LINK, _NOTED = range(7)
# Columns of ``gates``:
# closed: how often it still has to be raised. opened: when it was last raised. sleeping: the last of the processes that
# wait for it; that one links to the first.
_CLOSED, _OPENED, _SLEEPING = range(3)
# Columns of ``stations``:
# single: whether its capacity is 1. by calendar: or on sight. free: of a pool, the amount that is free; of a single
# station, the time from which it is free. queue, queue end: first and last process that waits. finger: the process that
# was last put between others of the queue. settling: whether the station is in the calendar.
_SINGLE, _BY_CALENDAR, _FREE, _QUEUE, _QUEUE_END, _FINGER, _SETTLING = range(7)
# Columns of stations on sight. asked, asked at: the last request, and its time. For pools: gave at: when something was
# last given back. got at: when the last amount that was handed out had been given back. gifts, gifts end: first and
# last of the amounts that were given back and not yet handed out.
_ASKED, _ASKED_AT, _GAVE_AT, _GOT_AT, _GIFTS, _GIFTS_END = range(7, 13)
# Columns of stations with a latency. latency: in the units of a time. way, way end: where in ``left`` the times stand
# at which the latest left it, as many as may be in it and on the way. turn: the place of the oldest of them.
_LATENCY, _WAY, _WAY_END, _TURN = range(13, 17)
# Column of ``code`` beside those of `INSTRUCTION`: the last process of the chain that waits at this instruction behind
# one in the calendar.
_CHAIN = 7
# Entries of ``state``: first and last process that can run on, number of entries in the calendar, number of gifts.
_READY, _READY_END, _ENTRIES, _GIVEN = range(4)
# Columns of ``calendar``, a heap: time, key, and the process, or the number of processes plus the station.
# Columns of ``gifts``: when it was given, amount, next gift of the same pool.


class CompiledEngine:
    """Run one program from time 0, with the interface of `SimpyEngine`."""

    def __init__(self, program: Program) -> None:
        self._program = program
        self.stuck: dict[int, int] = {}
        """After the run: the processes that never finished, and the instruction at which each still waits."""
        self.on_sight = False
        """After the run: whether any station was served on sight."""

    def run(self) -> Events:
        """Run the program; returns its events. `stuck` names the processes that never finished."""
        return self._program.events(*self.times())

    def times(self) -> tuple[Integers, Integers]:
        """Run the program; returns start and end of every slot, each (slots,) in ps."""
        asks = self._program.code[np.isin(self._program.code[:, _DO], (_TAKE, _USE)), _A]
        several = np.bincount(asks, minlength=len(self._program.capacity)) > 1
        if self._program.latency.max(initial=0) > _LAST_TICK:
            outcome = _TOO_LARGE
        else:
            outcome, at, start, end = self._run(several)
        self.on_sight = outcome == _RAN
        if outcome == _DISORDER:
            outcome, at, start, end = self._run(np.ones_like(several))
        if outcome == _TOO_LARGE:
            definition = SimpyEngine(self._program)
            times = definition.times()
            self.stuck = definition.stuck
            return times
        waiting = np.flatnonzero(at >= 0)
        self.stuck = dict(zip(waiting.tolist(), at[waiting].tolist(), strict=True))
        return start, end

    def _run(self, by_calendar: NDArray[np.bool_]) -> tuple[int, Integers, Integers, Integers]:
        """Set up the tables and run the loop once.

        Args:
            by_calendar: (stations,) whether each is served by calendar.

        Returns:
            How the run ended (such as `_RAN`), (processes,) the instruction at which each process still waits (-1: it
            finished), and start and end of every slot.
        """
        p, single = self._program, self._program.capacity == 1
        task = np.repeat(np.arange(len(p.tasks)), p.tasks[:, 3])
        processes = np.empty((len(task), _NOTED + REGISTERS), np.int64)
        processes[:, _NUMBER] = np.arange(len(task)) - p.tasks[task, 2]
        processes[:, _STOP], processes[:, _AT] = p.tasks[task, 1], p.tasks[task, 0]
        processes[:, _KEY] = p.keys
        gates = np.zeros((len(p.raises), 3), np.int64)
        gates[:, _CLOSED], gates[:, _SLEEPING] = p.raises, NOBODY
        stations = np.zeros((len(single), _TURN + 1), np.int64)
        stations[:, _SINGLE], stations[:, _BY_CALENDAR] = single, by_calendar
        stations[:, _FREE] = np.where(single, 0, p.capacity)
        stations[:, [_QUEUE, _FINGER, _ASKED, _GIFTS]] = NOBODY
        ways = np.cumsum(np.where(single & (p.latency > 0), np.minimum(p.in_flight, _uses(p) + 1), 0))
        stations[:, _LATENCY], stations[:, _WAY_END] = p.latency << _TICK, ways
        stations[:, _WAY] = stations[:, _TURN] = np.concatenate([[0], ways])[:-1]
        left = np.full(int(ways[-1]) if len(ways) else 0, -_HELD)
        code = np.column_stack([p.code, np.full(len(p.code), NOBODY)])
        state = np.array([NOBODY, NOBODY, 0, 0])
        gifts = np.empty((_most_gifts(p, by_calendar | single), 3), np.int64)
        calendar = np.empty((len(processes) + len(stations), 3), np.int64)
        start, end = np.full(p.slots, NEVER), np.full(p.slots, NEVER)
        outcome = _run(code, p.data, processes, gates, stations, gifts, left, calendar, state, start, end)
        return outcome, processes[:, _AT], start, end


def _uses(p: Program) -> Integers:
    """Count how often each station is used at most: (stations,); more than that never are on their way from it."""
    uses = np.flatnonzero(p.code[:, _DO] == _USE)
    sizes = p.tasks[np.searchsorted(p.tasks[:, 1], uses, side="right"), 3]
    found = np.zeros(len(p.capacity), np.int64)
    np.add.at(found, p.code[uses, _A], sizes)
    return found


def _most_gifts(p: Program, otherwise: NDArray[np.bool_]) -> int:
    """Count how often amounts are given back to pools on sight; ``otherwise``: (stations,) those that are not such."""
    gives = np.flatnonzero(np.isin(p.code[:, _DO], (_GIVE, _USE)))
    gives = gives[~otherwise[p.code[gives, _A]]]
    return int(p.tasks[np.searchsorted(p.tasks[:, 1], gives, side="right"), 3].sum())


_operand: Callable[[Data, int, int, int], int] = inlined(operand)


@inlined
def _wanted(code: Integers, data: Data, processes: Integers, process: int) -> int:
    """Return the amount that a process takes or gives at its instruction."""
    here = processes[process, _AT]
    if code[here, _DO] == _USE:
        return 1
    return _operand(data, code[here, _B], code[here, _B_COLUMN], processes[process, _NUMBER])


@inlined
def _before(processes: Integers, time: int, process: int, other_time: int, other: int) -> bool:
    """Tell whether one request precedes another: by time, then key, then process."""
    if time != other_time:
        return time < other_time
    key, other_key = processes[process, _KEY], processes[other, _KEY]
    return key < other_key or (key == other_key and process < other)


# --- the calendar -----------------------------------------------------------------------------------------------------


@inlined
def _earlier(calendar: Integers, entry: int, time: int, key: int, number: int) -> bool:
    """Tell whether an entry of the calendar precedes a given time, key and number."""
    if calendar[entry, 0] != time:
        return bool(calendar[entry, 0] < time)
    if calendar[entry, 1] != key:
        return bool(calendar[entry, 1] < key)
    return bool(calendar[entry, 2] < number)


@inlined
def _put(calendar: Integers, entry: int, time: int, key: int, number: int) -> None:
    """Overwrite an entry of the calendar."""
    calendar[entry, 0], calendar[entry, 1], calendar[entry, 2] = time, key, number


@inlined
def _push(calendar: Integers, state: Integers, time: int, key: int, number: int) -> None:
    """Add an entry to the calendar."""
    hole = state[_ENTRIES]
    state[_ENTRIES] += 1
    while hole > 0:
        parent = (hole - 1) >> 1
        if _earlier(calendar, parent, time, key, number):
            break
        _put(calendar, hole, calendar[parent, 0], calendar[parent, 1], calendar[parent, 2])
        hole = parent
    _put(calendar, hole, time, key, number)


@inlined
def _put_first(calendar: Integers, state: Integers, time: int, key: int, number: int) -> None:
    """Replace the first entry of the calendar."""
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


@inlined
def _pop(calendar: Integers, state: Integers) -> None:
    """Remove the first entry of the calendar."""
    state[_ENTRIES] -= 1
    last = state[_ENTRIES]
    if last > 0:
        _put_first(calendar, state, calendar[last, 0], calendar[last, 1], calendar[last, 2])


@inlined
def _enter(
    code: Integers, processes: Integers, calendar: Integers, state: Integers, process: int, time: int, here: int
) -> None:
    """Put a process into the calendar, or into the chain of those at the same instruction if it is the latest of them.

    Only the first of a chain is in the heap, which keeps the heap small.
    """
    processes[process, _TIME], processes[process, _AT], processes[process, _LINK] = time, here, NOBODY
    last = code[here, _CHAIN]
    if last != NOBODY and _before(processes, processes[last, _TIME], last, time, process):
        processes[last, _LINK] = process
        code[here, _CHAIN] = process
        return
    if last == NOBODY:
        code[here, _CHAIN] = process
    _push(calendar, state, time, processes[process, _KEY], process)


@inlined
def _leave(code: Integers, processes: Integers, calendar: Integers, state: Integers) -> int:
    """Take the first entry out of the calendar and put the next of its chain in its place."""
    number = int(calendar[0, 2])
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


@inlined
def _goes_on(processes: Integers, state: Integers, process: int, time: int) -> None:
    """Append a process to those that can run on."""
    processes[process, _TIME], processes[process, _LINK] = time, NOBODY
    if state[_READY] == NOBODY:
        state[_READY] = process
    else:
        processes[state[_READY_END], _LINK] = process
    state[_READY_END] = process


@inlined
def _queue(processes: Integers, stations: Integers, station: int, process: int) -> None:
    """Put a process into a station's queue by tick, key and index: nearly always behind all others.

    Others are looked for from the finger on, as those that are put between others tend to come in order, too.
    """
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


@inlined
def _hand(processes: Integers, stations: Integers, state: Integers, station: int, time: int) -> None:
    """Give the station, or the amount that it wants, to the first in the queue, which runs on in the next round."""
    process = stations[station, _QUEUE]
    stations[station, _QUEUE] = processes[process, _LINK]
    if stations[station, _FINGER] == process:
        stations[station, _FINGER] = NOBODY
    _goes_on(processes, state, process, time | _SETTLES)


@inlined
def _settle_at(
    processes: Integers, stations: Integers, calendar: Integers, state: Integers, station: int, time: int
) -> None:
    """Have a station hand out what is free at the end of the round of ``time``."""
    if not stations[station, _SETTLING]:
        stations[station, _SETTLING] = 1
        _push(calendar, state, time | _SETTLES, 0, len(processes) + station)


@inlined
def _settle(
    code: Integers, data: Data, processes: Integers, stations: Integers, state: Integers, station: int, now: int
) -> None:
    """Hand out what is free of a station by calendar, at the end of a round."""
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


@inlined
def _ask(
    processes: Integers, stations: Integers, calendar: Integers, state: Integers, station: int, process: int, now: int
) -> int:
    """Ask for a station by calendar when no earlier request can come.

    Returns the time from which the process has the station, or `_WAITS`.
    """
    free = stations[station, _FREE]
    if stations[station, _SINGLE] and stations[station, _QUEUE] == NOBODY and free != _HELD:
        # Where nobody else can ask in this tick, it is the next even if the station is not free yet.
        alone = state[_ENTRIES] == 0 or calendar[0, 0] >> _TICK > now >> _TICK
        if free <= now or alone:
            stations[station, _FREE] = _HELD
            return int(max(now, free))
    processes[process, _TIME] = now
    _queue(processes, stations, station, process)
    if not stations[station, _SINGLE]:
        _settle_at(processes, stations, calendar, state, station, now)
    elif free != _HELD:
        _settle_at(processes, stations, calendar, state, station, max(now, free))
    return _WAITS


@inlined
def _at_once(stations: Integers, station: int, now: int) -> bool:
    """Tell whether a request to a station on sight needs no look at queues, keys and gifts: nearly always."""
    later = now >> _TICK > stations[station, _ASKED_AT] >> _TICK
    return bool(later and stations[station, _SINGLE] and stations[station, _FREE] != _HELD)


@inlined
def _ask_on_sight(
    code: Integers,
    data: Data,
    processes: Integers,
    stations: Integers,
    gifts: Integers,
    station: int,
    process: int,
    now: int,
    here: int,
) -> int:
    """Ask for a station on sight.

    Returns the time from which the process has the station, or `_WAITS`, or `_OUT_OF_ORDER` if this request should have
    come before the last one.
    """
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
                return int(max(now, free))
        elif _has(stations, gifts, station, _wanted(code, data, processes, process)):
            return int(max(now, stations[station, _GOT_AT]))
        stations[station, _QUEUE] = process
    else:
        processes[stations[station, _QUEUE_END], _LINK] = process
    stations[station, _QUEUE_END] = process
    processes[process, _TIME], processes[process, _LINK] = now, NOBODY
    return _WAITS


@inlined
def _has(stations: Integers, gifts: Integers, pool: int, wanted: int) -> bool:
    """Take an amount of a pool on sight, with as many gifts as that needs; returns whether there is enough."""
    while stations[pool, _FREE] < wanted and stations[pool, _GIFTS] != NOBODY:
        gift = stations[pool, _GIFTS]
        stations[pool, _GOT_AT] = gifts[gift, 0]
        stations[pool, _FREE] += gifts[gift, 1]
        stations[pool, _GIFTS] = gifts[gift, 2]
    if stations[pool, _FREE] < wanted:
        return False
    stations[pool, _FREE] -= wanted
    return True


@inlined
def _pass_on(
    processes: Integers, stations: Integers, calendar: Integers, state: Integers, station: int, now: int
) -> None:
    """Pass a single station, given back at ``now``, which may be ahead of its queue, to the next in the queue.

    Callers check before that there is one.
    """
    if stations[station, _BY_CALENDAR]:
        _settle_at(processes, stations, calendar, state, station, now)
    else:
        stations[station, _FREE] = _HELD
        _hand(processes, stations, state, station, max(processes[stations[station, _QUEUE], _TIME], now))


@inlined
def _leaves(stations: Integers, left: Integers, station: int, now: int) -> int:
    """Note that something leaves a single station; returns from when on it is free, as one more may be on the way."""
    turn = stations[station, _TURN]
    left[turn] = now
    turn += 1
    if turn == stations[station, _WAY_END]:
        turn = stations[station, _WAY]
    stations[station, _TURN] = turn
    return int(max(now, left[turn] + stations[station, _LATENCY]))


@inlined
def _give_on_sight(
    code: Integers,
    data: Data,
    processes: Integers,
    stations: Integers,
    gifts: Integers,
    state: Integers,
    pool: int,
    amount: int,
    now: int,
) -> bool:
    """Give an amount back to a pool on sight; returns False if that should have come before the last such."""
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


@compiled
def _run(
    code: Integers,
    data: Data,
    processes: Integers,
    gates: Integers,
    stations: Integers,
    gifts: Integers,
    left: Integers,
    calendar: Integers,
    state: Integers,
    start: Integers,
    end: Integers,
) -> int:
    """Run all processes; returns how the run ended.

    A process runs on from instruction ``here`` at the time ``now`` until it waits. ``granted``: it was handed the
    station that it asks for there, at the end of the round of ``now``.
    """
    code, data, processes, gates = uncounted(code), uncounted(data), uncounted(processes), uncounted(gates)
    stations, gifts, left, calendar = uncounted(stations), uncounted(gifts), uncounted(left), uncounted(calendar)
    state, start, end = uncounted(state), uncounted(start), uncounted(end)
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
                gate = _operand(data, code[here, _A], code[here, _A_COLUMN], number)
                if gates[gate, _CLOSED] > 0:
                    _sleep(processes, gates, gate, process, here, now)
                    break
                now = max(now, gates[gate, _OPENED])
                if code[here, _SLOT] != NO_SLOT:
                    end[code[here, _SLOT] + number] = now >> _TICK
            elif do == _RAISE:
                gate = _operand(data, code[here, _A], code[here, _A_COLUMN], number)
                gates[gate, _OPENED] = max(gates[gate, _OPENED], now)
                gates[gate, _CLOSED] -= 1
                if gates[gate, _CLOSED] == 0 and gates[gate, _SLEEPING] != NOBODY:
                    _wake(processes, gates, state, gate)
            elif do in (_TAKE, _USE):
                station, duration = code[here, _A], 0
                if do == _USE:
                    duration = _operand(data, code[here, _B], code[here, _B_COLUMN], number)
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
                    now, latency = (tick + duration) << _TICK, stations[station, _LATENCY]
                    if stations[station, _SINGLE]:
                        free = _leaves(stations, left, station, now) if latency > 0 else now
                        stations[station, _FREE] = free
                        if stations[station, _QUEUE] != NOBODY:
                            _pass_on(processes, stations, calendar, state, station, free)
                    elif stations[station, _BY_CALENDAR]:
                        _enter(code, processes, calendar, state, process, now | _GIVES, here)
                        break
                    elif not _give_on_sight(code, data, processes, stations, gifts, state, station, 1, now):
                        return _DISORDER
                    if latency > 0:
                        if now > _END - latency:
                            return _TOO_LARGE
                        now += latency
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
                    amount = _operand(data, code[here, _B], code[here, _B_COLUMN], number)
                    if not _give_on_sight(code, data, processes, stations, gifts, state, station, amount, now):
                        return _DISORDER
            elif do == _HOLD:
                duration = _operand(data, code[here, _B], code[here, _B_COLUMN], number)
                if duration > 0:
                    tick = (now >> _TICK) + duration
                    if tick > _LAST_TICK:
                        return _TOO_LARGE
                    now = tick << _TICK
                if code[here, _SLOT] != NO_SLOT:
                    end[code[here, _SLOT] + number] = now >> _TICK
            elif do == _SKIP:
                if _operand(data, code[here, _B], code[here, _B_COLUMN], number) == 0:
                    here += code[here, _A]
            elif do == _NOTE:
                processes[process, _NOTED + code[here, _REGISTER]] = now >> _TICK
            elif do == _UNTIL:
                duration = _operand(data, code[here, _B], code[here, _B_COLUMN], number)
                tick = processes[process, _NOTED + code[here, _REGISTER]] + duration
                if tick > _LAST_TICK:
                    return _TOO_LARGE
                now = max(now, tick << _TICK)
                if code[here, _SLOT] != NO_SLOT:
                    end[code[here, _SLOT] + number] = now >> _TICK
            else:
                slot = code[here, _SLOT] + number
                start[slot], end[slot] = processes[process, _NOTED + code[here, _REGISTER]], now >> _TICK
            here += 1
        else:
            processes[process, _AT] = -1


@inlined
def _from_calendar(
    code: Integers, data: Data, processes: Integers, stations: Integers, calendar: Integers, state: Integers
) -> tuple[int, int, int, bool]:
    """Deal with the first entry of the calendar.

    Returns the process that runs on (or `NOBODY`), at which instruction, at what time, and whether it was granted the
    station that it asks for there.
    """
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
    if code[here, _DO] == _USE:
        now += stations[station, _LATENCY]
    return number, here + 1, now, False


@inlined
def _sleep(processes: Integers, gates: Integers, gate: int, process: int, here: int, now: int) -> None:
    """Have a process wait for a gate; when that opens, it runs the same instruction again."""
    processes[process, _TIME], processes[process, _AT] = now, here
    last = gates[gate, _SLEEPING]
    if last == NOBODY:
        processes[process, _LINK] = process
    else:
        processes[process, _LINK] = processes[last, _LINK]
        processes[last, _LINK] = process
    gates[gate, _SLEEPING] = process


@inlined
def _wake(processes: Integers, gates: Integers, state: Integers, gate: int) -> None:
    """Let all processes that wait for a gate run on, in the order in which they came."""
    last = gates[gate, _SLEEPING]
    process = processes[last, _LINK]
    while process != last:
        following = processes[process, _LINK]
        _goes_on(processes, state, process, processes[process, _TIME])
        process = following
    _goes_on(processes, state, last, processes[last, _TIME])
