"""PiecewiseStep: any measured response, given as factors on the step at equally spaced weights between the bounds.

    q = n (w - b_min) / (b_max - b_min),  i = floor(q),  t = q - i                                (1)
    size = s ((1 - t) v_i + t v_{i+1})(1 + sigma xi)                                              (2)

with n + 1 nodes v_0 (at the lower bound) to v_n (at the upper bound) for each direction. The symmetry point is a root
of the two sizes; a response that is not monotonic can have several.

Each cell keeps its own nodes, multiplied by its steps: n nodes cost 8 (n + 2) bytes per cell.
Kept from IBM's analog hardware acceleration kit (Rasch et al. 2021).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch

from rpusim.arch.contract import checks
from rpusim.errors import InputError, shown, written
from rpusim.kernels.base.elementwise import interpolate
from rpusim.kernels.devices.base import Cells, Draw, PulsedDevice, Steps
from rpusim.kernels.devices.symmetry import bracketed_symmetry_point
from rpusim.kernels.devices.variation import over

Tensor = torch.Tensor

MOST_NODES = 256
"""The most nodes of a response: each takes room in every cell."""


def piecewise_step(weight: Tensor, noise: Tensor, low: Tensor, scale: Tensor, *nodes: Tensor) -> Tensor:
    """Compute equations 1 and 2; ``scale`` (weight - ``low``) is q, and the nodes contain s."""
    here = interpolate((weight - low) * scale, nodes)
    return here + here * noise


@dataclass(frozen=True)
class PiecewiseStep(PulsedDevice):
    """A device with a piecewise linear response; besides the parameters of `PulsedDevice`:

    piecewise_up, piecewise_down: factors on the up and the down step from the lower to the upper bound, equally many.
    """

    piecewise_up: tuple[float, ...] = (1.0,)
    piecewise_down: tuple[float, ...] = (1.0,)

    kind = "piecewise-step"

    def __post_init__(self) -> None:
        super().__post_init__()
        for field in ("piecewise_up", "piecewise_down"):
            given = getattr(self, field)
            if not isinstance(given, list | tuple) or not 1 <= len(given) <= MOST_NODES:
                raise InputError(
                    f"{field}: {shown(written(given))} was given; accepted is a list of 1 to {MOST_NODES} numbers"
                )
            for place, node in enumerate(given):
                checks.number(f"{field}[{place}]", node)
            object.__setattr__(self, field, tuple(float(node) for node in given))
        count = len(self.piecewise_up)
        if len(self.piecewise_down) != count:
            given = len(self.piecewise_down)
            raise InputError(f"piecewise_down: {given} numbers were given; accepted are {count}, as in piecewise_up")
        checks.number(f"piecewise_up[{count // 2}]", self.piecewise_up[count // 2], above=0.0)

    @property
    def step(self) -> Callable[..., Tensor]:
        return piecewise_step

    @property
    def granularity(self) -> float:
        """The up step of the middle node."""
        return self.dw_min * self.piecewise_up[len(self.piecewise_up) // 2]

    def step_parameters(self, steps: Steps, draw: Draw) -> tuple[list[Tensor], list[Tensor]]:
        scale = over(torch.full_like(steps.up, len(self.piecewise_up) - 1.0), steps.range)
        up = [steps.up * node for node in self.piecewise_up]
        down = [steps.down * node for node in self.piecewise_down]
        return [steps.bound_min, scale, *up], [steps.bound_min, scale, *down]

    def symmetry_point(self, cells: Cells) -> Tensor:
        return bracketed_symmetry_point(self.step, cells)
