"""Experiments that infer: trained in software, programmed, used; the account adds up, and bad ones are refused."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

import rpusim
from rpusim.errors import InputError
from rpusim.reports.page import page
from rpusim.reports.schema import problem, schema_of
from rpusim.workloads import settings

NAME = "lenet-digits-inference"


def changed(**changes: Any) -> settings.Experiment:
    experiment = settings.load(NAME)
    use = experiment.inference
    assert use is not None and use.retraining is not None
    short = use.retraining.model_dump() | {"epochs": 1}
    inference = use.model_dump() | {"retraining": short} | changes.pop("inference", {})
    return settings.changed(experiment, {"epochs": 1, "inference": inference, **changes})


@pytest.fixture(scope="module")
def document(few_digits: Path) -> Any:
    return rpusim.simulate(changed(data=str(few_digits))).document


def test_every_time_has_an_error_and_the_cost_of_an_inference_and_of_what_was_written_and_read(document: Any) -> None:
    ages = document["accuracy"]["aging"]
    assert [age["seconds_since_programming"] for age in ages] == [1.0, 86400.0, 172800.0]
    assert len({age["joules_per_inference"] for age in ages}) <= 2  # retries of bound management may differ
    assert ages[0]["maintenance_seconds"] > 50 * ages[1]["maintenance_seconds"] > 0.0  # programming is in the first
    assert all(0.0 <= age["test_error"] <= 1.0 for age in ages)
    assert problem(document, schema_of("result")) == ""


def test_ages_add_up_to_the_account(document: Any) -> None:
    ages, tested = document["accuracy"]["aging"], document["accuracy"]["test_samples"]
    for kind, total in (("seconds", document["time"]["total_s"]), ("joules", document["energy"]["total_J"])):
        parts = sum(age[f"{kind}_per_inference"] * tested + age[f"maintenance_{kind}"] for age in ages)
        assert parts == pytest.approx(total, rel=1e-9)
    assert document["activity"]["samples"] == 3 * tested and document["activity"]["updates"] == 0


def test_equal_experiments_are_equal(document: Any, few_digits: Path) -> None:
    again = rpusim.simulate(changed(data=str(few_digits))).document
    assert {**again, "wall": None} == {**document, "wall": None}


def test_the_report_shows_how_it_ages(document: Any) -> None:
    html = page(document)
    assert "How does it age?" in html and "Does it learn?" not in html
    assert "1 day" in html and "2 days" in html


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"device": "ecram"}, "device: 'ecram' does not infer, but the experiment does"),
        (
            {"inference": {"times": ["1 h"]}},
            "seconds: 3600.0 was given; reram-wan-2022 was measured 1, 86400",
        ),
        ({"inference": {"times": []}}, "inference.times"),
        ({"inference": {"times": ["1 fortnight"]}}, r"got '1 fortnight', .* \(units: s, min, h, day, month, year\)"),
        ({"inference": {"times": ["-1 s"]}}, "inference.times"),
        (
            {"chip": "isaac-2016"},
            "'isaac' of isaac-2016 do not say how they are written; a programming",
        ),
        ({"timing": "steady"}, "timing: got 'steady' in an experiment with inference, where it would be ignored"),
        ({"schedule": "minibatch-pipelined"}, "schedule: got 'minibatch-pipelined' in an experiment with inference"),
    ],
)
def test_what_cannot_be_inferred_is_refused_in_one_sentence(
    changes: dict[str, Any], sentence: str, few_digits: Path
) -> None:
    with pytest.raises(InputError, match=sentence):
        rpusim.simulate(changed(data=str(few_digits), **changes))
