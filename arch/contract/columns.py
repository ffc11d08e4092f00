"""."""

from __future__ import annotations

from typing import overload

import numpy as np
from numpy.typing import NDArray

Integers = NDArray[np.int64]

Operand = int | Integers
"""A number, or one for each process of a task."""

Chosen = Integers | None


@overload
def pick(values: Integers, chosen: Chosen) -> Integers: ...


@overload
def pick(values: Operand, chosen: Chosen) -> Operand: ...


def pick(values: Operand, chosen: Chosen) -> Operand:
    """Entries of a column, None: all; a number stays as it is."""
    return values if chosen is None or isinstance(values, int) else values[chosen]


def plain(values: Operand) -> Operand:
    """One number where a column says the same of all, which is quicker to go on with."""
    if not isinstance(values, np.ndarray):
        return int(values)
    first = int(values[0]) if len(values) else 0
    return first if (values == first).all() else values


def some(values: Operand | NDArray[np.bool_]) -> bool:
    """Whether it is not 0 for any process."""
    return bool(values) if isinstance(values, int) else bool(values.any())
