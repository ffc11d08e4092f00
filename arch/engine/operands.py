"""Operands of a program: numbers that are the same for all processes of a task, count up, or stand in a column."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from rpusim.arch.contract.columns import Integers

CONSTANT = -1
"""Column of an operand that is the same number for every process of the task."""
COUNTED = -2
"""Column of an operand that grows by one with every process of the task."""


Data = NDArray[np.int32] | Integers
"""Columns of a program's operands, one after the other; 32 bits wide where all numbers fit."""


def operand(data: Data | list[int], value: int, column: int, number: int) -> int:
    """Evaluate an operand for one process. Python and compiled loops both call this function.

    Args:
        data: all columns of the program, one after the other (`Program.data`).
        value: the operand's number.
        column: `CONSTANT`, `COUNTED`, or where the operand's column begins in ``data``.
        number: of the process within its task, from 0.

    Returns:
        ``value``, plus ``number`` if the operand is counted, or plus the process's entry of its column.
    """
    if column == CONSTANT:
        return value
    if column == COUNTED:
        return value + number
    return value + int(data[column + number])
