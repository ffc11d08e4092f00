"""What a mini-batch does to one array, in compiled loops: pulses, write noise, diffusion and decay."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from rpusim.kernels.base.loops import Floats, Integers
from rpusim.kernels.base.rng import Integer, nb_bits, nb_line_words, nb_normal, nb_step_words
from rpusim.kernels.devices.variation import BOUND_MAX, BOUND_MIN
from rpusim.kernels.pulses import counts
from rpusim.kernels.step import col
from rpusim.kernels.step.col import (
    ALONE,
    APPARENT,
    BEFORE,
    BL,
    BL_MANAGED,
    CELL_NUMBERS,
    CELLS,
    DECAY,
    DIFFUSION,
    DIFFUSION_KEY,
    EDGES,
    EDGES_NUMBER,
    FIRED,
    FIXED_BL,
    GOALS,
    GRAD_SCALE,
    GRANULARITY,
    KIND,
    LIMIT,
    MANAGED,
    PULSE_KEYS,
    REDRAW_KEY,
    REDRAWS,
    RESIDUE,
    RETENTION,
    ROUNDED,
    SEPARATE,
    SIGMA,
    STEP_D,
    STEP_X,
    STEPS,
    STORED,
    TAKEN,
    TARGET,
    UPDATES,
    WRITE_NOISE,
)
from rpusim.kernels.step.views import counts_at, flags_at, integers_at, matrix_at, numbers_at

# Injected by `compile_loop`; named here for the reader and for type checkers.
send_0: Any = None
send_1: Any = None
send_2: Any = None
redraw: Any = None
approach: Any = None
keep_within: Any = None
leak: Any = None
WITH_REDRAWS = 1  # see `needs`
descend: Any = None
largest: Any = None

_F = np.float32


def exact(weights: Floats, x: Floats, d: Floats, rate: float, table: Integers) -> None:
    """Learn exactly from the pairs x (vectors, columns), d (vectors, rows).

    table: `UpdateCounts.table`, filled here with the lines that took part.
    """
    descend(weights, x, d, _F(rate))
    for b in range(len(x)):
        _, of_x = largest(x[b])
        _, of_d = largest(d[b])
        if of_x > 0 and of_d > 0:
            table[counts.ACTIVE_COLUMNS, b], table[counts.ACTIVE_ROWS, b] = of_x, of_d


def pulse(
    array: Integers,
    numbers: NDArray[np.float64],
    keys: NDArray[np.uint64],
    x: Floats,
    d: Floats,
    rate: float,
    table: Integers,
) -> int:
    """Send the pairs x (vectors, columns), d (vectors, rows) to an array; returns what `pulses.compiled.send` does.

    table: `UpdateCounts.table`, filled here.
    """
    tall, wide = d.shape[1], x.shape[1]
    stored, cells = matrix_at(array[STORED], tall, wide), matrix_at(array[CELLS], tall, array[CELL_NUMBERS])
    rule = array[BL], array[MANAGED] != 0, array[BL_MANAGED] != 0, array[FIXED_BL] != 0, numbers[GRAD_SCALE]
    taken, before, fired = np.zeros((0, 0), np.int32), np.zeros((0, 0), np.float32), np.zeros(0, np.bool_)
    if array[TAKEN]:
        taken = counts_at(array[TAKEN], tall, wide)
    if array[BEFORE]:
        before, fired = matrix_at(array[BEFORE], tall, wide), flags_at(array[FIRED], tall)
    sigma, step_d, step_x = _F(numbers[SIGMA]), _F(numbers[STEP_D]), _F(numbers[STEP_X])
    strength, of_pulses = abs(rate) / numbers[GRANULARITY], keys[PULSE_KEYS:REDRAW_KEY]
    first, limit, alone, rounded = array[UPDATES], array[LIMIT], array[ALONE], array[ROUNDED] != 0
    if array[KIND] == 0:
        total = send_0(
            stored, cells, sigma, x, d, strength, rule, step_d, step_x, rounded, of_pulses, first, rate < 0, limit,
            alone, table, taken, before, fired,
        )  # fmt: skip
    elif array[KIND] == 1:
        total = send_1(
            stored, cells, sigma, x, d, strength, rule, step_d, step_x, rounded, of_pulses, first, rate < 0, limit,
            alone, table, taken, before, fired,
        )  # fmt: skip
    else:
        total = send_2(
            stored, cells, sigma, x, d, strength, rule, step_d, step_x, rounded, of_pulses, first, rate < 0, limit,
            alone, table, taken, before, fired,
        )  # fmt: skip
    array[UPDATES] += len(x)
    if WITH_REDRAWS and array[BEFORE]:
        apparent, noise = matrix_at(array[APPARENT], tall, wide), _F(numbers[WRITE_NOISE])
        redraw(apparent, stored, before, fired, False, noise, keys[REDRAW_KEY], array[REDRAWS])
        array[REDRAWS] += 1
    if array[SEPARATE]:
        for b in range(len(x)):
            above, below = False, False
            for value in x[b]:
                above |= value > 0
                below |= value < 0
            if above and below:
                table[counts.SLOTS, b] *= 2
                table[counts.ROW_PULSES, b] *= 2
    slots: int = total
    return slots


def rest(array: Integers, numbers: NDArray[np.float64], keys: NDArray[np.uint64], tall: Integer, wide: Integer) -> None:
    """Let the cells of an array diffuse and decay by one mini-batch, as `DeviceArray.end_mini_batch` does."""
    step = array[STEPS]
    array[STEPS] += 1
    if array[DIFFUSION] == 0 and array[DECAY] == 0:
        return
    weights, cells = matrix_at(array[STORED], tall, wide), matrix_at(array[CELLS], tall, array[CELL_NUMBERS])
    each = array[CELL_NUMBERS] // wide
    if array[DIFFUSION]:
        spread = matrix_at(array[DIFFUSION], tall, wide)
        word_a, word_b = nb_step_words(keys[DIFFUSION_KEY], step)
        for i in range(tall):
            a, c = nb_line_words(word_a, word_b, i, 0)
            for j in range(wide):
                moved = weights[i, j] + spread[i, j] * nb_normal(nb_bits(a, c, j))
                weights[i, j] = min(max(moved, cells[i, j * each + BOUND_MIN]), cells[i, j * each + BOUND_MAX])
    if array[DECAY]:
        number = tall * wide
        every, goals = numbers_at(array[STORED], number), numbers_at(array[TARGET], number * array[GOALS])
        approach(every, numbers_at(array[DECAY], number), goals)
        keep_within(
            every, numbers_at(array[CELLS], number * each), each, integers_at(array[EDGES], array[EDGES_NUMBER])
        )
    if WITH_REDRAWS and array[BEFORE]:
        apparent, none, noise = matrix_at(array[APPARENT], tall, wide), np.zeros(0, np.bool_), _F(numbers[WRITE_NOISE])
        redraw(apparent, weights, weights, none, True, noise, keys[REDRAW_KEY], array[REDRAWS])
        array[REDRAWS] += 1


def elapse(tables: col.Tables, seconds: float) -> None:
    """Let the cells of all arrays leak for so many seconds, as `rpusim.kernels.arrays.leakage` does."""
    for index in range(len(tables.tiles)):
        tile = tables.tiles[index]
        array, cells = tables.arrays[tile[col.FIRST_ARRAY]], tile[col.TALL] * tile[col.WIDE]
        if array[RETENTION]:
            stored, residue = numbers_at(array[STORED], cells), numbers_at(array[RESIDUE], cells)
            leak(stored, residue, numbers_at(array[RETENTION], cells), numbers_at(array[TARGET], cells), seconds)
