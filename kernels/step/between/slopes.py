"""Slopes that are learned in compiled loops: PReLU, y = x where x > 0, else a x, with one a or one of each channel.

Numbers of a sample lie channel by channel; the slope of the n-th one is that at n // spread modulo their number.
"""

from __future__ import annotations

import numpy as np

from rpusim.kernels.base.loops import Floats
from rpusim.kernels.base.rng import Integer

_0 = np.float32(0)


def bend(x: Floats, slopes: Floats, spread: Integer, y: Floats) -> None:
    """Compute y; x, y: (numbers of all samples,). spread: numbers in a row that have one slope."""
    for part in range(len(x) // spread):
        slope = slopes[part % len(slopes)]
        for k in range(part * spread, (part + 1) * spread):
            y[k] = x[k] if x[k] > _0 else slope * x[k]


def bend_back(
    x: Floats,
    slopes: Floats,
    spread: Integer,
    of_y: Floats,
    of_slopes: Floats,
    wanted: bool,
    adds: bool,
    of_x: Floats,
) -> None:
    """Compute the gradients of x and of the slopes; the latter are added to what is there.

    wanted: whether that of x is; adds: to what is there.
    """
    for part in range(len(x) // spread):
        slope, total = slopes[part % len(slopes)], _0
        for k in range(part * spread, (part + 1) * spread):
            total += _0 if x[k] > _0 else x[k] * of_y[k]
            if wanted:
                found = of_y[k] if x[k] > _0 else slope * of_y[k]
                of_x[k] = of_x[k] + found if adds else found
        of_slopes[part % len(slopes)] += total
