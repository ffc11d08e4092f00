"""The pulsed update in Triton kernels: the same pulses and the same numbers as the specification, for a GPU.

A mini-batch takes five launches whatever the number of its vectors: slots and gains, the trains of rows, those of
columns, counts, and pulses. Once per call the host waits, for the table of counts.
"""

from __future__ import annotations

import numpy as np
import torch

from rpusim.kernels.base.rng import Purpose, key
from rpusim.kernels.devices.base import Cells, Device, PulsedDevice
from rpusim.kernels.devices.variation import parameters_per_step
from rpusim.kernels.pulses import specification
from rpusim.kernels.pulses.counts import SLOTS, UpdateCounts
from rpusim.kernels.pulses.specification import both_signs
from rpusim.kernels.pulses.trains import PulseType, UpdateParameters, not_finite
from rpusim.kernels.triton import devices, drivers, exact, rng

Tensor = torch.Tensor

# Bytes that trains may take at a time; more vectors than that are sent in several pieces, which changes nothing.
MOST_BYTES = 1 << 28


def covers(device: Device, cells: Cells, parameters: UpdateParameters) -> bool:
    """Tell whether kernels can do the update: what is not pulsed, or has no translated step, is left to torch."""
    if not parameters.pulse_type.pulsed or not isinstance(device, PulsedDevice):
        return False
    return devices.why_not(device.step, parameters_per_step(cells.pulse)) is None


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
) -> UpdateCounts:
    """Apply the pairs of a mini-batch in order, in place; arguments and result as for `specification.update`.

    All tensors are contiguous float32 where kernels run.
    """
    if not covers(device, cells, parameters):
        given = weights, cells, device, x, d, learning_rate, parameters, stream, first, lines, only_up, taken
        return specification.update(*given)
    assert isinstance(device, PulsedDevice), "only an update in floating point needs no pulses"
    x, d = x.contiguous(), d.contiguous()
    strength = abs(learning_rate) / device.granularity
    separate = parameters.pulse_type is PulseType.STOCHASTIC
    # One row more for what is not finite, and one for vectors with both signs.
    table = torch.zeros((len(UpdateCounts._fields) + 2, len(x)), dtype=torch.int64, device=x.device)
    if separate:
        table[-2] = both_signs(x)
    if len(x):
        sent = _Sent(weights, cells, device, parameters, stream, lines or stream, only_up, learning_rate < 0, taken)
        sent.send(x, d, strength, first, table)
    counted = table.cpu().numpy()
    wrong = counted[-1][counted[-1] > 0]
    if len(wrong):
        raise not_finite("input x" if wrong[0] == drivers.BAD_X else "error d")
    counts = UpdateCounts.of(np.ascontiguousarray(counted[:-2]))
    if only_up:
        counts.coincidences_down[:] = 0
    if separate:
        counts.separate_trains(counted[-2] > 0)
    return counts


class _Sent:
    """Send the pairs of one call; the fields are what all of its pieces share, see `update`."""

    def __init__(
        self,
        weights: Tensor,
        cells: Cells,
        device: PulsedDevice,
        parameters: UpdateParameters,
        stream: tuple[int, ...],
        lines: tuple[int, ...],
        only_up: bool,
        flip: bool,
        taken: Tensor | None,
    ) -> None:
        self._weights, self._cells, self._parameters = weights, cells.pulse.contiguous(), parameters
        self._stream, self._lines, self._only_up, self._flip, self._taken = stream, lines, only_up, flip, taken
        self._sigma = float(np.float32(device.dw_min_std))
        self._number = parameters_per_step(cells.pulse)
        self._step = devices.translated(device.step, self._number)

    def send(self, x: Tensor, d: Tensor, strength: float, first: int, table: Tensor) -> None:
        """Send all pairs, and fill the table of counts."""
        bad, gain_d, gain_x = drivers.plan(x, d, strength, self._parameters, table)
        random = self._parameters.pulse_type.random
        words = (drivers.most_slots(strength, self._parameters) + 31) // 32
        each = 4 * words * (x.shape[1] + d.shape[1])
        piece = max(1, MOST_BYTES // each) if random else len(x)
        for start in range(0, len(x), piece):
            part = slice(start, min(start + piece, len(x)))
            of_vectors = x[part], d[part], table[SLOTS][part], bad, (gain_d[part], gain_x[part])
            if random:
                self._drawn(*of_vectors, words, first + start, table, start)
            else:
                self._counted(*of_vectors, first + start, table)

    def _words(self, lines: bool, purpose: Purpose, first: int, x: Tensor) -> Tensor:
        return rng.words(key(*(self._lines if lines else self._stream), purpose), first, len(x), x.device)

    def _drawn(
        self, x: Tensor, d: Tensor, slots: Tensor, bad: Tensor, gains: tuple[Tensor, Tensor], words: int, first: int,
        table: Tensor, start: int,
    ) -> None:  # fmt: skip
        sides = (
            (d, Purpose.ROW_ROUNDING, Purpose.ROW_PULSES),
            (x, Purpose.COLUMN_ROUNDING, Purpose.COLUMN_PULSES),
        )
        trains = []
        for (values, rounding, firing), gain, step in zip(sides, gains, self._parameters.steps, strict=True):
            keys = self._words(True, rounding, first, x), self._words(True, firing, first, x)
            chance = self._parameters.sto_round
            trains.append(drivers.fire(values, gain, slots, bad, keys, float(np.float32(step)), chance, words))
        drivers.count(x, d, trains[0], trains[1], table, start, self._flip)
        noise = self._words(False, Purpose.PULSE_NOISE, first, x)
        exact.coincide(
            self._weights, self._cells, self._taken, x, d, (trains[0], trains[1]), slots, bad, noise, self._sigma,
            self._step, self._number, self._flip, self._only_up,
        )  # fmt: skip

    def _counted(
        self, x: Tensor, d: Tensor, slots: Tensor, bad: Tensor, gains: tuple[Tensor, Tensor], first: int, table: Tensor
    ) -> None:
        rounding = (
            self._words(True, Purpose.ROW_ROUNDING, first, x),
            self._words(True, Purpose.COLUMN_ROUNDING, first, x),
        )
        of_d, of_x = (float(np.float32(step)) for step in self._parameters.steps)
        chance = self._parameters.sto_round
        ways = drivers.rounding(of_d, chance), drivers.rounding(of_x, chance)
        noise = self._words(False, Purpose.PULSE_NOISE, first, x)
        mean = self._parameters.pulse_type is PulseType.MEAN_COUNT
        exact.counted(
            self._weights, self._cells, self._taken, x, d, gains, table, slots, bad, rounding, (of_d, of_x), ways,
            noise, self._sigma, self._step, self._number, self._flip, self._only_up, mean,
        )  # fmt: skip
        drivers.count_lines(x, d, gains, slots, rounding, (of_d, of_x), ways, table)
