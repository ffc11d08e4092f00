"""MultNormal: W (1 + std_dev xi), noise in proportion to each weight."""

from __future__ import annotations

from dataclasses import dataclass

from rpusim.arch.contract import checks
from rpusim.kernels.inference.draw import CellDraw
from rpusim.kernels.inference.modifiers.base import Modifier, Tensor


@dataclass(frozen=True)
class MultNormal(Modifier):
    """Add normal noise in proportion; std_dev: its standard deviation, relative to each weight."""

    std_dev: float

    kind = "mult-normal"

    def __post_init__(self) -> None:
        super().__post_init__()
        checks.number("std_dev", self.std_dev, low=0.0)

    def modified(self, weights: Tensor, largest: float, draw: CellDraw) -> Tensor:
        return weights * (1.0 + self.std_dev * draw.normal())
