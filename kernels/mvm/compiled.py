"""The stages of the analog multiplication in compiled loops, for the common periphery.

Covered are converters (also rounding stochastically), input and output noise, asymmetries, and wires, in one pass of
signed inputs; bits in two's complement and slices are in `compiled_conversions`; whatever else changes the analog sum
itself (AIHWKit's IR drop, offsets, series resistance, S-shape, read noise of the weights, two passes) is computed by
`specification`. The arithmetic and the random numbers are those of `specification`.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any, NamedTuple

import numpy as np
import torch
from numba import prange
from numpy.typing import NDArray

from rpusim.kernels.base import rng
from rpusim.kernels.base.loops import Floats, Integers, Loop, by_identity, compile_loop, inlined
from rpusim.kernels.base.rng import Integer, Purpose, nb_bits, nb_line_words, nb_normal, nb_step_words, nb_uniform
from rpusim.kernels.base.threads import several_threads
from rpusim.kernels.mvm import wires
from rpusim.kernels.mvm.periphery import (
    BoundManagement,
    IOParameters,
    Lines,
    MVType,
    NoiseManagement,
    Statistics,
    WeightNoise,
    product,
)

# Injected by `compile_loop`; named here for the reader and for type checkers.
inputs: Any = None
outputs_of: Any = None

# Places in `_Constants.numbers`: the largest and the constant factor alpha of noise management; step, bound, noise and
# what is left of negative signals (1 - asymmetry) of the input; digital factor, step, bound and the same of the output.
ALPHA_MOST, ALPHA_CONSTANT, INP_STEP, INP_BOUND, INP_NOISE, INP_LEFT = range(6)
OUT_SCALE, OUT_STEP, OUT_BOUND, OUT_LEFT = range(6, 10)

# Converted numbers (about 1 ns each) above which a parallel launch pays even if another process has a core.
_PARALLEL_WORK = 4_000_000

# On one thread, many vectors are multiplied in blocks of up to so many numbers, which stay in the cache between the
# loops and the product, or of so many vectors: from half of that on, each vector gets the same bits as with all others.
BLOCK_NUMBERS, BLOCK_VECTORS = 1 << 18, 64

_ZERO, _ONE, _MAGNITUDE, _INFINITY = np.uint32(0), np.uint32(1), np.uint32(0x7FFFFFFF), np.uint32(0x7F800000)


def covers(io: IOParameters) -> bool:
    """Whether the compiled stages can do everything that ``io`` asks for."""
    return io.is_perfect or (io.mv_type is MVType.ONE_PASS and io.slices is None and plain(io))


def plain(io: IOParameters) -> bool:
    """Whether nothing changes the analog sum itself: neither voltages on the lines nor read noise of the weights."""
    quiet_weights = io.w_noise <= 0.0 or io.w_noise_type is WeightNoise.NONE
    straight = io.out_nonlinearity <= 0.0 and io.v_offset_std <= 0.0 and io.r_series <= 0.0 and io.ir_drop <= 0.0
    return quiet_weights and straight


def _statistics(
    x: Floats,
    wants_sums: bool,
    largest_magnitude: Floats,
    largest: Floats,
    sums: Floats,
    nonzero: NDArray[np.int32],
) -> None:
    """Fill the fields of `Statistics` from x (vectors, inputs), the sums only if they are wanted."""
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


def _inputs(
    x: Floats,
    todo: Integers,
    factor: Floats,
    step: np.float32,
    bound: np.float32,
    sigma: np.float32,
    loss: np.float32,
    stochastic: bool,
    noise_key: np.uint64,
    round_key: np.uint64,
    first: Integer,
    round_number: int,
    u: Floats,
) -> None:
    """Prepare inputs by equation 1 of `specification`.

    x: (vectors, inputs), of which the vectors ``todo`` are divided by ``factor``; u: (len(todo), inputs), filled here.
    step, bound, sigma: of the DAC and its noise, 0: none. loss: what is left of negative signals. stochastic: round
    by chance. noise_key, round_key, first, round_number: name the random numbers.
    """
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
    raw: Floats,
    todo: Integers,
    factor: Floats,
    step: np.float32,
    bound: np.float32,
    sigma: Floats,
    loss: np.float32,
    stochastic: bool,
    test_low: bool,
    noise_key: np.uint64,
    round_key: np.uint64,
    first: Integer,
    round_number: int,
    y: Floats,
    clipped: NDArray[np.bool_],
) -> None:
    """Read analog sums out by equation 6 of `specification`, and multiply them by ``factor``.

    raw: (len(todo), outputs), used up; y: (vectors, outputs), whose rows ``todo`` are filled. sigma: one number, or one
    per line. test_low: outputs at the lower bound count as clipped too. clipped: (len(todo),), filled with which
    vectors clipped; the others are as for `_inputs`, of the ADC.
    """
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


@inlined
def largest(row: Floats) -> tuple[np.float32, np.uint32]:
    """Find the largest magnitude of a row, and count its values that are not zero.

    Magnitudes compare like the integers of their bits, which unlike numbers have no NaN and so fill whole registers.
    """
    bits = row.view(np.uint32)
    top, count = _ZERO, _ZERO
    for j in range(len(bits)):
        magnitude = np.uint32(bits[j] & _MAGNITUDE)
        top = magnitude if magnitude > top else top
        count = np.uint32(count + (_ONE if magnitude != _ZERO else _ZERO))
    found = np.uint32(top).view(np.float32)
    if top > _INFINITY:  # NaN is passed over
        found = np.float32(0)
        for value in row:
            found = abs(value) if abs(value) > found else found
    return found, count


def _first(
    x: Floats,
    numbers: Floats,
    managed: bool,
    stochastic: bool,
    backward: bool,
    keys: NDArray[np.uint64],
    first: Integer,
    passes: NDArray[np.int32],
    active: NDArray[np.int32],
    u: Floats,
    y: Floats,
) -> tuple[Integers, Floats]:
    """Find the factors alpha of all vectors, and prepare the inputs of the first pass.

    alpha is the largest magnitude up to a threshold if inputs are ``managed``, else a constant. numbers: as
    `_Constants` holds them. stochastic: inputs are rounded by chance. backward: empty vectors are left out even if
    there is input noise. keys: as `keys_of` makes them. passes, active: (vectors,), filled with 1 or 0 passes and with
    the inputs that are not zero.
    Returns which vectors are multiplied at all, and their factors; the first rows of ``u`` are theirs, and the rows of
    the others in ``y`` become 0.
    """
    sigma = numbers[INP_NOISE]
    alpha = np.empty(x.shape[0], np.float32)
    for b in prange(x.shape[0]):
        top, active[b] = largest(x[b])
        alpha[b] = min(top, numbers[ALPHA_MOST]) if managed else numbers[ALPHA_CONSTANT]
    todo, number = np.empty(x.shape[0], np.int64), 0
    for b in range(x.shape[0]):
        wanted = alpha[b] > 0 or (sigma > 0 and not backward)
        passes[b] = 1 if wanted else 0
        todo[number] = b
        number += 1 if wanted else 0
        if not wanted:
            y[b] = 0
    todo = todo[:number]
    factor = alpha[todo]
    for n in range(number):
        factor[n] = factor[n] if factor[n] > 0 else np.float32(1)
    step, bound, left = numbers[INP_STEP], numbers[INP_BOUND], numbers[INP_LEFT]
    inputs(x, todo, factor, step, bound, sigma, left, stochastic, keys[0], keys[1], first, 0, u)
    return todo, factor


def _last(
    raw: Floats,
    todo: Integers,
    factor: Floats,
    numbers: Floats,
    sigma: Floats,
    stochastic: bool,
    test_low: bool,
    keys: NDArray[np.uint64],
    first: Integer,
    round_number: int,
    y: Floats,
    clipped: NDArray[np.bool_],
) -> int:
    """Do what `_outputs` does with numbers as `_Constants` holds them; returns how many vectors clipped.

    factor: without the digital factor ``out_scale``.
    """
    step, bound, left = numbers[OUT_STEP], numbers[OUT_BOUND], numbers[OUT_LEFT]
    scaled = factor * numbers[OUT_SCALE]
    flags = stochastic, test_low
    outputs_of(raw, todo, scaled, step, bound, sigma, left, *flags, keys[2], keys[3], first, round_number, y, clipped)
    number: int = clipped.sum()
    return number


_STATISTICS = Loop(_statistics, _PARALLEL_WORK)
INPUTS = Loop(_inputs, _PARALLEL_WORK)
FIRST: list[Any] = []
LAST: list[Any] = []
for _several in (False, True):
    FIRST.append(compile_loop(_first, _several, inputs=compile_loop(_inputs, _several)))
    LAST.append(compile_loop(_last, outputs_of=compile_loop(_outputs, _several)))


@lru_cache(maxsize=4096)
def keys_of(stream: tuple[int, ...]) -> NDArray[np.uint64]:
    """Make the keys of input noise, input rounding, output noise and output rounding, in this order."""
    purposes = Purpose.INPUT_NOISE, Purpose.INPUT_ROUNDING, Purpose.OUTPUT_NOISE, Purpose.OUTPUT_ROUNDING
    return np.array([rng.key(*stream, purpose) for purpose in purposes], np.uint64)


class _Constants(NamedTuple):
    """What a periphery asks of the compiled loops.

    numbers: in the order of ALPHA_MOST to OUT_LEFT. noise: of the output, one number. first_flags: whether inputs are
    managed, whether they are rounded by chance. last_flags: whether outputs are rounded by chance, whether those at the
    lower bound count as clipped. last_reduction: see `IOParameters.last_reduction`.
    """

    numbers: Floats
    noise: Floats
    first_flags: tuple[bool, bool]
    last_flags: tuple[bool, bool]
    last_reduction: float


@by_identity
def constants_of(io: IOParameters) -> _Constants:
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
    managed = io.noise_management is NoiseManagement.ABS_MAX, io.inp_sto_round
    noise, read = np.array([io.out_noise], np.float32), (io.out_sto_round, io.bm_test_negative_bound)
    return _Constants(np.array(numbers, np.float32), noise, managed, read, io.last_reduction)


def statistics(x: torch.Tensor, wants_sums: bool) -> Statistics:
    """Find what noise management looks at; arguments and result as for `specification.statistics`."""
    values = x.numpy()
    vectors = len(values)
    largest_magnitude, largest = np.empty(vectors, np.float32), np.empty(vectors, np.float32)
    sums, nonzero = np.empty(vectors if wants_sums else 0, np.float32), np.empty(vectors, np.int32)
    _STATISTICS(values, wants_sums, largest_magnitude, largest, sums, nonzero, work=values.size)
    return Statistics(largest_magnitude, largest, sums if wants_sums else None, nonzero)


def block_of(lines: int) -> int:
    """Say how many vectors are multiplied at a time by an array whose longer side has so many lines."""
    return max(BLOCK_VECTORS, BLOCK_NUMBERS // lines)


@by_identity
def simple(io: IOParameters) -> bool:
    """Whether a `Multiplier` can do everything that ``io`` asks for, management included."""
    usual = NoiseManagement.NONE, NoiseManagement.CONSTANT, NoiseManagement.ABS_MAX
    bounds = BoundManagement.NONE, BoundManagement.ITERATIVE
    managed = io.noise_management in usual and io.bound_management in bounds
    return covers(io) and managed and not io.is_perfect


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
    """Make one analog pass; arguments and result as for `specification.one_pass`."""
    keys = keys_of(stream)
    sums = behind_wires(converted(x, todo, factor, io, keys, first, round_number), weights, io)
    return read_out(sums, y.numpy(), todo, factor, constants_of(io), lines, keys, first, round_number)[1]


def behind_wires(u: torch.Tensor, weights: torch.Tensor, io: IOParameters) -> torch.Tensor:
    """Multiply inputs u (vectors, inputs), which are used up, by the cells behind their wires: (vectors, outputs)."""
    if io.wires is None:
        return product(u, weights)
    wires.drive(u.numpy(), io.wires)
    sums = product(u, weights)
    wires.arrive(sums.numpy(), io.wires)
    return sums


def converted(
    x: torch.Tensor,
    todo: NDArray[np.int64],
    factor: NDArray[np.float32],
    io: IOParameters,
    keys: NDArray[np.uint64],
    first: int,
    round_number: int,
) -> torch.Tensor:
    """Divide the inputs of the vectors ``todo`` by ``factor``, and convert them to what the lines are driven with."""
    u = np.empty((len(todo), x.shape[1]), np.float32)
    given = *constants_of(io).numbers[INP_STEP : INP_LEFT + 1], io.inp_sto_round, keys[0], keys[1], first, round_number
    INPUTS(x.numpy(), todo, factor, *given, u, work=u.size)
    return torch.from_numpy(u)


def read_out(
    sums: torch.Tensor,
    y: NDArray[np.float32],
    todo: NDArray[np.int64],
    factor: NDArray[np.float32],
    constants: _Constants,
    lines: Lines,
    keys: NDArray[np.uint64],
    first: int,
    round_number: int,
) -> tuple[int, NDArray[np.bool_]]:
    """Read the analog ``sums`` out, which are used up; returns how many vectors clipped, and which (len(todo),)."""
    raw, clipped, (numbers, noise, _, flags, _) = sums.numpy(), np.empty(len(todo), np.bool_), constants
    sigma = noise if lines.noise is None else lines.noise.numpy()
    loop = variant(LAST, raw.size)
    return loop(raw, todo, factor, numbers, sigma, *flags, keys, first, round_number, y, clipped), clipped


def variant(loops: list[Any], work: int) -> Any:
    """Choose the serial or the parallel one of two compiled loops by the numbers that it has to compute."""
    return loops[work > _PARALLEL_WORK and several_threads()]
