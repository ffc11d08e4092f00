"""What every converter answers: which conductances stand for a weight, and which weight some conductances stand for.

A converter fits the weights of a tile to the range of its devices (`fit`: a few numbers), and with the same fit goes
both ways, so that what happens to a conductance in between (noise, drift) shows up in the weight:

    fit = converter.fit(weights)
    conductances = converter.conductances(weights, fit)        one tensor per device of a cross-point, in siemens
    converter.weights(conductances, fit)                       the weights again, to within 1e-6 of the largest
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import ClassVar

import torch

Tensor = torch.Tensor
Fit = tuple[float, ...]

SMALLEST_WEIGHT = 1e-7
"""What a tile of zeros is fitted as, so that nothing is divided by 0."""


class Converter(ABC):
    """Turn weights into conductances and back; a frozen dataclass in a file of its own. ``kind`` is its name."""

    kind: ClassVar[str]

    @property
    @abstractmethod
    def devices(self) -> int:
        """How many devices stand at a cross-point."""

    @property
    @abstractmethod
    def conductance_range(self) -> tuple[float, float]:
        """The lowest and the highest conductance that it asks for, in siemens."""

    @abstractmethod
    def fit(self, weights: Tensor) -> Fit:
        """Find the numbers that adapt the range of the devices to the weights (rows, columns) of a tile."""

    @abstractmethod
    def conductances(self, weights: Tensor, fit: Fit) -> list[Tensor]:
        """Turn weights into the conductances of every device in siemens, each of the shape of ``weights``."""

    @abstractmethod
    def weights(self, conductances: Sequence[Tensor], fit: Fit) -> Tensor:
        """Turn conductances in siemens, one tensor per device, into the weights that they stand for."""


def largest(weights: Tensor) -> float:
    """Find the largest magnitude, at least `SMALLEST_WEIGHT`."""
    return max(float(weights.abs().max()), SMALLEST_WEIGHT)
