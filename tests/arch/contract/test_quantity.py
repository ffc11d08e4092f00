"""Units are parsed at the boundary, and a number without one is refused."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rpusim.arch.contract import quantity
from rpusim.arch.contract.quantity import Dimension


@pytest.mark.parametrize(
    ("dimension", "given_", "value"),
    [
        (quantity.TIME, "80 ns", 80e-9),
        (quantity.TIME, "5ns", 5e-9),
        (quantity.TIME, "1e3 ps", 1e-9),
        (quantity.ENERGY, "1.56 pJ", 1.56e-12),
        (quantity.POWER, "3.9 uW", 3.9e-6),
        (quantity.AREA, "0.0012 mm2", 1.2e-9),
        (quantity.SAMPLE_RATE, "1.28 GS/s", 1.28e9),
        (quantity.BIT_RATE, "90 GB/s", 720e9),
        (quantity.RESISTANCE, "24 MOhm", 24e6),
        (quantity.CAPACITANCE, "80 aF", 80e-18),
        (quantity.MEMORY, "64 KB", 8 * 65536),
    ],
)
def test_a_quantity_is_read_in_si_units(dimension: Dimension, given_: str, value: float) -> None:
    assert dimension.parse(given_) == value


@pytest.mark.parametrize(
    "given_", [80, 80.0, "80", "80 nJ", "ns", "", None, "80 ns ns", "1e-9", "nan s", "inf s", True]
)
def test_what_is_not_a_time_is_refused_with_an_example(given_: object) -> None:
    with pytest.raises(ValueError, match=r"a time needs a number with its unit, such as '80 ns'"):
        quantity.TIME.parse(given_)


@given(st.integers(0, 10**9), st.integers(1, 10**13))
def test_a_transfer_is_never_faster_than_the_bandwidth(bits: int, rate: int) -> None:
    time = quantity.transfer_picoseconds(bits, rate)
    assert time * rate >= bits * 10**12 > (time - 1) * rate or bits == 0


def test_time_and_energy_are_rounded_to_the_nearest_integer() -> None:
    assert quantity.picoseconds(80e-9) == 80_000
    assert quantity.zeptojoules(1.56e-12) == 1_560_000_000


@pytest.mark.parametrize(
    ("dimension", "given_", "sentence"),
    [
        (quantity.TIME, "1e400 ns", "a time must be between 1 ps and 3600 s, such as '80 ns'"),
        (quantity.TIME, "99999999 s", "a time must be between 1 ps and 3600 s"),
        (quantity.TIME, "0.4 ps", "a time must be between 1 ps and 3600 s"),
        (quantity.TIME, "1e-400 s", "a time must be between 1 ps and 3600 s"),
        (quantity.BIT_RATE, "0.1 b/s", "a bandwidth must be between 1 b/s and"),
        (quantity.SAMPLE_RATE, "0.1 S/s", "a sampling rate must be between 1 S/s and"),
        (quantity.OPERATION_RATE, "0.4 op/s", "an operation rate must be between 1 op/s and"),
        (quantity.ENERGY, "1e400 J", "an energy must be between 1 zJ and 1 J"),
        (quantity.MEMORY, "1e300 GB", "a memory size must be between 1 b and"),
    ],
)
def test_what_the_simulator_cannot_resolve_is_refused_with_the_range(
    dimension: Dimension, given_: str, sentence: str
) -> None:
    with pytest.raises(ValueError, match=sentence):
        dimension.parse(given_)


@pytest.mark.parametrize("dimension", [d for d in vars(quantity).values() if isinstance(d, Dimension)])
def test_zero_the_ends_of_the_range_and_the_example_are_read(dimension: Dimension) -> None:
    low, high = dimension.range
    assert dimension.parse(dimension.smallest) == low
    assert dimension.parse(dimension.largest) == high
    assert low < dimension.parse(dimension.example) < high
    assert dimension.parse(f"0 {dimension.unit}") == dimension.parse(f"0e9 {dimension.unit}") == 0
