"""What a study comes to: intervals, importance and the answer, on points made up for it."""

from __future__ import annotations

import math
from typing import Any

import pytest

from rpusim.workloads.explore import summary
from rpusim.workloads.explore.points import Point
from rpusim.workloads.explore.study import Study, made
from rpusim.workloads.results import intervals


def study(goals: list[str], **fields: Any) -> Study:
    return made({"name": "s", "title": "t", "run": "fcn-digits", "vary": {"a": [1, 2]}, "goals": goals, **fields})


def summed(of: Study, rows: list[tuple[dict[str, Any], dict[str, float]]], **more: Any) -> list[dict[str, Any]]:
    points = [Point(settings, i, None, f"{i:016x}") for i, (settings, _) in enumerate(rows)]
    return summary.groups(of, points, [{"state": "done", "metrics": figures, **more} for _, figures in rows])


def test_an_interval_over_seeds_is_students() -> None:
    values = [0.10, 0.12, 0.17]
    group = summed(study(["error"]), [({"a": 1}, {"error": value}) for value in values])[0]
    half = 4.302653 * math.sqrt(sum((v - 0.13) ** 2 for v in values) / 2 / 3)  # t of 2 degrees of freedom at 97.5 %
    assert group["metrics"]["error"]["low"] == pytest.approx(0.13 - half, rel=1e-6)
    assert group["metrics"]["error"]["high"] == pytest.approx(0.13 + half, rel=1e-6)


def test_an_error_of_one_seed_has_wilsons_interval_and_a_time_has_none() -> None:
    group = summed(study(["error"]), [({"a": 1}, {"error": 0.1, "time": 2.0})], test_samples=100)[0]
    assert (group["metrics"]["error"]["low"], group["metrics"]["error"]["high"]) == intervals.of_share(0.1, 100)
    assert group["metrics"]["time"] == {"mean": 2.0, "low": 2.0, "high": 2.0, "n": 1}


def test_what_is_within_the_interval_of_the_best_and_costs_less_suffices() -> None:
    of = study(["error", "energy"])
    rows = [({"a": 1}, {"error": 0.020, "energy": 2.0}), ({"a": 2}, {"error": 0.021, "energy": 1.0})]
    said = summary.answer(of, summed(of, rows, test_samples=360))
    assert said.startswith("a 2 suffices") and "energy per sample is 0.5 of that one's" in said
    far = [({"a": 1}, {"error": 0.02, "energy": 2.0}), ({"a": 2}, {"error": 0.3, "energy": 1.0})]
    assert summary.answer(of, summed(of, far, test_samples=360)).startswith("a 1 has the best test error, 2.00 %")


def test_what_another_costs_less_by_under_a_percent_is_not_said_to_be_better() -> None:
    of = study(["error", "energy"])
    rows = [({"a": 1}, {"error": 0.02, "energy": 2.00}), ({"a": 2}, {"error": 0.30, "energy": 1.99})]
    said = summary.answer(of, summed(of, rows, test_samples=360))
    assert said.startswith("a 1 has the best test error") and said.endswith("than its 2 J by more than 1 %.")


def test_higher_is_better_where_a_figure_says_so() -> None:
    of = study(["efficiency"])
    groups = summed(of, [({"a": 1}, {"efficiency": 1e12}), ({"a": 2}, {"efficiency": 5e12})])
    assert [group["front"] for group in groups] == [False, True]
    assert summary.answer(of, groups) == "a 2 has the best operations per joule, 5 Top/J."


def test_a_setting_that_decides_everything_explains_everything() -> None:
    of = study(["time"])
    rows = [({"a": a, "b": b}, {"time": float(a)}) for a in (1, 2) for b in (1, 2)]
    shares = {row["path"]: row["share"] for row in summary.importance(of, summed(of, rows))}
    assert shares == {"a": pytest.approx(1.0), "b": pytest.approx(0.0)}


def test_nothing_within_the_limits_is_said() -> None:
    of = study(["time"], constraints={"time": {"most": "1 us"}})
    groups = summed(of, [({"a": 1}, {"time": 1.0})])
    assert summary.answer(of, groups) == "No configuration is within the limits."
