"""What each cell takes of a chunk of vectors: pulses up and down, and the order in which they come (see `merged`)."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from rpusim.kernels.base.loops import Integers, Words, popcount
from rpusim.kernels.base.rng import Integer

# Injected by `compile_loop`, see `cell_numbers` and below; named here for the reader and for type checkers.
PARAMETERS = ONLY_UP = 0

# Share of columns that fire below which only their cells are looked at.
_FEW_LIT = 0.7
_ZERO, _ONE = np.uint32(0), np.uint32(1)


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
