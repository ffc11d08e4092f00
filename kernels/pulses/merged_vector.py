"""All pulses that a cell takes from one vector, merged: they have one direction, so that their order is nothing.

A step that is affine in the weight, size + m (w - w_0), moves a cell by n pulses of sign s = +1 (up) or -1 (down) with
a contraction a = -s m per pulse. With lambda = -ln(1 - a), theta = n lambda and g(t) = (1 - exp(-t)) / t:

    w'    = w + s size n (lambda / a) g(theta) + sigma sqrt(V) xi                                 (1)
    V     = n (e exp(-(n - 1) lambda))^2    noise e relative to the step, which shrinks with it   (2)
    V     = n e^2 g(2 theta) / g(2 lambda)  noise e that does not depend on the weight            (3)
            g(2 theta) = g(theta) (1 + exp(-theta)) / 2

The mean is exact, and so is the variance but for sigma^2 n m^2 in (2). Steps that are smooth but not affine (`SMOOTH`)
are taken as affine between w - h and w + h, with h the sum of what n steps go and two standard deviations of noise.

That holds under conditions, tested for every cell that takes more than one pulse:

    bounds  both ends of the way, plus SIGMAS standard deviations of all noise together, stay inside. The noise leaves
            this strip with a probability below 6.4e-5 per side (Levy's inequality; contraction makes it less), and then
            moves the mean by less than 1.5e-5 of that standard deviation.
    slope   |a| < SLOPE and |theta| < RUN: the series for lambda / a and g are exact to 3e-5 of the way, the factor
            1 / (1 - a) of (2) to 1e-4.
    shape   in (2), sigma^2 n m^2 < SHAPE: the noise is still normal after many steps.
    bend    smooth steps: n times what the middle of w - h and w + h is off the straight line is below ORDER steps, or
            below half of ORDER standard deviations of the noise. Where the curvature is that of the whole stretch, all
            steps together are off by less.

Cells that fail take these pulses one by one, as in `one_by_one`. Merged noise has a number for each vector and cell.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import Any

import numpy as np
from numba import njit, prange
from numba.cpython.unsafe import numbers

from rpusim.kernels.base.loops import popcount
from rpusim.kernels.base.rng import nb_bits, nb_line_words, nb_normal, nb_step_words
from rpusim.kernels.devices.models import exp_step, linear_step
from rpusim.kernels.devices.models.constant_step import constant_step

# Typed as Any because its Python signature is not the one it is called with.
trailing_zeros: Any = numbers.trailing_zeros
# Injected by `compile_loop`; named here for the reader and for type checkers.
step: Any = None
read: Any = None
train: Any = None
lanes: Any = None
choose: Any = None
one_by_one: Any = None
PARAMETERS = 0
ONLY_UP = 0
SMOOTH = 0
RELATIVE = 0

# Steps whose noise is relative to their size; steps that are smooth without being affine.
RELATIVE_STEPS: set[Callable[..., Any]] = {constant_step, linear_step.multiplicative_step, exp_step.simple_step}
SMOOTH_STEPS: set[Callable[..., Any]] = {exp_step.simple_step}

# Limits of the conditions, see above.
SIGMAS, SLOPE, RUN, SHAPE, ORDER = 4.0, 0.1, 1.0, 0.01, 0.125
# Rows side by side; random numbers side by side.
BLOCK, LANES = 64, 16

_F = np.float32
_ZERO, _ONE = np.uint32(0), np.uint32(1)
_0, _1, _2, _HALF, _THIRD, _FOURTH = _F(0), _F(1), _F(2), _F(0.5), _F(1 / 3), _F(1 / 4)
_G1, _G2, _G3, _G4, _G5, _G6, _G7 = (_F(v) for v in (-1 / 2, 1 / 6, -1 / 24, 1 / 120, -1 / 720, 1 / 5040, -1 / 40320))
_SIGMAS, _SLOPE, _RUN, _SHAPE, _ORDER = _F(SIGMAS), _F(SLOPE), _F(RUN), _F(SHAPE), _F(ORDER)


def decay(t):
    """(1 - exp(-t)) / t for |t| <= RUN, by its series: to 3e-6."""
    return ((((((_G7 * t + _G6) * t + _G5) * t + _G4) * t + _G3) * t + _G2) * t + _G1) * t + _1


@cache
def lanes_of(number):
    """A compiled reader of ``number`` values that lie a stride apart: (values, at, stride) -> tuple."""
    if number == 0:
        return njit(lambda values, at, stride: ())
    others = lanes_of(number - 1)
    return njit(lambda values, at, stride: (values[at], *others(values, at + stride, stride)))


@cache
def chooser(number):
    """A compiled choice between two tuples of ``number`` values: (first, one, other) -> one or other."""
    if number == 0:
        return njit(lambda first, one, other: ())
    others = chooser(number - 1)
    return njit(lambda first, one, other: (one[0] if first else other[0], *others(first, one[1:], other[1:])))


def take_train(weight, own, stride, number, sigma, pulses, negative, other_negative, random, failing):
    """Equations 1 to 3 for the pulses of one vector on cells side by side; says in ``failing`` which fail.

    weight: moved here. own: the cells' numbers, each ``stride`` after the other: bounds, parameters up and down.
    pulses: how many each takes. negative: not 0 where the line of the cell is driven with negative values;
    other_negative: whether the line that all of them share is. random: bits of the noise. Returns how many fail.
    """
    fails, apart = _ZERO, np.uint64(stride)
    for k in range(number):
        at = np.uint64(k)  # an unsigned place is not tested for one counted from the end
        w, lowest, highest = weight[k], own[at], own[apart + at]
        down = (negative[k] != _ZERO) == other_negative
        up_step = lanes(own, np.uint64(2) * apart + at, apart)
        down_step = lanes(own, np.uint64(2 + PARAMETERS) * apart + at, apart)
        of_step = up_step if ONLY_UP else choose(down, down_step, up_step)
        n, s = _F(pulses[k]), -_1 if down else _1
        if ONLY_UP:
            n = _0 if down else n
        size = _F(step(w, _0, *of_step))
        noise = sigma * abs(_F(step(w, _1, *of_step)) - size)
        root, off = np.sqrt(n), _0
        if SMOOTH:
            h = n * abs(size) + _2 * root * noise
            before, after = _F(step(w - h, _0, *of_step)), _F(step(w + h, _0, *of_step))
            m, off = (after - before) / (_2 * h if h > _0 else _1), n * abs(_HALF * (after + before) - size)
        elif PARAMETERS > 1:
            m = _F(step(_1, _0, *of_step)) - _F(step(_0, _0, *of_step))
        if PARAMETERS > 1:
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
            else:
                rate = contraction * ratio
                shrunk = _HALF * mean * (_1 + left) * (_1 + rate + rate * rate * _THIRD)
                spread = root * noise * np.sqrt(shrunk if shrunk > _0 else _0)
        else:
            way, spread = n * size, root * noise
        widest = spread if spread > root * noise else root * noise
        end = w + s * way
        top, bottom, reach = (end if end > w else w), (end if end < w else w), _SIGMAS * widest
        bad = (top + reach > highest) | (bottom - reach < lowest)
        if PARAMETERS > 1:
            bad |= sharp
            if RELATIVE:
                bad |= sigma * sigma * n * m * m > _SHAPE
        if SMOOTH:
            enough = abs(size) if abs(size) > _HALF * spread else _HALF * spread
            bad |= off > _ORDER * enough
        value = end + spread * nb_normal(random[k])
        value = lowest if value < lowest else value
        value = highest if value > highest else value
        fail = _ONE if bad & (n > _1) else _ZERO
        failing[k], fails = fail, np.uint32(fails + fail)
        weight[k] = value if (n > _0) & (fail == _ZERO) else w
    return fails


def fired_columns(columns, chunks, width):
    """The vectors in which each column fires, for chunks of one vector each.

    Returns the first entry of each column, and per entry: which chunk, the first of its words, whether the column is
    negative; and the words.
    """
    starts, entries, length = np.zeros(width + 1, np.int64), 0, 0
    lit = np.zeros((len(chunks), width), np.uint32)
    for n in range(len(chunks)):
        for word in range(chunks[n, 2], chunks[n, 3]):
            for j in range(width):
                lit[n, j] = np.uint32(lit[n, j] | columns[0, word, j] | columns[1, word, j])
        for j in range(width):
            entries += lit[n, j] != _ZERO
            length += chunks[n, 3] - chunks[n, 2] if lit[n, j] != _ZERO else 0
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
            for word in range(chunks[n, 2], chunks[n, 3]):
                below = np.uint32(below | columns[1, word, j])
                bits[to] = np.uint32(columns[0, word, j] | columns[1, word, j])
                to += 1
            table[at[j], 2] = below != _ZERO
            at[j] += 1
    return starts, table, bits


@njit
def room(words):
    """Scratch of `one_after_the_other` for the pulses of so many words: numbers that place each, and its noise."""
    most = 32 * words + LANES
    return np.zeros((4, most), np.uint32), np.empty(most, np.float32)


def take_vectors(weights, cells, sigma, chunks, rows, columns, words, numbers_, base, first, fallbacks):
    """Apply chunks of one vector each. Rows are side by side: they share a column's bits, and lie so in ``rows``.

    base, first: the key of merged noise, the counter of vector 0. fallbacks: per vector, raised.
    """
    height, width, vectors, numbers_of = weights.shape[0], weights.shape[1], len(chunks), 2 + 2 * PARAMETERS
    starts, table, bits = fired_columns(columns, chunks, width)
    fired = rows[0] | rows[1]
    negative, line = np.zeros((vectors, rows.shape[2]), np.uint32), np.empty((vectors, 2, rows.shape[2]), np.uint32)
    for n in range(vectors):
        word_a, word_b = nb_step_words(base, first + chunks[n, 0])
        for word in range(chunks[n, 2], chunks[n, 3]):
            for i in range(height):
                negative[n, i] = np.uint32(negative[n, i] | rows[1, word, i])
        for i in range(height):
            line[n, 0, i], line[n, 1, i] = nb_line_words(word_a, word_b, i, 0)
    longest = (chunks[:, 3] - chunks[:, 2]).max()
    blocks = (height + BLOCK - 1) // BLOCK
    failures = np.zeros((blocks, vectors), np.int64)
    for block in prange(blocks):
        low, number = block * BLOCK, min(BLOCK, height - block * BLOCK)
        own, weight = np.empty(numbers_of * BLOCK, np.float32), np.empty(BLOCK, np.float32)
        pulses, random, failing = np.empty(BLOCK, np.int32), np.empty(BLOCK, np.uint32), np.empty(BLOCK, np.uint32)
        scratch = room(longest)
        for j in range(width):
            if starts[j] == starts[j + 1]:
                continue
            for k in range(number):
                weight[k] = weights[low + k, j]
                for p in range(numbers_of):
                    own[p * BLOCK + k] = cells[low + k, j * numbers_of + p]
            for entry in range(starts[j], starts[j + 1]):
                n, at, below = table[entry, 0], table[entry, 1], table[entry, 2] != 0
                for k in range(number):
                    pulses[k] = 0
                for word in range(chunks[n, 2], chunks[n, 3]):
                    mask, masked = bits[at], fired[word, low : low + number]
                    for k in range(number):
                        pulses[k] += np.int32(popcount(np.uint32(masked[k] & mask)))
                    at += 1
                a, c, signs = line[n, 0, low:], line[n, 1, low:], negative[n, low:]
                for k in range(number):
                    random[k] = nb_bits(a[k], c[k], j)
                if train(weight, own, BLOCK, number, sigma, pulses, signs, below, random, failing) == _ZERO:
                    continue
                here = bits[table[entry, 1] : at]
                none, first_word, after_word = np.zeros_like(here), chunks[n, 2], chunks[n, 3]
                for fail in np.flatnonzero(failing[:number]):
                    i = low + int(fail)
                    cell_row = cells[i]
                    failures[block, n] += 1
                    of_row = rows[0, first_word:after_word, i], rows[1, first_word:after_word, i]
                    of_column = (none, here) if below else (here, none)
                    weight[fail] = one_by_one(
                        weight[fail], cell_row, j * numbers_of, sigma, i, j, first_word, *of_row, *of_column, words,
                        numbers_, *scratch,
                    )  # fmt: skip
            for k in range(number):
                weights[low + k, j] = weight[k]
    for n in range(vectors):
        fallbacks[chunks[n, 0]] += failures[:, n].sum()


def one_after_the_other(
    weight, cell_row, cell, sigma, i, column, first_word, row_plus, row_minus, plus, minus, words, numbers_, place,
    noise,
):  # fmt: skip
    """The weight of a cell after its pulses in order, as `one_by_one.coincide`; plus, minus: words of its column.

    place, noise: as made by `room`.
    """
    # Not unpacked as a tuple: arrays got that way, and places that are 64 bits long, keep loops from being vectorised.
    is_down, word_a, word_b, in_vector = place[0], place[1], place[2], place[3]
    line, cross, number = np.uint32(i), np.uint32(column), 0
    for word in range(len(plus)):
        above, below = row_plus[word], row_minus[word]
        downs = np.uint32(np.uint32(plus[word] & above) | np.uint32(minus[word] & below))
        left = np.uint32(np.uint32(plus[word] & below) | np.uint32(minus[word] & above))
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
    up_step, down_step = read(cell_row, cell + 2), read(cell_row, cell + 2 + PARAMETERS)
    lowest, highest = cell_row[cell], cell_row[cell + 1]
    for q in range(number):
        down = is_down[q] != _ZERO
        of_step = choose(down, down_step, up_step)
        size = _F(step(weight, noise[q] if sigma > 0 else _0, *of_step))
        moved = weight - size if down else weight + size
        moved = lowest if moved < lowest else moved
        weight = highest if moved > highest else moved
    return weight
