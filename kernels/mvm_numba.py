"""The stages of the analog multiplication in compiled loops, for the common periphery.

Covered are converters (also rounding stochastically), input and output noise, and asymmetries, in one pass of signed
inputs; whatever changes the analog sum itself (IR drop, offsets, series resistance, S-shape, read noise of the weights,
two passes) is computed by `mvm_torch`. The arithmetic and the random numbers are those of `mvm_torch`.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import numba
import numpy as np
import torch
from numba import prange
from numpy.typing import NDArray

from rpusim.kernels import rng
from rpusim.kernels.compiled import Loop, compile_loop
from rpusim.kernels.mvm import (
    BoundManagement,
    IOParameters,
    Lines,
    MVType,
    NoiseManagement,
    Statistics,
    WeightNoise,
    product,
)
from rpusim.kernels.rng import Purpose, nb_bits, nb_line_words, nb_normal, nb_step_words, nb_uniform

# Injected by `compile_loop`; named here for the reader and for type checkers.
inputs: Any = None
prepare: Any = None
outputs_of: Any = None

# Converted numbers (about 1 ns each) above which a parallel launch pays even if another process has a core.
_PARALLEL_WORK = 4_000_000


def covers(io: IOParameters) -> bool:
    """Whether the compiled stages know everything that ``io`` asks for."""
    quiet_weights = io.w_noise <= 0.0 or io.w_noise_type is WeightNoise.NONE
    straight = io.out_nonlinearity <= 0.0 and io.v_offset_std <= 0.0 and io.r_series <= 0.0 and io.ir_drop <= 0.0
    return io.is_perfect or (io.mv_type is MVType.ONE_PASS and quiet_weights and straight)


def _statistics(x, wants_sums, largest_magnitude, largest, sums, nonzero):
    for b in prange(x.shape[0]):
        low, high, count = x[b, 0], x[b, 0], 0
        for value in x[b]:
            low = value if value < low else low
            high = value if value > high else high
            count += value != 0
        largest[b] = high
        largest_magnitude[b] = max(high, -low)
        nonzero[b] = count
        if wants_sums:
            positive, negative = 0.0, 0.0
            for value in x[b]:
                if value > 0:
                    positive += value
                else:
                    negative -= value
            sums[b] = np.float32(max(positive, negative))


def _inputs(x, todo, factor, step, bound, sigma, loss, stochastic, noise_key, round_key, first, round_number, u):
    """Equation 1 of `mvm_torch`."""
    half = np.float32(0.5)
    for n in prange(len(todo)):
        b = todo[n]
        scale = np.float32(np.float32(1) / factor[n])
        for j in range(x.shape[1]):
            u[n, j] = x[b, j] * scale
        if step > 0 and stochastic:
            word_a, word_b = nb_step_words(round_key, first + b)
            a, c = nb_line_words(word_a, word_b, round_number, 0)
            for j in range(x.shape[1]):
                u[n, j] = np.float32(np.rint(np.float32(u[n, j] / step + (nb_uniform(nb_bits(a, c, j)) - half))) * step)
        elif step > 0:
            for j in range(x.shape[1]):
                u[n, j] = np.float32(np.rint(np.float32(u[n, j] / step)) * step)
        if bound > 0:
            for j in range(x.shape[1]):
                value = u[n, j]
                value = bound if value > bound else value
                u[n, j] = -bound if value < -bound else value
        if sigma > 0:
            word_a, word_b = nb_step_words(noise_key, first + b)
            a, c = nb_line_words(word_a, word_b, round_number, 0)
            for j in range(x.shape[1]):
                u[n, j] += nb_normal(nb_bits(a, c, j)) * sigma
        if loss != 1:
            for j in range(x.shape[1]):
                u[n, j] = u[n, j] * loss if u[n, j] < 0 else u[n, j]


def _outputs(
    raw,
    todo,
    factor,
    step,
    bound,
    sigma,
    loss,
    stochastic,
    test_low,
    noise_key,
    round_key,
    first,
    round_number,
    y,
    clipped,
):
    """Equation 6 of `mvm_torch`, and the digital factor; ``sigma`` is one number, or one per line."""
    half = np.float32(0.5)
    for n in prange(len(todo)):
        b = todo[n]
        line = raw[n]
        if loss != 1:
            for i in range(len(line)):
                line[i] = line[i] * loss if line[i] < 0 else line[i]
        if sigma[0] > 0 or len(sigma) > 1:
            word_a, word_b = nb_step_words(noise_key, first + b)
            a, c = nb_line_words(word_a, word_b, round_number, 0)
            if len(sigma) == 1:
                for i in range(len(line)):
                    line[i] += nb_normal(nb_bits(a, c, i)) * sigma[0]
            else:
                for i in range(len(line)):
                    line[i] += nb_normal(nb_bits(a, c, i)) * sigma[i]
        if step > 0 and stochastic:
            word_a, word_b = nb_step_words(round_key, first + b)
            a, c = nb_line_words(word_a, word_b, round_number, 0)
            for i in range(len(line)):
                line[i] = np.float32(np.rint(np.float32(line[i] / step + (nb_uniform(nb_bits(a, c, i)) - half))) * step)
        elif step > 0:
            for i in range(len(line)):
                line[i] = np.float32(np.rint(np.float32(line[i] / step)) * step)
        above, below = 0, 0
        if bound > 0:
            for i in range(len(line)):
                above += line[i] > bound
                below += line[i] < -bound
                line[i] = bound if line[i] > bound else line[i]
                line[i] = -bound if line[i] < -bound else line[i]
        clipped[n] = above > 0 or (test_low and below > 0)
        for i in range(len(line)):
            y[b, i] = line[i] * factor[n]


def _prepare(
    x,
    managed,
    threshold,
    constant,
    step,
    bound,
    sigma,
    loss,
    stochastic,
    noise_key,
    round_key,
    first,
    alpha,
    passes,
    active,
    u,
):
    """Noise factors (none, constant, or the largest magnitude up to a threshold) and the inputs of the first pass.

    Returns which vectors are multiplied at all; the first rows of ``u`` are theirs.
    """
    for b in prange(x.shape[0]):
        largest, count = np.float32(0), 0
        for value in x[b]:
            largest = abs(value) if abs(value) > largest else largest
            count += value != 0
        active[b] = count
        alpha[b] = min(largest, threshold) if managed else constant
    todo, number = np.empty(x.shape[0], np.int64), 0
    for b in range(x.shape[0]):
        wanted = alpha[b] > 0 or sigma > 0
        alpha[b] = alpha[b] if alpha[b] > 0 else np.float32(1)
        passes[b] = 1 if wanted else 0
        todo[number] = b
        number += 1 if wanted else 0
    todo = todo[:number]
    inputs(x, todo, alpha[todo], step, bound, sigma, loss, stochastic, noise_key, round_key, first, 0, u)
    return todo


def _first(x, numbers, managed, stochastic, keys, first, alpha, passes, active, u):
    """`_prepare` with its numbers as `_numbers` packs them."""
    return prepare(
        x,
        managed,
        numbers[0],
        numbers[1],
        numbers[2],
        numbers[3],
        numbers[4],
        numbers[5],
        stochastic,
        keys[0],
        keys[1],
        first,
        alpha,
        passes,
        active,
        u,
    )


def _last(raw, todo, factor, numbers, sigma, stochastic, test_low, keys, first, round_number, y, clipped):
    """`_outputs` with its numbers as `_numbers` packs them; ``factor`` lacks out_scale."""
    scaled = factor * numbers[6]
    outputs_of(
        raw,
        todo,
        scaled,
        numbers[7],
        numbers[8],
        sigma,
        numbers[9],
        stochastic,
        test_low,
        keys[2],
        keys[3],
        first,
        round_number,
        y,
        clipped,
    )


_STATISTICS = Loop(_statistics, _PARALLEL_WORK)
_INPUTS = Loop(_inputs, _PARALLEL_WORK)
_FIRST, _LAST = [], []
for _several in (False, True):
    _ready = compile_loop(_prepare, _several, inputs=compile_loop(_inputs, _several))
    _FIRST.append(compile_loop(_first, PARALLEL=int(_several), prepare=_ready))
    _LAST.append(compile_loop(_last, PARALLEL=int(_several), outputs_of=compile_loop(_outputs, _several)))


@lru_cache(maxsize=4096)
def _keys(stream: tuple[int, ...]) -> NDArray[np.uint64]:
    """Keys of input noise, input rounding, output noise, output rounding."""
    purposes = Purpose.INPUT_NOISE, Purpose.INPUT_ROUNDING, Purpose.OUTPUT_NOISE, Purpose.OUTPUT_ROUNDING
    return np.array([rng.key(*stream, purpose) for purpose in purposes], np.uint64)


# What a periphery means to the loops, by its id; the periphery is kept so that its id stays its own.
_KNOWN: dict[int, tuple[IOParameters, NDArray[np.float32], NDArray[np.float32]]] = {}


def _numbers(io: IOParameters) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Numbers of `_first` and `_last`, and the output noise; looked up once, because a call costs more than a loop."""
    known = _KNOWN.get(id(io))
    if known is None:
        given = io.noise_management is NoiseManagement.CONSTANT and io.nm_thres > 0.0
        numbers = (
            io.nm_thres if io.nm_thres > 0.0 else np.inf,
            io.nm_thres if given else 1.0,
            io.inp_step,
            io.inp_bound,
            io.inp_noise,
            1.0 - io.inp_asymmetry,
            io.out_scale,
            io.out_step,
            io.out_bound,
            1.0 - io.out_asymmetry,
        )
        known = _KNOWN[id(io)] = io, np.array(numbers, np.float32), np.array([io.out_noise], np.float32)
    return known[1], known[2]


def statistics(x: torch.Tensor, wants_sums: bool) -> Statistics:
    """As `mvm_torch.statistics`."""
    values = x.numpy()
    vectors = len(values)
    largest_magnitude, largest = np.empty(vectors, np.float32), np.empty(vectors, np.float32)
    sums, nonzero = np.empty(vectors if wants_sums else 0, np.float32), np.empty(vectors, np.int32)
    _STATISTICS(values, wants_sums, largest_magnitude, largest, sums, nonzero, work=values.size)
    return Statistics(largest_magnitude, largest, sums if wants_sums else None, nonzero)


def simple(io: IOParameters) -> bool:
    """Whether noise and bound management are of the usual kinds, which `first_inputs` knows."""
    usual = NoiseManagement.NONE, NoiseManagement.CONSTANT, NoiseManagement.ABS_MAX
    bounds = BoundManagement.NONE, BoundManagement.ITERATIVE
    return not io.is_perfect and io.noise_management in usual and io.bound_management in bounds


def first_inputs(
    x: torch.Tensor, io: IOParameters, stream: tuple[int, ...], first: int
) -> tuple[torch.Tensor, NDArray[np.float32], NDArray[np.int64], NDArray[np.int32], NDArray[np.int32]]:
    """Statistics, noise factors and converted inputs of the first pass in one go.

    Returns (inputs of the vectors to multiply, factor of every vector, which vectors, passes of every vector: 1 or 0,
    non-zero inputs of every vector).
    """
    vectors = x.shape[0]
    parallel = x.numel() > _PARALLEL_WORK and numba.get_num_threads() > 1
    alpha, u = np.empty(vectors, np.float32), np.empty(x.shape, np.float32)
    passes, active = np.empty((2, vectors), np.int32)
    managed = io.noise_management is NoiseManagement.ABS_MAX
    numbers, _ = _numbers(io)
    todo = _FIRST[parallel](
        x.numpy(), numbers, managed, io.inp_sto_round, _keys(stream), first, alpha, passes, active, u
    )
    return torch.from_numpy(u[: len(todo)]), alpha, todo, passes, active


def one_pass(
    weights: torch.Tensor,
    x: torch.Tensor,
    y: torch.Tensor,
    todo: NDArray[np.int64],
    factor: NDArray[np.float32],
    io: IOParameters,
    lines: Lines,
    stream: tuple[int, ...],
    first: int,
    round_number: int,
) -> NDArray[np.bool_]:
    """As `mvm_torch.one_pass`."""
    f = np.float32
    u = np.empty((len(todo), x.shape[1]), np.float32)
    _INPUTS(
        x.numpy(),
        todo,
        factor,
        f(io.inp_step),
        f(io.inp_bound),
        f(io.inp_noise),
        f(1.0 - io.inp_asymmetry),
        io.inp_sto_round,
        np.uint64(rng.key(*stream, Purpose.INPUT_NOISE)),
        np.uint64(rng.key(*stream, Purpose.INPUT_ROUNDING)),
        first,
        round_number,
        u,
        work=u.size,
    )
    return outputs(product(torch.from_numpy(u), weights), y, todo, factor, io, lines, stream, first, round_number)


def outputs(
    sums: torch.Tensor,
    y: torch.Tensor,
    todo: NDArray[np.int64],
    factor: NDArray[np.float32],
    io: IOParameters,
    lines: Lines,
    stream: tuple[int, ...],
    first: int,
    round_number: int,
) -> NDArray[np.bool_]:
    """The read-out of the analog ``sums``, which are used up; returns which vectors clipped."""
    raw, clipped = sums.numpy(), np.empty(len(todo), np.bool_)
    numbers, noise = _numbers(io)
    sigma = noise if lines.noise is None else lines.noise.numpy()
    parallel = raw.size > _PARALLEL_WORK and numba.get_num_threads() > 1
    signs, flags = io.bm_test_negative_bound, io.out_sto_round
    _LAST[parallel](
        raw, todo, factor, numbers, sigma, flags, signs, _keys(stream), first, round_number, y.numpy(), clipped
    )
    return clipped
