"""What a result says of the wires, in numbers and in words."""

from pathlib import Path

import pytest
import yaml
from torch import nn

from rpusim.arch.chips.chip import FOLDER, Chip
from rpusim.arch.contract import ladder
from rpusim.arch.mapping.assumed_activity import assumed_activity
from rpusim.arch.mapping.placement import place
from rpusim.arch.schedule.plan import make_plan
from rpusim.arch.schedule.schedules import compiled, times
from rpusim.reports.words.wires import sentences
from rpusim.workloads.capture.capture import capture
from rpusim.workloads.results import wires


def document(chip: Chip) -> list[dict[str, object]]:
    """Of a layer of 20 outputs and 300 inputs, or what fits on an array."""
    inputs = min(300, chip.tiles[0].array.columns)
    network = capture(nn.Sequential(nn.Linear(inputs, 20, bias=False)), (inputs,))
    return wires.document(place(network, chip))


def wired(folder: Path, preset: str, wires_of_it: object) -> Chip:
    fields = yaml.safe_load((FOLDER / f"{preset}.yaml").read_text(encoding="utf-8"))
    fields["tiles"][0]["array"]["wires"] = wires_of_it
    (folder / "wired.yaml").write_text(yaml.safe_dump(fields), encoding="utf-8")
    return Chip.load(folder / "wired.yaml")


def test_the_farthest_weight_in_use_loses_less_than_the_far_corner() -> None:
    (row,) = document(Chip.load("rpu-2016"))
    load = 0.115 / 24e6
    across, along = ladder.profile(load, 4096, [20])[0], ladder.profile(load, 4096, [300])[0]
    assert row["loss_used"] == pytest.approx(1 - across * along**2) and row["step_used"] == across + along - 1
    assert row["loss"] == pytest.approx(1 - ladder.end(load, 4096) ** 3)
    (sentence,) = sentences({"wires": [row]})
    assert sentence.startswith("On the wires a read loses up to 11.2% of a weight (") and "settle in 898 ps" in sentence


def test_kinds_without_weights_are_left_out_and_others_named() -> None:
    rows = document(Chip.load("rpu-2017-bimodal"))
    assert [row["tiles"] for row in rows] == ["small"]
    assert "wires of tiles small " in sentences({"wires": [*rows, *rows]})[0]


def test_ideal_wires_say_why() -> None:
    (row,) = document(Chip.load("isaac-2016"))
    assert row["model"] == "ideal" and set(row) == {"tiles", "model", "source"}
    assert sentences({"wires": [row]}) == [f"Wires are ideal, as the chip says: {row['source']}."]


def test_unknown_wires_are_never_silent(tmp_path: Path) -> None:
    fields = yaml.safe_load((FOLDER / "pipelayer-2017.yaml").read_text(encoding="utf-8"))
    del fields["tiles"][0]["array"]["wires"], fields["tiles"][0]["array"]["sources"]["wires"]
    (tmp_path / "silent.yaml").write_text(yaml.safe_dump(fields), encoding="utf-8")
    (row,) = document(Chip.load(tmp_path / "silent.yaml"))
    assert row["model"] == "unknown"
    assert "nothing is known of them: card array lumps the array" in sentences({"wires": [row]})[0]


def test_settling_that_sets_the_read_is_said(tmp_path: Path) -> None:
    slow = {"resistance": "20 Ohm", "capacitance": "1 fF", "source": "made up"}
    (row,) = document(wired(tmp_path, "rpu-2016", slow))
    assert row["read_s"] == row["settling_s"] and row["integration_s"] == 80e-9
    assert "which sets the read, as the chip's 80.0 ns are too short" in sentences({"wires": [row]})[0]


def test_what_no_read_can_show_is_said_to_be_left_out(tmp_path: Path) -> None:
    (row,) = document(wired(tmp_path, "yao-2020", {"resistance": "1e-3 Ohm", "source": "made up"}))
    assert row["model"] == "negligible" and "too little to show, and left out" in sentences({"wires": [row]})[0]


def test_documents_of_earlier_versions_say_nothing() -> None:
    assert sentences({}) == []


@pytest.mark.parametrize("preset", ["rpu-2016", "reram-512", "neurosim-vgg8"])
@pytest.mark.parametrize("engine", ["simpy", "compiled"])
def test_settling_costs_what_so_long_an_integration_costs(tmp_path: Path, preset: str, engine: str) -> None:
    """Training on wires that settle late, and on ideal ones of a chip that integrates for so long: the same events."""
    slow = wired(tmp_path, preset, {"resistance": "900 Ohm", "capacitance": "9 fF", "source": "made up"})
    kind = slow.tiles[0]
    assert kind.drop is not None and kind.drop.settling > kind.array.integration
    array = kind.array.model_copy(update={"wires": "ideal", "integration": kind.drop.settling})
    patient = slow.model_copy(update={"tiles": (kind.model_copy(update={"array": array}), *slow.tiles[1:])})
    lasting = []
    for chip in (slow, patient, Chip.load(preset)):
        plan = make_plan(place(capture(nn.Sequential(nn.Linear(30, 20), nn.Linear(20, 9)), (30,)), chip))
        program = compiled(plan, assumed_activity(plan.placement, 3, training=True), "sequential")
        lasting.append(int(times(plan, program, engine)[1].max()))
    assert lasting[0] == lasting[1] > lasting[2]
