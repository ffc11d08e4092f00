"""Pulses one by one in compiled loops: rows in parallel, and for each row all vectors and slots in order.

Cross-points do not influence each other within an update, so rows are the outer loop. All rows share, per slot, the
list of columns that fired; a row then touches only cells that really have a coincidence: first the noise for the whole
list (this loop is vectorised), then the steps.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import prange
from numba.cpython.unsafe import numbers
from numpy.typing import NDArray

from rpusim.kernels.base.loops import Floats, Integers, Words, popcount
from rpusim.kernels.base.rng import Integer, nb_bits, nb_line_words, nb_normal, nb_step_words
from rpusim.kernels.devices.variation import BOUND_MAX, BOUND_MIN, UP
from rpusim.kernels.pulses.drivers import AFTER_WORD, FIRST_WORD, PULSES

# The place of a word's lowest one. Typed as Any because its Python signature is not the one it is called with.
trailing_zeros: Any = numbers.trailing_zeros
# Injected by `compile_loop`, see `cell_numbers`; named here for the reader and for type checkers.
step: Any = None
read: Any = None
DOWN = STRIDE = ONLY_UP = 0

_ZERO, _ONE, _0 = np.uint32(0), np.uint32(1), np.float32(0)
# Rows that a thread takes at a time.
_ROWS = 16
# A list entry is a column's index, with this bit set if the column's value is negative.
_NEGATIVE = np.int32(1 << 30)
_INDEX = np.int32((1 << 30) - 1)


def coincide(
    weights: Floats,
    cells: Floats,
    sigma: np.float32,
    first_word: Integer,
    after_word: Integer,
    rows: Words,
    columns: Words,
    words: Words,
    numbers_: NDArray[np.int32],
) -> None:
    """Apply the coincidences of some words of bits to the weights, in place and in order.

    weights: (rows, columns). cells: their numbers, `cell_numbers.rows_of`. sigma: noise of one pulse, relative to the
    mean step. first_word, after_word: which words. rows, columns, words, numbers_: as returned by `drivers.draw`.
    """
    width = weights.shape[1]
    ones = 0
    for word in range(first_word, after_word):
        for j in range(width):
            ones += popcount(columns[0, word, j]) + popcount(columns[1, word, j])
    # entries[starts[s] : starts[s + 1]] are the columns that fired in slot s of these words, in order.
    entries, starts = np.empty(ones + 1, np.int32), np.empty(32 * (after_word - first_word) + 1, np.int64)
    at = np.int32(0)
    for slot in range(len(starts) - 1):
        shift = np.uint32(slot & 31)
        plus, minus = columns[0, first_word + (slot >> 5)], columns[1, first_word + (slot >> 5)]
        starts[slot] = at
        for j in range(width):
            under = np.int32(np.uint32(minus[j] >> shift) & _ONE)
            entries[at] = np.int32(j) | np.int32(under << np.int32(30))
            at += np.int32(np.int32(np.uint32(plus[j] >> shift) & _ONE) | under)
    starts[-1] = at
    longest = 0
    for slot in range(len(starts) - 1):
        longest = max(longest, starts[slot + 1] - starts[slot])
    for block in prange((weights.shape[0] + _ROWS - 1) // _ROWS):
        noise = np.empty(longest, np.float32)  # once for some rows: to find memory takes as long as a few pulses
        for q in range(0 if sigma > 0 else longest):
            noise[q] = _0
        for i in range(block * _ROWS, min(weights.shape[0], (block + 1) * _ROWS)):
            weight_row, cell_row = weights[i], cells[i]
            for word in range(first_word, after_word):
                minus = rows[1, word, i]
                left = np.uint32(rows[0, word, i] | minus)
                while left != _ZERO:
                    shift = trailing_zeros(left)
                    slot = 32 * word + int(shift)
                    left = np.uint32(left & np.uint32(left - _ONE))
                    down_sign = _NEGATIVE if np.uint32(minus >> np.uint32(shift)) & _ONE != _ZERO else np.int32(0)
                    here = slot - 32 * first_word
                    hits = entries[starts[here] : starts[here + 1]]
                    if sigma > 0:
                        a, c = nb_line_words(words[slot, 0], words[slot, 1], i, numbers_[slot])
                        for q in range(len(hits)):
                            noise[q] = sigma * nb_normal(nb_bits(a, c, hits[q] & _INDEX))
                    for q in range(len(hits)):
                        j = hits[q] & _INDEX
                        down = (hits[q] & _NEGATIVE) == down_sign
                        if ONLY_UP and down:
                            continue
                        cell = j * STRIDE
                        lowest, highest = cell_row[cell + BOUND_MIN], cell_row[cell + BOUND_MAX]
                        of_step = read(cell_row, cell + (DOWN if down else UP))
                        size = np.float32(step(weight_row[j], noise[q], *of_step))
                        moved = weight_row[j] - size if down else weight_row[j] + size
                        moved = lowest if moved < lowest else moved
                        weight_row[j] = highest if moved > highest else moved


def all_chunks(
    weights: Floats,
    cells: Floats,
    sigma: np.float32,
    chunks: Integers,
    rows: Words,
    columns: Words,
    words: Words,
    numbers_: NDArray[np.int32],
) -> None:
    """Apply all that `drivers.draw` has returned to the weights; arguments as for `coincide`."""
    for n in range(len(chunks)):
        if chunks[n, PULSES] > 0:
            first_word, after_word = chunks[n, FIRST_WORD], chunks[n, AFTER_WORD]
            coincide(weights, cells, sigma, first_word, after_word, rows, columns, words, numbers_)


def count(
    weights: Floats,
    cells: Floats,
    sigma: np.float32,
    x: Floats,
    d: Floats,
    slots: Integers,
    chances_d: Floats,
    chances_x: Floats,
    mean: bool,
    base: np.uint64,
    first: Integer,
    flip: bool,
    counts: Integers,
) -> None:
    """Apply a fixed number of coincidences per cell, as `specification._counted`.

    weights, cells, sigma: as for `coincide`. x, d, slots, chances_d, chances_x: as in `drivers.Drive`. mean: the pulse
    type is mean count. base, first: key of the noise, counter of the first vector. flip: the learning rate is negative.
    counts: (vectors, rows, 2), to which the pulses up and down of every row are added.
    """
    for i in prange(weights.shape[0]):
        for b in range(x.shape[0]):
            if slots[b] == 0 or d[b, i] == 0:
                continue
            bl = np.float32(slots[b])
            chance_d = chances_d[b, i]
            line_d = min(np.float32(np.rint(chance_d * bl)), bl) / bl
            chance_d = min(chance_d, np.float32(1))
            word_a, word_b = nb_step_words(base, first + b)
            for j in range(x.shape[1]):
                chance_x = chances_x[b, j]
                if mean:
                    number = np.rint(line_d * min(np.float32(np.rint(chance_x * bl)), bl))
                else:
                    number = np.rint(np.float32(chance_d * min(chance_x, np.float32(1))) * bl)
                down = ((d[b, i] < 0) == (x[b, j] < 0)) != flip
                if ONLY_UP and down:
                    continue
                cell = j * STRIDE
                lowest, highest = cells[i, cell + BOUND_MIN], cells[i, cell + BOUND_MAX]
                of_step = read(cells[i], cell + (DOWN if down else UP))
                weight = weights[i, j]
                for k in range(int(number)):
                    noise = np.float32(0)
                    if sigma > 0:
                        a, c = nb_line_words(word_a, word_b, i, k)
                        noise = sigma * nb_normal(nb_bits(a, c, j))
                    size = np.float32(step(weight, noise, *of_step))
                    moved = weight - size if down else weight + size
                    moved = lowest if moved < lowest else moved
                    weight = highest if moved > highest else moved
                weights[i, j] = weight
                counts[b, i, 1 if down else 0] += int(number)
