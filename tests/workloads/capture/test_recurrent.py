"""A language model of one LSTM layer on a chip: placed, timed, and the same whether timed from a few samples or all."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

import rpusim
from rpusim.arch.chips.chip import Chip
from rpusim.arch.contract.activity import ActivityLog
from rpusim.arch.mapping.placement import place
from rpusim.arch.schedule.plan import make_plan
from rpusim.arch.schedule.schedules import run
from rpusim.workloads.capture.capture import capture
from rpusim.workloads.cells import training_cells
from rpusim.workloads.runs import settings
from rpusim.workloads.runs.analog_twin import analog_twin

MODEL = """
from torch import nn

class Model(nn.Module):
    def __init__(self):
        super().__init__()
        self.lstm, self.out = nn.LSTM(12, 16, batch_first=True), nn.Linear(16, 12)

    def forward(self, x):
        return self.out(self.lstm(x)[0])

def build():
    return Model(), (6, 12)
"""


@pytest.fixture
def model(tmp_path: Path) -> str:
    (tmp_path / "model.py").write_text(MODEL)
    return f"{tmp_path / 'model.py'}:build"


def test_it_is_mapped_as_matrices_of_the_input_and_of_the_state(model: str) -> None:
    layers = rpusim.map_network(model, "reram-512")["layers"]
    found = [(layer["name"], layer["kind"], layer["rows"], layer["columns"], layer["vectors"]) for layer in layers]
    assert found == [
        ("lstm.ih_l0", "linear", 64, 13, 6),
        ("lstm.hh_l0", "recurrent", 64, 17, 6),
        ("out", "linear", 12, 17, 6),
    ]


@pytest.mark.parametrize("options", [{"training": False}, {"training": True, "batch": 2}], ids=str)
def test_a_few_samples_say_what_all_of_them_take(model: str, options: dict[str, Any]) -> None:
    few, all_of_them = (
        rpusim.time_network(model, "reram-512", samples=12, schedule="sequential", whole=whole, **options)
        for whole in (False, True)
    )
    for key in ("time", "energy"):
        assert few[key] == all_of_them[key]
    given, state, out = 6 * 64 * 13, 6 * 64 * 17, 6 * 12 * 17
    passes = [given, state, out]
    if options["training"]:  # nothing goes back through the input's matrix, nor into the state before the first step
        passes += [state * 5 // 6, out, given, state, out]
    assert few["throughput"]["operations_per_sample"] == 2 * sum(passes)


class Reader(nn.Module):
    """Two recurrent layers, of which every step, the last one or the last state is read."""

    def __init__(self, kind: Any, read: str, bias: bool = True) -> None:
        super().__init__()
        self.cells, self.out = kind(4, 5, num_layers=2, batch_first=True, bias=bias), nn.Linear(5, 3)
        self.read = read

    def forward(self, x: torch.Tensor) -> Any:
        output, state = self.cells(x)
        h = state[0] if isinstance(state, tuple) else state
        return self.out({"every": output, "last": output[:, -1], "state": h[-1]}[self.read])


STEPS, SAMPLES = 6, 3


@pytest.mark.parametrize("read", ["every", "last", "state"])
@pytest.mark.parametrize("kind", [nn.RNN, nn.LSTM, nn.GRU])
def test_it_trains_and_infers_on_the_clock(kind: Any, read: str) -> None:
    """The account holds all passes, but for those that nobody wants: errors of the input and of the first state."""
    torch.manual_seed(0)
    model = rpusim.place(Reader(kind, read), "reram-512", (STEPS, 4), device="ecram")
    optimizer, x = rpusim.AnalogSGD(model, lr=0.5), torch.rand(SAMPLES, STEPS, 4)
    losses = []
    for _ in range(12):
        optimizer.zero_grad()
        loss = (model(x) - 0.5).square().mean()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    assert losses[-1] < 0.5 * losses[0]
    model.eval()
    with torch.no_grad():
        model(x)
    report = model.chip.report()
    out = STEPS if read == "every" else 1
    forward, backward = 4 * STEPS + out, (STEPS - 1) + STEPS + (STEPS - 1) + out
    assert report["activity"]["vectors"] == SAMPLES * (13 * forward + 12 * backward)
    assert report["activity"]["updates"] == SAMPLES * 12 * forward
    assert report["activity"]["samples"] == 13 * SAMPLES
    assert report["activity"]["inference_samples"] == SAMPLES


def test_the_first_step_is_skipped_where_its_state_is_all_that_drives_the_array() -> None:
    """The state before it is zero: with a bias in the array the bias's column is driven, without any nothing is."""
    skipped = {}
    for bias in (True, False):
        model = rpusim.place(Reader(nn.RNN, "last", bias), "reram-512", (STEPS, 4)).eval()
        with torch.no_grad():
            model(torch.rand(SAMPLES, STEPS, 4) + 0.1)
        skipped[bias] = model.chip.report()["activity"]["skipped"]
    assert skipped == {True: 0, False: 2 * SAMPLES}


@pytest.mark.parametrize("together", [True, False], ids=["one loss", "a loss each"])
def test_mini_batches_of_several_calls_are_those_of_one_call(together: bool) -> None:
    """Gradients of two calls, of 2 samples and 1, cost what those of 3 samples do; their errors come in any order."""
    torch.manual_seed(0)
    module, x = Reader(nn.LSTM, "last"), torch.rand(SAMPLES, STEPS, 4)
    once, twice = (rpusim.place(module, "reram-512", (STEPS, 4)) for _ in range(2))
    once(x).sum().backward()
    first, second = twice(x[:2]).sum(), twice(x[2:]).sum()
    if together:
        (first + second).backward()
    else:
        second.backward()
        first.backward()
    reports = []
    for model in (once, twice):
        rpusim.AnalogSGD(model, lr=0.1).step()
        reports.append(model.chip.report())
    for key in ("vectors", "updates", "passes", "skipped"):
        assert reports[0]["activity"][key] == reports[1]["activity"][key]
    assert reports[0]["throughput"]["operations_per_sample"] == reports[1]["throughput"]["operations_per_sample"]


@pytest.mark.parametrize("schedule", ["sequential", "minibatch-pipelined", "asynchronous"])
def test_both_engines_time_what_was_computed(schedule: Any) -> None:
    torch.manual_seed(0)
    module, log = Reader(nn.LSTM, "state"), ActivityLog()
    cells, management = training_cells.build("ecram"), settings.load("lenet-digits").management
    plan = make_plan(place(capture(module, (STEPS, 4)), Chip.load("reram-512"), "column", cells.layout))
    model = analog_twin(module, plan.placement, management, cells, 0, log)
    for _ in range(2):
        model.zero_grad()
        model(torch.rand(SAMPLES, STEPS, 4)).square().sum().backward()
        rpusim.AnalogSGD(model, lr=0.1).step()
    activity = log.take()
    one, other = (run(plan, activity, schedule, engine).columns() for engine in ("compiled", "simpy"))
    for name, column in one.items():
        assert np.array_equal(column, other[name]), name


class OfTheFirst(Reader):
    def forward(self, x: torch.Tensor) -> Any:
        return self.out(self.cells(x)[1][0])


def test_a_layer_that_nobody_reads_is_not_on_the_chip() -> None:
    model = rpusim.place(OfTheFirst(nn.RNN, "first"), "reram-512", (STEPS, 4))
    model(torch.rand(SAMPLES, STEPS, 4)).sum().backward()
    rpusim.AnalogSGD(model, lr=0.1).step()
    report = model.chip.report()
    assert [layer["name"] for layer in report["layers"]] == ["cells.ih_l0", "cells.hh_l0", "out"]
    assert report["activity"]["updates"] == SAMPLES * (2 * STEPS + 1)


def test_a_chip_that_only_infers_computes_it_on_the_clock() -> None:
    model = rpusim.place(Reader(nn.LSTM, "state"), "isaac-2016", (STEPS, 4))
    model(torch.rand(SAMPLES, STEPS, 4))
    tiles = 2  # of a matrix of 20 rows, as cells hold two bits
    assert model.chip.report()["activity"]["vectors"] == SAMPLES * (4 * STEPS * tiles + 1)
