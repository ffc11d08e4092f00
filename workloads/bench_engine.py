"""How fast the event engines are on this machine: events and vector operations per second, and times to an answer.

A vector operation is what one vector does on one block in one phase (a row of activity). Both engines run the same
program; only their own time is counted, not that in which the program is written and its events are priced. NeuroSim
took 262 s for an epoch of VGG-8 on two cores.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Any

from rpusim.arch.activity import Activity
from rpusim.arch.assumption import assumed_activity
from rpusim.arch.engine import Engine
from rpusim.arch.fast import FastEngine
from rpusim.arch.plan import ArrayPlan, Plan, make_plan
from rpusim.arch.schedule import Schedule, compiled
from rpusim.workloads.costing import place_by_name, time_network

NEUROSIM_SECONDS = 262.0
VGG8_EPOCH, VGG8_BATCH = 50_000, 1
"""Images, and how many make a mini-batch (NeuroSim takes 200)."""
Row = dict[str, Any]


@dataclass(frozen=True)
class Case:
    """What both engines run: ``samples`` by the fast one, ``few`` by simpy."""

    name: str
    network: str
    chip: str
    schedule: Schedule
    samples: int
    few: int
    training: bool = False
    shared_converters: bool = False

    def work(self, samples: int) -> tuple[Plan, Activity]:
        plan = make_plan(place_by_name(self.network, self.chip))
        if self.shared_converters:
            plan = with_one_pool(plan)
        return plan, assumed_activity(plan.placement, samples, self.training, samples)


CASES = (
    Case("pipeline of layers", "fcn", "rpu-2016", "layer-pipelined", 20_000, 300),
    Case("pipeline, one pool of converters", "fcn", "rpu-2016", "layer-pipelined", 20_000, 300, shared_converters=True),
    Case("training", "lenet-2017", "rpu-2016", "sequential", 100, 2, training=True),
    Case("pipelined training", "lenet-2017", "reram-512", "minibatch-pipelined", 100, 2, training=True),
    Case("training on many arrays", "vgg8", "neurosim-vgg8", "sequential", 2, 1, training=True),
)


def run(watch: Callable[[Row], None] = lambda row: None, repeats: int = 3) -> list[Row]:
    """Rows as those of `bench.run`: the fast engine beside simpy, then times to an answer beside NeuroSim."""
    rows: list[Row] = []
    for row in _rows(repeats):
        rows.append(row)
        watch(row)
    return rows


def _rows(repeats: int) -> Iterator[Row]:
    for case in CASES:
        events, operations = _rates(case, case.samples, FastEngine, repeats)
        simpy_events, simpy_operations = _rates(case, case.few, Engine, 1)
        name = f"{case.name}, {case.network} on {case.chip}"
        yield _row(name, events, "events/s", "simpy", simpy_events)
        yield _row(name, operations, "vector operations/s", "simpy", simpy_operations)
    began = time.perf_counter()
    time_network("vgg8", "neurosim-vgg8", VGG8_EPOCH, True, "sequential", batch=VGG8_BATCH)
    epoch = f"epoch of vgg8 on neurosim-vgg8, batch {VGG8_BATCH}"
    yield _row(epoch, time.perf_counter() - began, "s", "NeuroSim", NEUROSIM_SECONDS)


def _row(name: str, value: float, unit: str, peer: str, peer_value: float) -> Row:
    return {
        "name": name,
        "value": value,
        "unit": unit,
        "peer": peer,
        "peer_value": peer_value,
        "ratio": value / peer_value,
    }


def _rates(case: Case, samples: int, engine: type[FastEngine] | type[Engine], repeats: int) -> tuple[float, float]:
    """Events and vector operations per second; the best of some runs."""
    plan, activity = case.work(samples)
    program = compiled(plan, activity, case.schedule)
    seconds = []
    for _ in range(repeats + (engine is FastEngine)):  # the first compiles, or reads what was compiled before
        began = time.process_time()  # what others do on this machine does not count
        start, end = engine(program).times()
        seconds.append(time.process_time() - began)
    return len(program.events(start, end)) / min(seconds), len(activity) / min(seconds)


def with_one_pool(plan: Plan) -> Plan:
    """All arrays of the chip share the converters of the first, as macros with one bank of converters do."""
    bank = plan.layers[0].blocks[0].arrays[0]

    def sharing(array: ArrayPlan) -> ArrayPlan:
        return replace(array, row_adcs=bank.row_adcs, column_adcs=bank.column_adcs)

    layers = [
        replace(layer, blocks=tuple(replace(b, arrays=tuple(map(sharing, b.arrays))) for b in layer.blocks))
        for layer in plan.layers
    ]
    return replace(plan, layers=tuple(layers))
