"""Tests of figures of results."""

from __future__ import annotations

import pytest

from rpusim.workloads.results.measures import MEASURES, figures


def test_a_penalty_is_the_error_above_that_of_the_same_run_in_floating_point() -> None:
    document = {"accuracy": {"test_error": 0.10, "test_error_floating_point": 0.07}}
    assert figures(document) == pytest.approx({"error": 0.10, "error_floating_point": 0.07, "penalty": 0.03})


def test_without_a_twin_there_is_no_penalty() -> None:
    assert set(figures({"accuracy": {"test_error": 0.10}})) == {"error"}


def test_the_last_entry_of_a_curve_counts() -> None:
    document = {"accuracy": {"curve": [{"seconds": 1.0}, {"seconds": 2.0}]}}
    assert MEASURES["training_time"].of(document) == 2.0
    assert MEASURES["training_time"].of({"accuracy": {"curve": []}}) is None
