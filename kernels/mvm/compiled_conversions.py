"""Products that are put together from many conversions, in compiled loops; the arithmetic is that of `specification`.

Bits and digits of two's complement and slices of weights, with what `compiled` covers: converters, noise of inputs and
outputs, asymmetries, wires. The matrix product in the middle is the same one, of all digits and slices at once.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from numba import prange
from numpy.typing import NDArray

from rpusim.kernels.base.loops import Floats, Integers, Loop, inlined
from rpusim.kernels.base.rng import Integer, nb_bits, nb_line_words, nb_normal, nb_step_words, nb_uniform
from rpusim.kernels.mvm import compiled, wires
from rpusim.kernels.mvm.conversions import LinesRead, in_blocks, lines_of
from rpusim.kernels.mvm.periphery import IOParameters, Lines, MVType, product
from rpusim.kernels.mvm.slices import SlicedCells

Wide = NDArray[np.float64]
Flags = NDArray[np.bool_]

# Numbers above which a loop pays to be parallel, as in `compiled`.
_PARALLEL_WORK = 4_000_000

statistics = compiled.statistics


def covers(io: IOParameters) -> bool:
    """Whether the loops here can do everything that ``io`` asks for."""
    return io.in_conversions and compiled.plain(io) and not io.is_perfect


def _bits(
    x: Floats,
    todo: Integers,
    alpha: Floats,
    step: np.float32,
    levels: int,
    digits: tuple[int, int, bool],
    voltage: np.float32,
    sigma: np.float32,
    left: np.float32,
    stochastic: bool,
    noise_key: np.uint64,
    round_key: np.uint64,
    first: Integer,
    round_number: int,
    u: Floats,
    lost: Flags,
    set_bits: Integers,
) -> None:
    """Turn inputs into the digits that the lines are driven with, one row of ``u`` for each digit, lowest first.

    x: (vectors, inputs), of which the vectors ``todo`` are divided by ``alpha``. step, levels: of the DAC. digits: how
    many there are, bits of one, and whether the last one has its own sign. voltage: what a digit of 1 is driven with,
    relative to full scale. u: (len(todo) * number of digits, inputs), and lost (len(todo),), whether a vector has an
    input that is no number; both filled here. set_bits: (vectors,), to which digits that are not 0 are added. The
    others are as for `compiled._inputs`.
    """
    half, lowest, highest = np.float32(0.5), -np.float64(levels), np.float64(levels)
    number, width, own_sign = digits
    for n in prange(len(todo)):
        b = todo[n]
        scale = np.float32(np.float32(1) / alpha[n])
        value = np.empty(x.shape[1], np.float32)
        for j in range(len(value)):
            value[j] = np.float32(np.float32(x[b, j] * scale) / step)
        if stochastic:
            word_a, word_b = nb_step_words(round_key, first + b)
            a, c = nb_line_words(word_a, word_b, round_number, 0)
            for j in range(len(value)):
                value[j] = np.float32(value[j] + (nb_uniform(nb_bits(a, c, j)) - half))
        missing = 0
        level = np.empty(len(value), np.int32)
        for j in range(len(value)):
            wide = np.float64(np.rint(value[j]))
            missing += wide != wide
            wide = wide if wide == wide else np.float64(0)
            wide = highest if wide > highest else wide
            level[j] = np.int32(lowest if wide < lowest else wide)
        lost[n] = missing > 0
        for digit in range(number):
            row, driven = u[n * number + digit], np.int32(0)
            last, low = digit == number - 1, np.int32(digit * width)
            if last and own_sign:
                for j in range(len(level)):
                    value_of = level[j] >> low
                    driven += np.int32(value_of != 0)
                    row[j] = np.float32(value_of) * voltage
            else:
                mask = np.int32(1 if last else (1 << width) - 1)
                for j in range(len(level)):
                    value_of = (level[j] >> low) & mask
                    driven += np.int32(value_of != 0)
                    row[j] = np.float32(value_of) * voltage
            set_bits[b] += driven
        if sigma > 0:
            for digit in range(number):
                word_a, word_b = nb_step_words(noise_key, first + b)
                a, c = nb_line_words(word_a, word_b, round_number, digit)
                row = u[n * number + digit]
                for j in range(len(row)):
                    row[j] += nb_normal(nb_bits(a, c, j)) * sigma
        if left != 1:
            for digit in range(number):
                row = u[n * number + digit]
                for j in range(len(row)):
                    row[j] = row[j] * left if row[j] < 0 else row[j]


@inlined
def read_line(
    line: Floats,
    step: np.float32,
    bound: np.float32,
    low: np.float32,
    sigma: Floats,
    loss: np.float32,
    stochastic: bool,
    noise_key: np.uint64,
    round_key: np.uint64,
    words: tuple[Integer, int, int],
) -> tuple[int, int]:
    """Read the analog sums of one vector out, in place: asymmetry, noise, rounding, clipping to ``low`` and ``bound``.

    words: the vector's number, how many passes it had before, and the part of the input, which name the random numbers;
    the others as for `_outputs`. Returns how many sums were above the bound, and how many below ``low``.
    """
    half = np.float32(0.5)
    vector, round_number, part = words
    if loss != 1:
        for i in range(len(line)):
            line[i] = line[i] * loss if line[i] < 0 else line[i]
    if sigma[0] > 0 or len(sigma) > 1:
        word_a, word_b = nb_step_words(noise_key, vector)
        a, c = nb_line_words(word_a, word_b, round_number, part)
        if len(sigma) == 1:
            for i in range(len(line)):
                line[i] += nb_normal(nb_bits(a, c, i)) * sigma[0]
        else:
            for i in range(len(line)):
                line[i] += nb_normal(nb_bits(a, c, i)) * sigma[i]
    if step > 0 and stochastic:
        word_a, word_b = nb_step_words(round_key, vector)
        a, c = nb_line_words(word_a, word_b, round_number, part)
        for i in range(len(line)):
            line[i] = np.float32(np.rint(np.float32(line[i] / step + (nb_uniform(nb_bits(a, c, i)) - half))) * step)
    elif step > 0:
        for i in range(len(line)):
            line[i] = np.float32(np.rint(np.float32(line[i] / step)) * step)
    above, below = 0, 0
    if bound > 0:
        for i in range(len(line)):
            above += line[i] > bound
            below += line[i] < low
            line[i] = bound if line[i] > bound else line[i]
            line[i] = low if line[i] < low else line[i]
    return above, below


def _readings(
    raw: Floats,
    todo: Integers,
    factor: Floats,
    places: Wide,
    factors: Wide,
    flipped: Flags,
    unit_line: tuple[bool, float, float],
    lost: Flags,
    step: np.float32,
    bound: np.float32,
    unsigned: bool,
    sigma: Floats,
    loss: np.float32,
    stochastic: bool,
    test_low: bool,
    noise_key: np.uint64,
    round_key: np.uint64,
    first: Integer,
    round_number: int,
    y: Floats,
    clipped: Flags,
) -> None:
    """Convert the analog sums of all bits and lines, and put them together by equations 8 and 9 of `specification`.

    raw: (len(todo) * bits, lines), used up. places: what each bit is worth; factors: each slice. flipped: (slices,
    outputs) those that hold complements. unit_line: whether there is one, the highest level, and what it is worth.
    lost: vectors that are no numbers. unsigned: whether the converter's range begins at 0. The others are as for
    `compiled._outputs`.
    """
    low = np.float32(0) if unsigned else -bound
    slices, outputs = flipped.shape
    has_unit, top, offset = unit_line
    for n in prange(len(todo)):
        b, over = todo[n], False
        total = np.zeros(raw.shape[1])
        for part in range(len(places)):
            line, worth = raw[n * len(places) + part], places[part]
            words = first + b, round_number, part
            above, below = read_line(line, step, bound, low, sigma, loss, stochastic, noise_key, round_key, words)
            over = over or above > 0 or (test_low and below > 0 and not unsigned)
            for i in range(len(line)):
                total[i] += np.float64(line[i]) * worth
        clipped[n] = over
        of_unit = total[-1] if has_unit else 0.0
        out = np.zeros(outputs)
        for k in range(slices):
            for i in range(outputs):
                value = total[k * outputs + i]
                value = of_unit * top - value if flipped[k, i] else value
                out[i] += value * factors[k]
        for i in range(outputs):
            value = np.float32(out[i] - of_unit * offset) * factor[n]
            y[b, i] = np.float32(np.nan) if lost[n] else value


_BITS, _READINGS = Loop(_bits, _PARALLEL_WORK), Loop(_readings, _PARALLEL_WORK)


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
    cells: SlicedCells | None = None,
    set_bits: NDArray[np.int64] | None = None,
) -> NDArray[np.bool_]:
    """Make one analog pass; arguments and result as for `specification.one_pass`."""
    read = lines_of(weights, io, cells)
    return in_blocks(_conversions, read, x, y, todo, factor, io, lines, stream, first, round_number, set_bits)


def _conversions(
    read: LinesRead,
    x: torch.Tensor,
    y: torch.Tensor,
    todo: NDArray[np.int64],
    factor: NDArray[np.float32],
    io: IOParameters,
    lines: Lines,
    stream: tuple[int, ...],
    first: int,
    round_number: int,
    set_bits: NDArray[np.int64] | None,
) -> NDArray[np.bool_]:
    """Do `one_pass` for the lines ``read`` and some of the vectors."""
    keys, f = compiled.keys_of(stream), np.float32
    places = np.array(io.places)
    clipped, lost = np.empty(len(todo), np.bool_), np.zeros(len(todo), np.bool_)
    if io.mv_type is MVType.BIT_SERIAL:
        voltage = f(0.5**round_number)
        u = np.empty((len(todo) * len(places), x.shape[1]), f)
        digits = len(places), io.digit_bits, io.last_digit_is_driven_with_its_sign
        given: tuple[Any, ...] = f(io.inp_step), io.inp_levels, digits, f(0.5**round_number / io.top_digit)
        given = *given, f(io.inp_noise)
        given = *given, f(1.0 - io.inp_asymmetry), io.inp_sto_round, keys[0], keys[1], first, round_number
        counted = np.zeros(len(x), np.int64) if set_bits is None else set_bits
        _BITS(x.numpy(), todo, factor * voltage, *given, u, lost, counted, work=u.size)
        driven = torch.from_numpy(u)
    else:
        driven = compiled.converted(x, todo, factor, io, keys, first, round_number)
    if io.wires is not None:
        wires.drive(driven.numpy(), io.wires)
    raw = product(driven, read.matrix).numpy()
    if io.wires is not None:
        wires.arrive(raw, io.wires, *io.lines_of_a_weight)
    sigma = np.array([io.out_noise], f) if lines.noise is None else lines.noise.numpy()
    of_adc = f(io.out_step), f(io.out_bound), io.unsigned, sigma, f(1.0 - io.out_asymmetry)
    flags = io.out_sto_round, io.bm_test_negative_bound
    names = keys[2], keys[3], first, round_number
    unit_line, scaled = (read.unit, read.top, read.offset), factor * f(io.out_scale)
    together = places, read.factors, read.flipped.numpy(), unit_line, lost
    _READINGS(raw, todo, scaled, *together, *of_adc, *flags, *names, y.numpy(), clipped, work=raw.size)
    return clipped
