"""Pulsed update: W <- W - lr d x^T made of coincidences of stochastic pulses on the rows and columns of an array.

For each pair (x, d), column j fires in each of BL slots with probability B|x_j| and row i with A|d_i|; where both fire
in the same slot, the device makes one step, down if x_j d_i lr > 0 and up otherwise. Since A B BL granularity = lr, the
mean change is -lr d x^T as long as no probability exceeds 1. A line's bit is shared by all cells of the line, so
coincidences along a line are correlated; every pulse has its own noise and is clipped; vectors act in order.

*BL management* makes trains only as long as the strongest pair needs; *update management* scales both sides so that
their largest probabilities are equal, and lets only d saturate (Gokmen, Onen & Haensch, Front. Neurosci. 11:538, 2017).
The stochastic update is that of Gokmen & Vlasov, Front. Neurosci. 10:333 (2016).

This file has the parameters, the gains and the update in torch, which is the specification. `pulses_numba` is the same
in compiled loops; both draw the same random numbers and agree.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from enum import StrEnum

import numpy as np
import torch
from numpy.typing import NDArray

from rpusim.errors import InputError
from rpusim.kernels import checks, rng
from rpusim.kernels.devices.base import Cells, PulsedDevice
from rpusim.kernels.rng import Purpose

Tensor = torch.Tensor


class PulseType(StrEnum):
    """How a pair (x, d) becomes pulses.

    STOCHASTIC_COMPRESSED:  random bits per line and slot; both signs of x in the same slots.
    MEAN_COUNT:             each line's expected number of pulses, rounded; coincidences round(n_d n_x / BL).
    DETERMINISTIC_IMPLICIT: coincidences round(BL p_d p_x) per cell, as if trains were perfectly spread.
    NONE_WITH_DEVICE:       floating-point update, clipped to the device's bounds; no pulses.
    """

    STOCHASTIC_COMPRESSED = "stochastic_compressed"
    MEAN_COUNT = "mean_count"
    DETERMINISTIC_IMPLICIT = "deterministic_implicit"
    NONE_WITH_DEVICE = "none_with_device"


@dataclass(frozen=True)
class UpdateParameters:
    """How updates are pulsed.

    desired_bl:           pulse slots per update (the most, with BL management).
    update_management:    equalise the largest pulse probabilities of both sides.
    update_bl_management: use no more slots than the strongest pair needs; switches update management on.
    pulse_type:           a `PulseType` or its name.
    """

    desired_bl: int = 31
    update_management: bool = True
    update_bl_management: bool = True
    pulse_type: PulseType = PulseType.STOCHASTIC_COMPRESSED

    def __post_init__(self) -> None:
        checks.integer("desired_bl", self.desired_bl, low=1)
        checks.flag("update_management", self.update_management)
        checks.flag("update_bl_management", self.update_bl_management)
        object.__setattr__(self, "pulse_type", checks.choose(PulseType, "pulse_type", self.pulse_type))


@dataclass(frozen=True)
class UpdateCounts:
    """What an update did, one entry per vector: the columns of an update row of the activity log."""

    slots: NDArray[np.int32]
    coincidences_up: NDArray[np.int64]
    coincidences_down: NDArray[np.int64]
    active_rows: NDArray[np.int32]
    active_columns: NDArray[np.int32]
    row_pulses: NDArray[np.int32]
    column_pulses: NDArray[np.int32]

    @staticmethod
    def zeros(vectors: int) -> UpdateCounts:
        wide, narrow = (np.zeros((count, vectors), kind) for count, kind in ((2, np.int64), (5, np.int32)))
        return UpdateCounts(narrow[0], wide[0], wide[1], *narrow[1:])


def train_gains(strength, x_max, d_max, desired_bl, update_management, update_bl_management):
    """Slots and probability gains of one pair: (BL, gain of d, gain of x); BL = 0 if there is nothing to send.

    strength: |learning rate| / granularity. x_max, d_max: largest magnitudes. Compiled by numba as it stands.
    """
    if x_max == 0.0 or d_max == 0.0 or strength == 0.0:
        return 0, 0.0, 0.0
    slots = desired_bl
    expected = strength * x_max * d_max
    if update_bl_management:
        # x and d are float32 numbers: what exceeds a whole number by less than they resolve needs no further slot.
        slots = max(1, int(min(math.ceil(expected * (1.0 - 1e-6)), float(desired_bl))))
    gain_d = gain_x = math.sqrt(strength / slots)
    if update_management or update_bl_management:
        if expected > desired_bl:
            d_max = d_max * desired_bl / expected
        gain_d = gain_d * math.sqrt(x_max / d_max)
        gain_x = gain_x * math.sqrt(d_max / x_max)
    return slots, gain_d, gain_x


def not_finite(name: str) -> InputError:
    """What to raise for an ``input x`` or ``error d`` that holds no proper numbers."""
    return InputError(f"the {name} of an update holds NaN or infinite numbers; accepted are finite numbers")


def update(
    weights: Tensor,
    cells: Cells,
    device: PulsedDevice,
    x: Tensor,
    d: Tensor,
    learning_rate: float,
    parameters: UpdateParameters,
    stream: tuple[int, ...],
    first: int,
    lines: tuple[int, ...] | None = None,
    only_up: bool = False,
) -> UpdateCounts:
    """Apply the pairs of a mini-batch in order to ``weights`` (rows, columns), in place; the torch specification.

    x: (vectors, columns); d: (vectors, rows). stream: names the array to the random numbers; first: the update counter
    of the first pair, so that any division of the pairs into calls gives the same weights. lines: names the bits of
    rows and columns, which arrays on the same drivers share; None: ``stream``, which always names the noise. only_up:
    the array takes no down pulses, as one of a one-sided pair.
    """
    for name, values in (("input x", x), ("error d", d)):
        if not bool(torch.isfinite(values).all()):
            raise not_finite(name)
    counts = UpdateCounts.zeros(len(x))
    for vector, (x_row, d_row) in enumerate(zip(x, d, strict=True)):
        strength = abs(learning_rate) / device.granularity
        slots, gain_d, gain_x = train_gains(
            strength,
            float(x_row.abs().max()),
            float(d_row.abs().max()),
            parameters.desired_bl,
            parameters.update_management,
            parameters.update_bl_management,
        )
        if slots == 0:
            continue
        if parameters.pulse_type is PulseType.NONE_WITH_DEVICE:
            change = d_row[:, None] * (x_row * learning_rate)
            weights.copy_(cells.clip(weights - (change.clamp(max=0.0) if only_up else change)))
            counts.active_rows[vector], counts.active_columns[vector] = int((d_row != 0).sum()), int((x_row != 0).sum())
            continue
        chance_d = d_row.abs() * float(np.float32(gain_d))
        chance_x = x_row.abs() * float(np.float32(gain_x))
        up = (torch.sign(d_row)[:, None] * torch.sign(x_row) * math.copysign(1.0, learning_rate)) < 0
        pulse = _Pulse(weights, cells, device, up, stream, first + vector, only_up)
        if parameters.pulse_type is PulseType.STOCHASTIC_COMPRESSED:
            fired_d, fired_x = _stochastic(pulse, chance_d, chance_x, slots, lines or stream, first + vector)
        else:
            fired_d, fired_x = _counted(pulse, chance_d, chance_x, slots, parameters.pulse_type)
        counts.slots[vector] = slots
        counts.coincidences_up[vector], counts.coincidences_down[vector] = pulse.ups, pulse.downs
        counts.active_rows[vector], counts.active_columns[vector] = int((fired_d > 0).sum()), int((fired_x > 0).sum())
        counts.row_pulses[vector], counts.column_pulses[vector] = int(fired_d.sum()), int(fired_x.sum())
    return counts


class _Pulse:
    """Sends single pulses to chosen cells for one pair, and counts them."""

    def __init__(
        self,
        weights: Tensor,
        cells: Cells,
        device: PulsedDevice,
        up: Tensor,
        stream: tuple[int, ...],
        step: int,
        only_up: bool,
    ) -> None:
        self._weights, self._cells, self._device, self._up = weights, cells, device, up
        self._only_up = only_up
        directions = zip(cells.parameters(up=True), cells.parameters(up=False), strict=True)
        self._parameters = [torch.where(up, high, low) for high, low in directions]
        self._words = rng.torch_words(rng.key(*stream, Purpose.PULSE_NOISE), np.array([step]), weights.device)[0]
        self._rows = torch.arange(weights.shape[0], device=weights.device)[:, None]
        self._columns = torch.arange(weights.shape[1], device=weights.device)
        self.ups = self.downs = 0

    def send(self, hit: Tensor, number: int) -> None:
        """One pulse to every cell of the boolean matrix ``hit``; ``number`` tells pulses of the pair apart."""
        hit = hit & self._up if self._only_up else hit
        noise = torch.zeros_like(self._weights)
        if self._device.dw_min_std > 0.0:
            noise = rng.normal(rng.bits(self._words, self._rows, self._columns, number)) * self._device.dw_min_std
        size = self._device.step(self._weights, noise, *self._parameters)
        moved = self._cells.clip(self._weights + torch.where(self._up, size, -size))
        self._weights.copy_(torch.where(hit, moved, self._weights))
        ups = int((hit & self._up).sum())
        self.ups += ups
        self.downs += int(hit.sum()) - ups


def _stochastic(
    pulse: _Pulse, chance_d: Tensor, chance_x: Tensor, slots: int, stream: tuple[int, ...], step: int
) -> tuple[Tensor, Tensor]:
    """Random bits per line and slot; returns how often each row and column fired."""
    sides = []
    for chance, purpose in ((chance_d, Purpose.ROW_PULSES), (chance_x, Purpose.COLUMN_PULSES)):
        words = rng.torch_words(rng.key(*stream, purpose), np.array([step]), chance.device)[0]
        slot = torch.arange(slots, device=chance.device)[:, None]
        line = torch.arange(len(chance), device=chance.device)
        sides.append(rng.uniform(rng.bits(words, 0, line, slot)) < chance)
    rows, columns = sides
    for number in range(slots):
        pulse.send(rows[number][:, None] & columns[number], number)
    return rows.sum(0), columns.sum(0)


def _counted(
    pulse: _Pulse, chance_d: Tensor, chance_x: Tensor, slots: int, pulse_type: PulseType
) -> tuple[Tensor, Tensor]:
    """A fixed number of coincidences per cell; returns the pulses that the lines stand for."""
    line_d = torch.clamp(torch.round(chance_d * slots), max=slots)
    line_x = torch.clamp(torch.round(chance_x * slots), max=slots)
    if pulse_type is PulseType.MEAN_COUNT:
        coincidences = torch.round(line_d[:, None] / slots * line_x)
    else:
        coincidences = torch.round(torch.clamp(chance_d, max=1.0)[:, None] * torch.clamp(chance_x, max=1.0) * slots)
    for number in range(int(coincidences.max())):
        pulse.send(coincidences > number, number)
    return line_d, line_x
