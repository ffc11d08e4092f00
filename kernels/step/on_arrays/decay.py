"""Decay of the cells of an array, all side by side, without a look at the bounds of most of them.

A mini-batch brings a weight to w' = (w - goal) left + goal. That lies between the weight and its goal, and so within
the bounds, unless rounding carries it over one. It does not where the goal is 0 and left <= 1; nor, with a unit
roundoff u and a bound B, where the goal is |B| / 10 or more away from it and left <= 1 - 12 u. Bounds lie apart in
memory, so that to read them takes most of the time; they are read for the few cells for which neither holds.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray

from rpusim.kernels.base.loops import Floats, Integers
from rpusim.kernels.devices.variation import BOUND_MAX, BOUND_MIN, Cells

# How near a goal may be to a bound, relative to that, and a factor to 1, which is more than 12 roundoffs of a float32.
NEAR, SLOW = 0.1, 2.0**-19
_0 = np.float32(0)


class Found(NamedTuple):
    """What decay has to look at, of one array.

    edges: the numbers of the cells that it might carry over a bound, row after row. goals: whether any is not 0.
    """

    edges: NDArray[np.int64]
    goals: bool


class Edges:
    """Finds what decay has to look at, and remembers it while nothing changes."""

    def __init__(self) -> None:
        self._known: dict[int, tuple[tuple[tuple[int, int], ...], Found]] = {}

    def of(self, index: int, cells: Cells) -> Found:
        """Look at the cells of an array, which decay; index: under which what is found is remembered."""
        assert cells.decay is not None
        tensors = [each for each in (cells.pulse, cells.decay, cells.target) if each is not None]
        seen = tuple((each.data_ptr(), each._version) for each in tensors)
        if index not in self._known or self._known[index][0] != seen:
            goal = torch.zeros_like(cells.decay) if cells.target is None else cells.target
            low, high = cells.bound_min, cells.bound_max
            far = (goal <= high - NEAR * high.abs()) & (goal >= low + NEAR * low.abs()) & (cells.decay <= 1.0 - SLOW)
            inside = far | ((goal == 0.0) & (low <= 0.0) & (high >= 0.0) & (cells.decay <= 1.0))
            edges = np.flatnonzero(~(inside & (cells.decay >= 0.0)).numpy())
            self._known[index] = seen, Found(edges, bool((goal != 0.0).any()))
        return self._known[index][1]


def approach(weights: Floats, left: Floats, goals: Floats) -> None:
    """Bring weights nearer to their goals; left: the factor of each; goals: of each, or empty: 0."""
    if len(goals):
        for k in range(len(weights)):
            at = np.uint64(k)
            weights[at] = (weights[at] - goals[at]) * left[at] + goals[at]
    else:
        for k in range(len(weights)):
            weights[np.uint64(k)] = weights[np.uint64(k)] * left[np.uint64(k)] + _0  # no zero is negative, as above


def keep_within(weights: Floats, cells: Floats, each: int, edges: Integers) -> None:
    """Cut off at its bounds the weight of each of some cells; each: numbers of a cell. edges: which, row after row."""
    for k in edges:
        weights[k] = min(max(weights[k], cells[k * each + BOUND_MIN]), cells[k * each + BOUND_MAX])
