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

from rpusim.kernels.base.loops import popcount
from rpusim.kernels.base.rng import nb_bits, nb_line_words, nb_normal, nb_step_words

# Typed as Any because its Python signature is not the one it is called with.
trailing_zeros: Any = numbers.trailing_zeros
# Injected by `compile_loop`; named here for the reader and for type checkers.
step: Any = None
read: Any = None
PARAMETERS = 0
ONLY_UP = 0

_ZERO, _ONE = np.uint32(0), np.uint32(1)
# A list entry is a column's index, with this bit set if the column's value is negative.
_NEGATIVE = np.int32(1 << 30)
_INDEX = np.int32((1 << 30) - 1)


def coincide(weights, cells, sigma, first_word, after_word, rows, columns, words, numbers_):
    """Apply the coincidences of some words to the weights; the rest as returned by `drivers.draw`."""
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
    for i in prange(weights.shape[0]):
        noise = np.zeros(width, np.float32)
        weight_row, cell_row = weights[i], cells[i]  # a cell: lower bound, upper bound, up and down parameters
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
                    cell = j * (2 + 2 * PARAMETERS)
                    of_step = read(cell_row, cell + (2 + PARAMETERS if down else 2))
                    size = np.float32(step(weight_row[j], noise[q], *of_step))
                    moved = weight_row[j] - size if down else weight_row[j] + size
                    moved = cell_row[cell] if moved < cell_row[cell] else moved
                    weight_row[j] = cell_row[cell + 1] if moved > cell_row[cell + 1] else moved


def all_chunks(weights, cells, sigma, chunks, rows, columns, words, numbers_):
    """Apply all that `drivers.draw` has returned."""
    for n in range(len(chunks)):
        if chunks[n, 4] > 0:
            coincide(weights, cells, sigma, chunks[n, 2], chunks[n, 3], rows, columns, words, numbers_)


def count(weights, cells, sigma, x, d, slots, chances_d, chances_x, mean, base, first, flip, counts):
    """Apply a fixed number of coincidences per cell, as `pulses._counted`; counts[b, row] = (up, down)."""
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
                cell = j * (2 + 2 * PARAMETERS)
                of_step = read(cells[i], cell + (2 + PARAMETERS if down else 2))
                weight = weights[i, j]
                for k in range(int(number)):
                    noise = np.float32(0)
                    if sigma > 0:
                        a, c = nb_line_words(word_a, word_b, i, k)
                        noise = sigma * nb_normal(nb_bits(a, c, j))
                    size = np.float32(step(weight, noise, *of_step))
                    moved = weight - size if down else weight + size
                    moved = cells[i, cell] if moved < cells[i, cell] else moved
                    weight = cells[i, cell + 1] if moved > cells[i, cell + 1] else moved
                weights[i, j] = weight
                counts[b, i, 1 if down else 0] += int(number)
