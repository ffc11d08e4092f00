"""DoReFa: weights squeezed by a tangent and rounded, c = |dorefa_clip / tanh(W_max)|, W <- res round(tanh(W) c / res).

Zhou et al., "DoReFa-Net: training low bitwidth convolutional neural networks with low bitwidth gradients" (2016).
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch

from rpusim.arch.contract import checks
from rpusim.kernels.inference.draw import CellDraw
from rpusim.kernels.inference.modifiers.base import Modifier, Tensor
from rpusim.kernels.inference.modifiers.discretize import rounded


@dataclass(frozen=True)
class DoReFa(Modifier):
    """Take the tangent of the weights, and round.

    res:          size of a step.
    dorefa_clip:  what the largest weight becomes.
    sto_round:    round up or down at random, in proportion.
    """

    res: float
    dorefa_clip: float = 0.6
    sto_round: bool = False

    kind = "dorefa"

    def __post_init__(self) -> None:
        super().__post_init__()
        checks.number("res", self.res, above=0.0, high=1.0)
        checks.number("dorefa_clip", self.dorefa_clip, above=0.0)
        checks.flag("sto_round", self.sto_round)

    def modified(self, weights: Tensor, largest: float, draw: CellDraw) -> Tensor:
        if largest == 0.0:
            return weights
        squeezed = torch.tanh(weights) * (self.dorefa_clip / math.tanh(largest))
        return self.res * rounded(squeezed / self.res, draw if self.sto_round else None)
