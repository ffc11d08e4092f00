"""Count digital work by class: an addition is not a division, and each class has its own time and energy.

`Work` says how many operations of every class something takes; `WorkTable` numbers the different works of a program, so
that an event can say by one number what its digital unit did.
"""

from __future__ import annotations

from dataclasses import dataclass, fields

import numpy as np
from numpy.typing import ArrayLike

from rpusim.arch.contract.columns import Integers, different


@dataclass(frozen=True)
class Work:
    """Count digital operations on numbers by class.

    add:          additions and subtractions, shifts and roundings.
    multiply:     multiplications.
    divide:       divisions.
    compare:      comparisons of two numbers, or of one with a constant.
    exponential:  exponentials and logarithms.
    look_up:      numbers read from a table by another number, as units for activations do.
    square_root:  square roots.
    random:       random numbers drawn, of one bit or of many.
    """

    add: int = 0
    multiply: int = 0
    divide: int = 0
    compare: int = 0
    exponential: int = 0
    look_up: int = 0
    square_root: int = 0
    random: int = 0

    def __add__(self, other: Work) -> Work:
        return Work(*(mine + theirs for mine, theirs in zip(self.counts, other.counts, strict=True)))

    def __mul__(self, times: int) -> Work:
        return Work(*(times * number for number in self.counts))

    __rmul__ = __mul__

    @property
    def counts(self) -> tuple[int, ...]:
        """The numbers in the order of `CLASSES`."""
        return tuple(vars(self).values())  # in the order of the fields

    @property
    def total(self) -> int:
        """Operations of all classes together."""
        return sum(self.counts)

    def __bool__(self) -> bool:
        return self.total > 0

    @property
    def by_class(self) -> dict[str, int]:
        """The numbers that are not 0, by class."""
        return {name: number for name, number in zip(CLASSES, self.counts, strict=True) if number}


CLASSES = tuple(f.name for f in fields(Work))
"""Names of the classes of digital operations, by which a cost card prices them."""

NOTHING = Work()
"""No operation at all."""


class WorkTable:
    """Number different works, from 0 on in the order in which they are met; number 0 is no work.

    >>> table = WorkTable()
    >>> table.numbers([[0] * 8, [1, 0, 0, 0, 0, 0, 0, 0], [0] * 8]).tolist(), len(table.rows)
    ([0, 1, 0], 2)
    """

    def __init__(self) -> None:
        self.rows: list[tuple[int, ...]] = [NOTHING.counts]
        self._numbers = {NOTHING.counts: 0}

    def number(self, work: Work | tuple[int, ...]) -> int:
        """Return the number of one work, which is added if it is new."""
        counts = work.counts if isinstance(work, Work) else work
        found = self._numbers.setdefault(counts, len(self.rows))
        if found == len(self.rows):
            self.rows.append(counts)
        return found

    def numbers(self, counts: ArrayLike) -> Integers:
        """Return (n,) the numbers of works; ``counts``: (n, classes) operations of each."""
        table = np.ascontiguousarray(counts, np.int64)
        first, places = different(table)
        own = np.array([self.number(tuple(row)) for row in table[first].tolist()], np.int64)
        numbers: Integers = own[places]
        return numbers
