"""Symmetry points: the weight at which a cell's up step equals its down step.

Alternating pulses pull every weight towards it, because above it a down step is the larger one. Algorithms that use
the asymmetry of devices (Gokmen & Haensch, Front. Neurosci. 14:103, 2020) need to know where it is, for each cell.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import torch

from rpusim.kernels.devices.variation import Cells

Tensor = torch.Tensor

# Halvings after which an interval of float32 numbers cannot shrink any more, also near 0 (24 bits, and 16 of exponent).
_HALVINGS = 40


def balance(slope: Tensor, excess: Tensor, cells: Cells) -> Tensor:
    """Find where up and down steps are equal, if up steps exceed down steps by excess - slope * w.

    excess, slope: (rows, columns). cells: whose bounds limit the result.
    Returns the root within the bounds (rows, columns). Without a root the weight runs to the bound on the side of
    ``excess``; with no excess at all it stays at 0.
    """
    runaway = torch.where(excess > 0, math.inf, torch.where(excess < 0, -math.inf, 0.0))
    return cells.clip(torch.where(slope > 0, excess / slope, runaway))


def linear_symmetry_point(cells: Cells) -> Tensor:
    """Find where up and down steps are equal, for steps size + slope w that begin with the parameters (size, slope)."""
    up, slope_up, *_ = cells.parameters(up=True)
    down, slope_down, *_ = cells.parameters(up=False)
    return balance(slope_down - slope_up, up - down, cells)


def bracketed_symmetry_point(step: Callable[..., Tensor], cells: Cells) -> Tensor:
    """Find where up and down steps are equal, for any step function.

    The interval between the bounds is halved until float32 has no number in between. An up step that is larger
    everywhere ends at the upper bound, a smaller one at the lower, equal ones at 0. Where a response has several stable
    points, this finds one of them.

    step: the step function of the device. cells: of an array. Returns weights (rows, columns).
    """
    of_up, of_down = cells.parameters(up=True), cells.parameters(up=False)
    low, high = cells.bound_min.clone(), cells.bound_max.clone()
    silent = torch.zeros_like(low)

    def excess(weight: Tensor) -> Tensor:
        return step(weight, silent, *of_up) - step(weight, silent, *of_down)

    rest = cells.clip(silent)
    for _ in range(_HALVINGS):
        middle = low + (high - low) / 2
        above = excess(middle) > 0
        low, high = torch.where(above, middle, low), torch.where(above, high, middle)
    return torch.where(excess(rest) == 0, rest, low + (high - low) / 2)
