"""The whole chip of Gokmen & Vlasov from events: a full layer on every tile, with an activation behind each."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

from rpusim.arch.account.pricing import Pricer
from rpusim.arch.chips.chip import Chip
from rpusim.arch.contract.quantity import PICOSECONDS_PER_SECOND, ZEPTOJOULES_PER_JOULE
from rpusim.arch.mapping.assumed_activity import assumed_activity
from rpusim.arch.mapping.placement import place
from rpusim.arch.network.network import connect
from rpusim.arch.network.operations import Operation, WeightLayer
from rpusim.arch.schedule.plan import make_plan
from rpusim.arch.schedule.schedules import run


@dataclass(frozen=True)
class Rate:
    """What a chip reaches once vectors follow each other through all its tiles.

    cycle:       seconds from one vector to the next.
    operations:  of a vector in all layers, a multiply-accumulate counted as two.
    joules:      of a vector in all layers, standby included.
    """

    cycle: float
    operations: int
    joules: float

    @property
    def per_second(self) -> float:
        """Operations per second."""
        return self.operations / self.cycle

    @property
    def per_joule(self) -> float:
        """Operations per joule, which is operations per second and watt."""
        return self.operations / self.joules

    @property
    def watts(self) -> float:
        """Power of the whole chip."""
        return self.joules / self.cycle


@cache
def full_layers(preset: str = "rpu-2016", activation: str = "relu", samples: int = 100) -> Rate:
    """Time a full layer, bias included, on every tile of a chip, each followed by an activation.

    Args:
        preset: a chip that ships, of one kind of tile with one array.
        activation: behind every layer, as torch names it; "": none.
        samples: how many are timed before those that are counted, and how many are counted: these come at the full rate
            if the former are more than there are layers.

    Returns:
        The rate, in the schedule "layer-pipelined".
    """
    chip = Chip.load(preset)
    (kind,) = chip.tiles
    rows, columns = kind.array.rows - 1, kind.array.columns - 1
    last = "input"
    layers: list[tuple[Operation, tuple[str, ...]]] = []
    for number in range(kind.count):
        layers.append((WeightLayer.linear(f"layer {number}", (columns,), rows), (last,)))
        last = f"layer {number}"
        if activation:
            squash = Operation.digital(f"activation {number}", "activation", (rows,), detail=activation)
            layers.append((squash, (last,)))
            last = squash.name
    network = connect("full layers", (columns,), layers)
    plan = make_plan(place(network, chip))
    price = Pricer(plan)
    one, two = (
        price(run(plan, activity, "layer-pipelined"), activity)
        for activity in (assumed_activity(plan.placement, number, False) for number in (samples, 2 * samples))
    )
    return Rate(
        (two.time_ps - one.time_ps) / samples / PICOSECONDS_PER_SECOND,
        2 * network.macs,
        (two.total_zj - one.total_zj) / samples / ZEPTOJOULES_PER_JOULE,
    )
