"""AddNormal: W + std_dev W_max xi, the modifier that is used most."""

from __future__ import annotations

from dataclasses import dataclass

from rpusim.arch.contract import checks
from rpusim.kernels.inference.draw import CellDraw
from rpusim.kernels.inference.modifiers.base import Modifier, Tensor


@dataclass(frozen=True)
class AddNormal(Modifier):
    """Add normal noise of one size; std_dev: its standard deviation, relative to the largest weight."""

    std_dev: float

    kind = "add-normal"

    def __post_init__(self) -> None:
        super().__post_init__()
        checks.number("std_dev", self.std_dev, low=0.0)

    def modified(self, weights: Tensor, largest: float, draw: CellDraw) -> Tensor:
        return weights + (self.std_dev * largest) * draw.normal()
