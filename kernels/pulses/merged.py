"""Pulses of a cell merged: many small steps as one large one, wherever that is the same in distribution.

Of a chunk of vectors, a cell's n_u up and n_d down pulses are counted with popcounts of packed bits. A step that is
linear in weight and noise, (b + m w) + (e + f w) sigma xi, then has a closed form for all of them together. With
contraction a = -m_u per up and a = m_d per down pulse, lambda = -ln(1 - a), phi = lambda / a:

    theta = n_u lambda_u + n_d lambda_d,   drift = n_u b_u phi_u - n_d b_d phi_d,   g = (1 - exp(-theta)) / theta
    w'    = w + (drift - theta w) g + sqrt(V) xi                                                     (1)
    V     = sigma^2 (n_u s_u^2 + n_d s_d^2) (1 - theta (n - 1) / n)      s = e + f v                  (2)

with n = n_u + n_d and v the weight halfway. For a constant step (m = f = 0) this is exact. For one direction only, the
mean is exact too; for both it is the mean over all orders of the pulses, to third order in a. The order of the pulses
is known, and no accident: a mini-batch may be sorted, and then pulls every weight the same way again and again. So the
mean moves by what their order changes:

    w'   += (n_du - n_ud) (b_u m_d - b_d m_u) (1 - theta / 2) / 2                                    (3)

with n_du pairs of an up and a down pulse of which the down pulse comes first, and n_ud of the others. To count these
pairs, the bits of a row are cut into spans, each of which sends a cell first up and then down pulses (`spans`).

Multiplicative noise makes later noise larger or smaller, so that the sum is skewed: its third cumulant is 6 sigma^4
times the sum of s_k^2 s_l f_l over all pairs of a pulse k before a pulse l. Of any order this is on average

    skewness = 3 sigma (n_u s_u f_u + n_d s_d f_d) (n - 1) / n / sqrt(n_u s_u^2 + n_d s_d^2)         (4)

and xi is bent to have it (`merged_vector.leaning`).

That is the same as pulse after pulse only under conditions, tested for every cell. All must hold; of a single pulse,
only that of the slope, on which the series for phi and g depend:

    bounds  in no order of its pulses could the cell touch a bound: all steps towards it first, plus SIGMAS standard
            deviations of their noise, stay inside. By Levy's inequality the walk leaves this strip with a probability
            below 6.4e-5 per side; where it does, the mean is off by less than 1.5e-5 of that deviation.
    slope   n_u |m_u| + n_d |m_d| < SLOPE: steps change little on the way.
    order   what (3) can be off, slope n_u n_d |b_u m_d - b_d m_u| / 2, is below ORDER steps, or below half of ORDER
            standard deviations of the noise.
    shape   sigma^2 (n_u f_u^2 + n_d f_d^2) < SHAPE: the skewness of (4) is below 3 sqrt(SHAPE) = 0.3, and what else
            multiplicative noise is off a normal distribution is of its second order: a kurtosis of 0.16 at most.

A cell that fails is tried again with PART words at a time if the chunk is long; where it fails again it takes these
pulses one by one, in order, with the random numbers of `one_by_one`: bit for bit what the exact execution does. Long
trains are merged vector by vector (`merged_vector`): a cell then has pulses of one direction, and there is no order.
Merged noise has numbers of its own, one per cell and chunk (or part); so a merged result does not depend on the number
of threads, but does on how vectors are divided into calls. The idea of merging equal pulses of a constant step is
AIHWKit's (Rasch et al. 2021); popcounts over a mini-batch, slopes, conditions and fallback are ours.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numba import prange
from numpy.typing import NDArray

from rpusim.kernels.base.loops import Floats, Integers, Words, compile_loop, popcount
from rpusim.kernels.base.rng import Integer, nb_bits, nb_line_words, nb_normal, nb_step_words
from rpusim.kernels.devices.base import PulsedDevice
from rpusim.kernels.devices.models import linear_step, soft_bounds_reference
from rpusim.kernels.devices.models.constant_step import constant_step
from rpusim.kernels.devices.variation import BOUND_MAX, BOUND_MIN, UP
from rpusim.kernels.pulses import merged_vector
from rpusim.kernels.pulses.cell_numbers import chooser, lanes_of
from rpusim.kernels.pulses.counts import FALLBACKS, MERGED, SLOTS
from rpusim.kernels.pulses.drivers import AFTER_WORD, FIRST_WORD, PULSES, START, STOP
from rpusim.kernels.pulses.merged_vector import SIGMAS, SMOOTH_STEPS, leaning, room

# Injected by `compile_loop`, see `cell_numbers`; named here for the reader and for type checkers.
step: Any = None
read: Any = None
PARAMETERS = DOWN = STRIDE = ONLY_UP = SMOOTH = 0
coincide: Any = None
merged_words: Any = None
one_vector_each: Any = None
one_by_one: Any = None

# Steps that are linear in the weight and in the noise.
LINEAR_STEPS: set[Callable[..., Any]] = {
    constant_step,
    linear_step.multiplicative_step,
    linear_step.additive_step,
    soft_bounds_reference.additive_step,
}

# Pulses per cell of the columns that fire from which to merge is faster than to go one by one; measured: 1.3 to 1.6.
_WORTH_MERGING = 1.5
# Share of columns that fire below which only their cells are looked at.
_FEW_LIT = 0.7
# Words of the parts in which cells that fail are merged again, if a chunk has more than twice as many.
PART = 2
# Limits of the conditions, see above.
SLOPE, ORDER, SHAPE = 0.1, 0.125, 0.01

_F = np.float32
_ZERO, _ONE = np.uint32(0), np.uint32(1)
_0, _1, _2, _HALF, _THIRD, _SIXTH, _24TH = _F(0), _F(1), _F(2), _F(0.5), _F(1 / 3), _F(1 / 6), _F(1 / 24)
_SIGMAS, _SLOPE, _ORDER, _SHAPE = _F(SIGMAS), _F(SLOPE), _F(ORDER), _F(SHAPE)


def covers(device: PulsedDevice) -> bool:
    """Whether pulses of this device can be merged at all."""
    return device.step in LINEAR_STEPS or device.step in SMOOTH_STEPS


def lit(columns: Words, first_word: Integer, after_word: Integer, width: int) -> tuple[NDArray[np.int32], Words, Words]:
    """List the columns that fire at all in some words; all of them if nearly all do.

    columns: words (2, words, padded lines) of all ``width`` columns. first_word, after_word: which words count.
    Returns the numbers of these columns, and their words for positive and for negative values (words, columns).
    """
    ids, number = np.empty(width, np.int32), 0
    for j in range(width):
        above, below = _ZERO, _ZERO
        for word in range(first_word, after_word):
            above = np.uint32(above | columns[0, word, j])
            below = np.uint32(below | columns[1, word, j])
        ids[number] = j
        number += 1 if above | below != _ZERO else 0
    if number > _FEW_LIT * width:
        number = width
        for j in range(width):
            ids[j] = j
    plus = np.empty((after_word - first_word, number), np.uint32)
    minus = np.empty((after_word - first_word, number), np.uint32)
    for word in range(after_word - first_word):
        for j in range(number):
            plus[word, j] = columns[0, first_word + word, ids[j]]
            minus[word, j] = columns[1, first_word + word, ids[j]]
    return ids[:number], plus, minus


def spans(
    row_plus: Words,
    row_minus: Words,
    begins: Words,
    mixed: Words,
    place: Integers,
    above: Words,
    below: Words,
) -> int:
    """Cut the bits of a row into spans, each of which sends every cell first all its up and then all its down pulses.

    row_plus, row_minus: words of the row for positive and negative values (words,). begins: bits of the slots in which
    a vector begins (words,). mixed: not 0 where a column is negative in that word (words,).
    place, above, below: filled with the word of every span, and with the bits of the row that belong to it; above for
    positive values, which lower a cell if its column is positive (32 x words,). Returns how many spans there are.

    A cell takes pulses of one direction from one vector, so that a vector is always a span. Where all columns are
    positive, its direction is that of the row, and a span goes on from the first bit that raises to the next one that
    does so after one that lowers. Where order means nothing, a word is a span.
    """
    number = 0
    for word in range(len(row_plus)):
        plus, minus = row_plus[word], row_minus[word]
        left = np.uint32(plus | minus)
        while left != _ZERO:
            rest = _ZERO
            if PARAMETERS > 1 and ONLY_UP == 0:
                if mixed[word] != _ZERO:
                    lowest = np.uint32(left & np.uint32(_ZERO - left))
                    rest = np.uint32(begins[word] & ~np.uint32(lowest | np.uint32(lowest - _ONE)))
                else:
                    lowers = np.uint32(left & plus)
                    first = np.uint32(lowers & np.uint32(_ZERO - lowers))
                    rest = np.uint32(np.uint32(left & minus) & ~np.uint32(first - _ONE)) if first != _ZERO else _ZERO
            # All bits below the first one that belongs to the next span; 0 - 1 are all bits.
            mask = np.uint32(np.uint32(rest & np.uint32(_ZERO - rest)) - _ONE)
            place[number] = word
            above[number], below[number] = np.uint32(plus & left & mask), np.uint32(minus & left & mask)
            left = np.uint32(left & ~mask)
            number += 1
    return number


def tally(
    up: np.int32,
    down: np.int32,
    turned: np.int32,
    high: np.uint32,
    low: np.uint32,
    above: np.uint32,
    below: np.uint32,
) -> tuple[np.int32, np.int32, np.int32]:
    """Add the pulses of one cell in one span to its counts (see `count`), and return these.

    high, low: the word of its column for positive and for negative values; above, below: bits of its row, see `spans`.
    """
    ups = np.int32(popcount(np.uint32(np.uint32(high & below) | np.uint32(low & above))))
    if ONLY_UP:
        return np.int32(up + ups), down, turned
    downs = np.int32(popcount(np.uint32(np.uint32(high & above) | np.uint32(low & below))))
    if PARAMETERS > 1:
        turned = np.int32(turned + np.int32(np.int32(ups * down) - np.int32(downs * np.int32(up + ups))))
    return np.int32(up + ups), np.int32(down + downs), turned


def count(
    number: int,
    place: Integers,
    above: Words,
    below: Words,
    plus: Words,
    minus: Words,
    up: NDArray[np.int32],
    down: NDArray[np.int32],
    turned: NDArray[np.int32],
) -> None:
    """Count the pulses of the cells of a row.

    number, place, above, below: the spans of the row, as made by `spans`. plus, minus: words of the columns (words,
    columns). up, down: filled with the pulses of each direction that are taken (columns,). turned: with the pairs of
    pulses of which the down pulse comes first, less those with the up pulse first. Four spans at a time: the counts are
    read and written less often.
    """
    width = len(up)
    for j in range(width):
        up[j] = down[j] = turned[j] = 0
    fours = number // 4 * 4
    for at in range(0, fours, 4):
        a, b, c, d = above[at], above[at + 1], above[at + 2], above[at + 3]
        p, q, r, s = below[at], below[at + 1], below[at + 2], below[at + 3]
        word, word_b, word_c, word_d = place[at], place[at + 1], place[at + 2], place[at + 3]
        high, high_b, high_c, high_d = plus[word], plus[word_b], plus[word_c], plus[word_d]
        low, low_b, low_c, low_d = minus[word], minus[word_b], minus[word_c], minus[word_d]
        for j in range(width):
            found = tally(up[j], down[j], turned[j], high[j], low[j], a, p)
            found = tally(found[0], found[1], found[2], high_b[j], low_b[j], b, q)
            found = tally(found[0], found[1], found[2], high_c[j], low_c[j], c, r)
            up[j], down[j], turned[j] = tally(found[0], found[1], found[2], high_d[j], low_d[j], d, s)
    for at in range(fours, number):
        a, p, high, low = above[at], below[at], plus[place[at]], minus[place[at]]
        for j in range(width):
            up[j], down[j], turned[j] = tally(up[j], down[j], turned[j], high[j], low[j], a, p)


def beginnings(first_word: Integer, minus: Words, numbers_: NDArray[np.int32]) -> tuple[Words, Words]:
    """Find the bits of some words in which a vector begins, and the words in which a column is negative.

    first_word: the number of the first word. minus: words of the columns for negative values (words, columns).
    numbers_: as returned by `drivers.draw`. Returns both as `spans` takes them (words,).
    """
    begins, mixed = np.zeros(len(minus), np.uint32), np.zeros(len(minus), np.uint32)
    if PARAMETERS > 1 and ONLY_UP == 0:
        for word in range(len(minus)):
            for bit in range(32):
                if numbers_[32 * (first_word + word) + bit] == 0:
                    begins[word] = np.uint32(begins[word] | np.uint32(_ONE << np.uint32(bit)))
            for j in range(minus.shape[1]):
                mixed[word] = np.uint32(mixed[word] | minus[word, j])
    return begins, mixed


def merge_cells(
    weight_row: Floats,
    cell_row: Floats,
    sigma: np.float32,
    up: NDArray[np.int32],
    down: NDArray[np.int32],
    turned: NDArray[np.int32],
    ids: NDArray[np.int32],
    a: np.uint32,
    c: np.uint32,
    left_over: Words,
) -> np.uint32:
    """Apply equations 1 to 4 to cells side by side, and return how many fail.

    weight_row: their weights, moved here where a cell does not fail. cell_row: their numbers. sigma: noise of one
    pulse, relative to the mean step. up, down, turned: as `count` fills them. ids: the columns of the cells.
    a, c: words of their noise. left_over: 1 is written where a cell fails, else 0.
    """
    number = _ZERO
    for j in range(len(ids)):
        cell = j * STRIDE
        weight, lowest, highest = weight_row[j], cell_row[cell + BOUND_MIN], cell_row[cell + BOUND_MAX]
        of_up, of_down = read(cell_row, cell + UP), read(cell_row, cell + DOWN)
        n_up, n_down = _F(up[j]), _F(down[j])
        n = n_up + n_down
        b_up, b_down = _F(step(_0, _0, *of_up)), _F(step(_0, _0, *of_down))
        e_up, e_down = _F(step(_0, _1, *of_up)) - b_up, _F(step(_0, _1, *of_down)) - b_down
        if PARAMETERS > 1:
            m_up, m_down = _F(step(_1, _0, *of_up)) - b_up, _F(step(_1, _0, *of_down)) - b_down
            f_up = _F(step(_1, _1, *of_up)) - _F(step(_1, _0, *of_up)) - e_up
            f_down = _F(step(_1, _1, *of_down)) - _F(step(_1, _0, *of_down)) - e_down
            phi_up = _1 - m_up * (_HALF - m_up * _THIRD)
            phi_down = _1 + m_down * (_HALF + m_down * _THIRD)
            theta = n_down * m_down * phi_down - n_up * m_up * phi_up
            drift = n_up * b_up * phi_up - n_down * b_down * phi_down
            g = _1 - theta * (_HALF - theta * (_SIXTH - theta * _24TH))
            swap = _HALF * (b_up * m_down - b_down * m_up)
            move = (drift - theta * weight) * g + swap * (_1 - _HALF * theta) * _F(turned[j])
            share = (n - _1) / (n if n > _1 else _1)
            half = weight + _HALF * share * move
            s_up, s_down = e_up + f_up * half, e_down + f_down * half
            power = n_up * s_up * s_up + n_down * s_down * s_down
            variance = power * (_1 - theta * share)
            lean = sigma * share * (n_up * s_up * f_up + n_down * s_down * f_down)
            lean = _HALF * lean / np.sqrt(power if power > _0 else _1)
            size_up, size_down = b_up + m_up * weight, b_down + m_down * weight
            slope = n_up * abs(m_up) + n_down * abs(m_down)
            slack = _1 + _2 * slope
            travel = n_up * abs(size_up) + n_down * abs(size_down)
            w_up, w_down = abs(e_up + f_up * weight), abs(e_down + f_down * weight)
            w_up, w_down = w_up + abs(f_up) * travel * _2, w_down + abs(f_down) * travel * _2
            widest = n_up * w_up * w_up + n_down * w_down * w_down
        else:
            move = n_up * b_up - n_down * b_down
            widest = variance = n_up * e_up * e_up + n_down * e_down * e_down
            size_up, size_down, slack, slope = b_up, b_down, _1, _0
        spread = sigma * np.sqrt(variance if variance > _0 else _0)
        drawn = nb_normal(nb_bits(a, c, ids[j]))
        if PARAMETERS > 1:
            drawn = leaning(drawn, lean)
        moved = weight + move + spread * drawn
        moved = lowest if moved < lowest else moved
        moved = highest if moved > highest else moved

        rise = n_up * (size_up if size_up > _0 else _0) - n_down * (size_down if size_down < _0 else _0)
        fall = n_down * (size_down if size_down > _0 else _0) - n_up * (size_up if size_up < _0 else _0)
        reach = _SIGMAS * sigma * np.sqrt(widest)
        bad = (weight + slack * rise + reach > highest) | (weight - slack * fall - reach < lowest)
        if PARAMETERS > 1:
            bad |= slope > _SLOPE
            largest = b_up if b_up > b_down else b_down
            largest = largest if largest > spread * _HALF else spread * _HALF
            bad |= abs(swap) * slope * n_up * n_down > _ORDER * largest
            bad |= sigma * sigma * (n_up * f_up * f_up + n_down * f_down * f_down) > _SHAPE
        one_by_one = _ONE if (bad & (n > _1)) | (slope > _SLOPE) else _ZERO
        left_over[j] = one_by_one
        number = np.uint32(number + one_by_one)
        weight_row[j] = weight if (one_by_one != _ZERO) | (n == _0) else moved
    return number


def in_parts(
    weight_row: Floats,
    cell_row: Floats,
    sigma: np.float32,
    i: Integer,
    ids: NDArray[np.int32],
    left_over: Words,
    first_word: Integer,
    row_plus: Words,
    row_minus: Words,
    plus: Words,
    minus: Words,
    begins: Words,
    mixed: Words,
    words: Words,
    numbers_: NDArray[np.int32],
    word_a: np.uint32,
    word_b: np.uint32,
) -> np.int64:
    """Merge the pulses of cells that failed in parts of PART words, or else apply them one by one.

    weight_row, cell_row, sigma, ids, left_over: as for `merge_cells`, which has marked the cells. i: their row.
    first_word, row_plus, row_minus, plus, minus, begins, mixed: the words, as for `spans` and `count`, and the number
    of the first.
    words, numbers_: as returned by `drivers.draw`. word_a, word_b: words of the noise of merged pulses.
    Returns how often a cell took a part of its pulses one by one.
    """
    which, failed = np.flatnonzero(left_over), np.int64(0)
    number = len(which)
    weight, cell, failing = np.empty(number, np.float32), np.empty(number * STRIDE, np.float32), left_over[which]
    for q in range(number):
        weight[q] = weight_row[which[q]]
        for k in range(STRIDE):
            cell[q * STRIDE + k] = cell_row[which[q] * STRIDE + k]
    up, down, columns = np.empty(number, np.int32), np.empty(number, np.int32), ids[which]
    turned = np.empty(number, np.int32)
    size = PART if len(plus) > 2 * PART else len(plus)
    scratch, most = room(size), 32 * size
    place, of_plus, of_minus = np.empty(most, np.int64), np.empty(most, np.uint32), np.empty(most, np.uint32)
    for start in range(0, len(plus), size):
        stop = min(start + size, len(plus))
        above, below = row_plus[start:stop], row_minus[start:stop]
        high, low = np.empty((stop - start, number), np.uint32), np.empty((stop - start, number), np.uint32)
        for word in range(stop - start):
            for q in range(number):
                high[word, q], low[word, q] = plus[start + word, which[q]], minus[start + word, which[q]]
        if size < len(plus):
            pieces = spans(above, below, begins[start:stop], mixed[start:stop], place, of_plus, of_minus)
            count(pieces, place, of_plus, of_minus, high, low, up, down, turned)
            a, c = nb_line_words(word_a, word_b, i, 1 + start // size)
            failed += np.int64(merge_cells(weight, cell, sigma, up, down, turned, columns, a, c, failing))
        else:
            failed += number
        for q in range(number):
            if failing[q] != _ZERO:
                weight[q] = one_by_one(
                    weight[q], cell, q * STRIDE, sigma, i, columns[q], first_word + start, above, below,
                    high[:, q], low[:, q], words, numbers_, *scratch,
                )  # fmt: skip
    for q in range(number):
        weight_row[which[q]] = weight[q]
    return failed


def merge(
    weights: Floats,
    cells: Floats,
    sigma: np.float32,
    first_word: Integer,
    after_word: Integer,
    rows: Words,
    ids: NDArray[np.int32],
    plus: Words,
    minus: Words,
    words: Words,
    numbers_: NDArray[np.int32],
    base: np.uint64,
    first: Integer,
) -> np.int64:
    """Apply all coincidences of some words to the weights, and return how many cells fell back.

    weights, cells, sigma, first_word, after_word, rows, words, numbers_: as for `one_by_one.coincide`. ids, plus,
    minus: the columns, as returned by `lit`. base, first: the key of merged noise, the counter of these vectors.
    """
    width = len(ids)
    all_lit = width == weights.shape[1]
    begins, mixed = beginnings(first_word, minus, numbers_)
    fallbacks = np.zeros(weights.shape[0], np.int32)
    for i in prange(weights.shape[0]):
        row_plus, row_minus = rows[0, first_word:after_word, i], rows[1, first_word:after_word, i]
        any_bit = _ZERO
        for word in range(len(row_plus)):
            any_bit = np.uint32(any_bit | row_plus[word] | row_minus[word])
        if any_bit == _ZERO:
            continue
        up, down, left_over = np.empty(width, np.int32), np.empty(width, np.int32), np.empty(width, np.uint32)
        turned, most = np.empty(width, np.int32), 32 * len(row_plus)
        place, above, below = np.empty(most, np.int64), np.empty(most, np.uint32), np.empty(most, np.uint32)
        pieces = spans(row_plus, row_minus, begins, mixed, place, above, below)
        count(pieces, place, above, below, plus, minus, up, down, turned)
        weight_row, cell_row = weights[i], cells[i]
        if not all_lit:  # cells of lit columns side by side, so that the next loop stays vectorised
            weight_row, cell_row = np.empty(width, np.float32), np.empty(width * STRIDE, np.float32)
            for j in range(width):
                weight_row[j] = weights[i, ids[j]]
                for k in range(STRIDE):
                    cell_row[j * STRIDE + k] = cells[i, ids[j] * STRIDE + k]
        word_a, word_b = nb_step_words(base, first)
        a, c = nb_line_words(word_a, word_b, i, 0)
        if merge_cells(weight_row, cell_row, sigma, up, down, turned, ids, a, c, left_over) > _ZERO:
            fallbacks[i] = in_parts(
                weight_row, cell_row, sigma, i, ids, left_over, first_word, row_plus, row_minus, plus, minus, begins,
                mixed, words, numbers_, word_a, word_b,
            )  # fmt: skip
        if not all_lit:
            for j in range(width):
                weights[i, ids[j]] = weight_row[j]
    total: np.int64 = fallbacks.sum()
    return total


def stages(parallel: bool, **names: Any) -> dict[str, Any]:
    """Compile what `all_chunks` calls, for one device.

    parallel: rows on all threads. names: as made by `cell_numbers.names_of`, with SMOOTH and RELATIVE.
    Returns the compiled functions by the names that `all_chunks` has for them.
    """
    choose, lanes = chooser(names["PARAMETERS"]), lanes_of(names["PARAMETERS"])
    train = compile_loop(merged_vector.take_train, decay=merged_vector.decay, lanes=lanes, choose=choose, **names)
    one_by_one = compile_loop(merged_vector.one_after_the_other, choose=choose, **names)
    parts = {"fired_columns": merged_vector.fired_columns, "train": train, "one_by_one": one_by_one}
    found = {"lit": lit, "one_vector_each": compile_loop(merged_vector.take_vectors, parallel, **parts, **names)}
    if not names["SMOOTH"]:
        cells = {
            "merge_cells": compile_loop(merge_cells, **names),
            "count": compile_loop(count, tally=compile_loop(tally, apart=False, **names), **names),
            "spans": compile_loop(spans, **names),
        }
        again = compile_loop(in_parts, one_by_one=one_by_one, **cells, **names)
        found["merged_words"] = compile_loop(
            merge, parallel, in_parts=again, beginnings=compile_loop(beginnings, **names), **cells, **names
        )
    return found


def all_chunks(
    weights: Floats,
    cells: Floats,
    sigma: np.float32,
    chunks: Integers,
    rows: Words,
    columns: Words,
    words: Words,
    numbers_: NDArray[np.int32],
    alone: int,
    base: np.uint64,
    first: Integer,
    counts: Integers,
) -> None:
    """Apply all that `drivers.draw` has returned to the weights: merged where that is faster.

    weights, cells, sigma: as for `one_by_one.coincide`. alone: slots from which on a vector is a chunk by itself, see
    `drivers.plan_chunks`. base, first: the key of merged noise, the counter of the first vector.
    counts: `UpdateCounts.table` with the slots of every vector; here is noted which were merged, and the fallbacks.
    """
    slots = counts[SLOTS]
    n = 0
    while n < len(chunks):
        start, stop, pulses = chunks[n, START], chunks[n, STOP], chunks[n, PULSES]
        first_word, after_word = chunks[n, FIRST_WORD], chunks[n, AFTER_WORD]
        after = n
        while (
            after < len(chunks)
            and chunks[after, STOP] - chunks[after, START] == 1
            and slots[chunks[after, START]] >= alone
        ):
            after += 1
        # A single one is not worth to turn rows into columns.
        if after > n + 1 or (SMOOTH and after > n):
            of_run = chunks[n:after]
            for chunk in of_run:
                if chunk[PULSES] > 0:
                    counts[MERGED, chunk[START]] = 1
            one_vector_each(weights, cells, sigma, of_run, rows, columns, words, numbers_, base, first, counts)
            n = after
            continue
        ids, plus, minus = lit(columns, first_word, after_word, weights.shape[1])
        dense = pulses > _WORTH_MERGING * weights.shape[0] * len(ids)
        if dense and SMOOTH == 0:
            counts[MERGED, start:stop] = 1
            counts[FALLBACKS, start] += merged_words(
                weights, cells, sigma, first_word, after_word, rows, ids, plus, minus, words,
                numbers_, base, first + start,
            )  # fmt: skip
        elif pulses > 0:
            coincide(weights, cells, sigma, first_word, after_word, rows, columns, words, numbers_)
        n += 1
