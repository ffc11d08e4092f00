"""Files that `rpusim new` writes: commented, complete, and the same as what they were begun from."""

from __future__ import annotations

import pytest
import yaml
from click.testing import CliRunner

from rpusim.arch.chips import chip
from rpusim.reports.cli.commands import main
from rpusim.reports.guide import new
from rpusim.workloads.explore import study
from rpusim.workloads.runs import settings

LOAD = {"chip": chip.Chip.load, "experiment": settings.load, "study": study.load}
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


@pytest.mark.parametrize("kind", new.KINDS)
def test_every_field_is_there_given_or_as_a_comment(kind, tmp_path):
    text = new.commented(new.beginning(kind), kind)
    for line in text.splitlines():
        assert len(line) <= 101 or not line.lstrip().startswith("#"), line
    some = {
        "chip": ("# tiers: 1", "adc:", "matrix"),
        "experiment": ("# replicas: {}", "recipe:"),
        "study": ("# stop: null",),
    }
    for words in some[kind]:
        assert words in text


@pytest.mark.parametrize("kind", new.KINDS)
def test_the_command_writes_a_file_once(kind, rpusim, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert rpusim("new", kind).status == 0
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


def test_an_answer_is_read_as_yaml():
    document = {"recipe": {"epochs": 3}, "tiles": [{"count": 1}], "chip": "a"}
    for path, answer in (("recipe.epochs", "5"), ("tiles.0.count", "7"), ("chip", "mine.yaml")):
        new.answered(document, path, answer)
    assert document == {"recipe": {"epochs": 5}, "tiles": [{"count": 7}], "chip": "mine.yaml"}
    assert new.at(document, "recipe.nothing") is None


def test_what_is_no_kind_is_a_sentence(rpusim):
    assert "did you mean 'chip'" in rpusim("new", "chips").stderr
    assert yaml.safe_load(new.commented({"name": "x"}, "study")) == {"name": "x"}
