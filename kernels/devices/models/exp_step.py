"""ExpStep: steps that saturate exponentially towards a bound, fitted to measured resistive and phase-change memories.

    z = 2 a w / (b_max - b_min) + b                                                               (1)
    up:   y = max(1 - A_up   exp(+gamma_up   z), 0)                                               (2)
    down: y = max(1 - A_down exp(-gamma_down z), 0)                                               (3)
    size = s y (1 + sigma xi)                                       simple noise                  (4)
    size = s y + sigma xi (|s y| + dw_min_std_add + dw_min_std_slope |w|)   with either not 0     (5)

The shape parameters are those of the whole array; steps and bounds vary from cell to cell. Negative A make steps grow
beyond s. The symmetry point is the root of the two sizes.

Source: Gong et al., Nat. Commun. 9:2102 (2018); (5) for phase-change memory: Nandakumar et al., Front. Neurosci. 14:406
(2020). Parameters as in IBM's analog hardware acceleration kit (Rasch et al. 2021).
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import torch

from rpusim.arch.contract import checks
from rpusim.kernels.base.elementwise import complement, exp, positive
from rpusim.kernels.devices.base import Cells, Draw, PulsedDevice, Steps
from rpusim.kernels.devices.symmetry import bracketed_symmetry_point
from rpusim.kernels.devices.variation import over

Tensor = torch.Tensor


def simple_step(weight: Tensor, noise: Tensor, size: Tensor, amplitude: Tensor, rate: Tensor) -> Tensor:
    """Compute equation 4; ``amplitude`` exp(``rate`` w) is what (2) or (3) subtract from 1."""
    here = size * positive(complement(amplitude * exp(rate * weight)))
    return here + here * noise


def complex_step(
    weight: Tensor, noise: Tensor, size: Tensor, amplitude: Tensor, rate: Tensor, floor: Tensor, slope: Tensor
) -> Tensor:
    """Compute equation 5; ``floor`` and ``slope`` are dw_min_std_add and dw_min_std_slope."""
    here = size * positive(complement(amplitude * exp(rate * weight)))
    return here + noise * (abs(here) + floor + slope * abs(weight))


@dataclass(frozen=True)
class ExpStep(PulsedDevice):
    """A device with exponential saturation; besides the parameters of `PulsedDevice`:

    A_up, A_down, gamma_up, gamma_down, a, b: the shape, equations 1 to 3, without unit.
    dw_min_std_add, dw_min_std_slope: what equation 5 adds to the step before noise: in weight, and as a part of |w|.
    """

    A_up: float = 0.00081
    A_down: float = 0.36833
    gamma_up: float = 12.44625
    gamma_down: float = 12.78785
    a: float = 0.244
    b: float = 0.2425
    dw_min_std_add: float = 0.0
    dw_min_std_slope: float = 0.0

    kind = "exp-step"

    def __post_init__(self) -> None:
        super().__post_init__()
        for field in ("A_up", "A_down", "gamma_up", "gamma_down", "a", "b"):
            checks.number(field, getattr(self, field))
        for field in ("dw_min_std_add", "dw_min_std_slope"):
            checks.number(field, getattr(self, field), low=0.0)
        for field, exponent in (("gamma_up", self.gamma_up * self.b), ("gamma_down", -self.gamma_down * self.b)):
            checks.number(f"exponent {field} * b", exponent, low=-80.0, high=80.0)

    @property
    def _complex(self) -> bool:
        return self.dw_min_std_add > 0.0 or self.dw_min_std_slope > 0.0

    @property
    def step(self) -> Callable[..., Tensor]:
        return complex_step if self._complex else simple_step

    @property
    def granularity(self) -> float:
        """The down step of the mean cell at weight 0, asymmetry included, as in IBM's kit; dw_min if there is none.

        For a device whose up steps differ much from it (PCM), scale the learning rate or the granularity of a cell.
        """
        share = 1.0 - self.A_down * math.exp(-self.gamma_down * self.b)
        return self.dw_min * (1.0 - max(self.up_down, 0.0)) * share if share > 0.0 else self.dw_min

    def step_parameters(self, steps: Steps, draw: Draw) -> tuple[list[Tensor], list[Tensor]]:
        per_weight = over(torch.full_like(steps.up, 2.0 * self.a), steps.range)
        sides = []
        for size, amplitude, gamma in (
            (steps.up, self.A_up, self.gamma_up),
            (steps.down, self.A_down, -self.gamma_down),
        ):
            alive = torch.where(steps.range > 0, size, 0.0)
            shape = [alive, torch.full_like(size, amplitude * math.exp(gamma * self.b)), gamma * per_weight]
            if self._complex:
                for noise in (self.dw_min_std_add, self.dw_min_std_slope):
                    shape.append(torch.where(steps.range > 0, noise, torch.zeros_like(size)))
            sides.append(shape)
        return sides[0], sides[1]

    def symmetry_point(self, cells: Cells) -> Tensor:
        return bracketed_symmetry_point(self.step, cells)
