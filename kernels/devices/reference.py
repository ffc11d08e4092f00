"""Reference: devices whose weight is the difference between the cell and a second, fixed conductance.

The device itself has the state v and its own bounds and laws; what reads and algorithms see is

    w = v - reference,    reference = reference_mean + reference_std xi  (+ the cell's symmetry point)      (1)

Subtracting the symmetry point puts it at w = 0 for every cell ("zero shifting": Kim et al., arXiv:1907.10228, 2019),
which is what Tiki-Taka needs. Everything is re-expressed in terms of w once, when the cells are drawn: bounds become
b - reference, and so does the state that decay and reset end at, which is ``reset`` above the symmetry point if that is
subtracted. So setting, clipping, decay and pulses all agree on the same bounds. (IBM's kit, whose parameters these are,
applies the unshifted bounds to w everywhere but in pulses.)
"""

from __future__ import annotations

from abc import abstractmethod
from dataclasses import dataclass, replace

import torch

from rpusim.arch.contract import checks
from rpusim.kernels.devices.base import Cells, Draw, PulsedDevice

Tensor = torch.Tensor


@dataclass(frozen=True)
class Referenced(PulsedDevice):
    """A device with a reference; besides the parameters of the device:

    reference_mean, reference_std: the reference and its spread over the cells, in weight.
    subtract_symmetry_point: add each cell's symmetry point to its reference, which puts it at weight 0.
    """

    reference_mean: float = 0.0
    reference_std: float = 0.0
    subtract_symmetry_point: bool = False

    def __post_init__(self) -> None:
        super().__post_init__()
        checks.number("reference_mean", self.reference_mean)
        checks.number("reference_std", self.reference_std, low=0.0)
        checks.flag("subtract_symmetry_point", self.subtract_symmetry_point)

    @abstractmethod
    def shifted(self, parameters: list[Tensor], reference: Tensor) -> list[Tensor]:
        """Turn parameters of a step in terms of the state v into those in terms of the weight w = v - reference.

        parameters: of one direction, tensors (rows, columns). reference: of every cell (rows, columns).
        """

    def referred(self, cells: Cells, draw: Draw) -> Cells:
        """Draw the reference, and express bounds, target and steps of the cells in terms of the weight."""
        reference = self.reference_mean + self.reference_std * draw.normal()
        rest = torch.zeros_like(reference) if cells.target is None else cells.target
        if self.subtract_symmetry_point:
            alive = (cells.bound_min < 0) & (cells.bound_max > 0)
            symmetric = torch.where(alive, self.symmetry_point(cells), 0.0)
            reference, rest = reference + symmetric, rest + symmetric
        up, down = (self.shifted(list(cells.parameters(up)), reference) for up in (True, False))
        bounds = [cells.bound_min - reference, cells.bound_max - reference]
        return replace(cells, pulse=torch.stack([*bounds, *up, *down], dim=-1).contiguous(), target=rest - reference)
