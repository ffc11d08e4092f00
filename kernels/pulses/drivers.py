"""The drivers of an array in compiled loops: from the vectors of a mini-batch to packed trains of bits.

The slots of all vectors are numbered through; slot s is bit s mod 32 of word s // 32. Each side has two matrices of
words (words, lines), one for lines with positive and one for lines with negative values, so that

    down = positive row & positive column | negative row & negative column                        (1)
    up   = positive row & negative column | negative row & positive column

are the coincidences of a cell in 32 slots at a time, in their order.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rpusim.kernels.base import rng
from rpusim.kernels.base.loops import Loop, compile_loop, inlined
from rpusim.kernels.base.rng import Purpose, nb_bits, nb_line_words, nb_step_words, nb_uniform
from rpusim.kernels.pulses import trains
from rpusim.kernels.pulses.trains import UpdateParameters, not_finite, train_gains

# Compiled, to be called from the loops.
gains: Any = inlined(train_gains)

_ZERO, _ONE = np.uint32(0), np.uint32(1)
_MAGNITUDE, _INFINITY = np.uint32(0x7FFFFFFF), np.uint32(0x7F800000)


@inlined
def top(row):
    """The bits of the largest magnitude of a row. As integers they are in the order of the numbers, NaN on top."""
    bits, found = row.view(np.uint32), _ZERO
    for j in range(len(bits)):
        magnitude = np.uint32(bits[j] & _MAGNITUDE)
        found = magnitude if magnitude > found else found
    return np.uint32(found)


def find_gains(x, d, strength, desired_bl, um, ublm, fixed_bl, grad_scale, slots, gain_d, gain_x):
    """Slots and gains of every pair; returns all slots, or -1 if x or -2 if d holds NaN or infinite numbers.

    strength: |learning rate| / granularity of every pair.
    """
    total = 0
    for b in range(x.shape[0]):
        x_max, d_max = np.uint32(top(x[b])), np.uint32(top(d[b]))
        if x_max >= _INFINITY or d_max >= _INFINITY:
            return -1 if x_max >= _INFINITY else -2
        x_max, d_max = np.uint32(x_max).view(np.float32), np.uint32(d_max).view(np.float32)
        number, of_d, of_x = gains(strength[b], float(x_max), float(d_max), desired_bl, um, ublm, fixed_bl, grad_scale)
        slots[b], gain_d[b], gain_x[b] = number, np.float32(of_d), np.float32(of_x)
        total += number
    return total


def find_chances(values, gain, step, stochastic, base, first, chances):
    """Pulse probabilities of every line, rounded to the drivers' resolution."""
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


def plan_chunks(slots, limit, alone):
    """Consecutive vectors that have at most ``limit`` slots together; those that have at least ``alone``, each alone.

    Returns rows of (first vector, vector after the last, first word, word after the last); words start at bit 0.
    """
    chunks, number, start, word = np.empty((len(slots), 4), np.int64), 0, 0, 0
    while start < len(slots):
        stop, total = start + 1, np.int64(slots[start])
        while slots[start] < alone and stop < len(slots) and slots[stop] < alone and total + slots[stop] <= limit:
            total += slots[stop]
            stop += 1
        chunks[number, 0], chunks[number, 1] = start, stop
        chunks[number, 2], chunks[number, 3] = word, word + (total + 31) // 32
        word, start, number = chunks[number, 3], stop, number + 1
    return chunks[:number]


def fire_once(row, gain, a, c, place, plus_row, minus_row):
    """Bits of a vector with a single slot, bit ``place`` of the words; how many positive, negative lines fired."""
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


def fire(values, gain, step, stochastic, slots, chunks, keys, first, positive, negative, tally, active, fired):
    """Random bits of one side; tally[slot] = positive and negative lines that fired, the others as in UpdateCounts.

    positive, negative: words (words, padded lines), filled here; padding never fires. It spares the compiled loops the
    slow remainder of a length that is no multiple of the machine's vectors. keys: of rounding and of firing.
    """
    lines, padded = values.shape[1], positive.shape[1]
    minus, touched = np.zeros(padded, np.uint32), np.empty(padded, np.uint32)
    chance, chances = np.zeros(padded, np.float32), np.empty((1, lines), np.float32)
    for n in range(len(chunks)):
        slot = 32 * chunks[n, 2]
        for b in range(chunks[n, 0], chunks[n, 1]):
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


def draw(x, d, strength, rule, step_d, step_x, sto_round, keys, first, flip, limit, alone, wide, narrow):
    """All bits of a mini-batch, counted into the rows of `UpdateCounts`.

    strength: as in `find_gains`. rule: what `train_gains` takes after the maxima. keys: of rounding rows and
    columns, of firing rows and columns, of the noise of pulses. Returns (-1 if x or -2 if d holds NaN or infinite
    numbers, else all slots; chunks with their number of pulses as a fifth column; words of rows and of columns (2,
    words, padded lines), positive and negative lines, exchanged for the rows if ``flip``; per slot the random words
    of its vector, its number in the vector).
    """
    vectors = len(x)
    slots, gain_d, gain_x = narrow[0], np.empty(vectors, np.float32), np.empty(vectors, np.float32)
    desired_bl, um, ublm, fixed_bl, grad_scale = rule
    total = find_gains(x, d, strength, desired_bl, um, ublm, fixed_bl, grad_scale, slots, gain_d, gain_x)
    chunks = plan_chunks(slots, limit, alone)
    length = chunks[-1, 3] if total > 0 else 0
    bits = 32 * length
    rows = np.empty((2, length, (d.shape[1] + 15) // 16 * 16), np.uint32)
    columns = np.empty((2, length, (x.shape[1] + 15) // 16 * 16), np.uint32)
    words, numbers, table = (
        np.empty((bits, 2), np.uint32),
        np.empty(bits, np.int32),
        np.zeros((len(chunks), 5), np.int64),
    )
    if total > 0:
        row_keys, column_keys = keys[0::2], keys[1::2]
        row_tally, column_tally = np.zeros((bits, 2), np.int64), np.zeros((bits, 2), np.int64)
        plus, minus = (rows[1], rows[0]) if flip else (rows[0], rows[1])
        fire(d, gain_d, step_d, sto_round, slots, chunks, row_keys, first, plus, minus, row_tally, narrow[1], narrow[3])
        fire(
            x,
            gain_x,
            step_x,
            sto_round,
            slots,
            chunks,
            column_keys,
            first,
            columns[0],
            columns[1],
            column_tally,
            narrow[2],
            narrow[4],
        )
        for n in range(len(chunks)):
            table[n, :4] = chunks[n]
            slot = 32 * chunks[n, 2]
            for b in range(chunks[n, 0], chunks[n, 1]):
                word_a, word_b = nb_step_words(keys[4], first + b)
                for k in range(slots[b]):
                    equal = row_tally[slot, 0] * column_tally[slot, 0] + row_tally[slot, 1] * column_tally[slot, 1]
                    unequal = row_tally[slot, 0] * column_tally[slot, 1] + row_tally[slot, 1] * column_tally[slot, 0]
                    wide[0, b] += equal if flip else unequal
                    wide[1, b] += unequal if flip else equal
                    words[slot, 0], words[slot, 1], numbers[slot] = word_a, word_b, k
                    table[n, 4] += equal + unequal
                    slot += 1
    return total, table, rows, columns, words, numbers


_GAINS, _CHANCES = Loop(find_gains, sources=(trains.__file__,)), Loop(find_chances)
DRAW = Loop(
    draw,
    sources=(trains.__file__,),
    find_gains=find_gains,
    find_chances=find_chances,
    plan_chunks=plan_chunks,
    fire=compile_loop(fire, find_chances=find_chances, fire_once=fire_once),
)


@dataclass(frozen=True)
class Drive:
    """What the drivers know of a mini-batch before any bit is drawn: per vector slots, per line probabilities.

    chances_d (vectors, rows), chances_x (vectors, columns): rounded, may exceed 1. x, d: as given to the update.
    """

    x: NDArray[np.float32]
    d: NDArray[np.float32]
    slots: NDArray[np.int32]
    chances_d: NDArray[np.float32]
    chances_x: NDArray[np.float32]
    total: int

    @staticmethod
    def plan(
        x: NDArray[np.float32],
        d: NDArray[np.float32],
        strength: float,
        parameters: UpdateParameters,
        lines: tuple[int, ...],
        first: int,
    ) -> Drive:
        """Gains and probabilities of all pairs; InputError if x or d hold NaN or infinite numbers."""
        vectors = len(x)
        slots = np.empty(vectors, np.int32)
        gain_d, gain_x = np.empty(vectors, np.float32), np.empty(vectors, np.float32)
        total = _GAINS(
            x,
            d,
            np.full(vectors, strength),
            *parameters.rule,
            slots,
            gain_d,
            gain_x,
        )
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
