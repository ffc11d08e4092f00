"""Columns of integers, and operands that are a column or one number that stands for it.

Programs for the engine, schedules and prices are made for many processes at once: a quantity is a column with one entry
per process, or a plain ``int`` where it is the same for all, which is quicker to compute with. The functions here treat
both alike.
"""

from __future__ import annotations

from typing import overload

import numpy as np
from numpy.typing import NDArray

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


def some(values: Operand | NDArray[np.bool_]) -> bool:
    """Whether an operand differs from 0 (or is True) for any process."""
    return bool(values) if isinstance(values, int) else bool(values.any())
