"""Pulses one by one in kernels: a program for each tile of cells, which goes over all vectors and slots in order.

Cross-points do not influence each other within an update, so that a tile keeps its weights and the numbers of its cells
in registers from the first vector to the last, and is written once. No program waits for another. What is drawn for a
pulse depends on its place alone, so that the weights are those of `rpusim.kernels.pulses.one_by_one`, to the bit.
"""

from __future__ import annotations

from typing import Any

import torch
import triton.language as tl

from rpusim.kernels.devices.variation import BOUND_MAX, BOUND_MIN, UP
from rpusim.kernels.pulses.counts import COINCIDENCES_DOWN, COINCIDENCES_UP
from rpusim.kernels.triton.devices import Step
from rpusim.kernels.triton.drivers import chance_of, popcount
from rpusim.kernels.triton.language import blocks, jit, launch
from rpusim.kernels.triton.rng import bits, line_words, normal, rint, word

Tensor = torch.Tensor

# Cells of a tile; columns lie side by side in memory.
_ROWS, _COLUMNS = 16, 32
_UP, _MIN, _MAX = tl.constexpr(UP), tl.constexpr(BOUND_MIN), tl.constexpr(BOUND_MAX)
_UPS, _DOWNS = tl.constexpr(COINCIDENCES_UP), tl.constexpr(COINCIDENCES_DOWN)


@jit
def _either(a: Any, b: Any) -> Any:
    return a | b


@jit
def pulsed(
    weight: Any, hit: Any, down: Any, lowest: Any, highest: Any, own: Any, sigma: Any, word_a: Any, word_b: Any,
    row: Any, column: Any, number: Any, STEP: tl.constexpr, NOISY: tl.constexpr,
) -> Any:  # fmt: skip
    """Send one pulse to the cells of a tile that are hit; number: of the pulse in its vector. Returns the weights."""
    noise = tl.zeros_like(weight)
    if NOISY:
        a, c = line_words(word_a, word_b, row, number)
        noise = sigma * normal(bits(a[:, None], c[:, None], column[None, :]))
    size = STEP(weight, noise, own)
    moved = tl.where(down, weight - size, weight + size)
    moved = tl.where(moved < lowest, lowest, moved)
    moved = tl.where(moved > highest, highest, moved)
    return tl.where(hit, moved, weight)


@jit
def _coincide(
    weights: Any, cells: Any, taken: Any, x: Any, d: Any, row_trains: Any, column_trains: Any, slots: Any, bad: Any,
    noise_words: Any, sigma: Any, vectors: Any, rows: Any, columns: Any, words: Any,
    STEP: tl.constexpr, READ: tl.constexpr, CHOOSE: tl.constexpr, PARAMETERS: tl.constexpr, NOISY: tl.constexpr,
    FLIP: tl.constexpr, ONLY_UP: tl.constexpr, WEAR: tl.constexpr, ROWS: tl.constexpr, COLUMNS: tl.constexpr,
) -> None:  # fmt: skip
    """Apply the coincidences of all vectors to a tile of cells, in order."""
    row = tl.program_id(0) * ROWS + tl.arange(0, ROWS)
    column = tl.program_id(1) * COLUMNS + tl.arange(0, COLUMNS)
    row_there, column_there = row < rows, column < columns
    there = row_there[:, None] & column_there[None, :]
    at = row[:, None].to(tl.int64) * columns + column[None, :]
    cell = cells + at * (_UP + 2 * PARAMETERS)
    weight = tl.load(weights + at, mask=there, other=0.0)
    lowest, highest = tl.load(cell + _MIN, mask=there, other=0.0), tl.load(cell + _MAX, mask=there, other=0.0)
    up_step, down_step = READ(cell + _UP, there), READ(cell + _UP + PARAMETERS, there)
    wear = tl.zeros((ROWS, COLUMNS), tl.int32)
    for b in range(tl.where(tl.load(bad) > 0, 0, vectors)):
        vector = tl.cast(b, tl.int64)
        number = tl.load(slots + vector).to(tl.int32)
        if number > 0:
            under_row = tl.load(d + vector * rows + row, mask=row_there, other=0.0) < 0.0
            under_column = tl.load(x + vector * columns + column, mask=column_there, other=0.0) < 0.0
            down = (under_row[:, None] == under_column[None, :]) != FLIP
            own = CHOOSE(down, down_step, up_step)
            word_a, word_b = word(noise_words + 2 * vector), word(noise_words + 2 * vector + 1)
            for w in range((number + 31) // 32):
                start = vector * words + w
                of_row = tl.load(row_trains + start * rows + row, mask=row_there, other=0)
                of_column = tl.load(column_trains + start * columns + column, mask=column_there, other=0)
                meet = tl.reduce(of_row, 0, _either) & tl.reduce(of_column, 0, _either)
                if meet != 0:
                    met = of_row[:, None] & of_column[None, :]
                    if ONLY_UP:
                        met = tl.where(down, 0, met)
                    if WEAR:
                        wear += popcount(met.to(tl.uint32, bitcast=True))
                    for k in range(tl.minimum(number - 32 * w, 32)):
                        if ((meet >> k) & 1) != 0:
                            weight = pulsed(
                                weight, ((met >> k) & 1) != 0, down, lowest, highest, own, sigma, word_a, word_b,
                                row, column, 32 * w + k, STEP, NOISY,
                            )  # fmt: skip
    tl.store(weights + at, weight, mask=there)
    if WEAR:
        tl.store(taken + at, tl.load(taken + at, mask=there, other=0) + wear, mask=there)


@jit
def _counted(
    weights: Any, cells: Any, taken: Any, x: Any, d: Any, gain_x: Any, gain_d: Any, slots: Any, bad: Any,
    rounding_d: Any, rounding_x: Any, step_d: Any, step_x: Any, noise_words: Any, sigma: Any, table: Any,
    vectors: Any, rows: Any, columns: Any,
    STEP: tl.constexpr, READ: tl.constexpr, CHOOSE: tl.constexpr, PARAMETERS: tl.constexpr, NOISY: tl.constexpr,
    FLIP: tl.constexpr, ONLY_UP: tl.constexpr, WEAR: tl.constexpr, ROUND_D: tl.constexpr, ROUND_X: tl.constexpr,
    MEAN: tl.constexpr, ROWS: tl.constexpr, COLUMNS: tl.constexpr,
) -> None:  # fmt: skip
    """Send every cell of a tile its number of pulses, vector by vector, where nothing is left to chance."""
    row = tl.program_id(0) * ROWS + tl.arange(0, ROWS)
    column = tl.program_id(1) * COLUMNS + tl.arange(0, COLUMNS)
    row_there, column_there = row < rows, column < columns
    there = row_there[:, None] & column_there[None, :]
    at = row[:, None].to(tl.int64) * columns + column[None, :]
    cell = cells + at * (_UP + 2 * PARAMETERS)
    weight = tl.load(weights + at, mask=there, other=0.0)
    lowest, highest = tl.load(cell + _MIN, mask=there, other=0.0), tl.load(cell + _MAX, mask=there, other=0.0)
    up_step, down_step = READ(cell + _UP, there), READ(cell + _UP + PARAMETERS, there)
    wear = tl.zeros((ROWS, COLUMNS), tl.int32)
    for b in range(tl.where(tl.load(bad) > 0, 0, vectors)):
        vector = tl.cast(b, tl.int64)
        train = tl.load(slots + vector).to(tl.float32)
        if train > 0.0:
            of_d = tl.load(d + vector * rows + row, mask=row_there, other=0.0)
            of_x = tl.load(x + vector * columns + column, mask=column_there, other=0.0)
            chance_d = chance_of(of_d, tl.load(gain_d + vector), step_d, rounding_d + 2 * vector, row, ROUND_D)
            chance_x = chance_of(of_x, tl.load(gain_x + vector), step_x, rounding_x + 2 * vector, column, ROUND_X)
            if MEAN:
                line_d = tl.minimum(rint(chance_d * train), train)
                line_d = tl.div_rn(line_d, tl.zeros_like(line_d) + train)
                line_x = tl.minimum(rint(chance_x * train), train)
                met = rint(line_d[:, None] * line_x[None, :])
            else:
                chance_d, chance_x = tl.minimum(chance_d, 1.0), tl.minimum(chance_x, 1.0)
                met = rint((chance_d[:, None] * chance_x[None, :]) * train)
            down = ((of_d < 0.0)[:, None] == (of_x < 0.0)[None, :]) != FLIP
            met = tl.where(there & (of_d != 0.0)[:, None], met, 0.0).to(tl.int32)
            if ONLY_UP:
                met = tl.where(down, 0, met)
            own = CHOOSE(down, down_step, up_step)
            word_a, word_b = word(noise_words + 2 * vector), word(noise_words + 2 * vector + 1)
            for k in range(tl.max(met)):
                weight = pulsed(
                    weight, met > k, down, lowest, highest, own, sigma, word_a, word_b, row, column, k, STEP, NOISY
                )
            wear += met
            # Sums of whole numbers: the order of the programs does not matter.
            ups, downs = tl.sum(tl.where(down, 0, met)), tl.sum(tl.where(down, met, 0))
            tl.atomic_add(table + _UPS * vectors + vector, ups.to(tl.int64))
            tl.atomic_add(table + _DOWNS * vectors + vector, downs.to(tl.int64))
    tl.store(weights + at, weight, mask=there)
    if WEAR:
        tl.store(taken + at, tl.load(taken + at, mask=there, other=0) + wear, mask=there)


def _grid(weights: Tensor) -> tuple[int, int]:
    return blocks(weights.shape[0], _ROWS), blocks(weights.shape[1], _COLUMNS)


def _of_device(step: Step, parameters: int, sigma: float, flip: bool, only_up: bool, wear: bool) -> dict[str, Any]:
    return {
        "STEP": step.step, "READ": step.read, "CHOOSE": step.choose, "PARAMETERS": parameters, "NOISY": sigma > 0.0,
        "FLIP": flip, "ONLY_UP": only_up, "WEAR": wear, "ROWS": _ROWS, "COLUMNS": _COLUMNS,
    }  # fmt: skip


def coincide(
    weights: Tensor, cells: Tensor, taken: Tensor | None, x: Tensor, d: Tensor, trains: tuple[Tensor, Tensor],
    slots: Tensor, bad: Tensor, noise_words: Tensor, sigma: float, step: Step, parameters: int, flip: bool,
    only_up: bool,
) -> None:  # fmt: skip
    """Apply the coincidences of trains to the weights (rows, columns), in place.

    cells: ``Cells.pulse``. taken: pulses of every cell, raised here; None: nobody counts. x: (vectors, columns), d:
    (vectors, rows). trains: of rows and columns, as `drivers.fire` draws them. slots: (vectors,). bad: as
    `drivers.plan` returns it. noise_words: (vectors, 2). sigma: noise of one pulse, relative to the mean step. step,
    parameters: of the device. flip: the learning rate is negative. only_up: down pulses do nothing.
    """
    rows, columns = weights.shape
    launch(
        _coincide, _grid(weights), weights, cells, weights if taken is None else taken, x, d, *trains, slots, bad,
        noise_words, sigma, len(x), rows, columns, trains[0].shape[1],
        **_of_device(step, parameters, sigma, flip, only_up, taken is not None),
    )  # fmt: skip


def counted(
    weights: Tensor, cells: Tensor, taken: Tensor | None, x: Tensor, d: Tensor, gains: tuple[Tensor, Tensor],
    table: Tensor, slots: Tensor, bad: Tensor, rounding: tuple[Tensor, Tensor], steps: tuple[float, float],
    ways: tuple[int, int], noise_words: Tensor, sigma: float, step: Step, parameters: int, flip: bool, only_up: bool,
    mean: bool,
) -> None:  # fmt: skip
    """Send every cell a fixed number of pulses, as `rpusim.kernels.pulses.one_by_one.count`.

    gains, rounding, steps, ways: of d and of x: gains (vectors,), random words of rounding (vectors, 2), steps of
    rounding, and how it is done (`drivers.rounding`). table: of counts, whose coincidences are raised. mean: the pulse
    type is mean count. The others are as for `coincide`.
    """
    rows, columns = weights.shape
    launch(
        _counted, _grid(weights), weights, cells, weights if taken is None else taken, x, d, gains[1], gains[0], slots,
        bad, *rounding, *steps, noise_words, sigma, table, len(x), rows, columns,
        ROUND_D=ways[0], ROUND_X=ways[1], MEAN=mean,
        **_of_device(step, parameters, sigma, flip, only_up, taken is not None),
    )  # fmt: skip
