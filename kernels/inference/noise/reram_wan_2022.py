"""ReRamWan2022: resistive memory of the NeuRRAM chip, as it was measured 1 second, 1 day and 2 days after programming.

Conductances relax within seconds to a distribution around their targets that then hardly moves. With x = g / g_max,

    g(t) = max(g_T + scale sigma_t(x) xi, 0),    sigma_t = sum_k c_k(t) x^k  g_max / 40        microsiemens        (1)

drawn anew for each time; programming leaves that of 1 second. Other times were not measured and are refused.

The devices of the paper were programmed up to 40 microsiemens, which is the range here; another ``g_max`` scales the
noise with it.

Wan et al., Nature 608:504 (2022); polynomials as fitted for IBM's analog hardware acceleration kit (Rasch et al. 2021)
with g_max = 40 microsiemens.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch

from rpusim.arch.contract import checks
from rpusim.errors import InputError
from rpusim.kernels.inference.draw import CellDraw
from rpusim.kernels.inference.noise.base import MICRO, NoiseModel, polynomial

Tensor = torch.Tensor

_DAY = 86400.0
_REFERENCE = 40e-6
_COEFFICIENTS = {
    1.0: (0.348, 16.030, -43.853, 45.393, -16.815),
    _DAY: (0.701, 22.086, -50.773, 47.095, -16.458),
    2 * _DAY: (0.782, 20.274, -43.507, 37.062, -11.934),
}


@dataclass(frozen=True)
class ReRamWan2022(NoiseModel):
    """Model resistive memory; g_max: the highest conductance in siemens; scale: a factor of the noise."""

    g_max: float = _REFERENCE
    scale: float = 1.0

    kind = "reram-wan-2022"
    around_target = True

    def __post_init__(self) -> None:
        checks.number("g_max", self.g_max, above=0.0)
        checks.number("scale", self.scale, low=0.0)

    @property
    def conductance_range(self) -> tuple[float, float]:
        return 0.0, self.g_max

    def check_time(self, seconds: float) -> None:
        super().check_time(seconds)
        if seconds not in _COEFFICIENTS:
            times = " and ".join(f"{time:.0f}" for time in list(_COEFFICIENTS)[1:])
            raise InputError(
                f"seconds: {seconds!r} was given; {self.kind} was measured 1, {times} seconds after programming, and "
                "only these are accepted"
            )

    def deviation(self, target: Tensor, seconds: float) -> Tensor:
        """The standard deviation in siemens at one of the measured times."""
        self.check_time(seconds)
        return polynomial(_COEFFICIENTS[seconds], target / self.g_max) * (MICRO * self.g_max / _REFERENCE)

    def programmed(self, target: Tensor, draw: CellDraw) -> Tensor:
        return self.after(target, target, 1.0, draw)

    def frozen(self, target: Tensor, draw: CellDraw) -> Tensor:
        """The target itself."""
        return target

    def after(self, programmed: Tensor, frozen: Tensor, seconds: float, draw: CellDraw) -> Tensor:
        return (frozen + self.scale * self.deviation(frozen, seconds) * draw.normal()).clamp(min=0.0)
