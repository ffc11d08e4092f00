"""A module's copy on the arrays of a placement: what computes is cut and numbered as what is timed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import ArrayLike
from torch import nn

from rpusim.arch.contract.activity import ActivityLog, Phase
from rpusim.arch.mapping.placement import Placement
from rpusim.errors import InputError
from rpusim.kernels.layers import AnalogLayer
from rpusim.kernels.layers.convert import Key, convert, convertible
from rpusim.kernels.layers.replicated import Replicated, Replication
from rpusim.kernels.layers.shared import layer_of
from rpusim.kernels.tiles.tile import Tile
from rpusim.workloads.capture.capture import held_parameters
from rpusim.workloads.cells import endurance, periphery
from rpusim.workloads.cells.inference_cells import InferenceCells
from rpusim.workloads.cells.management import Management
from rpusim.workloads.cells.training_cells import UnitCells
from rpusim.workloads.clock.loads import load_by_sample
from rpusim.workloads.clock.uses import UsesLog


class _NotPlaced(ActivityLog):
    """The log of a layer that is not on the chip: nothing of what it does is timed, so it must not learn.

    name: of the layer.
    """

    def __init__(self, name: str) -> None:
        super().__init__()
        self.name = name

    def append(self, length: int, **columns: ArrayLike) -> None:
        """Forget rows; raises InputError if errors other than zeros come back to the layer, or it learns from such."""
        phase: Any = columns.get("phase")
        errors = np.equal(phase, Phase.BACKWARD) | np.equal(phase, Phase.UPDATE)
        if np.any(errors & np.greater(columns.get("active_rows", 0), 0)):
            raise InputError(
                f"network: layer {self.name!r} is not on the chip, as what it computes is not part of what forward "
                "returns, but a loss depends on it; accepted: that forward returns it too in training mode, where it "
                "may return several tensors"
            )


def analog_twin(
    digital: nn.Module,
    placement: Placement,
    management: Management,
    cells: UnitCells | InferenceCells,
    seed: int,
    log: ActivityLog,
    weight_scaling_omega: float | None = None,
    exclude: Sequence[Key] = (),
    replicas: Mapping[str, Replication] | None = None,
) -> nn.Module:
    """Copy a module, with its weight layers on the tiles of a placement.

    digital:     the module that was placed; it is not changed.
    placement:   where each of its weight layers lies. Layers that are not placed, as nobody uses what they compute,
                 write no activity, and must not learn.
    management:  what the digital side does to fit numbers to the analog range.
    cells:       what stands at the cross-points.
    seed:        of devices and of every noise.
    log:         where the tiles write what they do.
    exclude:     layers and parameters that stay digital, as for `rpusim.place`.
    weight_scaling_omega:  as for `rpusim.kernels.tiles.tile.LayerConfig`; None: as the cells' configuration says.

    replicas:    by layer, how those that it has on the placement share its vectors.

    Raises InputError if a layer cannot be on arrays, or the chip's circuits cannot do what the cells need.
    """
    configurations = periphery.layer_configurations(placement, management, cells)
    if weight_scaling_omega is not None:
        configurations = {
            name: replace(each, weight_scaling_omega=weight_scaling_omega) for name, each in configurations.items()
        }
    if replicas:
        _check_replicas(placement)
    named = names_on_arrays(placement, digital)
    analog = convert(
        digital,
        next(iter(configurations.values())),
        exclude=exclude,
        per_layer={named[name]: each for name, each in configurations.items()},
        seed=seed,
        splits={named[name]: each for name, each in periphery.splits(placement).items()},
        replicas={named[name]: each for name, each in (replicas or {}).items()},
        parameters=held_parameters(placement.network, digital, placement.bias == "column"),
    )
    endurance.count(analog)
    if isinstance(cells, UnitCells):
        for name, part in analog.named_modules():
            if isinstance(part, AnalogLayer):
                part.log = _NotPlaced(name)
    turned = next((placed.layer for placed in placement.layers if placed.turned), None)
    if turned is not None and isinstance(cells, InferenceCells):
        raise InputError(
            f"network: layer {turned.name!r} uses a weight transposed, which cells that only infer are not read for; "
            "accepted: cells that learn by pulses, whose arrays have converters on both sides, or a weight of its own"
        )
    for placed in placement.holders:
        part, own = layer_of(analog, placed.layer.parameter), log
        uses = [placement.layers[use] for use in placement.network.uses(placed.index)]
        if len(uses) > 1:
            own = told_apart = UsesLog(log, part, uses)
            told_apart.follow(analog)
        for tile in part.modules():
            if isinstance(tile, Tile):
                tile.layer, tile.log = placed.index, own  # in order of execution, as the engine counts
        if isinstance(part, Replicated):
            part.log = own
    load_by_sample(analog, placement, management)
    return analog


def _check_replicas(placement: Placement) -> None:
    """Refuse replicas of a weight that is used more than once: which of them a vector went to is told by the call."""
    for placed in placement.holders:
        if placed.replicas > 1 and len(placement.network.uses(placed.index)) > 1:
            raise InputError(
                f"replicas: got {placed.replicas} for layer {placed.layer.name!r}, whose weight is used more than "
                "once; accepted: 1, or a weight of its own (replicas of such layers are timed by `rpusim time`)"
            )


def names_on_arrays(placement: Placement, digital: nn.Module) -> dict[str, str]:
    """Find what `convert` calls the matrix of each layer that holds a weight, by the layer's name.

    A table that reads the weight of a readout is the first to use it; the matrix is the readout's.
    """
    matrices, found = convertible(digital), dict[str, str]()
    for placed in placement.holders:
        uses = [placement.layers[use].layer.name.partition(":")[0] for use in placement.network.uses(placed.index)]
        found[placed.layer.name] = next((name for name in uses if name in matrices), placed.layer.name)
    return found
