"""Sums of energies that may exceed 64 bits, group by group."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from rpusim.arch.contract.columns import Integers
from rpusim.arch.contract.compiled_loops import compiled

_HALF, _THIRD = 32, 24
"""Bits of the lower parts of a value and of a count: products of parts are below 2**56."""


def exact_sums(
    values: Integers, members: NDArray[np.intp], groups: Integers, count: Integers, number: int
) -> Iterator[tuple[int, int]]:
    """Sum non-negative values, each counted so many times.

    Args:
        values: (n,) of events; 64 bits, or of any size.
        members: (n,) which events these are.
        groups: (events,) the group of every event.
        count: (events,) how often each counts, below 2**48.
        number: of groups.

    Yields:
        (group, sum), for every group that has members, in order.
    """
    if values.dtype == object:
        of_any_size: dict[int, int] = {}
        for value, member in zip(values.tolist(), members.tolist(), strict=True):
            group = int(groups[member])
            of_any_size[group] = of_any_size.get(group, 0) + value * int(count[member])
        yield from sorted(of_any_size.items())
        return
    found = _sums(np.ascontiguousarray(values, np.int64), members, groups, count, number)
    for group in np.flatnonzero(found[:, -1]).tolist():
        yield group, sum(int(part) << shift for part, shift in zip(found[group, :-1], _SHIFTS, strict=True))


_SHIFTS = tuple(high + low + part for high in (0, _HALF) for low in (0, _THIRD) for part in (0, _THIRD))


@compiled
def _sums(
    values: Integers, members: NDArray[np.intp], groups: Integers, count: Integers, number: int
) -> NDArray[np.int64]:
    """Sum parts of products, each so small that no sum of them overflows; last comes how many members a group has."""
    found = np.zeros((number, 9), np.int64)
    for k in range(len(values)):
        value, many, row = values[k], count[members[k]], found[groups[members[k]]]
        at = 0
        for much in (value & ((1 << _HALF) - 1), value >> _HALF):
            for times in (many & ((1 << _THIRD) - 1), many >> _THIRD):
                product = much * times
                row[at] += product & ((1 << _THIRD) - 1)
                row[at + 1] += product >> _THIRD
                at += 2
        row[8] += 1
    return found
