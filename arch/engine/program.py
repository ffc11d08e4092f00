"""Describe the work of a chip as a program: what every unit does for every vector, as short lists of instructions.

Both engines run the same `Program`. A *task* is one list of instructions, written once for a block of a layer (or for
the block at which its partial sums meet) and run by many *processes*, one per vector. Numbers that differ from vector
to vector (passes, pulse slots, which gate) are columns with one entry per process.

    WAIT   wait until a gate is open                       RAISE  a gate; it opens with the last of its raises
    TAKE   an amount of a station, waiting in its queue    GIVE   an amount of a station back
    USE    take a station, hold it, give it back, log it   HOLD   let a number of picoseconds pass
    SKIP   some instructions if a number is 0              NOTE   the time in a register
    LOG    events that began at the noted time             UNTIL  so long after the noted time

*Stations* are arrays, ADCs, digital units, ports and links (a vector takes the whole unit), and the room in buffers (a
vector takes a number of bits). The drivers of an array are held together with it.

Some stations have a *latency*: what USEd such a station (a link, DRAM) is on its way for so long after it has given the
station back, and its process goes on when it has arrived. Others use the station meanwhile, so that what is sent sets
the pace; but no more than a stated number may be in the station and on the way together: use n begins at the earliest
when use n - number has arrived. That limit is one of single stations.

Time advances from tick to tick (a tick is one picosecond), and a tick has rounds. In each round every process that can
run does so until it has to wait or is done; then every station grants what is free, in the order of its queue. A queue
is ordered by the time of the request, then phase, layer, vector, tile, then the order of the tasks, so results do not
depend on the order in which an engine runs the processes.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from enum import IntEnum
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from rpusim.arch.contract.activity import Phase
from rpusim.arch.contract.columns import Integers, Operand, pick, plain, some
from rpusim.arch.contract.digital_work import WorkTable
from rpusim.arch.engine.events import NEVER, Events, Op
from rpusim.arch.engine.gathering import gathered
from rpusim.arch.engine.operands import CONSTANT, COUNTED, Data, operand


class Do(IntEnum):
    """Name the instructions; the comments say what their operands a and b mean, the module what they do."""

    WAIT = 0  # gate a
    RAISE = 1  # gate a
    TAKE = 2  # station a, how much b
    GIVE = 3  # station a, how much b
    USE = 4  # station a, b picoseconds; nothing if b is 0
    HOLD = 5  # b picoseconds
    SKIP = 6  # a instructions if b is 0
    NOTE = 7  # in the register
    LOG = 8  # from the time in the register
    UNTIL = 9  # b picoseconds after the time in the register; nothing if they are over


INSTRUCTION = ("do", "a", "a_column", "b", "b_column", "slot", "register")
"""Columns of the code.

do:                  a `Do`.
a, b:                operands, each a number with a column beside it; `operand` says how both make a value.
a_column, b_column:  where the operand's column begins in `Program.data`, or `CONSTANT`, or `COUNTED`.
slot:                where the first process of the task logs its times, or `NO_SLOT`; process n uses slot + n.
register:            which of its noted times a NOTE sets and a LOG reads.
"""

Pair = tuple[int, int]
"""Number and column of an operand."""
_ZERO = (0, CONSTANT)
"""Operand placeholder: absent, or 0 for every process."""

LOGGED = ("slot", "task", "op", "station", "worked", "amount", "amount_column", "row", "row_column")
"""Columns of the kinds of events: each row makes the times in a task's slots events of one operation of one station.

slot: of the first process of the task. task: its index. op: an `Op`. station: index of the unit. amount and row, with
their columns, are operands: bits or operations of the event, and the row of activity it comes from (-1: none).
worked: 1 if the amount is a number in `Program.works`, whose operations the event did; else 0.
"""

HEAD = ("phase", "layer", "tile", "vector", "vector_column")
"""Columns of a task's head, which orders its requests: the first three hold for all its processes, the vector is an
operand."""

REGISTERS = 3
"""Times that a process can note: two to log overlapping events, and `TURN`."""
TURN = 2
"""The register of when the gates were open that a process first waits for, from which on it wakes what it needs."""
NO_SLOT = -1
"""Slot of an instruction that logs nothing."""
ALWAYS = 0
"""Number of the gate that is open from the start."""


def only(needed: NDArray[np.bool_], gates: Operand) -> Integers:
    """Keep the gates to wait for where ``needed`` is true, and put the gate that is always open elsewhere.

    Args:
        needed: (n,) whether each process has to wait.
        gates: one gate for all, or (n,) gates.

    Returns:
        (n,) gates.
    """
    return np.where(needed, gates, ALWAYS)


@dataclass(frozen=True)
class Program:
    """Hold a program as plain integer arrays; a `Builder` makes it.

    code:      (instructions, len(INSTRUCTION)), see `INSTRUCTION`.
    data:      (numbers,), the columns of all operands, one after the other.
    tasks:     (tasks, 4): first instruction, instruction after the last, first process, number of processes.
    heads:     (tasks, len(HEAD)), see `HEAD`.
    logged:    (kinds of events, len(LOGGED)), see `LOGGED`.
    slots:     number of slots, each for one start and one end time.
    raises:    (gates,), how often each gate is raised before it opens.
    stations:  names of all stations.
    capacity:  (stations,), how many vectors each serves at a time, or how many bits of room it has.
    works:     (different works, classes), digital operations by class, as amounts of digital events number them.
    latency:   (stations,), ps for which what used it is on its way.
    in_flight: (stations,), how many may be in it and on the way from it, if it has a latency.
    """

    code: Integers
    data: Data
    tasks: Integers
    heads: Integers
    logged: Integers
    slots: int
    raises: NDArray[np.int32]
    stations: tuple[str, ...]
    capacity: Integers
    works: Integers
    latency: Integers
    in_flight: Integers

    @property
    def processes(self) -> int:
        return int(self.tasks[:, 3].sum())

    @cached_property
    def keys(self) -> Integers:
        """(processes,) phase, layer, vector and tile of each packed into one number that orders requests."""
        keys = np.empty(self.processes, np.int64)
        for (_, _, first, size), head in zip(self.tasks.tolist(), self.heads.tolist(), strict=True):
            phase, layer, tile, vector, column = head
            vectors = self.columns(np.full(size, vector), np.full(size, column), np.arange(size))
            keys[first : first + size] = phase << 59 | layer << 45 | vectors << 16 | tile
        return keys

    def traced(self) -> Program:
        """Return the same program with slots for every instruction at which a process may have to wait.

        Their end times say when the wait was over; `recurrence` reads the state of the machine from them.
        """
        code = self.code.copy()
        waits = np.flatnonzero(np.isin(code[:, 0], (Do.WAIT, Do.TAKE, Do.HOLD, Do.UNTIL)))
        sizes = self.tasks[np.searchsorted(self.tasks[:, 1], waits, side="right"), 3]
        code[waits, INSTRUCTION.index("slot")] = self.slots + np.cumsum(sizes) - sizes
        return replace(self, code=code, slots=self.slots + int(sizes.sum()))

    @property
    def _logs(self) -> int:
        """Number of slots that hold the times of events; a traced program has more slots than these."""
        return int((self.logged[:, 0] + self.tasks[self.logged[:, 1], 3]).max(initial=0))

    def task_of(self, process: int) -> int:
        """Find the task that a process belongs to."""
        return int(np.searchsorted(self.tasks[:, 2], process, side="right")) - 1

    def of(self, process: int, name: str) -> int:
        """Look up what the head of a process's task says for it; ``name``: "phase", "layer", "tile" or "vector"."""
        task = self.task_of(process)
        head = dict(zip(HEAD, self.heads[task].tolist(), strict=True))
        return operand(self.data, head[name], head.get(f"{name}_column", CONSTANT), process - int(self.tasks[task, 2]))

    def columns(self, value: Integers, column: Integers, numbers: Integers) -> Integers:
        """Evaluate many operands at once, as `operand` does one; all arrays have one entry per operand."""
        found = value + np.where(column == COUNTED, numbers, 0)
        if np.any(own := column >= 0):
            found[own] += self.data[column[own] + numbers[own]]
        return found

    def events(self, start: Integers, end: Integers, most: int | None = None) -> Events:
        """Turn the times in the slots into events.

        Args:
            start: (slots,) ps, `NEVER` where nothing was done.
            end: (slots,) ps.
            most: how many events to return, those that ended first; None: all.

        Returns:
            Events ordered by end, then by task, then by place in the task.
        """
        logged, sizes = self.logged, self.tasks[self.logged[:, 1], 3]
        if most is not None and len(logged):
            done = np.flatnonzero(start[: self._logs] != NEVER)
            if len(done) > most:  # each of them is at least one event
                early = np.zeros(len(start) + 1, np.int64)
                early[1:][done] = end[done] <= np.partition(end[done], most)[most]
                early = np.cumsum(early)
                some = early[logged[:, 0] + sizes] > early[logged[:, 0]]
                logged, sizes = logged[some], sizes[some]
        return gathered(logged, sizes, self.heads, self.data, self.works, start, end, most)

    def worked(self, amounts: Integers, worked: Integers) -> tuple[Integers, Integers]:
        """Return amounts with operations in place of numbers of works, and the numbers (0: no digital work).

        amounts, worked: (events,) as logged, see `LOGGED`.
        """
        work: Integers = np.where(worked == 1, amounts, 0)
        return np.where(worked == 1, self.works.sum(1)[work], amounts), work


class Task:
    """Write the instructions of one task; each method appends some. A `Builder` hands tasks out.

    Operands (gates, durations, amounts) are one number for all processes, or a column with one entry per process.
    Instructions whose duration is 0 for every process are left out.
    """

    def __init__(self, builder: Builder, processes: int, row: Operand, about: tuple[Phase, int, int, Operand]) -> None:
        self._builder, self._code, self.processes = builder, builder.code, processes
        self.about = about
        """Phase, layer, tile and vectors, as given to `Builder.task`."""
        self.of(row)
        self.raised: list[tuple[int, int, int | NDArray[np.bool_]]] = []
        """(number, column, times): an operand that names each process's gate, and how often each raises it."""
        self._turn = -1
        """The instruction that notes `TURN`, behind the first waits; -1: there is none yet."""
        self._wakes = False
        self._doing: NDArray[np.bool_] | None = None
        """Which processes run the instructions being added, inside `unless_zero`; None: all."""

    def of(self, row: Operand) -> None:
        """Say which row of activity the events logged from now on come from; -1: none."""
        self._row = self.operand(row)

    def wait(self, gate: Operand) -> None:
        """Wait until a gate is open."""
        if (which := self.operand(gate)) != (ALWAYS, CONSTANT):
            self._add(Do.WAIT, which)

    def wait_for(self, gates: Iterable[Operand], chosen: Integers | None = None) -> None:
        """Wait until all gates are open; ``chosen``: which entries of each column belong to this task's processes."""
        for gate in gates:
            self.wait(pick(gate, chosen))

    def raise_(self, gate: Operand) -> None:
        """Raise a gate; it opens when everything that raises it has done so."""
        self.raised.append((*self.operand(gate), 1 if self._doing is None else self._doing))
        self._add(Do.RAISE, self.raised[-1][:2])

    def take(self, station: int, amount: Operand = 1) -> None:
        """Wait in a station's queue until the amount is free, and take it."""
        self._add(Do.TAKE, (station, CONSTANT), self.operand(amount))

    def give(self, station: int, amount: Operand = 1) -> None:
        """Give an amount of a station back."""
        self._add(Do.GIVE, (station, CONSTANT), self.operand(amount))

    def hold(self, duration: Operand) -> None:
        """Let ``duration`` picoseconds pass."""
        if (long := self.operand(duration)) != _ZERO:
            self._add(Do.HOLD, b=long)

    def until(self, duration: Operand) -> None:
        """Wait until ``duration`` picoseconds after the gates were open that the process first waited for."""
        if (long := self.operand(duration)) != _ZERO:
            self._wakes = True
            self._add(Do.UNTIL, b=long, register=TURN)

    def note(self, register: int = 0) -> None:
        """Note the time in a register, for a later `log`."""
        self._add(Do.NOTE, register=register)

    def log(self, op: Op, amounts: Sequence[tuple[int, Operand]], register: int = 0) -> None:
        """Log one event for each (station, amount), from the time in the register until now."""
        self._add(Do.LOG, slot=self._slot(op, amounts), register=register)

    def use(self, station: int, op: Op, duration: Operand, amount: Operand, worked: bool = False) -> None:
        """Wait for a station, hold it for ``duration`` ps, give it back, log that; nothing where the amount is 0.

        worked: whether the amount is the number of a work.
        """
        duration = duration * (amount > 0)
        assert not some((duration <= 0) & (amount > 0)), "what is done takes time"
        self.use_together([station], op, duration, [(station, amount)], worked)

    def use_together(
        self,
        stations: Sequence[int],
        op: Op,
        duration: Operand,
        amounts: Sequence[tuple[int, Operand]],
        worked: bool = False,
    ) -> None:
        """Wait for stations one after the other, hold all of them at once, give them back, log that.

        Args:
            stations: what is waited for and held, in this order.
            op: what the logged events say was done.
            duration: ps during which all of them are held; nothing is done where it is 0.
            amounts: (station, amount) of each event; also of units held as part of a station, such as drivers.
            worked: whether amounts are numbers of works.
        """
        if (long := self.operand(duration)) == _ZERO:
            return
        if len(stations) == 1:
            self._add(Do.USE, (stations[0], CONSTANT), long, self._slot(op, amounts, worked))
            return
        with self.unless_zero(duration):
            for station in stations:
                self.take(station)
            self.note()
            self.hold(duration)
            for station in stations:
                self.give(station)
            self.log(op, amounts)

    @contextmanager
    def unless_zero(self, number: Operand) -> Iterator[bool]:
        """Let processes whose number is 0 skip what is added inside; yields whether any process runs it."""
        if isinstance(number, int) or np.all(number):
            yield some(number)
            return
        assert self._doing is None, "nothing inside is skipped by fewer"
        self._doing = number != 0
        self._add(Do.SKIP)
        at = len(self._code) - 1
        yield some(number)
        self._doing, skipped = None, len(self._code) - at - 1
        self._code[at] = (int(Do.SKIP), skipped, CONSTANT, *self.operand(number), NO_SLOT, 0)

    def _slot(self, op: Op, amounts: Sequence[tuple[int, Operand]], worked: bool = False) -> int:
        """Declare events of one operation; returns the slot of the first process."""
        for station, amount in amounts:
            self._builder.log((int(op), station, int(worked), *self.operand(amount), *self._row))
        return self._builder.slot(self.processes)

    def end(self) -> None:
        """Drop the note of its turn if nothing waits from then on."""
        if self._turn >= 0 and not self._wakes:
            del self._code[self._turn]

    def _add(self, do: Do, a: Pair = _ZERO, b: Pair = _ZERO, slot: int = NO_SLOT, register: int = 0) -> None:
        if self._turn < 0 and do != Do.WAIT:
            self._turn = len(self._code)
            self._code.append((int(Do.NOTE), *_ZERO, *_ZERO, NO_SLOT, TURN))
        self._code.append((int(do), *a, *b, slot, register))

    def operand(self, operand: Operand) -> Pair:
        """Encode an operand as number and column; a column is stored only if it neither is constant nor counts up."""
        operand = plain(operand)
        if isinstance(operand, int):
            return operand, CONSTANT
        first, last = int(operand[0]), int(operand[-1])
        if last - first == len(operand) - 1 and (operand == np.arange(first, last + 1)).all():
            return first, COUNTED
        return 0, self._builder.column(operand)


class Builder:
    """Collect tasks, and put them together as a `Program`.

    Args:
        stations: names of the units.
        capacity: how many vectors each unit serves at a time; None: one each.
        latency: ps for which what used each unit is on its way; None: no time.
        in_flight: how many may be in each unit and on the way from it; None: one each.

    Attributes:
        works: numbers the digital works of the program.
    """

    def __init__(
        self,
        stations: Sequence[str],
        capacity: Sequence[int] | None = None,
        latency: Sequence[int] | None = None,
        in_flight: Sequence[int] | None = None,
    ) -> None:
        self.code: list[tuple[int, ...]] = []
        self.works = WorkTable()
        self._gates = 1
        each = zip(stations, capacity or [1] * len(stations), strict=True)
        self._stations = {name: (number, room) for number, (name, room) in enumerate(each)}
        self._latency, self._in_flight = list(latency or [0] * len(stations)), list(in_flight or [1] * len(stations))
        self._columns: list[Integers] = []
        self._places: dict[int, int] = {}
        self._length = 0
        self._tasks: list[list[int]] = []
        self._heads: list[list[int]] = []
        self._logged: list[tuple[int, ...]] = []
        self._slots = 0
        self._raised: list[tuple[int, int, int, int | NDArray[np.bool_]]] = []

    def gates(self, number: int) -> int:
        """Make ``number`` new gates, numbered in a row; returns the first."""
        self._gates += number
        return self._gates - number

    def pool(self, name: str, capacity: int) -> int:
        """Return the index of a station by name, made with this capacity if it is new."""
        return self._stations.setdefault(name, (len(self._stations), capacity))[0]

    def column(self, values: Integers) -> int:
        """Store a column, and return where it begins in the data; the same array is stored once."""
        if id(values) not in self._places:
            self._places[id(values)] = self._length
            self._columns.append(values)
            self._length += len(values)
        return self._places[id(values)]

    def slot(self, processes: int) -> int:
        """Make one slot for each of so many processes; returns the first."""
        self._slots += processes
        return self._slots - processes

    def log(self, what: tuple[int, ...]) -> None:
        """Say what kind of events the slots made next hold: the columns of `LOGGED` that follow slot and task."""
        self._logged.append((self._slots, len(self._tasks), *what))

    @contextmanager
    def task(
        self, processes: int, phase: Phase, layer: int, tile: int, vector: Operand, row: Operand = -1
    ) -> Iterator[Task]:
        """Write a task; one that turns out to have no processes or no instructions is dropped.

        Args:
            processes: how many run it.
            phase, layer, tile: of all its processes; they order requests of the same time.
            vector: of each process within its mini-batch, between layer and tile in that order.
            row: of activity, from which the events of each process come; -1: none.

        Yields:
            The task, to add instructions to.
        """
        start, logged = len(self.code), len(self._logged)
        first = self._tasks[-1][2] + self._tasks[-1][3] if self._tasks else 0
        assert layer < 1 << 14 and tile < 1 << 16 and np.max(vector, initial=0) < 1 << 29
        task = Task(self, processes, row, (phase, layer, tile, vector))
        yield task
        task.end()
        if processes and len(self.code) > start:
            self._heads.append([phase, layer, tile, *task.operand(vector)])
            self._tasks.append([start, len(self.code), first, processes])
            self._raised += [(processes, *raised) for raised in task.raised]
        else:
            del self.code[start:], self._logged[logged:]

    def program(self) -> Program:
        """Put all tasks together."""
        data = np.concatenate([np.zeros(1, np.int64), *self._columns])[1:]
        pools = len(self._stations) - len(self._latency)
        small = not len(data) or np.abs(data).max() < 1 << 31
        return Program(
            code=np.array(self.code, np.int64).reshape(-1, len(INSTRUCTION)),
            data=data.astype(np.int32) if small else data,
            tasks=np.array(self._tasks, np.int64).reshape(-1, 4),
            heads=np.array(self._heads, np.int64).reshape(-1, len(HEAD)),
            logged=np.array(self._logged, np.int64).reshape(-1, len(LOGGED)),
            slots=self._slots,
            raises=self._raises(data),
            stations=tuple(self._stations),
            capacity=np.array([capacity for _, capacity in self._stations.values()], np.int64),
            works=np.array(self.works.rows, np.int64),
            latency=np.array(self._latency + [0] * pools, np.int64),
            in_flight=np.array(self._in_flight + [1] * pools, np.int64),
        )

    def _raises(self, data: Integers) -> NDArray[np.int32]:
        """Count how often each gate is raised."""
        found = np.zeros(self._gates, np.int32)
        for processes, gate, column, times in self._raised:
            if column == CONSTANT:
                found[gate] += np.broadcast_to(times, processes).sum()
            elif column == COUNTED:
                found[gate : gate + processes] += times
            else:
                np.add.at(found, data[column : column + processes], times)
        return found
