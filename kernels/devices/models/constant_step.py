"""ConstantStep: every pulse moves the weight by the same amount, wherever the weight is.

    size = s (1 + sigma xi)                                                                       (1)

with s the cell's up or down step. A cell whose two steps differ drifts to a bound under alternating pulses; it has no
symmetry point inside. The device of the RPU concept: Gokmen & Vlasov, Front. Neurosci. 10:333 (2016).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch

from rpusim.kernels.devices.base import Cells, Draw, PulsedDevice, Steps
from rpusim.kernels.devices.symmetry import balance

Tensor = torch.Tensor


def constant_step(weight: Tensor, noise: Tensor, size: Tensor) -> Tensor:
    """Compute equation 1."""
    return size + size * noise


@dataclass(frozen=True)
class ConstantStep(PulsedDevice):
    """A device with constant steps between hard bounds; parameters as for `PulsedDevice`."""

    kind = "constant-step"

    @property
    def step(self) -> Callable[..., Tensor]:
        return constant_step

    def step_parameters(self, steps: Steps, draw: Draw) -> tuple[list[Tensor], list[Tensor]]:
        return [steps.up], [steps.down]

    def symmetry_point(self, cells: Cells) -> Tensor:
        """Find the bound that a cell's stronger direction drives it to; 0 where both steps are equal."""
        (up,), (down,) = cells.parameters(up=True), cells.parameters(up=False)
        return balance(torch.zeros_like(up), up - down, cells)
