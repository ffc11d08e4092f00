"""DropConnect: each weight is 0 with a probability. Wan et al., ICML 2013; may follow any other modifier."""

from __future__ import annotations

from dataclasses import dataclass

import torch

from rpusim.arch.contract import checks
from rpusim.kernels.inference.draw import CellDraw
from rpusim.kernels.inference.modifiers.base import Modifier, Tensor


@dataclass(frozen=True)
class DropConnect(Modifier):
    """Set weights to 0 at random; pdrop: the probability."""

    pdrop: float

    kind = "drop-connect"

    def __post_init__(self) -> None:
        super().__post_init__()
        checks.number("pdrop", self.pdrop, low=0.0, high=1.0)

    def modified(self, weights: Tensor, largest: float, draw: CellDraw) -> Tensor:
        return torch.where(draw.uniform() < self.pdrop, 0.0, weights)
