"""What a result says of the wires, in numbers and in words."""

from pathlib import Path

import pytest
import yaml
from torch import nn

from rpusim.arch.chips.chip import FOLDER, Chip
from rpusim.arch.contract import ladder
from rpusim.arch.mapping.placement import place
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
