"""Single: one device per cross-point, trained in place by the pulses of plain stochastic gradient descent.

    W <- W - lr d x^T on average, by the device's own steps

All that is asymmetric in the device acts on the weight directly. Gokmen & Vlasov, Front. Neurosci. 10:333 (2016).
"""

from __future__ import annotations

from dataclasses import dataclass

import torch

from rpusim.kernels.cells.base import CellActivity, CellParameters, Site, UnitCell

Tensor = torch.Tensor


@dataclass(frozen=True)
class Single(CellParameters):
    """Put one device at every cross-point."""

    kind = "single"

    @property
    def arrays(self) -> int:
        return 1

    @property
    def only_learns(self) -> bool:
        return True

    def build(self, site: Site) -> UnitCell:
        return SingleCell(self, site)


class SingleCell(UnitCell):
    """Hold one array, which draws its random numbers by the tile's own name."""

    def __init__(self, parameters: Single, site: Site) -> None:
        device = parameters.devices[0] if parameters.devices else site.device
        super().__init__(parameters, site, [site.named(site.stream, device)])

    @property
    def weights(self) -> Tensor:
        weights: Tensor = self._arrays[0]._buffers["weights"]  # found without the detour of torch's modules
        return weights

    def set_weights(self, weights: Tensor) -> None:
        self._arrays[0].set_weights(weights)

    def update(self, x: Tensor, d: Tensor, learning_rate: float) -> CellActivity:
        return CellActivity(self._arrays[0].pulse(x, d, learning_rate, self.site.update))
