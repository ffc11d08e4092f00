"""The cells of one array: what device-to-device variation has made of each, and random numbers to draw them with."""

from __future__ import annotations

from dataclasses import dataclass

import torch

from rpusim.kernels.base import rng

Tensor = torch.Tensor

BOUND_MIN, BOUND_MAX, UP = 0, 1, 2
"""Places of the numbers of one cell: its bounds, then the parameters of an up step, then as many of a down step."""


def parameters_per_step(pulse: Tensor) -> int:
    """Count what a step takes per cell after weight and noise, from the numbers of cells: ``Cells.pulse``."""
    return (pulse.shape[-1] - UP) // 2


@dataclass(frozen=True)
class Cells:
    """The cells of one array; every field is float32 of shape (rows, columns) but ``pulse``, which has a third axis.

    pulse:     (rows, columns, numbers of a cell): lower bound, upper bound, parameters of an up step, parameters of a
               down step. They lie side by side because a pulse touches all numbers of one cell.
    decay:     factor per mini-batch by which a weight approaches ``target``; None: no decay.
    target:    the weight that decay, leakage and reset end at; None: 0.
    diffusion: standard deviation of the random walk per mini-batch; None: no diffusion.
    drift:     exponent of the drift with time; None: no drift.
    retention: time constant of leakage in seconds; None: no leakage.
    """

    pulse: Tensor
    decay: Tensor | None = None
    target: Tensor | None = None
    diffusion: Tensor | None = None
    drift: Tensor | None = None
    retention: Tensor | None = None

    @property
    def bound_min(self) -> Tensor:
        """Lower bounds (rows, columns)."""
        return self.pulse[..., BOUND_MIN]

    @property
    def bound_max(self) -> Tensor:
        """Upper bounds (rows, columns)."""
        return self.pulse[..., BOUND_MAX]

    def parameters(self, up: bool) -> tuple[Tensor, ...]:
        """Give what the device's step takes after weight and noise, for one direction: tensors (rows, columns)."""
        number = parameters_per_step(self.pulse)
        return self.pulse[..., UP if up else UP + number :][..., :number].unbind(-1)

    def clip(self, weights: Tensor) -> Tensor:
        """Limit weights (rows, columns) to each cell's bounds."""
        return torch.minimum(torch.maximum(weights, self.bound_min), self.bound_max)


@dataclass(frozen=True)
class Steps:
    """Sampled step sizes and bounds from which a device computes its parameters; tensors (rows, columns)."""

    up: Tensor
    down: Tensor
    bound_min: Tensor
    bound_max: Tensor

    @property
    def range(self) -> Tensor:
        """Distance from the lower to the upper bound; 0 for a stuck cell."""
        return self.bound_max - self.bound_min


class Draw:
    """Draw independent random matrices for the cells of one array, one after the other.

    rows, columns: size of the array. stream: integers that name it, such as (seed, layer, tile).
    """

    def __init__(self, rows: int, columns: int, stream: tuple[int, ...]) -> None:
        self._base = rng.key(*stream, rng.Purpose.DEVICE)
        self._shape = rows, columns
        self._count = 0

    def normal(self) -> Tensor:
        """Draw standard-normal numbers (rows, columns)."""
        self._count += 1
        return rng.normal_matrix(self._base, self._count, *self._shape)

    def uniform(self) -> Tensor:
        """Draw uniform numbers in [0, 1) (rows, columns)."""
        self._count += 1
        return rng.uniform_matrix(self._base, self._count, *self._shape)


def over(numerator: Tensor, denominator: Tensor) -> Tensor:
    """Divide; 0 where the denominator is 0."""
    return torch.where(denominator == 0, 0.0, numerator / denominator)
