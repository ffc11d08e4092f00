"""Random numbers that are functions of the place, not of the order: (seed, tile, purpose, step, row, column, pulse).

A generator with a state makes a result depend on who draws first: on the number of threads, on the tiling of the loop,
on where a run was interrupted. Here nothing has a state. The *host* mixes seed, layer, tile and purpose into a 64-bit
key (`key`), the key and a step counter into two 32-bit words per vector (`step_words`), and each cell hashes these with
its row, column and pulse. So a cell can be computed by any thread, in any order, or again, and gets the same number.

The hash is written twice, in torch (int64 tensors masked to 32 bits, any device) and in numba (uint32), and gives the
same bits in both; the normal numbers too, because only correctly rounded float32 operations (+ * sqrt) are used.

Sources: SplitMix64 finaliser (Steele, Lea & Flood 2014); 32-bit finaliser of C. Wellons (2018); Box & Muller (1958).
The counter-based idea is that of Salmon et al. (2011). Not for cryptography.
"""

from __future__ import annotations

from enum import IntEnum
from functools import lru_cache
from typing import Any, TypeAlias

import numpy as np
import torch
from numpy.typing import NDArray

from rpusim.kernels.base.loops import inlined

Tensor = torch.Tensor
Integer: TypeAlias = int | np.integer[Any]


class Purpose(IntEnum):
    """What a random number is for; numbers of different purposes are independent."""

    DEVICE = 0
    LINES = 1
    ROW_PULSES = 2
    COLUMN_PULSES = 3
    PULSE_NOISE = 4
    DIFFUSION = 5
    INPUT_NOISE = 6
    INPUT_ROUNDING = 7
    WEIGHT_READ_NOISE = 8
    OUTPUT_NOISE = 9
    OUTPUT_ROUNDING = 10
    INITIAL_WEIGHTS = 11
    ROW_ROUNDING = 12
    COLUMN_ROUNDING = 13
    MERGED_NOISE = 14
    WRITE_NOISE = 15
    RESET = 16
    DRIFT = 17
    PROGRAMMING = 18
    FROZEN = 19
    AGEING = 20
    MODIFIER = 21
    REPLICAS = 22


# --- host: keys -------------------------------------------------------------------------------------------------------

_MASK64 = (1 << 64) - 1
_STRIDE64 = 0x9E3779B97F4A7C15


def _finalise64(z: int) -> int:
    """Map 64-bit integers to each other as SplitMix64 does: every output bit depends on every input bit."""
    z = ((z ^ (z >> 30)) * 0xBF58476D1CE4E5B9) & _MASK64
    z = ((z ^ (z >> 27)) * 0x94D049BB133111EB) & _MASK64
    return z ^ (z >> 31)


@lru_cache(maxsize=65536)
def key(*words: int) -> int:
    """Make a 64-bit key from any integers, such as (seed, layer, tile, purpose); their order and number matter."""
    state = _finalise64(len(words) + 1)
    for word in words:
        state = _finalise64((state ^ _finalise64((word * _STRIDE64 + 1) & _MASK64)) + _STRIDE64 & _MASK64)
    return state


def step_words(base: int, steps: NDArray[np.int64]) -> NDArray[np.uint32]:
    """Make two 32-bit words for each step under a key: (len(steps), 2).

    base: the key. steps: counters of what is drawn for, such as vectors or mini-batches.
    """
    with np.errstate(over="ignore"):
        z = np.uint64(base) + steps.astype(np.uint64) * np.uint64(_STRIDE64)
        z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
        z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
        z = z ^ (z >> np.uint64(31))
    return np.stack([z >> np.uint64(32), z & np.uint64(0xFFFFFFFF)], axis=-1).astype(np.uint32)


# --- constants of both writings ---------------------------------------------------------------------------------------

# Odd multipliers that spread the counters (golden ratio and random primes), and the two of the finaliser.
_COLUMN, _ROW, _PULSE = 0x9E3779B1, 0x85EBCA77, 0xC2B2AE3D
_ROW_B, _PULSE_B = 0x27D4EB2F, 0x165667B1
_MIX_A, _MIX_B = 0x7FEB352D, 0x846CA68B

# ln(1+m) = m P(m) for 1+m in [sqrt(1/2), sqrt(2)], to 6e-8; cos(2 pi t) = C(t*t) for |t| <= 1/2, to 1e-8 (fits at
# Chebyshev nodes).
_LOG = (0.99999994, -0.50000364, 0.33335114, -0.24970071, 0.19898565, -0.17247014, 0.16234189, -0.10134057)
_COS = (1.0, -19.739204, 64.93912, -85.45014, 60.16763, -25.9676, 6.5286587)
_SQRT_HALF_BITS = 0x3F3504F3
_LN2 = 0.6931472


# --- torch ------------------------------------------------------------------------------------------------------------

_MASK = 0xFFFFFFFF


def _mix(x: Tensor) -> Tensor:
    """Finish a hash: every bit of the result depends on all 32 bits of x."""
    x = ((x ^ (x >> 16)) * _MIX_A) & _MASK
    x = ((x ^ (x >> 15)) * _MIX_B) & _MASK
    return x ^ (x >> 16)


def bits(words: Tensor, row: Tensor | int, column: Tensor | int, pulse: Tensor | int = 0) -> Tensor:
    """Draw 32 random bits per cell, as an int64 tensor; the arguments are broadcast against each other.

    words: int64 tensor (..., 2) as made by `torch_words`; the last axis is consumed. row, column: place of the cell.
    pulse: which of several numbers for this cell and step.
    """
    word_a, word_b = words[..., 0], words[..., 1]
    a = _mix((word_a + row * _ROW + pulse * _PULSE) & _MASK)
    b = _mix((word_b ^ ((row * _ROW_B + pulse * _PULSE_B) & _MASK)) & _MASK)
    x = (a + column * _COLUMN) & _MASK
    x = (((x ^ (x >> 16)) * _MIX_A) & _MASK) ^ b
    x = ((x ^ (x >> 15)) * _MIX_B) & _MASK
    return x ^ (x >> 16)


def uniform(random: Tensor) -> Tensor:
    """Turn 32 random bits into uniform float32 numbers k / 2**24 in [0, 1)."""
    return (random >> 8).to(torch.float32) * float(2.0**-24)


def normal(random: Tensor) -> Tensor:
    """Turn 32 random bits into standard-normal float32 numbers, with true tails up to 6.7 sigma.

    Box-Muller with the 32 bits as the radius and their golden-ratio multiple as the angle: the 2**32 points form a
    Fibonacci lattice, which fills the unit square more evenly than independent points do.
    """
    radius = random.to(torch.float32) * float(2.0**-32) + float(2.0**-33)
    pattern = radius.view(torch.int32)
    exponent = (pattern - _SQRT_HALF_BITS) >> 23
    m = (pattern - (exponent << 23)).view(torch.float32) - 1.0
    log = torch.full_like(m, _LOG[-1])
    for coefficient in _LOG[-2::-1]:
        log = log * m + coefficient
    log = log * m + exponent.to(torch.float32) * _LN2
    angle = (random * _COLUMN) & _MASK
    angle = torch.where(angle >= 1 << 31, angle - (1 << 32), angle).to(torch.float32) * float(2.0**-32)
    square = angle * angle
    cosine = torch.full_like(square, _COS[-1])
    for coefficient in _COS[-2::-1]:
        cosine = cosine * square + coefficient
    # The square root goes through float64 because torch's float32 one is not correctly rounded on every machine.
    return torch.sqrt(torch.clamp(log * -2.0, min=0.0).double()).float() * cosine


def torch_words(base: int, steps: NDArray[np.int64], device: torch.device | str = "cpu") -> Tensor:
    """Make `step_words` as an int64 tensor (len(steps), 2) for `bits`."""
    return torch.from_numpy(step_words(base, steps).astype(np.int64)).to(device)


def normal_matrix(base: int, step: int, rows: int, columns: int, device: torch.device | str = "cpu") -> Tensor:
    """Draw a matrix (rows, columns) of standard-normal float32 numbers for one step of the key ``base``."""
    return normal(_matrix_bits(base, step, rows, columns, device))


def uniform_matrix(base: int, step: int, rows: int, columns: int, device: torch.device | str = "cpu") -> Tensor:
    """Draw a matrix (rows, columns) of uniform float32 numbers in [0, 1) for one step of the key ``base``."""
    return uniform(_matrix_bits(base, step, rows, columns, device))


def _matrix_bits(base: int, step: int, rows: int, columns: int, device: torch.device | str) -> Tensor:
    words = torch_words(base, np.array([step], np.int64), device)[0]
    return bits(words, torch.arange(rows, device=device)[:, None], torch.arange(columns, device=device))


# --- numba ------------------------------------------------------------------------------------------------------------
# numba widens uint32 arithmetic to 64 bits, so every operation is cast back.

_U = np.uint32
_nb_column, _nb_row, _nb_pulse = _U(_COLUMN), _U(_ROW), _U(_PULSE)
_nb_row_b, _nb_pulse_b = _U(_ROW_B), _U(_PULSE_B)
_nb_mix_a, _nb_mix_b = _U(_MIX_A), _U(_MIX_B)
_nb_stride = np.uint64(_STRIDE64)
_nb_fin_a, _nb_fin_b = np.uint64(0xBF58476D1CE4E5B9), np.uint64(0x94D049BB133111EB)
_F = np.float32
_l0, _l1, _l2, _l3, _l4, _l5, _l6, _l7 = (_F(c) for c in _LOG)
_c0, _c1, _c2, _c3, _c4, _c5, _c6 = (_F(c) for c in _COS)
_nb_ln2, _nb_one, _nb_zero, _nb_minus_two = _F(_LN2), _F(1), _F(0), _F(-2)
_nb_sqrt_half = np.int32(_SQRT_HALF_BITS)
_nb_2m24, _nb_2m32, _nb_2m33 = _F(2.0**-24), _F(2.0**-32), _F(2.0**-33)


@inlined
def nb_step_words(base: np.uint64, step: Integer) -> tuple[np.uint32, np.uint32]:
    """Compute the two words of `step_words` for one step."""
    z = np.uint64(base + np.uint64(np.uint64(step) * _nb_stride))
    z = np.uint64(np.uint64(z ^ (z >> np.uint64(30))) * _nb_fin_a)
    z = np.uint64(np.uint64(z ^ (z >> np.uint64(27))) * _nb_fin_b)
    z = np.uint64(z ^ (z >> np.uint64(31)))
    return _U(z >> np.uint64(32)), _U(z & np.uint64(0xFFFFFFFF))


@inlined
def _nb_mix(x: np.uint32) -> np.uint32:
    """Finish a hash, as `_mix` does."""
    x = _U(_U(x ^ (x >> _U(16))) * _nb_mix_a)
    x = _U(_U(x ^ (x >> _U(15))) * _nb_mix_b)
    return _U(x ^ (x >> _U(16)))


@inlined
def nb_line_words(word_a: np.uint32, word_b: np.uint32, row: Integer, pulse: Integer) -> tuple[np.uint32, np.uint32]:
    """Compute the part of the hash that all columns of a row share in one pulse: two words for `nb_bits`."""
    a = _nb_mix(_U(word_a + _U(_U(row) * _nb_row) + _U(_U(pulse) * _nb_pulse)))
    b = _nb_mix(_U(word_b ^ _U(_U(_U(row) * _nb_row_b) + _U(_U(pulse) * _nb_pulse_b))))
    return a, b


@inlined
def nb_bits(a: np.uint32, b: np.uint32, column: Integer) -> np.uint32:
    """Draw 32 random bits for one cell from the words of its line."""
    x = _U(a + _U(_U(column) * _nb_column))
    x = _U(_U(_U(x ^ (x >> _U(16))) * _nb_mix_a) ^ b)
    x = _U(_U(x ^ (x >> _U(15))) * _nb_mix_b)
    return _U(x ^ (x >> _U(16)))


@inlined
def nb_uniform(random: np.uint32) -> np.float32:
    """Turn 32 random bits into a uniform number, as `uniform` does."""
    return np.float32(np.float32(np.int32(random >> _U(8))) * _nb_2m24)


@inlined
def nb_normal(random: np.uint32) -> np.float32:
    """Turn 32 random bits into a standard-normal number, to the bit as `normal` does."""
    radius = np.float32(np.float32(random) * _nb_2m32 + _nb_2m33)
    pattern = radius.view(np.int32)
    exponent = np.int32(np.int32(pattern - _nb_sqrt_half) >> np.int32(23))
    m = np.int32(pattern - np.int32(exponent << np.int32(23))).view(np.float32) - _nb_one
    log = ((((((_l7 * m + _l6) * m + _l5) * m + _l4) * m + _l3) * m + _l2) * m + _l1) * m + _l0
    log = log * m + np.float32(exponent) * _nb_ln2
    angle = np.float32(np.float32(np.int32(_U(random * _nb_column))) * _nb_2m32)
    square = angle * angle
    cosine = (((((_c6 * square + _c5) * square + _c4) * square + _c3) * square + _c2) * square + _c1) * square + _c0
    twice = _nb_minus_two * log
    return np.float32(np.sqrt(twice if twice > _nb_zero else _nb_zero) * cosine)
