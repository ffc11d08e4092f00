"""PCMNoise: what phase-change memory does to weights until a time, as `noise.pcm` has it, for training.

A weight becomes one conductance g = g_max |W| / W_max, which is programmed with std_dev times the error of the model,
drifts by what exponents spread around their mean (the mean itself is compensated), is read with 1/f noise, and may be
stuck at 0, at g_max, or anywhere; the sign stays. Weights of less than pcm_zero_thres deviations of programming at zero
are set to 0.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field

import torch

from rpusim.arch.contract import checks
from rpusim.errors import InputError
from rpusim.kernels.base.elementwise import exp
from rpusim.kernels.inference.draw import CellDraw
from rpusim.kernels.inference.modifiers.base import Modifier, Tensor
from rpusim.kernels.inference.noise.pcm import PCM


@dataclass(frozen=True)
class PCMNoise(Modifier):
    """Do to weights what phase-change memory would.

    std_dev:      a factor of the noise of programming.
    t_inference:  seconds since programming.
    zero_thres:   see the module.
    prob_at_reset, prob_at_gmax, prob_at_random:  probability that a device is stuck at 0, at g_max, anywhere.
    model:        the curves of noise and drift.
    """

    std_dev: float = 1.0
    t_inference: float = 0.0
    zero_thres: float = 0.0
    prob_at_reset: float = 0.0
    prob_at_gmax: float = 0.0
    prob_at_random: float = 0.0
    model: PCM = field(default_factory=PCM)

    kind = "pcm-noise"

    def __post_init__(self) -> None:
        super().__post_init__()
        for name in ("std_dev", "t_inference", "zero_thres"):
            checks.number(name, getattr(self, name), low=0.0)
        for name in ("prob_at_reset", "prob_at_gmax", "prob_at_random"):
            checks.number(name, getattr(self, name), low=0.0, high=1.0)
        if (total := self.prob_at_reset + self.prob_at_gmax + self.prob_at_random) > 1.0:
            raise InputError(f"prob_at_random: the three probabilities add up to {total:g}; accepted is at most 1")
        checks.instance("model", self.model, PCM)

    def modified(self, weights: Tensor, largest: float, draw: CellDraw) -> Tensor:
        if largest == 0.0:
            return weights
        model = self.model
        g = weights.abs().clamp(max=largest) * (model.g_max / largest)
        threshold = self.zero_thres * self.std_dev * float(model.program_deviation(torch.zeros(())))
        g = torch.where(g < threshold, 0.0, g)
        programmed = (g + self.std_dev * model.program_deviation(g) * draw.normal()).abs()
        spread = model.exponent(g)[1] * model.drift_scale * draw.normal()
        drifted = programmed * exp(spread * -math.log((self.t_inference + model.t_0) / model.t_0))
        read = model.read_scale * model.growth(self.t_inference) * model.read_deviation(programmed, drifted)
        seen = (drifted + read * draw.normal()).abs()
        chance, anywhere = draw.uniform(), draw.uniform() * model.g_max
        for probability, stuck in (
            (self.prob_at_reset, torch.zeros_like(seen)),
            (self.prob_at_gmax, torch.full_like(seen, model.g_max)),
            (self.prob_at_random, anywhere),
        ):
            seen = torch.where((chance >= 0.0) & (chance < probability), stuck, seen)
            chance = chance - probability
        return torch.where(weights < 0, -seen, seen) * (largest / model.g_max)
