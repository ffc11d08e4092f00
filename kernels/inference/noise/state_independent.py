"""StateIndependent: the same noise whatever the conductance, to see what the shape of the curves matters.

    sigma = 0.2 microsiemens,    nu = |0.1 + 0.05 xi|,    rho = g_drift / g_max microsiemens                       (1)

in the equations of `power_law`. Not a measured device; the numbers are those of IBM's analog hardware acceleration kit
(Rasch et al. 2021).
"""

from __future__ import annotations

from dataclasses import dataclass

import torch

from rpusim.arch.contract import checks
from rpusim.kernels.inference.noise.base import MICRO
from rpusim.kernels.inference.noise.power_law import PowerLaw

Tensor = torch.Tensor


@dataclass(frozen=True)
class StateIndependent(PowerLaw):
    """Model noise that is the same for every conductance.

    program_std:      standard deviation of programming, in siemens.
    nu_mean, nu_std:  mean and standard deviation of the exponent of drift.
    read_std:         standard deviation of a read in siemens, of a device at g_max.
    Other parameters as for `PowerLaw`.
    """

    program_std: float = 0.2 * MICRO
    nu_mean: float = 0.1
    nu_std: float = 0.05
    read_std: float = MICRO

    kind = "state-independent"

    def __post_init__(self) -> None:
        super().__post_init__()
        for field in ("program_std", "nu_mean", "nu_std", "read_std"):
            checks.number(field, getattr(self, field), low=0.0)

    def program_deviation(self, target: Tensor) -> Tensor:
        return torch.full_like(target, self.program_std)

    def exponent(self, target: Tensor) -> tuple[Tensor, Tensor]:
        return torch.full_like(target, self.nu_mean), torch.full_like(target, self.nu_std)

    def read_deviation(self, programmed: Tensor, drifted: Tensor) -> Tensor:
        return self.relative(drifted) * self.read_std
