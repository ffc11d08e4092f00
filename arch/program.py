"""A program: what every unit of a chip does for every vector, as short lists of instructions. Two engines run it.

A *task* is such a list, written once for a block or a home of a layer, and run by many *processes*, one per vector.
Numbers that differ from vector to vector (passes, pulse slots, which counter) are columns with one entry per process.

    WAIT   until a counter has been raised often enough       RAISE  a counter by one
    TAKE   so much of a station, waiting in its queue         GIVE   it back
    HOLD   on for so many picoseconds                         SKIP   some instructions if a number is 0
    NOTE   the time in a register                             LOG    an event that began at the noted time

*Stations* are arrays, drivers, ADCs, digital units, ports, links (of which one vector takes all) and buffers (of which
it takes bits). *Counters* are how processes wait for each other.

Time advances from tick to tick; a tick has rounds. In a round every process that can go on does so until it has to wait
or is done; then all stations hand out what is free, to the first in their queues only. The order in a queue is: request
made at the earlier time, then phase, layer, vector, tile, then the order of the tasks. So no result depends on the
order in which an engine happens to run processes.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from enum import IntEnum
from typing import overload

import numpy as np
from numpy.typing import NDArray

from rpusim.arch.activity import Phase
from rpusim.arch.events import Events, Op

Integers = NDArray[np.int64]
Operand = int | Integers
"""A number, or one for each process of a task."""


class Do(IntEnum):
    """Instructions; operands are (a, b), see the module."""

    WAIT = 0  # counter a, how often raised b
    RAISE = 1  # counter a
    TAKE = 2  # station a, how much b
    GIVE = 3  # station a, how much b
    HOLD = 4  # b picoseconds
    SKIP = 5  # a instructions if b is 0
    NOTE = 6  # register a
    LOG = 7  # station a, amount b; operation and register besides


INSTRUCTION = ("do", "a", "a_column", "b", "b_column", "op", "register")
"""Columns of the code. A column operand is a place in `Program.data` to which the process's number is added, or -1."""

REGISTERS = 2
ALWAYS = 0
"""A counter that nobody waits long for: it is never raised, and waited for with a count of 0."""


@overload
def pick(values: Integers, chosen: Integers | None) -> Integers: ...
@overload
def pick(values: Operand, chosen: Integers | None) -> Operand: ...
def pick(values: Operand, chosen: Integers | None) -> Operand:
    """Entries of a column, None: all; a number stays as it is."""
    return values if chosen is None or isinstance(values, int) else values[chosen]


@dataclass(frozen=True)
class Wait:
    """Until ``counter`` was raised ``count`` times; numbers, or one for each process that waits."""

    counter: Operand
    count: Operand = 1

    def of(self, chosen: Integers | None) -> Wait:
        """That of some of the processes; None: all."""
        return Wait(pick(self.counter, chosen), pick(self.count, chosen))

    def where(self, needed: NDArray[np.bool_]) -> Wait:
        """Only where needed; nothing to wait for elsewhere."""
        return Wait(np.where(needed, self.counter, ALWAYS), np.where(needed, self.count, 0))


@dataclass(frozen=True)
class Program:
    """Made by `Builder`; plain integer arrays throughout.

    code:      (instructions, len(INSTRUCTION)).
    data:      all columns, one after the other.
    tasks:     (tasks, 4): first instruction, instruction after the last, first process, processes.
    task:      of each process.
    key:       of each process: phase, layer, vector and tile packed into one number that orders requests.
    row, layer, tile, phase, vector: of each process, for its events.
    stations, capacity: names of all stations, and how much of each there is.
    counters:  how many there are.
    """

    code: Integers
    data: Integers
    tasks: Integers
    task: NDArray[np.int32]
    key: Integers
    row: Integers
    layer: Integers
    tile: Integers
    phase: Integers
    vector: Integers
    stations: tuple[str, ...]
    capacity: Integers
    counters: int

    @property
    def processes(self) -> int:
        return len(self.task)

    def events(self, process: Integers, place: Integers, start: Integers, end: Integers, amount: Integers) -> Events:
        """What an engine has logged (which process, at which instruction), as events ordered by end, then process."""
        order = np.lexsort((place, process, end))
        process, place = process[order], place[order]
        code = self.code[place]
        number = process - self.tasks[self.task[process], 2]
        station = code[:, 1] + np.where(code[:, 2] >= 0, self.data[np.maximum(code[:, 2], 0) + number], 0)
        of_process = {name: getattr(self, name)[process] for name in ("row", "layer", "tile", "phase", "vector")}
        return Events(
            op=code[:, 5], station=station, start=start[order], end=end[order], amount=amount[order], **of_process
        )


class Task:
    """Writes the instructions of one task; each method adds some.

    Durations and amounts may be numbers or columns (one entry per process); what is 0 for all is left out.
    """

    def __init__(self, builder: Builder) -> None:
        self._builder, self._code = builder, builder.code

    def wait(self, counter: Operand, count: Operand = 1) -> None:
        self._add(Do.WAIT, counter, count)

    def wait_for(self, waits: Iterable[Wait]) -> None:
        for wait in waits:
            self.wait(wait.counter, wait.count)

    def raise_(self, counter: Operand) -> None:
        self._add(Do.RAISE, counter)

    def take(self, station: int, amount: Operand = 1) -> None:
        self._add(Do.TAKE, station, amount)

    def give(self, station: int, amount: Operand = 1) -> None:
        self._add(Do.GIVE, station, amount)

    def hold(self, duration: Operand) -> None:
        if np.any(duration):
            self._add(Do.HOLD, 0, duration)

    def note(self, register: int = 0) -> None:
        self._add(Do.NOTE, register)

    def log(self, op: Op, station: int, amount: Operand, register: int = 0) -> None:
        self._add(Do.LOG, station, amount, op, register)

    @contextmanager
    def unless_zero(self, number: Operand) -> Iterator[bool]:
        """What is added inside is skipped by processes whose number is 0; yields whether any process does it."""
        if isinstance(number, int) or np.all(number):
            yield bool(np.any(number))
            return
        at = len(self._code)
        self._add(Do.SKIP, 0, number)
        yield bool(np.any(number))
        self._code[at][1] = len(self._code) - at - 1

    def use(self, station: int, op: Op, duration: Operand, amount: Operand) -> None:
        """Wait for a station, hold it for a time, give it back; nothing where the amount is 0."""
        with self.unless_zero(amount) as done:
            if done:
                self.use_together([station], op, duration, [amount])

    def use_together(self, stations: Sequence[int], op: Op, duration: Operand, amounts: Sequence[Operand]) -> None:
        """Wait for stations one after the other, hold all of them for a time, give them back; an event for each."""
        for station in stations:
            self.take(station)
        self.note()
        self.hold(duration)
        for station in stations:
            self.give(station)
        for station, amount in zip(stations, amounts, strict=True):
            self.log(op, station, amount)

    def _add(self, do: Do, a: Operand = 0, b: Operand = 0, op: int = 0, register: int = 0) -> None:
        self._code.append([do, *self._operand(a), *self._operand(b), op, register])

    def _operand(self, operand: Operand) -> tuple[int, int]:
        if isinstance(operand, np.ndarray):
            return 0, self._builder.column(operand)
        return int(operand), -1


class Builder:
    """Collects tasks; `program` puts them together.

    stations: names of units of which there is one each. Columns are read when the program is made, so they may still be
    filled until then.
    """

    def __init__(self, stations: Sequence[str]) -> None:
        self.code: list[list[int]] = []
        self.counters = 1
        self._stations, self._capacity = {name: number for number, name in enumerate(stations)}, [1] * len(stations)
        self._columns: list[Integers] = []
        self._places: dict[int, int] = {}
        self._length = 0
        self._tasks: list[list[int]] = []
        self._heads: list[tuple[int, int, int, Operand, Operand]] = []

    def count(self, number: int) -> int:
        """``number`` new counters; returns the first."""
        self.counters += number
        return self.counters - number

    def pool(self, name: str, capacity: int) -> int:
        """The number of a station that there is more than one of, made if it is new."""
        if name not in self._stations:
            self._stations[name] = len(self._stations)
            self._capacity.append(capacity)
        return self._stations[name]

    def column(self, values: Integers) -> int:
        """The place of a column in the data; the same array is kept once."""
        if id(values) not in self._places:
            self._places[id(values)] = self._length
            self._columns.append(values)
            self._length += len(values)
        return self._places[id(values)]

    @contextmanager
    def task(
        self, processes: int, phase: Phase, layer: int, tile: int, vector: Operand, row: Operand = -1
    ) -> Iterator[Task]:
        """A task of so many processes; ``vector`` and ``row`` (of activity) go to its requests and events."""
        start = len(self.code)
        first = self._tasks[-1][2] + self._tasks[-1][3] if self._tasks else 0
        yield Task(self)
        if processes and len(self.code) > start:
            self._tasks.append([start, len(self.code), first, processes])
            self._heads.append((phase, layer, tile, vector, row))
        else:
            del self.code[start:]

    def program(self) -> Program:
        sizes = [task[3] for task in self._tasks]

        def spread(values: Sequence[Operand]) -> Integers:
            parts = [np.broadcast_to(np.asarray(v, np.int64), n) for v, n in zip(values, sizes, strict=True)]
            return np.concatenate(parts) if parts else np.empty(0, np.int64)

        heads = list(zip(*self._heads, strict=True)) or [()] * 5
        phase, layer, tile, vector, row = (spread(head) for head in heads)
        assert not len(layer) or (layer.max() < 1 << 14 and tile.max() < 1 << 16 and vector.max() < 1 << 29)
        return Program(
            code=np.array(self.code, np.int64).reshape(-1, len(INSTRUCTION)),
            data=np.concatenate(self._columns).astype(np.int64) if self._columns else np.zeros(1, np.int64),
            tasks=np.array(self._tasks, np.int64).reshape(-1, 4),
            task=np.repeat(np.arange(len(sizes), dtype=np.int32), sizes),
            key=phase << 59 | layer << 45 | vector << 16 | tile,
            row=row,
            layer=layer,
            tile=tile,
            phase=phase,
            vector=vector,
            stations=tuple(self._stations),
            capacity=np.array(self._capacity, np.int64),
            counters=self.counters,
        )
