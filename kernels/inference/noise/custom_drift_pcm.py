"""CustomDriftPCM: `PCM` with exponents of drift that you measured, and straight lines between them."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

import torch

from rpusim.arch.contract import checks
from rpusim.errors import InputError
from rpusim.kernels.inference.noise.pcm import PCM

Tensor = torch.Tensor


@dataclass(frozen=True)
class CustomDriftPCM(PCM):
    """Model phase-change memory whose drift was measured.

    conductances: in siemens, rising, from those of the converter's lowest to its highest.
    means, deviations: of the exponent of drift at each of them. Other parameters as for `PCM`.
    """

    conductances: tuple[float, ...] = (0.0, 25e-6)
    means: tuple[float, ...] = (0.1, 0.049)
    deviations: tuple[float, ...] = (0.045, 0.008)

    kind = "custom-drift-pcm"

    def __post_init__(self) -> None:
        super().__post_init__()
        for field in ("conductances", "means", "deviations"):
            object.__setattr__(self, field, tuple(getattr(self, field)))
            for value in getattr(self, field):
                checks.number(field, value, low=0.0)
            if len(getattr(self, field)) != len(self.conductances) or len(self.conductances) < 2:
                raise InputError(
                    f"{field}: {len(getattr(self, field))} were given with {len(self.conductances)} conductances; "
                    "accepted are equally many, at least 2"
                )
        if any(low >= high for low, high in pairwise(self.conductances)):
            raise InputError(f"conductances: {self.conductances!r} was given; accepted are rising conductances")

    @property
    def conductance_range(self) -> tuple[float, float]:
        return self.conductances[0], self.conductances[-1]

    def exponent(self, target: Tensor) -> tuple[Tensor, Tensor]:
        nodes = target.new_tensor(self.conductances)
        right = torch.searchsorted(nodes, target.contiguous(), right=True).clamp(1, len(nodes) - 1)
        share = ((target - nodes[right - 1]) / (nodes[right] - nodes[right - 1])).clamp(0.0, 1.0)
        mean, deviation = (
            values[right - 1] * (1.0 - share) + values[right] * share
            for values in (target.new_tensor(self.means), target.new_tensor(self.deviations))
        )
        return mean, deviation
