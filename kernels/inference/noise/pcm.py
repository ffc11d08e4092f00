"""PCM: doped Ge2Sb2Te5 phase-change memory after write and verify, the usual model of it. With x = g / g_max,

    sigma(g) = (0.26348 + 1.9650 x - 1.1731 x^2) g_max / 25                                    microsiemens        (1)
    mean of nu = clip(-0.0155 ln x + 0.0244, 0.049, 0.1)                                                           (2)
    std of nu = clip(-0.0125 ln x - 0.0059, 0.008, 0.045)                                                          (3)
    rho = g_drift min(0.0088 / max(x_prog^0.65, 0.001), 0.2)                                                       (4)

in the equations of `power_law`. Nandakumar et al., "Phase-change memory models for deep learning training and
inference", ICECS 2019: a million devices, and drift over a year extrapolated from hours.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch

from rpusim.arch.contract import checks
from rpusim.kernels.base.elementwise import power
from rpusim.kernels.inference.noise.base import MICRO, polynomial
from rpusim.kernels.inference.noise.power_law import PowerLaw

Tensor = torch.Tensor


@dataclass(frozen=True)
class PCM(PowerLaw):
    """Model phase-change memory.

    program_coefficients: of (1), by power of x, in microsiemens for devices of g_max ``program_reference`` siemens;
    others have errors in proportion. Other parameters as for `PowerLaw`.
    """

    program_coefficients: tuple[float, ...] = (0.26348, 1.9650, -1.1731)
    program_reference: float = 25e-6

    kind = "pcm"

    def __post_init__(self) -> None:
        super().__post_init__()
        object.__setattr__(self, "program_coefficients", tuple(self.program_coefficients))
        for coefficient in self.program_coefficients:
            checks.number("program_coefficients", coefficient)
        checks.number("program_reference", self.program_reference, above=0.0)

    def program_deviation(self, target: Tensor) -> Tensor:
        per_siemens = MICRO * self.g_max / self.program_reference
        return polynomial(self.program_coefficients, self.relative(target)) * per_siemens

    def exponent(self, target: Tensor) -> tuple[Tensor, Tensor]:
        logarithm = self.logarithm(target)
        return (-0.0155 * logarithm + 0.0244).clamp(0.049, 0.1), (-0.0125 * logarithm - 0.0059).clamp(0.008, 0.045)

    def read_deviation(self, programmed: Tensor, drifted: Tensor) -> Tensor:
        x = self.relative(programmed)
        share = 0.0088 / power(x, torch.full_like(x, 0.65)).clamp(min=1e-3)
        return drifted * share.clamp(max=0.2)
