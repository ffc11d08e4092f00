"""SingleDevice: one device per weight, from g_min for the lowest weight of a tile to g_max for the highest.

    g = g_min + (W - W_min) (g_max - g_min) / (W_max - W_min)                                                        (1)

The default range is that of the CMO/HfOx array that `noise.reram_cmo` describes. What is read against (a reference
column at the conductance of weight 0) is taken to be exact.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch

from rpusim.kernels.inference.converters.base import SMALLEST_WEIGHT, Converter, Fit
from rpusim.kernels.inference.converters.n_pair import check_range

Tensor = torch.Tensor


@dataclass(frozen=True)
class SingleDevice(Converter):
    """Let one device stand for a weight; g_min, g_max: its range in siemens."""

    g_max: float = 88.199997e-6
    g_min: float = 9e-6

    kind = "single-device"

    def __post_init__(self) -> None:
        check_range(self.g_min, self.g_max)

    @property
    def devices(self) -> int:
        return 1

    @property
    def conductance_range(self) -> tuple[float, float]:
        return self.g_min, self.g_max

    def fit(self, weights: Tensor) -> Fit:
        lowest, highest = float(weights.min()), float(weights.max())
        return lowest, (self.g_max - self.g_min) / max(highest - lowest, SMALLEST_WEIGHT)

    def conductances(self, weights: Tensor, fit: Fit) -> list[Tensor]:
        return [((weights - fit[0]) * fit[1] + self.g_min).clamp(self.g_min, self.g_max)]

    def weights(self, conductances: Sequence[Tensor], fit: Fit) -> Tensor:
        (conductance,) = conductances
        return (conductance - self.g_min) / fit[1] + fit[0]
