"""What a placed module does in training and in evaluation, where these differ (auxiliary heads, noise, losses).

All layers lie on the chip where training uses them. The passes of either mode are scheduled by a plan of their own, on
the same arrays and stations, so that evaluation neither waits for what only training does nor pays for it; arrays that
it does not use draw their standby all the same.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from rpusim.arch.contract.activity import Activity
from rpusim.arch.mapping.placement import Placement
from rpusim.arch.mapping.routes import Stations
from rpusim.arch.network.network import Network
from rpusim.arch.schedule.plan import Plan, make_plan


@dataclass(frozen=True)
class Modes:
    """The plans of both modes of one placed module.

    training:    of all layers on the chip, in the order in which training uses them.
    evaluation:  of those that evaluation uses; None: both modes do the same.
    layers:      for every layer of the evaluation plan its index in the training plan.
    """

    training: Plan
    evaluation: Plan | None
    layers: tuple[int, ...]

    @staticmethod
    def of(placement: Placement, evaluation: Network) -> Modes:
        """Plan both modes.

        placement:   of the network as it is in training.
        evaluation:  the network as it is in evaluation, whose layers are some of these; maybe the same one.
        """
        everything = tuple(range(len(placement.layers)))
        if evaluation is placement.network:
            return Modes(make_plan(placement), None, everything)
        by_use = dict(zip(placement.network.by_use, placement.layers, strict=True))
        chosen = [by_use[use] for use in evaluation.by_use]
        moved = tuple(
            replace(placed, index=index, blocks=tuple(replace(block, layer=index) for block in placed.blocks))
            for index, placed in enumerate(chosen)
        )
        stations = Stations()
        trains = make_plan(placement, stations)
        evaluates = make_plan(replace(placement, network=evaluation, layers=moved), stations)
        # Those that only evaluation needs have got the last numbers.
        trains = replace(
            trains,
            stations=evaluates.stations,
            station_parts=evaluates.station_parts,
            station_kinds=evaluates.station_kinds,
            station_capacity=evaluates.station_capacity,
        )
        return Modes(trains, evaluates, tuple(placed.index for placed in chosen))

    @property
    def counted(self) -> int:
        """Index of a layer that both modes use, by whose vectors samples are counted."""
        return self.layers[0]

    def in_evaluation(self, activity: Activity) -> Activity:
        """Number the layers of rows of activity as the evaluation plan does."""
        number = np.full(len(self.training.layers), -1, np.int32)
        number[list(self.layers)] = np.arange(len(self.layers))
        found = number[activity.layer]
        assert np.all(found >= 0), "activity of a layer that evaluation does not use"
        return replace(activity, layer=found)
