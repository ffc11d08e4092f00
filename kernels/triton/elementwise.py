"""Functions for step functions in Triton kernels: to the bit those of `rpusim.kernels.base.elementwise`.

`devices` puts these in the place of the functions of the same names when it translates the step of a device.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import triton.language as tl

from rpusim.kernels.base import elementwise
from rpusim.kernels.triton.language import jit
from rpusim.kernels.triton.rng import rint

_E0, _E1, _E2, _E3, _E4 = (tl.constexpr(float(np.float32(c))) for c in elementwise._EXP)
_L0, _L1, _L2, _L3, _L4, _L5, _L6, _L7 = (tl.constexpr(float(np.float32(c))) for c in elementwise._LOG)
_LIMIT = tl.constexpr(elementwise._LIMIT)
_PER_LN2 = tl.constexpr(float(np.float32(elementwise._PER_LN2)))
_LN2_HIGH = tl.constexpr(float(np.float32(elementwise._LN2_HIGH)))
_LN2_LOW = tl.constexpr(float(np.float32(elementwise._LN2_LOW)))
_LN2 = tl.constexpr(float(np.float32(elementwise._LN2)))
_SQRT_HALF = tl.constexpr(elementwise._SQRT_HALF_BITS)


@jit
def complement(x: Any) -> Any:
    """Subtract from one: 1 - x."""
    return 1.0 - x


@jit
def positive(x: Any) -> Any:
    """Cut off negative numbers: max(x, 0)."""
    return tl.where(x > 0.0, x, 0.0)


@jit
def absolute(x: Any) -> Any:
    """Take the magnitude: |x|."""
    return tl.abs(x)


@jit
def divide(x: Any, y: Any) -> Any:
    """Divide x / y, correctly rounded as on a CPU."""
    return tl.div_rn(x, y)


@jit
def exp(x: Any) -> Any:
    """Raise e to the x; finite for every x."""
    x = tl.where(x < -_LIMIT, -_LIMIT, x)
    x = tl.where(x > _LIMIT, _LIMIT, x)
    n = rint(x * _PER_LN2)
    r = (x - n * _LN2_HIGH) - n * _LN2_LOW
    e = (((_E4 * r + _E3) * r + _E2) * r + _E1) * r + _E0
    power_of_two = ((n.to(tl.int32) + 127) << 23).to(tl.float32, bitcast=True)
    return ((e * r * r + r) + 1.0) * power_of_two


@jit
def log(x: Any) -> Any:
    """Take the natural logarithm of normal numbers x > 0."""
    pattern = x.to(tl.int32, bitcast=True)
    n = (pattern - _SQRT_HALF) >> 23
    m = (pattern - (n << 23)).to(tl.float32, bitcast=True) - 1.0
    e = ((((((_L7 * m + _L6) * m + _L5) * m + _L4) * m + _L3) * m + _L2) * m + _L1) * m + _L0
    return n.to(tl.float32) * _LN2 + (e * m * m + m)


@jit
def power(x: Any, exponent: Any) -> Any:
    """Raise x to the exponent for x > 0; 0 for x <= 0."""
    return tl.where(x > 0.0, exp(log(tl.where(x > 0.0, x, 1.0)) * exponent), 0.0)


@jit
def whole_below(x: Any, most: Any) -> Any:
    """Cut a position off at 0, and find the whole number below it, ``most`` at most; returns both."""
    x = tl.where(x > 0.0, x, 0.0)
    below = tl.floor(x)
    return x, tl.where(below > most, most, below)


@jit
def between(share: Any, low: Any, high: Any) -> Any:
    """Go from low to high by a share, all of the way at most."""
    share = tl.where(share < 1.0, share, 1.0)
    return (1.0 - share) * low + share * high
