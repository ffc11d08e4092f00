"""How fast the event engines are on this machine: events and vector operations per second, and times to an answer.

A vector operation is what one vector does on one block in one phase (a row of activity). Both engines run the same
program; only their own time is counted, not that in which the program is written and its events are priced. With the
period found (`rpusim.arch.account.steady`), all of it counts, from the network to the account of so many samples.
NeuroSim took 262 s for an epoch of VGG-8 on two cores. Times are of the process, so that what else the machine does
hardly counts.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Any

import numpy as np

from rpusim.arch.account import steady
from rpusim.arch.account.pricing import Pricer
from rpusim.arch.chips.chip import Chip
from rpusim.arch.contract.activity import Activity, Phase
from rpusim.arch.engine.compiled_engine import CompiledEngine
from rpusim.arch.engine.simpy_engine import SimpyEngine
from rpusim.arch.mapping.assumed_activity import assumed_activity
from rpusim.arch.mapping.placement import Placement, place
from rpusim.arch.network.network import Network, connect
from rpusim.arch.network.operations import WeightLayer
from rpusim.arch.parts.adc import Pool
from rpusim.arch.schedule.plan import make_plan
from rpusim.arch.schedule.schedules import Schedule, compiled
from rpusim.workloads.runs.estimate import time_network
from rpusim.workloads.runs.given_network import load_network

NEUROSIM_SECONDS = 262.0
VGG8_EPOCH, VGG8_BATCH = 50_000, 1
"""Images of an epoch, and of a mini-batch (NeuroSim takes 200)."""
RESNET50_EPOCH, RESNET50_BATCH, RESNET50_TILES = 1_280_000, 64, 64
"""Images of an epoch of ImageNet and of a mini-batch, and tiles of rpu-2016 that the network fits on."""
AGREEMENT_CASES = 100
Row = dict[str, Any]


@dataclass(frozen=True)
class Case:
    """What both engines run.

    name:      in words.
    network:   of the zoo.
    chip:      a preset.
    samples:   that the compiled engine runs.
    few:       that simpy runs.
    many:      that are accounted for once the period is found; 0: this is not measured.
    training:  whether samples also learn.
    pool:      how converters are shared; None: as the chip says.
    """

    name: str
    network: str
    chip: str
    schedule: Schedule
    samples: int
    few: int
    many: int
    training: bool = False
    pool: Pool | None = None

    def placement(self) -> Placement:
        """Place the network on the chip."""
        placement = place(load_network(self.network), Chip.load(self.chip))
        if self.pool is None:
            return placement
        kind, *others = placement.chip.tiles
        adc = kind.adc.model_copy(update={"pool": self.pool, "shared_between_sides": True})
        tiles = (kind.model_copy(update={"adc": adc}), *others)
        return place(placement.network, placement.chip.model_copy(update={"tiles": tiles}))

    def work(self, placement: Placement, samples: int) -> Activity:
        """Write the activity of so many samples: mini-batches of one, or all in one where samples overlap."""
        return assumed_activity(placement, samples, self.training, 1 if self.schedule == "sequential" else samples)


CASES = (
    Case("pipeline of layers", "fcn", "rpu-2016", "layer-pipelined", 20_000, 3_000, 10**6),
    Case(
        "pipeline, a bank of converters shared by all layers",
        *("fcn", "rpu-2016", "layer-pipelined", 20_000, 3_000, 10**6),
        pool=Pool(tiles=50, banks=1, source="made up, to measure what sharing costs the engines"),
    ),
    Case("pipeline of convolutions", "lenet-2017", "rpu-2016", "layer-pipelined", 100, 20, 10**5),
    Case("training", "lenet-2017", "rpu-2016", "sequential", 100, 12, 10**5, training=True),
    Case("pipelined training", "lenet-2017", "reram-512", "minibatch-pipelined", 100, 12, 0, training=True),
    Case("training on many arrays", "vgg8", "neurosim-vgg8", "sequential", 2, 1, 0, training=True),
)


def run(watch: Callable[[Row], None] = lambda row: None, repeats: int = 3) -> list[Row]:
    """Measure the compiled engine beside simpy, then times to an answer beside NeuroSim.

    watch:    called with each row as it comes.
    repeats:  how often each case is measured; the best counts.

    Returns rows as `rpusim.workloads.benchmarks.training.run` does.
    """
    rows: list[Row] = []
    for row in _rows(repeats):
        rows.append(row)
        watch(row)
    return rows


def _rows(repeats: int) -> Iterator[Row]:
    for case in CASES:
        events, operations = _rates(case, case.samples, CompiledEngine, repeats)
        simpy_events, simpy_operations = _rates(case, case.few, SimpyEngine, 1)
        name = f"{case.name}, {case.network} on {case.chip}"
        yield _row(name, events, "events/s", "simpy", simpy_events)
        yield _row(name, operations, "vector operations/s", "simpy", simpy_operations)
        if case.many:
            seconds = min(_seconds(lambda case=case: _repeated(case)) for _ in range(repeats))  # type: ignore[misc]
            one = len(case.work(case.placement(), 1))
            rate = one * case.many / seconds
            yield _row(f"{name}, {case.many:,} samples", rate, "vector operations/s", "all of them run", operations)
    batch, epoch = (_seconds(lambda n=n: resnet50(n)) for n in (1, RESNET50_EPOCH // RESNET50_BATCH))  # type: ignore[misc]
    name = f"resnet50 on {RESNET50_TILES} tiles of rpu-2016, training, "
    yield _row(f"{name}mini-batch of {RESNET50_BATCH}", batch, "s", "asked for", 10.0)
    yield _row(f"{name}epoch of {RESNET50_EPOCH:,}", epoch, "s", "asked for", 20.0)
    seconds = _seconds(lambda: time_network("vgg8", "neurosim-vgg8", VGG8_EPOCH, True, "sequential", batch=VGG8_BATCH))
    yield _row(f"epoch of vgg8 on neurosim-vgg8, batch {VGG8_BATCH}", seconds, "s", "NeuroSim", NEUROSIM_SECONDS)
    agreed = sum(both_agree(number) for number in range(AGREEMENT_CASES))
    yield _row("generated chips and networks, same ticks", agreed, "cases", "of", AGREEMENT_CASES)


def _row(name: str, value: float, unit: str, peer: str, peer_value: float) -> Row:
    return {
        "name": name,
        "value": value,
        "unit": unit,
        "peer": peer,
        "peer_value": peer_value,
        "ratio": value / peer_value,
    }


def _seconds(do: Callable[[], object]) -> float:
    began = time.process_time()
    do()
    return time.process_time() - began


def _rates(
    case: Case, samples: int, engine: type[CompiledEngine] | type[SimpyEngine], repeats: int
) -> tuple[float, float]:
    """Measure events and vector operations per second; the best of some runs."""
    placement = case.placement()
    activity = case.work(placement, samples)
    program = compiled(make_plan(placement), activity, case.schedule)
    times = engine(program).times()  # the first run compiles, or reads what was compiled before
    seconds = min(_seconds(lambda: engine(program).times()) for _ in range(repeats))
    return len(program.events(*times)) / seconds, len(activity) / seconds


def _repeated(case: Case) -> None:
    plan = make_plan(case.placement())
    steady.account(
        plan, case.schedule, Pricer(plan), lambda number, size: case.work(plan.placement, number * size), case.many
    )


def resnet50(batches: int) -> steady.Timed:
    """Account for so many mini-batches of training ResNet-50 at 224 x 224, the network captured and placed for it."""
    few = Chip.load("rpu-2016")
    chip = few.model_copy(update={"tiles": (few.tiles[0].model_copy(update={"count": RESNET50_TILES}),)})
    plan = make_plan(place(load_network("resnet50"), chip))

    def work(number: int, size: int) -> Activity:
        return assumed_activity(plan.placement, number * size, True, size)

    return steady.account(plan, "sequential", Pricer(plan), work, batches, RESNET50_BATCH)[1]


def both_agree(number: int) -> bool:
    """Tell whether both engines find the same times for a network, chip, schedule and activity drawn from a seed."""
    rng = np.random.default_rng(number)
    sizes = rng.integers(1, 100, rng.integers(2, 5)).tolist()
    lines = [WeightLayer.linear(f"layer{i}", (n,), m, bias=False) for i, (n, m) in enumerate(pairwise(sizes))]
    before = ["input", *(line.name for line in lines)]
    network: Network = connect(
        "chain", (sizes[0],), [(line, (name,)) for line, name in zip(lines, before, strict=False)]
    )
    chip = Chip.load(str(rng.choice(["rpu-2016", "reram-512"])))
    kind = chip.tiles[0]
    array = kind.array.model_copy(update={"rows": int(rng.integers(8, 65)), "columns": int(rng.integers(8, 65))})
    adc = kind.adc.model_copy(update={"lines_per_adc": int(rng.integers(1, 33))})
    tiles = kind.model_copy(update={"array": array, "adc": adc, "count": 1000})
    placement = place(network, chip.model_copy(update={"tiles": (tiles,)}))
    training = bool(rng.integers(2))
    schedules: list[Schedule] = ["sequential", "minibatch-pipelined", "asynchronous"]
    schedule = schedules[rng.integers(3)] if training else "layer-pipelined"
    activity = assumed_activity(placement, int(rng.integers(1, 5)), training, int(rng.integers(1, 3)))
    passes = np.where(activity.phase != Phase.UPDATE, rng.choice([0, 1, 1, 2], len(activity)), 0)
    slots = np.where(activity.phase == Phase.UPDATE, rng.integers(0, 32, len(activity)), 0)
    activity = replace(activity, passes=passes.astype(np.int32), slots=slots.astype(np.int32))
    program = compiled(make_plan(placement), activity, schedule)
    fast, definition = CompiledEngine(program).times(), SimpyEngine(program).times()
    return all(np.array_equal(mine, theirs) for mine, theirs in zip(fast, definition, strict=True))
