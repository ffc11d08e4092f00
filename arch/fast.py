"""The fast engine: the rounds and ticks of `engine` in one compiled loop, to the same picosecond.

Processes are numbers. Each is in at most one queue at a time (of a station, of a counter, or the calendar of those that
hold on), so all queues are pairing heaps (Fredman et al. 1986) that link processes through the same two arrays.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import njit

from rpusim.arch.events import Events
from rpusim.arch.program import REGISTERS, Do, Program

NOBODY = -1
_WAIT, _RAISE, _TAKE, _GIVE, _HOLD, _SKIP, _NOTE, _LOG = (int(do) for do in Do)


class FastEngine:
    """Runs one program from time 0; the same interface as `Engine`."""

    def __init__(self, program: Program) -> None:
        self._program = program
        self.stuck: dict[int, int] = {}

    def run(self) -> Events:
        """All events; see `stuck` for what never came to an end."""
        p = self._program
        logs = np.bincount(np.searchsorted(p.tasks[:, 1], np.flatnonzero(p.code[:, 0] == Do.LOG), side="right"))
        most = int((logs * p.tasks[: len(logs), 3]).sum()) if len(p.tasks) else 0
        process, place, times, number, at = _run(
            p.code, p.data, p.tasks, p.task, p.key, p.capacity, p.counters, most, REGISTERS
        )
        waiting = np.flatnonzero(at >= 0)
        self.stuck = dict(zip(waiting.tolist(), at[waiting].tolist(), strict=True))
        start, end, amount = (column[:number] for column in times)
        return p.events(process[:number].astype(np.int64), place[:number].astype(np.int64), start, end, amount)


@njit(cache=True, inline="always")
def _meld(a: Any, b: Any, rank: Any, key: Any, child: Any, sibling: Any) -> Any:
    """Two heaps as one; the first in order is its root."""
    if a == NOBODY:
        return b
    if b == NOBODY:
        return a
    if rank[b] < rank[a] or (rank[b] == rank[a] and (key[b] < key[a] or (key[b] == key[a] and b < a))):
        a, b = b, a
    sibling[b] = child[a]
    child[a] = b
    return a


@njit(cache=True)
def _rest(root: Any, rank: Any, key: Any, child: Any, sibling: Any) -> Any:
    """The heap without its root: children in pairs, then the pairs from the last to the first."""
    at, pairs = child[root], NOBODY
    child[root] = NOBODY
    while at != NOBODY:
        other = sibling[at]
        sibling[at] = NOBODY
        following = NOBODY
        if other != NOBODY:
            following = sibling[other]
            sibling[other] = NOBODY
        pair = _meld(at, other, rank, key, child, sibling)
        sibling[pair] = pairs
        pairs, at = pair, following
    heap = NOBODY
    while pairs != NOBODY:
        following = sibling[pairs]
        sibling[pairs] = NOBODY
        heap = _meld(heap, pairs, rank, key, child, sibling)
        pairs = following
    return heap


@njit(cache=True)
def _run(code, data, tasks, task, key, capacity, counters, most, registers):  # type: ignore[no-untyped-def]
    """Returns who logged where, (start, end, amount), how many; and the instruction at which each process waits."""
    processes = len(task)
    child, sibling = np.full(processes, NOBODY, np.int32), np.full(processes, NOBODY, np.int32)
    rank, wanted = np.empty(processes, np.int64), np.empty(processes, np.int64)
    noted = np.zeros((processes, registers), np.int64)
    at = np.empty(processes, np.int32)
    raised, sleeping = np.zeros(counters, np.int32), np.full(counters, NOBODY, np.int32)
    free, queue = capacity.copy(), np.full(len(capacity), NOBODY, np.int32)
    touched, is_touched, touches = np.empty(len(capacity), np.int32), np.zeros(len(capacity), np.bool_), 0
    ready, going = np.empty(processes, np.int32), processes
    for process in range(processes):
        ready[processes - 1 - process] = process
        at[process] = tasks[task[process], 0]
    calendar, now, logged = np.int32(NOBODY), np.int64(0), 0
    who, where = np.empty(most, np.int32), np.empty(most, np.int32)
    times = np.empty((3, most), np.int64)

    while True:
        while going > 0:
            going -= 1
            process = ready[going]
            of = task[process]
            stop, number, here = tasks[of, 1], process - tasks[of, 2], np.int64(at[process])
            while here < stop:
                do, a, b = code[here, 0], code[here, 1], code[here, 3]
                if code[here, 2] >= 0:
                    a += data[code[here, 2] + number]
                if code[here, 4] >= 0:
                    b += data[code[here, 4] + number]
                here += 1
                if do == _WAIT:
                    if raised[a] < b:
                        rank[process] = b
                        sleeping[a] = _meld(sleeping[a], process, rank, key, child, sibling)
                        break
                elif do == _RAISE:
                    raised[a] += 1
                    while sleeping[a] != NOBODY and rank[sleeping[a]] <= raised[a]:
                        ready[going] = sleeping[a]
                        going += 1
                        sleeping[a] = _rest(sleeping[a], rank, key, child, sibling)
                elif do == _TAKE:
                    rank[process], wanted[process] = now, b
                    queue[a] = _meld(queue[a], process, rank, key, child, sibling)
                    if not is_touched[a]:
                        is_touched[a], touched[touches] = True, a
                        touches += 1
                    break
                elif do == _GIVE:
                    free[a] += b
                    if queue[a] != NOBODY and not is_touched[a]:
                        is_touched[a], touched[touches] = True, a
                        touches += 1
                elif do == _HOLD:
                    if b > 0:
                        rank[process] = now + b
                        calendar = _meld(calendar, process, rank, key, child, sibling)
                        break
                elif do == _SKIP:
                    if b == 0:
                        here += a
                elif do == _NOTE:
                    noted[process, a] = now
                else:
                    who[logged], where[logged] = process, here - 1
                    times[0, logged], times[1, logged], times[2, logged] = noted[process, code[here - 1, 6]], now, b
                    logged += 1
            else:
                here = np.int64(-1)
            # Of a process that waits, the instruction after the one that made it wait.
            at[process] = here
        if touches > 0:
            for n in range(touches):
                station = touched[n]
                is_touched[station] = False
                while queue[station] != NOBODY and free[station] >= wanted[queue[station]]:
                    process = queue[station]
                    free[station] -= wanted[process]
                    queue[station] = _rest(process, rank, key, child, sibling)
                    ready[going] = process
                    going += 1
            touches = 0
            continue
        if calendar == NOBODY:
            break
        now = rank[calendar]
        while calendar != NOBODY and rank[calendar] == now:
            ready[going] = calendar
            going += 1
            calendar = _rest(calendar, rank, key, child, sibling)
    return who, where, times, logged, np.where(at >= 0, at - 1, at)
