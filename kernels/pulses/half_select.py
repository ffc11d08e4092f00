"""Half-selected cells: what pulses do to cells of which only one line fires. An option; by default they do not move.

A pulse is half a voltage on each of two lines. Where a row fires without the column, or a column without the row, a
cell sees half of it. Real cells creep then; how far, no paper that the presets are taken from says. So, as an
assumption with one number, the share h: such a pulse moves a cell by h of the step that it makes at its weight,

    w <- clip(w + h (n_up step_up(w) - n_down step_down(w)))                                      (1)

after the coincidences of each pair, without noise. A line moves its cells the way in which it would with a partner of
positive sign. n is counted from the very bits of the drivers: with F_i pulses of row i, F_j of column j, and C_ij
coincidences, F_i - C_ij by the row and F_j - C_ij by the column.
"""

from __future__ import annotations

import math

import numpy as np
import torch

from rpusim.kernels.devices.base import Cells, PulsedDevice
from rpusim.kernels.pulses.specification import Drivers, both_signs, coincidences
from rpusim.kernels.pulses.trains import PulseType, UpdateParameters, train_gains

Tensor = torch.Tensor


def half_selected(
    x: Tensor, d: Tensor, strength: float, parameters: UpdateParameters, lines: tuple[int, ...], step: int
) -> tuple[Tensor, Tensor]:
    """Count the pulses of one pair that reach each cell by its row alone, and by its column alone: (rows, columns).

    x: (columns,), d: (rows,). strength: |learning rate| / granularity. parameters, lines: as for
    `specification.update`. step: the update counter of the pair.
    """
    nothing = torch.zeros(len(d), len(x), device=x.device)
    slots, gain_d, gain_x = train_gains(strength, float(x.abs().max()), float(d.abs().max()), *parameters.rule)
    if slots == 0:
        return nothing, nothing
    drivers = Drivers(lines, step, parameters)
    chance_d = drivers.chance(d.abs() * float(np.float32(gain_d)), of_rows=True)
    chance_x = drivers.chance(x.abs() * float(np.float32(gain_x)), of_rows=False)
    if parameters.pulse_type.random:
        fired_d = drivers.fire(chance_d, slots, of_rows=True).float()
        fired_x = drivers.fire(chance_x, slots, of_rows=False).float()
        met, of_rows, of_columns = fired_d.t() @ fired_x, fired_d.sum(0), fired_x.sum(0)
    else:
        met = coincidences(chance_d, chance_x, slots, parameters.pulse_type)
        of_rows, of_columns = (torch.clamp(torch.round(c * slots), max=slots) for c in (chance_d, chance_x))
    if parameters.pulse_type is PulseType.STOCHASTIC and bool(both_signs(x[None])):
        of_rows = 2 * of_rows  # once with the columns of either sign
    return of_rows[:, None] - met, of_columns - met


def disturb(
    weights: Tensor,
    cells: Cells,
    device: PulsedDevice,
    share: float,
    by_row: Tensor,
    by_column: Tensor,
    x: Tensor,
    d: Tensor,
    learning_rate: float,
    only_up: bool,
) -> None:
    """Move half-selected cells, in place: equation 1.

    weights: (rows, columns). share: h. by_row, by_column: as of `half_selected`. x: (columns,), d: (rows,), the pair.
    learning_rate: its sign counts. only_up: the array takes no down pulses.
    """
    way = math.copysign(1.0, learning_rate)
    row_up, column_up = (d * way < 0)[:, None], (x * way < 0)
    up = by_row * row_up + by_column * column_up
    down = torch.zeros_like(up) if only_up else by_row + by_column - up
    still = torch.zeros_like(weights)
    rise, fall = (device.step(weights, still, *cells.parameters(up=each)) for each in (True, False))
    weights.copy_(cells.clip(weights + share * (up * rise - down * fall)))
