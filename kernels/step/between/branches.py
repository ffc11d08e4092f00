"""Products, quotients and weighted sums of two values, constants, selections and masks, in compiled loops."""

from __future__ import annotations

import numpy as np

from rpusim.kernels.base.loops import Floats, Integers

_F = np.float32
TIMES, OVER, WEIGHTED = range(3)
"""Ways to merge two values: their product, their quotient, and their sum with a factor for each."""


def merge(way: int, a: np.float32, b: np.float32, one: Floats, other: Floats, out: Floats) -> None:
    """Merge two values, number by number. way: see above; a, b: the factors of a sum."""
    if way == TIMES:
        for k in range(len(out)):
            out[k] = one[k] * other[k]
    elif way == OVER:
        for k in range(len(out)):
            out[k] = one[k] / other[k]
    else:
        for k in range(len(out)):
            out[k] = a * one[k] + b * other[k]


def merge_back(
    way: int, factor: np.float32, second: bool, one: Floats, other: Floats, of_out: Floats, adds: bool, found: Floats
) -> None:
    """Compute the gradient of one of two merged values from that of what they were merged to.

    way: see above. factor: of this value in a sum. second: whether it is the second one. adds: to what is found there.
    """
    for k in range(len(found)):
        if way == TIMES:
            part = of_out[k] * (one[k] if second else other[k])
        elif way == OVER:
            part = -of_out[k] * (one[k] / other[k]) / other[k] if second else of_out[k] / other[k]
        else:
            part = factor * of_out[k]
        found[k] = found[k] + part if adds else part


def affine(a: np.float32, b: np.float32, x: Floats, y: Floats) -> None:
    """Compute y = a x + b."""
    for k in range(len(y)):
        y[k] = a * x[k] + b


def scale(factors: Floats, x: Floats, y: Floats, adds: bool) -> None:
    """Compute y = factors x, or add that to y."""
    for k in range(len(y)):
        y[k] = y[k] + factors[k] * x[k] if adds else factors[k] * x[k]


def select(x: Floats, places: Integers, y: Floats) -> None:
    """Take numbers of every sample from their places, and 0 from -1. x: (samples, numbers); y: (samples, places)."""
    for b in range(len(y)):
        for k in range(len(places)):
            y[b, k] = x[b, places[k]] if places[k] >= 0 else _F(0)


def select_back(of_y: Floats, places: Integers, of_x: Floats, adds: bool) -> None:
    """Bring gradients back to their places; all others are 0, unless it ``adds`` to what is there."""
    for b in range(len(of_x)):
        if not adds:
            for k in range(of_x.shape[1]):
                of_x[b, k] = _F(0)
        for k in range(len(places)):
            if places[k] >= 0:
                of_x[b, places[k]] += of_y[b, k]
