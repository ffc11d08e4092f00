"""SoftBounds: steps shrink linearly to zero at the cell's own bounds, as in filamentary resistive memories.

    up:   size = s_up   (1 - w / b_max),     down: size = s_down (1 - w / b_min)                  (1)

with multiplicative noise (1 + sigma xi) on the whole step, or additive noise s sigma xi. It is the linear step with
gamma = 1, no spread of gamma, and the cell's own bounds. Symmetry point:
w* = (s_up - s_down) / (s_up / b_max - s_down / b_min).

Sources: Fusi & Abbott, Nat. Neurosci. 10:485 (2007); Frascaroli et al., Sci. Rep. 8:7178 (2018).
"""

from __future__ import annotations

from dataclasses import dataclass

import torch

from rpusim.kernels.devices.base import Draw, Steps
from rpusim.kernels.devices.models.linear_step import Falling

Tensor = torch.Tensor


@dataclass(frozen=True)
class SoftBounds(Falling):
    """A device with soft bounds; parameters as for `PulsedDevice` and `Falling`."""

    kind = "soft-bounds"

    def step_parameters(self, steps: Steps, draw: Draw) -> tuple[list[Tensor], list[Tensor]]:
        return self.falling(steps, 1.0, 1.0, steps.bound_max, steps.bound_min)
