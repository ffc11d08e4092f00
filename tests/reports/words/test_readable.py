"""Numbers as a person reads them."""

from __future__ import annotations

import doctest
import math

import pytest

from rpusim.reports.page import svg
from rpusim.reports.words import readable


@pytest.mark.parametrize("module", [readable, svg])
def test_the_examples_in_the_docstrings_are_true(module):
    assert doctest.testmod(module).failed == 0


@pytest.mark.parametrize(
    ("value", "unit", "text"),
    [
        (8.94e-7, "s", "894 ns"),
        (5.736e-8, "J", "57.4 nJ"),
        (0.1428, "W", "143 mW"),
        (1.0, "W", "1.00 W"),
        (1e-12, "s", "1.00 ps"),
        (1e-3, "s", "1.00 ms"),
        (999.4e-9, "s", "999 ns"),
        (999.6e-9, "s", "1.00 µs"),
        (-2.5e-3, "V", "-2.50 mV"),
        (1103434.9, "", "1.10 M"),
        (3e-25, "J", "0.000300 zJ"),
        (0.0, "J", "0 J"),
        (math.inf, "s", "inf s"),
    ],
)
def test_si_chooses_the_prefix_after_rounding(value, unit, text):
    assert readable.si(value, unit) == text


def test_every_power_of_ten_keeps_three_digits():
    for exponent in range(-20, 18):
        number = readable.si(1.234 * 10.0**exponent, "s").split()[0]
        assert number in {"1.23", "12.3", "123"}, exponent


@pytest.mark.parametrize(
    ("square_metres", "text"),
    [
        (2.755e-4, "275.5 mm²"),
        (8.36e-5, "83.6 mm²"),
        (1.354e-9, "0.00135 mm²"),
        (1.6e-13, "0.160 µm²"),
        (2e-16, "200 nm²"),
        (0.0, "0 mm²"),
    ],
)
def test_areas_have_squared_prefixes(square_metres, text):
    assert readable.area(square_metres) == text


def test_a_share_is_never_rounded_to_nothing_or_to_everything():
    assert readable.percent(4e-6) == "<0.01%"
    assert readable.percent(0.99996) == ">99.9%"
    assert readable.percent(0.0) == "0%"
    assert readable.percent(1.0) == "100%"


def test_markup_in_names_is_escaped():
    drawn = svg.text("<script>&", 1, 2, class_='"')
    assert "<script>" not in drawn
    assert "&lt;script&gt;&amp;" in drawn
    assert 'class="&quot;"' in drawn
