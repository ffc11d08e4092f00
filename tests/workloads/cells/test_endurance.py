"""What cells went through is what the account says, and lifetimes follow from it."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch import nn

import rpusim
from rpusim.errors import InputError
from rpusim.workloads.cells import training_cells
from rpusim.workloads.cells.endurance import CHARGE, OF_DEVICES, RESISTIVE
from rpusim.workloads.runs.training_run import ROUND_ERRORS, reached


@pytest.fixture(scope="module", params=["rpu-baseline-2016", "agad-reram-sb"])
def learned(request: pytest.FixtureRequest, few_digits: Path) -> rpusim.Result:
    chip = "rpu-2016" if request.param == "rpu-baseline-2016" else "reram-512"
    return rpusim.simulate("fcn-digits", data=str(few_digits), epochs=2, device=request.param, chip=chip)


def test_pulses_of_all_cells_are_the_coincidences_of_the_account(learned: rpusim.Result) -> None:
    found, activity = learned["endurance"], learned["activity"]
    met = activity["coincidences"] + activity.get("transfer", {}).get("coincidences", 0)
    assert found["mean"] * found["cells"] == pytest.approx(met, rel=1e-12)
    assert learned["accuracy"]["curve"][-1]["pulses_per_cell"] == found["mean"]


def test_arrays_and_bins_hold_every_cell_once(learned: rpusim.Result) -> None:
    found = learned["endurance"]
    weights = sum(layer["weights"] for layer in learned["layers"])
    arrays = {row["array"] for row in found["arrays"]}
    assert found["cells"] == weights * len(arrays) == sum(row["cells"] for row in found["arrays"])
    assert found["cells"] == sum(row["cells"] for row in found["histogram"])
    assert found["largest"] == max(row["largest"] for row in found["arrays"])
    starts, ends = ([row[side] for row in found["histogram"]] for side in ("from", "below"))
    assert starts == [0, *ends[:-1]]
    assert found["histogram"][-1]["from"] <= found["largest"] < found["histogram"][-1]["below"]
    assert found["histogram"][-1]["cells"] > 0


def test_the_lifetime_is_endurance_over_pulses_times_the_training(learned: rpusim.Result) -> None:
    found = learned["endurance"]
    trainings = found["pulses_to_failure"] / found["largest"]
    assert found["lifetime"]["seconds"] == pytest.approx(trainings * learned["time"]["total_s"], rel=1e-9)
    assert found["lifetime"]["samples"] == pytest.approx(trainings * learned["activity"]["samples"])
    (row,) = (row for row in learned["provenance"] if row["field"] == "device.endurance")
    assert (row["value"], row["source"]) == (found["pulses_to_failure"], found["source"])
    assert "assumption" in row["source"]


def test_what_wears_nothing_out_has_no_lifetime(few_digits: Path) -> None:
    found = rpusim.simulate("fcn-digits", data=str(few_digits), epochs=1, device="capacitor")["endurance"]
    assert "lifetime" not in found and "pulses_to_failure" not in found
    assert found["source"] == CHARGE.source


def test_endurance_is_given_with_the_device_or_known_by_its_name() -> None:
    assert training_cells.build("ttv2-reram-sb").endurance == OF_DEVICES["reram-sb"] == RESISTIVE
    assert training_cells.build({"model": "reram-es", "dw_min": 0.01}).endurance == RESISTIVE
    assert training_cells.build({"model": "constant-step", "endurance": 1e6}).endurance.pulses == 1e6
    assert training_cells.build({"model": "constant-step"}).endurance.source.startswith("assumption")
    for given in (0, -1, "long", True, float("nan")):
        with pytest.raises(InputError, match=r"device\.endurance: got .*, but a number of pulses above 0"):
            training_cells.build({"model": "constant-step", "endurance": given})


def test_what_it_took_is_the_first_epoch_that_ended_there() -> None:
    costs = {"seconds": 1.0, "joules": 2.0, "pulses_per_cell": 3.0}
    curve = [
        {"epoch": epoch, "test_error": error, **{name: epoch * value for name, value in costs.items()}}
        for epoch, error in enumerate((0.9, 0.25, 0.3, 0.1, 0.04, 0.05), 1)
    ]
    rows = reached(curve)
    assert [(row["test_error"], row["epoch"]) for row in rows] == [(0.5, 2), (0.3, 2), (0.2, 4), (0.1, 4), (0.05, 5)]
    assert all(row["joules"] == 2.0 * row["epoch"] for row in rows)
    assert all(row["test_error"] in ROUND_ERRORS for row in rows)


def test_a_loop_of_ones_own_wears_cells_too() -> None:
    torch.manual_seed(0)
    model = rpusim.place(nn.Sequential(nn.Linear(8, 4), nn.Tanh()), "rpu-2016", (8,))
    optimizer = rpusim.AnalogSGD(model, 0.1)
    for _ in range(3):
        model(torch.rand(5, 8)).sum().backward()
        optimizer.step()
    report = model.chip.report()
    assert report["endurance"]["mean"] * 36 == pytest.approx(report["activity"]["coincidences"])
    only = rpusim.place(nn.Sequential(nn.Linear(8, 4)), "isaac-2016", (8,))
    only(torch.rand(5, 8))
    assert "endurance" not in only.chip.report().document
