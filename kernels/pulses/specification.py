"""Pulsed update: W <- W - lr d x^T made of coincidences of stochastic pulses on the rows and columns of an array.

For each pair (x, d), column j fires in each of BL slots with probability B|x_j| and row i with A|d_i|; where both fire
in the same slot, the device makes one step, down if x_j d_i lr > 0 and up otherwise. Since A B BL granularity = lr, the
mean change is -lr d x^T as long as no probability exceeds 1. A line's bit is shared by all cells of the line, so
coincidences along a line are correlated; every pulse has its own noise and is clipped; vectors act in order.

The stochastic update is that of Gokmen & Vlasov, Front. Neurosci. 10:333 (2016).

This file is the update in torch, which is the specification; `trains` has its parameters and tells how long trains are.
`compiled` is the same in compiled loops; both draw the same random numbers and agree.
"""

from __future__ import annotations

import math

import numpy as np
import torch

from rpusim.kernels.base import rng
from rpusim.kernels.base.rng import Purpose
from rpusim.kernels.devices.base import Cells, Device, PulsedDevice
from rpusim.kernels.pulses.counts import UpdateCounts
from rpusim.kernels.pulses.recorder import Recorder
from rpusim.kernels.pulses.trains import Execution, PulseType, UpdateParameters, not_finite, train_gains

Tensor = torch.Tensor

__all__ = ["Execution", "PulseType", "UpdateCounts", "UpdateParameters", "train_gains", "update"]


def update(
    weights: Tensor,
    cells: Cells,
    device: Device,
    x: Tensor,
    d: Tensor,
    learning_rate: float,
    parameters: UpdateParameters,
    stream: tuple[int, ...],
    first: int,
    lines: tuple[int, ...] | None = None,
    only_up: bool = False,
    taken: Tensor | None = None,
    recorder: Recorder | None = None,
) -> UpdateCounts:
    """Apply the pairs of a mini-batch in order to ``weights``, in place.

    weights: (rows, columns). cells, device: of the array. x: (vectors, columns); d: (vectors, rows). learning_rate: in
    weight. parameters: how pulses are made.
    stream: integers that name the array to the random numbers; first: the update counter of the first pair, so that any
    division of the pairs into calls gives the same weights. lines: names the bits of rows and columns, which arrays on
    the same drivers share; None: ``stream``, which always names the noise.
    only_up: the array takes no down pulses, as one of a one-sided pair. taken: (rows, columns) int32, to which the
    pulses of every cell are added; None: nobody counts them. recorder: notes every pulse; None: nobody does.
    Returns what was counted, per vector. InputError: x or d hold NaN or infinite numbers.
    """
    for name, values in (("input x", x), ("error d", d)):
        if not bool(torch.isfinite(values).all()):
            raise not_finite(name)
    pulse_type, counts = parameters.pulse_type, UpdateCounts.zeros(len(x))
    if not pulse_type.pulsed:
        device_bounds = cells if pulse_type is PulseType.NONE_WITH_DEVICE else None
        return floating_point(weights, device_bounds, x, d, learning_rate, only_up, counts)
    assert isinstance(device, PulsedDevice), "only an update in floating point needs no pulses"
    for vector, (x_row, d_row) in enumerate(zip(x, d, strict=True)):
        strength = abs(learning_rate) / device.granularity
        slots, gain_d, gain_x = train_gains(
            strength,
            float(x_row.abs().max()),
            float(d_row.abs().max()),
            *parameters.rule,
        )
        if slots == 0:
            if recorder is not None:
                recorder.end(vector, 0)
            continue
        drivers = Drivers(lines or stream, first + vector, parameters)
        chance_d = drivers.chance(d_row.abs() * float(np.float32(gain_d)), of_rows=True)
        chance_x = drivers.chance(x_row.abs() * float(np.float32(gain_x)), of_rows=False)
        up = (torch.sign(d_row)[:, None] * torch.sign(x_row) * math.copysign(1.0, learning_rate)) < 0
        separate = pulse_type is PulseType.STOCHASTIC and bool((x_row > 0).any() and (x_row < 0).any())
        later = (x_row < 0).long() * slots * separate  # negative inputs come in a train of their own, after the others
        pulse = _Pulse(weights, cells, device, up, stream, first + vector, only_up, taken, recorder, later)
        if pulse_type.random:
            fired_d, fired_x = drivers.fire(chance_d, slots, of_rows=True), drivers.fire(chance_x, slots, of_rows=False)
            for number in range(slots):
                pulse.send(fired_d[number][:, None] & fired_x[number], number)
            fired_d, fired_x = fired_d.sum(0), fired_x.sum(0)
        else:
            fired_d, fired_x = _counted(pulse, chance_d, chance_x, slots, pulse_type)
        counts.slots[vector] = slots
        counts.coincidences_up[vector], counts.coincidences_down[vector] = pulse.ups, pulse.downs
        counts.active_rows[vector], counts.active_columns[vector] = int((fired_d > 0).sum()), int((fired_x > 0).sum())
        counts.row_pulses[vector], counts.column_pulses[vector] = int(fired_d.sum()), int(fired_x.sum())
        if recorder is not None:
            recorder.end(vector, slots * (1 + separate))
    if pulse_type is PulseType.STOCHASTIC:
        counts.separate_trains(both_signs(x).cpu().numpy())
    return counts


def both_signs(x: Tensor) -> Tensor:
    """Tell which of the vectors x (vectors, columns) have positive and negative inputs: (vectors,)."""
    return (x > 0).any(1) & (x < 0).any(1)


def floating_point(
    weights: Tensor,
    cells: Cells | None,
    x: Tensor,
    d: Tensor,
    learning_rate: float,
    only_up: bool,
    counts: UpdateCounts,
) -> UpdateCounts:
    """Update without pulses, for both paths: exact products, clipped to the cells' bounds after every vector.

    weights, x, d, learning_rate, only_up: as for `update`. cells: of the array; None: there is no device at all, and
    the vectors act at once. counts: all 0; lines that took part are filled in, and it is returned.
    """
    busy = (x != 0).any(1) & (d != 0).any(1) & (learning_rate != 0.0)
    if cells is None and not only_up:
        weights.addmm_(d.t(), x, alpha=-learning_rate)
    else:
        for vector in torch.nonzero(busy).flatten().tolist():
            change = d[vector][:, None] * (x[vector] * learning_rate)
            moved = weights - (change.clamp(max=0.0) if only_up else change)
            weights.copy_(moved if cells is None else cells.clip(moved))
    counts.active_rows[:] = ((d != 0).sum(1) * busy).cpu().numpy()
    counts.active_columns[:] = ((x != 0).sum(1) * busy).cpu().numpy()
    return counts


class Drivers:
    """The drivers of rows and columns during one pair: quantised pulse probabilities, and random bits."""

    def __init__(self, lines: tuple[int, ...], step: int, parameters: UpdateParameters) -> None:
        self._lines, self._step, self._parameters = lines, np.array([step]), parameters

    def _uniform(self, purpose: Purpose, number: int, slots: Tensor | int, device: torch.device) -> Tensor:
        words = rng.torch_words(rng.key(*self._lines, purpose), self._step, device)[0]
        return rng.uniform(rng.bits(words, 0, torch.arange(number, device=device), slots))

    def chance(self, chance: Tensor, of_rows: bool) -> Tensor:
        """Round probabilities (lines,) to the resolution of the drivers."""
        step = self._parameters.steps[0 if of_rows else 1]
        if step == 0.0:
            return chance
        number = chance / float(np.float32(step))
        if self._parameters.sto_round:
            purpose = Purpose.ROW_ROUNDING if of_rows else Purpose.COLUMN_ROUNDING
            number = number + (self._uniform(purpose, len(chance), 0, chance.device) - 0.5)
        return torch.round(number) * float(np.float32(step))

    def fire(self, chance: Tensor, slots: int, of_rows: bool) -> Tensor:
        """Draw random bits (slots, lines) that are 1 with the probabilities ``chance`` (lines,)."""
        slot = torch.arange(slots, device=chance.device)[:, None]
        return (
            self._uniform(Purpose.ROW_PULSES if of_rows else Purpose.COLUMN_PULSES, len(chance), slot, chance.device)
            < chance
        )


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
        taken: Tensor | None,
        recorder: Recorder | None,
        later: Tensor,
    ) -> None:
        self._taken, self._recorder, self._later = taken, recorder, later
        self._weights, self._cells, self._device, self._up = weights, cells, device, up
        self._only_up = only_up
        directions = zip(cells.parameters(up=True), cells.parameters(up=False), strict=True)
        self._parameters = [torch.where(up, high, low) for high, low in directions]
        self._words = rng.torch_words(rng.key(*stream, Purpose.PULSE_NOISE), np.array([step]), weights.device)[0]
        self._rows = torch.arange(weights.shape[0], device=weights.device)[:, None]
        self._columns = torch.arange(weights.shape[1], device=weights.device)
        self.ups = self.downs = 0

    def send(self, hit: Tensor, number: int) -> None:
        """Send one pulse to every cell of the boolean matrix ``hit``; ``number`` tells pulses of the pair apart."""
        hit = hit & self._up if self._only_up else hit
        if self._taken is not None:
            self._taken += hit
        if self._recorder is not None:
            self._recorder.note(hit, self._up, self._later + number)
        noise = torch.zeros_like(self._weights)
        if self._device.dw_min_std > 0.0:
            noise = rng.normal(rng.bits(self._words, self._rows, self._columns, number)) * self._device.dw_min_std
        size = self._device.step(self._weights, noise, *self._parameters)
        moved = self._cells.clip(self._weights + torch.where(self._up, size, -size))
        self._weights.copy_(torch.where(hit, moved, self._weights))
        ups = int((hit & self._up).sum())
        self.ups += ups
        self.downs += int(hit.sum()) - ups


def coincidences(chance_d: Tensor, chance_x: Tensor, slots: int, pulse_type: PulseType) -> Tensor:
    """Count the pulses that meet in each cell, where nothing is left to chance: (rows, columns).

    chance_d: (rows,), chance_x: (columns,), probabilities of the lines. slots: of the pair. pulse_type: which rule.
    """
    if pulse_type is PulseType.MEAN_COUNT:
        line_d, line_x = (torch.clamp(torch.round(chance * slots), max=slots) for chance in (chance_d, chance_x))
        return torch.round(line_d[:, None] / max(slots, 1) * line_x)
    return torch.round(torch.clamp(chance_d, max=1.0)[:, None] * torch.clamp(chance_x, max=1.0) * slots)


def _counted(
    pulse: _Pulse, chance_d: Tensor, chance_x: Tensor, slots: int, pulse_type: PulseType
) -> tuple[Tensor, Tensor]:
    """Send a fixed number of coincidences to each cell; returns the pulses that rows and columns stand for."""
    met = coincidences(chance_d, chance_x, slots, pulse_type)
    for number in range(int(met.max())):
        pulse.send(met > number, number)
    line_d, line_x = (torch.clamp(torch.round(chance * slots), max=slots) for chance in (chance_d, chance_x))
    return line_d, line_x
