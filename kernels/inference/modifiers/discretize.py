"""Discretize: W_max res round(W / (W_max res)), halves away from zero, or up and down at random in proportion."""

from __future__ import annotations

from dataclasses import dataclass

import torch

from rpusim.arch.contract import checks
from rpusim.kernels.inference.draw import CellDraw
from rpusim.kernels.inference.modifiers.base import Modifier, Tensor


@dataclass(frozen=True)
class Discretize(Modifier):
    """Round weights to equal steps.

    res:        size of a step, relative to the largest weight.
    sto_round:  round up or down at random, in proportion.
    """

    res: float
    sto_round: bool = False

    kind = "discretize"

    def __post_init__(self) -> None:
        super().__post_init__()
        checks.number("res", self.res, above=0.0, high=1.0)
        checks.flag("sto_round", self.sto_round)

    def modified(self, weights: Tensor, largest: float, draw: CellDraw) -> Tensor:
        step = self.res * largest
        return weights if step == 0.0 else step * rounded(weights / step, draw if self.sto_round else None)


def rounded(values: Tensor, draw: CellDraw | None) -> Tensor:
    """To integers, halves away from zero; with ``draw``, up or down at random."""
    if draw is not None:
        return torch.floor(values + draw.uniform())
    return torch.sign(values) * torch.floor(values.abs() + 0.5)
