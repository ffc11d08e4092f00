"""Which part of their range the conductances of a network's cells use, and what of the weights they cannot hold.

The range of a cell that learns by pulses is that of its device: the mean bound in the direction of the weight. Cells
that are programmed hold weights up to 1, in the units that the periphery is made for. A network whose weights use
little of the range drowns in the noise of read-outs; one whose weights go beyond it is clipped.
"""

from __future__ import annotations

from typing import Any, cast

import torch
from torch import nn

from rpusim.arch.mapping.placement import Placement
from rpusim.kernels import AnalogLayer, AnalogTile, PulsedDevice
from rpusim.kernels.arrays.array import DeviceArray
from rpusim.kernels.inference.tile import InferenceTile
from rpusim.kernels.layers.shared import layer_of

Tensor = torch.Tensor


def document(model: nn.Module, placement: Placement) -> list[dict[str, Any]]:
    """Write what result.json says of the range of conductances, layer by layer.

    model: on arrays. placement: where its layers lie.

    Each row has ``layer``; ``largest`` and ``mean``, of the magnitudes of its weights over the bound of their cells (no
    such keys where devices have no bounds); ``scale``, the digital factors of the layer's rows (mean), 1 where weights
    are not scaled; and of the weights that were written last, ``clipped``, how many are beyond their cells' bounds, and
    ``lost``, the share of the weights' norm that is missing.
    """
    holders = [placed.layer for placed in placement.holders]
    return [_of_layer(layer.name, layer_of(model, layer.parameter)) for layer in holders]


def _of_layer(name: str, layer: AnalogLayer) -> dict[str, Any]:
    shares = [share for tile in layer.tiles for share in _shares(tile)]
    row: dict[str, Any] = {"layer": name}
    if shares:
        every = torch.cat([share.flatten() for share in shares])
        row |= {"largest": float(every.max()), "mean": float(every.mean())}
    return row | {"scale": float(layer.scale.mean()), "clipped": layer.lost.clipped, "lost": layer.lost.share}


def _shares(tile: nn.Module) -> list[Tensor]:
    """Divide the magnitudes of a tile's weights by the bounds of their cells, array by array; [] without bounds."""
    if isinstance(tile, InferenceTile):
        return [tile.stored.abs()]
    assert isinstance(tile, AnalogTile)
    visible = tile.config.cell.layout.visible
    arrays = [part for part in tile.modules() if isinstance(part, DeviceArray)]
    return [_share(arrays[number]) for number in visible if isinstance(arrays[number].device, PulsedDevice)]


def _share(array: DeviceArray) -> Tensor:
    device = cast(PulsedDevice, array.device)
    bound = torch.where(array.weights >= 0.0, abs(device.w_max), abs(device.w_min))
    return array.weights.abs() / bound.clamp(min=torch.finfo(torch.float32).tiny)
