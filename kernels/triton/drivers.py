"""The drivers of an array in kernels: slots and gains of every vector, and packed trains of bits.

The same numbers as `rpusim.kernels.pulses.drivers`, laid out for programs that run side by side: each vector begins
with a word of its own, so that nobody has to know how many slots the others have, and the host need not wait to learn
it. Slot k of vector b is bit k mod 32 of word k // 32 of (vectors, words, lines); a line's sign is that of its value.
"""

from __future__ import annotations

import math
from functools import lru_cache
from typing import Any

import torch
import triton.language as tl

from rpusim.kernels.base import rng
from rpusim.kernels.pulses.counts import (
    ACTIVE_COLUMNS,
    ACTIVE_ROWS,
    COINCIDENCES_DOWN,
    COINCIDENCES_UP,
    COLUMN_PULSES,
    ROW_PULSES,
    SLOTS,
)
from rpusim.kernels.pulses.trains import UpdateParameters
from rpusim.kernels.triton.language import blocks, jit, launch
from rpusim.kernels.triton.rng import bits, line_words, rint, uniform, word

Tensor = torch.Tensor

BAD_X, BAD_D = 1, 2
"""What the last row of a table says of a vector: x or d hold NaN or infinite numbers."""

_INFINITY, _MAGNITUDE = tl.constexpr(0x7F800000), tl.constexpr(0x7FFFFFFF)
# Lines that a program takes at a time.
_LINES = 256
_SLOTS, _UP, _DOWN = tl.constexpr(SLOTS), tl.constexpr(COINCIDENCES_UP), tl.constexpr(COINCIDENCES_DOWN)
_ACTIVE_ROWS, _ACTIVE_COLUMNS = tl.constexpr(ACTIVE_ROWS), tl.constexpr(ACTIVE_COLUMNS)
_ROW_PULSES, _COLUMN_PULSES = tl.constexpr(ROW_PULSES), tl.constexpr(COLUMN_PULSES)


@jit
def popcount(x: Any) -> Any:
    """Count the ones of 32-bit words, as int32."""
    x = x - ((x >> 1) & 0x55555555)
    x = (x & 0x33333333) + ((x >> 2) & 0x33333333)
    x = (x + (x >> 4)) & 0x0F0F0F0F
    return ((x * 0x01010101) >> 24).to(tl.int32)


@jit
def _top(values: Any, length: Any, LINES: tl.constexpr) -> Any:
    """Find the bits of the largest magnitude of a line of float32 numbers; NaN is on top."""
    found = tl.zeros((LINES,), tl.int32)
    for start in range(0, length, LINES):
        at = start + tl.arange(0, LINES)
        value = tl.load(values + at, mask=at < length, other=0.0)
        found = tl.maximum(found, value.to(tl.int32, bitcast=True) & _MAGNITUDE)
    return tl.max(found, 0)


@jit
def _plan(
    x: Any, d: Any, settings: Any, table: Any, bad: Any, gain_d: Any, gain_x: Any, vectors: Any, rows: Any,
    columns: Any, UM: tl.constexpr, UBLM: tl.constexpr, LINES: tl.constexpr, LAST: tl.constexpr,
) -> None:  # fmt: skip
    """Find slots and gains of a vector, as `trains.train_gains` does, in float64."""
    b = tl.program_id(0)
    at = b.to(tl.int64)
    x_bits, d_bits = _top(x + at * columns, columns, LINES), _top(d + at * rows, rows, LINES)
    if (x_bits >= _INFINITY) | (d_bits >= _INFINITY):
        tl.store(table + LAST * vectors + b, tl.where(x_bits >= _INFINITY, 1, 2).to(tl.int64))
        tl.atomic_max(bad, 1)
    strength, scale, nearly = tl.load(settings), tl.load(settings + 1), tl.load(settings + 2)
    x_max = x_bits.to(tl.float32, bitcast=True).to(tl.float64)
    d_max = d_bits.to(tl.float32, bitcast=True).to(tl.float64)
    idle = (x_max == 0.0) | (d_max == 0.0) | (strength == 0.0)
    x_max, d_max = tl.where(idle, 1.0, x_max), tl.where(idle, 1.0, d_max) * scale
    expected = strength * x_max * d_max
    slots = tl.load(settings + 3)
    if UBLM:
        slots = tl.minimum(tl.ceil(expected * nearly), slots)
        slots = tl.maximum(slots, 1.0)
    of_d = tl.sqrt(strength / slots)
    of_x = of_d
    if UM:
        d_max = tl.where(expected > slots, d_max * slots / expected, d_max)
        of_d = of_d * tl.sqrt(x_max / d_max)
        of_x = of_x * tl.sqrt(d_max / x_max)
    tl.store(table + _SLOTS * vectors + b, tl.where(idle, 0.0, slots).to(tl.int64))
    tl.store(gain_d + b, of_d.to(tl.float32))
    tl.store(gain_x + b, of_x.to(tl.float32))


@jit
def chance_of(value: Any, gain: Any, step: Any, rounding: Any, line: Any, ROUND: tl.constexpr) -> Any:
    """Find the pulse probabilities of lines, rounded to the drivers' resolution.

    rounding: where the random words of the vector lie. ROUND: 0 not rounded, 1 to the nearest, 2 by chance.
    """
    chance = gain * tl.abs(value)
    if ROUND > 0:
        number = tl.div_rn(chance, tl.zeros_like(chance) + step)
        if ROUND > 1:
            a, c = line_words(word(rounding), word(rounding + 1), 0, 0)
            number = number + (uniform(bits(a, c, line)) - 0.5)
        chance = rint(number) * step
    return chance


@jit
def _fire(
    values: Any, gain: Any, slots: Any, bad: Any, rounding: Any, firing: Any, step: Any, out: Any, length: Any,
    words: Any, ROUND: tl.constexpr, LINES: tl.constexpr,
) -> None:  # fmt: skip
    """Draw the bits of some lines for one vector."""
    b, line = tl.program_id(0).to(tl.int64), tl.program_id(1) * LINES + tl.arange(0, LINES)
    there = line < length
    value = tl.load(values + b * length + line, mask=there, other=0.0)
    chance = chance_of(value, tl.load(gain + b), step, rounding + 2 * b, line, ROUND)
    chance = tl.where(there, chance, 0.0)
    number = tl.where(tl.load(bad) > 0, 0, tl.load(slots + b)).to(tl.int32)
    word_a, word_b = word(firing + 2 * b), word(firing + 2 * b + 1)
    for w in range(words):
        fired = tl.zeros((LINES,), tl.uint32)
        for k in range(tl.minimum(tl.maximum(number - 32 * w, 0), 32)):
            a, c = line_words(word_a, word_b, 0, 32 * w + k)
            hit = uniform(bits(a, c, line)) < chance
            fired = fired | (hit.to(tl.uint32) << tl.cast(k, tl.uint32))
        tl.store(out + (b * words + w) * length + line, fired.to(tl.int32, bitcast=True), mask=there)


@jit
def _lines_of(trains: Any, values: Any, w: Any, words: Any, length: Any, LINES: tl.constexpr) -> Any:
    """Count for each slot of a word the positive and the negative lines that fire: (32,), (32,) int64."""
    shift = tl.arange(0, 32).to(tl.uint32)
    above, below = tl.zeros((32,), tl.int64), tl.zeros((32,), tl.int64)
    for start in range(0, length, LINES):
        at = start + tl.arange(0, LINES)
        fired = tl.load(trains + w * length + at, mask=at < length, other=0).to(tl.uint32, bitcast=True)
        under = tl.load(values + at, mask=at < length, other=0.0) < 0.0
        bit = ((fired[:, None] >> shift[None, :]) & 1).to(tl.int64)
        both, lower = tl.sum(bit, 0), tl.sum(tl.where(under[:, None], bit, 0), 0)
        above, below = above + both - lower, below + lower
    return above, below


@jit
def _active(trains: Any, words: Any, length: Any, LINES: tl.constexpr) -> Any:
    """Count the lines that fire at all."""
    total = tl.zeros((), tl.int64)
    for start in range(0, length, LINES):
        at = start + tl.arange(0, LINES)
        any_bit = tl.zeros((LINES,), tl.int32)
        for w in range(words):
            any_bit = any_bit | tl.load(trains + w * length + at, mask=at < length, other=0)
        total += tl.sum((any_bit != 0).to(tl.int64), 0)
    return total


@jit
def _count(
    x: Any, d: Any, row_trains: Any, column_trains: Any, table: Any, vectors: Any, rows: Any, columns: Any, words: Any,
    offset: Any, FLIP: tl.constexpr, LINES: tl.constexpr,
) -> None:  # fmt: skip
    """Count what the trains of a vector do: lines, pulses and coincidences."""
    b = tl.program_id(0).to(tl.int64)
    row, column = row_trains + b * words * rows, column_trains + b * words * columns
    row_pulses, column_pulses = tl.zeros((), tl.int64), tl.zeros((), tl.int64)
    equal, unequal = tl.zeros((), tl.int64), tl.zeros((), tl.int64)
    for w in range(words):
        row_above, row_below = _lines_of(row, d + b * rows, w, words, rows, LINES)
        above, below = _lines_of(column, x + b * columns, w, words, columns, LINES)
        row_pulses += tl.sum(row_above + row_below, 0)
        column_pulses += tl.sum(above + below, 0)
        equal += tl.sum(row_above * above + row_below * below, 0)
        unequal += tl.sum(row_above * below + row_below * above, 0)
    to = table + offset + b
    tl.store(to + _UP * vectors, equal if FLIP else unequal)
    tl.store(to + _DOWN * vectors, unequal if FLIP else equal)
    tl.store(to + _ROW_PULSES * vectors, row_pulses)
    tl.store(to + _COLUMN_PULSES * vectors, column_pulses)
    tl.store(to + _ACTIVE_ROWS * vectors, _active(row, words, rows, LINES))
    tl.store(to + _ACTIVE_COLUMNS * vectors, _active(column, words, columns, LINES))


@lru_cache(maxsize=256)
def _settings(strength: float, scale: float, slots: int, device: torch.device) -> Tensor:
    """Bring the numbers of `train_gains` to a device, in float64."""
    return torch.tensor([strength, scale, 1.0 - 1e-6, float(slots)], dtype=torch.float64, device=device)


def most_slots(strength: float, parameters: UpdateParameters) -> int:
    """Find how many slots a vector has at most; without BL management each that has any has so many."""
    if parameters.update_bl_management or parameters.fixed_bl:
        return parameters.desired_bl
    return max(parameters.desired_bl, math.ceil(strength * (1.0 - 1e-6)))


def plan(x: Tensor, d: Tensor, strength: float, parameters: UpdateParameters, table: Tensor) -> tuple[Tensor, ...]:
    """Find slots and gains of all vectors.

    x: (vectors, columns), d: (vectors, rows). strength: |learning rate| / granularity. table: (rows of `UpdateCounts`
    and one more, vectors) int64, all 0, whose slots are filled here; the last row says which vectors are not finite.
    Returns one number, 1 if any vector is not finite, and the gains of d and x (vectors,).
    """
    vectors, gains = len(x), torch.empty((2, len(x)), dtype=torch.float32, device=x.device)
    bad = torch.zeros(1, dtype=torch.int32, device=x.device)
    slots = most_slots(strength, parameters)
    settings = _settings(strength, float(parameters.um_grad_scale), slots, x.device)
    managed = parameters.update_management or parameters.update_bl_management
    launch(
        _plan, (vectors,), x, d, settings, table, bad, gains[0], gains[1], vectors, d.shape[1], x.shape[1],
        UM=managed, UBLM=parameters.update_bl_management, LINES=_LINES, LAST=len(table) - 1,
    )  # fmt: skip
    return bad, gains[0], gains[1]


def fire(
    values: Tensor, gain: Tensor, slots: Tensor, bad: Tensor, keys: tuple[Tensor, Tensor], step: float, chance: bool,
    words: int,
) -> Tensor:  # fmt: skip
    """Draw the trains of one side: int32 (vectors, words, lines).

    values: (vectors, lines). gain, slots: (vectors,). bad: as `plan` returns it. keys: random words of rounding and of
    firing, (vectors, 2). step: of rounding, 0: none; by chance if ``chance``. words: of each vector.
    """
    vectors, lines = values.shape
    out = torch.empty((vectors, words, lines), dtype=torch.int32, device=values.device)
    launch(
        _fire, (vectors, blocks(lines, _LINES)), values, gain, slots, bad, keys[0], keys[1], step, out, lines, words,
        ROUND=rounding(step, chance), LINES=_LINES,
    )  # fmt: skip
    return out


def rounding(step: float, chance: bool) -> int:
    """Number the way of rounding: 0 not, 1 to the nearest, 2 by chance."""
    return 0 if step <= 0.0 else 2 if chance else 1


def count(
    x: Tensor, d: Tensor, row_trains: Tensor, column_trains: Tensor, table: Tensor, offset: int, flip: bool
) -> None:
    """Fill the rows of a table that tell of pulses, for the vectors from ``offset`` on; see `plan` and `fire`."""
    (vectors, rows), columns, words = d.shape, x.shape[1], row_trains.shape[1]
    launch(
        _count, (vectors,), x, d, row_trains, column_trains, table, table.shape[1], rows, columns, words, offset,
        FLIP=flip, LINES=64,
    )  # fmt: skip


def count_lines(
    x: Tensor, d: Tensor, gains: tuple[Tensor, Tensor], slots: Tensor, rounded: tuple[Tensor, Tensor],
    steps: tuple[float, float], ways: tuple[int, int], table: Tensor,
) -> None:  # fmt: skip
    """Fill the rows of a table that tell of lines, for pulse types that leave nothing to chance.

    gains, rounded, steps, ways: of d and of x, as for `exact.counted`.
    """
    train = slots[:, None].float()
    places = (ACTIVE_ROWS, ROW_PULSES), (ACTIVE_COLUMNS, COLUMN_PULSES)
    for values, gain, words, step, way, (active, fired) in zip(
        (d, x), gains, rounded, steps, ways, places, strict=True
    ):
        chance = values.abs() * gain[:, None]
        if way:
            # Divided by a tensor: a GPU multiplies by the reciprocal of a number.
            whole = torch.full_like(chance, step)
            number = chance / whole
            if way > 1:
                random = rng.bits(words.long()[:, None] & 0xFFFFFFFF, 0, torch.arange(values.shape[1], device=x.device))
                number = number + (rng.uniform(random) - 0.5)
            chance = torch.round(number) * whole
        pulses = torch.minimum(torch.round(chance * train), train)
        table[active] = (pulses > 0).sum(1)
        table[fired] = pulses.sum(1).long()
