"""PANTHER's chip and its example, by hand."""

from __future__ import annotations

import pytest

from rpusim.arch.chips.bill_of_parts import bill_of_parts
from rpusim.arch.chips.chip import Chip
from rpusim.workloads.studies.published.outer_products import outer_product, panther, without


def test_an_example_is_read_twice_in_sixteen_bits_and_pulsed_in_240_slots_of_four_phases() -> None:
    """100 ns a bit, and a conversion after the last; slots of 1.066 ns. What is left are buffers and the loss."""
    arrays = 2 * (16 * 100e-9 + 100e-9) + 240 * 4 * 1.066e-9
    assert arrays < outer_product().seconds < arrays + 0.5e-6


def test_it_costs_its_reads_conversions_and_coincidences() -> None:
    """Twice 16 x 240 pJ, 16 x 8 x 128 conversions of 1.5625 pJ, and their drivers; pulses and their drivers.

    A quarter of 31.5 million pulses meets, at 30 zJ, and twice as many cells are half-selected, at 8 (7.5 in whole zJ).
    Drivers take 3.5 fJ for each of 240 slots of 1152 lines, and for every second one a pulse.
    """
    reads = 2 * 16 * (240e-12 + 8 * 128 * 2e-3 / 1.28e9)
    met = 1024 * 128 * 240 / 4 * (30 + 2 * 8) * 1e-21 + 1152 * 240 * 1.5 * 3.50625e-15
    drivers = 16 * (128 + 1024) * 3.90625e-6 * 100e-9
    shift_adds = 2 * 16 * 100e-9 * 32 * 0.05e-3 / 16
    assert outer_product().joules == pytest.approx(reads + met + drivers + shift_adds, rel=0.05)


def test_the_other_chip_adds_digitally_and_takes_the_serial_times_of_the_simulator() -> None:
    """32,768 operations on two ALUs, and a word for every weight read and written: 2 x 16 bits at 16 GB/s."""
    serial = 10.25e-6 + 351e-6 / 32
    digital = 128 * 128 * 2 / 2 * 1e-9
    pulses, words = 240 * 4 * 1.066e-9, 2 * 128 * 128 * 16 / 128e9
    assert without().seconds == pytest.approx(outer_product().seconds - pulses + digital + words + serial, rel=0.01)
    assert without().joules > 8 * 884e-9 / 32


def test_area_and_power_are_those_of_138_tiles_routers_and_links() -> None:
    bill = bill_of_parts(Chip.load("panther-2020"))
    assert bill.tiles[0]["ADC"].units == 16 * 8 and bill.tiles[0]["sample-and-hold"].units == 16 * 2048
    converters = 138 * 128
    assert panther()["panther/area"]() == pytest.approx(97.6, abs=0.1)
    assert panther()["panther/power"]() > converters * 2e-3
