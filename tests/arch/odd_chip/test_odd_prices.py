"""What everything costs on a chip on which nothing is equal by accident; zeptojoules worked out from odd.yaml.

A femtojoule is a million zeptojoules, a microwatt a thousand zeptojoules per picosecond.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from generated import EventLog, chain

from rpusim.arch.account.ledger import STANDBY, Ledger
from rpusim.arch.account.pricing import Pricer
from rpusim.arch.chips.bill_of_parts import bill_of_parts
from rpusim.arch.chips.chip import Chip
from rpusim.arch.contract.activity import EMPTY, Activity, Phase
from rpusim.arch.contract.cell_layout import SINGLE, CellLayout
from rpusim.arch.engine.events import Op
from rpusim.arch.mapping.placement import place
from rpusim.arch.network.network import Network
from rpusim.arch.schedule.plan import make_plan
from rpusim.arch.schedule.schedules import run

Odd = Callable[..., Chip]
FJ = 1_000_000
READ, READ_LINE = 2_025_000, 6_300
"""0.3 V over 2 MOhm for 45 ns, and 70 aF at 0.3 V."""
MET, HALF, PULSE_LINE = 2_240_000, 560_000, 11_200
"""0.8 V and 0.4 V over 2 MOhm for 7 ns, and 70 aF at 0.4 V."""
WRITTEN, WRITE_LINE = 19_125_000, 157_500
"""1.5 V over 2 MOhm for 17 ns, and 70 aF at 1.5 V."""
SUPPORT = 3_000
"""3 uW."""
FORWARD = {"phase": Phase.FORWARD, "passes": 3, "active_columns": 15}
BACKWARD = {"phase": Phase.BACKWARD, "passes": 3, "active_rows": 10}
UPDATE = {
    "phase": Phase.UPDATE,
    "slots": 9,
    "coincidences_up": 30,
    "coincidences_down": 50,
    "row_pulses": 40,
    "column_pulses": 90,
}


def priced(
    chip: Chip, *rows: dict[str, Any], network: Network | None = None, cell: CellLayout = SINGLE
) -> dict[tuple[str, str], int]:
    """Energy by part and phase of rows of activity on a layer of 17 inputs and 11 outputs, or another network."""
    plan = make_plan(place(network or chain(17, 11), chip, cell=cell))
    activity = Activity.concatenate(Activity.rows(**row) for row in rows)
    found: dict[tuple[str, str], int] = {}
    for (part, phase, _), energy in Pricer(plan)(run(plan, activity, "sequential"), activity).energy.items():
        found[part, phase] = found.get((part, phase), 0) + energy
    return found


LOSS = 11 * (210 + 370) + 1_300 + 210
"""fJ of the loss of eleven outputs: a difference and a factor for each; a logarithm and a sum."""


class TestMultiplication:
    """Three passes, so every figure is of three; 15 of 17 columns, or 10 of 11 rows, are driven."""

    def test_forward_reads_rows_and_charges_columns_which_cross_all_rows(self, odd: Odd) -> None:
        energy = priced(odd(), FORWARD)
        assert energy["array", "forward"] == 3 * 15 * (11 * READ + 13 * READ_LINE)
        assert energy["input drivers", "forward"] == 3 * 15 * 37 * FJ
        assert energy["sample-and-hold", "forward"] == 3 * 11 * 2 * FJ
        assert energy["ADC", "forward"] == 3 * 11 * 900 * FJ
        assert energy["multiplexer", "forward"] == 3 * 11 * 3 * FJ
        each = 370 + 2 * 210  # a multiplication and two additions, once for all passes
        assert energy["digital unit", "forward"] == 11 * each * FJ

    def test_backward_reads_columns_and_charges_rows_which_cross_all_columns(self, odd: Odd) -> None:
        energy = priced(odd(), BACKWARD)
        assert energy["array", "backward"] == 3 * 10 * (17 * READ + 22 * READ_LINE)
        assert energy["input drivers", "backward"] == 3 * 10 * 37 * FJ
        assert energy["sample-and-hold", "backward"] == 3 * 17 * 2 * FJ
        assert energy["ADC", "backward"] == 3 * 17 * 900 * FJ
        assert energy["multiplexer", "backward"] == 3 * 17 * 3 * FJ
        assert energy["digital unit", "backward"] == (17 * (370 + 2 * 210) + LOSS) * FJ

    def test_inputs_are_read_from_the_buffer_in_words_of_eleven_bits_as_they_were_written(self, odd: Odd) -> None:
        """Eleven errors, and before that the eleven outputs of the loss."""
        assert priced(odd(), BACKWARD)["buffer", "backward"] == 2 * 11 * 11 * 41 * FJ

    def test_bits_one_after_the_other_are_each_driven_held_and_converted(self, odd: Odd) -> None:
        """For 31 ns each, the integration: 1.395 fJ a cell."""
        energy = priced(odd(inputs={"kind": "bit-serial"}), FORWARD)
        assert energy["array", "forward"] == 5 * 3 * 15 * (11 * 1_395_000 + 13 * READ_LINE)
        assert energy["input drivers", "forward"] == 5 * 3 * 15 * 37 * FJ
        assert energy["sample-and-hold", "forward"] == 5 * 3 * 11 * 2 * FJ
        assert energy["ADC", "forward"] == 5 * 3 * 11 * 900 * FJ
        assert energy["multiplexer", "forward"] == 5 * 3 * 11 * 3 * FJ
        # a multiplication, two additions; in each of three passes four additions for an output of five bits
        assert energy["digital unit", "forward"] == 11 * (370 + 2 * 210 + 3 * 4 * 210) * FJ
        assert energy["reference", "forward"] == 5 * 3 * 31_000 * 5 * SUPPORT // 2

    def test_bits_that_are_not_set_drive_nothing(self, odd: Odd) -> None:
        """Of 225 bits of 15 inputs in three passes 40 are set; of 150 of 10 errors, 33. All of them are converted."""
        serial = odd(inputs={"kind": "bit-serial"})
        energy = priced(serial, {**FORWARD, "set_bits": 40}, {**BACKWARD, "set_bits": 33})
        assert energy["array", "forward"] == 40 * (11 * 1_395_000 + 13 * READ_LINE)
        assert energy["array", "backward"] == 33 * (17 * 1_395_000 + 22 * READ_LINE)
        assert energy["input drivers", "forward"] == 40 * 37 * FJ
        assert energy["input drivers", "backward"] == 33 * 37 * FJ
        assert energy["ADC", "forward"] == 5 * 3 * 11 * 900 * FJ
        sliced = odd(inputs={"kind": "bit-serial"}, array={"cells_per_weight": 3})
        energy = priced(sliced, {**BACKWARD, "active_rows": 2, "set_bits": 4}, network=chain(17, 4))
        assert energy["input drivers", "backward"] == 3 * 4 * 37 * FJ

    def test_sliced_weights_are_read_from_all_their_rows_of_cells(self, odd: Odd) -> None:
        sliced = odd(array={"cells_per_weight": 3})
        energy = priced(sliced, FORWARD, network=chain(17, 4))
        assert energy["array", "forward"] == 3 * 15 * (12 * READ + 13 * READ_LINE)
        assert energy["ADC", "forward"] == 3 * 12 * 900 * FJ
        assert energy["sample-and-hold", "forward"] == 3 * 12 * 2 * FJ
        energy = priced(sliced, {**BACKWARD, "active_rows": 2}, network=chain(17, 4))
        assert energy["array", "backward"] == 3 * 6 * (17 * READ + 22 * READ_LINE)
        assert energy["input drivers", "backward"] == 3 * 6 * 37 * FJ
        assert energy["ADC", "backward"] == 3 * 3 * 17 * 900 * FJ  # the rows of each slice for themselves
        assert energy["sample-and-hold", "backward"] == 3 * 3 * 17 * 2 * FJ
        assert energy["reference", "backward"] == 3 * 3 * 45_000 * 5 * SUPPORT // 2


class TestUpdate:
    def test_pulses_charge_the_cells_they_cross_and_half_select_those_with_weights(self, odd: Odd) -> None:
        half_selected = 40 * 17 + 90 * 11 - 2 * 80
        charged = 40 * 22 + 90 * 13
        energy = priced(odd(), UPDATE)
        assert energy["array", "update"] == 80 * MET + half_selected * HALF + charged * PULSE_LINE

    def test_generators_work_in_every_slot_of_every_line_and_drivers_for_every_pulse(self, odd: Odd) -> None:
        assert priced(odd(), UPDATE)["pulse drivers", "update"] == 9 * (11 + 17) * 9 * FJ + (40 + 90) * 11 * FJ

    def test_registers_of_both_sides_are_loaded_with_a_word_a_line(self, odd: Odd) -> None:
        assert priced(odd(), UPDATE)["buffer", "update"] == (11 + 17) * 11 * 41 * FJ

    def test_row_by_row_columns_work_again_for_every_row(self, odd: Odd) -> None:
        energy = priced(odd(pulses={"access": "row-by-row"}), UPDATE)
        half_selected = 40 * 17 + 90 * 11 - 2 * 80
        charged = 40 * 22 + 11 * 90 * 13
        assert energy["array", "update"] == 80 * MET + half_selected * HALF + charged * PULSE_LINE
        rows, columns = 9 * 11 * 9 * FJ + 40 * 11 * FJ, 9 * 17 * 9 * FJ + 90 * 11 * FJ
        assert energy["pulse drivers", "update"] == rows + 11 * columns

    def test_pulses_of_a_sliced_weight_are_counted_in_all_its_cells(self, odd: Odd) -> None:
        """Forty pulses on twelve rows of cells, and eighty coincidences there; all cells of a column are crossed."""
        energy = priced(odd(array={"cells_per_weight": 3}), UPDATE, network=chain(17, 4))
        half_selected = 40 * 17 + 90 * 12 - 2 * 80
        charged = 40 * 22 + 90 * 13
        assert energy["array", "update"] == 80 * MET + half_selected * HALF + charged * PULSE_LINE
        assert energy["pulse drivers", "update"] == 9 * (12 + 17) * 9 * FJ + (40 + 90) * 11 * FJ


class TestTransfer:
    """One slice of the first of two arrays read in two passes, and the second one pulsed."""

    DUE = {**UPDATE, "phase": Phase.TRANSFER, "passes": 2, "row_pulses": 7, "column_pulses": 5}

    @pytest.mark.parametrize(
        ("slices", "driven", "read", "crossed"), [("column", 1, 11, 13), ("row", 1, 17, 22), ("all", 17, 11, 13)]
    )
    def test_a_read_drives_the_lines_of_the_slice_and_converts_the_others(
        self, odd: Odd, slices: Any, driven: int, read: int, crossed: int
    ) -> None:
        cell = CellLayout("transfer", 2, visible=(1,), targets=((1,), ()), slices=slices)
        energy = priced(odd(), UPDATE, self.DUE, cell=cell)
        pulses = 80 * MET + (7 * 17 + 5 * 11 - 160) * HALF + (7 * 22 + 5 * 13) * PULSE_LINE
        assert energy["array", "transfer"] == 2 * driven * (read * READ + crossed * READ_LINE) + pulses
        assert energy["input drivers", "transfer"] == 2 * driven * 37 * FJ
        assert energy["ADC", "transfer"] == 2 * read * 900 * FJ
        assert energy["sample-and-hold", "transfer"] == 2 * read * 2 * FJ
        assert energy["pulse drivers", "transfer"] == 9 * 28 * 9 * FJ + 12 * 11 * FJ

    def test_row_by_row_a_row_is_written_in_one_turn(self, odd: Odd) -> None:
        cell = CellLayout("transfer", 2, visible=(1,), targets=((1,), ()), slices="row")
        energy = priced(odd(pulses={"access": "row-by-row"}), UPDATE, {**self.DUE, "coincidences_down": 0}, cell=cell)
        pulses = 30 * MET + (7 * 17 + 5 * 1 - 60) * HALF + (7 * 22 + 5 * 13) * PULSE_LINE
        assert energy["array", "transfer"] == 2 * (17 * READ + 22 * READ_LINE) + pulses
        assert energy["pulse drivers", "transfer"] == 9 * (1 + 17) * 9 * FJ + 12 * 11 * FJ

    def test_arrays_that_learn_together_share_their_coincidences(self, odd: Odd) -> None:
        cell = CellLayout("pair", 2, visible=(0, 1), learning=(0, 1), targets=((0,), (1,)))
        half_selected = 2 * (40 * 17 + 90 * 11) - 2 * 80
        charged = 2 * (40 * 22 + 90 * 13)
        energy = priced(odd(), UPDATE, cell=cell)
        assert energy["array", "update"] == 80 * MET + half_selected * HALF + charged * PULSE_LINE


class TestWriting:
    ROW = {"phase": Phase.MAINTENANCE, "vector": -1, "writes": 57, "active_rows": 5}

    def test_row_pulses_cross_columns_and_cell_pulses_cross_rows(self, odd: Odd) -> None:
        """57 cells take 142.5 pulses, so 142; five rows are pulsed 12.5 times, so 13."""
        energy = priced(odd(), self.ROW, FORWARD)
        assert energy["array", "maintenance"] == 142 * WRITTEN + (13 * 22 + 142 * 13) * WRITE_LINE
        assert energy["pulse drivers", "maintenance"] == (13 + 142) * 11 * FJ

    def test_every_cell_of_a_sliced_weight_is_written(self, odd: Odd) -> None:
        energy = priced(odd(array={"cells_per_weight": 3}), self.ROW, FORWARD, network=chain(17, 4))
        cells, rows = 428, 38  # of 57 x 3 x 2.5 = 427.5, to the even number, and 5 x 3 x 2.5 = 37.5
        assert energy["array", "maintenance"] == cells * WRITTEN + (rows * 22 + cells * 13) * WRITE_LINE

    def test_to_verify_costs_what_reads_cost(self, odd: Odd) -> None:
        """Six reads of one column each."""
        energy = priced(odd(), {**self.ROW, "writes": 0, "active_columns": 6, "passes": 6}, FORWARD)
        assert energy["ADC", "maintenance"] == 6 * 11 * 900 * FJ
        assert energy["input drivers", "maintenance"] == 6 * 37 * FJ
        assert energy["array", "maintenance"] == 6 * (11 * READ + 13 * READ_LINE)

    def test_a_pulse_of_given_current_takes_voltage_times_current(self, odd: Odd) -> None:
        part = bill_of_parts(odd(programming={"current": "300 uA"})).tiles[0]["array"]
        assert part.actions["write"].energy_zj == 7_650 * 1_000_000  # 1.5 V x 300 uA x 17 ns = 7.65 pJ
        assert part.actions["write"].latency_ps == 17_000

    def test_a_tile_without_update_pulses_has_drivers_to_write(self, odd: Odd) -> None:
        drivers = bill_of_parts(odd(pulses=None, programming={"card": "pulser"})).tiles[0]["pulse drivers"]
        assert drivers.units == drivers.busy_units == 2 * (13 + 22)
        assert {name: (a.latency_ps, a.energy_zj) for name, a in drivers.actions.items()} == {
            "write": (17_000, 11 * FJ)
        }


class TestMemoriesAndLinks:
    def test_a_sample_from_dram_is_read_sent_and_written(self, odd: Odd) -> None:
        energy = priced(odd(), FORWARD)
        assert energy["DRAM", "forward"] == 17 * 11 * 5_000 * FJ
        assert energy["links", "forward"] == 17 * 11 * 61 * FJ
        assert energy["buffer", "forward"] == 17 * 11 * 53 * FJ + 17 * 11 * 41 * FJ

    def test_a_bit_of_the_host_link_is_the_power_of_both_over_the_bandwidth(self, odd: Odd) -> None:
        """400 mW / 3 Gb/s."""
        assert priced(odd(memory=None), FORWARD)["host link", "forward"] == 17 * 11 * 133_333_333_333

    def test_results_cost_a_bit_on_every_hop(self, odd: Odd) -> None:
        """The second layer lies 18 arrays on: into the first router, along the row, along the column, by two wires."""
        cell = CellLayout("many", 18, targets=((),) * 18)
        energy = priced(odd(memory=None, host=None), FORWARD, network=chain(17, 11, 5), cell=cell)
        assert energy["links", "forward"] == 11 * 11 * (3 * 61 + 2 * 73) * FJ
        assert energy["buffer", "forward"] == 11 * 11 * 53 * FJ + 17 * 11 * 41 * FJ

    @pytest.mark.parametrize(
        ("op", "unit", "each"),
        [
            (Op.FETCH, "global buffer", 17 * FJ),
            (Op.STORE, "global buffer", 19 * FJ),
            (Op.FETCH, "DRAM", 5_000 * FJ),
            (Op.STORE, "DRAM", 7_000 * FJ),
            (Op.FETCH, "buffer", 41 * FJ),
            (Op.STORE, "buffer", 53 * FJ),
        ],
    )
    def test_reads_and_writes_have_prices_of_their_own(self, odd: Odd, op: Op, unit: str, each: int) -> None:
        plan, log = make_plan(place(chain(17, 11), odd())), EventLog()
        log.append((op, plan.station_parts.index(unit), -1, 0, 0, Phase.FORWARD, 0, 0, 1000, 7))
        assert Pricer(plan)(log.take(), EMPTY).energy[unit, "forward", "layer0"] == 7 * each


class TestSupport:
    """Circuits that are busy with an operation of a tile; two arrays share those of drive, conversion and pulses."""

    def test_they_draw_power_for_as_long_as_the_operation_takes(self, odd: Odd) -> None:
        energy = priced(odd(), FORWARD)
        assert energy["fetcher", "forward"] == 3 * SUPPORT * 14_385  # 17 words of eleven bits at 13 Gb/s
        assert energy["reference", "forward"] == 5 * SUPPORT // 2 * 3 * 45_000
        assert energy["shifter", "forward"] == 7 * SUPPORT // 2 * (25_000 + 2 * 70_000)
        assert energy["sequencer", "forward"] == 11 * SUPPORT * 25_883
        assert energy["packer", "forward"] == 13 * SUPPORT * 26_715
        assert priced(odd(), UPDATE)["pump", "update"] == 17 * SUPPORT // 2 * 9 * 27_000

    def test_none_is_busy_with_what_it_is_not_for(self, odd: Odd) -> None:
        energy = priced(odd(), FORWARD, BACKWARD, UPDATE)
        drawn = {part: {phase for name, phase in energy if name == part} - {STANDBY} for part, _ in energy}
        assert drawn["pump"] == {"update"}
        assert drawn["reference"] == drawn["shifter"] == drawn["sequencer"] == {"forward", "backward"}
        assert drawn["fetcher"] == {"forward", "backward", "update"}
        assert drawn["oscillator"] == drawn["clock tree"] == set()


class TestStandby:
    """Leakage, and what is always on, in zJ/ps (nW), of a chip of which one tile of nineteen is in use."""

    EXPECTED = {
        "array": 17,  # 572 cells of 30 pW
        "input drivers": 70 * 5,
        "sample-and-hold": 70 * 1,
        "multiplexer": 70 * 2,
        "pulse drivers": 70 * 4,
        "ADC": 16 * 7_000,  # three for 13 rows, five for 22 columns, of both arrays
        "digital unit": 3 * 8_000,
        "buffer": 3 * 6_000,
        "fetcher": 3 * 13,
        "reference": 5 * 13,
        "shifter": 7 * 13,
        "sequencer": 11 * 13,
        "packer": 13 * 13,
        "pump": 17 * 13,
        "oscillator": 19 * (3_000 + 13),
        "links": 2 * 9_000,
        "global buffer": 5 * 12_000,
        "DRAM": 3 * 15_000_000,
        "host link": 2 * 21_000,
        "clock tree": 3 * (3_000 + 13),
    }

    WAITING = {
        "input drivers": round(70 * 0.2 * 37e6 / 45_000),  # 37 fJ in 45 ns, in nW
        "sample-and-hold": round(70 * 0.2 * 2e6 / 45_000),
        "multiplexer": round(70 * 0.2 * 3e6 / 5_000),
        "pulse drivers": round(70 * 0.2 * 11e6 / 7_000),
        "ADC": round(16 * 0.2 * 900e6 / 5_000),
    }
    """What mixed parts draw (nW) while they wait, as their cards do not say: a fifth of the power at work."""

    def test_mixed_parts_wait_at_a_fifth_of_their_power_at_work(self, odd: Odd) -> None:
        assert Pricer(make_plan(place(chain(17, 11), odd()))).rest.idle == self.WAITING

    def test_of_one_tile(self, odd: Odd) -> None:
        assert Pricer(make_plan(place(chain(17, 11), odd()))).standby == self.EXPECTED

    def test_of_five_arrays_on_three_tiles_with_two_digital_units_on_one_router(self, odd: Odd) -> None:
        standby = Pricer(make_plan(place(chain(110, 11), odd()))).standby
        once = {"links", "global buffer", "DRAM", "host link", "clock tree"}
        copies = dict.fromkeys(self.EXPECTED.keys() - once, 3) | dict.fromkeys(once, 1) | {"digital unit": 2}
        exact = {**self.EXPECTED, "array": 17.16}
        assert standby == {part: round(copies[part] * figure) for part, figure in exact.items()}

    def test_it_is_drawn_from_begin_to_end(self, odd: Odd) -> None:
        plan = make_plan(place(chain(17, 11), odd()))
        activity = Activity.rows(**FORWARD)
        events = run(plan, activity, "sequential")
        ledger = Pricer(plan)(events, activity)
        # words are eleven bits, not five
        assert ledger.time_ps == events.makespan_ps == 291_382 + 25_883 + 14_385 - 6_539
        for part, figure in self.EXPECTED.items():
            assert ledger.energy[part, STANDBY, "chip"] == figure * ledger.time_ps

    def test_the_peak_is_what_is_drawn_at_once_and_standby(self, odd: Odd) -> None:
        """Of a fetch from DRAM of 187 bits in 1 ns, and from 0.4 ns on of one from the buffer of 41 in 1 ns."""
        plan, log = make_plan(place(chain(17, 11), odd())), EventLog()
        for unit, start, bits in (("DRAM", 0, 187), ("buffer", 400, 41)):
            log.append(
                (Op.FETCH, plan.station_parts.index(unit), -1, 0, 0, Phase.FORWARD, 0, start, start + 1000, bits)
            )
        ledger: Ledger = Pricer(plan)(log.take(), EMPTY)
        at_once = 187 * 5_000 * FJ / 1000 + 41 * 41 * FJ / 1000 + 3 * SUPPORT
        waiting = sum(self.WAITING.values())
        assert ledger.peak_w == pytest.approx((at_once + sum(self.EXPECTED.values()) + waiting) * 1e-9, rel=1e-12)
        assert ledger.occupied_ps["DRAM"] == 1000 and ledger.occupied_ps["buffer"] == 1000


class TestBill:
    """Units, area and power of the whole chip: nineteen tiles, ten digital units, seven nodes of two routers."""

    def test_units_of_a_tile(self, odd: Odd) -> None:
        bill = bill_of_parts(odd())
        units = {name: (part.units, part.busy_units) for name, part in bill.tiles[0].items()}
        assert units["array"] == (2 * 13 * 22, 2 * 13 * 22)
        assert units["input drivers"] == units["sample-and-hold"] == (2 * 35, 2 * 22)
        assert units["multiplexer"] == (2 * 35, 2 * 5)
        assert units["pulse drivers"] == (2 * 35, 2 * 35)
        assert units["ADC"] == (2 * (3 + 5), 2 * 5)
        assert units["digital unit"] == units["buffer"] == (3, 3)
        assert units["pump"] == (17, 17)
        once = {name: part.units for name, part in bill.chip_wide.items()}
        assert once == {"links": 7 * 2, "global buffer": 5, "DRAM": 3, "host link": 2, "clock tree": 3}

    def test_converters_that_both_sides_share_are_those_of_the_longer_one(self, odd: Odd) -> None:
        converters = bill_of_parts(odd(adc={"shared_between_sides": True})).tiles[0]["ADC"]
        assert converters.units == converters.busy_units == 2 * 5

    def test_a_pool_has_its_banks_whatever_the_arrays(self, odd: Odd) -> None:
        pool = {"tiles": 4, "banks": 3, "source": "made up"}
        bill = bill_of_parts(odd(adc={"shared_between_sides": True, "pool": pool}))
        assert bill.tiles[0]["ADC"].units == bill.tiles[0]["ADC"].busy_units == 3 * 5
        assert bill.total("leakage_w")["ADC"] == pytest.approx(5 * 15 * 7e-6)  # five pools for nineteen tiles

    def test_a_tile_that_only_infers_drives_columns_and_reads_rows(self, odd: Odd) -> None:
        parts = bill_of_parts(odd(pulses=None, programming=None)).tiles[0]
        units = {name: (part.units, part.busy_units) for name, part in parts.items()}
        assert units["input drivers"] == (2 * 22, 2 * 22)
        assert units["sample-and-hold"] == (2 * 13, 2 * 13)
        assert units["multiplexer"] == (2 * 13, 2 * 3)
        assert units["ADC"] == (2 * 3, 2 * 3)
        assert "pulse drivers" not in units

    def test_area(self, odd: Odd) -> None:
        um2 = 1e-12
        expected = {
            "array": 19 * 572 * 0.5,
            "input drivers": 19 * 70 * 3,
            "sample-and-hold": 19 * 70 * 1.5,
            "multiplexer": 19 * 70 * 0.7,
            "pulse drivers": 19 * 70 * 2,
            "ADC": 19 * 16 * 1300,
            "digital unit": 10 * 3 * 400,
            "buffer": 19 * 3 * 900,
            "links": 14 * 5000,
            "global buffer": 5 * 7000,
            "DRAM": 3e6,
            "host link": 2 * 0.3e6,
            "clock tree": 3 * 11,
            **{
                name: 19 * count * 11
                for name, count in (
                    ("fetcher", 3), ("reference", 5), ("shifter", 7), ("sequencer", 11), ("packer", 13), ("pump", 17),
                    ("oscillator", 19),
                )
            },
        }  # fmt: skip
        bill = bill_of_parts(odd())
        assert bill.total("area_m2") == pytest.approx({part: figure * um2 for part, figure in expected.items()})
        assert bill.area_m2 == pytest.approx(sum(expected.values()) * um2)

    def test_full_power_is_that_of_the_busiest_action_on_all_that_can_be_busy_and_leakage(self, odd: Odd) -> None:
        tile = bill_of_parts(odd()).tiles[0]
        assert tile["ADC"].full_power_w == pytest.approx(10 * 900e-15 / 5e-9 + 16 * 7e-6)
        assert tile["input drivers"].full_power_w == pytest.approx(44 * 37e-15 / 45e-9 + 70 * 5e-9)
        assert tile["pulse drivers"].full_power_w == pytest.approx(70 * 11e-15 / 7e-9 + 70 * 4e-9)
        assert tile["oscillator"].full_power_w == pytest.approx(19 * 3.013e-6)

    @pytest.mark.parametrize(
        ("part", "action", "picoseconds"),
        [
            ("input drivers", "drive", 45_000),
            ("sample-and-hold", "hold", 45_000),
            ("ADC", "convert", 5_000),
            ("multiplexer", "select", 5_000),
            ("pulse drivers", "slot", 7_000),
            ("pulse drivers", "pulse", 7_000),
            ("pulse drivers", "write", 17_000),
            ("digital unit", "add", 1_765),  # a lane of three
            ("digital unit", "multiply", 3_529),
            ("digital unit", "exponential", 12_353),
            ("buffer", "read", 231),  # a bank of three
            ("buffer", "write", 231),
        ],
    )
    def test_how_long_an_action_keeps_one_unit_busy(self, odd: Odd, part: str, action: str, picoseconds: int) -> None:
        assert bill_of_parts(odd()).tiles[0][part].actions[action].latency_ps == picoseconds

    @pytest.mark.parametrize(
        ("part", "action", "picoseconds"),
        [
            ("links", "bit", 57),  # two routers of five ports for 7 Gb/s
            ("global buffer", "read", 455),
            ("global buffer", "write", 455),
            ("DRAM", "read", 158),
            ("DRAM", "write", 158),
            ("host link", "bit", 667),
        ],
    )
    def test_how_long_one_of_those_that_the_chip_has_once(
        self, odd: Odd, part: str, action: str, picoseconds: int
    ) -> None:
        assert bill_of_parts(odd()).chip_wide[part].actions[action].latency_ps == picoseconds


def test_row_by_row_only_a_transfer_by_rows_addresses_a_single_row(odd: Odd) -> None:
    """An update of such a cell pulses as many rows as any other."""
    chip = odd(pulses={"access": "row-by-row"})
    by_rows = CellLayout("buffered-transfer", arrays=2, visible=(0, 1), targets=((1,), (0,)), slices="row", words=1)
    expected = priced(chip, UPDATE)["pulse drivers", "update"]
    assert priced(chip, UPDATE, cell=by_rows)["pulse drivers", "update"] == expected
