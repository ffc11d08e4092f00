"""Prices: closed forms from the cards, to the zeptojoule."""

from __future__ import annotations

import pytest

from rpusim.arch.activity import Activity, Phase
from rpusim.arch.chip import Chip
from rpusim.arch.ledger import STANDBY, Ledger, Pricer
from rpusim.arch.mapping import place
from rpusim.arch.network import WeightLayer, connect
from rpusim.arch.plan import Plan, make_plan
from rpusim.arch.schedule import run

ROWS, COLUMNS = 100, 200


@pytest.fixture(scope="module")
def plan() -> Plan:
    network = connect("one", (COLUMNS,), [(WeightLayer.linear("fc", (COLUMNS,), ROWS, bias=False), ("input",))])
    return make_plan(place(network, Chip.load("rpu-2016")))


def priced(plan: Plan, **row: int) -> Ledger:
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


class TestAccount:
    def test_standby_is_leakage_of_the_tiles_in_use_times_time(self, plan: Plan) -> None:
        ledger = priced(plan, phase=Phase.FORWARD, passes=1, active_columns=150)
        leak = 52 * 0.192e-3  # the digital unit of one tile of fifty
        assert ledger.energy["digital unit", STANDBY, "chip"] == pytest.approx(leak * ledger.time_ps * 1e9, rel=1e-9)

    def test_an_account_of_pieces_is_the_account_of_the_whole(self, plan: Plan) -> None:
        pieces = [priced(plan, phase=Phase.FORWARD, passes=p, active_columns=150) for p in (1, 2, 0)]
        whole = Ledger()
        for piece in pieces:
            whole.merge(piece)
        assert whole.total_zj == sum(piece.total_zj for piece in pieces)
        assert whole.time_ps == sum(piece.time_ps for piece in pieces)
        assert whole.peak_w == max(piece.peak_w for piece in pieces)

    def test_energies_beyond_64_bits_are_summed_exactly(self) -> None:
        import numpy as np

        from rpusim.arch.ledger import _exact_sum

        values = np.full(1000, 2**62, np.int64)
        assert _exact_sum(values) == 1000 * 2**62
