"""The event engine: simpy processes that run a program's instructions. This engine is the definition of correct timing.

Every process of the `Program` becomes a simpy process when it can first go on; stations grant requests only after
everything else at that tick has run (`Clock`), in the order that `program` states. `fast` does the same in compiled
loops, and is what runs by default.
"""

from __future__ import annotations

from array import array
from collections.abc import Generator
from heapq import heappop, heappush
from typing import Any

import numpy as np
import simpy

from rpusim.arch.events import Events
from rpusim.arch.program import REGISTERS, Do, Program

Steps = Generator[simpy.Event, Any, None]

_AFTER_EVERYTHING = 2
"""A simpy priority below NORMAL: runs when the tick has nothing else left."""


class Clock(simpy.Environment):
    """Simulated time in integer picoseconds; settles the stations at the end of each round in which one was touched."""

    def __init__(self) -> None:
        super().__init__(initial_time=0)
        self._unsettled: list[Station] = []

    @property
    def now(self) -> int:
        return self._now  # type: ignore[return-value]  # an integer, since every delay is one

    def unsettle(self, station: Station) -> None:
        if not self._unsettled:
            event = self.event()
            event._ok, event._value = True, None  # as simpy's own Timeout does: triggered, to be processed this tick
            event.callbacks.append(self._settle)
            self.schedule(event, priority=_AFTER_EVERYTHING)  # type: ignore[arg-type]  # any integer orders
        self._unsettled.append(station)

    def _settle(self, _: simpy.Event) -> None:
        stations, self._unsettled = self._unsettled, []
        for station in stations:
            station.grant()


class Station:
    """A unit, or a pool of ``capacity`` equal ones, or a buffer of so many bits: first come, first served.

    Nobody overtakes the first in the queue, even if less is wanted than is free.
    """

    __slots__ = ("_clock", "_free", "_unsettled", "_waiting")

    def __init__(self, clock: Clock, capacity: int = 1) -> None:
        self._clock = clock
        self._waiting: list[tuple[int, int, int, int, simpy.Event]] = []
        self._free = capacity
        self._unsettled = False

    def take(self, key: int, process: int, amount: int = 1) -> simpy.Event:
        """An event that fires when the caller has got it."""
        event = self._clock.event()
        heappush(self._waiting, (self._clock.now, key, process, amount, event))
        self._touch()
        return event

    def give(self, amount: int = 1) -> None:
        self._free += amount
        self._touch()

    def _touch(self) -> None:
        if self._waiting and not self._unsettled:
            self._unsettled = True
            self._clock.unsettle(self)

    def grant(self) -> None:
        self._unsettled = False
        while self._waiting and self._free >= self._waiting[0][3]:
            *_, amount, event = heappop(self._waiting)
            self._free -= amount
            event.succeed()


class Engine:
    """Runs one program from time 0."""

    def __init__(self, program: Program) -> None:
        self._program = program
        self._clock = Clock()
        self._stations = [Station(self._clock, capacity) for capacity in program.capacity.tolist()]
        self._code, self._data = program.code.tolist(), program.data.tolist()
        self._raised = [0] * program.counters
        self._sleeping: dict[int, list[tuple[int, int, simpy.Event | None]]] = {}
        self._log = array("q")
        self.stuck: dict[int, int] = {}
        """After the run: processes that still wait, and the instruction at which they do."""

    def run(self) -> Events:
        """All events; see `stuck` for what never came to an end."""
        for process in range(self._program.processes):
            self._wake(process)
        self._clock.run()
        columns = np.frombuffer(self._log, np.int64).reshape(-1, 5).T
        return self._program.events(*columns)

    def _wake(self, process: int) -> None:
        """Start a process, or let it sleep on if it would wait at once."""
        task = int(self._program.task[process])
        start, _, first, _ = self._program.tasks[task].tolist()
        self.stuck[process] = start
        do, a, a_column, b, b_column, *_ = self._code[start]
        if do == Do.WAIT:
            counter = a + self._data[a_column + process - first] if a_column >= 0 else a
            count = b + self._data[b_column + process - first] if b_column >= 0 else b
            if self._raised[counter] < count:
                self._sleeping.setdefault(counter, []).append((count, process, None))
                return
        self._clock.process(self._steps(process, task))

    def _steps(self, process: int, task: int) -> Steps:
        program, clock, data = self._program, self._clock, self._data
        at, stop, first, _ = program.tasks[task].tolist()
        number, key, noted = process - first, int(program.key[process]), [0] * REGISTERS
        while at < stop:
            self.stuck[process] = at
            do, a, a_column, b, b_column, _, register = self._code[at]
            if a_column >= 0:
                a += data[a_column + number]
            if b_column >= 0:
                b += data[b_column + number]
            if do == Do.WAIT:
                if self._raised[a] < b:
                    event = clock.event()
                    self._sleeping.setdefault(a, []).append((b, process, event))
                    yield event
            elif do == Do.RAISE:
                self._raise(a)
            elif do == Do.TAKE:
                yield self._stations[a].take(key, process, b)
            elif do == Do.GIVE:
                self._stations[a].give(b)
            elif do == Do.HOLD:
                if b:
                    yield clock.timeout(b)
            elif do == Do.SKIP:
                at += a if b == 0 else 0
            elif do == Do.NOTE:
                noted[a] = clock.now
            elif do == Do.LOG:
                self._log.extend((process, at, noted[register], clock.now, b))
            at += 1
        del self.stuck[process]

    def _raise(self, counter: int) -> None:
        self._raised[counter] += 1
        sleeping = self._sleeping.pop(counter, ())
        rest = [sleeper for sleeper in sleeping if sleeper[0] > self._raised[counter]]
        if rest:
            self._sleeping[counter] = rest
        for count, process, event in sleeping:
            if count > self._raised[counter]:
                continue
            if event is None:
                self._wake(process)
            else:
                event.succeed()
