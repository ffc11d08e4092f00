"""PowerLaw: what models of drifting devices share; each gives three curves of the conductance.

Programming leaves a normal error, drift follows a power law with an exponent of every device's own, and reads see 1/f
noise that has grown since programming. With t seconds since programming, and xi fresh normal numbers,

    g_prog = max(g_T + program_scale sigma(g_T) xi, 0)                                                             (1)
    nu = drift_scale |mean(g_T) + std(g_T) xi|                                frozen                               (2)
    g_drift = g_prog ((t + t_0) / t_0)^-nu                                                                         (3)
    g = max(g_drift + read_scale rho(g_prog, g_drift) sqrt(ln((t + t_0 + t_read) / (2 t_read))) xi, 0)             (4)

t_0 is the time between programming and the measurement from which t counts, so that reads are noisy at t = 0 too.
"""

from __future__ import annotations

import math
from abc import abstractmethod
from dataclasses import dataclass

import torch

from rpusim.arch.contract import checks
from rpusim.kernels.base.elementwise import exp, log
from rpusim.kernels.inference.draw import CellDraw
from rpusim.kernels.inference.noise.base import NoiseModel

Tensor = torch.Tensor
_SMALLEST = 1e-7  # of g_max, for logarithms


@dataclass(frozen=True)
class PowerLaw(NoiseModel):
    """Share what models with curves over g / g_max have in common.

    g_max:        the highest conductance in siemens.
    t_0, t_read:  times in seconds, see the equations.
    program_scale, drift_scale, read_scale: factors of the three effects; 0 turns one off.
    """

    g_max: float = 25e-6
    t_0: float = 20.0
    t_read: float = 250e-9
    program_scale: float = 1.0
    drift_scale: float = 1.0
    read_scale: float = 1.0

    def __post_init__(self) -> None:
        for field in ("g_max", "t_0", "t_read"):
            checks.number(field, getattr(self, field), above=0.0)
        for field in ("program_scale", "drift_scale", "read_scale"):
            checks.number(field, getattr(self, field), low=0.0)

    @abstractmethod
    def program_deviation(self, target: Tensor) -> Tensor:
        """sigma: the standard deviation of programming, in siemens."""

    @abstractmethod
    def exponent(self, target: Tensor) -> tuple[Tensor, Tensor]:
        """Mean and standard deviation of the exponent of drift."""

    @abstractmethod
    def read_deviation(self, programmed: Tensor, drifted: Tensor) -> Tensor:
        """rho: the standard deviation of a read in siemens, without the factor that grows with time."""

    @property
    def conductance_range(self) -> tuple[float, float]:
        return 0.0, self.g_max

    def relative(self, conductance: Tensor) -> Tensor:
        """g / g_max."""
        return conductance / self.g_max

    def logarithm(self, conductance: Tensor) -> Tensor:
        """ln(g / g_max), that of a ten-millionth for less."""
        return log(self.relative(conductance).clamp(min=_SMALLEST))

    def growth(self, seconds: float) -> float:
        """The factor sqrt(ln(...)) of (4)."""
        return math.sqrt(math.log((seconds + self.t_0 + self.t_read) / (2.0 * self.t_read)))

    def programmed(self, target: Tensor, draw: CellDraw) -> Tensor:
        return (target + self.program_scale * self.program_deviation(target) * draw.normal()).clamp(min=0.0)

    def frozen(self, target: Tensor, draw: CellDraw) -> Tensor:
        mean, deviation = self.exponent(target)
        return self.drift_scale * (mean + deviation * draw.normal()).abs()

    def after(self, programmed: Tensor, frozen: Tensor, seconds: float, draw: CellDraw) -> Tensor:
        self.check_time(seconds)
        drifted = programmed * exp(frozen * -math.log((seconds + self.t_0) / self.t_0))
        deviation = self.read_scale * self.growth(seconds) * self.read_deviation(programmed, drifted)
        return (drifted + deviation * draw.normal()).clamp(min=0.0)
