"""Find when a machine repeats itself: when its state is that of an earlier time, some samples further on.

What a machine does next depends on its state alone: at which instruction each process is, for how long those that hold
a unit still do so, and in what order the others queue. Where all samples are alike, a state that comes back with every
process replaced by the one of a later sample therefore comes back for ever. What happened between the two times then
happens again for all further samples, and need not be run.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property, lru_cache

import numpy as np

from rpusim.arch.contract.activity import Phase
from rpusim.arch.contract.columns import Integers
from rpusim.arch.contract.compiled_loops import compiled
from rpusim.arch.engine.events import NEVER
from rpusim.arch.engine.program import HEAD, INSTRUCTION, REGISTERS, Do, Program

_WAIT, _TAKE, _USE, _HOLD, _NOTE, _LOG, _UNTIL = (
    int(do) for do in (Do.WAIT, Do.TAKE, Do.USE, Do.HOLD, Do.NOTE, Do.LOG, Do.UNTIL)
)
_DO, _A, _SLOT, _REGISTER = (INSTRUCTION.index(name) for name in ("do", "a", "slot", "register"))
_NOTHING, _GATE, _STATION, _TIME = range(4)
"""What a process waits for; nothing: it has finished."""

# Rows of a state, with one column for each process, at one tick:
# at: the instruction at which it waits. for: what it waits for there. left: for how many picoseconds it still holds a
# unit or is on its way from one, else 0. From noted on: how long ago each register was noted, 0 if it does not count
# any more.
_AT, _FOR, _LEFT, _NOTED = range(4)
_STATE = _NOTED + REGISTERS
# Rows that are not compared as they are. at station: which station it waits for. since: the tick from which it waits.
# begun: whether it has waited for anything but gates that were open at the origin.
_AT_STATION, _SINCE, _BEGUN = range(_STATE, _STATE + 3)


@dataclass(frozen=True)
class Period:
    """Say that what happens from one tick up to another is what happens ever after.

    start:    ps.
    stop:     ps.
    samples:  how many samples further on the machine is at ``stop``.
    """

    start: int
    stop: int
    samples: int


@dataclass(frozen=True)
class Repeats:
    """Say for each task that what happened in one period happens more often; all columns are (tasks,).

    since:   ps at which the period begins.
    until:   ps at which it ends.
    times:   how often it happens again, one time after the other.
    before:  how much later (ps) than its times say the whole task happens, as all of the machine repeats itself before
             it; 0, or `later` of the tasks of which ``whole`` is 1.
    whole:   1 if all of the machine repeats this period together; at most one period of a machine is such.
    """

    since: Integers
    until: Integers
    times: Integers
    before: Integers
    whole: Integers

    @staticmethod
    def of(tasks: int, since: int = 0, until: int = 0, times: int = 0) -> Repeats:
        """Repeat one period of the whole machine, or nothing; ``tasks``: how many there are."""
        return Repeats(*(np.full(tasks, number) for number in (since, until, times, 0, 1)))

    def pick(self, tasks: Integers) -> Repeats:
        """Return the entries of these tasks."""
        return Repeats(*(column[tasks] for column in vars(self).values()))

    @property
    def later(self) -> Integers:
        """(tasks,) how much later (ps) than its times say happens what comes after each task's period."""
        return self.before + self.times * (self.until - self.since)


class History:
    """Read from the times of a traced program what its processes waited for at any tick.

    Args:
        program: see `Program.traced`.
        start: (slots,) ps.
        end: (slots,) ps.
    """

    def __init__(self, program: Program, start: Integers, end: Integers) -> None:
        self._program, self._start, self._end = program, start, end
        self._first, self._sizes = program.tasks[:, 2], program.tasks[:, 3]
        self._begins, self._ends = _spans(program.code, program.tasks, program.latency, start, end)
        waits = np.concatenate([[0], np.cumsum(np.isin(program.code[:, _DO], (_WAIT, _TAKE, _USE, _HOLD, _UNTIL)))])
        self.tasks = np.flatnonzero(waits[program.tasks[:, 1]] > waits[program.tasks[:, 0]])
        """The tasks in which anything is waited for."""
        self.once = program.heads[:, HEAD.index("phase")] == Phase.MAINTENANCE
        """(tasks,) whether each is done once, before all samples."""

    @cached_property
    def used(self) -> list[set[int]]:
        """The stations that each task asks for."""
        code, spans = self._program.code, self._program.tasks[:, :2].tolist()
        asks = np.isin(code[:, _DO], (_TAKE, _USE))
        return [set(code[first:stop, _A][asks[first:stop]].tolist()) for first, stop in spans]

    def begins(self, task: int) -> Integers:
        """(processes of the task,) ps at which each first wait was over."""
        begins: Integers = self._begins[self._first[task] :][: self._sizes[task]]
        return begins

    def ends(self, task: int) -> Integers:
        """(processes of the task,) ps at which each last wait was over."""
        ends: Integers = self._ends[self._first[task] :][: self._sizes[task]]
        return ends

    def find(self, tasks: Integers, samples: int, origin: int = 0) -> Period | None:
        """Find the first period of tasks that no other task affects from ``origin`` on.

        Args:
            tasks: which tasks.
            samples: how many equal samples these do.
            origin: ps; gates opened before it are open from the start as far as these tasks are concerned.

        Returns:
            The period, in multiples of the times at which the slowest task finishes a sample; None if there is none.
        """
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
        """Tell whether the state after a period is that before it, with each task some processes further on.

        Before the period the last processes of a task must not have begun anything. Then processes of further samples,
        if there were any, would not have begun anything after the period either: what the last ones still waited for
        before it had not been done, so what the further ones wait for has not been done after it.

        Args:
            tasks: which tasks.
            before: (rows, processes) the state before the period.
            after: (rows, processes) the state after it.
            shifts: (tasks,) by how many processes each task is further on.
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
        """Return the state of the tasks' processes at a tick, one column for each process."""
        program = self._program
        found = np.zeros((_BEGUN + 1, int(self._sizes[tasks].sum())), np.int64)
        _look(program.code, program.tasks[tasks], program.latency, self._start, self._end, tick, origin, found)
        return found


def _mark(state: Integers, before: int) -> tuple[int, bytes]:
    """Summarise a state for a quick comparison: equal wherever the state comes back, and rarely equal elsewhere.

    Args:
        state: (rows, processes).
        before: how many processes belong to the samples before.

    Returns:
        How many more processes than these have finished, and for how long units are still held at which instructions.
    """
    held = state[_FOR] == _TIME
    more = int((state[_FOR] == _NOTHING).sum()) - before
    return more, np.sort(state[_LEFT][held] * (1 << 20) + state[_AT][held]).tobytes()


def _queues(state: Integers, keys: Integers) -> Integers:
    """Return (2, n) station and column of the processes that wait for stations, in the order in which these serve."""
    place = np.flatnonzero(state[_FOR] == _STATION)
    station, since = state[_AT_STATION, place], state[_SINCE, place]
    return np.stack([station, place])[:, np.lexsort((place, keys[place], since, station))]


@compiled
def _spans(
    code: Integers, tasks: Integers, latency: Integers, start: Integers, end: Integers
) -> tuple[Integers, Integers]:
    """Return (processes,) ps at which the first wait of each process was over, and the last.

    What used a station with a latency waits until it has arrived.
    """
    processes = tasks[-1, 2] + tasks[-1, 3] if len(tasks) else 0
    begins, ends = np.zeros(processes, np.int64), np.zeros(processes, np.int64)
    for first, stop, process, size in tasks:
        waited = False
        for here in range(first, stop):
            do, slot = code[here, _DO], code[here, _SLOT]
            if do in (_WAIT, _TAKE, _USE, _HOLD, _UNTIL):
                way = latency[code[here, _A]] if do == _USE else 0
                for number in range(size):
                    if not waited:
                        begins[process + number] = max(0, (start if do == _USE else end)[slot + number])
                    if end[slot + number] != NEVER:
                        ends[process + number] = max(ends[process + number], end[slot + number] + way)
                waited = True
    return begins, ends


@compiled
def _look(
    code: Integers,
    tasks: Integers,
    latency: Integers,
    start: Integers,
    end: Integers,
    tick: int,
    origin: int,
    found: Integers,
) -> None:
    """Write the state of all processes of some tasks at a tick into ``found``, (rows, processes).

    Instructions that a process skipped have `NEVER` as their times: they count as over with what came before them. For
    how long a station with a latency is still held, and what is on its way from it, both follow from how long each
    process still waits there.
    """
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
                elif do in (_WAIT, _TAKE, _USE, _HOLD, _UNTIL):
                    way = latency[code[here, _A]] if do == _USE and end[slot] != NEVER else 0
                    if end[slot] + way >= tick:
                        at, waits = here, _GATE if do == _WAIT else _STATION if do == _TAKE else _TIME
                        left = end[slot] + way - tick
                        break
                    over = max(over, end[slot] + way)
                    if do != _WAIT or over > origin:
                        begun = 1
            if waits == _NOTHING:
                noted[:] = tick
            if waits == _TIME:
                begun = 1
            else:
                left = 0
            found[_AT, process], found[_FOR, process], found[_LEFT, process] = at, waits, left
            found[_NOTED:_STATE, process] = tick - noted
            found[_AT_STATION, process], found[_SINCE, process], found[_BEGUN, process] = code[at, _A], over, begun
            process += 1
