"""Clipping: weights kept within a bound after every step of the optimizer, so that a few large ones do not squeeze all
others into a small part of the conductance range. Each kind says where the bound is."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import ClassVar

import torch

from rpusim.arch.contract import checks

Tensor = torch.Tensor


class Clip(ABC):
    """Choose where weights are clipped; a frozen dataclass. ``kind`` is its name."""

    kind: ClassVar[str]

    @abstractmethod
    def bound(self, weights: Tensor) -> float:
        """Find the largest magnitude that the weights (rows, columns) of a tile keep."""


@dataclass(frozen=True)
class FixedClip(Clip):
    """Clip at ``value``."""

    value: float = 1.0

    kind = "fixed"

    def __post_init__(self) -> None:
        checks.number("value", self.value, above=0.0)

    def bound(self, weights: Tensor) -> float:
        return self.value


@dataclass(frozen=True)
class GaussianClip(Clip):
    """Clip at ``sigma`` standard deviations of the tile's weights, and at most at ``cap``, if that is > 0."""

    sigma: float = 2.5
    cap: float = 0.0

    kind = "layer-gaussian"

    def __post_init__(self) -> None:
        checks.number("sigma", self.sigma, above=0.0)
        checks.number("cap", self.cap, low=0.0)

    def bound(self, weights: Tensor) -> float:
        deviation = float(weights.std()) if weights.numel() > 1 else 0.0
        return min(self.sigma * deviation, self.cap or float("inf"))


@dataclass(frozen=True)
class ChannelMaxClip(Clip):
    """Clip at the mean over the rows of their largest weight, and at most at ``cap``, if that is > 0."""

    cap: float = 0.0

    kind = "average-channel-max"

    def __post_init__(self) -> None:
        checks.number("cap", self.cap, low=0.0)

    def bound(self, weights: Tensor) -> float:
        return min(float(weights.abs().amax(1).mean()), self.cap or float("inf"))


CLIPS: dict[str, type[Clip]] = {kind.kind: kind for kind in (FixedClip, GaussianClip, ChannelMaxClip)}
