"""Whole experiments: what the numbers do is what the clock counts, and the same inputs give the same bytes."""

from __future__ import annotations

import json
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import yaml

import rpusim
from rpusim.arch.chips.chip import Chip
from rpusim.arch.contract.activity import Activity, ActivityLog, Phase
from rpusim.arch.engine.events import Op
from rpusim.arch.mapping.placement import place
from rpusim.arch.schedule.plan import make_plan
from rpusim.arch.schedule.schedules import run as run_schedule
from rpusim.errors import InputError
from rpusim.kernels import ClippedWeights
from rpusim.workloads.capture.capture import capture
from rpusim.workloads.cells import periphery, training_cells
from rpusim.workloads.clock import coupling
from rpusim.workloads.clock.meter import Meter
from rpusim.workloads.clock.sampling import Sampled
from rpusim.workloads.data import kinds
from rpusim.workloads.results import run_folder
from rpusim.workloads.runs import settings, training_loop, training_run
from rpusim.workloads.runs.analog_twin import analog_twin
from rpusim.workloads.zoo import networks


@pytest.fixture(scope="module")
def small(few_digits: Path) -> rpusim.Result:
    return rpusim.simulate("fcn-digits", data=str(few_digits), epochs=2)


def without_wall(outcome: rpusim.Result) -> str:
    return json.dumps({key: value for key, value in outcome.document.items() if key != "wall"})


class TestDocument:
    def test_has_every_promised_key(self, small: rpusim.Result) -> None:
        promised: dict[str, set[str]] = {
            "accuracy": {"test_error", "test_error_floating_point", "curve"},
            "time": {"per_sample_s", "per_epoch_s", "total_s", "samples_per_s"},
            "energy": {"per_sample_J", "total_J", "by_part", "by_phase", "by_layer"},
            "power": {"average_W", "peak_W"},
            "throughput": {"ops_per_s", "ops_per_J"},
            "area": {"total_m2", "by_part"},
            "tiles": {"count", "utilisation"},
            "bottleneck": {"part", "busy_fraction", "sentence"},
        }
        for key, fields in promised.items():
            assert fields <= set(small[key]), key
        assert {"schema", "network", "chip", "training", "seed", "version", "provenance"} <= set(small.document)
        assert {"epoch", "seconds", "joules", "train_loss", "test_error"} <= set(small["accuracy"]["curve"][0])
        assert all({"field", "value", "unit", "source"} == set(row) for row in small["provenance"])

    def test_figures_agree_with_each_other(self, small: rpusim.Result) -> None:
        time, energy, power = small["time"], small["energy"], small["power"]
        assert small["activity"]["samples"] == small["activity"]["timed_samples"] == 2 * 60
        assert time["total_s"] == pytest.approx(120 * time["per_sample_s"])
        assert time["per_epoch_s"] == pytest.approx(60 * time["per_sample_s"])
        for split in ("by_part", "by_phase", "by_layer"):
            assert sum(energy[split].values()) == pytest.approx(energy["total_J"], rel=1e-12)
        assert power["average_W"] == pytest.approx(energy["total_J"] / time["total_s"])
        assert power["average_W"] <= power["peak_W"]
        assert small["area"]["total_m2"] == pytest.approx(sum(small["area"]["by_part"].values()))
        curve = small["accuracy"]["curve"]
        assert curve[-1]["seconds"] == pytest.approx(time["total_s"])
        assert curve[-1]["joules"] == pytest.approx(energy["total_J"])

    def test_operations_count_forward_backward_and_update_once(self, small: rpusim.Result) -> None:
        forward = 256 * 65 + 128 * 257 + 10 * 129
        backward = forward - 256 * 65  # nobody reads the gradient of the image
        assert small["throughput"]["operations_per_sample"] == 2 * (2 * forward + backward)

    def test_is_plain_json_without_nan(self, small: rpusim.Result) -> None:
        assert json.loads(json.dumps(small.document, allow_nan=False)) == small.document


class TestSameInputsSameBytes:
    def test_the_same_experiment_gives_the_same_document_and_trace(
        self, small: rpusim.Result, few_digits: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(training_loop, "MINI_BATCHES_PER_PIECE", 7)
        monkeypatch.setattr(coupling, "MINI_BATCHES_PER_PIECE", 7)  # when the engine is called changes nothing
        again = rpusim.simulate("fcn-digits", data=str(few_digits), epochs=2)
        assert without_wall(again) == without_wall(small)

    def test_another_seed_gives_another_run(self, small: rpusim.Result, few_digits: Path) -> None:
        other = rpusim.simulate("fcn-digits", data=str(few_digits), epochs=2, seed=1)
        assert without_wall(other) != without_wall(small)

    def test_the_run_folder_has_the_same_bytes(self, small: rpusim.Result, tmp_path: Path) -> None:
        for name in ("a", "b"):
            run_folder.save(small, tmp_path / name)
        for path in (tmp_path / "a").iterdir():
            assert path.read_bytes() == (tmp_path / "b" / path.name).read_bytes()


class TestRunFolder:
    def test_holds_result_configuration_and_events(self, small: rpusim.Result, tmp_path: Path) -> None:
        run_folder.save(small, tmp_path / "run", lambda document: f"<p>{document['network']}")
        assert run_folder.read(tmp_path / "run") == small.document
        resolved = yaml.safe_load((tmp_path / "run" / "config.resolved.yaml").read_text())
        assert all(row["source"] for row in resolved["provenance"])
        events = np.load(tmp_path / "run" / "events.npz")
        assert events["start"].dtype == np.int64
        assert len(events["start"]) == len(events["station"]) > 1000
        assert (tmp_path / "run" / "report.html").read_text() == "<p>fcn-digits"

    def test_replaces_an_older_run_and_leaves_nothing_else(self, small: rpusim.Result, tmp_path: Path) -> None:
        for _ in range(2):
            run_folder.save(small, tmp_path / "run")
        assert [path.name for path in tmp_path.iterdir()] == ["run"]

    def test_a_page_that_fails_leaves_nothing_behind(self, small: rpusim.Result, tmp_path: Path) -> None:
        with pytest.raises(ZeroDivisionError):
            run_folder.save(small, tmp_path / "run", lambda document: str(1 / 0))
        assert list(tmp_path.iterdir()) == []

    def test_a_folder_of_someone_else_is_not_overwritten(self, small: rpusim.Result, tmp_path: Path) -> None:
        (tmp_path / "thesis.tex").write_text("years of work")
        with pytest.raises(InputError, match="exists and is not a run folder"):
            run_folder.save(small, tmp_path)
        assert (tmp_path / "thesis.tex").read_text() == "years of work"

    def test_an_unwritable_folder_is_refused_before_any_work(self) -> None:
        with pytest.raises(InputError, match="cannot be written"):
            run_folder.check_writable(Path("/proc/run"))

    def test_what_is_no_run_folder_is_not_read(self, tmp_path: Path) -> None:
        with pytest.raises(InputError, match="is not a run folder"):
            run_folder.read(tmp_path)


class TestWhatTheNumbersDoIsWhatTheClockCounts:
    def test_every_pass_slot_and_skipped_vector_of_the_kernel_is_an_event(self, few_digits: Path) -> None:
        chosen = settings.changed(settings.load("lenet-digits"), {"data": str(few_digits), "epochs": 1})
        activity, plan = activity_of(chosen)
        events = run_schedule(plan, activity, "sequential")
        arrays = np.array([unit == "array" for unit in plan.station_parts])[events.station]

        driven = (events.op == Op.DRIVE) & arrays
        assert events.amount[driven].sum() == activity.passes.sum()
        assert len(events.row[driven]) == np.count_nonzero(activity.passes)
        pulsed = (events.op == Op.PULSE) & arrays
        assert np.array_equal(np.sort(events.row[pulsed]), np.flatnonzero(activity.slots))
        assert np.array_equal(
            events.duration[pulsed], activity.slots[events.row[pulsed]] * plan.layers[0].blocks[0].slot_ps
        )

    def test_pieces_of_a_run_cost_what_the_whole_costs(self, few_digits: Path) -> None:
        activity, plan = activity_of(
            settings.changed(settings.load("fcn-digits"), {"data": str(few_digits), "epochs": 1})
        )
        whole, pieces = Meter(plan, "sequential"), Meter(plan, "sequential")
        whole.add(activity)
        for step in np.unique(activity.step):
            pieces.add(activity.select(activity.step == step))
        assert whole.ledger().energy == pieces.ledger().energy
        assert whole.ledger().time_ps == pieces.ledger().time_ps
        assert whole.ledger().busy_ps == pieces.ledger().busy_ps

    def test_sampled_timing_is_close_to_the_whole_and_sums_stay_exact(self, few_digits: Path) -> None:
        activity, plan = activity_of(
            settings.changed(settings.load("fcn-digits"), {"data": str(few_digits), "epochs": 1})
        )
        whole, sampled = Meter(plan, "sequential"), Meter(plan, "sequential", timing=Sampled(sampled=5))
        for meter in (whole, sampled):
            meter.add(activity)
        assert sampled.timed_samples == 12
        assert sampled.ledger().time_ps == pytest.approx(whole.ledger().time_ps, rel=0.02)
        assert sampled.ledger().total_zj == pytest.approx(whole.ledger().total_zj, rel=0.02)
        assert sum(sampled.ledger().by(0).values()) == sampled.ledger().total_zj


def activity_of(chosen: settings.Experiment) -> tuple[Activity, Any]:
    """The activity of a whole training, and the plan it runs on."""
    torch.manual_seed(0)
    module, shape = networks.build(chosen.network)
    cells = training_cells.build(chosen.device)
    placement = place(capture(module, shape), Chip.load(chosen.chip), chosen.bias, cells.layout)
    log = ActivityLog()
    analog = analog_twin(module, placement, chosen.management, cells, chosen.seed, log)
    batches = training_loop.Batches(kinds.load(chosen.data).shaped(shape), chosen.recipe, chosen.seed)
    parts: list[Activity] = []

    class Recorded(training_loop.Training):
        def settle(self) -> None:
            parts.append(log.take())

    training_loop.train(Recorded("analog", analog, rpusim.AnalogSGD(analog, 1.0)), batches, lambda *_: None)
    # What was logged after the last mini-batch is the test set.
    return Activity.concatenate(parts), make_plan(placement)


class TestOneDescriptionOfTheChip:
    def test_converter_bits_of_the_chip_are_those_of_the_numbers(self) -> None:
        kind = Chip.load("rpu-2016").tiles[0]
        management = settings.load("fcn-digits").management
        config = periphery.analog_configuration(kind, management, training_cells.build("rpu-baseline-2016"), "column")
        assert config.forward.inp_res == 1 / 30  # 5 bits
        assert config.forward.out_res == 1 / 510  # 9 bits
        assert (config.forward.out_bound, config.forward.out_noise) == (12, 0.06)

    def test_a_chip_without_pulses_does_not_learn(self, few_digits: Path) -> None:
        with pytest.raises(InputError, match="tiles 'isaac' have no pulses and cannot learn"):
            rpusim.simulate("fcn-digits", chip="isaac-2016", data=str(few_digits))

    def test_management_costs_digital_operations(self) -> None:
        """100 inputs, 20 outputs: a search and a scaling per input; stochastic rounding an addition and a random number
        more; a retry a scaling more; a division per vector, or two per update."""
        network = torch.nn.Linear(100, 20, bias=False)
        placement = place(capture(torch.nn.Sequential(network), (100,)), Chip.load("rpu-2016"))
        phases = [Phase.FORWARD, Phase.FORWARD, Phase.BACKWARD, Phase.UPDATE]
        rows = Activity.rows(phase=phases, passes=[1, 3, 1, 0])
        managed = settings.load("fcn-digits").management
        counted = periphery.with_management(rows, placement, managed)
        assert counted.compares.tolist() == [100, 100, 20, 120]
        assert counted.multiplies.tolist() == [100, 3 * 100, 20, 120]
        assert counted.adds.tolist() == counted.randoms.tolist() == [100, 100, 20, 0]
        assert counted.divides.tolist() == [1, 1, 1, 2]
        plain = managed.model_copy(
            update={"noise": "none", "stochastic_rounding": False, "update": False, "update_bl": False}
        )
        assert periphery.with_management(rows, placement, plain).digital_ops.tolist() == [0, 200, 0, 120]


class TestBadExperiments:
    @pytest.mark.parametrize(
        ("changes", "sentence"),
        [
            ({"epochs": 0}, r"experiment fcn-digits: recipe.epochs: got 0, but .*greater than or equal to 1"),
            ({"learning_rate": -1}, r"recipe.learning_rate: got -1, but .*greater than 0"),
            ({"chip": "rpu-2061"}, r"no preset is named 'rpu-2061'; did you mean 'rpu-2016'"),
            ({"device": "gokmen"}, r"'gokmen' is unknown; .*'gokmen-vlasov'"),
            (
                {"device": {"model": "constant-step", "dw_mn": 1}},
                r"device\.dw_mn: constant-step has no such parameter; .*'dw_min'",
            ),
            ({"device": {"dw_min": 1}}, r"a mapping needs 'model'"),
            ({"network": "lenet"}, r"no network 'lenet'"),
            ({"data": "digit"}, r"no data 'digit'.*did you mean 'digits'"),
            ({"learnin_rate": 1}, r"learnin_rate is not a field; did you mean 'learning_rate'"),
            ({"bias": "analog"}, r"bias: got 'analog', but .*'column' or 'digital'"),
        ],
    )
    def test_one_sentence(self, changes: dict[str, Any], sentence: str) -> None:
        with pytest.raises(InputError, match=sentence) as caught:
            rpusim.simulate("fcn-digits", **changes)
        assert "\n" not in str(caught.value)

    def test_an_experiment_file_is_read_like_a_preset(self, few_digits: Path, tmp_path: Path) -> None:
        fields = settings.load("fcn-digits").model_dump()
        fields["data"], fields["recipe"]["epochs"] = str(few_digits), 1
        path = tmp_path / "mine.yaml"
        path.write_text(yaml.safe_dump(fields))
        assert rpusim.simulate(path)["activity"]["samples"] == 60


class TestTheTorchWay:
    def test_a_placed_module_learns_and_reports_what_it_cost(self) -> None:
        torch.manual_seed(0)
        model = rpusim.place(torch.nn.Sequential(torch.nn.Linear(8, 4), torch.nn.Tanh()), "rpu-2016", (8,))
        optimizer = rpusim.AnalogSGD(model, lr=0.1)
        x, target = torch.rand(16, 8), torch.zeros(16, 4)
        losses = []
        for _ in range(30):
            optimizer.zero_grad()
            loss = torch.nn.functional.mse_loss(model(x), target)
            loss.backward()
            optimizer.step()
            losses.append(float(loss.detach()))
        report = model.chip.report()
        assert losses[-1] < losses[0]
        assert report["activity"]["samples"] == 30 * 16
        assert report["energy"]["total_J"] > 0
        assert report["activity"]["slots"] > 0


class TestCostingWithoutTraining:
    def test_lenet_maps_as_published(self) -> None:
        """Gokmen, Onen & Haensch 2017: 16 x 26, 32 x 401, 128 x 513, 10 x 129; 576, 64, 1, 1 vectors per image."""
        from rpusim.workloads.runs.estimate import map_network

        layers = map_network("lenet-2017", "rpu-2016")["layers"]
        assert [(x["rows"], x["columns"]) for x in layers] == [(16, 26), (32, 401), (128, 513), (10, 129)]
        assert [x["vectors"] for x in layers] == [576, 64, 1, 1]

    def test_alexnet_needs_242_us_pipelined_from_the_engines_events(self) -> None:
        from rpusim.workloads.runs.estimate import time_network

        one, three = (time_network("alexnet", "rpu-2016", n, False, "layer-pipelined") for n in (1, 3))
        assert (three["time"]["total_s"] - one["time"]["total_s"]) / 2 == pytest.approx(242.0e-6, rel=1e-9)

    def test_a_timed_network_says_what_it_assumed(self) -> None:
        from rpusim.workloads.runs.estimate import time_network

        assert "assumed" in time_network("fcn", "reram-512", 2, True, "sequential")["assumption"]

    def test_samples_and_training_are_checked(self) -> None:
        from rpusim.workloads.runs.estimate import time_network

        with pytest.raises(InputError, match="samples: got 0"):
            time_network("fcn", "reram-512", 0, True, "sequential")
        with pytest.raises(InputError, match="isaac-2016 has tiles without pulses"):
            time_network("fcn", "isaac-2016", 1, True, "sequential")


def test_activity_phases_of_one_sample_are_forward_backward_update(few_digits: Path) -> None:
    activity, _ = activity_of(settings.changed(settings.load("fcn-digits"), {"data": str(few_digits), "epochs": 1}))
    first = activity.select(activity.step == 0)
    assert list(zip(first.phase.tolist(), first.layer.tolist(), strict=True)) == [
        *((Phase.FORWARD, layer) for layer in (0, 1, 2)),
        *((Phase.BACKWARD, layer) for layer in (2, 1)),
        *((Phase.UPDATE, layer) for layer in (0, 1, 2)),
    ]


def test_a_result_says_how_its_pulses_were_computed_and_why(small: rpusim.Result, few_digits: Path) -> None:
    assert small["pulses"]["arrays"] == [{"array": 0, "execution": "merged"}]
    assert small["training"]["execution"] == "merged"
    asked = rpusim.simulate("fcn-digits", data=str(few_digits), epochs=1, execution="exact")
    assert asked["pulses"]["arrays"] == [{"array": 0, "execution": "exact", "why": "asked for"}]
    assert asked["pulses"]["sentence"] == "Every pulse was computed on its own: asked for."


def test_weights_that_were_clipped_are_told_once(few_digits: Path) -> None:
    bounds = {"device.w_max": 0.05, "device.w_min": -0.05}
    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always")
        rpusim.simulate("fcn-digits", data=str(few_digits), epochs=1, **bounds)
    layers = [str(each.message).partition(":")[0] for each in told if each.category is ClippedWeights]
    assert layers == ["fc1", "fc2", "fc3"]


OWN = """
import torch
from torch import nn

class Own(nn.Module):
    def __init__(self):
        super().__init__()
        self.lstm = nn.LSTM(8, 6, num_layers=2, batch_first=True, dropout=0.2)
        self.inner, self.norm, self.last = nn.Linear(6, 6), nn.BatchNorm1d(6), nn.Linear(6, 10)

    def forward(self, x):
        y = self.lstm(x)[0][:, -1]
        y = y * torch.sigmoid(self.inner(torch.tanh(self.inner(y))))
        return torch.log_softmax(self.last(self.norm(y)), 1)

def net():
    return Own(), (8, 8)
"""


def test_a_run_is_the_same_compiled_and_in_torch(
    few_digits: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two recurrent layers, dropout between them, a weight used twice, a product, a norm: time, energy and errors."""
    (tmp_path / "net.py").write_text(OWN)
    monkeypatch.chdir(tmp_path)
    told = {"data": str(few_digits), "epochs": 2, "batch": 4, "network": "net.py:net"}
    compiled = rpusim.simulate("fcn-digits", **told)
    monkeypatch.setattr(training_run, "compiled_step", lambda *_: "this test says so")
    by_torch = rpusim.simulate("fcn-digits", **told)
    assert set(compiled["steps"].values()) == {"compiled"}
    assert set(by_torch["steps"].values()) == {"torch, mini-batch by mini-batch, as this test says so"}
    for key, field in (("time", "total_s"), ("energy", "total_J")):
        assert compiled[key][field] == pytest.approx(by_torch[key][field], rel=1e-3)
    for mine, theirs in zip(compiled["accuracy"]["curve"], by_torch["accuracy"]["curve"], strict=True):
        assert mine["train_loss"] == pytest.approx(theirs["train_loss"], rel=0.02)
        assert mine["test_error_floating_point"] == pytest.approx(theirs["test_error_floating_point"], abs=0.05)
