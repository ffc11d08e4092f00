"""How long everything takes on a chip on which nothing is equal by accident; picoseconds worked out from odd.yaml."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from generated import chain

from rpusim.arch.chips.chip import Chip
from rpusim.arch.contract.activity import Activity, Phase
from rpusim.arch.contract.cell_layout import SINGLE, CellLayout
from rpusim.arch.engine.events import Events, Op
from rpusim.arch.mapping.placement import place
from rpusim.arch.network.network import Network
from rpusim.arch.schedule.plan import Plan, make_plan
from rpusim.arch.schedule.schedules import run

Odd = Callable[..., Chip]
FORWARD = {"phase": Phase.FORWARD, "passes": 1, "active_columns": 15}
BACKWARD = {"phase": Phase.BACKWARD, "passes": 1, "active_rows": 10}


def timed(
    chip: Chip, *rows: dict[str, Any], network: Network | None = None, cell: CellLayout = SINGLE
) -> tuple[Plan, Events]:
    """Rows of activity on a layer of 17 inputs and 11 outputs, unless another network is given."""
    plan = make_plan(place(network or chain(17, 11), chip, cell=cell))
    return plan, run(plan, Activity.concatenate(Activity.rows(**row) for row in rows), "sequential")


def durations(timed: tuple[Plan, Events], op: Op, unit: str, phase: Phase | None = None) -> list[int]:
    """Of all events of one operation by one kind of unit."""
    plan, events = timed
    own = [plan.station_parts[station] == unit for station in events.station]
    return events.duration[(events.op == op) & own & (True if phase is None else events.phase == phase)].tolist()


class TestMultiplication:
    def test_pwm_holds_the_array_for_2_to_the_bits_minus_1_minus_1_clock_periods(self, odd: Odd) -> None:
        assert durations(timed(odd(), FORWARD), Op.DRIVE, "array") == [(2**4 - 1) * 3_000]

    def test_pwm_that_is_shorter_than_the_integration_holds_the_array_for_that(self, odd: Odd) -> None:
        short = odd(inputs={"bits": 4})
        assert durations(timed(short, FORWARD), Op.DRIVE, "array") == [31_000]

    def test_a_dac_settles_and_then_the_array_integrates(self, odd: Odd) -> None:
        assert durations(timed(odd(inputs={"kind": "parallel-dac"}), FORWARD), Op.DRIVE, "array") == [3_000 + 31_000]

    def test_converters_take_their_lines_in_turn(self, odd: Odd) -> None:
        """Five lines at 5 ns each, though the last of the converters have fewer."""
        assert durations(timed(odd(), FORWARD), Op.CONVERT, "ADC") == [5 * 5_000]

    def test_no_more_turns_than_lines(self, odd: Odd) -> None:
        assert durations(timed(odd(), FORWARD, network=chain(17, 3)), Op.CONVERT, "ADC") == [3 * 5_000]
        assert durations(timed(odd(), BACKWARD, network=chain(3, 11)), Op.CONVERT, "ADC") == [3 * 5_000]

    @pytest.mark.parametrize(("row", "unit"), [(FORWARD, "column drivers"), (BACKWARD, "row drivers")])
    def test_a_retry_repeats_drive_and_conversion(self, odd: Odd, row: dict[str, Any], unit: str) -> None:
        found = timed(odd(), {**row, "passes": 3})
        assert durations(found, Op.DRIVE, "array") == durations(found, Op.DRIVE, unit) == [45_000 + 2 * 70_000]
        assert durations(found, Op.CONVERT, "ADC") == [25_000 + 2 * 70_000]

    def test_without_sample_and_hold_the_array_waits_for_the_converters(self, odd: Odd) -> None:
        found = timed(odd(sample_and_hold=None), {**FORWARD, "passes": 2})
        assert durations(found, Op.DRIVE, "array") == [2 * (45_000 + 25_000)]

    def test_bits_one_after_the_other_are_converted_while_the_next_is_driven(self, odd: Odd) -> None:
        """Five bits; each takes the integration, which is longer than a clock period and than five conversions."""
        found = timed(odd(inputs={"kind": "bit-serial"}), FORWARD)
        assert durations(found, Op.DRIVE, "array") == [5 * 31_000]
        assert durations(found, Op.CONVERT, "ADC") == [4 * 31_000 + 25_000]

    def test_bits_wait_for_conversions_that_take_longer(self, odd: Odd) -> None:
        found = timed(odd(inputs={"kind": "bit-serial"}, adc={"lines_per_adc": 9}), FORWARD)
        assert durations(found, Op.DRIVE, "array") == [31_000 + 4 * 45_000]
        assert durations(found, Op.CONVERT, "ADC") == [5 * 45_000]

    def test_without_sample_and_hold_bits_and_conversions_take_turns(self, odd: Odd) -> None:
        found = timed(odd(inputs={"kind": "bit-serial"}, sample_and_hold=None), FORWARD)
        assert durations(found, Op.DRIVE, "array") == [5 * (31_000 + 25_000)]

    def test_inputs_are_fetched_as_words_at_the_bandwidth_of_the_buffer(self, odd: Odd) -> None:
        """17 columns or 11 rows, a word of eleven bits each, at 13 Gb/s, up to the next picosecond."""
        assert durations(timed(odd(), FORWARD), Op.FETCH, "buffer") == [14_385]
        assert durations(timed(odd(), BACKWARD), Op.FETCH, "buffer") == [9_308, 9_308]  # first 11 words of the loss

    def test_every_output_takes_a_multiplication_of_two_cycles_and_two_additions_on_all_lanes(self, odd: Odd) -> None:
        assert durations(timed(odd(), FORWARD), Op.DIGITAL, "digital unit") == [25_883]  # 44 at 1.7 per ns
        assert durations(timed(odd(), BACKWARD), Op.DIGITAL, "digital unit") == [24_118, 40_000]  # the loss; 68

    def test_the_loss_is_a_difference_a_factor_and_a_logarithm(self, odd: Odd) -> None:
        """Eleven outputs of an addition and a multiplication, three cycles; a logarithm, seven, a sum: 41 at 1.7."""
        _, events = timed(odd(), BACKWARD)
        loss = events.start == 9_308
        assert events.op[loss].tolist() == [Op.DIGITAL] and events.duration[loss].tolist() == [24_118]
        assert events.phase[loss].tolist() == [Phase.BACKWARD] and events.amount[loss].tolist() == [11 * 2 + 2]

    def test_sides_have_converters_of_their_own_unless_shared(self, odd: Odd) -> None:
        for shared, names in ((False, {"row ADCs", "column ADCs"}), (True, {"ADCs"})):
            plan, events = timed(odd(adc={"shared_between_sides": shared}), FORWARD, BACKWARD)
            used = {plan.stations[station] for station in events.station[events.op == Op.CONVERT]}
            assert used == {f"tile 0 array 0 {name}" for name in names}

    @pytest.mark.parametrize(("row", "side"), [(FORWARD, "column"), (BACKWARD, "row")])
    def test_forward_drives_columns_and_backward_rows(self, odd: Odd, row: dict[str, Any], side: str) -> None:
        plan, events = timed(odd(), row)
        driven = {plan.station_parts[station] for station in events.station[events.op == Op.DRIVE]}
        assert driven == {"array", f"{side} drivers"}


class TestUpdate:
    ROW = {"phase": Phase.UPDATE, "slots": 9}

    def test_a_slot_is_a_pulse_and_a_gap_for_each_polarity(self, odd: Odd) -> None:
        found = timed(odd(), self.ROW)
        for unit in ("array", "row drivers", "column drivers"):
            assert durations(found, Op.PULSE, unit) == [9 * 3 * (7_000 + 2_000)]

    def test_both_sides_registers_are_loaded_first(self, odd: Odd) -> None:
        found = timed(odd(), self.ROW)
        assert durations(found, Op.FETCH, "buffer", Phase.UPDATE) == [23_693]  # 28 words of eleven bits at 13 Gb/s

    def test_row_by_row_the_slots_pass_for_every_row_of_cells_that_learns(self, odd: Odd) -> None:
        one_by_one = odd(pulses={"access": "row-by-row"})
        assert durations(timed(one_by_one, self.ROW), Op.PULSE, "array") == [11 * 9 * 27_000]
        sliced = odd(pulses={"access": "row-by-row"}, array={"cells_per_weight": 3})
        found = timed(sliced, self.ROW, network=chain(17, 4))
        assert durations(found, Op.PULSE, "array") == [4 * 3 * 9 * 27_000]

    def test_an_update_without_slots_pulses_nothing_and_loads_nothing(self, odd: Odd) -> None:
        found = timed(odd(), {**self.ROW, "slots": 0}, {**self.ROW, "step": 1})
        assert sorted(durations(found, Op.PULSE, "array"))[-1:] == [243_000]
        assert sum(durations(found, Op.FETCH, "buffer", Phase.UPDATE)) == 23_693

    def test_digital_work_of_the_algorithm_is_done_before(self, odd: Odd) -> None:
        plan, events = timed(odd(), {**self.ROW, "adds": 60, "multiplies": 20})
        assert durations((plan, events), Op.DIGITAL, "digital unit", Phase.UPDATE) == [58_824]
        before = 9_308 + 24_118  # the loss
        assert events.start[events.op == Op.PULSE].min() == before + 58_824 + 23_693


class TestTransfer:
    """Two arrays, of which the second is read and written with what the first has collected."""

    UPDATE = {"phase": Phase.UPDATE, "slots": 2}

    @pytest.mark.parametrize(
        ("slices", "rounds", "drivers"), [("column", 5, "column drivers"), ("row", 5, "row drivers")]
    )
    def test_a_slice_is_read_like_a_vector_and_then_written(
        self, odd: Odd, slices: Any, rounds: int, drivers: str
    ) -> None:
        cell = CellLayout("transfer", 2, visible=(1,), targets=((1,), ()), slices=slices)
        due = {"phase": Phase.TRANSFER, "passes": 2, "slots": 4}
        found = timed(odd(), self.UPDATE, due, cell=cell)
        assert durations(found, Op.DRIVE, drivers, Phase.TRANSFER) == [45_000 + 70_000]
        assert durations(found, Op.CONVERT, "ADC", Phase.TRANSFER) == [rounds * 5_000 + 70_000]
        assert durations(found, Op.PULSE, "array", Phase.TRANSFER) == [4 * 27_000]

    def test_row_by_row_a_row_is_one_turn_and_a_column_one_for_every_row(self, odd: Odd) -> None:
        for slices, turns in (("column", 11), ("row", 1)):
            cell = CellLayout("transfer", 2, visible=(1,), targets=((1,), ()), slices=slices)  # type: ignore[arg-type]
            due = {"phase": Phase.TRANSFER, "passes": 1, "slots": 4}
            found = timed(odd(pulses={"access": "row-by-row"}), self.UPDATE, due, cell=cell)
            assert durations(found, Op.PULSE, "array", Phase.TRANSFER) == [turns * 4 * 27_000]


class TestWriting:
    ROW = {"phase": Phase.MAINTENANCE, "vector": -1, "writes": 55, "active_rows": 5}

    def test_rows_are_written_one_after_the_other_each_by_its_pulses(self, odd: Odd) -> None:
        """Five rows, 2.5 pulses each: 13 pulses of 17 ns."""
        found = timed(odd(), self.ROW, FORWARD)
        for unit in ("array", "row drivers", "column drivers"):
            assert durations(found, Op.WRITE, unit) == [13 * 17_000]

    def test_a_row_of_sliced_weights_is_as_many_rows_of_cells(self, odd: Odd) -> None:
        found = timed(odd(array={"cells_per_weight": 3}), self.ROW, FORWARD, network=chain(17, 4))
        assert durations(found, Op.WRITE, "array") == [38 * 17_000]

    def test_to_verify_the_array_is_read_like_any_vector(self, odd: Odd) -> None:
        found = timed(odd(), {**self.ROW, "passes": 6}, FORWARD)
        assert durations(found, Op.DRIVE, "array", Phase.MAINTENANCE) == [45_000 + 5 * 70_000]
        assert durations(found, Op.CONVERT, "ADC", Phase.MAINTENANCE) == [25_000 + 5 * 70_000]


class TestMemoriesAndLinks:
    def test_a_sample_comes_from_dram_over_the_mesh_into_the_buffer(self, odd: Odd) -> None:
        """17 words of 11 bits: 187 bits at 19 Gb/s and 23 ns; 187 bits at 7 Gb/s and 0.9 ns; 187 bits at 13 Gb/s."""
        plan, events = timed(odd(), FORWARD)
        assert durations((plan, events), Op.FETCH, "DRAM") == [9_843]
        assert durations((plan, events), Op.SEND, "port") == [26_715]
        assert durations((plan, events), Op.STORE, "buffer") == [14_385]
        sent, stored = (int(events.start[events.op == op].min()) for op in (Op.SEND, Op.STORE))
        assert (sent, stored) == (9_843 + 23_000, 9_843 + 23_000 + 26_715 + 900)

    def test_without_dram_it_comes_over_the_host_link(self, odd: Odd) -> None:
        plan, events = timed(odd(memory=None), FORWARD)
        assert durations((plan, events), Op.HOST, "host link") == [62_334]
        assert events.start[events.op == Op.SEND].min() == 62_334 + 29_000

    def test_without_either_it_is_taken_to_be_there(self, odd: Odd) -> None:
        _, events = timed(odd(memory=None, host=None), FORWARD)
        assert events.op[0] == Op.FETCH and events.start[0] == 0

    def test_the_global_buffer_takes_its_bandwidth(self, odd: Odd) -> None:
        buffer = odd().global_buffer
        assert buffer is not None and buffer.transfer_ps(100) == 9_091  # at 11 Gb/s

    @pytest.mark.parametrize(
        ("arrays", "way"),
        [
            (1, []),
            (2, ["port of tile 0"]),
            (6, ["port of tile 0", "link (0,0)-(0,1)"]),
            (12, ["port of tile 0", "link (0,0)-(1,0)"]),
            (18, ["port of tile 0", "link (0,0)-(0,1)", "link (0,1)-(1,1)"]),
        ],
    )
    def test_results_go_along_the_row_and_then_the_column_of_routers(
        self, odd: Odd, arrays: int, way: list[str]
    ) -> None:
        """Two arrays to a tile, three tiles to a router, two routers to a row; the second layer lies so far on."""
        cell = CellLayout("many", arrays, targets=((),) * arrays)
        plan, events = timed(odd(memory=None, host=None), FORWARD, network=chain(17, 11, 5), cell=cell)
        sent = events.op == Op.SEND
        assert [plan.stations[station] for station in events.station[sent]] == way
        assert events.duration[sent].tolist() == [17_286] * len(way)  # 11 words of 11 bits at 7 Gb/s
        between = events.start[sent][1:] - events.end[sent][:-1]
        assert between.tolist() == [900] * len(way[1:])
        assert events.amount[sent].tolist() == [121] * len(way)
        assert durations((plan, events), Op.STORE, "buffer") == [9_308]  # at 13 Gb/s

    def test_partial_sums_are_added_at_their_home(self, odd: Odd) -> None:
        """30 inputs are two blocks of 15 columns, on the two arrays of a tile; 11 outputs of four cycles each."""
        rows = [{**FORWARD, "tile": tile} for tile in (0, 1)]
        found = timed(odd(), *rows, network=chain(30, 11))
        assert sorted(durations(found, Op.DIGITAL, "digital unit")) == [6_471, 25_883, 25_883]


class TestSharing:
    def test_two_tiles_have_one_digital_unit(self, odd: Odd) -> None:
        """A row of 110 inputs takes five arrays: tiles 0, 0, 1, 1 and 2."""
        plan, events = timed(odd(), *({**FORWARD, "tile": tile} for tile in range(5)), network=chain(110, 11))
        units = [plan.stations[plan.layers[0].blocks[tile].digital] for tile in range(5)]
        assert [name.split()[-1] for name in units] == ["0", "0", "0", "0", "1"]
        assert len(events)
