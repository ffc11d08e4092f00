"""What every weight modifier does: disturb a copy of the weights, from which the next mini-batch is computed.

    modified = modifier.modified(weights, largest, draw)

Forward and backward passes of a mini-batch see the same modified copy, and what they find is learned by the clean
weights: so the network gets used to weights that are not quite what they should be. Joshi et al., Nat. Commun. 11:2473
(2020). Several modifiers act one after the other.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import ClassVar

import torch

from rpusim.arch.contract import checks
from rpusim.kernels.inference.draw import CellDraw

Tensor = torch.Tensor


@dataclass(frozen=True, kw_only=True)
class Modifier(ABC):
    """Disturb weights for the next mini-batch; a frozen dataclass in a file of its own. ``kind`` is its name.

    assumed_wmax: the largest weight that deviations and steps relate to; None: that of the tile at the time.
    """

    assumed_wmax: float | None = None

    kind: ClassVar[str]

    def __post_init__(self) -> None:
        if self.assumed_wmax is not None:
            checks.number("assumed_wmax", self.assumed_wmax, above=0.0)

    def largest(self, clean: Tensor) -> float:
        """Find the weight that deviations and steps relate to, for the clean weights (rows, columns) of a tile."""
        return float(clean.abs().max()) if self.assumed_wmax is None else self.assumed_wmax

    @abstractmethod
    def modified(self, weights: Tensor, largest: float, draw: CellDraw) -> Tensor:
        """Disturb weights (rows, columns), as the modifiers before have left them; returns new ones.

        largest: what `largest` said of the clean weights. draw: random numbers of the cells.
        """
