"""Gather the events of a program from the times in its slots, in compiled loops."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from rpusim.arch.contract.columns import Integers
from rpusim.arch.contract.compiled_loops import compiled, inlined
from rpusim.arch.contract.uncounted import uncounted
from rpusim.arch.engine.events import COLUMNS, NEVER, Events
from rpusim.arch.engine.operands import Data, operand

# Columns of ``logged`` and ``heads``, which `rpusim.arch.engine.program` explains as LOGGED and HEAD.
_FIRST_SLOT, _TASK, _OP, _STATION, _WORKED, _AMOUNT, _AMOUNT_COLUMN, _ROW, _ROW_COLUMN = range(9)
_PHASE, _LAYER, _TILE, _VECTOR, _VECTOR_COLUMN = range(5)

_operand: Callable[[Data, int, int, int], int] = inlined(operand)


def gathered(
    logged: Integers,
    sizes: Integers,
    heads: Integers,
    data: Data,
    works: Integers,
    start: Integers,
    end: Integers,
    most: int | None,
) -> Events:
    """Make events of the slots in which something was done.

    Args:
        logged: (kinds of events, columns) of the program, or some of them.
        sizes: (kinds of events,) processes of the task of each.
        heads: (tasks, columns) of the program.
        data: columns of the program's operands.
        works: (different works, classes) of the program.
        start, end: (slots,) ps.
        most: how many events to return, those that ended first; None: all.

    Returns:
        Events ordered by end, then by kind, then by process.
    """
    kind, number, ended = _done(logged, sizes, start, end)
    order = np.argsort(ended, kind="stable")[:most]
    columns = np.empty((len(COLUMNS) + 1, len(order)), np.int64)
    _fill(order, kind, number, logged, heads, data, works.sum(1), start, end, columns)
    return Events(**dict(zip(COLUMNS, columns, strict=False)), work=columns[-1], works=works)


@compiled
def _done(logged: Integers, sizes: Integers, start: Integers, end: Integers) -> tuple[Integers, Integers, Integers]:
    """List kind, number of the process, and end (ps) of every event, kind by kind."""
    most, found = sizes.sum(), 0
    kinds, numbers, ended = np.empty(most, np.int64), np.empty(most, np.int64), np.empty(most, np.int64)
    for kind in range(len(logged)):
        first = logged[kind, _FIRST_SLOT]
        for number in range(sizes[kind]):
            if start[first + number] != NEVER:
                kinds[found], numbers[found], ended[found] = kind, number, end[first + number]
                found += 1
    return kinds[:found], numbers[:found], ended[:found]


@compiled
def _fill(
    order: Integers,
    kinds: Integers,
    numbers: Integers,
    logged: Integers,
    heads: Integers,
    data: Data,
    totals: Integers,
    start: Integers,
    end: Integers,
    columns: Integers,
) -> None:
    """Fill the columns of `rpusim.arch.engine.events.COLUMNS`, and last the work; ``totals``: operations of each."""
    data = uncounted(data)
    for at in range(len(order)):
        kind, number = kinds[order[at]], numbers[order[at]]
        task, slot = logged[kind, _TASK], logged[kind, _FIRST_SLOT] + number
        amount = _operand(data, logged[kind, _AMOUNT], logged[kind, _AMOUNT_COLUMN], number)
        columns[0, at], columns[1, at] = logged[kind, _OP], logged[kind, _STATION]
        columns[2, at] = _operand(data, logged[kind, _ROW], logged[kind, _ROW_COLUMN], number)
        columns[3, at], columns[4, at] = heads[task, _LAYER], heads[task, _TILE]
        columns[5, at] = heads[task, _PHASE]
        columns[6, at] = _operand(data, heads[task, _VECTOR], heads[task, _VECTOR_COLUMN], number)
        columns[7, at], columns[8, at] = start[slot], end[slot]
        if logged[kind, _WORKED]:
            columns[9, at], columns[10, at] = totals[amount], amount
        else:
            columns[9, at], columns[10, at] = amount, 0
