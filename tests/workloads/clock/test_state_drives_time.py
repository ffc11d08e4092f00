"""Every count of the kernel's log is an event of the engine, exactly: pulses, retries, skipped vectors, transfers that
crossed a threshold, refreshes, resets, writes; of every kind of cell that has them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from rpusim.arch.chips.chip import Chip
from rpusim.arch.contract.activity import Activity, ActivityLog, Phase
from rpusim.arch.engine.events import Events, Op
from rpusim.arch.mapping.placement import place
from rpusim.arch.schedule.plan import BlockPlan, make_plan
from rpusim.arch.schedule.schedules import run
from rpusim.kernels import AnalogSGD
from rpusim.workloads.capture.capture import capture
from rpusim.workloads.cells import training_cells
from rpusim.workloads.cells.periphery import with_management
from rpusim.workloads.cells.preparation import preparation
from rpusim.workloads.runs import settings
from rpusim.workloads.runs.analog_twin import analog_twin

CELLS: dict[str, Any] = {
    "single": {"model": "constant-step"},
    "capacitor": {"model": "cmos-rpu-2017"},
    "vector": {"model": "constant-step", "cell": {"kind": "vector", "number": 2}},
    "one-sided": {
        "model": "soft-bounds",
        "cell": {"kind": "one-sided", "refresh_every": 1, "refresh_upper_thres": 0.05, "refresh_lower_thres": 0.0},
    },
    "tiki-taka": {"model": "soft-bounds", "cell": {"kind": "transfer", "units_in_mbatch": False}},
    "ttv2": {
        "model": "soft-bounds",
        "cell": {"kind": "buffered-transfer", "units_in_mbatch": False, "fast_lr": 5.0, "thres_scale": 60.0},
    },
    "c-ttv2": {
        "model": "soft-bounds",
        "cell": {"kind": "chopped-transfer", "fast_lr": 1.0, "buffer_granularity": 10.0},
    },
    "agad": {"model": "soft-bounds", "cell": {"kind": "dynamic-transfer", "fast_lr": 1.0, "in_chop_prob": 0.3}},
    "mixed-precision": {"model": "soft-bounds", "cell": {"kind": "mixed-precision"}},
    "hamiltonian": {"model": "soft-bounds", "cell": {"kind": "hamiltonian", "transfer_every": 3}},
}


class Reader(nn.Module):
    """Four steps of three numbers, of which the last state is read."""

    def __init__(self) -> None:
        super().__init__()
        self.gru, self.out = nn.GRU(3, 9, batch_first=True), nn.Linear(9, 4)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        _, h = self.gru(x.view(-1, 4, 3))
        return self.out(h[-1]).log_softmax(1)


NETWORKS: dict[str, Callable[[], nn.Module]] = {
    "layers": lambda: nn.Sequential(nn.Linear(12, 9), nn.ReLU(), nn.Linear(9, 4), nn.LogSoftmax(dim=1)),
    "recurrent": Reader,
}


def trained(
    device: Any, schedule: str, network: str = "layers"
) -> tuple[Any, Activity, Events, training_cells.UnitCells]:
    """A small network with a bound that clips and samples that are zero: its plan, log and events."""
    torch.manual_seed(2)
    module = NETWORKS[network]()
    chip = Chip.load("rpu-2016")
    kind = chip.tiles[0]
    narrow = kind.model_copy(update={"adc": kind.adc.model_copy(update={"bound": 0.3})})
    chip = chip.model_copy(update={"tiles": (narrow,)})
    cells = training_cells.build(device)
    plan = make_plan(place(capture(module, (12,)), chip, "digital", cells.layout))
    management = settings.load("lenet-digits").management
    log = ActivityLog()
    model = analog_twin(module, plan.placement, management, cells, 0, log)
    optimizer = AnalogSGD(model, 0.2)
    made = np.random.default_rng(3)
    for _ in range(4):
        x = torch.tensor(made.random((5, 12)), dtype=torch.float32)
        x[made.integers(0, 5)] = 0.0
        optimizer.zero_grad()
        nn.functional.nll_loss(model(x), torch.tensor(made.integers(0, 4, 5))).backward()
        optimizer.step()
    activity = with_management(log.take(), plan.placement, management)
    return plan, activity, run(plan, activity, schedule), cells  # type: ignore[arg-type]


def _places(activity: Activity) -> list[tuple[int, int]]:
    """Phase and array of every row."""
    return list(zip(activity.phase.tolist(), activity.array.tolist(), strict=True))


def block_of(plan: Any, activity: Activity, row: int) -> BlockPlan:
    return plan.layers[activity.layer[row]].blocks[activity.tile[row]]  # type: ignore[no-any-return]


@pytest.mark.parametrize("schedule", ["sequential", "minibatch-pipelined"])
@pytest.mark.parametrize(
    ("name", "network"),
    [*((name, "layers") for name in CELLS), ("single", "recurrent"), ("ttv2", "recurrent"), ("agad", "recurrent")],
)
def test_every_count_of_the_log_follows_from_the_events(name: str, network: str, schedule: str) -> None:
    plan, activity, events, cells = trained(CELLS[name], schedule, network)
    arrays = np.array([part == "array" for part in plan.station_parts])[events.station]
    layout, slot = cells.layout, plan.layers[0].blocks[0].slot_ps

    # Passes: 1 + retries of bound management, 0 for a vector of zeros; the same on every array that is read together.
    driven = np.flatnonzero((events.op == Op.DRIVE) & arrays)
    together = [len(layout.visible) if p < Phase.UPDATE else len(layout.read_for(k)) for p, k in _places(activity)]
    assert np.array_equal(np.bincount(events.row[driven], minlength=len(activity)), together * (activity.passes > 0))
    assert np.array_equal(events.amount[driven], activity.passes[events.row[driven]])
    for event in driven[np.isin(activity.phase[events.row[driven]], (Phase.FORWARD, Phase.BACKWARD))]:
        row = events.row[event]
        way = block_of(plan, activity, row).backward if activity.phase[row] else block_of(plan, activity, row).forward
        assert way is not None
        assert events.duration[event] >= activity.passes[row] * way.lead_ps
    reads = activity.phase < Phase.UPDATE
    assert (activity.passes[reads] > 1).any() and (activity.passes[reads] == 0).any()

    # Pulse trains: the slots of every update, and of every transfer that crossed its threshold, on each array learning.
    pulsed = np.flatnonzero((events.op == Op.PULSE) & arrays)
    assert set(events.row[pulsed]) == set(np.flatnonzero(activity.slots > 0))
    assert np.array_equal(events.duration[pulsed], activity.slots[events.row[pulsed]] * slot)
    each = np.bincount(events.row[pulsed], minlength=len(activity))
    updates = (activity.phase == Phase.UPDATE) & (activity.slots > 0)
    assert set(each[updates]) <= {len(layout.learning)}

    # Between updates: slices read and written, thresholds crossed, refreshes and resets.
    between = np.isin(activity.phase, (Phase.TRANSFER, Phase.MAINTENANCE))
    assert between.any() == (name not in ("single", "capacitor", "vector"))
    written = np.flatnonzero((events.op == Op.WRITE) & arrays)
    resets = between & (activity.slots == 0) & (activity.writes > 0)
    assert set(events.row[written]) == set(np.flatnonzero(resets))
    iterations = plan.layers[0].blocks[0].kind.programming.iterations
    assert np.array_equal(events.amount[written], np.ceil(activity.active_rows[events.row[written]] * iterations))
    if name in ("ttv2", "c-ttv2"):
        crossed = (activity.slots > 0)[activity.phase == Phase.TRANSFER]
        assert 0 < crossed.sum() < len(crossed)
    if name == "one-sided":
        assert resets.any() and (activity.passes[activity.phase == Phase.MAINTENANCE] > 0).any()


def test_write_and_verify_iterations_are_the_events_of_programming() -> None:
    """Every row in so many pulses as the chip takes in the mean, and every column read after each round of them."""
    module = nn.Sequential(nn.Linear(12, 9), nn.ReLU(), nn.Linear(9, 4))
    plan = make_plan(place(capture(module, (12,)), Chip.load("reram-512")))
    activity = preparation(plan.placement, None)
    first = Activity.rows(layer=[0, 1], phase=Phase.FORWARD, vector=0, passes=1)
    whole = Activity.concatenate([activity, first])
    events = run(plan, whole, "sequential")
    programming = plan.layers[0].blocks[0].kind.programming
    assert programming and programming.verify
    arrays = np.array([part == "array" for part in plan.station_parts])[events.station]
    for row in np.flatnonzero(whole.phase == Phase.MAINTENANCE):
        block = block_of(plan, whole, row).block
        mine = arrays & (events.row == row)
        written, read = (events.amount[mine & (events.op == op)].sum() for op in (Op.WRITE, Op.DRIVE))
        assert written == np.ceil(block.rows * programming.iterations)
        assert read == whole.passes[row] == np.ceil(block.columns * programming.iterations)
