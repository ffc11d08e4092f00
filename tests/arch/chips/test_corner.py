"""Leakage at one corner, and the warning where neighbours leak unlike each other."""

from __future__ import annotations

import pytest

from rpusim.arch.chips import library
from rpusim.arch.chips.bill_of_parts import bill_of_parts
from rpusim.arch.chips.chip import Chip, presets
from rpusim.arch.chips.corner import LOGIC, MEMORY, at_low_standby, densities, mixture


def test_logic_and_memory_leak_by_their_area() -> None:
    cards = library.library()
    alu, edram = at_low_standby(cards["puma-2019/alu"]), at_low_standby(cards["puma-2019/edram"])
    assert alu.leakage == pytest.approx(88 * 0.00403e-6) and edram.leakage == pytest.approx(28 * 0.086e-6)
    assert "low-standby" in alu.sources["leakage"]


@pytest.mark.parametrize("name", ["dram/gddr5", "isaac-2016/edram", "haensch-2018/adc", "cells/cmos-rpu-2017"])
def test_what_is_analog_off_the_chip_or_counted_elsewhere_stays(name: str) -> None:
    card = library.library()[name]
    assert at_low_standby(card) is card


@pytest.mark.parametrize("name", presets())
def test_no_preset_mixes_corners(name: str) -> None:
    chip = Chip.load(name)
    parts = list(bill_of_parts(chip).all_parts())
    says, warning = mixture(parts, chip.leakage == "low-standby")
    assert not warning and says
    assert {round(density, 6) for density in densities(parts).values()} <= {LOGIC, MEMORY}


def test_cards_as_they_are_published_are_warned_of() -> None:
    """A lane leaks 47.6 mW/mm2 and its registers, in gates of 28 nm, 33 nW on 678 um2: 0.0487 mW/mm2."""
    chip = Chip.load("rpu-2016").model_copy(update={"leakage": "as-published"})
    says, warning = mixture(bill_of_parts(chip).all_parts(), at_one_corner=False)
    assert "each at a corner of its own" in says
    assert "the digital unit leaks 979 times as much as the registers" in warning
