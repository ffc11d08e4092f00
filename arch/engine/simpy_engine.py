"""The event engine: simpy processes that run a program's instructions. This engine is the definition of correct timing.

Every process of the `Program` becomes a simpy process when it can first go on; stations grant requests only after
everything else at that tick has run (`Clock`), in the order that `program` states. `fast` does the same in compiled
loops, and is what runs by default.
"""

from __future__ import annotations

from collections.abc import Generator
from heapq import heappop, heappush
from typing import Any

import numpy as np
import simpy

from rpusim.arch.contract.columns import Integers
from rpusim.arch.engine.events import Events
from rpusim.arch.engine.program import ALONE, COUNTED, NEVER, REGISTERS, Do, Program

Steps = Generator[simpy.Event, Any, None]
Begin = tuple[int, int, int, int, int]
"""A process, its number in its task, its key, the instruction that it begins with, and that after its last one."""

_WAIT, _RAISE, _TAKE, _GIVE, _USE, _HOLD, _SKIP, _NOTE, _LOG = (int(do) for do in Do)  # compared often

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
            event = simpy.Event(self)
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
        event = simpy.Event(self._clock)
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
        self._closed = program.raises.tolist()
        self._sleeping: dict[int, list[Begin | simpy.Event]] = {}
        """By gate: processes that wait for it, or that have not begun as they would wait for it."""
        self._start, self._end = [NEVER] * program.slots, [NEVER] * program.slots
        self.stuck: dict[int, int] = {}
        """After the run: processes that still wait, and the instruction at which they do."""

    def run(self) -> Events:
        """All events; see `stuck` for what never came to an end."""
        return self._program.events(*self.times())

    def times(self) -> tuple[Integers, Integers]:
        """Start and end in every slot of the program."""
        keys = self._program.keys.tolist()
        for start, stop, first, size in self._program.tasks.tolist():
            for number in range(size):
                self._begin((first + number, number, keys[first + number], start, stop))
        self._clock.run()
        return np.array(self._start, np.int64), np.array(self._end, np.int64)

    def _begin(self, begin: Begin) -> None:
        """Start a process; if it would wait for gates at first, when these are open."""
        process, number, key, at, stop = begin
        while at < stop and self._code[at][0] == _WAIT:
            _, gate, column, *_ = self._code[at]
            gate = self._operand(gate, column, number)
            if self._closed[gate]:
                self.stuck[process] = at
                self._sleeping.setdefault(gate, []).append((process, number, key, at, stop))
                return
            at += 1
        self.stuck[process] = at
        self._clock.process(self._steps(process, number, key, at, stop))

    def _operand(self, value: int, column: int, number: int) -> int:
        if column == ALONE:
            return value
        return value + (number if column == COUNTED else self._data[column + number])

    def _steps(self, process: int, number: int, key: int, at: int, stop: int) -> Steps:
        clock, stations, noted = self._clock, self._stations, [0] * REGISTERS
        while at < stop:
            do, a, a_column, b, b_column, slot, register = self._code[at]
            if a_column != ALONE:
                a = self._operand(a, a_column, number)
            if b_column != ALONE:
                b = self._operand(b, b_column, number)
            if do == _WAIT:
                if self._closed[a]:
                    self.stuck[process] = at
                    event = simpy.Event(clock)
                    self._sleeping.setdefault(a, []).append(event)
                    yield event
            elif do == _USE:
                if b:
                    self.stuck[process] = at
                    yield stations[a].take(key, process)
                    self._start[slot + number] = clock.now
                    yield simpy.Timeout(clock, b)
                    stations[a].give()
                    self._end[slot + number] = clock.now
            elif do == _RAISE:
                self._raise(a)
            elif do == _TAKE:
                self.stuck[process] = at
                yield stations[a].take(key, process, b)
            elif do == _GIVE:
                stations[a].give(b)
            elif do == _HOLD:
                if b:
                    yield simpy.Timeout(clock, b)
            elif do == _SKIP:
                at += a if b == 0 else 0
            elif do == _NOTE:
                noted[register] = clock.now
            else:
                self._start[slot + number], self._end[slot + number] = noted[register], clock.now
            at += 1
        del self.stuck[process]

    def _raise(self, gate: int) -> None:
        self._closed[gate] -= 1
        if self._closed[gate]:
            return
        for sleeper in self._sleeping.pop(gate, ()):
            if isinstance(sleeper, simpy.Event):
                sleeper.succeed()
            else:
                self._begin(sleeper)
