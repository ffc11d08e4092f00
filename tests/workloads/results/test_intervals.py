"""Intervals: Student's quantiles as tabulated, Wilson's ends as solutions of their equation."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rpusim.workloads.results.intervals import NORMAL, of_mean, of_share, student


@pytest.mark.parametrize(
    ("freedom", "tabulated"),
    [(1, 12.706), (2, 4.303), (3, 3.182), (4, 2.776), (5, 2.571), (9, 2.262), (10, 2.228), (30, 2.042), (100, 1.984)],
)
def test_quantiles_are_those_of_the_table(freedom, tabulated):
    """Abramowitz & Stegun, table 26.10, column 0.95 of A(t|v)."""
    assert student(freedom) == pytest.approx(tabulated, abs=5e-4)


def test_with_one_degree_of_freedom_it_is_cauchys_and_with_many_the_normal():
    assert student(1) == pytest.approx(math.tan(0.475 * math.pi), rel=1e-9)
    assert student(100_000) == pytest.approx(NORMAL, rel=5e-5)


@given(st.floats(0, 1), st.integers(1, 10_000))
def test_the_ends_of_a_share_are_where_it_is_just_as_far_off_as_the_quantile(share, samples):
    """Wilson: (share - p)^2 = z^2 p (1 - p) / n at both ends p."""
    for end in of_share(share, samples):
        assert 0 <= end <= 1
        assert (share - end) ** 2 == pytest.approx(NORMAL**2 * end * (1 - end) / samples, abs=1e-9)


def test_an_error_that_was_never_seen_has_an_interval_all_the_same():
    assert of_share(0.0, 360) == (0.0, pytest.approx(NORMAL**2 / (360 + NORMAL**2)))


@pytest.mark.parametrize("seeds", [2, 3, 5])
def test_the_interval_of_a_mean_holds_the_true_one_in_95_of_100_cases(seeds):
    draws = np.random.default_rng(seeds).normal(3.0, 2.0, (4000, seeds))
    held = np.mean([low <= 3.0 <= high for _, low, high in map(of_mean, draws.tolist())])
    assert held == pytest.approx(0.95, abs=4 * math.sqrt(0.95 * 0.05 / 4000))


def test_one_value_or_equal_ones_have_no_width():
    assert of_mean([0.1]) == (0.1, 0.1, 0.1)
    assert of_mean([0.1, 0.1, 0.1]) == (0.1, 0.1, 0.1)
