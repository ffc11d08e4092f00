"""A study from end to end: what is evaluated, what is kept, and that neither order nor interruptions matter."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

import rpusim
from rpusim.errors import InputError
from rpusim.workloads.explore import table
from rpusim.workloads.explore.explore import State, explore
from rpusim.workloads.explore.study import made
from rpusim.workloads.results import study_folder

FIELDS: dict[str, Any] = {
    "name": "s",
    "title": "Which converter?",
    "time": {"network": "fcn", "chip": "reram-512"},
    "vary": {"tiles.0.adc.bits": [4, 6, 8], "tiles.0.adc.lines_per_adc": [8, 16]},
}


def unsaved(result: Any, folder: Path) -> None:
    """Save nothing, as a page is not what is tested."""


def explored(folder: Path, fields: dict[str, Any], **options: Any) -> dict[str, Any]:
    return explore(made(fields), folder, unsaved, **{"workers": 0, **options})


def test_an_estimate_is_what_time_network_finds(tmp_path: Path) -> None:
    document = explored(tmp_path, FIELDS)
    for point in document["points"]:
        chip = {"like": "reram-512", **point["settings"]}
        found = rpusim.time_network("fcn", chip, 1, True, "sequential")
        assert point["metrics"]["time"] == found["time"]["per_sample_s"]
        assert point["metrics"]["energy"] == found["energy"]["per_sample_J"]
        assert point["metrics"]["area"] == found["area"]["total_m2"]
        assert sum(point["energy_by_part"].values()) == pytest.approx(point["metrics"]["energy"], rel=1e-12)


@pytest.mark.parametrize("device", ["tiki-taka-reram-sb", "ttv2-reram-sb"])
def test_an_estimate_of_a_device_is_what_time_network_finds(tmp_path: Path, device: str) -> None:
    fields = FIELDS | {"vary": {"device": [device]}}
    timed = {"network": "fcn", "chip": "reram-512", "samples": 20}
    document = explored(tmp_path, fields | {"time": timed})
    found = rpusim.time_network("fcn", "reram-512", 20, True, "sequential", device=device)
    assert document["points"][0]["metrics"]["energy"] == found["energy"]["per_sample_J"]


def test_what_is_known_is_not_evaluated_again(tmp_path: Path) -> None:
    explored(tmp_path, FIELDS)
    fresh = []
    explored(tmp_path, FIELDS, watch=lambda state: fresh.append(state.fresh))
    assert fresh[-1] == 0
    more = FIELDS | {"vary": {**FIELDS["vary"], "tiles.0.adc.bits": [4, 5, 6, 8]}}
    document = explored(tmp_path, more, watch=lambda state: fresh.append(state.fresh))
    assert fresh[-1] == 2 and len(document["points"]) == 8


def test_a_point_that_was_lost_or_damaged_is_evaluated_again_to_the_same_document(tmp_path: Path) -> None:
    whole = explored(tmp_path, FIELDS)
    records = sorted((tmp_path / "points").glob("*.json"))
    records[0].unlink()
    records[1].write_text(records[1].read_text()[:40])
    again = explored(tmp_path, FIELDS)
    assert table.csv(again) == table.csv(whole)


def test_a_point_that_fails_is_recorded_and_stops_nothing(tmp_path: Path) -> None:
    fields = FIELDS | {"vary": {"tiles.0.adc.bits": [6, 30], "tiles.0.count": [64, 1]}}
    document = explored(tmp_path, fields)
    states = {(p["settings"]["tiles.0.adc.bits"], p["settings"]["tiles.0.count"]): p for p in document["points"]}
    assert document["failures"] == 3 and states[6, 64]["state"] == "done"
    assert "less than or equal to 24" in states[30, 64]["why"]
    assert "needs 2 arrays of 'reram' (512 x 512 weights), but 1 of 1 are left" in states[6, 1]["why"]


def test_the_front_holds_whatever_nothing_beats(tmp_path: Path) -> None:
    document = explored(tmp_path, FIELDS)
    goals = [goal["name"] for goal in document["goals"]]

    def vector(group: dict[str, Any]) -> tuple[float, ...]:
        return tuple(group["metrics"][goal]["mean"] for goal in goals)

    for group in document["groups"]:
        beaten = any(
            vector(o) != vector(group) and all(a <= b for a, b in zip(vector(o), vector(group), strict=True))
            for o in document["groups"]
        )
        assert group["front"] is not beaten


def test_what_is_beyond_a_limit_is_on_no_front(tmp_path: Path) -> None:
    areas = sorted({p["metrics"]["area"] for p in explored(tmp_path, FIELDS)["points"]})
    limit = {"area": {"most": f"{(areas[0] + areas[1]) / 2 * 1e6} mm2"}}
    document = explored(tmp_path, FIELDS | {"constraints": limit})
    within = [group for group in document["groups"] if group["feasible"]]
    assert within and all(group["metrics"]["area"]["mean"] == areas[0] for group in within)
    assert all(group in within for group in document["groups"] if group["front"])


@pytest.mark.parametrize("search", [{"optuna": "nsga2", "points": 12, "batch": 4}, {"random": 12}])
def test_a_search_finds_the_same_points_whatever_is_known_already(tmp_path: Path, search: dict[str, Any]) -> None:
    fields = FIELDS | {"vary": {"tiles.0.adc.bits": {"low": 4, "high": 12}, "batch": [1, 2, 5]}, "search": search}
    whole = explored(tmp_path / "whole", fields)
    explored(tmp_path / "part", fields)
    for record in sorted((tmp_path / "part/points").glob("*.json"))[::2]:
        record.unlink()
    assert table.csv(explored(tmp_path / "part", fields)) == table.csv(whole)


def test_tpe_comes_nearer_to_one_goal(tmp_path: Path) -> None:
    vary = {"tiles.0.adc.bits": {"low": 4, "high": 16}, "tiles.0.adc.lines_per_adc": [1, 2, 4, 8, 16, 32, 64]}
    fields = FIELDS | {"vary": vary, "goals": ["area"], "search": {"optuna": "tpe", "points": 40}}
    areas = [point["metrics"]["area"] for point in explored(tmp_path, fields)["points"]]
    assert min(areas[20:]) <= min(areas[:8])


def test_processes_find_the_same_as_this_one(tmp_path: Path) -> None:
    alone = explored(tmp_path / "alone", FIELDS)
    together = explored(tmp_path / "together", FIELDS, workers=2)
    assert table.csv(alone) == table.csv(together)


def test_the_state_says_how_far_a_study_is(tmp_path: Path) -> None:
    seen: list[tuple[int, int, float | None]] = []

    def watch(state: State) -> None:
        seen.append((state.ended, state.known, state.left_s))

    explored(tmp_path, FIELDS, watch=watch)
    assert seen[0] == (0, 6, None) and seen[-1] == (6, 6, 0.0)


def test_a_table_in_python(tmp_path: Path) -> None:
    points = rpusim.study(FIELDS, out=tmp_path, workers=0)
    assert len(points) == 6 and set(points["state"]) == {"done"}
    best = rpusim.best(points, "energy")
    assert best["energy"] == points["energy"].min()
    small = rpusim.best(points, "energy", area=float(points["area"].min()))
    assert small["area"] == points["area"].min()
    with pytest.raises(InputError, match="joules is no figure"):
        rpusim.best(points, "joules")
    assert "Which converter?" in (tmp_path / "report.html").read_text()
    assert json.loads((tmp_path / "study.json").read_text())["schema"] == "rpusim-study-1"


def test_a_folder_that_holds_no_study_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="is not a study's folder"):
        study_folder.read(tmp_path)


def test_an_estimate_needs_no_torch() -> None:
    program = "import sys; from rpusim.workloads.explore.explore import time_points; assert 'torch' not in sys.modules"
    subprocess.run([sys.executable, "-c", program], check=True)
