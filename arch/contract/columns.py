"""Columns of integers, and operands that are a column or one number that stands for it.

Programs for the engine, schedules and prices are made for many processes at once: a quantity is a column with one entry
per process, or a plain ``int`` where it is the same for all, which is quicker to compute with. The functions here treat
both alike.
"""

from __future__ import annotations

from typing import overload

import numpy as np
from numpy.typing import NDArray

from rpusim.arch.contract.compiled_loops import compiled, inlined
from rpusim.arch.contract.uncounted import uncounted

Integers = NDArray[np.int64]
"""A one-dimensional column of 64-bit integers: times in ps, energies in zJ, bits, counts, indices."""

Operand = int | Integers
"""A quantity of every process of a task: one number for all, or a column with one entry per process."""

Chosen = Integers | None
"""Which processes are meant: indices into their columns, or None for all."""


@overload
def pick(values: Integers, chosen: Chosen) -> Integers: ...


@overload
def pick(values: Operand, chosen: Chosen) -> Operand: ...


def pick(values: Operand, chosen: Chosen) -> Operand:
    """Take an operand's entries for the chosen processes; one number for all stays as it is."""
    return values if chosen is None or isinstance(values, int) else values[chosen]


def plain(values: Operand) -> Operand:
    """Replace a column that says the same of all processes by that one number; an empty one by 0."""
    if not isinstance(values, np.ndarray):
        return int(values)
    first = int(values[0]) if len(values) else 0
    return first if (values == first).all() else values


def distinct(values: Integers) -> Integers:
    """Return the different values in order, as `numpy.unique` does; at once where they never decrease."""
    found: Integers = values
    if (values[1:] >= values[:-1]).all():
        return found[np.concatenate([[True], values[1:] != values[:-1]])] if len(values) else found
    found = np.unique(values)
    return found


def some(values: Operand | NDArray[np.bool_]) -> bool:
    """Whether an operand differs from 0 (or is True) for any process."""
    return bool(values) if isinstance(values, int) else bool(values.any())


@inlined
def _equal(table: Integers, row: int, other: int) -> bool:
    """Tell whether two rows of a table are equal."""
    equal = True
    for column in range(table.shape[1]):
        equal &= table[row, column] == table[other, column]
    return equal


@compiled
def different(table: Integers) -> tuple[Integers, Integers]:
    """Find the rows that differ, in the order in which they are met.

    table: (n, columns). Returns the first row of each kind, and (n,) the number of every row's kind.
    """
    table, size = uncounted(table), 4
    while size < 2 * len(table):
        size *= 2
    entries = np.full(size, -1)  # a hash table of numbers of kinds
    first, kinds, found = np.empty(len(table), np.int64), np.empty(len(table), np.int64), 0
    for row in range(len(table)):
        mixed = np.uint64(0)
        for number in table[row]:
            mixed = (mixed ^ np.uint64(number)) * np.uint64(0x9E3779B97F4A7C15)
            mixed ^= mixed >> np.uint64(29)
        entry = np.int64(mixed & np.uint64(size - 1))
        while entries[entry] >= 0 and not _equal(table, first[entries[entry]], row):
            entry = (entry + 1) & (size - 1)
        if entries[entry] < 0:
            entries[entry] = found
            first[found] = row
            found += 1
        kinds[row] = entries[entry]
    return first[:found], kinds
