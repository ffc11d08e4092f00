"""Random numbers in Triton kernels: the hash, uniform and normal numbers of `rpusim.kernels.base.rng`, to the bit.

Words, rows, columns and pulses are uint32 here, whose products wrap around as the hash wants them. The same bits come
out as on a CPU because only + * sqrt with correct rounding are used, and because `language.launch` forbids the compiler
to fuse a product and a sum. A kernel that is launched otherwise may differ in the last bit of `normal`.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
import triton.language as tl
from numpy.typing import NDArray

from rpusim.kernels.base import rng
from rpusim.kernels.triton.language import jit

_COLUMN, _ROW, _PULSE = tl.constexpr(0x9E3779B1), tl.constexpr(0x85EBCA77), tl.constexpr(0xC2B2AE3D)
_ROW_B, _PULSE_B = tl.constexpr(0x27D4EB2F), tl.constexpr(0x165667B1)
_MIX_A, _MIX_B = tl.constexpr(0x7FEB352D), tl.constexpr(0x846CA68B)
_L0, _L1, _L2, _L3, _L4, _L5, _L6, _L7 = (tl.constexpr(float(np.float32(c))) for c in rng._LOG)
_C0, _C1, _C2, _C3, _C4, _C5, _C6 = (tl.constexpr(float(np.float32(c))) for c in rng._COS)
_SQRT_HALF = tl.constexpr(rng._SQRT_HALF_BITS)
_LN2 = tl.constexpr(float(np.float32(rng._LN2)))
_2M24, _2M32, _2M33 = tl.constexpr(2.0**-24), tl.constexpr(2.0**-32), tl.constexpr(2.0**-33)
_WHOLE = tl.constexpr(2.0**23)


def words(base: int, first: int, count: int, device: torch.device) -> torch.Tensor:
    """Make the two random words of each of ``count`` steps under a key: int32 (count, 2), whose bits are the words.

    base: the key. first: counter of the first step. device: where they are to lie.
    """
    return place(rng.step_words(base, np.arange(first, first + count, dtype=np.int64)), device)


def place(bits: NDArray[np.uint32], device: torch.device) -> torch.Tensor:
    """Bring 32-bit words to a device, as an int32 tensor with the same bits."""
    return torch.from_numpy(np.ascontiguousarray(bits).view(np.int32)).to(device, non_blocking=True)


@jit
def word(pointer: Any) -> Any:
    """Load random words that lie as int32."""
    return tl.load(pointer).to(tl.uint32, bitcast=True)


@jit
def _mix(x: Any) -> Any:
    """Finish a hash: every bit of the result depends on all 32 bits of x."""
    x = (x ^ (x >> 16)) * _MIX_A
    x = (x ^ (x >> 15)) * _MIX_B
    return x ^ (x >> 16)


@jit
def line_words(word_a: Any, word_b: Any, row: Any, pulse: Any) -> Any:
    """Compute the part of the hash that all columns of a row share in one pulse: two words for `bits`."""
    row, pulse = tl.cast(row, tl.uint32), tl.cast(pulse, tl.uint32)
    return _mix(word_a + row * _ROW + pulse * _PULSE), _mix(word_b ^ (row * _ROW_B + pulse * _PULSE_B))


@jit
def bits(a: Any, b: Any, column: Any) -> Any:
    """Draw 32 random bits for cells from the words of their line; column: their columns."""
    x = a + tl.cast(column, tl.uint32) * _COLUMN
    x = ((x ^ (x >> 16)) * _MIX_A) ^ b
    x = (x ^ (x >> 15)) * _MIX_B
    return x ^ (x >> 16)


@jit
def uniform(random: Any) -> Any:
    """Turn 32 random bits into uniform float32 numbers k / 2**24 in [0, 1)."""
    return (random >> 8).to(tl.int32).to(tl.float32) * _2M24


@jit
def normal(random: Any) -> Any:
    """Turn 32 random bits into standard-normal float32 numbers, see `rpusim.kernels.base.rng.normal`."""
    radius = random.to(tl.float32) * _2M32 + _2M33
    pattern = radius.to(tl.int32, bitcast=True)
    exponent = (pattern - _SQRT_HALF) >> 23
    m = (pattern - (exponent << 23)).to(tl.float32, bitcast=True) - 1.0
    log = ((((((_L7 * m + _L6) * m + _L5) * m + _L4) * m + _L3) * m + _L2) * m + _L1) * m + _L0
    log = log * m + exponent.to(tl.float32) * _LN2
    angle = (random * _COLUMN).to(tl.int32, bitcast=True).to(tl.float32) * _2M32
    square = angle * angle
    cosine = (((((_C6 * square + _C5) * square + _C4) * square + _C3) * square + _C2) * square + _C1) * square + _C0
    twice = log * -2.0
    return tl.sqrt_rn(tl.where(twice > 0.0, twice, 0.0)) * cosine


@jit
def rint(x: Any) -> Any:
    """Round float32 numbers to whole ones, halves to the even one, as every CPU does."""
    magnitude = tl.abs(x)
    whole = tl.where(magnitude < _WHOLE, (magnitude + _WHOLE) - _WHOLE, magnitude)
    return tl.where(x < 0.0, -whole, whole)
