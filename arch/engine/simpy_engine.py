"""Run a program as simpy processes: the engine that defines correct timing.

Every process of a `Program` becomes a simpy process as soon as it can run; stations grant requests only after
everything else in the same round has run (`Clock`), in the order that `program` states. `compiled_engine` finds the
same times in compiled loops, and is the engine used by default.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Generator
from heapq import heappop, heappush
from typing import Any

import numpy as np
import simpy

from rpusim.arch.contract.columns import Integers
from rpusim.arch.engine.events import NEVER, Events
from rpusim.arch.engine.operands import CONSTANT, operand
from rpusim.arch.engine.program import REGISTERS, Do, Program
from rpusim.errors import InputError

Steps = Generator[simpy.Event, Any, None]
Begin = tuple[int, int, int, int, int]
"""What starts a process: its index, its number in its task, its key, its next instruction, the one after its last."""

# Plain integers, as comparing enum members takes several times as long.
_WAIT, _RAISE, _TAKE, _GIVE, _USE, _HOLD, _SKIP, _NOTE, _LOG, _UNTIL = (int(do) for do in Do)

_AFTER_EVERYTHING = 2
"""Priority of a simpy event that is processed when nothing else is left at its tick; simpy's own end at 1 (NORMAL)."""

LAST_TICK = 1 << 62
"""The last picosecond that is counted, after some 53 days: sums of two times still have 64 bits."""


class Clock(simpy.Environment):
    """Keep simulated time in integer picoseconds, and have stations grant requests at the end of each round."""

    def __init__(self) -> None:
        super().__init__(initial_time=0)
        self._unsettled: list[Station] = []

    @property
    def now(self) -> int:
        """The current tick (ps)."""
        return self._now  # type: ignore[return-value]  # an integer, since every delay is one

    def unsettle(self, station: Station) -> None:
        """Have a station grant what it can at the end of this round."""
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
    """Serve requests for a unit in the order in which they came; none overtakes the first, even if it would fit.

    Args:
        clock: of the engine.
        capacity: 1 for a unit, more for a pool of equal units, or the number of bits of a buffer.
    """

    __slots__ = ("_clock", "_free", "_unsettled", "_waiting")

    def __init__(self, clock: Clock, capacity: int = 1) -> None:
        self._clock = clock
        self._waiting: list[tuple[int, int, int, int, simpy.Event]] = []
        self._free = capacity
        self._unsettled = False

    def take(self, key: int, process: int, amount: int = 1) -> simpy.Event:
        """Ask for an amount; the returned event fires when the caller has it.

        Requests of the same tick are served in the order of ``key``, then of ``process``.
        """
        event = simpy.Event(self._clock)
        heappush(self._waiting, (self._clock.now, key, process, amount, event))
        self._touch()
        return event

    def give(self, amount: int = 1) -> None:
        """Give an amount back."""
        self._free += amount
        self._touch()

    def _touch(self) -> None:
        if self._waiting and not self._unsettled:
            self._unsettled = True
            self._clock.unsettle(self)

    def grant(self) -> None:
        """Hand out what is free, to the first in the queue and those behind it, until one wants more than there is."""
        self._unsettled = False
        while self._waiting and self._free >= self._waiting[0][3]:
            *_, amount, event = heappop(self._waiting)
            self._free -= amount
            event.succeed()


class Way(Station):
    """Serve one request at a time, and keep count of what is on its way from here.

    Args:
        clock: of the engine.
        latency: ps after which what was served has arrived.
        in_flight: how many may be served and on the way together.
    """

    __slots__ = ("_latency", "_left")

    def __init__(self, clock: Clock, latency: int, in_flight: int) -> None:
        super().__init__(clock)
        self._latency = latency
        self._left = deque[int](maxlen=in_flight)
        """When each of the latest of them left, at most as many as may be on the way with the next."""

    def leave(self) -> None:
        """Give the station back, as soon as one more may be on the way."""
        self._left.append(self._clock.now)
        wait = self._left[0] + self._latency - self._clock.now if len(self._left) == self._left.maxlen else 0
        if wait > 0:
            simpy.Timeout(self._clock, wait).callbacks.append(lambda _: self.give())
        else:
            self.give()


class SimpyEngine:
    """Run one program from time 0; each engine object runs once."""

    def __init__(self, program: Program) -> None:
        self._program = program
        self._clock = Clock()
        columns = (program.capacity.tolist(), program.latency.tolist(), program.in_flight.tolist())
        self._stations = [
            Way(self._clock, latency, in_flight) if latency and capacity == 1 else Station(self._clock, capacity)
            for capacity, latency, in_flight in zip(*columns, strict=True)
        ]
        self._latency = columns[1]
        self._code, self._data = program.code.tolist(), program.data.tolist()
        self._closed = program.raises.tolist()
        self._sleeping: dict[int, list[Begin | simpy.Event]] = {}
        """By gate: events of processes that wait for it, and processes that cannot start before it opens."""
        self._start, self._end = [NEVER] * program.slots, [NEVER] * program.slots
        self.stuck: dict[int, int] = {}
        """After the run: the processes that never finished, and the instruction at which each still waits."""

    def run(self) -> Events:
        """Run the program; returns its events. `stuck` names the processes that never finished."""
        return self._program.events(*self.times())

    def times(self) -> tuple[Integers, Integers]:
        """Run the program; returns start and end of every slot, each (slots,) in ps."""
        keys = self._program.keys.tolist()
        for start, stop, first, size in self._program.tasks.tolist():
            for number in range(size):
                self._begin((first + number, number, keys[first + number], start, stop))
        self._clock.run()
        if self._clock.now > LAST_TICK:
            raise InputError(
                f"chip: the work ends after {self._clock.now * 1e-12:.3g} s, but the clock counts to "
                f"{LAST_TICK * 1e-12:.3g} s; shorter times, or less work at a time, are needed"
            )
        return np.array(self._start, np.int64), np.array(self._end, np.int64)

    def _begin(self, begin: Begin) -> None:
        """Start a process; one whose first instructions wait for gates is started when these are open.

        Most processes wait at first: a simpy process for each of them from the beginning takes far more time.
        """
        process, number, key, at, stop = begin
        while at < stop and self._code[at][0] == _WAIT:
            _, gate, column, *_ = self._code[at]
            gate = operand(self._data, gate, column, number)
            if self._closed[gate]:
                self.stuck[process] = at
                self._sleeping.setdefault(gate, []).append((process, number, key, at, stop))
                return
            at += 1
        self.stuck[process] = at
        self._clock.process(self._steps(process, number, key, at, stop))

    def _steps(self, process: int, number: int, key: int, at: int, stop: int) -> Steps:
        """Run a process from instruction ``at`` up to ``stop``, as a simpy process."""
        data, clock, stations, noted = self._data, self._clock, self._stations, [0] * REGISTERS
        while at < stop:
            do, a, a_column, b, b_column, slot, register = self._code[at]
            if a_column != CONSTANT:  # asked here as well: most operands are constant, and a call takes longer
                a = operand(data, a, a_column, number)
            if b_column != CONSTANT:
                b = operand(data, b, b_column, number)
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
                    self._end[slot + number] = clock.now
                    if not self._latency[a]:
                        stations[a].give()
                    else:
                        station = stations[a]
                        station.leave() if isinstance(station, Way) else station.give()
                        yield simpy.Timeout(clock, self._latency[a])
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
            elif do == _UNTIL:
                if noted[register] + b > clock.now:
                    yield simpy.Timeout(clock, noted[register] + b - clock.now)
            else:
                self._start[slot + number], self._end[slot + number] = noted[register], clock.now
            at += 1
        del self.stuck[process]

    def _raise(self, gate: int) -> None:
        """Raise a gate; the last raise opens it and wakes what waits for it, in the order in which it came."""
        self._closed[gate] -= 1
        if self._closed[gate]:
            return
        for sleeper in self._sleeping.pop(gate, ()):
            if isinstance(sleeper, simpy.Event):
                sleeper.succeed()
            else:
                self._begin(sleeper)
