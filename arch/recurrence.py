"""When a machine repeats itself: its state at one time is that of an earlier time, some samples further on.

What a machine does next depends on its state alone: which process is where in its instructions, how long those that
hold on still do, and in what order the others queue. Where all samples are alike, a state that comes back with every
process replaced by the one so many samples later therefore comes back for ever. What happened between the two times is
then done again as often as there are samples, and need not be run: it is found exactly, from the first few.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from rpusim.arch.activity import Phase
from rpusim.arch.program import Do, Integers, Program

_GATE, _STATION, _TIME = range(3)
"""What a process waits for."""
_FOR = {int(Do.WAIT): _GATE, int(Do.TAKE): _STATION, int(Do.HOLD): _TIME}
_USE, _NOTE, _LOG = int(Do.USE), int(Do.NOTE), int(Do.LOG)


@dataclass(frozen=True)
class Period:
    """What is done from tick ``start`` up to tick ``stop``, ``samples`` of them, is what is done ever after."""

    start: int
    stop: int
    samples: int

    @property
    def ps(self) -> int:
        return self.stop - self.start


@dataclass(frozen=True)
class History:
    """Of the processes of one task: when each of its waits was over (waits, processes); of what kind they are.

    task: its number. station: of each wait, if it is for one. notes: (wait after which the time is noted, wait before
    it is logged). once: whether it belongs to what is done before all samples.
    """

    task: int
    phase: int
    layer: int
    over: Integers
    kind: Integers
    station: Integers
    notes: tuple[tuple[int, int], ...]
    keys: Integers
    once: bool

    @property
    def used(self) -> list[int]:
        """Stations."""
        return [int(station) for station in np.unique(self.station[self.kind == _STATION])]

    def last_used(self, stations: set[int]) -> int:
        """When it had the last to do with any of these stations."""
        mine = np.isin(self.station, list(stations)) & (self.kind != _GATE)
        return int(self.over[np.flatnonzero(mine).max() :].max()) if mine.any() else 0

    def waits(self, tick: int) -> Integers:
        """For which of its waits each process waits then."""
        return (self.over < tick).sum(axis=0)

    def left(self, waits: Integers, tick: int) -> Integers:
        """Time until processes that hold on at ``tick`` go on, 0 of others; and since when what they log goes on."""
        numbers = np.arange(len(waits))
        last = len(self.over) - 1
        holds = (waits <= last) & (self.kind[np.minimum(waits, last)] == _TIME)
        left = [np.where(holds, self.over[np.minimum(waits, last), numbers] - tick, 0)]
        for noted, logged in self.notes:
            left.append(np.where((waits > noted) & (waits <= logged), tick - self.over[noted], 0))
        return np.stack(left)


def find(histories: list[History], samples: int, origin: int = 0) -> Period | None:
    """The first period of tasks that do so many equal samples and have to do with no others from ``origin`` on."""
    every = [h for h in histories if h.over.shape[1] % samples == 0 and not h.once]
    if not every or samples < 3:
        return None
    last = max(every, key=lambda history: int(history.over[-1, -1])).over[-1]
    ticks = last[len(last) // samples - 1 :: len(last) // samples].tolist()
    for number in range(1, samples - 1):
        for first in range(samples - 1 - number):
            period = Period(ticks[first], ticks[first + number], number)
            if _recurs(histories, period, samples, origin):
                return period
    return None


def histories(program: Program, start: Integers, end: Integers) -> Iterator[History]:
    """Of a traced program, from its times."""
    keys = program.keys
    heads = program.heads.tolist()
    for task, (first, stop, process, size) in enumerate(program.tasks.tolist()):
        over: list[Integers] = []
        kind: list[int] = []
        station: list[int] = []
        noted: dict[int, int] = {}
        notes: list[tuple[int, int]] = []
        for do, a, _, _, _, slot, register in program.code[first:stop].tolist():
            if do == _USE:
                over += [start[slot : slot + size], end[slot : slot + size]]
                kind += [_STATION, _TIME]
                station += [a, a]
            elif do in _FOR:
                over.append(end[slot : slot + size])
                kind.append(_FOR[do])
                station.append(a)
            elif do == _NOTE:
                noted[register] = len(over) - 1
            elif do == _LOG:
                notes.append((noted[register], len(over) - 1))
        if over:  # what was skipped was over with what came before it
            times = np.maximum.accumulate(np.maximum(np.stack(over), 0), axis=0)
            phase, layer, *_ = heads[task]
            of_task, once = keys[process : process + size], phase == Phase.MAINTENANCE
            yield History(task, phase, layer, times, np.array(kind), np.array(station), tuple(notes), of_task, once)


def _recurs(histories: list[History], period: Period, samples: int, origin: int) -> bool:
    """Whether the state at the end of a period is that at its start, so many samples further on."""
    before, after = [], []
    for number, history in enumerate(histories):
        waits = history.waits(period.start)
        if history.once:
            if np.any(waits < len(history.over)):
                return False
            continue
        shift, rest = divmod(history.over.shape[1] * period.samples, samples)
        later = history.waits(period.stop)
        if rest or not _goes_on(history, waits, later, shift, origin):
            return False
        left, left_later = history.left(waits, period.start), history.left(later, period.stop)
        if not np.array_equal(left[:, :-shift], left_later[:, shift:]):
            return False
        before.append(_queue(history, waits[:-shift], number))
        after.append(_queue(history, later[shift:], number, shift))
    return np.array_equal(_in_order(before), _in_order(after))


def _goes_on(history: History, waits: Integers, later: Integers, shift: int, origin: int) -> bool:
    """Whether every process is where the one ``shift`` before it was; the last ones have not begun anything.

    So they are where any further processes would be, if there were more samples.
    """
    last = waits[-shift:]
    passed = int(last.max())
    return (
        np.array_equal(waits[:-shift], later[shift:])
        and bool(np.all(later[:shift] == len(history.over)))
        and np.array_equal(last, later[-shift:])
        and bool(np.all(history.kind[: passed + 1] != _TIME))
        and bool(np.all(history.kind[:passed] == _GATE))
        and bool(np.all(history.over[:passed, -shift:] <= origin))
    )


def _queue(history: History, waits: Integers, number: int, first: int = 0) -> Integers:
    """Of processes from ``first`` on that wait for stations: station, since when, key; then task and place in it."""
    last = len(history.over) - 1
    queued = np.flatnonzero((waits <= last) & (history.kind[np.minimum(waits, last)] == _STATION))
    process, at = queued + first, waits[queued]
    since = np.where(at > 0, history.over[np.maximum(at - 1, 0), process], 0)
    where = np.stack([np.full(len(queued), number), queued])
    return np.vstack([history.station[at], since, history.keys[process], where])


def _in_order(queues: list[Integers]) -> NDArray[np.int64]:
    """(station, task, place) of all that wait, first those first served."""
    station, since, key, task, place = np.concatenate(queues, axis=1)
    order = np.lexsort((place, task, key, since, station))
    return np.stack([station, task, place])[:, order]
