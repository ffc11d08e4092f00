"""Remapping: digital output scales that follow the weights while they are trained, so that these fill the conductance
range again: with a = max|W| / w_max, over a row or over the tile, scale <- scale a and W <- W / a."""

from __future__ import annotations

from dataclasses import dataclass

import torch

from rpusim.arch.contract import checks

Tensor = torch.Tensor


@dataclass(frozen=True)
class Remap:
    """Choose how weights are remapped.

    channelwise:      remap every row for itself, else the tile as a whole.
    w_max:            what the largest weight becomes.
    max_scale_range:  the largest scale over the smallest; 0: any.
    max_scale_ref:    what the smallest scale is taken to be at least, for max_scale_range.
    """

    channelwise: bool = True
    w_max: float = 1.0
    max_scale_range: float = 0.0
    max_scale_ref: float = 0.0

    def __post_init__(self) -> None:
        checks.flag("channelwise", self.channelwise)
        checks.number("w_max", self.w_max, above=0.0)
        checks.number("max_scale_range", self.max_scale_range, low=0.0)
        checks.number("max_scale_ref", self.max_scale_ref, low=0.0)

    def scales(self, weights: Tensor) -> Tensor:
        """Find the scale of every row (rows,) for weights (rows, columns) not yet divided by any.

        Rows of zeros get the median of the others, so that they are not read more coarsely; 1 without others.
        """
        largest = weights.abs().amax(1)
        if not self.channelwise:
            largest = largest.max().expand_as(largest)
        live = largest[largest > 0]
        usual = live.median() / self.w_max if len(live) else 1.0
        scales = torch.where(largest > 0, largest / self.w_max, usual)
        if self.max_scale_range > 0.0:
            scales = scales.clamp(max=max(float(scales.min()), self.max_scale_ref) * self.max_scale_range)
        return scales
