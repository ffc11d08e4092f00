"""All pulses that a cell takes from one vector, merged: they have one direction, so that their order is nothing.

A step that is affine in the weight, size + m (w - w_0), moves a cell by n pulses of sign s = +1 (up) or -1 (down) with
a contraction a = -s m per pulse. With lambda = -ln(1 - a), theta = n lambda and g(t) = (1 - exp(-t)) / t:

    w'    = w + s size n (lambda / a) g(theta) + sigma sqrt(V) xi                                 (1)
    V     = n (e exp(-(n - 1) lambda))^2    noise e relative to the step, which shrinks with it   (2)
    V     = n e^2 g(2 theta) / g(2 lambda)  noise e that does not depend on the weight            (3)
            g(2 theta) = g(theta) (1 + exp(-theta)) / 2

The mean is exact, and so is the variance but for sigma^2 n m^2 in (2). With (2), the distance from the fixed point is a
product, whose skewness

    3 sigma m / (1 - a) (n - 1) / sqrt(n)                                                         (4)

xi is bent to have (`leaning`). Steps that are smooth but not affine (`SMOOTH`)
are taken as affine between w - h and w + h, with h the sum of what n steps go and two standard deviations of noise.

That holds under conditions, tested for every cell that takes more than one pulse:

    bounds  both ends of the way, plus SIGMAS standard deviations of all noise together, stay inside. The noise leaves
            this strip with a probability below 6.4e-5 per side (Levy's inequality; contraction makes it less), and then
            moves the mean by less than 1.5e-5 of that standard deviation.
    slope   |a| < SLOPE and |theta| < RUN: the series for lambda / a and g are exact to 3e-5 of the way, the factor
            1 / (1 - a) of (2) to 1e-4.
    shape   in (2), sigma^2 n m^2 < SHAPE: the skewness (4) is below 3 sqrt(SHAPE) = 0.3, and what else the noise is off
            a normal distribution is of its second order: a kurtosis of 0.16 at most.
    bend    smooth steps: n times what the middle of w - h and w + h is off the straight line is below ORDER steps, or
            below half of ORDER standard deviations of the noise. Where the curvature is that of the whole stretch, all
            steps together are off by less.

Cells that fail take these pulses one by one, as in `one_by_one`. Merged noise has a number for each vector and cell.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numba import prange
from numba.cpython.unsafe import numbers
from numpy.typing import NDArray

from rpusim.kernels.base.loops import Floats, Integers, Words, inlined, popcount
from rpusim.kernels.base.rng import Integer, nb_bits, nb_line_words, nb_normal, nb_step_words
from rpusim.kernels.devices.models import exp_step, linear_step
from rpusim.kernels.devices.models.constant_step import constant_step
from rpusim.kernels.devices.variation import BOUND_MAX, BOUND_MIN, UP
from rpusim.kernels.pulses.counts import FALLBACKS
from rpusim.kernels.pulses.drivers import AFTER_WORD, FIRST_WORD, START

# The place of a word's lowest one. Typed as Any because its Python signature is not the one it is called with.
trailing_zeros: Any = numbers.trailing_zeros
# Injected by `compile_loop`, see `cell_numbers`; named here for the reader and for type checkers.
step: Any = None
read: Any = None
train: Any = None
lanes: Any = None
choose: Any = None
one_by_one: Any = None
PARAMETERS = DOWN = STRIDE = ONLY_UP = SMOOTH = RELATIVE = 0

# Steps whose noise is relative to their size; steps that are smooth without being affine.
RELATIVE_STEPS: set[Callable[..., Any]] = {constant_step, linear_step.multiplicative_step, exp_step.simple_step}
SMOOTH_STEPS: set[Callable[..., Any]] = {exp_step.simple_step}

# Limits of the conditions, see above.
SIGMAS, SLOPE, RUN, SHAPE, ORDER = 4.0, 0.1, 1.0, 0.01, 0.125
# Rows side by side, a multiple of LANES; random numbers side by side.
BLOCK, LANES = 64, 16
# Numbers of each cell that `take_train` works with.
WORK = 4

_F = np.float32
_ZERO, _ONE = np.uint32(0), np.uint32(1)
_FIRST, _SECOND = np.uint64(0), np.uint64(1)
_0, _1, _2, _HALF, _THIRD, _FOURTH = _F(0), _F(1), _F(2), _F(0.5), _F(1 / 3), _F(1 / 4)
_G1, _G2, _G3, _G4, _G5, _G6, _G7 = (_F(v) for v in (-1 / 2, 1 / 6, -1 / 24, 1 / 120, -1 / 720, 1 / 5040, -1 / 40320))
_SIGMAS, _SLOPE, _RUN, _SHAPE, _ORDER = _F(SIGMAS), _F(SLOPE), _F(RUN), _F(SHAPE), _F(ORDER)


def decay(t: np.float32) -> np.float32:
    """Compute (1 - exp(-t)) / t for |t| <= RUN by its series, to 3e-6."""
    return ((((((_G7 * t + _G6) * t + _G5) * t + _G4) * t + _G3) * t + _G2) * t + _G1) * t + _1


def of_direction(own: Floats, apart: np.uint64, at: np.uint64, down: bool) -> Any:
    """Read the parameters of the step of a cell, as `take_train` has them, up or down."""
    up_step = lanes(own, np.uint64(UP) * apart + at, apart)
    if ONLY_UP:
        return up_step
    return choose(down, lanes(own, np.uint64(DOWN) * apart + at, apart), up_step)


@inlined
def leaning(xi: np.float32, lean: np.float32) -> np.float32:
    """Bend a normal number: mean 0 and variance 1 to the fourth order of ``lean``, and a skewness of 6 ``lean``."""
    return _F(xi * (_1 - lean * lean) + lean * (xi * xi - _1))


def take_train(
    weight: Floats,
    own: Floats,
    stride: int,
    number: int,
    sigma: np.float32,
    pulses: NDArray[np.int32],
    negative: Words,
    other_negative: bool,
    random: Words,
    failing: Words,
    work: Floats,
) -> np.uint32:
    """Apply equations 1 to 4 for the pulses of one vector on ``number`` cells side by side; returns how many fail.

    weight: of the cells, moved here. own: their numbers, in the order of `cell_numbers`, but each ``stride`` after the
    one before, so that those of all cells lie side by side. sigma: noise of one pulse, relative to the mean step.
    pulses: how many each cell takes. negative: not 0 where the line of the cell is driven with negative values;
    other_negative: whether the line that all of them share is. random: bits of the noise. failing: 1 is written where
    a cell fails, else 0. work: room for WORK numbers of each cell, ``stride`` apart.

    In several loops, as a processor works on several cells at a time only where little is done with each.
    """
    apart = np.uint64(stride)
    of_noise, of_slope, of_bend = apart, apart + apart, apart + apart + apart
    for k in range(number):
        at = np.uint64(k)  # an unsigned place is not tested for one counted from the end
        w, down = weight[k], (negative[k] != _ZERO) == other_negative
        of_step = of_direction(own, apart, at, down)
        size = _F(step(w, _0, *of_step))
        work[at], work[of_noise + at] = size, sigma * abs(_F(step(w, _1, *of_step)) - size)
    if SMOOTH:
        for k in range(number):
            at = np.uint64(k)
            w, down = weight[k], (negative[k] != _ZERO) == other_negative
            of_step, size, n = of_direction(own, apart, at, down), work[at], _F(pulses[k])
            h = n * abs(size) + _2 * np.sqrt(n) * work[of_noise + at]
            before, after = _F(step(w - h, _0, *of_step)), _F(step(w + h, _0, *of_step))
            work[of_slope + at] = (after - before) / (_2 * h if h > _0 else _1)
            work[of_bend + at] = n * abs(_HALF * (after + before) - size)
    elif PARAMETERS > 1:
        for k in range(number):
            at = np.uint64(k)
            of_step = of_direction(own, apart, at, (negative[k] != _ZERO) == other_negative)
            work[of_slope + at] = _F(step(_1, _0, *of_step)) - _F(step(_0, _0, *of_step))
    for k in range(number):
        at = np.uint64(k)
        down, size, noise = (negative[k] != _ZERO) == other_negative, work[at], work[of_noise + at]
        n, s, lean, sharp = _F(pulses[k]), -_1 if down else _1, _0, False
        root = np.sqrt(n)
        if PARAMETERS > 1:
            m = work[of_slope + at]
            contraction = -s * m
            sharp = abs(contraction) > _SLOPE
            contraction = _0 if sharp else contraction
            ratio = _1 + contraction * (_HALF + contraction * (_THIRD + contraction * _FOURTH))
            theta = n * contraction * ratio
            sharp |= abs(theta) > _RUN
            theta = _0 if sharp else theta
            mean = decay(theta)
            way = size * n * ratio * mean if n > _1 else size
            left = _1 - theta * mean  # of a distance from the fixed point
            if RELATIVE:
                shrunk = left * (_1 + contraction * (_1 + contraction * (_1 + contraction)))
                spread = root * noise * abs(shrunk)
                lean = _HALF * sigma * m * (_1 + contraction) * (n - _1) / (root if root > _0 else _1)
                lean = lean if size > _0 else -lean
                sharp |= sigma * sigma * n * m * m > _SHAPE
            else:
                rate = contraction * ratio
                shrunk = _HALF * mean * (_1 + left) * (_1 + rate + rate * rate * _THIRD)
                spread = root * noise * np.sqrt(shrunk if shrunk > _0 else _0)
        else:
            way, spread = n * size, root * noise
        if SMOOTH:
            enough = abs(size) if abs(size) > _HALF * spread else _HALF * spread
            sharp |= work[of_bend + at] > _ORDER * enough
        # What is used no more makes room for where the weight ends, and its noise.
        work[at], work[of_noise + at], work[of_slope + at] = s * way, spread, lean
        widest, failing[k] = spread if spread > root * noise else root * noise, _ONE if sharp else _ZERO
        work[of_bend + at] = _SIGMAS * widest
    fails = _ZERO
    for k in range(number):
        at = np.uint64(k)
        w, lowest, highest = weight[k], own[np.uint64(BOUND_MIN) * apart + at], own[np.uint64(BOUND_MAX) * apart + at]
        end, spread, reach = w + work[at], work[of_noise + at], work[of_bend + at]
        drawn = nb_normal(random[k])
        if PARAMETERS > 1 and RELATIVE:
            drawn = leaning(drawn, work[of_slope + at])
        top, bottom = (end if end > w else w), (end if end < w else w)
        bad = (top + reach > highest) | (bottom - reach < lowest) | (failing[k] != _ZERO)
        value = end + spread * drawn
        value = lowest if value < lowest else value
        value = highest if value > highest else value
        n = _0 if ONLY_UP and (negative[k] != _ZERO) == other_negative else _F(pulses[k])
        fail = _ONE if bad & (n > _1) else _ZERO
        failing[k], fails = fail, np.uint32(fails + fail)
        weight[k] = value if (n > _0) & (fail == _ZERO) else w
    return fails


def fired_columns(columns: Words, chunks: Integers, width: int) -> tuple[Integers, Integers, Words]:
    """List the vectors in which each column fires, for chunks of one vector each.

    columns, chunks: as returned by `drivers.draw`. width: how many columns there are.
    Returns the first entry of each column (width + 1,); per entry which chunk, the first of its words, whether the
    column is negative (entries, 3); and the words (words,).
    """
    starts, entries, length = np.zeros(width + 1, np.int64), 0, 0
    lit = np.zeros((len(chunks), width), np.uint32)
    for n in range(len(chunks)):
        for word in range(chunks[n, FIRST_WORD], chunks[n, AFTER_WORD]):
            for j in range(width):
                lit[n, j] = np.uint32(lit[n, j] | columns[0, word, j] | columns[1, word, j])
        for j in range(width):
            entries += lit[n, j] != _ZERO
            length += chunks[n, AFTER_WORD] - chunks[n, FIRST_WORD] if lit[n, j] != _ZERO else 0
            starts[j + 1] += lit[n, j] != _ZERO
    for j in range(width):
        starts[j + 1] += starts[j]
    at, table, bits = starts[:-1].copy(), np.empty((entries, 3), np.int64), np.empty(length, np.uint32)
    to = 0
    for n in range(len(chunks)):
        for j in range(width):
            if lit[n, j] == _ZERO:
                continue
            below = _ZERO
            table[at[j], 0], table[at[j], 1] = n, to
            for word in range(chunks[n, FIRST_WORD], chunks[n, AFTER_WORD]):
                below = np.uint32(below | columns[1, word, j])
                bits[to] = np.uint32(columns[0, word, j] | columns[1, word, j])
                to += 1
            table[at[j], 2] = below != _ZERO
            at[j] += 1
    return starts, table, bits


@inlined
def room(words: int) -> tuple[Words, Words, Words, Words, Floats]:
    """Make scratch for `one_after_the_other`, for the pulses of so many words.

    Returns of each pulse whether it goes down, two words and a number of its noise, and the noise.
    """
    most = 32 * words + LANES
    is_down, word_a, word_b = np.zeros(most, np.uint32), np.zeros(most, np.uint32), np.zeros(most, np.uint32)
    return is_down, word_a, word_b, np.zeros(most, np.uint32), np.empty(most, np.float32)


def take_vectors(
    weights: Floats,
    cells: Floats,
    sigma: np.float32,
    chunks: Integers,
    rows: Words,
    columns: Words,
    words: Words,
    numbers_: NDArray[np.int32],
    base: np.uint64,
    first: Integer,
    counts: Integers,
) -> None:
    """Apply chunks of one vector each. Rows are side by side: they share a column's bits, and lie so in ``rows``.

    weights, cells, sigma: as for `one_by_one.coincide`. chunks, rows, columns, words, numbers_: as returned by
    `drivers.draw`. base, first: the key of merged noise, the counter of vector 0. counts: `UpdateCounts.table`, whose
    fallbacks are raised.
    """
    height, width, vectors = weights.shape[0], weights.shape[1], len(chunks)
    starts, table, bits = fired_columns(columns, chunks, width)
    fired = rows[0] | rows[1]
    negative, line = np.zeros((vectors, rows.shape[2]), np.uint32), np.empty((vectors, 2, rows.shape[2]), np.uint32)
    for n in range(vectors):
        step_a, step_b = nb_step_words(base, first + chunks[n, START])
        for word in range(chunks[n, FIRST_WORD], chunks[n, AFTER_WORD]):
            for i in range(height):
                negative[n, i] = np.uint32(negative[n, i] | rows[1, word, i])
        for i in range(height):
            line[n, 0, i], line[n, 1, i] = nb_line_words(step_a, step_b, i, 0)
    longest = (chunks[:, AFTER_WORD] - chunks[:, FIRST_WORD]).max()
    blocks, numbers_of_cells = (height + BLOCK - 1) // BLOCK, cells.reshape(-1)
    failures = np.zeros((blocks, vectors), np.int64)
    for block in prange(blocks):
        low, number = block * BLOCK, min(BLOCK, height - block * BLOCK)
        whole = (number + LANES - 1) // LANES * LANES  # cells that do not exist take no pulses
        own, weight = np.zeros(STRIDE * BLOCK, np.float32), np.zeros(BLOCK, np.float32)
        pulses, random, failing = np.zeros(BLOCK, np.int32), np.zeros(BLOCK, np.uint32), np.empty(BLOCK, np.uint32)
        signs, work, start = np.zeros(BLOCK, np.uint32), np.empty(WORK * BLOCK, np.float32), np.uint64(low)
        row_plus, row_minus = np.zeros(longest, np.uint32), np.zeros(longest, np.uint32)
        plus, minus = np.empty((longest, 1), np.uint32), np.empty((longest, 1), np.uint32)
        is_down, word_a, word_b, in_vector, noise = room(longest)
        for j in range(width):
            if starts[j] == starts[j + 1]:
                continue
            for k in range(number):
                weight[k] = weights[low + k, j]
                for p in range(STRIDE):
                    own[p * BLOCK + k] = cells[low + k, j * STRIDE + p]
            for entry in range(starts[j], starts[j + 1]):
                n, at, below = table[entry, 0], table[entry, 1], table[entry, 2] != 0
                for k in range(number):
                    pulses[k] = 0
                for word in range(chunks[n, FIRST_WORD], chunks[n, AFTER_WORD]):
                    mask, of_word = bits[at], np.uint64(word)
                    for k in range(number):
                        pulses[k] += np.int32(popcount(np.uint32(fired[of_word, start + np.uint64(k)] & mask)))
                    at += 1
                vector = np.uint64(n)
                for k in range(number):  # no views of the tables: each would be counted, in every turn
                    own_row = start + np.uint64(k)
                    random[k] = nb_bits(line[vector, _FIRST, own_row], line[vector, _SECOND, own_row], j)
                    signs[k] = negative[vector, own_row]
                if train(weight, own, BLOCK, whole, sigma, pulses, signs, below, random, failing, work) == _ZERO:
                    continue
                first_word, length = chunks[n, FIRST_WORD], at - table[entry, 1]
                for word in range(length):
                    lit_slots = bits[table[entry, 1] + word]
                    plus[word, 0], minus[word, 0] = (_ZERO, lit_slots) if below else (lit_slots, _ZERO)
                for word in range(length, longest):  # of which no pulses come
                    plus[word, 0] = minus[word, 0] = _ZERO
                for fail in range(number):
                    if failing[fail] == _ZERO:
                        continue
                    failures[block, n] += 1
                    for word in range(length):
                        row_plus[word], row_minus[word] = (
                            rows[0, first_word + word, low + fail],
                            rows[1, first_word + word, low + fail],
                        )
                    weight[fail] = one_by_one(
                        weight[fail], numbers_of_cells, ((low + fail) * width + j) * STRIDE, sigma, low + fail, j,
                        first_word, row_plus, row_minus, plus, minus, 0, words, numbers_,
                        is_down, word_a, word_b, in_vector, noise,
                    )  # fmt: skip
            for k in range(number):
                weights[low + k, j] = weight[k]
    for n in range(vectors):
        counts[FALLBACKS, chunks[n, START]] += failures[:, n].sum()


def one_after_the_other(
    weight: np.float32,
    cells: Floats,
    cell: int,
    sigma: np.float32,
    i: Integer,
    column: Integer,
    first_word: Integer,
    row_plus: Words,
    row_minus: Words,
    plus: Words,
    minus: Words,
    at: Integer,
    words: Words,
    numbers_: NDArray[np.int32],
    is_down: Words,
    word_a: Words,
    word_b: Words,
    in_vector: Words,
    noise: Floats,
) -> np.float32:
    """Apply the pulses of one cell in their order, as `one_by_one.coincide` does, and return its weight.

    cells, cell: numbers of cells, one after the other, and where those of this one begin. i, column: its place in the
    array. row_plus, row_minus: words of its row, from ``first_word`` of all on. plus, minus, at: the words of several
    columns (words, columns), and which of them is its own. words, numbers_: as returned by `drivers.draw`. is_down,
    word_a, word_b, in_vector, noise: as made by `room`. No views are taken: each would be counted, for every cell.
    """
    line, cross, number = np.uint32(i), np.uint32(column), 0
    for word in range(len(plus)):
        above, below = row_plus[word], row_minus[word]
        downs = np.uint32(np.uint32(plus[word, at] & above) | np.uint32(minus[word, at] & below))
        left = np.uint32(np.uint32(plus[word, at] & below) | np.uint32(minus[word, at] & above))
        left = left if ONLY_UP else np.uint32(left | downs)
        while left != _ZERO:
            shift = trailing_zeros(left)
            slot = 32 * (first_word + word) + int(shift)
            is_down[number] = np.uint32(downs >> np.uint32(shift)) & _ONE
            word_a[number], word_b[number], in_vector[number] = words[slot, 0], words[slot, 1], numbers_[slot]
            left = np.uint32(left & np.uint32(left - _ONE))
            number += 1
    # Whole registers of noise side by side: what fills the last one up is not used.
    for q in range((number + LANES - 1) // LANES * LANES if sigma > 0 else 0):
        a, c = nb_line_words(word_a[q], word_b[q], line, in_vector[q])
        noise[q] = sigma * nb_normal(nb_bits(a, c, cross))
    up_step, down_step = read(cells, cell + UP), read(cells, cell + DOWN)
    lowest, highest = cells[cell + BOUND_MIN], cells[cell + BOUND_MAX]
    for q in range(number):
        down = is_down[q] != _ZERO
        of_step = choose(down, down_step, up_step)
        size = _F(step(weight, noise[q] if sigma > 0 else _0, *of_step))
        moved = weight - size if down else weight + size
        moved = lowest if moved < lowest else moved
        weight = highest if moved > highest else moved
    return weight
