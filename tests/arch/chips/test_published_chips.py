"""Chips that ship, against the figures that their papers print. ISAAC's roll-up is in test_chip."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from generated import EventLog

from rpusim.arch.account.ledger import Ledger
from rpusim.arch.account.pricing import Pricer
from rpusim.arch.chips.bill_of_parts import BillOfParts, bill_of_parts
from rpusim.arch.chips.chip import Chip
from rpusim.arch.contract.activity import Activity, Phase
from rpusim.arch.engine.events import Events, Op
from rpusim.arch.mapping.assumed_activity import assumed_activity
from rpusim.arch.mapping.placement import place
from rpusim.arch.network.network import Network, connect
from rpusim.arch.network.operations import Operation, WeightLayer, Window
from rpusim.arch.schedule.plan import make_plan
from rpusim.arch.schedule.schedules import run


def one_layer(inputs: int, outputs: int) -> Network:
    return connect("one", (inputs,), [(WeightLayer.linear("fc", (inputs,), outputs, bias=False), ("input",))])


def inferred(chip: Chip, network: Network, samples: int) -> tuple[Events, Ledger]:
    plan = make_plan(place(network, chip))
    activity = assumed_activity(plan.placement, samples, training=False)
    events = run(plan, activity, "layer-pipelined")
    return events, Pricer(plan)(events, activity)


def array_events(events: Events, op: Op) -> Any:
    """Of those events that say how much was done (the drivers' say 0)."""
    return np.flatnonzero((events.op == op) & (events.amount > 0))


class TestHERMES:
    """Khaddam-Aljameh et al. 2022: 1.008 TOPS in 130 ns, 10.5 TOPS/W, 1.59 TOPS/mm2, 12.5 nJ per multiplication.

    The split among the parts is ours (see the cards); the sums are the paper's.
    """

    OPERATIONS = 2 * 256 * 256

    @pytest.fixture(scope="class")
    @classmethod
    def chip(cls) -> Chip:
        return Chip.load("hermes-2021")

    @pytest.fixture(scope="class")
    @classmethod
    def run_of_200(cls, chip: Chip) -> tuple[Events, Ledger]:
        return inferred(chip, one_layer(256, 256), 200)

    def test_a_multiplication_takes_130_ns_and_the_next_follows_at_once(self, run_of_200: Any) -> None:
        events, _ = run_of_200
        driven = array_events(events, Op.DRIVE)
        assert set(np.diff(np.sort(events.start[driven]))) == {130_000}
        assert pytest.approx(1.008e12, rel=0.001) == self.OPERATIONS / 130e-9

    def test_energy_per_multiplication_and_efficiency(self, run_of_200: Any) -> None:
        joules = run_of_200[1].total_zj * 1e-21 / 200
        assert joules == pytest.approx(12.5e-9, rel=0.01)
        assert self.OPERATIONS / joules == pytest.approx(10.5e12, rel=0.01)

    def test_average_power_is_the_printed_throughput_over_the_printed_efficiency(self, run_of_200: Any) -> None:
        ledger = run_of_200[1]
        assert ledger.total_zj * 1e-9 / ledger.time_ps == pytest.approx(96e-3, rel=0.02)
        assert ledger.peak_w < 0.12

    def test_density_of_the_core(self, chip: Chip) -> None:
        area = sum(part.area_m2 for part in bill_of_parts(chip).tiles[0].values())
        assert area == pytest.approx(0.634e-6, rel=0.01)
        assert self.OPERATIONS / 130e-9 / area * 1e-6 == pytest.approx(1.59e12, rel=0.01)

    def test_256_converters_of_8_bits_that_count_300_ps_per_step_within_the_integration(self, chip: Chip) -> None:
        assert bill_of_parts(chip).tiles[0]["ADC"].units == 256
        assert chip.tiles[0].array.integration > 2**8 * 300e-12


class TestHERMESProjectChip:
    """Le Gallo et al. 2023, 64 of these cores: 63.1 TOPS at 9.76 TOPS/W, one-phase read."""

    OPERATIONS = 2 * 256 * 256

    @pytest.fixture(scope="class")
    @classmethod
    def run_of_200(cls) -> tuple[Events, Ledger]:
        return inferred(Chip.load("hermes-2023"), one_layer(256, 256), 200)

    def test_throughput_of_64_cores(self, run_of_200: Any) -> None:
        events, _ = run_of_200
        cycle = set(np.diff(np.sort(events.start[array_events(events, Op.DRIVE)])))
        assert cycle == {132_900}
        assert pytest.approx(63.1e12, rel=0.001) == 64 * self.OPERATIONS / 132.9e-9

    def test_efficiency_of_its_cores_is_a_little_more_than_that_of_the_chip_with_digital_units_between(
        self, run_of_200: Any
    ) -> None:
        assert 1.0 < self.OPERATIONS / (run_of_200[1].total_zj * 1e-21 / 200) / 9.76e12 < 1.06


class TestHaensch:
    """Haensch et al. 2018, N = 500, 1000, 4000: one 23 pJ converter of 200 MS/s per 16 lines, 24 MOhm, 1 V, 80 ns."""

    @pytest.fixture(scope="class")
    @classmethod
    def bill(cls) -> BillOfParts:
        return bill_of_parts(Chip.load("haensch-2018"))

    @pytest.mark.parametrize(("kind", "lines", "watts"), [(0, 500, 0.144), (1, 1000, 0.288), (2, 4000, 1.15)])
    def test_power_of_the_converters(self, bill: BillOfParts, kind: int, lines: int, watts: float) -> None:
        """N / 16 of them; 31.25 and 62.5 are 32 and 63 in a real tile."""
        adc = bill.tiles[kind]["ADC"]
        assert adc.busy_units == -(-lines // 16)
        assert adc.full_power_w * (lines / 16) / adc.busy_units == pytest.approx(watts, rel=0.005)
        assert adc.full_power_w == pytest.approx(watts, rel=0.025)

    @pytest.mark.parametrize(("kind", "watts"), [(0, 0.010), (1, 0.042), (2, 0.667)])
    def test_power_of_the_array_at_full_duty(self, bill: BillOfParts, kind: int, watts: float) -> None:
        array = bill.tiles[kind]["array"]
        read = array.actions["read"]
        drawn = array.units * read.energy_zj * 1e-21 / (read.latency_ps * 1e-12)
        assert drawn == pytest.approx(watts, rel=0.02, abs=0.0005)

    @pytest.mark.parametrize(("kind", "lines", "tops"), [(0, 500, 6.25), (1, 1000, 25), (2, 4000, 400)])
    def test_throughput_of_a_tile(self, bill: BillOfParts, kind: int, lines: int, tops: float) -> None:
        one = bill.chip.model_copy(update={"tiles": (bill.chip.tiles[kind],)})
        events, _ = inferred(one, one_layer(lines, lines), 20)
        cycles = np.diff(np.sort(events.start[array_events(events, Op.DRIVE)]))
        assert set(cycles) == {80_000}
        assert 2 * lines**2 / 80e-9 == pytest.approx(tops * 1e12)


def vgg8() -> Network:
    """NeuroSim's NetWork.csv: 3x3 convolutions 128, 128, 256, 256, 512, 512 with pooling, then 8192-1024-10."""
    window, pool = Window((3, 3), padding=(1, 1)), Window((2, 2), stride=(2, 2))
    steps: list[Any] = []
    side, channels, before = 32, 3, "input"
    for number, (width, pooled) in enumerate([(128, 0), (128, 1), (256, 0), (256, 1), (512, 0), (512, 1)]):
        layer = WeightLayer.convolution(f"conv{number}", (channels, side, side), width, window, bias=False)
        steps.append((layer, (before,)))
        before, channels = f"conv{number}", width
        if pooled:
            small = (channels, side // 2, side // 2)
            steps.append(
                (Operation.digital(f"pool{number}", "pool", (channels, side, side), small, "max", pool), (before,))
            )
            before, side = f"pool{number}", side // 2
    steps.append((Operation.digital("flat", "flatten", (512, 4, 4), (8192,)), (before,)))
    steps.append((WeightLayer.linear("fc0", (8192,), 1024, bias=False), ("flat",)))
    steps.append((WeightLayer.linear("fc1", (1024,), 10, bias=False), ("fc0",)))
    return connect("vgg8", (3, 32, 32), steps)


class TestNeuroSim:
    """DNN+NeuroSim V2.1, its default training chip: 128 x 128, 8 columns per 6-bit converter, GDDR5, 4 V for 50 ns."""

    @pytest.fixture(scope="class")
    @classmethod
    def chip(cls) -> Chip:
        return Chip.load("neurosim-vgg8")

    def test_vgg8_with_13_million_weights_fits(self, chip: Chip) -> None:
        placement = place(vgg8(), chip)
        assert placement.network.weights == pytest.approx(12.97e6, rel=0.001)
        assert placement.arrays_used == 800 <= 1024

    def test_one_converter_for_8_lines_of_either_side(self, chip: Chip) -> None:
        assert bill_of_parts(chip).tiles[0]["ADC"].units == 16 * (128 // 8) * 2

    def test_a_vector_takes_eight_reads_of_10_ns_each_with_eight_conversions_of_1_ns(self, chip: Chip) -> None:
        events, _ = inferred(chip, one_layer(128, 128), 1)
        driven = array_events(events, Op.DRIVE)
        assert events.duration[driven].tolist() == [8 * (10_000 + 8_000)]

    def test_a_bit_from_dram_takes_14_picojoules(self, chip: Chip) -> None:
        dram = bill_of_parts(chip).chip_wide["DRAM"]
        assert {action.energy_zj for action in dram.actions.values()} == {14_000_000_000}
        assert chip.memory and chip.memory.latency == 24e-9 and chip.memory.transfer_ps(4_288_000) == 1_000_000

    def test_a_cell_is_written_by_4_volts_for_50_ns(self, chip: Chip) -> None:
        actions = bill_of_parts(chip).tiles[0]["array"].actions
        joules = 4**2 / 475e3 * 50e-9
        for name in ("write", "coincidence"):
            assert actions[name].energy_zj == pytest.approx(joules * 1e21, rel=1e-6)
            assert actions[name].latency_ps == 50_000

    def test_it_learns_row_by_row(self, chip: Chip) -> None:
        pulses = chip.tiles[0].pulses
        assert pulses and pulses.access == "row-by-row"
        assert pulses.turns(128) * pulses.slot_ps * 31 == 128 * 31 * 2 * 50_000

    def test_a_mean_cell_conducts_as_the_mean_of_its_two_limits(self, chip: Chip) -> None:
        electrical = bill_of_parts(chip).tiles[0]["array"].card.electrical
        assert electrical
        assert 1 / electrical.resistance == pytest.approx((1 / 240e3 + 1 / 24e6) / 2, rel=0.001)

    def test_writing_a_whole_subarray_is_pulses_times_cells_and_lines(self, chip: Chip) -> None:
        plan, log = make_plan(place(one_layer(128, 128), chip)), EventLog()
        row_pulses, cells = 30 * 128, 30 * 128 * 128
        array = plan.station_parts.index("array")
        log.append((Op.WRITE, array, 0, 0, 0, Phase.MAINTENANCE, 0, 0, 50_000 * row_pulses, row_pulses))
        ledger = Pricer(plan)(log.take(), Activity.rows(phase=Phase.MAINTENANCE, writes=128 * 128))
        per_cell, per_crossing = round(4**2 / 475e3 * 50e-9 * 1e21), round(32e-18 * 4**2 * 1e21)
        expected = cells * per_cell + (row_pulses + cells) * 128 * per_crossing
        assert ledger.energy["array", "maintenance", "fc"] == expected
