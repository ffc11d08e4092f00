"""ReRamCMO: CMO/HfOx resistive memory, written until it is within 0.2 % or 2 % of its target. In microsiemens,

    sigma = c_0 + c_1 g        c = (0.00081107, 0.00106879) for 0.2 %,  (0.0112185391, 0.01129027418) for 2 %      (1)
    g_relaxed = g_prog - 0.08900206 ln t + (0.04201137 ln t + 0.41183342) xi                                       (2)
    g = clip(g_relaxed + 0.0277316483 log10(g_relaxed) sqrt(ln((t + t_read) / (2 t_read))) xi, g_min, g_max)       (3)

from 1 second on, t_read being a microsecond; a read at 0 seconds sees what was programmed.

Falcone et al., "All-in-one analog AI hardware: on-chip training and inference with conductive-metal-oxide/HfOx ReRAM
devices", Adv. Funct. Mater. (2025), as fitted for IBM's analog hardware acceleration kit (Rasch et al. 2021).
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch

from rpusim.arch.contract import checks
from rpusim.errors import InputError
from rpusim.kernels.base.elementwise import log
from rpusim.kernels.inference.converters.n_pair import check_range
from rpusim.kernels.inference.draw import CellDraw
from rpusim.kernels.inference.noise.base import MICRO, NoiseModel

Tensor = torch.Tensor

_PROGRAM = {0.002: (0.00081107, 0.00106879), 0.02: (0.0112185391, 0.01129027418)}
_READ_SECONDS = 1e-6


@dataclass(frozen=True)
class ReRamCMO(NoiseModel):
    """Model CMO/HfOx resistive memory.

    acceptance: 0.002 or 0.02, how near to its target a device is written, as a fraction of it.
    g_min, g_max: the range of a device in siemens.
    program_scale, drift_scale, read_scale: factors of the three effects.
    """

    acceptance: float = 0.02
    g_max: float = 88.199997e-6
    g_min: float = 9e-6
    program_scale: float = 1.0
    drift_scale: float = 1.0
    read_scale: float = 1.0

    kind = "reram-cmo"

    def __post_init__(self) -> None:
        if self.acceptance not in _PROGRAM:
            raise InputError(f"acceptance: {self.acceptance!r} was given; accepted are 0.002 and 0.02")
        check_range(self.g_min, self.g_max)
        for field in ("program_scale", "drift_scale", "read_scale"):
            checks.number(field, getattr(self, field), low=0.0)

    @property
    def conductance_range(self) -> tuple[float, float]:
        return self.g_min, self.g_max

    def check_time(self, seconds: float) -> None:
        super().check_time(seconds)
        if 0.0 < seconds < 1.0:
            raise InputError(
                f"seconds: {seconds!r} was given; {self.kind} was measured from 1 second after programming on; "
                "accepted are 0 and times from 1 on"
            )

    def program_deviation(self, target: Tensor) -> Tensor:
        """Equation 1, in siemens."""
        constant, slope = _PROGRAM[self.acceptance]
        return constant * MICRO + slope * target

    def relaxation(self, seconds: float) -> tuple[float, float]:
        """Mean and standard deviation of what equation 2 adds, in siemens."""
        logarithm = math.log(seconds)
        return -0.08900206 * logarithm * MICRO, (0.04201137 * logarithm + 0.41183342) * MICRO

    def read_deviation(self, conductance: Tensor, seconds: float) -> Tensor:
        """The standard deviation of a read in equation 3, in siemens."""
        growth = math.sqrt(math.log((seconds + _READ_SECONDS) / (2.0 * _READ_SECONDS)))
        decades = log((conductance / MICRO).clamp(min=1.0)) / math.log(10.0)
        return 0.0277316483 * MICRO * growth * decades

    def programmed(self, target: Tensor, draw: CellDraw) -> Tensor:
        return (target + self.program_scale * self.program_deviation(target) * draw.normal()).clamp(min=0.0)

    def after(self, programmed: Tensor, frozen: Tensor, seconds: float, draw: CellDraw) -> Tensor:
        self.check_time(seconds)
        if seconds == 0.0:
            return programmed
        mean, deviation = self.relaxation(seconds)
        relaxed = programmed + self.drift_scale * (mean + deviation * draw.normal())
        read = self.read_scale * self.read_deviation(relaxed, seconds) * draw.normal()
        return (relaxed + read).clamp(self.g_min, self.g_max)
