"""Reference: a device read against a reference device that is never pulsed.

    W = W_0 - W_1                                                                                 (1)

W_0 takes the pulses of plain stochastic gradient descent; W_1 is programmed once. With ``zero_shift_pairs`` it is
programmed to the symmetry points of W_0 (see `zero_shift`), so that a visible weight of 0 is where up and down steps
are equal: Kim et al., arXiv:1907.10228 (2019). The numbers of pulses follow from the mean granularity of both devices.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import torch

from rpusim.arch.contract.cell_layout import CellLayout
from rpusim.kernels.arrays.zero_shift import ZeroShift, zero_shift
from rpusim.kernels.cells.base import MOST_PAIRS, CellActivity, CellParameters, Site, UnitCell

Tensor = torch.Tensor


@dataclass(frozen=True)
class Reference(CellParameters):
    """Put a device and its reference at every cross-point.

    zero_shift_pairs: pairs of pulses that find the symmetry points when the array is made; 0: the reference is 0 until
    `ReferenceCell.set_reference`.
    """

    zero_shift_pairs: int = 0

    kind = "reference"

    def __post_init__(self) -> None:
        super().__post_init__()
        self._check("integer", ("zero_shift_pairs",), low=0, high=MOST_PAIRS)

    @property
    def arrays(self) -> int:
        return 2

    @property
    def layout(self) -> CellLayout:
        """Both arrays are read together, the first one learns."""
        return replace(super().layout, visible=(0, 1))

    @property
    def calibration_pairs(self) -> int:
        return self.zero_shift_pairs

    def build(self, site: Site) -> UnitCell:
        return ReferenceCell(self, site)


class ReferenceCell(UnitCell):
    """Hold the arrays W_0 and W_1. shift: what zero-shifting did, or None."""

    visible: Tensor

    def __init__(self, parameters: Reference, site: Site) -> None:
        super().__init__(parameters, site, parameters.make_arrays(site))
        self.register_buffer("visible", torch.zeros(site.rows, site.columns))
        self.shift: ZeroShift | None = None
        if parameters.zero_shift_pairs:
            self.shift = zero_shift(self._arrays[0], parameters.zero_shift_pairs)
            self.set_reference(self._arrays[0].weights)
            self.set_weights(torch.zeros(site.rows, site.columns))
        self.show()

    @property
    def weights(self) -> Tensor:
        return self.visible

    def show(self) -> None:
        torch.sub(self._arrays[0].weights, self._arrays[1].weights, out=self.visible)

    def set_weights(self, weights: Tensor) -> None:
        self._arrays[0].set_weights(weights.to(self.visible.device) + self._arrays[1].weights)
        self.show()

    def set_reference(self, weights: Tensor) -> None:
        """Program the reference (rows, columns), limited by its bounds; the visible weights move by it."""
        self._arrays[1].set_weights(weights)
        self.show()

    def update(self, x: Tensor, d: Tensor, learning_rate: float) -> CellActivity:
        counts = self.pulse(0, x, d, learning_rate)
        self.show()
        return CellActivity(counts)
