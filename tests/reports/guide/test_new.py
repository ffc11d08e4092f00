"""Files that `rpusim new` writes: commented, complete, and the same as what they were begun from."""

from __future__ import annotations

import dataclasses

import pytest
import yaml
from click.testing import CliRunner

from rpusim.arch.chips import chip
from rpusim.kernels.devices import PULSED
from rpusim.kernels.devices.presets import DEVICES
from rpusim.reports.cli.commands import main
from rpusim.reports.guide import new
from rpusim.workloads.cells import training_cells
from rpusim.workloads.explore import study
from rpusim.workloads.runs import settings

LOAD = {"chip": chip.Chip.load, "experiment": settings.load, "study": study.load}
MADE_OF = {
    **{name: preset.device for name, preset in DEVICES.items()},
    **{name: kind() for name, kind in PULSED.items()},
}
ALL = [
    *(("chip", name) for name in chip.presets()),
    *(("experiment", name) for name in settings.presets()),
    *(("study", name) for name in study.presets()),
]


@pytest.mark.parametrize(("kind", "name"), ALL)
def test_a_file_says_what_its_preset_says(kind, name, tmp_path):
    path = tmp_path / "mine.yaml"
    new.write(path, new.commented(new.beginning(kind, name), kind, name))
    assert LOAD[kind](str(path)).model_dump() == LOAD[kind](name).model_dump()


@pytest.mark.parametrize("name", MADE_OF)
def test_a_file_of_a_device_makes_the_device_that_it_was_begun_from(name, tmp_path):
    path = tmp_path / "mine.yaml"
    new.write(path, new.commented(new.beginning("device", name), "device", name))
    assert training_cells.build(str(path)).device == MADE_OF[name]
    again = new.beginning("device", str(path))
    assert again == new.beginning("device", name)


@pytest.mark.parametrize("name", MADE_OF)
def test_comments_of_a_device_are_its_models_parameters_and_can_be_put_in(name, tmp_path):
    lines = new.commented(new.beginning("device", name), "device", name).splitlines()[2:]
    names = {field.name for field in dataclasses.fields(MADE_OF[name]) if field.init}
    commented = [line[2:] for line in lines if line.startswith("# ") and line[2:].partition(": ")[0] in names]
    given = [line for line in lines if line and not line.startswith("#")]
    path = tmp_path / "mine.yaml"
    path.write_text("\n".join([*given, *commented]) + "\n")
    assert training_cells.build(str(path)).device == MADE_OF[name]
    said = {line.partition(":")[0] for line in [*given, *commented]} - {"model", "title", "source"}
    assert said == names


@pytest.mark.parametrize("kind", new.KINDS)
def test_every_field_is_there_given_or_as_a_comment(kind, tmp_path):
    text = new.commented(new.beginning(kind), kind)
    for line in text.splitlines():
        assert len(line) <= 101 or not line.lstrip().startswith("#"), line
    some = {
        "chip": ("# tiers: 1", "adc:", "matrix"),
        "experiment": ("# replicas: {}", "recipe:"),
        "study": ("# stop: null",),
        "device": ("# up_down: ", "w_max_dtod: 0.24"),
    }
    for words in some[kind]:
        assert words in text


@pytest.mark.parametrize("kind", new.KINDS)
def test_the_command_writes_a_file_once(kind, rpusim, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert rpusim("new", kind).status == 0
    if kind == "device":
        assert training_cells.build("device.yaml").device == MADE_OF["reram-sb"]
    else:
        assert LOAD[kind](f"{kind}.yaml").name == kind
    again = rpusim("new", kind)
    assert again.status == 2 and "is there already" in again.stderr


def test_answers_go_into_the_file(tmp_path):
    path = tmp_path / "chip.yaml"
    answers = "rpu-2016\n8\n128\n\n6\n\n\n"
    done = CliRunner().invoke(main, ["new", "chip", "--ask", "--out", str(path)], input=answers)
    assert done.exit_code == 0, done.output
    tile = chip.Chip.load(path).tiles[0]
    assert (tile.count, tile.array.rows, tile.array.columns, tile.inputs.bits) == (8, 128, 4096, 6)


def test_answers_about_a_device_go_into_its_file(tmp_path):
    path = tmp_path / "device.yaml"
    answers = "soft-bounds\n0.02\n\n1.0\n-1.0\nmeasured by us\n"
    done = CliRunner().invoke(main, ["new", "device", "--ask", "--out", str(path)], input=answers)
    assert done.exit_code == 0, done.output
    cells = training_cells.build(str(path))
    assert (cells.device.dw_min, cells.device.w_max, cells.device.w_min) == (0.02, 1.0, -1.0)
    assert "measured by us" in cells.source


def test_an_answer_is_read_as_yaml():
    document = {"recipe": {"epochs": 3}, "tiles": [{"count": 1}], "chip": "a"}
    for path, answer in (("recipe.epochs", "5"), ("tiles.0.count", "7"), ("chip", "mine.yaml")):
        new.answered(document, path, answer)
    assert document == {"recipe": {"epochs": 5}, "tiles": [{"count": 7}], "chip": "mine.yaml"}
    assert new.at(document, "recipe.nothing") is None


def test_what_is_no_kind_is_a_sentence(rpusim):
    assert "did you mean 'reram-sb'" in rpusim("new", "device", "--like", "reram-sbb").stderr
    assert "did you mean 'chip'" in rpusim("new", "chips").stderr
    assert yaml.safe_load(new.commented({"name": "x"}, "study")) == {"name": "x"}
