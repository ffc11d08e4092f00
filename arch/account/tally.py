"""Summarise a program's times without storing one row per event.

Events of one kind that took equally long, with equal amounts and equal rows of activity, form a *group*: one event that
stands for all of them. What groups do not say (which units are busy at the same time) `overlap` finds in the times.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import fields, replace

import numpy as np
from numpy.typing import NDArray

from rpusim.arch.account.overlap import AT_ONCE, Lanes, in_order, pauses_between
from rpusim.arch.account.pauses import Groups, Pauses
from rpusim.arch.account.recurrence import Repeats
from rpusim.arch.contract.activity import Activity
from rpusim.arch.contract.columns import Integers
from rpusim.arch.contract.compiled_loops import compiled
from rpusim.arch.engine.events import NEVER, Events
from rpusim.arch.engine.operands import Data, operand
from rpusim.arch.engine.program import LOGGED, Program

_APART = ("step", "layer", "tile", "phase", "vector", "count")
"""Columns of activity that say when and where, not what was done: rows that differ in these alone are alike."""
_SLOT, _AMOUNT, _AMOUNT_COLUMN, _ROW, _ROW_COLUMN = (
    LOGGED.index(name) for name in ("slot", "amount", "amount_column", "row", "row_column")
)
_REMEMBERED = 8
"""How many groups of its kind, the latest, an event is compared with; like an older one, it makes a new group."""


class Tally:
    """Group the events of a program by what they take.

    Args:
        program: that was run.
        start: (slots,) ps, of the engine.
        end: (slots,) ps, of the engine.
        activity: the rows that the program's events come from.
        repeats: what happens more often than it was run; None: nothing.

    Attributes:
        events: one event of each group.
        count: (groups,) how many events each group stands for, with those that are repeated.
        repeats: as given.
    """

    def __init__(
        self, program: Program, start: Integers, end: Integers, activity: Activity, repeats: Repeats | None = None
    ) -> None:
        self.repeats = repeats or Repeats.of(len(program.tasks))
        logged, data = program.logged, program.data
        self._slots, self._sizes = logged[:, 0], program.tasks[logged[:, 1], 3]
        slots = int((logged[:, 0] + self._sizes).max(initial=0))  # a traced program has more, for other times
        self._program, self._start, self._end = program, start[:slots], end[:slots]
        self._member = np.empty(int(self._sizes.sum()), np.int32)
        of_kind = self.repeats.pick(logged[:, 1])
        kind, number, row, amount, count, within = _survey(
            logged, self._sizes, data, _alike(activity), start, end, of_kind.since, of_kind.until, self._member
        )
        self.count = count + of_kind.times[kind] * within
        slot, task, op, station, worked = logged[kind, :5].T
        amount, work = program.worked(amount, worked)
        phase, layer, tile, vector, vector_column = program.heads[task].T
        self.events = Events(
            op=op,
            station=station,
            row=row,
            layer=layer,
            tile=tile,
            phase=phase,
            vector=program.columns(vector, vector_column, number),
            start=start[slot + number],
            end=end[slot + number],
            amount=amount,
            work=work,
            works=program.works,
        )

    @property
    def makespan_ps(self) -> int:
        """When the last event ended (ps), with all that is repeated."""
        ends = np.array(
            [self._end[slot : slot + size].max() for slot, size in zip(self._slots, self._sizes, strict=True)]
        )
        repeats = self.repeats.pick(self._program.logged[:, 1])
        return int((ends + np.where(ends >= repeats.since, repeats.later, repeats.before)).max(initial=0))

    def pauses(self, groups: Groups) -> Pauses:
        """Find the pauses of groups of stations, with all that is repeated; ``woken`` is by slot."""
        found, woken = Pauses.none(len(groups)), np.zeros((2, len(self._start)), np.int64)
        woken[0] = self._end - self._start
        logged = self._program.logged
        first, kinds = np.unique(logged[:, 0], return_inverse=True)
        size, task = np.zeros(len(first), np.int64), np.zeros(len(first), np.int64)
        size[kinds], task[kinds] = self._sizes, logged[:, 1]
        slots, nothing = np.arange(len(self._start)), np.zeros(len(self._start), np.int64)
        for begin in range(0, len(groups), AT_ONCE):
            some = groups[begin : begin + AT_ONCE]
            of_station = np.zeros(int(logged[:, 3].max(initial=0)) + 1, np.int64)
            for number, (stations, _, _) in enumerate(some):
                here = [station for station in stations if station < len(of_station)]
                of_station[here] |= 1 << number
            bits = np.zeros(len(first), np.int64)
            np.bitwise_or.at(bits, kinds, of_station[logged[:, 3]])
            mine = np.flatnonzero(bits)
            columns = first[mine], size[mine], bits[mine], task[mine]
            lanes = in_order(Lanes(*columns, self._start, self._end, nothing, nothing, slots))
            wake, draws = (np.array([group[column] for group in some], np.int64) for column in (1, 2))
            for name, column in pauses_between(lanes, self.repeats, wake, draws, woken).items():
                getattr(found, name)[begin : begin + len(some)] = column
        return replace(found, woken_pw=woken[1])

    def lanes(self, power: Integers, kind_of_station: Integers, woken: Integers) -> Lanes:
        """Return the times of all events lane by lane, for `busy_together`.

        Args:
            power: (groups,) pW that each event of a group draws.
            woken: (slots,) pW that each slot draws besides.
            kind_of_station: (stations,) the number of each station's kind of unit, below 63.
        """
        logged = self._program.logged
        first, kinds = np.unique(logged[:, 0], return_inverse=True)
        size, bits = np.zeros(len(first), np.int64), np.zeros(len(first), np.int64)
        size[kinds] = self._sizes
        np.bitwise_or.at(bits, kinds, 1 << kind_of_station[logged[:, 3]])
        task = np.zeros(len(first), np.int64)
        task[kinds] = logged[:, 1]
        drawn = np.zeros(len(self._start), np.int64)
        _draw(logged, self._sizes, self._member, power, drawn)
        lanes = Lanes(first, size, bits, task, self._start, self._end, drawn, drawn, woken)
        return in_order(lanes)


def _alike(activity: Activity) -> Integers:
    """Return (rows,) the first row that says the same of what was done, for each row of activity."""
    mixed = np.zeros(len(activity), np.uint64)
    columns = [getattr(activity, f.name) for f in fields(activity) if f.name not in _APART]
    for column in columns:
        mixed = (mixed ^ column.astype(np.uint64)) * np.uint64(0x9E3779B97F4A7C15)
        mixed ^= mixed >> np.uint64(29)
    _, first, which = np.unique(mixed, return_index=True, return_inverse=True)
    alike: Integers = first[which]
    assert all(np.array_equal(column, column[alike]) for column in columns), "two rows are not what they seem"
    return alike


_operand: Callable[[Data, int, int, int], int] = compiled(operand)


@compiled
def _survey(
    logged: Integers,
    sizes: Integers,
    data: Data,
    alike: Integers,
    start: Integers,
    end: Integers,
    since: Integers,
    until: Integers,
    member: NDArray[np.int32],
) -> tuple[Integers, Integers, Integers, Integers, Integers, Integers]:
    """Group all events, kind by kind; ``member`` is filled with the group of each event, -1 where nothing was done.

    Returns six columns of the groups: kind, number of a process, row, amount, how many events, and how many of these
    end within the period of their kind (from ``since`` up to ``until``).
    """
    most = len(member)  # pages of these columns that are never written take no memory
    kinds, numbers, rows = np.empty(most, np.int64), np.empty(most, np.int64), np.empty(most, np.int64)
    amounts, lasting, same = np.empty(most, np.int64), np.empty(most, np.int64), np.empty(most, np.int64)
    count, within = np.empty(most, np.int64), np.empty(most, np.int64)
    groups, at = 0, 0
    for kind in range(len(logged)):
        slot, first = logged[kind, _SLOT], groups
        for number in range(sizes[kind]):
            began, ended = start[slot + number], end[slot + number]
            if began == NEVER:
                member[at] = -1
                at += 1
                continue
            amount = _operand(data, logged[kind, _AMOUNT], logged[kind, _AMOUNT_COLUMN], number)
            row = _operand(data, logged[kind, _ROW], logged[kind, _ROW_COLUMN], number)
            like = alike[row] if row >= 0 else -1
            group, last = groups - 1, max(first, groups - _REMEMBERED)
            while group >= last and not (
                amounts[group] == amount and lasting[group] == ended - began and same[group] == like
            ):
                group -= 1
            if group < last:
                group = groups
                groups += 1
                kinds[group], numbers[group], rows[group], amounts[group] = kind, number, row, amount
                lasting[group], same[group], count[group], within[group] = ended - began, like, 0, 0
            count[group] += 1
            if since[kind] <= ended < until[kind]:
                within[group] += 1
            member[at] = group
            at += 1
    return kinds[:groups], numbers[:groups], rows[:groups], amounts[:groups], count[:groups], within[:groups]


@compiled
def _draw(logged: Integers, sizes: Integers, member: NDArray[np.int32], power: Integers, drawn: Integers) -> None:
    """Add the power of every event to its slot in ``drawn``, (slots,) pW."""
    at = 0
    for kind in range(len(logged)):
        for number in range(sizes[kind]):
            if member[at] >= 0:
                drawn[logged[kind, _SLOT] + number] += power[member[at]]
            at += 1
