"""The range of a layer's inputs: what the converters of its arrays are set to, instead of a factor for every vector.

    x -> clip(x, -R, R) / R,    and the outputs of the arrays times R

R starts from the data, then it is learned: errors d_in that come back at inputs beyond the range, and would have wanted
them larger, widen it; a decay narrows it while nearly all inputs are within. Errors pass the clipping unchanged.
A model that is not trained after its conversion gets its ranges from data by `calibrate`.

Rasch et al., "Hardware-aware training for large-scale and diverse deep learning inference workloads using in-memory
computing-based accelerators", Nature Communications 14:5282 (2023).
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, cast

import torch

from rpusim.arch.contract import checks
from rpusim.errors import InputError

Tensor = torch.Tensor

# The narrowest range that learning can lead to: inputs are divided by it.
_NARROWEST = 1e-6


@dataclass(frozen=True)
class InputRange:
    """How a layer's input range R begins and learns.

    learn:          whether R is learned at all, after its beginning.
    init_value:     R before any data was seen.
    init_from_data, init_std_alpha: over so many first mini-batches of training R is the mean of init_std_alpha times
    the standard deviation of the inputs, and is not learned yet.
    decay, input_min_percentage: the gradient grows by decay x R if more than this fraction of the inputs is within R.
    manage_output_clipping, output_min_percentage: outputs at the converters' bound send no errors back, and if less
    than this fraction is within it, the gradient shrinks by R times the fraction that is not, which widens the range.
    gradient_scale, gradient_relative: if relative, what clipped inputs want is multiplied by gradient_scale x R.
    """

    learn: bool = True
    init_value: float = 3.0
    init_from_data: int = 100
    init_std_alpha: float = 3.0
    decay: float = 0.001
    input_min_percentage: float = 0.95
    manage_output_clipping: bool = False
    output_min_percentage: float = 0.95
    gradient_scale: float = 1.0
    gradient_relative: bool = True

    def __post_init__(self) -> None:
        for field in ("learn", "gradient_relative", "manage_output_clipping"):
            checks.flag(field, getattr(self, field))
        for field in ("init_value", "init_std_alpha"):
            checks.number(field, getattr(self, field), above=0.0)
        for field in ("decay", "gradient_scale"):
            checks.number(field, getattr(self, field), low=0.0)
        checks.integer("init_from_data", self.init_from_data, low=0)
        for field in ("input_min_percentage", "output_min_percentage"):
            checks.number(field, getattr(self, field), low=0.0, high=1.0)


class Calibration(StrEnum):
    """What of a mini-batch's inputs x is its range.

    DEVIATION: init_std_alpha (of `InputRange`) times their standard deviation. QUANTILE: what all but a small part of
    abs(x) does not exceed. Of both, the mean over the mini-batches counts. LARGEST: the largest abs(x) of all of them.
    """

    DEVIATION = "deviation"
    QUANTILE = "quantile"
    LARGEST = "largest"


class _Clip(torch.autograd.Function):
    """clip(x, -R, R) / R; backwards the error as if nothing were clipped, and the gradient of R."""

    @staticmethod
    def forward(
        ctx: Any, x: Tensor, learned: Tensor, limit: Tensor, rule: InputRange, clipped: list[Tensor | None]
    ) -> Tensor:
        ctx.save_for_backward(x, limit)
        ctx.rule, ctx.clipped = rule, clipped
        return x.clamp(-limit, limit) / limit

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, Tensor | None, None, None, None]:
        x, limit = ctx.saved_tensors
        error, rule = gradients[0] / limit, cast(InputRange, ctx.rule)
        if not ctx.needs_input_grad[1]:
            return error, None, None, None, None
        want = error[x >= limit].clamp(max=0.0).sum() - error[x <= -limit].clamp(min=0.0).sum()
        if rule.gradient_relative:
            want = want * limit * rule.gradient_scale
        if known := [each.float().mean() for each in ctx.clipped if each is not None]:
            part = float(torch.stack(known).mean())
            if 1.0 - part < rule.output_min_percentage:
                want = want - part * limit
        if float((x.abs() < limit).float().mean()) > rule.input_min_percentage:
            want = want + rule.decay * limit
        return error, want, None, None, None


class LearnedRange(torch.nn.Module):
    """The input range of one layer. Attributes: limit, the range R, a torch parameter without unit; batches, how many
    mini-batches its beginning has seen; rule, how it begins and learns."""

    batches: Tensor

    def __init__(self, rule: InputRange) -> None:
        super().__init__()
        self.rule = rule
        self.limit = torch.nn.Parameter(torch.tensor(float(rule.init_value)), requires_grad=rule.learn)
        self.register_buffer("batches", torch.zeros((), dtype=torch.int64))
        self._calibration: tuple[Calibration, float] | None = None
        self._calibrated = 0  # mini-batches so far

    def forward(self, x: Tensor, clipped: list[Tensor | None]) -> tuple[Tensor, Tensor]:
        """Clip inputs to the range R and divide them by it.

        x: inputs of any shape. clipped: filled with `Tile.clipped` of the layer's tiles before errors come back.
        Returns the inputs within [-1, 1], and R.
        """
        if self._calibration is not None:
            self._observe(x, *self._calibration)
        beginning = self.training and torch.is_grad_enabled() and int(self.batches) < self.rule.init_from_data
        if beginning and x.numel() > 1 and float(deviation := x.detach().std()) > 0.0:
            with torch.no_grad():
                seen = int(self.batches)
                self.limit.copy_((self.limit * seen + self.rule.init_std_alpha * deviation) / (seen + 1))
                self.batches += 1
        limit = self.limit.detach().clamp(min=_NARROWEST)  # a copy, as calls may follow before errors come back
        learned = limit if beginning else self.limit
        inside: Tensor = cast(Any, _Clip).apply(x, learned, limit, self.rule, clipped)
        return inside, limit

    def _observe(self, x: Tensor, how: Calibration, quantile: float) -> None:
        """Let R follow a mini-batch x of a calibration; ``quantile`` as in `calibrate`."""
        size = x.abs().flatten()
        if not bool((size > 0.0).any()):
            return
        if how == Calibration.LARGEST:
            found = max(size.max(), self.limit) if self._calibrated else size.max()
        else:
            if how == Calibration.DEVIATION:
                own = self.rule.init_std_alpha * x.std(correction=min(1, x.numel() - 1))
            else:
                own = size.kthvalue(max(1, math.ceil(quantile * size.numel()))).values
            found = self.limit + (own - self.limit) / (self._calibrated + 1)
        self.limit.copy_(found.clamp(min=_NARROWEST))
        self.batches.fill_(max(int(self.batches), self.rule.init_from_data))
        self._calibrated += 1

    def start_calibration(self, how: Calibration, quantile: float) -> None:
        """Let R follow all inputs until `end_calibration`; arguments as for `calibrate`."""
        self._calibration, self._calibrated = (how, quantile), 0

    def end_calibration(self) -> None:
        """Leave R as the calibration has set it."""
        self._calibration = None


def calibrate(
    model: torch.nn.Module, batches: Iterable[Any], how: str = "quantile", *, quantile: float = 0.99995
) -> None:
    """Set the input ranges of all layers from data, as for a model that is not trained after its conversion.

    The model computes the mini-batches in evaluation mode, as it is (programmed or not), and the ranges follow layer by
    layer. Later training does not begin the ranges anew, but learns them.

    model: what `convert` returned with an input range. batches: inputs of the model, each a tensor or a tuple of
    arguments. how: a `Calibration` or its name. quantile: the part of abs(x) that stays within, for "quantile".
    InputError: no layer has an input range, or no mini-batch was given.
    """
    checks.instance("model", model, torch.nn.Module)
    chosen = checks.choose(Calibration, "how", how)
    checks.number("quantile", quantile, above=0.0, high=1.0)
    ranges = [part for part in model.modules() if isinstance(part, LearnedRange)]
    if not ranges:
        raise InputError(
            "model: no layer has an input range; accepted is what convert returns with input_range=InputRange()"
        )
    modes = {part: part.training for part in model.modules()}
    given = False
    model.eval()
    for part in ranges:
        part.start_calibration(chosen, quantile)
    try:
        with torch.no_grad():
            for batch in batches:
                if isinstance(batch, list):
                    raise InputError("batches: a list was given as one; accepted are tensors and tuples of arguments")
                model(*batch) if isinstance(batch, tuple) else model(batch)
                given = True
    finally:
        for part in ranges:
            part.end_calibration()
        for each, training in modes.items():
            each.training = training
    if not given:
        raise InputError("batches: none were given; accepted is at least one")
