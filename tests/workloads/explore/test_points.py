"""The points of a study: how many, how they are named, and what becomes of those that cannot be."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from rpusim.arch.chips.chip import FOLDER
from rpusim.errors import InputError
from rpusim.workloads.explore.points import Point, chosen, points
from rpusim.workloads.explore.study import Study, made


def timed(**fields: Any) -> Study:
    return made(
        {
            "name": "s",
            "title": "t",
            "time": {"network": "fcn", "chip": "reram-512"},
            "vary": {"tiles.0.adc.bits": [6, 8]},
            **fields,
        }
    )


def all_points(study: Study) -> list[Point]:
    return [point for settings in chosen(study) or [] for point in points(study, settings)]


def test_a_grid_has_every_combination_once() -> None:
    study = timed(vary={"tiles.0.adc.bits": [5, 6, 7], "batch": [1, 10]})
    assert len({point.name for point in all_points(study)}) == 6


def test_a_label_stands_for_several_fields() -> None:
    sides = {"small": {"tiles.0.array.rows": 256, "tiles.0.array.columns": 256}, "large": {"tiles.0.array.rows": 512}}
    small, _ = all_points(timed(vary={"array": sides}))
    assert small.settings == {"array": "small"}
    assert small.task is not None and small.task.chip == {"like": "reram-512", **sides["small"]}


def test_a_point_keeps_its_name_when_the_study_around_it_changes() -> None:
    few = {p.settings["tiles.0.adc.bits"]: p.name for p in all_points(timed())}
    more = {p.settings["tiles.0.adc.bits"]: p.name for p in all_points(timed(vary={"tiles.0.adc.bits": [5, 6, 8]}))}
    assert few == {bits: more[bits] for bits in few}


def test_a_point_gets_another_name_when_the_content_of_a_file_that_it_names_changes(tmp_path: Path) -> None:
    chip = tmp_path / "mine.yaml"
    names = []
    for lanes in (700, 1400):
        text = (FOLDER / "reram-512.yaml").read_text().replace("lanes: 700", f"lanes: {lanes}")
        chip.write_text(text)
        study = timed(time={"network": "fcn", "chip": str(chip)})
        names.append([point.name for point in all_points(study)])
    assert not set(names[0]) & set(names[1])


def test_seeds_are_points_of_their_own() -> None:
    study = made({"name": "s", "title": "t", "run": "fcn-digits", "vary": {"epochs": [1, 2]}, "seeds": 3})
    found = all_points(study)
    assert [point.seed for point in found] == [0, 1, 2, 0, 1, 2] and len({point.name for point in found}) == 6


def test_what_cannot_be_is_a_point_with_its_sentence() -> None:
    found = all_points(timed(vary={"tiles.0.adc.bits": [6, "six"]}))
    assert not found[0].why and found[1].task is None
    assert "tiles.0.adc.bits: got 'six'" in found[1].why


def test_a_random_search_draws_the_same_points_again() -> None:
    study = timed(vary={"tiles.0.adc.bits": {"low": 4, "high": 12}}, search={"random": 9})
    assert chosen(study) == chosen(study) and len(chosen(study) or []) == 9
    assert chosen(study) != chosen(study.model_copy(update={"seed": 1}))


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"vary": {}}, "vary or points is needed"),
        ({"run": "fcn-digits"}, "run or time is needed, and not both"),
        ({"goals": ["joules"]}, "goals: got 'joules'"),
        ({"constraints": {"area": {"most": 5}}}, "constraints.area.most: got 5"),
        ({"constraints": {"area": {}}}, "constraints.area: most or least is needed"),
        ({"seeds": 2}, "seeds and stop are for studies that train"),
        ({"vary": {"tiles.0.adc.bits": {"low": 4, "high": 8}}}, "a grid cannot try them all"),
        ({"search": {"optuna": "tpe", "points": 4}}, "tpe is for one goal"),
        ({"vary": {"tiles.0.adc.bits": []}}, "at least one value is needed"),
    ],
)
def test_a_study_that_makes_no_sense_is_refused_in_a_sentence(fields: dict[str, Any], said: str) -> None:
    with pytest.raises(InputError, match=said):
        timed(**fields)
