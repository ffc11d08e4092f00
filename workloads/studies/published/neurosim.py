"""An epoch of VGG-8 as DNN+NeuroSim finds it, beside ours."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import cache

import numpy as np

from rpusim.arch.account import steady
from rpusim.arch.account.ledger import STANDBY
from rpusim.arch.account.pricing import Pricer
from rpusim.arch.chips.chip import Chip
from rpusim.arch.contract.activity import Activity, Phase
from rpusim.arch.contract.quantity import PICOSECONDS_PER_SECOND, ZEPTOJOULES_PER_JOULE
from rpusim.arch.engine.events import Op
from rpusim.arch.engine.program import HEAD, LOGGED
from rpusim.arch.mapping.assumed_activity import assumed_activity
from rpusim.arch.mapping.placement import place
from rpusim.arch.schedule.plan import make_plan
from rpusim.arch.schedule.schedules import run
from rpusim.arch.schedule.storage import settle
from rpusim.workloads.cells.assumed_transfers import assumed
from rpusim.workloads.cells.training_cells import build
from rpusim.workloads.studies.published.case import Case
from rpusim.workloads.studies.published.timed import network

NEUROSIM = "DNN+NeuroSim V2.1, its default run (VGG-8 on CIFAR-10, mini-batches of 200), one epoch"
SAMPLES, BATCH = 50_000, 200
"""Images of an epoch, and of a mini-batch."""


@dataclass(frozen=True)
class _Epoch:
    """Seconds and joules of one epoch, by what NeuroSim calls its phases."""

    forward: float
    gradient: float
    weight_gradient: float
    weight_update: float
    joules: float
    joules_without_standby: float
    joules_dram: float


@cache
def _epoch() -> _Epoch:
    """Time and price an epoch of equal mini-batches, one of which is run whole: two minutes, and 9 GB of memory.

    The gradient is collected digitally and written once per mini-batch (mixed precision), as NeuroSim's chip does. The
    way of one image forward and back is that of the first of two whose inputs and errors wait outside the buffers, as
    most do; while the last one comes back, layers learn already.
    """
    cells = build("mixed-precision-reram-es")
    placement = place(network("vgg8"), Chip.load("neurosim-vgg8"), "digital", cells.layout)
    plan, learning = make_plan(placement), assumed(cells)

    def work(number: int, size: int) -> Activity:
        return assumed_activity(placement, number * size, True, size, learning)

    ledger, timed = steady.account(plan, "sequential", Pricer(plan), work, 1, BATCH)
    updates = timed.program.logged[:, [LOGGED.index("slot"), LOGGED.index("task")]]
    updates = updates[timed.program.heads[updates[:, 1], HEAD.index("phase")] == Phase.UPDATE]
    learned = max(int(timed.end[slot:][: timed.program.tasks[task, 3]].max()) for slot, task in updates.tolist())
    outside = tuple(replace(kept, samples=0) if kept.overflow else kept for kept in settle(plan, BATCH, training=True))
    events = run(plan, work(1, 2), "sequential", kept=outside)

    def seconds(picoseconds: int, times: int) -> float:
        return picoseconds * times / PICOSECONDS_PER_SECOND

    def joules(chosen: Callable[[str, str], bool]) -> float:
        of_one = sum(zj for (part, phase, _), zj in ledger.energy.items() if chosen(part, phase))
        return of_one * (SAMPLES // BATCH) / ZEPTOJOULES_PER_JOULE

    vectors = np.array([layer.placed.layer.vectors for layer in plan.layers])[events.layer]
    of_first = (events.op == Op.DRIVE) & (events.vector < vectors)
    forward, backward = (int(events.end[of_first & (events.phase == p)].max()) for p in (Phase.FORWARD, Phase.BACKWARD))
    whole, update = (seconds(ps, SAMPLES // BATCH) for ps in (ledger.time_ps, ledger.time_ps - learned))
    return _Epoch(
        forward=seconds(forward, SAMPLES),
        gradient=seconds(backward - forward, SAMPLES),
        weight_gradient=whole - update - seconds(backward, SAMPLES),
        weight_update=update,
        joules=joules(lambda part, phase: True),
        joules_without_standby=joules(lambda part, phase: phase != STANDBY),
        joules_dram=joules(lambda part, phase: part == "DRAM" and phase != STANDBY),
    )


def neurosim() -> Iterator[Case]:
    """List times and energies of an epoch of VGG-8, for comparison only."""
    what = "NeuroSim", NEUROSIM, "seen"
    rows = [
        (
            "forward",
            37.9,
            "s",
            lambda: _epoch().forward,
            "2690 vectors an image of 144 ns each on all sub-arrays of a layer (19.4 s), and ways between tiles; "
            "NeuroSim's buffers and H-tree take longer than our mesh",
        ),
        (
            "activation gradient",
            30.2,
            "s",
            lambda: _epoch().gradient,
            "as long as forward on the layers that go back, which the first, with 1024 of the vectors, does not; "
            "shorter than NeuroSim's for the same reason",
        ),
        (
            "weight gradient",
            53.3,
            "s",
            lambda: _epoch().weight_gradient,
            "64 digital lanes per tile sum up outer products here, one digital unit those of both first layers; "
            "NeuroSim has SRAM arrays that multiply for it",
        ),
        (
            "weight update",
            1.35,
            "s",
            lambda: _epoch().weight_update,
            "rows of all sub-arrays at once, most of them while slower layers still sum up",
        ),
        (
            "energy",
            88.6,
            "J",
            lambda: _epoch().joules,
            "with the standby power of DRAM, digital units and buffers, which NeuroSim leaves out",
        ),
        (
            "energy without standby",
            88.6,
            "J",
            lambda: _epoch().joules_without_standby,
            "DRAM moves less (next row); of the rest, 12.6 J in NeuroSim, most here are outer products that digital "
            "units sum up, where it has SRAM arrays",
        ),
        (
            "energy of DRAM without standby",
            76.0,
            "J",
            lambda: _epoch().joules_dram,
            "NeuroSim moves every image's weight gradient through DRAM (13 million weights of 8 bits at 14 pJ/b: 73 J "
            "an epoch), here the sum of a mini-batch goes; most of ours is inputs and errors that no buffer holds",
        ),
    ]
    for name, published, unit, simulated, note in rows:
        yield Case(f"VGG-8 epoch: {name}", *what, published, unit, simulated, None, note)
