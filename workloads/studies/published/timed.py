"""Pieces of inference whose events and account are compared with published figures."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from rpusim.arch.account.ledger import Ledger
from rpusim.arch.account.pricing import Pricer
from rpusim.arch.chips.chip import Chip
from rpusim.arch.contract.quantity import PICOSECONDS_PER_SECOND, ZEPTOJOULES_PER_JOULE
from rpusim.arch.engine.events import Events, Op
from rpusim.arch.mapping.assumed_activity import assumed_activity
from rpusim.arch.mapping.placement import Placement, place
from rpusim.arch.network.network import Network, connect
from rpusim.arch.network.operations import Operation, WeightLayer
from rpusim.arch.schedule.plan import make_plan
from rpusim.arch.schedule.schedules import Schedule, run
from rpusim.workloads.runs.given_network import load_network


@dataclass(frozen=True)
class Timed:
    """Events of a piece of inference, and its account. of_arrays: by station, whether it is an array."""

    events: Events
    ledger: Ledger
    of_arrays: NDArray[np.bool_]

    @property
    def seconds(self) -> float:
        """How long it took."""
        return self.ledger.time_ps / PICOSECONDS_PER_SECOND

    @property
    def joules(self) -> float:
        """Energy of all phases, standby included."""
        return self.ledger.total_zj / ZEPTOJOULES_PER_JOULE

    @property
    def cycle(self) -> float:
        """Seconds from one vector to the next in the first array, once they follow each other."""
        return float(np.diff(self.driving())[-1]) / PICOSECONDS_PER_SECOND

    def driving(self, layer: int = 0) -> NDArray[np.int64]:
        """Return when (ps) each vector begins to drive the first array of a layer, in order."""
        chosen = (self.events.op == Op.DRIVE) & self.of_arrays[self.events.station]
        return np.sort(self.events.start[chosen & (self.events.layer == layer) & (self.events.tile == 0)])


@cache
def network(name: str) -> Network:
    """Return the layers of a network of the zoo."""
    return load_network(name)


@cache
def inferred(name: str, samples: int, schedule: Schedule, replicas: tuple[int, ...] = ()) -> Timed:
    """Time a network of the zoo on as many tiles of rpu-2016 as it takes; replicas: of its first layers, in order."""
    chip, captured = Chip.load("rpu-2016"), network(name)
    roomy = chip.model_copy(update={"tiles": (chip.tiles[0].model_copy(update={"count": 4096}),)})
    copies = dict(zip((layer.name for layer in captured.layers), replicas, strict=False))
    return timed(place(captured, roomy, replicas=copies), samples, schedule)


@cache
def one_layer(preset: str, kind: int, lines: int) -> Timed:
    """Time fifty vectors through one square array of ``lines`` rows on one kind of tile of a chip that ships."""
    whole = Chip.load(preset)
    only = whole.model_copy(update={"tiles": (whole.tiles[kind],)})
    return on_chip(only, lines, lines)


def one_tile(preset: str) -> Chip:
    """Take a chip that ships with a single tile of its first kind, and a router for it."""
    whole = Chip.load(preset)
    return whole.model_copy(update={"tiles": (whole.tiles[0].model_copy(update={"count": 1}),)})


def on_chip(chip: Chip, inputs: int, outputs: int, vectors: int = 50) -> Timed:
    """Time vectors through one layer of so many inputs and outputs, without a bias, on a chip."""
    layer = WeightLayer.linear("fc", (inputs,), outputs, bias=False)
    return timed(place(connect("one", (inputs,), [(layer, ("input",))]), chip), vectors)


@cache
def chain(preset: str, layers: int, lines: int, activation: str, vectors: int) -> Timed:
    """Time vectors through equal layers, one after the other, each with an activation, on a chip that ships.

    lines: outputs of every layer, and its inputs with the bias.
    """
    steps: list[tuple[Operation, tuple[str, ...]]] = []
    before = "input"
    for number in range(layers):
        name, shape = f"fc{number}", (lines - 1,)
        steps.append((WeightLayer.linear(name, shape, lines - 1), (before,)))
        before = f"{activation}{number}"
        steps.append((Operation.digital(before, "activation", shape, detail=activation), (name,)))
    return timed(place(connect("chain", (lines - 1,), steps), Chip.load(preset)), vectors)


@cache
def perceptron(preset: str, widths: tuple[int, ...], vectors: int) -> Timed:
    """Time vectors through layers of these widths without biases, a ReLU between each two, on a chip that ships."""
    steps: list[tuple[Operation, tuple[str, ...]]] = []
    before = "input"
    for number, (inputs, outputs) in enumerate(pairwise(widths)):
        steps.append((WeightLayer.linear(f"fc{number}", (inputs,), outputs, bias=False), (before,)))
        steps.append((Operation.digital(f"relu{number}", "activation", (outputs,), detail="relu"), (f"fc{number}",)))
        before = f"relu{number}"
    return timed(place(connect("perceptron", widths[:1], steps[:-1]), Chip.load(preset)), vectors)


def timed(placement: Placement, samples: int, schedule: Schedule = "layer-pipelined") -> Timed:
    """Time vectors of inference that are placed on a chip."""
    plan = make_plan(placement)
    activity = assumed_activity(placement, samples, training=False)
    events = run(plan, activity, schedule)
    arrays = np.array([part == "array" for part in plan.station_parts])
    return Timed(events, Pricer(plan)(events, activity), arrays)
