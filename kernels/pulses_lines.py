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

from rpusim.kernels import rng
from rpusim.kernels.compiled import Loop
from rpusim.kernels.rng import Purpose, nb_bits, nb_line_words, nb_step_words, nb_uniform
from rpusim.kernels.trains import UpdateCounts, UpdateParameters, not_finite, train_gains

# Injected by `compile_loop`; named here for the reader and for type checkers.
gains: Any = None

_ZERO, _ONE = np.uint32(0), np.uint32(1)
_LARGEST = np.float32(np.finfo(np.float32).max)


def _gains(x, d, strength, desired_bl, um, ublm, fixed_bl, grad_scale, slots, gain_d, gain_x):
    """Slots and gains of every pair; returns all slots, or -1 if x or -2 if d holds NaN or infinite numbers."""
    total = 0
    for b in range(x.shape[0]):
        x_max, x_bad = np.float32(0), 0
        for value in x[b]:
            x_max = max(x_max, abs(value))
            x_bad += not abs(value) <= _LARGEST
        d_max, d_bad = np.float32(0), 0
        for value in d[b]:
            d_max = max(d_max, abs(value))
            d_bad += not abs(value) <= _LARGEST
        if x_bad or d_bad:
            return -1 if x_bad else -2
        number, of_d, of_x = gains(strength, float(x_max), float(d_max), desired_bl, um, ublm, fixed_bl, grad_scale)
        slots[b], gain_d[b], gain_x[b] = number, np.float32(of_d), np.float32(of_x)
        total += number
    return total


def _chances(values, gain, step, stochastic, base, first, chances):
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


def _fire(values, chances, slots, offsets, base, first, positive, negative, tally, active, fired):
    """Random bits of one side; tally[slot] = positive and negative lines that fired, the others as in UpdateCounts."""
    lines = values.shape[1]
    minus, touched = np.empty(lines, np.uint32), np.empty(lines, np.uint32)
    positive[:], negative[:] = _ZERO, _ZERO
    for b in range(values.shape[0]):
        word_a, word_b = nb_step_words(base, first + b)
        chance, value = chances[b], values[b]
        for j in range(lines):
            minus[j] = _ONE if value[j] < 0 else _ZERO
            touched[j] = _ZERO
        number = np.int64(0)
        for k in range(slots[b]):
            slot = offsets[b] + k
            a, c = nb_line_words(word_a, word_b, 0, k)
            shift = np.uint32(slot & 31)
            plus_row, minus_row = positive[slot >> 5], negative[slot >> 5]
            both, below = _ZERO, _ZERO
            for j in range(lines):
                bit = _ONE if nb_uniform(nb_bits(a, c, j)) < chance[j] else _ZERO
                under = np.uint32(bit & minus[j])
                touched[j] = np.uint32(touched[j] | bit)
                plus_row[j] = np.uint32(plus_row[j] | np.uint32(np.uint32(bit ^ under) << shift))
                minus_row[j] = np.uint32(minus_row[j] | np.uint32(under << shift))
                both = np.uint32(both + bit)
                below = np.uint32(below + under)
            tally[slot, 0], tally[slot, 1] = np.int64(both) - np.int64(below), np.int64(below)
            number += np.int64(both)
        fired[b], active[b] = number, touched.sum()


def _meet(slots, offsets, rows, columns, flip, ups, downs):
    """Coincidences of each vector from the tallies of rows and columns."""
    for b in range(len(slots)):
        for k in range(offsets[b], offsets[b] + slots[b]):
            equal = rows[k, 0] * columns[k, 0] + rows[k, 1] * columns[k, 1]
            unequal = rows[k, 0] * columns[k, 1] + rows[k, 1] * columns[k, 0]
            ups[b] += equal if flip else unequal
            downs[b] += unequal if flip else equal


_GAINS, _CHANCES, _FIRE, _MEET = Loop(_gains, gains=train_gains), Loop(_chances), Loop(_fire), Loop(_meet)


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
            strength,
            parameters.desired_bl,
            parameters.update_management,
            parameters.update_bl_management,
            parameters.fixed_bl,
            float(parameters.um_grad_scale),
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


@dataclass(frozen=True)
class Trains:
    """The bits of some consecutive vectors; words (words, lines) as in equation 1.

    slots, offsets: per vector its number of slots and its first slot. total: slots in all. first: the update counter
    of the first vector.
    """

    slots: NDArray[np.int32]
    offsets: NDArray[np.int64]
    total: int
    first: int
    row_positive: NDArray[np.uint32]
    row_negative: NDArray[np.uint32]
    column_positive: NDArray[np.uint32]
    column_negative: NDArray[np.uint32]

    @staticmethod
    def draw(drive: Drive, part: slice, lines: tuple[int, ...], first: int, flip: bool, counts: UpdateCounts) -> Trains:
        """Draw the bits of the vectors ``part`` of ``drive``, and count into ``counts`` what they do.

        lines: names the drivers to the random numbers. first: the update counter of the first vector of the part.
        flip: the learning rate is negative.
        """
        slots = drive.slots[part]
        offsets = np.zeros(len(slots) + 1, np.int64)
        np.cumsum(slots, out=offsets[1:])
        total = int(offsets[-1])
        sides, tallies = [], []
        for values, chances, purpose, active, fired in (
            (drive.d, drive.chances_d, Purpose.ROW_PULSES, counts.active_rows, counts.row_pulses),
            (drive.x, drive.chances_x, Purpose.COLUMN_PULSES, counts.active_columns, counts.column_pulses),
        ):
            words = np.empty((2, (total + 31) // 32, values.shape[1]), np.uint32)
            tally = np.empty((total, 2), np.int64)
            key = np.uint64(rng.key(*lines, purpose))
            _FIRE(
                values[part],
                chances[part],
                slots,
                offsets,
                key,
                first,
                words[0],
                words[1],
                tally,
                active[part],
                fired[part],
            )
            sides += [words[0], words[1]]
            tallies.append(tally)
        _MEET(slots, offsets, *tallies, flip, counts.coincidences_up[part], counts.coincidences_down[part])
        return Trains(slots, offsets[:-1], total, first, *sides)
