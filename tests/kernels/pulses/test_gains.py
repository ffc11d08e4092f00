"""How long trains are and how strongly lines fire, in closed form: both paths take this from the same place."""

from __future__ import annotations

from math import sqrt
from typing import Any

import pytest

from rpusim.kernels import UpdateParameters
from rpusim.kernels.pulses.trains import train_gains

BL = 31


def gains(
    strength: float, x: float, d: float, um: bool, ublm: bool, fixed: bool = True, scale: float = 1.0
) -> tuple[int, float, float]:
    return train_gains(strength, x, d, BL, um, ublm, fixed, scale)


@pytest.mark.parametrize(
    ("strength", "slots"), [(100, 20), (100.00001, 20), (100.1, 21), (104, 21), (1, 1), (0.1, 1), (155, 31), (160, 31)]
)
def test_bl_management_sends_as_many_slots_as_the_strongest_pair_needs(strength: float, slots: int) -> None:
    """strength x 0.5 x 0.4, up to the next whole number; what float32 numbers do not resolve needs no slot."""
    assert gains(strength, 0.5, 0.4, False, True)[0] == slots


@pytest.mark.parametrize(("strength", "slots"), [(5, 31), (31, 31), (31.00001, 31), (31.1, 32), (77.2, 78)])
def test_trains_that_are_not_fixed_grow_where_probabilities_could_exceed_one(strength: float, slots: int) -> None:
    assert gains(strength, 0.5, 0.4, False, False, fixed=False)[0] == slots
    assert gains(strength, 0.5, 0.4, True, False, fixed=False)[0] == slots
    assert gains(strength, 0.5, 0.4, False, False)[0] == BL


def test_without_management_both_sides_have_the_same_gain() -> None:
    assert gains(77.2, 0.5, 0.4, False, False) == pytest.approx((31, sqrt(77.2 / 31), sqrt(77.2 / 31)))


@pytest.mark.parametrize(("um", "ublm", "slots"), [(True, False, 31), (False, True, 15), (True, True, 15)])
def test_either_management_makes_the_largest_probabilities_equal(um: bool, ublm: bool, slots: int) -> None:
    found, gain_d, gain_x = gains(75, 0.5, 0.4, um, ublm)
    assert found == slots
    assert gain_d == pytest.approx(sqrt(75 / slots * 0.5 / 0.4))
    assert gain_x == pytest.approx(sqrt(75 / slots * 0.4 / 0.5))


@pytest.mark.parametrize(("um", "ublm"), [(True, False), (False, True), (True, True)])
def test_where_trains_are_too_short_x_keeps_probability_one_and_d_saturates(um: bool, ublm: bool) -> None:
    """1000 x 0.5 x 0.4 = 200 slots are wanted."""
    slots, gain_d, gain_x = gains(1000, 0.5, 0.4, um, ublm)
    assert slots == BL
    assert gain_x * 0.5 == pytest.approx(1.0)
    assert gain_d * 0.4 == pytest.approx(200 / BL)


def test_the_scale_of_errors_makes_trains_shorter_and_large_errors_saturate() -> None:
    """Half the largest error counts: 75 x 0.5 x 0.2 = 7.5, so 8 slots, in which 0.2 is as likely as 0.5."""
    slots, gain_d, gain_x = gains(75, 0.5, 0.4, True, True, scale=0.5)
    assert slots == 8
    assert gain_d == pytest.approx(sqrt(75 / 8 * 0.5 / 0.2))
    assert gain_x == pytest.approx(sqrt(75 / 8 * 0.2 / 0.5))


@pytest.mark.parametrize(("strength", "x", "d"), [(0, 1, 1), (1, 0, 1), (1, 1, 0)])
def test_nothing_is_sent_for_nothing(strength: float, x: float, d: float) -> None:
    assert gains(strength, x, d, True, True) == (0, 0.0, 0.0)


@pytest.mark.parametrize(
    ("parameters", "of_d", "of_x"),
    [
        ({"res": 0.1}, 0.1, 0.1),
        ({"res": 1.0}, 1.0, 1.0),
        ({"res": 8.0}, 1 / 8, 1 / 8),
        ({"res": 0.0}, 0.0, 0.0),
        ({"res": -1.0}, 0.0, 0.0),
        ({"res": 0.1, "pulse_type": "mean_count"}, 0.1, 0.1),
        ({"res": 0.1, "pulse_type": "none_with_device"}, 0.0, 0.0),
        ({"res": 0.1, "x_res_implicit": 0.2, "d_res_implicit": 4.0, "pulse_type": "deterministic_implicit"}, 0.25, 0.2),
    ],
)
def test_steps_of_the_probabilities(parameters: dict[str, Any], of_d: float, of_x: float) -> None:
    assert UpdateParameters(**parameters).steps == pytest.approx((of_d, of_x))


def test_what_is_drawn_by_chance_and_what_is_pulsed() -> None:
    chance = {"stochastic_compressed", "stochastic"}
    for kind in (
        "stochastic_compressed",
        "stochastic",
        "mean_count",
        "deterministic_implicit",
        "none_with_device",
        "none",
    ):
        pulse_type = UpdateParameters(pulse_type=kind).pulse_type  # type: ignore[arg-type]
        assert pulse_type.random == (kind in chance)
        assert pulse_type.pulsed == (not kind.startswith("none"))
