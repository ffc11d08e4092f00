"""Poly and ProgNoise: noise that depends on the weight, W + W_max std_dev P(|W| / W_max) xi.

ProgNoise is that of programming: coefficients in microsiemens for devices of ``g_max``, so that std_dev = 1 is the
noise of `noise.pcm`, from which they come (Nandakumar et al., ICECS 2019: P is sigma over g / g_max); a weight that
noise would carry through zero is reflected, as no conductance is negative.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch

from rpusim.arch.contract import checks
from rpusim.errors import InputError
from rpusim.kernels.inference.draw import CellDraw
from rpusim.kernels.inference.modifiers.base import Modifier, Tensor
from rpusim.kernels.inference.noise.base import polynomial


@dataclass(frozen=True)
class Poly(Modifier):
    """Add noise that depends on the weight.

    std_dev:  a factor of the noise.
    coeffs:   coefficients of P, by power of |W| / W_max.

    The default is that of IBM's analog hardware acceleration kit (Rasch et al. 2021): P of `ProgNoise` in units of
    g_max to within 3 %.
    """

    std_dev: float
    coeffs: tuple[float, ...] = (0.0105392, 0.0768, -0.046925)

    kind = "poly"

    def __post_init__(self) -> None:
        super().__post_init__()
        checks.number("std_dev", self.std_dev, low=0.0)
        object.__setattr__(self, "coeffs", tuple(self.coeffs))
        for coefficient in self.coeffs:
            checks.number("coeffs", coefficient)
        if not self.coeffs:
            raise InputError("coeffs: none were given; accepted is at least one number")

    def modified(self, weights: Tensor, largest: float, draw: CellDraw) -> Tensor:
        if largest == 0.0:
            return weights
        return weights + largest * self.std_dev * polynomial(self.coeffs, weights.abs() / largest) * draw.normal()


@dataclass(frozen=True)
class ProgNoise(Poly):
    """Add the noise of programming phase-change memory.

    std_dev:  a factor of the noise.
    coeffs:   coefficients of P in microsiemens, by power of |W| / W_max.
    g_max:    the highest conductance in siemens.
    """

    std_dev: float = 1.0
    coeffs: tuple[float, ...] = (0.26348, 1.9650, -1.1731)
    g_max: float = 25e-6

    kind = "prog-noise"

    def __post_init__(self) -> None:
        super().__post_init__()
        checks.number("g_max", self.g_max, above=0.0)

    def modified(self, weights: Tensor, largest: float, draw: CellDraw) -> Tensor:
        if largest == 0.0:
            return weights
        deviation = polynomial(self.coeffs, weights.abs() / largest) * (largest * self.std_dev * 1e-6 / self.g_max)
        return torch.sign(weights) * (weights + deviation * draw.normal()).abs()
