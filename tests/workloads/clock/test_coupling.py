"""Time that the engine finds passes in the arrays: exactly, on every schedule, through waiting and standing still."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import yaml
from torch import nn

from rpusim.arch.chips.chip import Chip
from rpusim.arch.contract.activity import ActivityLog
from rpusim.arch.contract.quantity import PICOSECONDS_PER_SECOND
from rpusim.arch.mapping.placement import place
from rpusim.arch.schedule.plan import make_plan
from rpusim.errors import InputError
from rpusim.kernels import AnalogSGD, AnalogTile
from rpusim.kernels.layers.gradient import PairGradient, Pairs
from rpusim.kernels.layers.optimizer import array_parameters
from rpusim.kernels.pulses.trains import Execution
from rpusim.workloads.benchmarks import coupling
from rpusim.workloads.capture.capture import capture
from rpusim.workloads.cells import training_cells
from rpusim.workloads.clock.coupling import Coupling
from rpusim.workloads.clock.meter import Meter
from rpusim.workloads.runs import settings, simulate
from rpusim.workloads.runs.analog_twin import analog_twin
from rpusim.workloads.runs.step_of import step_of

RETENTION = 3e-3
LEAKY: dict[str, Any] = {"model": "chip", "retention": RETENTION, "leakage_dtod": 0.2}


class Bench:
    """A small network on the chip with capacitor cells, to be trained by hand."""

    def __init__(
        self, device: Any = LEAKY, elapse: str = "mini-batch", execution: str = "merged", **meter: Any
    ) -> None:
        torch.manual_seed(1)
        module = nn.Sequential(nn.Linear(12, 9), nn.Tanh(), nn.Linear(9, 4), nn.LogSoftmax(dim=1))
        chip = Chip.load("cmos-rpu-2017")
        cells = replace(training_cells.build(device, chip), execution=Execution(execution))
        placement = place(capture(module, (12,)), chip, "column", cells.layout)
        management = settings.load("fcn-digits").management
        self.log = ActivityLog()
        self.model = analog_twin(module, placement, management, cells, 0, self.log)
        self.meter = Meter(make_plan(placement), meter.pop("schedule", "sequential"), management=management, **meter)
        self.optimizer = AnalogSGD(self.model, 0.0)
        self.coupling = Coupling(self.model, self.meter, self.log.take, elapse)  # type: ignore[arg-type]
        self.tiles = [tile for tile in self.model.modules() if isinstance(tile, AnalogTile)]

    def train(self, mini_batches: int, batch: int = 1, rate: float = 0.0, seed: int = 0) -> None:
        made = np.random.default_rng(seed)
        self.optimizer.param_groups[0]["lr"] = rate
        for _ in range(mini_batches):
            x = torch.tensor(made.random((batch, 12)), dtype=torch.float32)
            self.optimizer.zero_grad()
            nn.functional.nll_loss(self.model(x), torch.tensor(made.integers(0, 4, batch))).backward()
            self.coupling.step(self.optimizer.step)

    @property
    def seconds(self) -> float:
        return self.meter.ledger().time_ps / PICOSECONDS_PER_SECOND

    def held(self) -> list[torch.Tensor]:
        """What every tile's cells hold, rounding errors and all."""
        return [tile.array.weights.double() + tile.array.residue.double() for tile in self.tiles]


def decayed(tile: AnalogTile, start: torch.Tensor, seconds: float) -> torch.Tensor:
    rest, tau = tile.cells.target, tile.cells.retention
    assert rest is not None and tau is not None
    return rest.double() + (start - rest.double()) * torch.exp(-seconds / tau.double())


@pytest.mark.parametrize("elapse", ["mini-batch", "vector"])
@pytest.mark.parametrize(("batch", "schedule"), [(1, "sequential"), (5, "sequential"), (5, "minibatch-pipelined")])
def test_weights_decay_as_the_exponential_of_the_engines_time(elapse: str, batch: int, schedule: str) -> None:
    bench = Bench(elapse=elapse, schedule=schedule)
    start = bench.held()
    bench.train(60, batch)
    bench.coupling.idle(2e-3)
    bench.train(20, batch)
    bench.coupling.settle()
    assert bench.seconds > 2e-3
    for tile, before, now in zip(bench.tiles, start, bench.held(), strict=True):
        assert tile.array.clock == pytest.approx(bench.seconds, rel=1e-12)
        goal = decayed(tile, before, bench.seconds)
        assert ((now - goal).abs() <= 1e-6 * goal.abs() + 1e-12).all()
        assert float((before - goal).norm()) > 0.2 * float(before.norm())  # much has leaked


def test_every_clock_shows_the_chips_time_whoever_worked() -> None:
    """Both layers' arrays age alike, though the second is touched later and works less."""
    bench = Bench()
    bench.train(40, rate=0.05)
    bench.coupling.settle()
    assert {round(tile.array.clock * 1e12) for tile in bench.tiles} == {bench.meter.ledger().time_ps}


def test_a_pause_costs_standby_and_nothing_else() -> None:
    still, busy = Bench(), Bench()
    for bench in (still, busy):
        bench.train(5)
        bench.coupling.settle()
    still.coupling.idle(3600.0)
    more = still.meter.ledger().total_zj - busy.meter.ledger().total_zj
    standby = busy.meter.ledger().by(1)["standby"]
    assert more == standby * 3600 * PICOSECONDS_PER_SECOND // busy.meter.ledger().time_ps
    assert still.seconds == busy.seconds + 3600.0
    assert still.meter.activity()["idle_s"] == 3600.0
    for tile in still.tiles:
        assert tile.cells.target is not None and torch.equal(tile.weights, tile.cells.target)


def test_time_by_mini_batch_and_by_vector_differ_by_what_leaks_in_one_mini_batch() -> None:
    """The same pulses in both: fixed vectors, no feedback. A pulse is seen to leak for at most one mini-batch more or
    less, and a mini-batch's time is off by no more than the spread of the piece: T / tau of every step's size each."""
    arrays, longest = [], 0.0
    for elapse in ("mini-batch", "vector"):
        bench = Bench({**LEAKY, "leakage_dtod": 0.0, "dw_min_std": 0.0}, elapse)
        sizes = [torch.zeros_like(tile.weights, dtype=torch.float64) for tile in bench.tiles]
        before = bench.seconds
        for number in range(30):
            bench.optimizer.param_groups[0]["lr"] = 0.05
            for layer in bench.optimizer.layers:
                made = torch.Generator().manual_seed(number)
                tile = layer.tiles[0]
                shapes = [(6, tile.columns), (6, tile.rows)]
                x, d = (torch.rand(shape, generator=made) - 0.5 for shape in shapes)
                layer.analog_forward(x)
                layer.analog_backward(d)
                terms = [(Pairs(0, 0, x, d), 1.0)]
                for part in array_parameters(layer):
                    part.grad = PairGradient(layer, part.part_name, terms)
            start = [tile.weights.clone() for tile in bench.tiles]
            bench.coupling.step(bench.optimizer.step)
            longest = max(longest, bench.seconds - before)
            before = bench.seconds
            for size, tile, old in zip(sizes, bench.tiles, start, strict=True):
                size += (tile.weights - old).abs()
        bench.coupling.settle()
        arrays.append((bench.held(), sizes))
    (by_batch, sizes), (by_vector, _) = arrays
    share = longest / RETENTION
    for one, other, size in zip(by_batch, by_vector, sizes, strict=True):
        difference = (one - other).abs()
        assert (difference <= 2 * share * (size + 0.6)).all()
        assert bool((difference > 0).any())
    assert 1e-4 < share < 1e-2


@pytest.mark.parametrize("refresh", [None, 2e-5], ids=["kept", "refreshed"])
def test_mini_batches_in_a_row_leak_as_one_by_one(refresh: float | None) -> None:
    """What passes within a compiled call is, to the byte, what passes between calls; refreshes come when due."""
    made = np.random.default_rng(0)
    x, y = torch.tensor(made.random((300, 12)), dtype=torch.float32), torch.tensor(made.integers(0, 4, 300))
    benches = [Bench(), Bench()]
    for bench, several in zip(benches, (True, False), strict=True):
        coupling = Coupling(bench.model, bench.meter, bench.log.take, refresh=refresh)
        step = step_of(bench.meter.plan.placement.network, bench.model, bench.log)
        for start in range(0, 300, 128):
            part = slice(start, min(300, start + 128))
            if several:
                coupling.learn(step, x[part], y[part], 1, 0.05)
            for sample in range(part.start, 0 if several else part.stop):
                coupling.begin()
                step.train(x[sample : sample + 1], y[sample : sample + 1], 1, 0.05)
                coupling.stepped()
            coupling.settle()
    one, other = benches
    assert one.meter.ledger() == other.meter.ledger()
    assert all(torch.equal(mine, theirs) for mine, theirs in zip(one.held(), other.held(), strict=True))
    assert [tile.array.clock for tile in one.tiles] == [tile.array.clock for tile in other.tiles]


def test_both_ways_send_the_same_pulses_and_take_the_same_time() -> None:
    benches = [Bench({**LEAKY, "retention": 1e6}, elapse, "exact") for elapse in ("mini-batch", "vector")]
    for bench in benches:
        bench.train(12, 4, rate=0.05)
        bench.coupling.settle()
    one, other = benches
    assert one.meter.counts == other.meter.counts
    assert one.meter.ledger().energy == other.meter.ledger().energy
    for mine, theirs in zip(one.held(), other.held(), strict=True):
        assert torch.allclose(mine, theirs, rtol=0, atol=1e-7)


def test_cells_that_keep_their_charge_learn_as_if_there_were_no_clock() -> None:
    kept, timeless = Bench({"model": "chip", "retention": 0.0}), Bench({"model": "chip", "retention": 1e12})
    for bench in (kept, timeless):
        bench.train(30, rate=0.05)
    for mine, theirs in zip(kept.tiles, timeless.tiles, strict=True):
        assert torch.equal(mine.weights, theirs.weights)


@pytest.mark.parametrize("timing", ["first", {"sampled": 4}])
def test_arrays_age_by_the_account_even_where_few_mini_batches_are_timed(timing: Any) -> None:
    chosen = settings.changed(settings.load("fcn-digits"), {"timing": timing})
    bench = Bench(timing=chosen.timing)
    for _ in range(3):
        bench.train(10, rate=0.02)
        bench.coupling.settle()
        assert {round(tile.array.clock * 1e12) for tile in bench.tiles} == {bench.meter.ledger().time_ps}
    assert bench.meter.timed_samples == (1 if timing == "first" else 8)


def test_time_by_vector_needs_everything_timed_and_cells_that_learn_vector_by_vector() -> None:
    with pytest.raises(InputError, match="elapse: got 'vector' with timing: first; it needs timing: every"):
        Bench(elapse="vector", timing="first")
    with pytest.raises(InputError, match="cells of kind transfer do more with a mini-batch"):
        Bench({**LEAKY, "cell": {"kind": "transfer"}}, elapse="vector")


class TestExperiments:
    IDLE: dict[str, Any] = {
        "per_mini_batch": "1 us",
        "pauses": [{"after_epoch": 1, "time": "1 s", "source": "a test"}],
        "source": "a test",
    }

    def run(self, few_digits: Path, **changes: Any) -> Any:
        base = {"data": str(few_digits), "epochs": 2, "chip": "cmos-rpu-2017", "device": "chip"}
        return simulate.run(settings.changed(settings.load("fcn-digits"), base | changes))

    def test_idle_time_is_part_of_the_account_and_of_the_curve(self, few_digits: Path) -> None:
        plain, idle = self.run(few_digits), self.run(few_digits, idle=self.IDLE)
        mini_batches = idle["activity"]["mini_batches"]
        waited = 1.0 + mini_batches * 1e-6
        assert idle["activity"]["idle_s"] == pytest.approx(waited)
        work = idle["time"]["total_s"] - waited
        assert work == pytest.approx(plain["time"]["total_s"], rel=0.05)  # it learned otherwise: other pulses
        first, second = idle["accuracy"]["curve"]
        assert second["seconds"] - first["seconds"] > 1.0 > first["seconds"]
        assert idle["training"]["idle"]["pauses"][0]["time"] == "1.0 s"
        assert "idle_s" not in plain["activity"]

    def test_an_hour_off_wipes_out_what_a_capacitor_has_learned(self, few_digits: Path) -> None:
        hour = {"per_mini_batch": "0 s", "pauses": [{"after_epoch": 1, "time": "3600 s", "source": "-- a test"}]}
        forgetful = self.run(few_digits, idle={**hour, "source": "a test"})
        kept = self.run(few_digits)
        assert forgetful["accuracy"]["curve"][0] == kept["accuracy"]["curve"][0]
        assert forgetful["accuracy"]["curve"][1]["train_loss"] > kept["accuracy"]["curve"][1]["train_loss"]

    def test_the_experiment_in_the_documents_is_one(self) -> None:
        page = (Path(__file__).parents[3] / "docs" / "co-simulation.md").read_text(encoding="utf-8")
        (example,) = re.findall(r"^```yml\n(.*?)^```$", page, flags=re.DOTALL | re.MULTILINE)
        chosen = settings.changed(settings.load("fcn-digits"), yaml.safe_load(example))
        assert chosen.idle and chosen.idle.pauses[0].time == 3600.0 and chosen.refresh and chosen.refresh.every == 0.1

    @pytest.mark.parametrize(
        ("changes", "sentence"),
        [
            ({"timing": "often"}, "timing: got 'often'; accepted: every, first, or a mapping"),
            ({"timing": "steady"}, "timing: got 'steady'; accepted: every, first, or a mapping"),
            ({"timing": {"sampled": 1}}, "sampled: 10, from 2 to"),
            ({"elapse": "never"}, "elapse: got 'never'"),
            ({"idle": {"per_mini_batch": "1", "source": "abc"}}, "idle.per_mini_batch: got '1', but a time needs"),
            ({"idle": {"per_mini_batch": "-1 s", "source": "abc"}}, "it must be a time of zero or more"),
            (
                {"idle": {"per_mini_batch": "0 s", "pauses": [{"time": "1 s", "source": "abc"}], "source": "abc"}},
                "after_epoch is missing",
            ),
        ],
    )
    def test_impossible_clocks_are_refused(self, changes: dict[str, Any], sentence: str) -> None:
        with pytest.raises(InputError, match=sentence):
            settings.changed(settings.load("fcn-digits"), changes)


def test_the_bench_of_coupling_measures_every_case() -> None:
    assert all(coupling.seconds(case, 2, 3) > 0 for case in coupling.CASES)
