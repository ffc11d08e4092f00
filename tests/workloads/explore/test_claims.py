"""Figures of papers beside those of a study: which runs they are of, what their interval lets one say."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from rpusim.errors import InputError
from rpusim.workloads.explore import claims, study
from rpusim.workloads.explore.claims import Claim
from rpusim.workloads.results import intervals
from rpusim.workloads.results.agreement import verdict


def claim(**fields: Any) -> Claim:
    plain = {"case": "Error", "of": {"a": 1}, "published": 10.0, "tolerance": "+- 1", "provenance": "seen"}
    return Claim.model_validate(plain | fields)


def row(a: int, seed: int, error: float, **more: Any) -> dict[str, Any]:
    return {"settings": {"a": a}, "seed": seed, "state": "done", "metrics": {"error": error}} | more


def graded(of: Claim, points: list[dict[str, Any]], own_data: bool = False) -> dict[str, Any]:
    (found,) = claims.graded({"x": of}, points, own_data)
    return found


def test_a_figure_is_the_mean_over_seeds_with_students_interval() -> None:
    found = graded(claim(), [row(1, 0, 0.10), row(1, 1, 0.102), row(1, 2, 0.098), row(2, 0, 0.9)])
    mean, low, high = intervals.of_mean([10.0, 10.2, 9.8])
    assert [found[name] for name in ("simulated", "low", "high")] == pytest.approx([mean, low, high])
    assert found["seeds"] == 3 and found["verdict"] == "holds" and (found["lowest"], found["highest"]) == (9.0, 11.0)


def test_a_difference_is_taken_seed_by_seed() -> None:
    """The two configurations vary by 40 % over the seeds, and differ by exactly a percent in each."""
    points = [row(a, seed, error + 0.01 * (a == 1)) for seed, error in enumerate((0.1, 0.3, 0.5)) for a in (1, 2)]
    found = graded(claim(minus={"a": 2}, published=1.0, tolerance="+- 0.1"), points)
    assert found["simulated"] == pytest.approx(1.0) and found["high"] - found["low"] < 1e-9
    assert found["verdict"] == "holds"


def test_a_ratio_has_no_unit() -> None:
    found = graded(claim(over={"a": 2}, unit="", published=2.0, tolerance="factor 2"), [row(1, 0, 0.3), row(2, 0, 0.1)])
    assert found["simulated"] == pytest.approx(3.0)


def test_one_seed_of_an_error_has_wilsons_interval() -> None:
    found = graded(claim(), [row(1, 0, 0.10, test_samples=1000)])
    assert (found["low"], found["high"]) == pytest.approx(tuple(100 * end for end in intervals.of_share(0.1, 1000)))


@pytest.mark.parametrize(
    ("mean", "low", "high", "said"),
    [
        (0.2, 0.1, 0.25, "holds"),
        (0.2, 0.1, 0.4, "holds in the mean"),
        (0.4, 0.2, 0.6, "misses in the mean"),
        (0.4, 0.35, 0.6, "does not hold"),
    ],
)
def test_words_follow_the_interval(mean: float, low: float, high: float, said: str) -> None:
    assert verdict(mean, low, high, 0.3, "at most") == said


def test_a_figure_of_the_papers_data_is_graded_on_these_alone() -> None:
    of, points = claim(published=1.0, full_data=True), [row(1, 0, 0.10), row(1, 1, 0.11)]
    assert graded(of, points)["verdict"] == "needs full data" and graded(of, points)["passes"]
    assert graded(of, points, own_data=True)["verdict"] == "does not hold"


def test_a_known_miss_passes_until_it_holds() -> None:
    of = claim(miss="the device was not at hand")
    assert graded(of, [row(1, 0, 0.5)])["verdict"] == "known miss" and graded(of, [row(1, 0, 0.5)])["passes"]
    assert not graded(of, [row(1, 0, 0.1)])["passes"]


def test_what_was_found_before_is_graded_by_claims_as_they_are_now() -> None:
    points = [row(1, 0, 0.10), row(1, 1, 0.11)]
    before = {"x": claim(published=1.0), "y": claim(published=1.0, full_data=True)}
    document = {"points": points, "claims": claims.graded(before, points, False)}
    now = {"x": claim(published=1.0, miss="known by now"), "y": before["y"]}
    again = claims.graded_again(now, document)["claims"]
    assert [each["verdict"] for each in again] == ["known miss", "needs full data"]
    document["claims"] = claims.graded(before, points, True)
    assert claims.graded_again(now, document)["claims"][1]["verdict"] == "does not hold"


def test_what_was_not_run_is_said() -> None:
    assert graded(claim(), [row(2, 0, 0.1), row(1, 0, 0.1) | {"state": "failed"}])["verdict"] == "not run"


def made(**of: Any) -> study.Study:
    fields = {"case": "Error", "of": {"a": 1}, "published": 1.0, "tolerance": "at most", "provenance": "seen"}
    base = {"name": "s", "title": "t", "run": "fcn-digits", "vary": {"a": [1, 2], "b": [1, 2]}}
    return study.made(base | {"claims": {"x": fields | of}})


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({}, "names 2 configurations"),
        ({"of": {"a": 3, "b": 1}}, "names 0 configurations"),
        ({"of": {"a": 1, "b": 1}, "minus": {"a": 1}}, "names 2 configurations"),
        ({"of": {"a": 1, "b": 1}, "minus": {"a": 2, "b": 1}, "over": {"a": 2, "b": 1}}, "give one of the two"),
        ({"of": {"a": 1, "b": 1}, "tolerance": "about"}, "a tolerance is"),
    ],
)
def test_a_claim_that_cannot_be_graded_is_refused(fields: dict[str, Any], said: str) -> None:
    with pytest.raises(InputError, match=said):
        made(**fields)


@pytest.mark.parametrize("name", [name for name in study.presets() if study.load(name).claims])
def test_papers_say_what_they_did_and_what_is_different(name: str) -> None:
    paper = study.load(name).paper
    assert paper is not None and len(paper.did) > 40 and paper.differs and study.load(name).seeds >= 3


def test_the_study_of_the_guide_is_one() -> None:
    guide = (Path(__file__).parents[3] / "docs" / "papers.md").read_text(encoding="utf-8")
    (example,) = re.findall(r"^```yaml\n(.*?)^```$", guide, flags=re.DOTALL | re.MULTILINE)
    own = study.made(yaml.safe_load(example))
    assert own.paper is not None and list(own.claims) == ["gain"]
