"""A cell whose weight is the sum of what its arrays hold, each times what it is worth."""

from __future__ import annotations

from collections.abc import Sequence

import torch

from rpusim.kernels.cells.base import CellParameters, Site, UnitCell

Tensor = torch.Tensor


class SummedCell(UnitCell):
    """Hold arrays, and the sum of their weights as reads see it.

    visible: (rows, columns) that sum. worth: what the weights of each array are multiplied by in it.
    """

    visible: Tensor

    def __init__(
        self, parameters: CellParameters, site: Site, arrays: Sequence[torch.nn.Module], worth: Sequence[float]
    ) -> None:
        super().__init__(parameters, site, arrays)
        self.worth = tuple(worth)
        self.register_buffer("visible", torch.zeros(site.rows, site.columns))
        self.show()

    @property
    def weights(self) -> Tensor:
        return self.visible

    def show(self) -> None:
        self.visible.zero_()
        for worth, array in zip(self.worth, self._arrays, strict=True):
            self.visible.add_(array.weights, alpha=worth)
