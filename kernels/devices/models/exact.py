"""IdealDevice and FloatingPointDevice: weights that take W <- W - lr d x^T exactly, without pulses and without bounds.

They answer what the devices cost in accuracy: put an ideal device under the same periphery, and the loss that remains
is the periphery's; a floating-point device stands for digital arithmetic, also in reading (`perfect_reads`). Both can
forget: decay and diffusion per mini-batch, the same for all cells, and drift with time.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import torch

from rpusim.arch.contract import checks
from rpusim.kernels.devices.base import Cells, Device, Draw
from rpusim.kernels.devices.drift import Drift

Tensor = torch.Tensor


@dataclass(frozen=True)
class ExactDevice(Device):
    """A weight that is updated exactly.

    diffusion: standard deviation of the random walk per mini-batch, in weight.
    lifetime:  decay time in mini-batches; up to 1: none.
    reset_std: standard deviation of what a reset leaves around 0, in weight.
    drift:     relaxation with time.
    """

    diffusion: float = 0.0
    lifetime: float = 0.0
    reset_std: float = 0.01
    drift: Drift = field(default_factory=Drift)

    def __post_init__(self) -> None:
        for name in ("diffusion", "lifetime", "reset_std"):
            checks.number(name, getattr(self, name), low=0.0)
        checks.instance("drift", self.drift, Drift)

    @property
    def granularity(self) -> float:
        """1, which is neutral in ratios: there are no pulses."""
        return 1.0

    def sample(self, rows: int, columns: int, stream: tuple[int, ...], reach: Tensor | None = None) -> Cells:
        """Make the cells of an array, all alike but for their drift, without bounds; arguments as for `Device`.

        There are no pulses that could lose voltage on their way, so ``reach`` means nothing.
        """
        shape = rows, columns
        unbounded = torch.tensor([-torch.inf, torch.inf]).expand(*shape, 2).contiguous()
        diffusion = torch.full(shape, self.diffusion) if self.diffusion > 0.0 else None
        decay = torch.full(shape, 1.0 - 1.0 / self.lifetime) if self.lifetime > 1.0 else None
        return Cells(unbounded, decay, None, diffusion, self.drift.exponents(Draw(rows, columns, stream)))

    def symmetry_point(self, cells: Cells) -> Tensor:
        """Give 0 for every cell (rows, columns): up and down are equal everywhere."""
        return torch.zeros_like(cells.bound_min)


@dataclass(frozen=True)
class IdealDevice(ExactDevice):
    """Exact weights in an array that is read through its periphery; parameters as for `ExactDevice`."""

    kind = "ideal"


@dataclass(frozen=True)
class FloatingPointDevice(ExactDevice):
    """Digital weights: exact, and read exactly in both directions; parameters as for `ExactDevice`."""

    kind = "floating-point"
    perfect_reads = True
