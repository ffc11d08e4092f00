"""A program: what every unit of a chip does for every vector, as short lists of instructions. Two engines run it.

A *task* is such a list, written once for a block or a home of a layer, and run by many *processes*, one per vector.
Numbers that differ from vector to vector (passes, pulse slots, which gate) are columns with one entry per process.

    WAIT   until a gate is open                               RAISE  a gate, which opens when all have that do so
    TAKE   so much of a station, waiting in its queue         GIVE   it back
    USE    take a station, hold it, give it back, log that    HOLD   on for so many picoseconds
    SKIP   some instructions if a number is 0                 NOTE   the time in a register
    LOG    events that began at the noted time

*Stations* are arrays, ADCs, digital units, ports, links (of which one vector takes all) and buffers (of which it takes
bits). Drivers are part of the array that they belong to: whoever has the array has them.

Time advances from tick to tick; a tick has rounds. In a round every process that can go on does so until it has to wait
or is done; then all stations hand out what is free, to the first in their queues only. The order in a queue is: request
made at the earlier time, then phase, layer, vector, tile, then the order of the tasks. So no result depends on the
order in which an engine happens to run processes.
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
from rpusim.arch.engine.events import Events, Op


class Do(IntEnum):
    """Instructions; operands are (a, b), see the module."""

    WAIT = 0  # gate a
    RAISE = 1  # gate a
    TAKE = 2  # station a, how much b
    GIVE = 3  # station a, how much b
    USE = 4  # station a, b picoseconds; nothing if b is 0
    HOLD = 5  # b picoseconds
    SKIP = 6  # a instructions if b is 0
    NOTE = 7  # in the register
    LOG = 8  # from the time in the register


INSTRUCTION = ("do", "a", "a_column", "b", "b_column", "slot", "register")
"""Columns of the code. A column operand is a place in `Program.data` to which the process's number is added; `ALONE`
stands for the number given, `COUNTED` for that number plus the process's own. slot: of the first process, if it logs
(or if the program is `Program.traced`), else `NO_SLOT`.
"""
ALONE, COUNTED = -1, -2

Pair = tuple[int, int]
"""Number and column of an operand."""
_NONE = (0, ALONE)
"""Of one that is not there, or 0 for all."""

LOGGED = ("slot", "task", "op", "station", "amount", "amount_column", "row", "row_column")
"""Columns of what is logged: times in the slots of a task's processes are events of one operation of one station."""

HEAD = ("phase", "layer", "tile", "vector", "vector_column")
"""Columns of what is the same for all processes of a task, or is a column of its own."""

REGISTERS = 2
NO_SLOT = -1
ALWAYS = 0
"""A gate that nobody raises, and that is open."""
NEVER = -1
"""The start of what was not done."""


def operand(data: NDArray[np.int32] | Integers, value: int, column: int, number: int) -> int:
    """What an operand is for process ``number`` of its task; ``data`` of the program. Compiled loops use it as well."""
    if column == ALONE:
        return value
    if column == COUNTED:
        return value + number
    return value + int(data[column + number])


def only(needed: NDArray[np.bool_], gates: Operand) -> Integers:
    """Gates to wait for where needed; nothing to wait for elsewhere."""
    return np.where(needed, gates, ALWAYS)


@dataclass(frozen=True)
class Program:
    """Made by `Builder`; plain integer arrays throughout.

    code:      (instructions, len(INSTRUCTION)).
    data:      all columns, one after the other.
    tasks:     (tasks, 4): first instruction, instruction after the last, first process, processes.
    heads:     (tasks, len(HEAD)).
    logged:    (kinds of events, len(LOGGED)).
    slots:     how many times there are to log.
    raises:    of each gate: how often it is raised before it opens.
    stations, capacity: names of all stations, and how much of each there is.
    """

    code: Integers
    data: NDArray[np.int32] | Integers
    tasks: Integers
    heads: Integers
    logged: Integers
    slots: int
    raises: NDArray[np.int32]
    stations: tuple[str, ...]
    capacity: Integers

    @property
    def processes(self) -> int:
        return int(self.tasks[:, 3].sum())

    @cached_property
    def keys(self) -> Integers:
        """Of each process: phase, layer, vector and tile packed into one number that orders requests."""
        keys = np.empty(self.processes, np.int64)
        for (_, _, first, size), head in zip(self.tasks.tolist(), self.heads.tolist(), strict=True):
            phase, layer, tile, vector, column = head
            vectors = self.columns(np.full(size, vector), np.full(size, column), np.arange(size))
            keys[first : first + size] = phase << 59 | layer << 45 | vectors << 16 | tile
        return keys

    def traced(self) -> Program:
        """The same, except that all for which a process may have to wait has slots for when it was over."""
        code = self.code.copy()
        waits = np.flatnonzero(np.isin(code[:, 0], (Do.WAIT, Do.TAKE, Do.HOLD)))
        sizes = self.tasks[np.searchsorted(self.tasks[:, 1], waits, side="right"), 3]
        code[waits, INSTRUCTION.index("slot")] = self.slots + np.cumsum(sizes) - sizes
        return replace(self, code=code, slots=self.slots + int(sizes.sum()))

    @property
    def _logs(self) -> int:
        """Slots of what is logged; a traced program has more."""
        return int((self.logged[:, 0] + self.tasks[self.logged[:, 1], 3]).max(initial=0))

    def task_of(self, process: int) -> int:
        return int(np.searchsorted(self.tasks[:, 2], process, side="right")) - 1

    def of(self, process: int, name: str) -> int:
        """A number from the head of the process's task."""
        task = self.task_of(process)
        head = dict(zip(HEAD, self.heads[task].tolist(), strict=True))
        return operand(self.data, head[name], head.get(f"{name}_column", ALONE), process - int(self.tasks[task, 2]))

    def columns(self, value: Integers, column: Integers, numbers: Integers) -> Integers:
        """As `operand`, of many."""
        found = value + np.where(column == COUNTED, numbers, 0)
        if np.any(own := column >= 0):
            found[own] += self.data[column[own] + numbers[own]]
        return found

    def events(self, start: Integers, end: Integers, most: int | None = None) -> Events:
        """The times in the slots as events, ordered by end; then by task, and by place in it; ``most``: the first."""
        logged = self.logged
        if most is not None and len(logged):
            done = np.flatnonzero(start[: self._logs] != NEVER)
            if len(done) > most:  # each of them is at least one event
                early = np.zeros(len(start) + 1, np.int64)
                early[1:][done] = end[done] <= np.partition(end[done], most)[most]
                early = np.cumsum(early)
                logged = logged[early[logged[:, 0] + self.tasks[logged[:, 1], 3]] > early[logged[:, 0]]]
        sizes = self.tasks[logged[:, 1], 3]
        kind = np.repeat(np.arange(len(sizes)), sizes)
        number = np.arange(len(kind)) - np.repeat(np.cumsum(sizes) - sizes, sizes)
        slot = logged[kind, 0] + number
        done = np.flatnonzero(start[slot] != NEVER)
        done = done[np.argsort(end[slot[done]], kind="stable")][:most]
        kind, number, slot = kind[done], number[done], slot[done]
        _, task, op, station, amount, amount_column, row, row_column = logged.T
        phase, layer, tile, vector, vector_column = self.heads[task].T
        return Events(
            op=op[kind],
            station=station[kind],
            row=self.columns(row[kind], row_column[kind], number),
            layer=layer[kind],
            tile=tile[kind],
            phase=phase[kind],
            vector=self.columns(vector[kind], vector_column[kind], number),
            start=start[slot],
            end=end[slot],
            amount=self.columns(amount[kind], amount_column[kind], number),
        )


class Task:
    """Writes the instructions of one task; each method adds some.

    Durations and amounts may be numbers or columns (one entry per process); what is 0 for all is left out.
    """

    def __init__(self, builder: Builder, processes: int, row: Operand) -> None:
        self._builder, self._code, self._processes = builder, builder.code, processes
        self.of(row)
        self.raised: list[tuple[int, int, int | NDArray[np.bool_]]] = []
        """Gates, as number and column, and how often each process raises its own."""
        self._doing: NDArray[np.bool_] | None = None

    def of(self, row: Operand) -> None:
        """Of which rows of activity the events are that are logged from now on."""
        self._row = self.operand(row)

    def wait(self, gate: Operand) -> None:
        if (which := self.operand(gate)) != (ALWAYS, ALONE):
            self._add(Do.WAIT, which)

    def wait_for(self, gates: Iterable[Operand], chosen: Integers | None = None) -> None:
        """For all of them, or for the chosen entries of each."""
        for gate in gates:
            self.wait(pick(gate, chosen))

    def raise_(self, gate: Operand) -> None:
        self.raised.append((*self.operand(gate), 1 if self._doing is None else self._doing))
        self._add(Do.RAISE, self.raised[-1][:2])

    def take(self, station: int, amount: Operand = 1) -> None:
        self._add(Do.TAKE, (station, ALONE), self.operand(amount))

    def give(self, station: int, amount: Operand = 1) -> None:
        self._add(Do.GIVE, (station, ALONE), self.operand(amount))

    def hold(self, duration: Operand) -> None:
        if (long := self.operand(duration)) != _NONE:
            self._add(Do.HOLD, b=long)

    def note(self, register: int = 0) -> None:
        self._add(Do.NOTE, register=register)

    def log(self, op: Op, amounts: Sequence[tuple[int, Operand]], register: int = 0) -> None:
        """One event for each (station, amount), from the noted time until now."""
        self._add(Do.LOG, slot=self._slot(op, amounts), register=register)

    def use(self, station: int, op: Op, duration: Operand, amount: Operand) -> None:
        """Wait for a station, hold it for a time, give it back; nothing where the amount is 0."""
        duration = duration * (amount > 0)
        assert not some((duration <= 0) & (amount > 0)), "what is done takes time"
        self.use_together([station], op, duration, [(station, amount)])

    def use_together(
        self, stations: Sequence[int], op: Op, duration: Operand, amounts: Sequence[tuple[int, Operand]]
    ) -> None:
        """Wait for stations one after the other, hold all of them for a time, give them back; nothing where that is 0.

        amounts: (station, amount) of each event; of stations that are part of those held, too.
        """
        if (long := self.operand(duration)) == _NONE:
            return
        if len(stations) == 1:
            self._add(Do.USE, (stations[0], ALONE), long, self._slot(op, amounts))
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
        """What is added inside is skipped by processes whose number is 0; yields whether any process does it."""
        if isinstance(number, int) or np.all(number):
            yield some(number)
            return
        assert self._doing is None, "nothing inside is skipped by fewer"
        at, self._doing = len(self._code), number != 0
        self._add(Do.SKIP)
        yield some(number)
        self._doing, skipped = None, len(self._code) - at - 1
        self._code[at] = (int(Do.SKIP), skipped, ALONE, *self.operand(number), NO_SLOT, 0)

    def _slot(self, op: Op, amounts: Sequence[tuple[int, Operand]]) -> int:
        for station, amount in amounts:
            self._builder.log((int(op), station, *self.operand(amount), *self._row))
        return self._builder.slot(self._processes)

    def _add(self, do: Do, a: Pair = _NONE, b: Pair = _NONE, slot: int = NO_SLOT, register: int = 0) -> None:
        self._code.append((int(do), *a, *b, slot, register))

    def operand(self, operand: Operand) -> Pair:
        """The column is spared where one number, or counting, says the same."""
        operand = plain(operand)
        if isinstance(operand, int):
            return operand, ALONE
        first, last = int(operand[0]), int(operand[-1])
        if last - first == len(operand) - 1 and (operand == np.arange(first, last + 1)).all():
            return first, COUNTED
        return 0, self._builder.column(operand)


class Builder:
    """Collects tasks; `program` puts them together.

    stations: names of units of which there is one each, or as many as ``capacity`` says.
    """

    def __init__(self, stations: Sequence[str], capacity: Sequence[int] | None = None) -> None:
        self.code: list[tuple[int, ...]] = []
        self._gates = 1
        each = zip(stations, capacity or [1] * len(stations), strict=True)
        self._stations = {name: (number, room) for number, (name, room) in enumerate(each)}
        self._columns: list[Integers] = []
        self._places: dict[int, int] = {}
        self._length = 0
        self._tasks: list[list[int]] = []
        self._heads: list[list[int]] = []
        self._logged: list[tuple[int, ...]] = []
        self._slots = 0
        self._raised: list[tuple[int, int, int, int | NDArray[np.bool_]]] = []

    def gates(self, number: int) -> int:
        """``number`` new gates; returns the first."""
        self._gates += number
        return self._gates - number

    def pool(self, name: str, capacity: int) -> int:
        """The number of a station that there is more than one of, made if it is new."""
        return self._stations.setdefault(name, (len(self._stations), capacity))[0]

    def column(self, values: Integers) -> int:
        """The place of a column in the data; the same array is kept once."""
        if id(values) not in self._places:
            self._places[id(values)] = self._length
            self._columns.append(values)
            self._length += len(values)
        return self._places[id(values)]

    def slot(self, processes: int) -> int:
        """Times to log for so many processes; returns the first."""
        self._slots += processes
        return self._slots - processes

    def log(self, what: tuple[int, ...]) -> None:
        """What the next `slot` is for, in the task that is being written."""
        self._logged.append((self._slots, len(self._tasks), *what))

    @contextmanager
    def task(
        self, processes: int, phase: Phase, layer: int, tile: int, vector: Operand, row: Operand = -1
    ) -> Iterator[Task]:
        """A task of so many processes; ``vector`` orders its requests; see `Task.of` for ``row``."""
        start, logged = len(self.code), len(self._logged)
        first = self._tasks[-1][2] + self._tasks[-1][3] if self._tasks else 0
        assert layer < 1 << 14 and tile < 1 << 16 and np.max(vector, initial=0) < 1 << 29
        task = Task(self, processes, row)
        yield task
        if processes and len(self.code) > start:
            self._heads.append([phase, layer, tile, *task.operand(vector)])
            self._tasks.append([start, len(self.code), first, processes])
            self._raised += [(processes, *raised) for raised in task.raised]
        else:
            del self.code[start:], self._logged[logged:]

    def program(self) -> Program:
        data = np.concatenate([np.zeros(1, np.int64), *self._columns])[1:]
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
        )

    def _raises(self, data: Integers) -> NDArray[np.int32]:
        found = np.zeros(self._gates, np.int32)
        for processes, gate, column, times in self._raised:
            if column == ALONE:
                found[gate] += np.broadcast_to(times, processes).sum()
            elif column == COUNTED:
                found[gate : gate + processes] += times
            else:
                np.add.at(found, data[column : column + processes], times)
        return found
