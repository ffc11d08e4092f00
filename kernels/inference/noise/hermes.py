"""Hermes: the phase-change devices of IBM's HERMES chip, one or two of them for each sign of a weight.

The equations are those of `power_law` and, for reads, of `pcm`: rho = Q(x) g_drift, x = g / g_max. Polynomials in x
and, below a bound, clipped logarithms, fitted for IBM's analog hardware acceleration kit (Rasch et al. 2021) to
Khaddam-Aljameh et al., IEEE J. Solid-State Circuits 57:1027 (2022) and Le Gallo et al., Nat. Electron. 6:680 (2023).
"""

from __future__ import annotations

from dataclasses import dataclass

import torch

from rpusim.errors import InputError
from rpusim.kernels.inference.noise.base import MICRO, polynomial
from rpusim.kernels.inference.noise.power_law import PowerLaw

Tensor = torch.Tensor


@dataclass(frozen=True)
class _Curve:
    """Compute clip(slope ln x + offset, low, high) below ``border``, a polynomial of x from there on."""

    border: float
    slope: float
    offset: float
    low: float
    high: float
    coefficients: tuple[float, ...]

    def __call__(self, x: Tensor, logarithm: Tensor) -> Tensor:
        below = (self.slope * logarithm + self.offset).clamp(self.low, self.high)
        return torch.where(x < self.border, below, polynomial(self.coefficients, x))


_MEAN = _Curve(0.0945, -0.0387, -0.0182, 0.0720, 0.13, (0.0736, -0.0126, -0.0436))


@dataclass(frozen=True)
class _Fit:
    """Hold what was measured with so many devices: g_max in siemens, t_0 in seconds, errors in microsiemens."""

    g_max: float
    t_0: float
    program: tuple[float, ...]
    spread: _Curve
    read: _Curve


_FITS = {
    1: _Fit(
        10.35e-6,
        200.0,
        (0.15781817, 2.32443916, -2.16310839, 0.68841818),
        _Curve(0.3039, -0.0120, -0.0023, 0.0124, 0.04, (0.0104, 0.0116, -0.0165)),
        _Curve(0.1591, -0.0078, 0.0038, 0.0179, 0.04, (0.0088, 0.0768, -0.1352, 0.0664)),
    ),
    2: _Fit(
        20.7e-6,
        300.0,
        (0.16603222, 4.71806468, -8.48101252, 4.68961419),
        _Curve(0.3055, -0.0117, -0.0057, 0.0091, 0.04, (0.0073, 0.0093, -0.0118)),
        _Curve(0.16, -0.0117, -0.0069, 0.015, 0.04, (0.0123, 0.0211, -0.0280, 0.0069)),
    ),
}


@dataclass(frozen=True)
class Hermes(PowerLaw):
    """Model the phase-change memory of the HERMES chip.

    devices_per_sign: 1 or 2 devices that share a sign. g_max, t_0: as measured with so many unless given (0).
    Other parameters as for `PowerLaw`.
    """

    g_max: float = 0.0
    t_0: float = 0.0
    t_read: float = 512e-9
    devices_per_sign: int = 2

    kind = "hermes"

    def __post_init__(self) -> None:
        if self.devices_per_sign not in _FITS:
            raise InputError(f"devices_per_sign: {self.devices_per_sign!r} was given; accepted are 1 and 2")
        object.__setattr__(self, "g_max", self.g_max or self._fit.g_max)
        object.__setattr__(self, "t_0", self.t_0 or self._fit.t_0)
        super().__post_init__()

    @property
    def _fit(self) -> _Fit:
        return _FITS[self.devices_per_sign]

    def program_deviation(self, target: Tensor) -> Tensor:
        return polynomial(self._fit.program, self.relative(target)) * (MICRO * self.g_max / self._fit.g_max)

    def exponent(self, target: Tensor) -> tuple[Tensor, Tensor]:
        x, logarithm = self.relative(target), self.logarithm(target)
        return _MEAN(x, logarithm), self._fit.spread(x, logarithm)

    def read_deviation(self, programmed: Tensor, drifted: Tensor) -> Tensor:
        return drifted * self._fit.read(self.relative(programmed), self.logarithm(programmed))
