"""Experiments that infer: trained in software, programmed, used; the account adds up, and bad ones are refused."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

import rpusim
from rpusim.errors import InputError
from rpusim.kernels.inference import INFERENCE
from rpusim.reports.cli.schema import problem, schema_of
from rpusim.reports.page.page import page
from rpusim.workloads.runs import settings

NAME = "lenet-digits-inference"
COMPENSATION = ("compensation_seconds", "compensation_joules", "test_error_uncompensated")


def changed(name: str = NAME, **changes: Any) -> settings.Experiment:
    experiment = settings.load(name)
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


class TestPhaseChangeMemory:
    """lenet-digits-pcm: 64 HERMES cores, from 1 second to 1 year."""

    @pytest.fixture(scope="class")
    @classmethod
    def year(cls, few_digits: Path) -> Any:
        return rpusim.simulate(changed("lenet-digits-pcm", data=str(few_digits), epochs=3)).document

    def test_it_is_tested_from_a_second_to_a_year_with_and_without_compensation(self, year: Any) -> None:
        ages = year["accuracy"]["aging"]
        times = [age["seconds_since_programming"] for age in ages]
        assert (times[0], times[-1]) == (1.0, 365 * 86400.0) and times == sorted(times) and len(times) == 7
        assert all(0.0 <= age["test_error_uncompensated"] <= 1.0 for age in ages)
        assert problem(year, schema_of("result")) == ""

    def test_measuring_drift_is_all_the_maintenance_there_is_after_programming(self, year: Any) -> None:
        first, *later = year["accuracy"]["aging"]
        for kind in ("seconds", "joules"):
            part, whole = f"compensation_{kind}", f"maintenance_{kind}"
            assert 0.0 < first[part] < first[whole]
            assert all(age[part] == age[whole] for age in later)
            assert first[part] > later[0][part]  # also just after programming

    def test_the_energy_of_measuring_drift_is_that_of_a_pass_for_every_column(self, year: Any) -> None:
        """A pass of a HERMES core takes 12.6 nJ or a little less with few rows; 9 + 144 + 128 + 64 columns."""
        joules = year["accuracy"]["aging"][1]["compensation_joules"]
        assert 345 * 8e-9 < joules < 345 * 12.8e-9

    def test_what_is_not_compensated_is_neither_measured_nor_reported(self, few_digits: Path) -> None:
        assert all(name not in age for age in uncompensated(few_digits) for name in COMPENSATION)

    def test_uncompensated_errors_are_those_of_a_chip_without_compensation(self, year: Any, few_digits: Path) -> None:
        with_it = [age["test_error_uncompensated"] for age in year["accuracy"]["aging"]]
        assert with_it == [age["test_error"] for age in uncompensated(few_digits)]

    def test_the_report_draws_both(self, year: Any) -> None:
        html = page(year)
        assert 'class="line analog"' in html and 'class="line uncompensated"' in html
        assert "drift uncompensated" in html and "measuring drift alone" in html


def uncompensated(few_digits: Path) -> Any:
    """Ages of the same experiment on cells whose drift nobody compensates."""
    preset = INFERENCE["inference-hermes"]
    with pytest.MonkeyPatch.context() as patch:
        plain = replace(preset, config=replace(preset.config, compensation=None))
        patch.setitem(INFERENCE, "inference-hermes", plain)
        found = rpusim.simulate(changed("lenet-digits-pcm", data=str(few_digits), epochs=3))
    return found.document["accuracy"]["aging"]


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
        ({"timing": "first"}, "timing: got 'first' in an experiment with inference, where it would be ignored"),
        ({"schedule": "minibatch-pipelined"}, "schedule: got 'minibatch-pipelined' in an experiment with inference"),
    ],
)
def test_what_cannot_be_inferred_is_refused_in_one_sentence(
    changes: dict[str, Any], sentence: str, few_digits: Path
) -> None:
    with pytest.raises(InputError, match=sentence):
        rpusim.simulate(changed(data=str(few_digits), **changes))


class TestWaterfall:
    """`rpusim run lenet-digits-inference --waterfall`: where accuracy is lost."""

    @pytest.fixture(scope="class")
    @classmethod
    def divided(cls, few_digits: Path) -> Any:
        return rpusim.simulate(changed(data=str(few_digits), waterfall=2))

    def test_causes_add_up_from_floating_point_to_the_chip(self, divided: Any) -> None:
        found, accuracy = divided.waterfall, divided.accuracy
        names = [row["cause"] for row in found["causes"]]
        assert names[:2] == ["floating point", "retraining"] and names[-1] == "compensation"
        assert found["causes"][0]["test_error"] == accuracy["test_error_floating_point"]
        added = sum(row["added"] for row in found["causes"][1:])
        last = found["causes"][-1]["test_error"]
        assert found["causes"][0]["test_error"] + added == pytest.approx(last)
        assert found["draws"] == 2 and found["seconds_since_programming"] == 172800.0
        assert [row["layer"] for row in found["layers"]] == ["conv1", "conv2", "fc1", "fc2"]

    def test_it_is_described_and_shown(self, divided: Any) -> None:
        assert problem(divided.document, schema_of("result")) == ""
        written = page(divided.document)
        assert "Where accuracy is lost, 2 days after programming" in written and "Signal to noise" in written
        assert "Where accuracy is lost" in divided.summary()
        assert "test error" in divided.plot("causes").svg and "conv2" in divided.plot("layers").svg

    def test_nothing_else_of_the_result_changes(self, divided: Any, document: Any) -> None:
        apart = {"waterfall", "wall", "training", "configuration", "provenance"}
        mine = {key: value for key, value in divided.document.items() if key not in apart}
        assert mine == {key: value for key, value in document.items() if key not in apart}
        assert "waterfall" not in document and "waterfall" not in document["training"]

    def test_a_network_that_learns_on_the_chip_is_refused(self) -> None:
        with pytest.raises(InputError, match=r"waterfall: got 3 .* accepted: 0, or an experiment with inference"):
            settings.changed(settings.load("fcn-digits"), {"waterfall": 3})

    def test_a_result_without_one_draws_none(self, document: Any) -> None:
        with pytest.raises(InputError, match="causes"):
            rpusim.Result(document, None, ()).plot("causes")
