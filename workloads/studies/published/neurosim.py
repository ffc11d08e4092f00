"""An epoch of VGG-8 as DNN+NeuroSim finds it, beside ours."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cache

import numpy as np

from rpusim.arch.account import steady
from rpusim.arch.account.ledger import RESTING
from rpusim.arch.account.pricing import Pricer
from rpusim.arch.chips.bill_of_parts import bill_of_parts
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
from rpusim.workloads.studies.published.case import Simulated
from rpusim.workloads.studies.published.timed import network, one_layer

SAMPLES, BATCH = 50_000, 200
"""Images of an epoch, and of a mini-batch."""
COPIES = (64, 16, 8, 4, 2, 1, 1, 8)
"""Of each layer, in NeuroSim's floor plan of its default run ("speed-up of each layer")."""


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
        joules_without_standby=joules(lambda part, phase: phase not in RESTING),
        joules_dram=joules(lambda part, phase: part == "DRAM" and phase not in RESTING),
    )


def neurosim() -> Simulated:
    """Find times and energies of an epoch of VGG-8."""
    return {
        "epoch/forward": lambda: _epoch().forward,
        "epoch/gradient": lambda: _epoch().gradient,
        "epoch/weight-gradient": lambda: _epoch().weight_gradient,
        "epoch/weight-update": lambda: _epoch().weight_update,
        "epoch/energy": lambda: _epoch().joules,
        "epoch/dynamic": lambda: _epoch().joules_without_standby,
        "epoch/dram": lambda: _epoch().joules_dram,
        "epoch-arrays/time": _arrays,
        "epoch-closed/dram": lambda: _epoch().joules_dram + _gradients_of_images(),
    }


def _arrays() -> float:
    """Find how long arrays and converters work for an epoch, each layer on as many copies as NeuroSim gives it."""
    vectors = [layer.vectors for layer in network("vgg8").layers]
    each = [-(-number // copies) for number, copies in zip(vectors, COPIES, strict=True)]
    return SAMPLES * (2 * sum(each) - each[0]) * one_layer("neurosim-vgg8", 0, 128).cycle  # the first does not go back


def _gradients_of_images() -> float:
    """Price what NeuroSim moves through DRAM beyond us: the weight gradient of every image, not of a mini-batch."""
    parts = bill_of_parts(Chip.load("neurosim-vgg8")).chip_wide
    bits = 8 * network("vgg8").weights * (SAMPLES - SAMPLES // BATCH)
    return bits * parts["DRAM"].actions["write"].energy_zj / ZEPTOJOULES_PER_JOULE
