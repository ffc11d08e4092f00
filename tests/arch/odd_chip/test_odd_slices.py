"""What weights cut over cells take on the odd chip: the range of a conversion, the unit line, and who adds them up."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from generated import chain

from rpusim.arch.account.pricing import Pricer
from rpusim.arch.chips.bill_of_parts import bill_of_parts
from rpusim.arch.chips.chip import Chip
from rpusim.arch.contract.activity import Activity, Phase
from rpusim.arch.engine.events import Events, Op
from rpusim.arch.mapping.placement import place
from rpusim.arch.schedule.plan import Plan, make_plan
from rpusim.arch.schedule.schedules import run
from rpusim.errors import InputError

Odd = Callable[..., Chip]
SERIAL = {"kind": "bit-serial"}
FJ = 1_000_000
READ, READ_LINE = 2_025_000, 6_300
"""0.3 V over 2 MOhm for 45 ns, and 70 aF at 0.3 V."""


def forward(chip: Chip, passes: int = 3) -> tuple[Plan, Events, dict[str, int]]:
    """A vector of which 15 of 17 inputs are not 0, through a layer of four outputs; the energy (zJ) by part."""
    plan = make_plan(place(chain(17, 4), chip))
    row = Activity.rows(phase=Phase.FORWARD, passes=passes, active_columns=15)
    events = run(plan, row, "sequential")
    energy = {part: zj for (part, phase, _), zj in Pricer(plan)(events, row).energy.items() if phase == "forward"}
    return plan, events, energy


def sliced(encoding: str, **more: Any) -> dict[str, Any]:
    return {"cells_per_weight": 3, "cell_bits": 2, "encoding": encoding, **more}


class TestRangeOfAConversion:
    """22 columns, seven bits: 127 codes from zero, 63 on either side of it."""

    @pytest.mark.parametrize(
        ("encoding", "inputs", "codes", "largest", "smallest"),
        [
            ("signed", SERIAL, 63, 22, 1 / 3),  # one step is 22/63, a little more than a level
            ("offset", SERIAL, 127, 22, 1 / 3),  # bits to spare: one level
            ("flipped", SERIAL, 127, 11, 1 / 3),
            ("signed", {}, 63, 22, 1 / 45),  # one level times one of 15 periods
            ("offset", {}, 63, 22, 1 / 45),  # a parallel input has signs
            ("flipped", {}, 63, 11, 1 / 45),
        ],
    )
    def test_it_is_the_largest_sum_or_a_code_for_every_level(
        self, odd: Odd, encoding: str, inputs: dict[str, Any], codes: int, largest: float, smallest: float
    ) -> None:
        found = odd(array=sliced(encoding), inputs=inputs).tiles[0].slice_conversion
        step = max(smallest, largest / codes)
        assert (found.step, found.full_scale) == (pytest.approx(step), pytest.approx(codes * step))

    def test_the_file_may_say_another(self, odd: Odd) -> None:
        found = odd(array=sliced("offset"), inputs=SERIAL, adc={"slice_bound": 5}).tiles[0].slice_conversion
        assert (found.step, found.full_scale) == (pytest.approx(5 / 127), 5)

    def test_isaac_reads_every_sum_of_flipped_slices_exactly_with_its_eight_bits(self) -> None:
        """255 levels of a third; a slice of 128 cells has 192 at most, if it is flipped where that is less."""
        found = Chip.load("isaac-2016").tiles[0].slice_conversion
        assert (found.step, found.full_scale) == (1 / 3, 85)


class TestUnitLine:
    """Four outputs of three slices are twelve lines; the unit line is the thirteenth."""

    @pytest.mark.parametrize("encoding", ["offset", "flipped"])
    def test_it_is_read_held_and_converted_with_the_others(self, odd: Odd, encoding: str) -> None:
        energy = forward(odd(array=sliced(encoding)))[2]
        assert energy["array"] == 3 * 15 * (13 * READ + 14 * READ_LINE)
        assert energy["sample-and-hold"] == 3 * 13 * 2 * FJ
        assert energy["ADC"] == 3 * 13 * 900 * FJ
        assert energy["multiplexer"] == 3 * 13 * 3 * FJ

    def test_its_converter_takes_one_turn_more(self, odd: Odd) -> None:
        for encoding, turns in (("signed", 5), ("offset", 6), ("flipped", 6)):
            _, events, _ = forward(odd(array=sliced(encoding)), passes=1)
            assert events.duration[events.op == Op.CONVERT].tolist() == [turns * 5_000]

    def test_it_is_a_row_of_cells_more_for_every_array(self, odd: Odd) -> None:
        parts = bill_of_parts(odd(array=sliced("offset"), pulses=None, programming=None)).tiles[0]
        assert parts["array"].units == 2 * 14 * 22
        assert parts["sample-and-hold"].units == parts["multiplexer"].units == 2 * 14


class TestShiftAdds:
    """Besides three operations for each of four outputs; three passes."""

    @pytest.mark.parametrize(
        ("encoding", "inputs", "operations"),
        [
            ("signed", {}, 12 - 4),
            ("signed", SERIAL, 5 * 12 - 4),
            ("offset", {}, 12 - 4 + 4),  # the unit line is taken off every output
            ("offset", SERIAL, 5 * 12 - 4 + 4 + 4),  # and has five bits of its own
            ("flipped", SERIAL, 5 * 12 - 4 + 4 + 4 + 12),  # every slice is subtracted from it
        ],
    )
    def test_every_conversion_but_the_first_of_an_output_is_added(
        self, odd: Odd, encoding: str, inputs: dict[str, Any], operations: int
    ) -> None:
        energy = forward(odd(array=sliced(encoding), inputs=inputs))[2]
        assert energy["digital unit"] == (4 * (370 + 2 * 210) + 3 * operations * 210) * FJ

    def test_other_circuits_do_it_where_the_file_says_so(self, odd: Odd) -> None:
        chip = odd(array=sliced("flipped"), inputs=SERIAL, digital={"shift_adds": "other circuits"})
        assert forward(chip)[2]["digital unit"] == 4 * (370 + 2 * 210) * FJ

    def test_a_vector_that_is_skipped_has_none(self, odd: Odd) -> None:
        scaled = 4 * (370 + 2 * 210) * FJ
        assert forward(odd(array=sliced("offset"), inputs=SERIAL), passes=0)[2]["digital unit"] == scaled


class TestWhatAFileMaySay:
    def test_bits_of_a_cell_that_are_not_given_are_assumed_and_called_so(self, odd: Odd) -> None:
        array = odd(array={"cells_per_weight": 3}).tiles[0].array
        assert array.cell_bits == 2 and array.sources["cell_bits"].startswith("assumption: 2 bits per cell")
        assert odd(array={"cells_per_weight": 3, "cell_bits": 4}).tiles[0].array.sources == {}
        assert odd().tiles[0].array.cell_bits is None

    @pytest.mark.parametrize(
        ("blocks", "sentence"),
        [
            ({"array": {"cell_bits": 2}}, r"tiles.0.array.cell_bits: got 2, but cells_per_weight is 1"),
            ({"array": {"encoding": "flipped"}}, r"encoding: got 'flipped', but cells_per_weight is 1"),
            (
                {"array": {"encoding": "biased"}},
                r"tiles.0.array.encoding: got 'biased'.*'signed', 'offset' or 'flipped'",
            ),
            ({"array": {"cells_per_weight": 9, "cell_bits": 4}}, r"got 9 cells of 4 bits, but a weight has at most 32"),
            (
                {"array": {"rows": 2, "cells_per_weight": 3}},
                r"cells_per_weight: got 3, but the cells of a weight lie on rows of their own, and rows is 2",
            ),
            ({"adc": {"slice_bound": 5}}, r"tiles.0.adc.slice_bound: got 5, but array.cells_per_weight is 1"),
            ({"digital": {"shift_adds": "nobody"}}, r"shift_adds: got 'nobody'.*'digital unit' or 'other circuits'"),
        ],
    )
    def test_what_means_nothing_is_refused(self, odd: Odd, blocks: dict[str, Any], sentence: str) -> None:
        with pytest.raises(InputError, match=sentence):
            odd(**blocks)

    def test_a_full_scale_is_needed_only_where_whole_weights_are_read(self, odd: Odd) -> None:
        assert odd(array=sliced("signed"), adc={"bound": None}).tiles[0].adc.bound is None
        with pytest.raises(InputError, match=r"tiles.0.adc.bound is missing"):
            odd(adc={"bound": None})


class TestBackwards:
    """Two of four errors are not 0, and 17 columns are read; three slices are driven in turn, or have own columns."""

    def backward(self, chip: Chip) -> tuple[Events, dict[str, int]]:
        plan = make_plan(place(chain(17, 4), chip))
        row = Activity.rows(phase=Phase.BACKWARD, passes=1, active_rows=2)
        events = run(plan, row, "sequential")
        energy = {part: zj for (part, phase, _), zj in Pricer(plan)(events, row).energy.items() if phase == "backward"}
        return events, energy

    @pytest.mark.parametrize(("columns", "turns"), [("shared", 3), ("own", 1)])
    def test_slices_are_driven_in_turn_unless_they_have_columns_of_their_own(
        self, odd: Odd, columns: str, turns: int
    ) -> None:
        """45 ns to drive, longer than five conversions of 5 ns; every slice of every column is converted."""
        events, energy = self.backward(odd(array=sliced("signed", slice_columns=columns)))
        assert events.duration[events.op == Op.DRIVE].tolist() == [turns * 45_000] * 2
        assert events.duration[events.op == Op.CONVERT].tolist() == [(turns - 1) * 45_000 + 25_000]
        assert energy["ADC"] == 3 * 17 * 900 * FJ and energy["sample-and-hold"] == 3 * 17 * 2 * FJ
        assert energy["array"] == 3 * 2 * (17 * READ + 22 * READ_LINE)
        assert energy["input drivers"] == 3 * 2 * 37 * FJ

    def test_bits_of_slices_in_turn_follow_each_other(self, odd: Odd) -> None:
        events, energy = self.backward(odd(array=sliced("signed"), inputs=SERIAL))
        assert events.duration[events.op == Op.DRIVE].tolist() == [3 * 5 * 31_000] * 2
        assert energy["ADC"] == 5 * 3 * 17 * 900 * FJ

    def test_columns_of_their_own_take_converters_and_sample_and_holds_of_their_own(self, odd: Odd) -> None:
        """Two arrays of 13 rows and 22 columns, five lines for a converter: 3 + 5, or 3 + 14 for 66 lines."""
        shared, own = (
            bill_of_parts(odd(array=sliced("signed", slice_columns=columns))).tiles[0] for columns in ("shared", "own")
        )
        assert (shared["ADC"].units, own["ADC"].units) == (2 * (3 + 5), 2 * (3 + 14))
        assert (shared["sample-and-hold"].units, own["sample-and-hold"].units) == (2 * (13 + 22), 2 * (13 + 66))

    def test_they_mean_nothing_where_weights_are_not_cut(self, odd: Odd) -> None:
        with pytest.raises(InputError, match=r"slice_columns: got 'own', but cells_per_weight is 1"):
            odd(array={"slice_columns": "own"})
