"""The one place that puts a document together: which parts, and in which order."""

from __future__ import annotations

from typing import Any

import pytest

from rpusim.arch.chips.chip import Chip
from rpusim.arch.mapping.assumed_activity import assumed_activity
from rpusim.arch.mapping.placement import place
from rpusim.arch.schedule.plan import make_plan
from rpusim.workloads.clock.meter import Meter
from rpusim.workloads.results import document
from rpusim.workloads.results.document import Measured
from rpusim.workloads.runs.given_network import load_network

COST = ("time", "energy", "power", "throughput", "area", "tiles", "layers", "bottleneck")


@pytest.fixture(scope="module")
def measured() -> Measured:
    placement = place(load_network("fcn"), Chip.load("reram-512"))
    meter = Meter(make_plan(placement), "sequential")
    meter.add(assumed_activity(placement, 4, True, 2))
    return meter.measured()


def test_parts_that_nobody_gives_are_left_out(measured: Measured) -> None:
    found = document.result(measured, operations_per_sample=10, provenance=[]).document
    assert list(found) == [
        *("schema", "network", "chip", "version", *COST),
        *("floor", "activity", "storage", "wires", "analysis", "sensitivity", "provenance"),
    ]
    assert list(found["time"]) == ["per_sample_s", "total_s", "samples_per_s"]


def test_every_part_has_its_place(measured: Measured) -> None:
    given: dict[str, Any] = {
        "title": "t",
        "training": {},
        "seed": 0,
        "assumption": "a",
        "accuracy": {"test_error": 0.1, "test_error_floating_point": 0.05, "test_samples": 100},
        "endurance": {},
    }
    last = {"wall": {"seconds": 1.0}, "what_if": []}
    found = document.result(measured, operations_per_sample=10, provenance=[], **given, last=last).document
    assert list(found) == [
        *("schema", "title", "network", "chip", "training", "seed", "version", "assumption", "accuracy"),
        *COST,
        *(
            "floor",
            "activity",
            "storage",
            "wires",
            "endurance",
            "analysis",
            "sensitivity",
            "provenance",
            "wall",
            "what_if",
        ),
    ]


def test_an_epoch_lasts_as_long_as_its_samples(measured: Measured) -> None:
    time = document.result(measured, operations_per_sample=10, provenance=[], samples_per_epoch=7)["time"]
    assert list(time)[-1] == "per_epoch_s"
    assert time["per_epoch_s"] == 7 * time["per_sample_s"]


def test_figures_per_sample_times_samples_are_the_totals(measured: Measured) -> None:
    found = document.result(measured, operations_per_sample=10, provenance=[]).document
    assert measured.samples == 4
    assert 4 * found["time"]["per_sample_s"] == pytest.approx(found["time"]["total_s"])
    assert 4 * found["energy"]["per_sample_J"] == pytest.approx(found["energy"]["total_J"])
    assert found["throughput"]["ops_per_s"] == pytest.approx(40 / found["time"]["total_s"])
    assert found["throughput"]["ops_per_J"] == pytest.approx(40 / found["energy"]["total_J"])
