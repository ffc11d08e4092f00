"""When a machine repeats itself: its state at one time is that of an earlier time, some samples further on.

What a machine does next depends on its state alone: which process is where in its instructions, how long those that
hold on still do, and in what order the others queue. Where all samples are alike, a state that comes back with every
process replaced by the one so many samples later therefore comes back for ever. What happened between the two times is
then done again as often as there are samples, and need not be run: it is found exactly, from the first few.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property, lru_cache

import numpy as np
from numba import njit

from rpusim.arch.contract.activity import Phase
from rpusim.arch.contract.columns import Integers
from rpusim.arch.engine.program import HEAD, INSTRUCTION, REGISTERS, Do, Program

_WAIT, _TAKE, _USE, _HOLD, _NOTE, _LOG = (int(do) for do in (Do.WAIT, Do.TAKE, Do.USE, Do.HOLD, Do.NOTE, Do.LOG))
_DO, _A, _SLOT, _REGISTER = (INSTRUCTION.index(name) for name in ("do", "a", "slot", "register"))
_NOTHING, _GATE, _STATION, _TIME = range(4)
"""What a process waits for; nothing: it is done."""

# Of a process at one tick. at: the instruction at which it waits. for: what. left: until when it holds on, else 0.
# noted: how long what it has noted is ago, else 0. at_station: which it waits for; since: from when on. begun: whether
# it had waited for anything but gates that were open at the origin.
_AT, _FOR, _LEFT, _NOTED = range(4)
_STATE = _NOTED + REGISTERS
_AT_STATION, _SINCE, _BEGUN = range(_STATE, _STATE + 3)


@dataclass(frozen=True)
class Period:
    """What is done from tick ``start`` up to tick ``stop``, ``samples`` of them, is what is done ever after."""

    start: int
    stop: int
    samples: int

    @property
    def ps(self) -> int:
        return self.stop - self.start


class History:
    """What the tasks of a traced program did, from its times.

    tasks: those in which anything is waited for. once: of every task, whether it is done before all samples.
    """

    def __init__(self, program: Program, start: Integers, end: Integers) -> None:
        self._program, self._start, self._end = program, start, end
        self._first, self._sizes = program.tasks[:, 2], program.tasks[:, 3]
        self._begins, self._ends = _spans(program.code, program.tasks, start, end)
        waits = np.concatenate([[0], np.cumsum(np.isin(program.code[:, _DO], (_WAIT, _TAKE, _USE, _HOLD)))])
        self.tasks = np.flatnonzero(waits[program.tasks[:, 1]] > waits[program.tasks[:, 0]])
        self.once = program.heads[:, HEAD.index("phase")] == Phase.MAINTENANCE

    @cached_property
    def used(self) -> list[set[int]]:
        """Stations of every task."""
        code, spans = self._program.code, self._program.tasks[:, :2].tolist()
        asks = np.isin(code[:, _DO], (_TAKE, _USE))
        return [set(code[first:stop, _A][asks[first:stop]].tolist()) for first, stop in spans]

    def begins(self, task: int) -> Integers:
        """When each of its processes had waited for the first thing."""
        return self._begins[self._first[task] :][: self._sizes[task]]

    def ends(self, task: int) -> Integers:
        """When each of its processes had nothing more to wait for."""
        return self._ends[self._first[task] :][: self._sizes[task]]

    def find(self, tasks: Integers, samples: int, origin: int = 0) -> Period | None:
        """The first period of tasks that do so many equal samples and have to do with no others from ``origin`` on."""
        every = tasks[(self._sizes[tasks] % samples == 0) & ~self.once[tasks]]
        if not len(every):
            return None
        last = max(map(self.ends, every.tolist()), key=lambda ends: int(ends[-1]))
        ticks = last[len(last) // samples - 1 :: len(last) // samples].tolist()[:-1]
        state = lru_cache(2)(lambda tick: self._state(tasks, tick, origin))
        each = int(self._sizes[every].sum()) // samples
        marks = [_mark(state(tick), each * number) for number, tick in enumerate(ticks)]
        for number in range(1, len(ticks)):
            for first, (start, stop) in enumerate(zip(ticks, ticks[number:], strict=False)):
                if marks[first] == marks[first + number]:
                    shift, rest = np.divmod(self._sizes[tasks] * number, samples)
                    if not np.any(rest[~self.once[tasks]]) and self._recurs(tasks, state(start), state(stop), shift):
                        return Period(start, stop, number)
        return None

    def _recurs(self, tasks: Integers, before: Integers, after: Integers, shifts: Integers) -> bool:
        """Whether the state after a period is that before it, with each task so many processes further on.

        The last ones had not begun anything before it. If there were more samples, these would not have done so after
        it either: what the last ones still waited for had not been done, and so what those would wait for is not.
        """
        sizes = self._sizes[tasks]
        size, shift, once = (np.repeat(column, sizes) for column in (sizes, shifts, self.once[tasks]))
        number = np.arange(len(size)) - np.repeat(np.cumsum(sizes) - sizes, sizes)
        keys = self._program.keys[np.repeat(self._first[tasks], sizes) + number]
        these = np.flatnonzero(~once & (number < size - shift))
        those = these + shift[these]
        return bool(
            np.all(before[_FOR][once] == _NOTHING)
            and np.all(after[_FOR][~once & (number < shift)] == _NOTHING)
            and not np.any(before[_BEGUN][~once & (number >= size - shift)])
            and all(np.array_equal(before[row][these], after[row][those]) for row in range(_STATE))
            and np.array_equal(_queues(before[:, these], keys[these]), _queues(after[:, those], keys[those]))
        )

    def _state(self, tasks: Integers, tick: int, origin: int) -> Integers:
        """Of their processes, one column for each."""
        program = self._program
        found = np.zeros((_BEGUN + 1, int(self._sizes[tasks].sum())), np.int64)
        _look(program.code, program.tasks[tasks], self._start, self._end, tick, origin, found)
        return found


def _mark(state: Integers, before: int) -> tuple[int, bytes]:
    """How many are done beyond those of the samples ``before``, and what holds on for how long: quick to compare, and
    the same where a state comes back."""
    held = state[_FOR] == _TIME
    return int((state[_FOR] == _NOTHING).sum()) - before, np.sort(
        state[_LEFT][held] * (1 << 20) + state[_AT][held]
    ).tobytes()


def _queues(state: Integers, keys: Integers) -> Integers:
    """(station, place) of processes that wait for stations, first those first served."""
    place = np.flatnonzero(state[_FOR] == _STATION)
    station, since = state[_AT_STATION, place], state[_SINCE, place]
    return np.stack([station, place])[:, np.lexsort((place, keys[place], since, station))]


@njit(cache=True)
def _spans(code, tasks, start, end):  # type: ignore[no-untyped-def]
    """When each process had waited for the first thing, and for all."""
    processes = tasks[-1, 2] + tasks[-1, 3] if len(tasks) else 0
    begins, ends = np.zeros(processes, np.int64), np.zeros(processes, np.int64)
    for first, stop, process, size in tasks:
        waited = False
        for here in range(first, stop):
            do, slot = code[here, _DO], code[here, _SLOT]
            if do in (_WAIT, _TAKE, _USE, _HOLD):
                for number in range(size):
                    if not waited:
                        begins[process + number] = max(0, (start if do == _USE else end)[slot + number])
                    ends[process + number] = max(ends[process + number], end[slot + number])
                waited = True
    return begins, ends


@njit(cache=True)
def _look(code, tasks, start, end, tick, origin, found):  # type: ignore[no-untyped-def]
    """What was skipped was over with what came before it."""
    process, noted = 0, np.empty(REGISTERS, np.int64)
    for first, stop, _, size in tasks:
        for number in range(size):
            over, begun, at, waits, left = 0, 0, stop, _NOTHING, 0
            noted[:] = tick
            for here in range(first, stop):
                do, slot = code[here, _DO], code[here, _SLOT] + number
                if do == _NOTE:
                    noted[code[here, _REGISTER]] = over
                elif do == _LOG:
                    noted[code[here, _REGISTER]] = tick
                elif do == _USE and start[slot] >= tick:
                    at, waits = here, _STATION
                    break
                elif do in (_WAIT, _TAKE, _USE, _HOLD):
                    if end[slot] >= tick:
                        at, waits = here, _GATE if do == _WAIT else _STATION if do == _TAKE else _TIME
                        break
                    over = max(over, end[slot])
                    if do != _WAIT or over > origin:
                        begun = 1
            if waits == _TIME:
                begun, left = 1, end[slot] - tick
            found[_AT, process], found[_FOR, process], found[_LEFT, process] = at, waits, left
            found[_NOTED:_STATE, process] = tick - noted
            found[_AT_STATION, process], found[_SINCE, process], found[_BEGUN, process] = code[at, _A], over, begun
            process += 1
