"""Studies that train: runs with folders, seeds, and hopeless points that are stopped early."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

import rpusim
from rpusim.errors import InputError
from rpusim.reports import save
from rpusim.workloads.explore import table
from rpusim.workloads.explore.explore import explore
from rpusim.workloads.explore.study import made
from rpusim.workloads.results import run_folder

FIELDS: dict[str, Any] = {
    "name": "rates",
    "title": "Which rate?",
    "run": "fcn-digits",
    "set": {"epochs": 3, "batch": 10, "timing": "first"},
    "vary": {"learning_rate": [0.5, 0.001]},
}


def without_wall(document: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in document.items() if name != "wall"}


def test_a_point_is_the_run_that_its_settings_say(tmp_path: Path) -> None:
    document = explore(made(FIELDS), tmp_path, save, workers=0)
    for point in document["points"]:
        alone = rpusim.simulate("fcn-digits", **FIELDS["set"], seed=0, **point["settings"])
        assert without_wall(alone.document) == without_wall(run_folder.read(tmp_path / "points" / point["id"]))
        assert point["metrics"]["error"] == alone["accuracy"]["test_error"]
        assert (tmp_path / point["page"]).is_file()
    fresh: list[int] = []
    explore(made(FIELDS), tmp_path, save, workers=0, watch=lambda state: fresh.append(state.fresh))
    assert set(fresh) == {0}


def test_hopeless_points_are_stopped_and_the_others_end_as_if_nothing_had_happened(tmp_path: Path) -> None:
    fields = FIELDS | {
        "vary": {"learning_rate": [0.5, 0.4, 0.3, 1e-6]},
        "stop": {"first": 1, "factor": 2},
        "set": FIELDS["set"] | {"epochs": 4},
    }
    document = explore(made(fields), tmp_path / "stopped", save, workers=0)
    states = {point["settings"]["learning_rate"]: point for point in document["points"]}
    assert document["stopped"] >= 1
    for point in states.values():
        if point["state"] == "stopped":
            assert "as others were better" in point["why"] and "metrics" not in point
    whole = explore(made(fields | {"stop": None}), tmp_path / "whole", save, workers=0)
    for point in whole["points"]:
        other = states[point["settings"]["learning_rate"]]
        if other["state"] == "done":
            assert other["id"] == point["id"] and other["metrics"] == point["metrics"]
    again = explore(made(fields), tmp_path / "stopped", save, workers=0)
    assert table.csv(again) == table.csv(document)
    assert not list((tmp_path / "stopped/points").glob("*.checkpoint"))


def test_stopping_needs_epochs_to_stop_after(tmp_path: Path) -> None:
    fields = FIELDS | {"run": "lenet-digits-inference", "set": {}, "stop": {"first": 1}}
    with pytest.raises(InputError, match="has no epochs to stop after"):
        explore(made(fields), tmp_path, save, workers=0)
