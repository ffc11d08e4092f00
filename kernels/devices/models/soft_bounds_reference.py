"""SoftBoundsReference: soft bounds on the state v = w + reference, with a spread of the slopes.

    up: size = s_up (1 - v / b_max + sigma xi),    down: size = s_down (1 - v / b_min + sigma xi)     (1)

with additive noise, which is the default, or with (1 + sigma xi) on the whole step. A slope s / b that varies between
cells at a fixed step s means a bound that varies: b_max <- b_max / |1 + slope_up_dtod xi|, likewise b_min. The symmetry
point of v is (s_up - s_down) / (s_up / b_max - s_down / b_min); `reference` tells what follows for w.

Fitted to arrays of resistive memories by Gong, Rasch et al., IEDM 2022.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import torch

from rpusim.arch.contract import checks
from rpusim.kernels.devices.base import Cells, Draw, Steps
from rpusim.kernels.devices.models.linear_step import multiplicative_step
from rpusim.kernels.devices.reference import Referenced
from rpusim.kernels.devices.symmetry import linear_symmetry_point

Tensor = torch.Tensor


def additive_step(weight: Tensor, noise: Tensor, size: Tensor, slope: Tensor, scale: Tensor) -> Tensor:
    """Compute equation 1 in terms of w: ``size``, at w = 0, contains the reference; the scale of the noise does not."""
    return size + slope * weight + scale * noise


@dataclass(frozen=True)
class SoftBoundsReference(Referenced):
    """Soft bounds with a reference; besides the parameters of `Referenced`:

    mult_noise: cycle-to-cycle noise is relative to the step at this weight (else to that at v = 0).
    slope_up_dtod, slope_down_dtod: relative spread of the slopes, realised as a spread of the bounds.
    """

    mult_noise: bool = False
    slope_up_dtod: float = 0.0
    slope_down_dtod: float = 0.0

    kind = "soft-bounds-reference"

    def __post_init__(self) -> None:
        super().__post_init__()
        checks.flag("mult_noise", self.mult_noise)
        for field in ("slope_up_dtod", "slope_down_dtod"):
            checks.number(field, getattr(self, field), low=0.0)

    @property
    def step(self) -> Callable[..., Tensor]:
        return multiplicative_step if self.mult_noise else additive_step

    def vary(self, steps: Steps, draw: Draw) -> Steps:
        alive = (steps.bound_min < 0) & (steps.bound_max > 0)
        top = steps.bound_max / (1.0 + self.slope_up_dtod * draw.normal()).abs()
        bottom = steps.bound_min / (1.0 + self.slope_down_dtod * draw.normal()).abs()
        return replace(
            steps,
            bound_max=torch.where(alive, top, steps.bound_max),
            bound_min=torch.where(alive, bottom, steps.bound_min),
        )

    def step_parameters(self, steps: Steps, draw: Draw) -> tuple[list[Tensor], list[Tensor]]:
        slope_up = torch.where(steps.bound_max > 0, -steps.up / steps.bound_max, 0.0)
        slope_down = torch.where(steps.bound_min < 0, -steps.down / steps.bound_min, 0.0)
        if self.mult_noise:
            return [steps.up, slope_up], [steps.down, slope_down]
        return [steps.up, slope_up, steps.up], [steps.down, slope_down, steps.down]

    def shifted(self, parameters: list[Tensor], reference: Tensor) -> list[Tensor]:
        size, slope, *scale = parameters
        return [size + slope * reference, slope, *scale]

    def symmetry_point(self, cells: Cells) -> Tensor:
        return linear_symmetry_point(cells)
