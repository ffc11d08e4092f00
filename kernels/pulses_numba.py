"""The pulsed update in compiled loops: the same pulses and the same numbers as `pulses.update`, fast on a CPU.

Cross-points do not influence each other within an update, so rows are the outer loop (and run in parallel), and for
each row all vectors act in order. The random bits of a line over the slots are packed into 32-bit words; from the words
each side gets, per slot, the list of lines that fired, which all rows share. A row then touches only cells that really
have a coincidence: first the noise for the whole list (this loop is vectorised), then the steps.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import Any

import numpy as np
import torch
from numba import njit, prange
from numba.cpython.unsafe import numbers
from numpy.typing import NDArray

from rpusim.kernels import rng
from rpusim.kernels.compiled import Loop
from rpusim.kernels.devices.base import Cells, PulsedDevice
from rpusim.kernels.pulses import PulseType, UpdateCounts, UpdateParameters, not_finite, train_gains
from rpusim.kernels.rng import Purpose, nb_bits, nb_line_words, nb_normal, nb_step_words, nb_uniform

# Typed as Any because its Python signature is not the one it is called with.
trailing_zeros: Any = numbers.trailing_zeros
# Injected by `compile_loop`; named here for the reader and for type checkers.
step: Any = None
read: Any = None
gains: Any = None
PARAMETERS = 0
ONLY_UP = 0

_ZERO, _ONE = np.uint32(0), np.uint32(1)
_LARGEST = np.float32(np.finfo(np.float32).max)
# A list entry is a line's index, with this bit set if the line's value is negative.
_NEGATIVE = np.int32(1 << 30)
_INDEX = np.int32((1 << 30) - 1)
# Lists of about this many entries are made at a time: 4 MB, so that they stay in the cache.
_CHUNK_ENTRIES = 1 << 20
# Work (cells x slots, about 1 ns each) above which a parallel launch pays even if another process has a core.
_PARALLEL_WORK = 16_000_000


def _gains(x, d, strength, desired_bl, um, ublm, slots, gain_d, gain_x):
    """Slots and gains of every pair; returns the most slots, or -1 if x or -2 if d holds NaN or infinite numbers."""
    most = 0
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
        number, of_d, of_x = gains(strength, float(x_max), float(d_max), desired_bl, um, ublm)
        slots[b], gain_d[b], gain_x[b] = number, np.float32(of_d), np.float32(of_x)
        most = max(most, number)
    return most


def _fire(values, gain, slots, base, first, words, entries, starts, signs, active, fired):
    """One side's random bits, and per vector and slot the list of lines that fired.

    words: scratch (words, lines). entries[b, starts[b, k] : starts[b, k + 1]] are the lines of slot k, in order;
    signs[b, k]: how many of them are positive, and negative. active, fired: lines that fired at all, pulses in total.
    """
    lines = values.shape[1]
    chance = np.empty(lines, np.float32)
    for b in range(values.shape[0]):
        used = (slots[b] + 31) // 32
        word_a, word_b = nb_step_words(base, first + b)
        for j in range(lines):
            chance[j] = gain[b] * abs(values[b, j])
        for word in range(used):
            words[word, :] = _ZERO
        for k in range(slots[b]):
            a, c = nb_line_words(word_a, word_b, 0, k)
            shift = np.uint32(k & 31)
            row = words[k >> 5]
            for j in range(lines):
                bit = _ONE if nb_uniform(nb_bits(a, c, j)) < chance[j] else _ZERO
                row[j] = np.uint32(row[j] | np.uint32(bit << shift))
        starts[b, : slots[b] + 1] = 0
        signs[b, : slots[b]] = 0
        for word in range(used):
            for j in range(lines):
                left = words[word, j]
                while left != _ZERO:
                    k = 32 * word + int(trailing_zeros(left))
                    starts[b, k + 1] += 1
                    signs[b, k, 1 if values[b, j] < 0 else 0] += 1
                    left = np.uint32(left & np.uint32(left - _ONE))
        for k in range(slots[b]):
            starts[b, k + 1] += starts[b, k]
        fired[b] = starts[b, slots[b]]
        active[b] = 0
        for j in range(lines):
            entry = np.int32(j) | _NEGATIVE if values[b, j] < 0 else np.int32(j)
            any_word = _ZERO
            for word in range(used):
                left = words[word, j]
                any_word = np.uint32(any_word | left)
                while left != _ZERO:
                    k = 32 * word + int(trailing_zeros(left))
                    entries[b, starts[b, k]] = entry
                    starts[b, k] += 1
                    left = np.uint32(left & np.uint32(left - _ONE))
            active[b] += any_word != _ZERO
        for k in range(slots[b], 0, -1):  # placing moved each start to the next slot's
            starts[b, k] = starts[b, k - 1]
        starts[b, 0] = 0


def _meet(slots, row_entries, row_starts, row_signs, signs, flip, marks, ups, downs):
    """Coincidences of each vector; and marks[row, b, :], a row's bits over the slots, to be read row by row."""
    for b in range(len(slots)):
        for k in range(slots[b]):
            equal = row_signs[b, k, 0] * signs[b, k, 0] + row_signs[b, k, 1] * signs[b, k, 1]
            unequal = row_signs[b, k, 0] * signs[b, k, 1] + row_signs[b, k, 1] * signs[b, k, 0]
            ups[b] += equal if flip else unequal
            downs[b] += unequal if flip else equal
            for q in range(row_starts[b, k], row_starts[b, k + 1]):
                row = row_entries[b, q] & _INDEX
                marks[row, b, k >> 5] = np.uint32(marks[row, b, k >> 5] | np.uint32(_ONE << np.uint32(k & 31)))


def _coincide(weights, cells, sigma, d, marks, entries, starts, base, first, flip):
    """Apply the coincidences to the weights: rows in parallel, vectors and slots in order."""
    for i in prange(weights.shape[0]):
        noise = np.zeros(weights.shape[1], np.float32)
        weight_row, cell_row = weights[i], cells[i]  # a cell: lower bound, upper bound, up and down parameters
        for b in range(d.shape[0]):
            down_sign = _NEGATIVE if (d[b, i] < 0) != flip else np.int32(0)
            word_a, word_b = np.uint32(0), np.uint32(0)
            for word in range(marks.shape[2]):
                left = marks[i, b, word]
                if left != _ZERO and sigma > 0:
                    word_a, word_b = nb_step_words(base, first + b)
                while left != _ZERO:
                    k = 32 * word + int(trailing_zeros(left))
                    left = np.uint32(left & np.uint32(left - _ONE))
                    hits = entries[b, starts[b, k] : starts[b, k + 1]]
                    if sigma > 0:
                        a, c = nb_line_words(word_a, word_b, i, k)
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


def _count(weights, cells, sigma, x, d, slots, gain_d, gain_x, mean, base, first, flip, counts):
    """Apply a fixed number of coincidences per cell, as `pulses._counted`; counts[b, row] = (up, down)."""
    for i in prange(weights.shape[0]):
        for b in range(x.shape[0]):
            if slots[b] == 0 or d[b, i] == 0:
                continue
            bl = np.float32(slots[b])
            chance_d = gain_d[b] * abs(d[b, i])
            line_d = min(np.float32(np.rint(chance_d * bl)), bl) / bl
            chance_d = min(chance_d, np.float32(1))
            word_a, word_b = nb_step_words(base, first + b)
            for j in range(x.shape[1]):
                chance_x = gain_x[b] * abs(x[b, j])
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


_GAINS, _FIRE, _MEET = Loop(_gains, gains=train_gains), Loop(_fire), Loop(_meet)


@cache
def reader(number: int) -> Any:
    """A compiled function that reads ``number`` consecutive values as a tuple: (values, at) -> (values[at], ...)."""
    if number == 0:
        return njit(lambda values, at: ())
    others = reader(number - 1)
    return njit(lambda values, at: (values[at], *others(values, at + 1)))


@cache
def _of_device(template: Callable[..., Any], step: Callable[..., Any], parameters: int, only_up: bool = False) -> Loop:
    names = {"step": step, "read": reader(parameters), "PARAMETERS": parameters}
    return Loop(template, _PARALLEL_WORK, **names, **({"ONLY_UP": 1} if only_up else {}))


def update(
    weights: torch.Tensor,
    cells: Cells,
    device: PulsedDevice,
    x: torch.Tensor,
    d: torch.Tensor,
    learning_rate: float,
    parameters: UpdateParameters,
    stream: tuple[int, ...],
    first: int,
    lines: tuple[int, ...] | None = None,
    only_up: bool = False,
) -> UpdateCounts:
    """As `pulses.update`: apply the pairs in order to ``weights``, in place; contiguous float32 tensors on the CPU."""
    w, xs, ds = weights.numpy(), x.numpy(), d.numpy()
    cell = cells.pulse.numpy().reshape(len(w), -1)
    vectors, (rows, columns) = len(xs), w.shape
    slots = np.empty(vectors, np.int32)
    gain_d, gain_x = np.empty(vectors, np.float32), np.empty(vectors, np.float32)
    most = _GAINS(
        xs,
        ds,
        abs(learning_rate) / device.granularity,
        parameters.desired_bl,
        parameters.update_management,
        parameters.update_bl_management,
        slots,
        gain_d,
        gain_x,
    )
    if most < 0:
        raise not_finite("input x" if most == -1 else "error d")
    counts = UpdateCounts.zeros(vectors)
    counts.slots[:] = slots
    if most == 0:
        return counts
    step_parameters = (cells.pulse.shape[2] - 2) // 2
    sigma, flip = np.float32(device.dw_min_std), learning_rate < 0
    noise_key = np.uint64(rng.key(*stream, Purpose.PULSE_NOISE))
    if parameters.pulse_type is PulseType.NONE_WITH_DEVICE:
        return _floating_point(weights, cells, x, d, learning_rate, only_up, counts)
    one_way = (True,) if only_up else ()
    if parameters.pulse_type is not PulseType.STOCHASTIC_COMPRESSED:
        mean = parameters.pulse_type is PulseType.MEAN_COUNT
        tally = np.zeros((vectors, rows, 2), np.int64)
        count = _of_device(_count, device.step, step_parameters, *one_way)
        work = rows * columns * vectors
        count(w, cell, sigma, xs, ds, slots, gain_d, gain_x, mean, noise_key, first, flip, tally, work=work)
        counts.coincidences_up[:], counts.coincidences_down[:] = tally.sum(1).T
        _line_pulses(xs, slots, gain_x, counts.active_columns, counts.column_pulses)
        _line_pulses(ds, slots, gain_d, counts.active_rows, counts.row_pulses)
        return counts

    chunk = max(1, _CHUNK_ENTRIES // (most * max(rows, columns)))
    of_lines = lines or stream
    row_key, column_key = (np.uint64(rng.key(*of_lines, p)) for p in (Purpose.ROW_PULSES, Purpose.COLUMN_PULSES))
    coincide = _of_device(_coincide, device.step, step_parameters, *one_way)
    for start in range(0, vectors, chunk):
        part = slice(start, min(start + chunk, vectors))
        used, size = slots[part], part.stop - start
        words = np.empty(((most + 31) // 32, max(rows, columns)), np.uint32)
        lists = []
        for values, gain, base, active, fired in (
            (ds, gain_d, row_key, counts.active_rows, counts.row_pulses),
            (xs, gain_x, column_key, counts.active_columns, counts.column_pulses),
        ):
            entries = np.empty((size, most * values.shape[1]), np.int32)
            starts, signs = np.empty((size, most + 1), np.int32), np.empty((size, most, 2), np.int64)
            _FIRE(
                values[part],
                gain[part],
                used,
                base,
                first + start,
                words,
                entries,
                starts,
                signs,
                active[part],
                fired[part],
            )
            lists.append((entries, starts, signs))
        (row_entries, row_starts, row_signs), (entries, starts, signs) = lists
        marks = np.zeros((rows, size, len(words)), np.uint32)
        ups, downs = counts.coincidences_up[part], counts.coincidences_down[part]
        _MEET(used, row_entries, row_starts, row_signs, signs, flip, marks, ups, downs)
        work = size * most * rows * columns
        coincide(w, cell, sigma, ds[part], marks, entries, starts, noise_key, first + start, flip, work=work)
    if only_up:
        counts.coincidences_down[:] = 0
    return counts


def _floating_point(
    weights: torch.Tensor,
    cells: Cells,
    x: torch.Tensor,
    d: torch.Tensor,
    learning_rate: float,
    only_up: bool,
    counts: UpdateCounts,
) -> UpdateCounts:
    """Pulse type NONE_WITH_DEVICE: exact products, clipped after every vector."""
    busy = counts.slots > 0
    for vector in np.flatnonzero(busy):
        change = d[vector][:, None] * (x[vector] * learning_rate)
        weights.copy_(cells.clip(weights - (change.clamp(max=0.0) if only_up else change)))
    counts.slots[:] = 0
    counts.active_rows[busy] = np.count_nonzero(d.numpy()[busy], axis=1)
    counts.active_columns[busy] = np.count_nonzero(x.numpy()[busy], axis=1)
    return counts


def _line_pulses(
    values: NDArray[np.float32],
    slots: NDArray[np.int32],
    gain: NDArray[np.float32],
    active: NDArray[np.int32],
    fired: NDArray[np.int32],
) -> None:
    """Lines that take part and their pulses, where trains are counted and not drawn."""
    bl = slots[:, None].astype(np.float32)
    pulses = np.minimum(np.rint(np.abs(values) * gain[:, None] * bl), bl)
    active[:] = (pulses > 0).sum(1)
    fired[:] = pulses.sum(1)
