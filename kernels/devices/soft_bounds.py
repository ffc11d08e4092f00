"""SoftBounds: steps shrink linearly to zero at the cell's own bounds, as in filamentary resistive memories.

    up:   size = s_up   (1 - w / b_max),     down: size = s_down (1 - w / b_min)                  (1)

with multiplicative noise (1 + sigma xi) on the whole step, or additive noise s sigma xi. It is the linear step with
gamma = 1, no spread of gamma, and the cell's own bounds. Symmetry point:
w* = (s_up - s_down) / (s_up / b_max - s_down / b_min).

Sources: Fusi & Abbott, Nat. Neurosci. 10:485 (2007); Frascaroli et al., Sci. Rep. 8:7178 (2018).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch

from rpusim.kernels import checks
from rpusim.kernels.devices.base import Cells, Draw, PulsedDevice, Steps
from rpusim.kernels.devices.linear_step import additive_step, linear_symmetry_point, multiplicative_step, over

Tensor = torch.Tensor


@dataclass(frozen=True)
class SoftBounds(PulsedDevice):
    """A device with soft bounds; besides the parameters of `PulsedDevice`:

    mult_noise: cycle-to-cycle noise is relative to the step at this weight (else to that at weight 0).
    """

    mult_noise: bool = True

    kind = "soft-bounds"

    def __post_init__(self) -> None:
        super().__post_init__()
        checks.flag("mult_noise", self.mult_noise)

    @property
    def step(self) -> Callable[..., Tensor]:
        return multiplicative_step if self.mult_noise else additive_step

    def step_parameters(self, steps: Steps, draw: Draw) -> tuple[list[Tensor], list[Tensor]]:
        slope_up, slope_down = over(-steps.up, steps.bound_max), over(-steps.down, steps.bound_min)
        return [steps.up, slope_up], [steps.down, slope_down]

    def symmetry_point(self, cells: Cells) -> Tensor:
        return linear_symmetry_point(cells)
