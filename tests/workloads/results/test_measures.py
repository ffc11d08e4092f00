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


def test_what_a_target_took_is_that_of_the_epoch_that_reached_it_and_calibration_is_added() -> None:
    reached = [{"test_error": 0.2, "seconds": 1.0, "joules": 4.0}, {"test_error": 0.1, "seconds": 2.0, "joules": 5.0}]
    document = {"accuracy": {"reached": reached}, "calibration": {"seconds": 8.0, "joules": 16.0}}
    assert MEASURES["time_to_10"].of(document) == 2.0 and MEASURES["calibrated_time_to_10"].of(document) == 10.0
    assert MEASURES["energy_to_10"].of(document) == 5.0 and MEASURES["calibrated_energy_to_10"].of(document) == 21.0
    del document["calibration"]  # nothing was calibrated
    assert MEASURES["calibrated_time_to_10"].of(document) == 2.0


def test_a_target_that_was_not_reached_has_no_figure() -> None:
    document = {"accuracy": {"reached": [{"test_error": 0.2, "seconds": 1.0}]}, "calibration": {"seconds": 8.0}}
    assert MEASURES["time_to_10"].of(document) is None and MEASURES["calibrated_time_to_10"].of(document) is None
