"""Many pulses of a cell as one step: equations 1 to 4 of `merged`, their conditions, and what to do if these fail."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from rpusim.kernels.base.loops import Floats, Words
from rpusim.kernels.base.rng import Integer, nb_bits, nb_line_words, nb_normal
from rpusim.kernels.devices.variation import BOUND_MAX, BOUND_MIN, UP
from rpusim.kernels.pulses.merged_vector import SIGMAS, leaning, room

# Injected by `compile_loop`, see `cell_numbers`; named here for the reader and for type checkers.
step: Any = None
read: Any = None
spans: Any = None
count: Any = None
one_by_one: Any = None
PARAMETERS = DOWN = STRIDE = 0

# Words of the parts in which cells that fail are merged again, if a chunk has more than twice as many.
PART = 2
# Share of the cells of a row above which it is faster to send all of its pulses one by one, side by side; measured.
MOST_FAILING = 0.06
# Limits of the conditions, see `merged`.
SLOPE, ORDER, SHAPE = 0.1, 0.125, 0.01

_F = np.float32
_ZERO, _ONE = np.uint32(0), np.uint32(1)
_0, _1, _2, _HALF, _THIRD, _SIXTH, _24TH = _F(0), _F(1), _F(2), _F(0.5), _F(1 / 3), _F(1 / 6), _F(1 / 24)
_SIGMAS, _SLOPE, _ORDER, _SHAPE = _F(SIGMAS), _F(SLOPE), _F(ORDER), _F(SHAPE)


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
    Returns how often a cell took a part of its pulses one by one; -1, and leaves everything as it was, if so many cells
    would have to that it is faster to send all pulses of the row one by one.
    """
    which, failed = np.flatnonzero(left_over), np.int64(0)
    number, most = len(which), MOST_FAILING * len(ids)
    weight, cell, failing = np.empty(number, np.float32), np.empty(number * STRIDE, np.float32), left_over[which]
    for q in range(number):
        weight[q] = weight_row[which[q]]
        for k in range(STRIDE):
            cell[q * STRIDE + k] = cell_row[which[q] * STRIDE + k]
    up, down, columns = np.empty(number, np.int32), np.empty(number, np.int32), ids[which]
    turned = np.empty(number, np.int32)
    size = PART if len(plus) > 2 * PART else len(plus)
    longest, (is_down, word_a_, word_b_, in_vector, noise) = 32 * size, room(size)
    place, of_plus, of_minus = np.empty(longest, np.int64), np.empty(longest, np.uint32), np.empty(longest, np.uint32)
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
        if start == 0 and failed > most:  # before anything is written; what holds for one part mostly holds for all
            return np.int64(-1)
        for q in range(number):
            if failing[q] != _ZERO:
                weight[q] = one_by_one(
                    weight[q], cell, q * STRIDE, sigma, i, columns[q], first_word + start, above, below, high, low, q,
                    words, numbers_, is_down, word_a_, word_b_, in_vector, noise,
                )  # fmt: skip
    for q in range(number):
        weight_row[which[q]] = weight[q]
    return failed
