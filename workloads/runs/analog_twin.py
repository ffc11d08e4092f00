"""A module's copy on the arrays of a placement: what computes is cut and numbered as what is timed."""

from __future__ import annotations

from torch import nn

from rpusim.arch.contract.activity import ActivityLog
from rpusim.arch.mapping.placement import Placement
from rpusim.kernels.layers.convert import convert
from rpusim.kernels.tiles.tile import Tile
from rpusim.workloads.cells import endurance, periphery
from rpusim.workloads.cells.inference_cells import InferenceCells
from rpusim.workloads.cells.management import Management
from rpusim.workloads.cells.training_cells import UnitCells


def analog_twin(
    digital: nn.Module,
    placement: Placement,
    management: Management,
    cells: UnitCells | InferenceCells,
    seed: int,
    log: ActivityLog,
) -> nn.Module:
    """Copy a module, with its weight layers on the tiles of a placement.

    digital:     the module that was placed; it is not changed.
    placement:   where each of its weight layers lies. Layers that are not placed, as nobody uses what they compute,
                 write no activity.
    management:  what the digital side does to fit numbers to the analog range.
    cells:       what stands at the cross-points.
    seed:        of devices and of every noise.
    log:         where the tiles write what they do.

    Raises InputError if a layer cannot be on arrays, or the chip's circuits cannot do what the cells need.
    """
    configurations = periphery.layer_configurations(placement, management, cells)
    analog = convert(
        digital,
        next(iter(configurations.values())),
        per_layer=configurations,
        seed=seed,
        splits=periphery.splits(placement),
    )
    endurance.count(analog)
    for placed in placement.layers:
        for tile in analog.get_submodule(placed.layer.name).modules():
            if isinstance(tile, Tile):
                tile.layer, tile.log = placed.index, log  # in order of execution, as the engine counts
    return analog
