"""`rpusim arena` as a user types it: its refusals, its document, its page, and that it goes on where it was."""

from __future__ import annotations

import json

import pytest

from rpusim.reports.cli.schema import problem, schema_of
from rpusim.reports.learn_page import arena_page
from rpusim.reports.words import arena as words
from rpusim.workloads.learn import arena, league


def test_it_refuses_what_it_cannot_use(rpusim, tmp_path):
    for options, said in (
        (("--states", "4,many"), "--states: got '4,many'; accepted: whole numbers of at least 2"),
        (("--states", "1"), "--states: got 1; accepted: whole numbers of at least 2"),
        (("--references", "on 1"), "--references: 'on 1' is unknown; did you mean 'on 0'"),
        (("--algorithms", "e-ridder"), "--algorithms: 'e-ridder' is unknown; did you mean 'e-rider'"),
    ):
        outcome = rpusim("arena", *options, "--out", tmp_path / "none")
        assert outcome.status == 2 and said in outcome.stderr and outcome.stderr.count("\n") == 1
    assert not (tmp_path / "none").exists()


def ends(mean):
    return {"mean": mean, "low": mean - 0.01, "high": mean + 0.01}


@pytest.fixture
def document():
    rows = [league.Entry("Tiki-Taka, calibrated", "tiki-taka", True), league.Entry("AGAD <&>", "agad", False)]
    metrics = {"error": ends(0.2), "training_energy": ends(1e-3), "training_time": ends(2e-3), "pulses": ends(50.0)}
    calibrated = {f"calibrated_{name}": ends(1.0) for name in ("energy", "time", "pulses")}
    groups = [
        {"settings": {"algorithm": rows[0].name, "reference": "on 0"}, "metrics": metrics | calibrated, "seeds": 3},
        {"settings": {"algorithm": rows[1].name, "reference": "on 0"}, "metrics": metrics, "seeds": 3},
    ]
    return {
        "schema": arena.SCHEMA,
        "experiment": "fcn-digits",
        "network": "fcn-digits",
        "data": "digits",
        "chip": "rpu-2016",
        "seeds": 3,
        "epochs": 6,
        "search": {"seed": 100, "epochs": 3, "candidates": {"10": 6}, "settings": {"10": {}}},
        "calibration": {"10": 48},
        "guessing_error": 0.9,
        "references": {"on 0": {"mean": 0.0, "std": 0.0}},
        "states": [10],
        "version": "0",
        "command": "rpusim arena",
        **league.of({10: groups}, rows),
    }


def test_page_and_sentence_say_what_calibration_changes(document):
    assert problem(document, schema_of("arena")) == ""
    said = words.sentence(document)
    changed = {"Tiki-Taka, calibrated", "AGAD <&>"}
    assert set(document["changes"]) == changed and all(name in said for name in changed)
    page = arena_page.page(document)
    assert "AGAD &lt;&amp;&gt;" in page and "AGAD <&>" not in page and page.count(">20.0<") == 2
    assert arena_page.errors(document, alone=True).startswith("<svg")


@pytest.mark.slow
def test_it_makes_a_league_and_goes_on_where_it_was(rpusim, tmp_path):
    typed = (
        "arena",
        "--algorithms",
        "sgd,rl",
        "--states",
        "10,100",
        "--references",
        "on 0",
        "--seeds",
        1,
        "--epochs",
        1,
    )
    typed = (*typed, "--quick", "--workers", 0, "--out", tmp_path / "found", "--json")
    outcome = rpusim(*typed)
    assert outcome.status == 0, outcome.stderr
    document = json.loads(outcome.stdout)
    assert problem(document, schema_of("arena")) == ""
    assert len(document["league"]) == 3 and len(document["places"]) == 6  # rl with calibration and without
    calibrated = [place for place in document["places"] if place["row"] == "residual learning, calibrated"]
    assert all(place["joules_calibrated"]["mean"] > place["joules"]["mean"] for place in calibrated)
    assert (tmp_path / "found" / "states-10" / "search" / "report.html").exists()
    again = json.loads(rpusim(*typed).stdout)
    assert again["places"] == document["places"] and again["wall"]["seconds"] < document["wall"]["seconds"]
