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
pulses one by one, in order, with the random numbers of `one_by_one`: bit for bit what the exact execution does. Where
many cells of a row fail, as near the bounds, all of the row do so side by side, which takes a tenth of the time. Long
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

from rpusim.kernels.base.loops import Floats, Integers, Words, compile_loop
from rpusim.kernels.base.rng import Integer, nb_line_words, nb_step_words
from rpusim.kernels.devices.base import PulsedDevice
from rpusim.kernels.devices.models import linear_step, soft_bounds_reference
from rpusim.kernels.devices.models.constant_step import constant_step
from rpusim.kernels.pulses import merged_cells, merged_counts, merged_vector
from rpusim.kernels.pulses.cell_numbers import chooser, lanes_of
from rpusim.kernels.pulses.counts import FALLBACKS, MERGED, SLOTS
from rpusim.kernels.pulses.drivers import AFTER_WORD, FIRST_WORD, PULSES, START, STOP
from rpusim.kernels.pulses.merged_vector import SMOOTH_STEPS

# Injected by `compile_loop`, see `cell_numbers`; named here for the reader and for type checkers.
lit: Any = None
beginnings: Any = None
spans: Any = None
count: Any = None
merge_cells: Any = None
in_parts: Any = None
coincide: Any = None
merged_words: Any = None
one_vector_each: Any = None
STRIDE = SMOOTH = 0

# Steps that are linear in the weight and in the noise.
LINEAR_STEPS: set[Callable[..., Any]] = {
    constant_step,
    linear_step.multiplicative_step,
    linear_step.additive_step,
    soft_bounds_reference.additive_step,
}

# Pulses per cell of the columns that fire from which to merge is faster than to go one by one; measured: 1.3 to 1.6.
_WORTH_MERGING = 1.5
# Rows that a thread takes at a time: memory is found once for them.
_ROWS = 16
_ZERO = np.uint32(0)


def covers(device: PulsedDevice) -> bool:
    """Whether pulses of this device can be merged at all."""
    return device.step in LINEAR_STEPS or device.step in SMOOTH_STEPS


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
    apart: NDArray[np.int32],
) -> np.int64:
    """Apply all coincidences of some words to the weights, and return how many cells fell back.

    weights, cells, sigma, first_word, after_word, rows, words, numbers_: as for `one_by_one.coincide`. ids, plus,
    minus: the columns, as returned by `lit`. base, first: the key of merged noise, the counter of these vectors.
    apart: (rows,), 1 is written where nothing was done, as too many cells fail: the pulses of these rows are left.
    """
    width = len(ids)
    all_lit = width == weights.shape[1]
    begins, mixed = beginnings(first_word, minus, numbers_)
    fallbacks = np.zeros(weights.shape[0], np.int32)
    for block in prange((weights.shape[0] + _ROWS - 1) // _ROWS):
        up, down, left_over = np.empty(width, np.int32), np.empty(width, np.int32), np.empty(width, np.uint32)
        turned, most = np.empty(width, np.int32), 32 * (after_word - first_word)
        place, above, below = np.empty(most, np.int64), np.empty(most, np.uint32), np.empty(most, np.uint32)
        for i in range(block * _ROWS, min(weights.shape[0], (block + 1) * _ROWS)):
            row_plus, row_minus = rows[0, first_word:after_word, i], rows[1, first_word:after_word, i]
            any_bit = _ZERO
            for word in range(len(row_plus)):
                any_bit = np.uint32(any_bit | row_plus[word] | row_minus[word])
            if any_bit == _ZERO:
                continue
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
            kept = weight_row.copy() if all_lit else weight_row[:0]
            failing = merge_cells(weight_row, cell_row, sigma, up, down, turned, ids, a, c, left_over)
            if failing > _ZERO:
                found = in_parts(
                    weight_row, cell_row, sigma, i, ids, left_over, first_word, row_plus, row_minus, plus, minus,
                    begins, mixed, words, numbers_, word_a, word_b,
                )  # fmt: skip
                fallbacks[i] = found if found >= 0 else np.int64(failing)
                apart[i] = 1 if found < 0 else 0
                if found < 0:
                    for j in range(len(kept)):
                        weight_row[j] = kept[j]
                    continue
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
    of_direction = compile_loop(
        merged_vector.of_direction, apart=False, counted=False, lanes=lanes, choose=choose, **names
    )
    train = compile_loop(
        merged_vector.take_train,
        apart=False,
        counted=False,
        decay=merged_vector.decay,
        of_direction=of_direction,
        **names,
    )
    one_by_one = compile_loop(merged_vector.one_after_the_other, apart=False, counted=False, choose=choose, **names)
    parts = {"fired_columns": merged_vector.fired_columns, "train": train, "one_by_one": one_by_one}
    found = {
        "lit": merged_counts.lit,
        "one_vector_each": compile_loop(merged_vector.take_vectors, parallel, **parts, **names),
    }
    if not names["SMOOTH"]:
        tally = compile_loop(merged_counts.tally, apart=False, **names)
        counting = {
            "count": compile_loop(merged_counts.count, tally=tally, **names),
            "spans": compile_loop(merged_counts.spans, **names),
        }
        of_cells = {"merge_cells": compile_loop(merged_cells.merge_cells, counted=False, **names), **counting}
        again = compile_loop(merged_cells.in_parts, one_by_one=one_by_one, **of_cells, **names)
        begin = compile_loop(merged_counts.beginnings, **names)
        found["merged_words"] = compile_loop(merge, parallel, in_parts=again, beginnings=begin, **of_cells, **names)
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
            apart = np.zeros(len(weights), np.int32)
            counts[FALLBACKS, start] += merged_words(
                weights, cells, sigma, first_word, after_word, rows, ids, plus, minus, words,
                numbers_, base, first + start, apart,
            )  # fmt: skip
            if apart.any():
                left = np.zeros_like(rows)
                for word in range(first_word, after_word):
                    for i in range(len(apart)):
                        left[0, word, i], left[1, word, i] = rows[0, word, i] * apart[i], rows[1, word, i] * apart[i]
                coincide(weights, cells, sigma, first_word, after_word, left, columns, words, numbers_)
        elif pulses > 0:
            coincide(weights, cells, sigma, first_word, after_word, rows, columns, words, numbers_)
        n += 1
