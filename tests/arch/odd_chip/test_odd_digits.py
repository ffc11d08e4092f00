"""What inputs of two bits at a time take on the odd chip: five bits are three digits."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from generated import chain

from rpusim.arch.account.pricing import Pricer
from rpusim.arch.chips.bill_of_parts import bill_of_parts
from rpusim.arch.chips.chip import Chip
from rpusim.arch.chips.library import library
from rpusim.arch.contract.activity import Activity, Phase
from rpusim.arch.engine.events import Op
from rpusim.arch.mapping.placement import place
from rpusim.arch.schedule.plan import make_plan
from rpusim.arch.schedule.schedules import run
from rpusim.errors import InputError

Odd = Callable[..., Chip]
FJ = 1_000_000
DRIVE, READ, READ_LINE = 53 * FJ, 2_025_000, 6_300
"""Of the DAC below; 0.3 V over 2 MOhm for 45 ns; 70 aF at 0.3 V."""


def digits(odd: Odd, number: int = 2, **blocks: Any) -> Chip:
    """Load the odd chip with DACs of so many bits, a little dearer than its drivers."""
    card = {
        "part": "input drivers",
        "unit": "one line",
        "node": "28 nm",
        "basis": "assumption",
        "energy": {"drive": "53 fJ"},
        "area": "4 um2",
        "leakage": "6 nW",
        "rated_bits": number,
        "source": "assumption: made up for tests",
    }
    inputs = {"kind": "bit-serial", "clock": "45 ns", "digit_bits": number, "card": "dac"}
    return odd(inputs=inputs, cards={"dac": card}, **blocks)


@pytest.mark.parametrize(("number", "cycles"), [(2, 3), (3, 2), (4, 2)])
def test_a_pass_drives_and_converts_once_for_every_digit(odd: Odd, number: int, cycles: int) -> None:
    """15 of 17 inputs are not 0, four outputs of one converter: 20 ns to convert, and 45 to drive, which is longer.

    While a digit is driven the one before is converted; a pass that is repeated waits for the last conversion.
    """
    plan = make_plan(place(chain(17, 4), digits(odd, number)))
    row = Activity.rows(phase=Phase.FORWARD, passes=3, active_columns=15)
    events = run(plan, row, "sequential")
    energy = {part: zj for (part, phase, _), zj in Pricer(plan)(events, row).energy.items() if phase == "forward"}
    assert energy["input drivers"] == 3 * cycles * 15 * DRIVE
    assert energy["array"] == 3 * cycles * 15 * (4 * READ + 13 * READ_LINE)
    assert energy["ADC"] == 3 * cycles * 4 * 900 * FJ
    driven, converted = (events.duration[events.op == op].max() for op in (Op.DRIVE, Op.CONVERT))
    assert driven == 3 * cycles * 45_000 + 2 * 20_000
    assert converted == driven - 45_000 + 20_000


def test_digits_of_zero_drive_nothing(odd: Odd) -> None:
    plan = make_plan(place(chain(17, 4), digits(odd)))
    row = Activity.rows(phase=Phase.FORWARD, passes=1, active_columns=15, set_bits=23)
    priced = Pricer(plan)(run(plan, row, "sequential"), row).energy
    drivers = [zj for (part, phase, _), zj in priced.items() if (part, phase) == ("input drivers", "forward")]
    assert drivers == [23 * DRIVE]


def test_area_and_leakage_are_those_of_the_dac(odd: Odd) -> None:
    part = bill_of_parts(digits(odd)).tiles[0]["input drivers"]
    assert part.units == 2 * (13 + 22)
    assert (part.area_m2, part.leakage_w) == (pytest.approx(70 * 4e-12), pytest.approx(70 * 6e-9))


@pytest.mark.parametrize(
    ("number", "encoding", "codes", "smallest"),
    [
        (1, "offset", 127, 1 / 3),
        (2, "offset", 127, 1 / 9),  # two, two, and the sign alone: nothing is negative
        (2, "signed", 63, 1 / 9),
        (3, "offset", 63, 1 / 21),  # three, and two with the sign
        (4, "flipped", 127, 1 / 45),  # four, and the sign alone
    ],
)
def test_the_range_of_a_conversion_follows_from_levels_of_cells_and_digits(
    odd: Odd, number: int, encoding: str, codes: int, smallest: float
) -> None:
    array = {"cells_per_weight": 3, "cell_bits": 2, "encoding": encoding}
    found = digits(odd, number, array=array).tiles[0].slice_conversion
    step = max(smallest, (11 if encoding == "flipped" else 22) / codes)
    assert (found.step, found.full_scale) == (pytest.approx(step), pytest.approx(codes * step))


@pytest.mark.parametrize(
    ("inputs", "sentence"),
    [
        ({"digit_bits": 2}, r"tiles.0.inputs.digit_bits: got 2, but kind is 'pwm', which applies a number at once"),
        (
            {"kind": "bit-serial", "digit_bits": 5},
            r"digit_bits: got 5, but an input of 5 bits .* accepted are 1 to 4, or kind parallel-dac",
        ),
        ({"kind": "bit-serial", "digit_bits": 0}, r"tiles.0.inputs.digit_bits: got 0"),
        ({"kind": "bit-serial", "digit_bits": 2}, r"digits of 2 bits \(digit_bits\), but the card driver is .* of 1"),
    ],
)
def test_digits_that_mean_nothing_or_have_no_price_are_refused(odd: Odd, inputs: Any, sentence: str) -> None:
    with pytest.raises(InputError, match=sentence):
        bill_of_parts(odd(inputs=inputs))


def test_a_dac_of_several_bits_is_no_driver_of_single_ones(odd: Odd) -> None:
    with pytest.raises(InputError, match=r"digits of 1 bits .* the card mnsim-2020/dac-2b is that of a driver of 2"):
        bill_of_parts(odd(inputs={"kind": "bit-serial", "card": "mnsim-2020/dac-2b"}))


def test_mnsim_s_dacs_grow_faster_than_their_bits() -> None:
    """7.8 and 31.2 uW; one bit is ISAAC's driver, 3.9 uW."""
    cards = library()
    two, four = cards["mnsim-2020/dac-2b"], cards["mnsim-2020/dac-4b"]
    assert two.power == pytest.approx(2 * (cards["isaac-2016/dac"].power or 0), rel=0.01)
    assert four.power == pytest.approx(4 * (two.power or 0)) and four.area == pytest.approx(4 * two.area)
