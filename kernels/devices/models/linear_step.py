"""LinearStep: the size of a pulse falls linearly with the weight, as in capacitors and electrochemical memories.

    size = (s + slope w)(1 + sigma xi)      with multiplicative noise                             (1)
    size =  s (1 + sigma xi) + slope w      with additive noise                                   (2)
    slope_up = -gamma_up s_up / r_up,  slope_down = -gamma_down s_down / r_down                   (3)

so that an up step is s_up (1 - gamma_up w / w_max) and a down step s_down (1 - gamma_down w / w_min); the references r
are the mean bounds or each cell's own. Symmetry point: w* = (s_up - s_down) / (slope_down - slope_up).

A reversed direction has its reference at the other bound, ``reverse_offset`` beyond it: its steps shrink where they
would otherwise grow.

Used for the electrochemical device of Tang et al. (IEDM 2018) and the capacitor of Li et al. (VLSI 2018).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch

from rpusim.arch.contract import checks
from rpusim.errors import InputError
from rpusim.kernels.devices.base import Cells, Draw, PulsedDevice, Steps
from rpusim.kernels.devices.symmetry import linear_symmetry_point
from rpusim.kernels.devices.variation import over

Tensor = torch.Tensor


def multiplicative_step(weight: Tensor, noise: Tensor, size: Tensor, slope: Tensor) -> Tensor:
    """Compute equation 1."""
    here = size + slope * weight
    return here + here * noise


def additive_step(weight: Tensor, noise: Tensor, size: Tensor, slope: Tensor) -> Tensor:
    """Compute equation 2."""
    return size + slope * weight + size * noise


@dataclass(frozen=True)
class Falling(PulsedDevice):
    """What linear steps and soft bounds share; besides the parameters of `PulsedDevice`:

    mult_noise:     cycle-to-cycle noise is relative to the step at this weight (else to that at weight 0).
    reverse_up, reverse_down: steps of this direction shrink towards the other bound; only with ``mult_noise``.
    reverse_offset: how far beyond that bound they would vanish.
    """

    mult_noise: bool = True
    reverse_up: bool = False
    reverse_down: bool = False
    reverse_offset: float = 0.01

    def __post_init__(self) -> None:
        super().__post_init__()
        for field in ("mult_noise", "reverse_up", "reverse_down"):
            checks.flag(field, getattr(self, field))
        checks.number("reverse_offset", self.reverse_offset, low=0.0)
        for field in ("reverse_up", "reverse_down"):
            if getattr(self, field) and not self.mult_noise:
                raise InputError(
                    f"{field}: True was given with mult_noise False; accepted is False, or mult_noise True"
                )

    @property
    def step(self) -> Callable[..., Tensor]:
        return multiplicative_step if self.mult_noise else additive_step

    def falling(
        self, steps: Steps, gamma_up: Tensor | float, gamma_down: Tensor | float, top: Tensor, bottom: Tensor
    ) -> tuple[list[Tensor], list[Tensor]]:
        """Compute the parameters of both directions by equation 3: [size, slope] for up, [size, slope] for down.

        steps: as drawn. gamma_up, gamma_down: numbers, or tensors (rows, columns). top, bottom: references r_up and
        r_down (rows, columns), which reversed directions exchange.
        """
        of_up = bottom - self.reverse_offset if self.reverse_up else top
        of_down = top + self.reverse_offset if self.reverse_down else bottom
        slope_up, slope_down = over(-gamma_up * steps.up, of_up), over(-gamma_down * steps.down, of_down)
        return [steps.up, slope_up], [steps.down, slope_down]

    def symmetry_point(self, cells: Cells) -> Tensor:
        return linear_symmetry_point(cells)


@dataclass(frozen=True)
class LinearStep(Falling):
    """A device with linearly weight-dependent steps; besides the parameters of `PulsedDevice` and `Falling`:

    gamma_up, gamma_down:           relative loss of step size from weight 0 to the bound; 0 is a constant step.
    gamma_up_dtod, gamma_down_dtod: their spread (absolute).
    allow_increasing:               keep negative gammas that the spread produced (else their absolute value counts).
    mean_bound_reference:           slopes refer to the mean bounds w_max, w_min instead of the cell's own.
    """

    gamma_up: float = 0.0
    gamma_down: float = 0.0
    gamma_up_dtod: float = 0.05
    gamma_down_dtod: float = 0.05
    allow_increasing: bool = False
    mean_bound_reference: bool = True

    kind = "linear-step"

    def __post_init__(self) -> None:
        super().__post_init__()
        for field in ("gamma_up", "gamma_down"):
            checks.number(field, getattr(self, field))
        for field in ("gamma_up_dtod", "gamma_down_dtod"):
            checks.number(field, getattr(self, field), low=0.0)
        for field in ("allow_increasing", "mean_bound_reference"):
            checks.flag(field, getattr(self, field))

    def step_parameters(self, steps: Steps, draw: Draw) -> tuple[list[Tensor], list[Tensor]]:
        gamma_up = self.gamma_up + self.gamma_up_dtod * draw.normal()
        gamma_down = self.gamma_down + self.gamma_down_dtod * draw.normal()
        if not self.allow_increasing:
            gamma_up, gamma_down = gamma_up.abs(), gamma_down.abs()
        top, bottom = steps.bound_max, steps.bound_min
        if self.mean_bound_reference:
            top, bottom = torch.full_like(top, self.w_max), torch.full_like(bottom, self.w_min)
        return self.falling(steps, gamma_up, gamma_down, top, bottom)
