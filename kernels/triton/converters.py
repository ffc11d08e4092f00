"""The two ends of an analog multiplication as Triton kernels: vectors looked at and converted, sums read out.

A program takes one vector. What is computed is what the numba loops of `rpusim.kernels.mvm.compiled` say, number by
number: divisions are rounded correctly, no product is fused with a sum, and random numbers are functions of (key,
vector, pass, line), so that which vectors are launched together, and in which order, changes nothing.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import torch
import triton.language as tl

from rpusim.kernels.triton.language import jit, launch
from rpusim.kernels.triton.rng import bits, line_words, normal, rint, uniform

Tensor = torch.Tensor
_WIDEST = 1024
"""Lines that a program takes at a time."""

_STRIDE = tl.constexpr(0x9E3779B97F4A7C15)
_FINISH_A, _FINISH_B = tl.constexpr(0xBF58476D1CE4E5B9), tl.constexpr(0x94D049BB133111EB)


class Converter(NamedTuple):
    """A converter, and what happens to signals before it; no unit.

    step, bound: 0 if there is none. sigma: standard deviation of noise. left: what is left of negative signals.
    stochastic: whether it rounds by chance.
    """

    step: float
    bound: float
    sigma: float
    left: float
    stochastic: bool


@jit
def words(keys: Any, number: tl.constexpr, vector: Any, round_number: Any) -> Any:
    """Name the random numbers of one vector in one pass: `step_words` and `nb_line_words` of `rpusim.kernels.base.rng`.

    number: which of the keys.
    """
    z = tl.load(keys + number).to(tl.uint64, bitcast=True) + tl.cast(vector, tl.uint64) * _STRIDE
    z = (z ^ (z >> 30)) * _FINISH_A
    z = (z ^ (z >> 27)) * _FINISH_B
    z = z ^ (z >> 31)
    return line_words((z >> 32).to(tl.uint32), (z & 0xFFFFFFFF).to(tl.uint32), round_number, 0)


@jit
def _look(
    x: Any,
    magnitude: Any,
    largest: Any,
    sums: Any,
    nonzero: Any,
    inputs: Any,
    wants_sums: tl.constexpr,
    BLOCK: tl.constexpr,
) -> None:
    """Find what noise management looks at in one vector."""
    b = tl.program_id(0)
    row = x + b.to(tl.int64) * inputs
    lines = tl.arange(0, BLOCK)
    low = tl.full((BLOCK,), float("inf"), tl.float32)
    high = tl.full((BLOCK,), float("-inf"), tl.float32)
    lost = tl.zeros((BLOCK,), tl.float32)
    count = tl.zeros((BLOCK,), tl.int32)
    positive = tl.zeros((BLOCK,), tl.float64)
    negative = tl.zeros((BLOCK,), tl.float64)
    for start in range(0, inputs, BLOCK):
        inside = start + lines < inputs
        value = tl.load(row + start + lines, mask=inside, other=0.0)
        low = tl.where(inside & (value < low), value, low)
        high = tl.where(inside & (value > high), value, high)
        lost += tl.where(value != value, value, 0.0)
        count += tl.where(inside & (value != 0.0), 1, 0)
        if wants_sums:
            positive += tl.where(value > 0, value, 0.0).to(tl.float64)
            negative -= tl.where(value < 0, value, 0.0).to(tl.float64)
    top, bottom, poison = tl.max(high, 0), tl.min(low, 0), tl.sum(lost, 0)  # no number if any input is none
    tl.store(magnitude + b, tl.where(top > -bottom, top, -bottom) + poison)
    tl.store(largest + b, top + poison)
    tl.store(nonzero + b, tl.sum(count, 0))
    if wants_sums:
        of_side = tl.maximum(tl.sum(positive, 0), tl.sum(negative, 0))
        tl.store(sums + b, of_side.to(tl.float32))


@jit
def _follow(values: Any, state: Any, alpha: Any, vectors: Any, decay: Any) -> None:
    """Follow a running average over the vectors, in float64; one program, as each waits for the one before."""
    now = tl.load(state).to(tl.float64)
    rate = tl.load(decay)
    for b in range(vectors):
        value = tl.load(values + b).to(tl.float64)
        now = tl.where(now != now, value, (1.0 - rate) * now + rate * value)
        tl.store(alpha + b, now.to(tl.float32))
    tl.store(state, now.to(tl.float32))


@jit
def _drive(
    x: Any,
    todo: Any,
    factor: Any,
    keys: Any,
    first: Any,
    round_number: Any,
    inputs: Any,
    step: Any,
    bound: Any,
    sigma: Any,
    left: Any,
    u: Any,
    ROUNDS: tl.constexpr,
    STOCHASTIC: tl.constexpr,
    CLIPS: tl.constexpr,
    NOISY: tl.constexpr,
    LOSES: tl.constexpr,
    BLOCK: tl.constexpr,
) -> None:
    """Prepare the inputs of one vector by equation 1 of `rpusim.kernels.mvm.specification`."""
    n = tl.program_id(0)
    b = tl.load(todo + n)
    scale = tl.div_rn(1.0, tl.load(factor + n))
    vector = first + b
    lines = tl.arange(0, BLOCK)
    for start in range(0, inputs, BLOCK):
        j = start + lines
        inside = j < inputs
        value = tl.load(x + b * inputs + j, mask=inside, other=0.0) * scale
        if ROUNDS:
            value = tl.div_rn(value, step)
            if STOCHASTIC:
                a, c = words(keys, 1, vector, round_number)
                value = value + (uniform(bits(a, c, j)) - 0.5)
            value = rint(value) * step
        if CLIPS:
            value = tl.where(value > bound, bound, value)
            value = tl.where(value < -bound, -bound, value)
        if NOISY:
            a, c = words(keys, 0, vector, round_number)
            value = value + normal(bits(a, c, j)) * sigma
        if LOSES:
            value = tl.where(value < 0, value * left, value)
        tl.store(u + n.to(tl.int64) * inputs + j, value, mask=inside)


@jit
def _read(
    sums: Any,
    todo: Any,
    factor: Any,
    wanted: Any,
    of_lines: Any,
    keys: Any,
    first: Any,
    round_number: Any,
    outputs: Any,
    scale: Any,
    step: Any,
    bound: Any,
    sigma: Any,
    left: Any,
    y: Any,
    clipped: Any,
    ROUNDS: tl.constexpr,
    STOCHASTIC: tl.constexpr,
    CLIPS: tl.constexpr,
    NOISY: tl.constexpr,
    BY_LINE: tl.constexpr,
    LOSES: tl.constexpr,
    TEST_LOW: tl.constexpr,
    BLOCK: tl.constexpr,
) -> None:
    """Read the sums of one vector out by equation 6 of `rpusim.kernels.mvm.specification`."""
    n = tl.program_id(0)
    b = tl.load(todo + n)
    multiplied = tl.load(wanted + b) != 0
    of_vector = tl.load(factor + n) * scale
    vector = first + b
    lines = tl.arange(0, BLOCK)
    over = tl.zeros((BLOCK,), tl.int32)
    for start in range(0, outputs, BLOCK):
        i = start + lines
        inside = i < outputs
        value = tl.load(sums + n.to(tl.int64) * outputs + i, mask=inside, other=0.0)
        if LOSES:
            value = tl.where(value < 0, value * left, value)
        if NOISY:
            a, c = words(keys, 2, vector, round_number)
            spread = tl.load(of_lines + i, mask=inside, other=0.0) if BY_LINE else sigma
            value = value + normal(bits(a, c, i)) * spread
        if ROUNDS:
            value = tl.div_rn(value, step)
            if STOCHASTIC:
                a, c = words(keys, 3, vector, round_number)
                value = value + (uniform(bits(a, c, i)) - 0.5)
            value = rint(value) * step
        if CLIPS:
            over += tl.where(inside & (value > bound), 1, 0)
            if TEST_LOW:
                over += tl.where(inside & (value < -bound), 1, 0)
            value = tl.where(value > bound, bound, value)
            value = tl.where(value < -bound, -bound, value)
        tl.store(y + b * outputs + i, tl.where(multiplied, value * of_vector, 0.0), mask=inside)
    tl.store(clipped + n, tl.where(multiplied, tl.sum(over, 0), 0))


def _width(lines: int) -> int:
    return min(_WIDEST, 1 << max(4, (lines - 1).bit_length()))


def look(x: Tensor, wants_sums: bool) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Find what noise management looks at; the fields of `rpusim.kernels.mvm.periphery.Statistics`, as tensors.

    x: (vectors, inputs), contiguous float32. wants_sums: whether the sums of a side are wanted; else they are empty.
    """
    vectors, inputs = x.shape
    magnitude, largest = x.new_empty(vectors), x.new_empty(vectors)
    sums, nonzero = x.new_empty(vectors if wants_sums else 0), x.new_empty(vectors, dtype=torch.int32)
    found = magnitude, largest, sums, nonzero
    launch(_look, (vectors,), x, *found, inputs, wants_sums=wants_sums, BLOCK=_width(inputs))
    return found


def follow(values: Tensor, state: Tensor, decay: Tensor) -> Tensor:
    """Follow a running average of ``values`` (vectors,), whose ``state`` (1,) is changed; decay: (1,) float64."""
    alpha = torch.empty_like(values)
    launch(_follow, (int(len(values) > 0),), values, state, alpha, len(values), decay)
    return alpha


def drive(
    x: Tensor, todo: Tensor, factor: Tensor, converter: Converter, keys: Tensor, first: int, round_number: int
) -> Tensor:
    """Divide the inputs of some vectors by a factor, and convert them to what the lines are driven with.

    x: (vectors, inputs), contiguous float32. todo: (n,) int64, numbers of the vectors; factor: (n,). keys: (4,) int64,
    see `rpusim.kernels.mvm.compiled.keys_of`. first: the counter of vector 0. round_number: passes they had before.
    Returns (n, inputs).
    """
    u = x.new_empty(len(todo), x.shape[1])
    step, bound, sigma, left, stochastic = converter
    flags = {"ROUNDS": step > 0, "STOCHASTIC": stochastic, "CLIPS": bound > 0, "NOISY": sigma > 0, "LOSES": left != 1}
    names, sizes = (keys, first, round_number), (x.shape[1], step, bound, sigma, left)
    launch(_drive, (len(todo),), x, todo, factor, *names, *sizes, u, **flags, BLOCK=_width(x.shape[1]))
    return u


def read_out(
    sums: Tensor,
    todo: Tensor,
    factor: Tensor,
    wanted: Tensor,
    of_lines: Tensor | None,
    converter: Converter,
    scale: float,
    test_low: bool,
    keys: Tensor,
    first: int,
    round_number: int,
    y: Tensor,
) -> Tensor:
    """Read the analog sums of some vectors out, into their rows of ``y``.

    sums: (n, outputs). wanted: (vectors,) bool; the rows of the others become 0. of_lines: (outputs,) standard
    deviations of the noise, or None: ``converter.sigma``. scale: digital factor. test_low: whether outputs at the lower
    bound count as clipped. The others are as for `drive`. Returns (n,) how many outputs clipped.
    """
    outputs = sums.shape[1]
    step, bound, sigma, left, stochastic = converter
    clipped = torch.empty(len(todo), dtype=torch.int32, device=y.device)
    flags = {
        "ROUNDS": step > 0, "STOCHASTIC": stochastic, "CLIPS": bound > 0, "NOISY": sigma > 0 or of_lines is not None,
        "BY_LINE": of_lines is not None, "LOSES": left != 1, "TEST_LOW": test_low,
    }  # fmt: skip
    given = sums, todo, factor, wanted, sums if of_lines is None else of_lines, keys, first, round_number
    sizes = outputs, scale, step, bound, sigma, left
    launch(_read, (len(todo),), *given, *sizes, y, clipped, **flags, BLOCK=_width(outputs))
    return clipped
