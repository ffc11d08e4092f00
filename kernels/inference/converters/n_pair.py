"""NPair: several pairs of devices per weight, each with a significance of its own, as in multi-PCM synapses.

With significances f_k, r = sum_k f_k (g_max - g_min) / max|W| and lower_k the sum of what the less significant pairs
hold, devices of the sign of the weight take, least significant pair first,

    g_k = g_min + clip((|r W| - lower_k) / f_k, 0, g_max - g_min),    lower_k+1 = lower_k + f_k (g_max - g_min)      (1)

and those of the other sign g_min; the weight is W = sum_k f_k (g+_k - g-_k) / r.

Le Gallo et al., Neuromorph. Comput. Eng. 2:014009 (2022) and Mackin et al., Nat. Commun. 13:3765 (2022) program weights
on two pairs in such ways.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch

from rpusim.arch.contract import checks
from rpusim.errors import InputError
from rpusim.kernels.inference.converters.base import Converter, Fit, largest

Tensor = torch.Tensor


@dataclass(frozen=True)
class NPair(Converter):
    """Let pairs of devices of different significance stand for a weight.

    significances:  a factor for the current of each pair.
    g_max, g_min:   range of a device in siemens.
    """

    significances: tuple[float, ...] = (1.0,)
    g_max: float = 25e-6
    g_min: float = 0.0

    kind = "n-pair"

    def __post_init__(self) -> None:
        object.__setattr__(self, "significances", tuple(self.significances))
        check_range(self.g_min, self.g_max)
        for factor in self.significances:
            checks.number("significances", factor, above=0.0)
        if not self.significances:
            raise InputError("significances: none were given; accepted is a number > 0 for each pair")

    @property
    def devices(self) -> int:
        return 2 * len(self.significances)

    @property
    def conductance_range(self) -> tuple[float, float]:
        return self.g_min, self.g_max

    def fit(self, weights: Tensor) -> Fit:
        return (sum(self.significances) * (self.g_max - self.g_min) / largest(weights),)

    def conductances(self, weights: Tensor, fit: Fit) -> list[Tensor]:
        signal, span = weights * fit[0], self.g_max - self.g_min
        found: dict[int, tuple[Tensor, Tensor]] = {}
        lower = 0.0
        for pair in sorted(range(len(self.significances)), key=self.significances.__getitem__):
            factor = self.significances[pair]
            held = ((signal.abs() - lower) / factor).clamp(0.0, span)
            found[pair] = tuple(torch.where(side > 0, held, 0.0) + self.g_min for side in (signal, -signal))  # type: ignore[assignment]
            lower += factor * span
        return [device for pair in range(len(self.significances)) for device in found[pair]]

    def weights(self, conductances: Sequence[Tensor], fit: Fit) -> Tensor:
        total = torch.zeros_like(conductances[0])
        for pair, factor in enumerate(self.significances):
            total += factor * (conductances[2 * pair] - conductances[2 * pair + 1])
        return total / fit[0]


def check_range(g_min: float, g_max: float) -> None:
    """Require 0 <= g_min < g_max."""
    checks.number("g_min", g_min, low=0.0)
    checks.number("g_max", g_max, above=0.0)
    if g_min >= g_max:
        raise InputError(f"g_min: {g_min!r} was given with g_max {g_max!r}; accepted is a conductance below g_max")
