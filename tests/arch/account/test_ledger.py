"""Prices: closed forms from the cards, to the zeptojoule."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise
from typing import Any

import numpy as np
import pytest

from rpusim.arch.account.exact_sums import exact_sums
from rpusim.arch.account.ledger import STANDBY, Ledger
from rpusim.arch.account.pricing import Pricer
from rpusim.arch.chips.bill_of_parts import bill_of_parts
from rpusim.arch.chips.chip import FOLDER, Chip
from rpusim.arch.contract.activity import Activity, Phase
from rpusim.arch.contract.configuration import parse, read_yaml
from rpusim.arch.engine.events import Events, Op
from rpusim.arch.mapping.assumed_activity import assumed_activity
from rpusim.arch.mapping.placement import place
from rpusim.arch.network.network import Network, connect
from rpusim.arch.network.operations import Operation, WeightLayer, Window
from rpusim.arch.schedule.plan import Plan, make_plan
from rpusim.arch.schedule.schedules import run
from rpusim.errors import InputError

ROWS, COLUMNS = 100, 200


@pytest.fixture(scope="module")
def plan() -> Plan:
    network = connect("one", (COLUMNS,), [(WeightLayer.linear("fc", (COLUMNS,), ROWS, bias=False), ("input",))])
    return make_plan(place(network, Chip.load("rpu-2016")))


def priced(plan: Plan, **row: Any) -> Ledger:
    activity = Activity.rows(**row)
    return Pricer(plan)(run(plan, activity, "sequential"), activity)


class TestForward:
    def test_array_energy_is_cells_times_v2_over_r_times_t_plus_lines_times_cv2(self, plan: Plan) -> None:
        ledger = priced(plan, phase=Phase.FORWARD, passes=1, active_columns=150)
        per_cell = round(1.0**2 / 24e6 * 80e-9 * 1e21)
        per_line = 4096 * round(80e-18 * 1.0**2 * 1e21)
        assert ledger.energy["array", "forward", "fc"] == 150 * (ROWS * per_cell + per_line)

    def test_driver_energy_is_active_lines_times_driver_energy(self, plan: Plan) -> None:
        ledger = priced(plan, phase=Phase.FORWARD, passes=1, active_columns=150)
        assert ledger.energy["input drivers", "forward", "fc"] == 150 * 72_300_000

    def test_converter_energy_is_outputs_times_passes(self, plan: Plan) -> None:
        ledger = priced(plan, phase=Phase.FORWARD, passes=3, active_columns=150)
        assert ledger.energy["ADC", "forward", "fc"] == 3 * ROWS * 23_000_000_000

    def test_backward_drives_rows_and_converts_columns(self, plan: Plan) -> None:
        ledger = priced(plan, phase=Phase.BACKWARD, passes=1, active_rows=60)
        assert ledger.energy["ADC", "backward", "fc"] == COLUMNS * 23_000_000_000
        assert ledger.energy["input drivers", "backward", "fc"] == 60 * 72_300_000


class TestUpdate:
    ROW = {
        "phase": Phase.UPDATE,
        "slots": 10,
        "coincidences_up": 30,
        "coincidences_down": 50,
        "row_pulses": 40,
        "column_pulses": 90,
    }

    def test_array_energy_is_coincidences_half_selected_cells_and_charged_lines(self, plan: Plan) -> None:
        full, half = round(1 / 24e6 * 1e-9 * 1e21), round(0.25 / 24e6 * 1e-9 * 1e21)
        line = 4096 * round(80e-18 * 0.25 * 1e21)
        half_selected = 40 * COLUMNS + 90 * ROWS - 2 * 80
        expected = 80 * full + half_selected * half + (40 + 90) * line
        assert priced(plan, **self.ROW).energy["array", "update", "fc"] == expected

    def test_generators_run_every_slot_on_every_line_and_drivers_once_per_pulse(self, plan: Plan) -> None:
        expected = 10 * (ROWS + COLUMNS) * 9_000_000 + (40 + 90) * 5_100_000
        assert priced(plan, **self.ROW).energy["pulse drivers", "update", "fc"] == expected

    def test_no_converter_is_used(self, plan: Plan) -> None:
        assert ("ADC", "update", "fc") not in priced(plan, **self.ROW).energy


def linear_chain(*sizes: int) -> Network:
    steps = []
    for i, (inputs, outputs) in enumerate(pairwise(sizes)):
        layer = WeightLayer.linear(f"fc{i}", (inputs,), outputs, bias=False)
        steps.append((layer, (f"fc{i - 1}" if i else "input",)))
    return connect("chain", (sizes[0],), steps)


def account(network: Network, chip: str, *rows: Activity) -> tuple[Plan, Events, Ledger]:
    plan = make_plan(place(network, Chip.load(chip)))
    activity = Activity.concatenate(rows)
    events = run(plan, activity, "sequential")
    return plan, events, Pricer(plan)(events, activity)


def wire(chip: str) -> int:
    """Energy (zJ) of a bit on the wire from one router to the next; see tests of `wires`."""
    return bill_of_parts(Chip.load(chip)).chip_wide["links"].actions["wire"].energy_zj


def forward_rows(plan_sizes: list[int], blocks: int = 1) -> list[Activity]:
    return [
        Activity.rows(layer=layer, tile=tile, phase=Phase.FORWARD, passes=1, active_columns=1)
        for layer in range(len(plan_sizes))
        for tile in range(blocks if layer == 0 else 1)
    ]


@pytest.fixture(scope="module")
def figures() -> tuple[Plan, Events, Ledger]:
    return account(linear_chain(200, 100, 10), "rpu-2016", *forward_rows([100, 10]))


HEADER = 32
"""Bits ahead of every message on the chips that ship."""
ADD, MULTIPLY, EXPONENTIAL = 265_000_000, 565_000_000, 1_064_000_000
"""zJ on the card of rpu-2016's lanes, puma-2019/alu."""


class TestAroundTheArray:
    """200 -> 100 -> 10 on rpu-2016: tiles 0 and 1, next to each other on the mesh."""

    def test_buffer_reads_words_as_wide_as_it_writes_them(self, figures: Any) -> None:
        read = (200 + 100) * 9
        written = 100 * 9
        buffer = {key: value for key, value in figures[2].energy.items() if key[:2] == ("buffer", "forward")}
        assert sum(buffer.values()) == (read + written) * 67_187_500 // 1000 * 1000
        assert buffer["buffer", "forward", "fc1"] == 100 * 9 * 67_187_500

    def test_digital_unit_scales_every_output_once(self, figures: Any) -> None:
        assert figures[2].energy["digital unit", "forward", "fc0"] == 100 * MULTIPLY
        assert figures[2].energy["digital unit", "forward", "fc1"] == 10 * MULTIPLY

    def test_results_pass_two_routers_to_the_next_tile(self, figures: Any) -> None:
        plan, events, ledger = figures
        assert ledger.energy["links", "forward", "fc0"] == (100 * 9 + HEADER) * (2 * 126_000_000 + wire("rpu-2016"))
        sends = events.op == Op.SEND
        assert [plan.stations[s] for s in events.station[sends]] == ["port of tile 0", "link (0,0)-(0,1)"]
        on_link = -(-(100 * 9 + HEADER) * 10**12 // (90 * 8 * 10**9))
        assert events.duration[sends].tolist() == [on_link, on_link]
        (left,), (arrived,) = (times[sends][[place]] for times, place in ((events.end, 0), (events.start, 1)))
        per_metre = 217e-9 * (22 / 32) ** 0.32
        hop = 1e-9 + per_metre * 2.599e-3  # a router, and the wire between tiles of 2.599 mm at 32 nm
        assert arrived - left == pytest.approx(hop * 1e12, abs=1)

    def test_the_last_layer_sends_nothing(self, figures: Any) -> None:
        assert ("links", "forward", "fc1") not in figures[2].energy

    def test_sample_and_hold_holds_every_output_once_per_pass(self, figures: Any) -> None:
        assert figures[2].energy["sample-and-hold", "forward", "fc0"] == 100 * 81_000_000

    def test_gradients_go_back_and_derivatives_are_taken_once(self) -> None:
        network = connect(
            "one",
            (200,),
            [
                (WeightLayer.linear("fc0", (200,), 100, bias=False), ("input",)),
                (Operation.digital("relu", "activation", (100,), detail="relu"), ("fc0",)),
                (WeightLayer.linear("fc1", (100,), 10, bias=False), ("relu",)),
                (Operation.digital("softmax", "softmax", (10,), axes=(0,)), ("fc1",)),
            ],
        )
        error = Activity.rows(layer=1, phase=Phase.BACKWARD, passes=1, active_rows=10)
        pairs = [Activity.rows(layer=layer, phase=Phase.UPDATE, slots=0) for layer in (0, 1)]
        _, _, ledger = account(network, "rpu-2016", error, *pairs)
        loss = 10 * (ADD + MULTIPLY) + EXPONENTIAL + ADD  # differences over the mini-batch; a logarithm and a sum
        softmax = 10 * 2 * (ADD + MULTIPLY)
        scale = 100 * MULTIPLY  # of W^T d
        assert ledger.energy["digital unit", "backward", "fc1"] == loss + softmax + scale
        assert ledger.energy["digital unit", "backward", "fc0"] == 100 * ADD  # the comparisons of relu cost as much
        assert ledger.energy["links", "backward", "fc1"] == (100 * 9 + HEADER) * (2 * 126_000_000 + wire("rpu-2016"))

    def test_algorithm_operations_of_a_row_are_done_and_priced(self) -> None:
        row = {"phase": Phase.FORWARD, "passes": 1, "active_columns": 1}
        costs = [account(linear_chain(8, 8), "rpu-2016", Activity.rows(**row, adds=n)) for n in (1024, 2048)]
        extra = costs[1][2].by(0)["digital unit"] - costs[0][2].by(0)["digital unit"]
        leakage = 52 * 0.00403e-6 * 88  # of its lanes, by their area at the corner of low-standby transistors (W)
        standby = (costs[1][2].time_ps - costs[0][2].time_ps) * round(leakage * 1e9)
        assert extra == 1024 * 265_000_000 + standby
        assert costs[1][2].time_ps - costs[0][2].time_ps == 1024 * 10**12 // (512 * 10**8)


class TestSplitLayers:
    def test_partial_sums_travel_to_their_home_and_are_added_there(self) -> None:
        """600 inputs on reram-512 are two blocks of 300; 20 outputs at 16 bits; two operations per output."""
        plan, events, ledger = account(linear_chain(600, 20), "reram-512", *forward_rows([20], blocks=2))
        assert ledger.energy["links", "forward", "fc0"] == (20 * 16 + HEADER) * (2 * 126_000_000 + wire("reram-512"))
        assert ledger.energy["digital unit", "forward", "fc0"] == 2 * 20 * (MULTIPLY + ADD) + 20 * ADD
        arrived = events.end[events.op == Op.STORE].max()
        added = (events.op == Op.DIGITAL) & (events.amount == 20)
        assert events.start[added].min() == arrived
        assert plan.stations[events.station[added][0]] == "digital unit reram 0"

    def test_overlapping_windows_are_summed_before_gradients_are_sent(self) -> None:
        window = Window((3, 3), padding=(1, 1))
        steps = [
            (WeightLayer.convolution("a", (2, 4, 4), 3, window, bias=False), ("input",)),
            (WeightLayer.convolution("b", (3, 4, 4), 5, window, bias=False), ("a",)),
        ]
        rows = Activity.rows(layer=1, phase=Phase.BACKWARD, vector=np.arange(16), passes=1, active_rows=5)
        _, _, ledger = account(connect("convs", (2, 4, 4), steps), "rpu-2016", rows)
        loss = 5 * 16 * (ADD + MULTIPLY) + EXPONENTIAL + ADD
        sent = 16 * (3 * 9 + HEADER)  # a message for each position
        assert ledger.energy["links", "backward", "b"] == sent * (2 * 126_000_000 + wire("rpu-2016"))
        assert ledger.energy["digital unit", "backward", "b"] == 16 * 27 * (MULTIPLY + ADD) + loss  # scale; overlap


@pytest.fixture(scope="module")
def isaac() -> tuple[Plan, Events, Ledger]:
    row = Activity.rows(phase=Phase.FORWARD, passes=1, active_columns=100)
    return account(linear_chain(100, 16), "isaac-2016", row)


class TestSupportCircuits:
    def test_a_lumped_array_takes_its_power_for_every_bit(self, isaac: Any) -> None:
        assert isaac[2].energy["array", "forward", "fc0"] == 16 * round(0.3e-3 * 100e-9 * 1e21)

    def test_drivers_take_their_power_for_every_active_line_and_bit(self, isaac: Any) -> None:
        assert isaac[2].energy["input drivers", "forward", "fc0"] == 16 * 100 * round(3.90625e-6 * 100e-9 * 1e21)

    def test_registers_of_one_array_are_busy_while_it_is_driven(self, isaac: Any) -> None:
        power = round(12 * 1.24e-3 / 96 * 1e9)
        assert isaac[2].energy["input register", "forward", "fc0"] == power * 16 * 100_000

    def test_shift_and_add_is_busy_while_converting(self, isaac: Any) -> None:
        _, events, ledger = isaac
        converting = int(events.duration[events.op == Op.CONVERT].sum())
        assert ledger.energy["shift-and-add", "forward", "fc0"] == round(48 * 0.05e-3 / 96 * 1e9) * converting

    def test_what_is_always_on_draws_its_power_all_the_time(self, isaac: Any) -> None:
        assert isaac[2].energy["HyperTransport", STANDBY, "chip"] == 10_400_000_000 * isaac[2].time_ps

    def test_converters_convert_every_line_and_the_unit_line_for_every_bit(self, isaac: Any) -> None:
        """Sixteen outputs of eight slices are 128 lines; the unit line, which counts the ones of the input, is one."""
        assert isaac[2].energy["ADC", "forward", "fc0"] == 16 * 129 * round(2e-3 / 1.28e9 * 1e21)


class TestAccount:
    def test_standby_is_leakage_of_the_tiles_in_use_times_time(self, plan: Plan) -> None:
        ledger = priced(plan, phase=Phase.FORWARD, passes=1, active_columns=150)
        leak = 52 * 0.00403e-6 * 88  # the digital unit of one tile of fifty: area x low-standby leakage
        assert ledger.energy["digital unit", STANDBY, "chip"] == pytest.approx(leak * ledger.time_ps * 1e9, rel=1e-4)

    def test_an_account_of_pieces_is_the_account_of_the_whole(self, plan: Plan) -> None:
        pieces = [priced(plan, phase=Phase.FORWARD, passes=p, active_columns=150) for p in (1, 2, 0)]
        whole = Ledger()
        for piece in pieces:
            whole.merge(piece)
        assert whole.total_zj == sum(piece.total_zj for piece in pieces)
        assert whole.time_ps == sum(piece.time_ps for piece in pieces)
        assert whole.peak_w == max(piece.peak_w for piece in pieces)

    def test_energies_beyond_64_bits_are_summed_exactly(self) -> None:
        values, group = np.full(1000, 2**62, np.int64), np.zeros(1000, np.int64)
        assert list(exact_sums(values, np.arange(1000), group, np.full(1000, 3), 1)) == [(0, 3000 * 2**62)]


class TestSharedUnits:
    """A hundred tiles, two to a digital unit, two to a router of three lanes; the layer lies on tiles 0, 1 and 2."""

    @pytest.fixture
    def shared(self) -> tuple[Chip, Plan]:
        rpu = Chip.load("rpu-2016")
        kind = rpu.tiles[0]
        digital = kind.digital.model_copy(update={"tiles_per_unit": 2})
        array = kind.array.model_copy(update={"rows": 32, "columns": 32, "arrays": 1})
        mesh = rpu.mesh.model_copy(update={"tiles_per_router": 2, "lanes": 3, "bandwidth": rpu.mesh.bandwidth / 10})
        tile = kind.model_copy(update={"digital": digital, "array": array, "count": 101})
        chip = rpu.model_copy(update={"tiles": (tile,), "mesh": mesh})
        network = connect("one", (96,), [(WeightLayer.linear("fc", (96,), 32, bias=False), ("input",))])
        plan = make_plan(place(network, chip))
        assert plan.placement.tiles_used == 3
        return chip, plan

    def test_standby_counts_a_digital_unit_and_every_lane_of_a_router_once_for_its_tiles(
        self, shared: tuple[Chip, Plan]
    ) -> None:
        chip, plan = shared
        bill, standby = bill_of_parts(chip), Pricer(plan).standby
        nanowatts = 1e9
        assert standby["digital unit"] == round(2 * bill.tiles[0]["digital unit"].leakage_w * nanowatts)
        assert standby["links"] == round(2 * 3 * bill.chip_wide["links"].card.leakage * nanowatts)
        assert standby["buffer"] == round(3 * bill.tiles[0]["buffer"].leakage_w * nanowatts)

    @pytest.mark.parametrize("figure", ["leakage_w", "area_m2", "full_power_w"])
    def test_the_bill_counts_them_so_for_the_whole_chip(self, shared: tuple[Chip, Plan], figure: str) -> None:
        bill = bill_of_parts(shared[0])
        units, routers = 51, 51 * 3  # of 101 tiles
        assert bill.total(figure)["digital unit"] == pytest.approx(
            units * getattr(bill.tiles[0]["digital unit"], figure), rel=1e-12
        )
        assert bill.chip_wide["links"].units == routers
        if figure != "full_power_w":
            per_router = {"leakage_w": "leakage", "area_m2": "area"}[figure]
            one = getattr(bill.chip_wide["links"].card, per_router)
            assert bill.total(figure)["links"] == pytest.approx(routers * one, rel=1e-12)


class TestNumbersThatAreLarge:
    @staticmethod
    def slow(integration: str, rows: int = 4096, columns: int = 4096) -> Plan:
        fields = read_yaml(FOLDER / "rpu-2016.yaml")
        fields["tiles"][0]["array"]["integration"] = integration
        network = connect("one", (columns,), [(WeightLayer.linear("fc", (columns,), rows, bias=False), ("input",))])
        return make_plan(place(network, parse(Chip, fields, "slow.yaml")))

    @pytest.mark.parametrize(
        ("integration", "seconds"), [("1 ms", 1e-3), ("100 ms", 0.1), ("1 s", 1.0), ("1000 s", 1e3)]
    )
    def test_a_read_of_a_full_array_is_exact_whatever_it_takes(self, integration: str, seconds: float) -> None:
        ledger = priced(self.slow(integration), phase=Phase.FORWARD, passes=2, active_columns=4096)
        per_cell = round(1.0**2 / 24e6 * seconds * 1e21)
        per_line = 4096 * round(80e-18 * 1.0**2 * 1e21)
        assert ledger.energy["array", "forward", "fc"] == 2 * 4096 * (4096 * per_cell + per_line)

    def test_a_time_that_the_clock_cannot_count_is_refused_with_the_fields(self) -> None:
        with pytest.raises(
            InputError, match=r"tiles\.rpu\.array\.integration, inputs or adc\.rate: one step would take"
        ):
            priced(self.slow("3600 s"), phase=Phase.FORWARD, passes=1000, active_columns=1)
        with pytest.raises(InputError, match=r"the work ends after .* but the clock counts to 4\.61e\+06 s"):
            priced(
                self.slow("3600 s"), phase=Phase.FORWARD, passes=[200] * 10, vector=list(range(10)), active_columns=1
            )

    def test_a_power_that_cannot_be_counted_is_refused(self, plan: Plan) -> None:
        activity = Activity.rows(phase=Phase.FORWARD, passes=1, active_columns=150)
        events = run(plan, activity, "sequential")
        short = replace(events, start=events.end - 1)
        with pytest.raises(InputError, match=r"its units would draw up to .* W each"):
            Pricer(self.slow("1000 s"))(short, activity)


def test_power_that_is_never_drawn_at_once_is_no_reason_to_refuse() -> None:
    """Links of a million lanes draw up to 24 kW while they send; 200 samples do so 400 times, one by one.

    At most 900 bits and a header of 32 in 1 ps, each 0.126 pJ of a router and 26.34 pJ of a wire (between nodes of a
    million routers), and three million routers of 0.047 mm2 that leak 88 W/m2 of it: 24,669 W and 12 W.
    """
    chip = Chip.load("rpu-2016")
    wide = {"lanes": 1_000_000, "bandwidth": 3.2e16}
    chip = chip.model_copy(update={"mesh": chip.mesh.model_copy(update=wide)})
    plan = make_plan(place(linear_chain(200, 100, 50, 10), chip))
    work, price = assumed_activity(plan.placement, 200, False), Pricer(plan)
    events = run(plan, work, "sequential")
    energy = sum(zj[events.op[members] == Op.SEND].sum() for _, members, zj in price.priced(events, work))
    assert energy * 1e-21 / 1e-12 > 2**62 * 1e-12  # each took 1 ps: all at once would be more than can be counted
    assert price(events, work).peak_w == pytest.approx(932 * (0.126 + 26.343) + 3e6 * 88 * 0.047e-6, rel=1e-4)
