"""PowStep: the size of a pulse is a power of the distance to the bound that it moves towards.

    up:   size = s_up   ((b_max - w) / (b_max - b_min))^gamma_up   (1 + sigma xi)                  (1)
    down: size = s_down ((w - b_min) / (b_max - b_min))^gamma_down (1 + sigma xi)                  (2)

gamma = 1 gives soft bounds with twice the step at a bound, gamma = 0 a constant step. The exponents vary from cell to
cell as step sizes do: a part common to both directions, an asymmetry opposite in them. The symmetry point is the root
of (1) = (2).

Kept from IBM's analog hardware acceleration kit (Rasch et al. 2021); such power laws describe the cumulative response
of filamentary memories, for example Frascaroli et al., Sci. Rep. 8:7178 (2018).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch

from rpusim.arch.contract import checks
from rpusim.kernels.base.elementwise import power
from rpusim.kernels.devices.base import Cells, Draw, PulsedDevice, Steps
from rpusim.kernels.devices.symmetry import bracketed_symmetry_point
from rpusim.kernels.devices.variation import over

Tensor = torch.Tensor


def power_step(weight: Tensor, noise: Tensor, size: Tensor, edge: Tensor, slope: Tensor, exponent: Tensor) -> Tensor:
    """Compute equations 1 and 2; ``slope`` (weight - ``edge``) is the distance to the bound ahead, from 0 to 1."""
    here = size * power(slope * (weight - edge), exponent)
    return here + here * noise


@dataclass(frozen=True)
class PowStep(PulsedDevice):
    """A device with a power-law response; besides the parameters of `PulsedDevice`:

    pow_gamma, pow_gamma_dtod:     mean exponent, its relative spread, common to both directions.
    pow_up_down, pow_up_down_dtod: systematic asymmetry of the exponents and its spread, as for step sizes.
    """

    pow_gamma: float = 1.0
    pow_gamma_dtod: float = 0.1
    pow_up_down: float = 0.0
    pow_up_down_dtod: float = 0.0

    kind = "pow-step"

    def __post_init__(self) -> None:
        super().__post_init__()
        for field in ("pow_gamma", "pow_gamma_dtod", "pow_up_down_dtod"):
            checks.number(field, getattr(self, field), low=0.0)
        checks.number("pow_up_down", self.pow_up_down, low=-1.0, high=1.0)

    @property
    def step(self) -> Callable[..., Tensor]:
        return power_step

    @property
    def granularity(self) -> float:
        """The step midway between the bounds."""
        midway: float = 0.5**self.pow_gamma
        return self.dw_min * midway

    def step_parameters(self, steps: Steps, draw: Draw) -> tuple[list[Tensor], list[Tensor]]:
        gain = 1.0 + self.pow_gamma_dtod * draw.normal()
        asymmetry = self.pow_up_down_dtod * draw.normal()
        exponent_up = (gain + min(self.pow_up_down, 0.0) + asymmetry) * self.pow_gamma
        exponent_down = (gain - max(self.pow_up_down, 0.0) - asymmetry) * self.pow_gamma
        if self.enforce_consistency:
            exponent_up, exponent_down = exponent_up.abs(), exponent_down.abs()
        per_range = over(torch.ones_like(gain), steps.range)
        return [steps.up, steps.bound_max, -per_range, exponent_up], [
            steps.down,
            steps.bound_min,
            per_range,
            exponent_down,
        ]

    def symmetry_point(self, cells: Cells) -> Tensor:
        return bracketed_symmetry_point(self.step, cells)
