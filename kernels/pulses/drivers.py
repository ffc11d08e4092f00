"""The drivers of an array in compiled loops: from the vectors of a mini-batch to packed trains of bits.

The slots of all vectors are numbered through; slot s is bit s mod 32 of word s // 32. Each side has two matrices of
words (words, lines), one for lines with positive and one for lines with negative values, so that

    down = positive row & positive column | negative row & negative column                        (1)
    up   = positive row & negative column | negative row & positive column

are the coincidences of a cell in 32 slots at a time, in their order.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from rpusim.kernels.base import rng
from rpusim.kernels.base.loops import Floats, Integers, Loop, Words, compile_loop, inlined
from rpusim.kernels.base.rng import Integer, Purpose, nb_bits, nb_line_words, nb_step_words, nb_uniform
from rpusim.kernels.pulses.counts import (
    ACTIVE_COLUMNS,
    ACTIVE_ROWS,
    COINCIDENCES_DOWN,
    COINCIDENCES_UP,
    COLUMN_PULSES,
    ROW_PULSES,
    SLOTS,
)
from rpusim.kernels.pulses.trains import UpdateParameters, not_finite, train_gains

# Compiled, to be called from the loops.
gains = inlined(train_gains)

# Columns of a table of chunks: first vector, vector after the last, first word, word after the last, pulses.
START, STOP, FIRST_WORD, AFTER_WORD, PULSES = range(5)

_ZERO, _ONE = np.uint32(0), np.uint32(1)
_MAGNITUDE, _INFINITY = np.uint32(0x7FFFFFFF), np.uint32(0x7F800000)


@inlined
def top(row: Floats) -> np.uint32:
    """Find the bits of the largest magnitude of a row. As integers they are in the order of the numbers, NaN on top."""
    bits, found = row.view(np.uint32), _ZERO
    for j in range(len(bits)):
        magnitude = np.uint32(bits[j] & _MAGNITUDE)
        found = magnitude if magnitude > found else found
    return np.uint32(found)


def find_gains(
    x: Floats,
    d: Floats,
    strength: NDArray[np.float64],
    desired_bl: int,
    um: bool,
    ublm: bool,
    fixed_bl: bool,
    grad_scale: float,
    slots: Integers,
    gain_d: Floats,
    gain_x: Floats,
) -> int:
    """Find slots and gains of every pair, by `train_gains`.

    x: (vectors, columns), d: (vectors, rows). strength: (vectors,), |learning rate| / granularity. slots, gain_d,
    gain_x: (vectors,), filled here; the others are update management and its kin, as `train_gains` takes them.
    Returns the slots of all pairs together, or -1 if x or -2 if d holds NaN or infinite numbers.
    """
    total = 0
    for b in range(x.shape[0]):
        x_bits, d_bits = np.uint32(top(x[b])), np.uint32(top(d[b]))
        if x_bits >= _INFINITY or d_bits >= _INFINITY:
            return -1 if x_bits >= _INFINITY else -2
        x_max, d_max = float(x_bits.view(np.float32)), float(d_bits.view(np.float32))
        number, of_d, of_x = gains(strength[b], x_max, d_max, desired_bl, um, ublm, fixed_bl, grad_scale)
        slots[b], gain_d[b], gain_x[b] = number, np.float32(of_d), np.float32(of_x)
        total += number
    return total


def find_chances(
    values: Floats, gain: Floats, step: np.float32, stochastic: bool, base: np.uint64, first: Integer, chances: Floats
) -> None:
    """Find the pulse probabilities of every line, rounded to the drivers' resolution, into ``chances``.

    values, chances: (vectors, lines). gain: (vectors,). step: of rounding, 0: none; by chance if ``stochastic``, with
    the key ``base`` and the counter ``first`` of the first vector.
    """
    half = np.float32(0.5)
    for b in range(values.shape[0]):
        row, given, scale = chances[b], values[b], gain[b]
        for j in range(len(row)):
            row[j] = scale * abs(given[j])
        if step > 0 and stochastic:
            word_a, word_b = nb_step_words(base, first + b)
            a, c = nb_line_words(word_a, word_b, 0, 0)
            for j in range(len(row)):
                row[j] = np.float32(np.rint(np.float32(row[j] / step + (nb_uniform(nb_bits(a, c, j)) - half))) * step)
        elif step > 0:
            for j in range(len(row)):
                row[j] = np.float32(np.rint(np.float32(row[j] / step)) * step)


def plan_chunks(slots: Integers, limit: int, alone: int) -> Integers:
    """Cut vectors into chunks that are sent at once, each beginning with a new word of bits.

    slots: of every vector. limit: most slots that the vectors of a chunk have together. alone: slots from which on a
    vector is a chunk by itself.
    Returns a row for each chunk with columns START to PULSES; the pulses are not counted yet.
    """
    chunks, number, start, word = np.zeros((len(slots), 5), np.int64), 0, 0, 0
    while start < len(slots):
        stop, total = start + 1, np.int64(slots[start])
        while slots[start] < alone and stop < len(slots) and slots[stop] < alone and total + slots[stop] <= limit:
            total += slots[stop]
            stop += 1
        chunks[number, START], chunks[number, STOP] = start, stop
        chunks[number, FIRST_WORD], chunks[number, AFTER_WORD] = word, word + (total + 31) // 32
        word, start, number = chunks[number, AFTER_WORD], stop, number + 1
    return chunks[:number]


def fire_once(
    row: Floats, gain: np.float32, a: np.uint32, c: np.uint32, place: Integer, plus_row: Words, minus_row: Words
) -> tuple[np.int64, np.int64]:
    """Draw the bits of a vector with a single slot into bit ``place`` of the words of one side.

    row: values of the lines. gain: of their probabilities. a, c: words of the random numbers. plus_row, minus_row:
    words of the lines with positive and with negative values.
    Returns how many positive and how many negative lines fired.
    """
    shift, both, below = np.uint32(place), _ZERO, _ZERO
    for j in range(len(row)):
        value = row[j]
        bit = _ONE if nb_uniform(nb_bits(a, c, j)) < gain * abs(value) else _ZERO
        under = np.uint32(bit & (_ONE if value < 0 else _ZERO))
        plus_row[j] = np.uint32(plus_row[j] | np.uint32(np.uint32(bit ^ under) << shift))
        minus_row[j] = np.uint32(minus_row[j] | np.uint32(under << shift))
        both = np.uint32(both + bit)
        below = np.uint32(below + under)
    return np.int64(both) - np.int64(below), np.int64(below)


def fire(
    values: Floats,
    gain: Floats,
    step: np.float32,
    stochastic: bool,
    slots: Integers,
    chunks: Integers,
    keys: NDArray[np.uint64],
    first: Integer,
    positive: Words,
    negative: Words,
    tally: Integers,
    active: Integers,
    fired: Integers,
) -> None:
    """Draw the random bits of one side of the array, rows or columns, and count them.

    values, gain, step, stochastic, first: as for `find_chances`. slots, chunks: as for `plan_chunks`. keys: of rounding
    and of firing.
    positive, negative: words (words, padded lines), filled here; padding never fires. It spares the compiled loops the
    slow remainder of a length that is no multiple of the machine's vectors.
    tally: (bits, 2), filled with how many positive and negative lines fired in each slot. active, fired: (vectors,),
    filled with the lines that fired at all and with all their pulses.
    """
    lines, padded = values.shape[1], positive.shape[1]
    minus, touched = np.zeros(padded, np.uint32), np.empty(padded, np.uint32)
    chance, chances = np.zeros(padded, np.float32), np.empty((1, lines), np.float32)
    for n in range(len(chunks)):
        slot = 32 * chunks[n, FIRST_WORD]
        for b in range(chunks[n, START], chunks[n, STOP]):
            if slots[b] == 0:
                continue
            word_a, word_b = nb_step_words(keys[1], first + b)
            if slots[b] == 1 and step <= 0:
                a, c = nb_line_words(word_a, word_b, 0, 0)
                if slot & 31 == 0:
                    positive[slot >> 5, :] = _ZERO
                    negative[slot >> 5, :] = _ZERO
                ones = fire_once(values[b], gain[b], a, c, slot & 31, positive[slot >> 5], negative[slot >> 5])
                tally[slot, 0], tally[slot, 1] = ones
                fired[b] = active[b] = ones[0] + ones[1]
                slot += 1
                continue
            find_chances(values[b : b + 1], gain[b : b + 1], step, stochastic, keys[0], first + b, chances)
            for j in range(lines):
                minus[j] = _ONE if values[b, j] < 0 else _ZERO
                chance[j] = chances[0, j]
            for j in range(padded):
                touched[j] = _ZERO
            number = np.int64(0)
            for k in range(slots[b]):
                a, c = nb_line_words(word_a, word_b, 0, k)
                shift = np.uint32(slot & 31)
                plus_row, minus_row = positive[slot >> 5], negative[slot >> 5]
                if shift == _ZERO:
                    for j in range(padded):
                        plus_row[j] = minus_row[j] = _ZERO
                both, below = _ZERO, _ZERO
                for j in range(padded):
                    bit = _ONE if nb_uniform(nb_bits(a, c, j)) < chance[j] else _ZERO
                    under = np.uint32(bit & minus[j])
                    touched[j] = np.uint32(touched[j] | bit)
                    plus_row[j] = np.uint32(plus_row[j] | np.uint32(np.uint32(bit ^ under) << shift))
                    minus_row[j] = np.uint32(minus_row[j] | np.uint32(under << shift))
                    both = np.uint32(both + bit)
                    below = np.uint32(below + under)
                tally[slot, 0], tally[slot, 1] = np.int64(both) - np.int64(below), np.int64(below)
                number += np.int64(both)
                slot += 1
            total = _ZERO
            for j in range(padded):
                total = np.uint32(total + touched[j])
            fired[b], active[b] = number, total


def draw(
    x: Floats,
    d: Floats,
    strength: NDArray[np.float64],
    rule: tuple[int, bool, bool, bool, float],
    step_d: np.float32,
    step_x: np.float32,
    sto_round: bool,
    keys: NDArray[np.uint64],
    first: Integer,
    flip: bool,
    limit: int,
    alone: int,
    counts: Integers,
) -> tuple[int, Integers, Words, Words, Words, NDArray[np.int32]]:
    """Draw all bits of a mini-batch, and count them.

    x, d, strength: as for `find_gains`. rule: `UpdateParameters.rule`. step_d, step_x, sto_round: rounding of the
    probabilities. keys: of rounding rows and columns, of firing rows and columns, of the noise of pulses. first: the
    counter of the first vector. flip: the learning rate is negative. limit, alone: as for `plan_chunks`.
    counts: `UpdateCounts.table`, whose rows for pulses are filled here.
    Returns all slots, or -1 if x or -2 if d holds NaN or infinite numbers; the chunks; words of rows and of columns (2,
    words, padded lines), those of positive and of negative lines, exchanged for the rows if ``flip``; and for every
    slot the random words of its vector (bits, 2) and its number in the vector (bits,).
    """
    vectors = len(x)
    slots, gain_d, gain_x = counts[SLOTS], np.empty(vectors, np.float32), np.empty(vectors, np.float32)
    desired_bl, um, ublm, fixed_bl, grad_scale = rule
    total = find_gains(x, d, strength, desired_bl, um, ublm, fixed_bl, grad_scale, slots, gain_d, gain_x)
    chunks = plan_chunks(slots, limit, alone)
    length = chunks[-1, AFTER_WORD] if total > 0 else 0
    bits = 32 * length
    rows = np.empty((2, length, (d.shape[1] + 15) // 16 * 16), np.uint32)
    columns = np.empty((2, length, (x.shape[1] + 15) // 16 * 16), np.uint32)
    words, numbers = np.empty((bits, 2), np.uint32), np.empty(bits, np.int32)
    if total > 0:
        row_keys, column_keys = keys[0::2], keys[1::2]
        row_tally, column_tally = np.zeros((bits, 2), np.int64), np.zeros((bits, 2), np.int64)
        plus, minus = (rows[1], rows[0]) if flip else (rows[0], rows[1])
        active, fired = counts[ACTIVE_ROWS], counts[ROW_PULSES]
        fire(d, gain_d, step_d, sto_round, slots, chunks, row_keys, first, plus, minus, row_tally, active, fired)
        plus, minus = columns[0], columns[1]
        active, fired = counts[ACTIVE_COLUMNS], counts[COLUMN_PULSES]
        fire(x, gain_x, step_x, sto_round, slots, chunks, column_keys, first, plus, minus, column_tally, active, fired)
        for n in range(len(chunks)):
            slot = 32 * chunks[n, FIRST_WORD]
            for b in range(chunks[n, START], chunks[n, STOP]):
                word_a, word_b = nb_step_words(keys[4], first + b)
                for k in range(slots[b]):
                    equal = row_tally[slot, 0] * column_tally[slot, 0] + row_tally[slot, 1] * column_tally[slot, 1]
                    unequal = row_tally[slot, 0] * column_tally[slot, 1] + row_tally[slot, 1] * column_tally[slot, 0]
                    counts[COINCIDENCES_UP, b] += equal if flip else unequal
                    counts[COINCIDENCES_DOWN, b] += unequal if flip else equal
                    words[slot, 0], words[slot, 1], numbers[slot] = word_a, word_b, k
                    chunks[n, PULSES] += equal + unequal
                    slot += 1
    return total, chunks, rows, columns, words, numbers


_GAINS, _CHANCES = Loop(find_gains), Loop(find_chances)
DRAW = Loop(
    draw,
    find_gains=find_gains,
    find_chances=find_chances,
    plan_chunks=plan_chunks,
    fire=compile_loop(fire, find_chances=find_chances, fire_once=fire_once),
)


@dataclass(frozen=True)
class Drive:
    """What the drivers know of a mini-batch before any bit is drawn.

    x: (vectors, columns), d: (vectors, rows), as given to the update. slots: (vectors,).
    chances_d: (vectors, rows), chances_x: (vectors, columns), probabilities of the lines, rounded; they may exceed 1.
    total: slots of all vectors together.
    """

    x: Floats
    d: Floats
    slots: Integers
    chances_d: Floats
    chances_x: Floats
    total: int

    @staticmethod
    def plan(
        x: Floats,
        d: Floats,
        strength: float,
        parameters: UpdateParameters,
        lines: tuple[int, ...],
        first: int,
    ) -> Drive:
        """Find slots and probabilities of all pairs.

        x, d: as the fields. strength: |learning rate| / granularity. lines: names the drivers to the random numbers.
        first: the counter of the first vector. InputError: x or d hold NaN or infinite numbers.
        """
        vectors = len(x)
        slots = np.empty(vectors, np.int64)
        gain_d, gain_x = np.empty(vectors, np.float32), np.empty(vectors, np.float32)
        total = _GAINS(x, d, np.full(vectors, strength), *parameters.rule, slots, gain_d, gain_x)
        if total < 0:
            raise not_finite("input x" if total == -1 else "error d")
        chances = []
        sides = (d, gain_d, Purpose.ROW_ROUNDING), (x, gain_x, Purpose.COLUMN_ROUNDING)
        for (values, gain, purpose), step in zip(sides, parameters.steps, strict=True):
            chance, key = np.empty(values.shape, np.float32), np.uint64(rng.key(*lines, purpose))
            if total:
                _CHANCES(values, gain, np.float32(step), parameters.sto_round, key, first, chance)
            chances.append(chance)
        return Drive(x, d, slots, chances[0], chances[1], total)
