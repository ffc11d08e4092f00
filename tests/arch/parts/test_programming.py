"""Updates of one row at a time, and weights that are written: closed forms from the cards, to the zeptojoule."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml
from generated import EventLog

from rpusim.arch.account.ledger import Ledger
from rpusim.arch.account.pricing import Pricer
from rpusim.arch.chips.bill_of_parts import bill_of_parts
from rpusim.arch.chips.chip import FOLDER, Chip
from rpusim.arch.chips.description import TileKind
from rpusim.arch.contract.activity import Activity, Phase
from rpusim.arch.contract.cell_layout import SINGLE, CellLayout
from rpusim.arch.engine.events import Op
from rpusim.arch.mapping.placement import place
from rpusim.arch.network.network import connect
from rpusim.arch.network.operations import WeightLayer
from rpusim.arch.parts.programming import Programming
from rpusim.arch.schedule.plan import Plan, make_plan
from rpusim.arch.schedule.schedules import run
from rpusim.errors import InputError

ROWS, COLUMNS = 100, 200
UPDATE = {
    "phase": Phase.UPDATE,
    "slots": 10,
    "coincidences_up": 30,
    "coincidences_down": 50,
    "row_pulses": 40,
    "column_pulses": 90,
}
CHARGE = round(80e-18 * 0.25 * 1e21)
"""Half a volt on a line, per cell that it crosses."""

WRITES = {
    "width": "40 ns",
    "voltage": "2 V",
    "verify": True,
    "iterations": 1,
    "card": "gates-28nm/pulse-driver",
    "source": "a test",
}


def edited(folder: Path, chip: str, **blocks: Any) -> Chip:
    """A chip that ships with blocks of its tile replaced."""
    fields = yaml.safe_load((FOLDER / f"{chip}.yaml").read_text())
    for name, block in blocks.items():
        fields["tiles"][0][name] = {**fields["tiles"][0].get(name, {}), **block}
    path = folder / "mine.yaml"
    path.write_text(yaml.safe_dump(fields))
    return Chip.load(path)


def with_tiles(chip: Chip, *kinds: TileKind) -> Chip:
    return chip.model_copy(update={"tiles": kinds})


def planned(chip: Chip, cell: CellLayout = SINGLE) -> Plan:
    layer = WeightLayer.linear("fc", (COLUMNS,), ROWS, bias=False)
    return make_plan(place(connect("one", (COLUMNS,), [(layer, ("input",))]), chip, cell=cell))


def priced(chip: Chip, op: Op, amount: int, cell: CellLayout = SINGLE, **row: int) -> Ledger:
    """One event of the array and one of the drivers of each side, for one row of activity."""
    plan, log = planned(chip, cell), EventLog()
    for unit, count in (("array", amount), ("row drivers", 0), ("column drivers", 0)):
        log.append((op, plan.station_parts.index(unit), 0, 0, 0, row["phase"], 0, 0, 1000, count))
    return Pricer(plan)(log.take(), Activity.rows(**row))


class TestRowByRow:
    @pytest.fixture(scope="class")
    @classmethod
    def ledgers(cls, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Ledger]:
        folder = tmp_path_factory.mktemp("chips")
        chips = {way: edited(folder, "rpu-2016", pulses={"access": way}) for way in ("parallel", "row-by-row")}
        return {way: priced(chip, Op.PULSE, 10, **UPDATE) for way, chip in chips.items()}

    def test_parallel_is_what_a_chip_does_that_does_not_say(self, ledgers: dict[str, Ledger]) -> None:
        silent = priced(Chip.load("rpu-2016"), Op.PULSE, 10, **UPDATE)
        assert silent.energy == ledgers["parallel"].energy

    def test_columns_send_their_trains_again_for_every_row(self, ledgers: dict[str, Ledger]) -> None:
        drivers = {way: ledger.energy["pulse drivers", "update", "fc"] for way, ledger in ledgers.items()}
        rows = 10 * ROWS * 9_000_000 + 40 * 5_100_000
        columns = 10 * COLUMNS * 9_000_000 + 90 * 5_100_000
        assert drivers == {"parallel": rows + columns, "row-by-row": rows + ROWS * columns}

    def test_only_the_charge_of_column_lines_grows_in_the_array(self, ledgers: dict[str, Ledger]) -> None:
        """A column pulse half-selects one row's cell instead of all rows' at once, but is sent for every row."""
        array = {way: ledger.energy["array", "update", "fc"] for way, ledger in ledgers.items()}
        assert array["row-by-row"] - array["parallel"] == (ROWS - 1) * 90 * 4096 * CHARGE

    def test_the_slots_pass_once_per_row(self, tmp_path: Path) -> None:
        pulses = edited(tmp_path, "rpu-2016", pulses={"access": "row-by-row"}).tiles[0].pulses
        assert pulses and pulses.turns(100) == 100
        silent = Chip.load("rpu-2016").tiles[0].pulses
        assert silent and silent.turns(100) == 1


class TestTransfersRowByRow:
    """A slice that is a row is one turn of a tile that addresses rows one by one, a column one turn of every row."""

    ROW = UPDATE | {"phase": Phase.TRANSFER, "row_pulses": 10, "active_rows": 1}

    @pytest.fixture(scope="class")
    @classmethod
    def chip(cls, tmp_path_factory: pytest.TempPathFactory) -> Chip:
        return edited(tmp_path_factory.mktemp("chips"), "rpu-2016", pulses={"access": "row-by-row"})

    @staticmethod
    def cell(slices: Any) -> CellLayout:
        return CellLayout("transfer", 2, visible=(1,), targets=((1,), ()), slices=slices)

    @pytest.mark.parametrize(("slices", "turns"), [("row", 1), ("column", ROWS)])
    def test_the_slots_pass_once_for_every_row_that_is_written(self, chip: Chip, slices: str, turns: int) -> None:
        plan = planned(chip, self.cell(slices))
        update = Activity.rows(phase=Phase.UPDATE, slots=3)
        due = Activity.rows(phase=Phase.TRANSFER, slots=10)
        events = run(plan, Activity.concatenate([update, due]), "sequential")
        pulsed = (events.op == Op.PULSE) & (events.phase == Phase.TRANSFER)
        assert set(events.duration[pulsed]) == {10 * 1_000 * 2 * turns}

    @pytest.mark.parametrize(("slices", "turns"), [("row", 1), ("column", ROWS)])
    def test_drivers_and_half_selected_cells_are_those_of_the_rows_that_are_written(
        self, chip: Chip, slices: str, turns: int
    ) -> None:
        ledger = priced(chip, Op.PULSE, 10, self.cell(slices), **self.ROW)
        rows = 10 * turns * 9_000_000 + 10 * 5_100_000
        columns = 10 * COLUMNS * 9_000_000 + 90 * 5_100_000
        assert ledger.energy["pulse drivers", "transfer", "fc"] == rows + turns * columns
        full, half = round(1 / 24e6 * 1e-9 * 1e21), round(0.25 / 24e6 * 1e-9 * 1e21)
        half_selected = 10 * COLUMNS + 90 * turns - 2 * 80
        charged = (10 + turns * 90) * 4096 * CHARGE
        assert ledger.energy["array", "transfer", "fc"] == 80 * full + half_selected * half + charged


class TestSlicedWeights:
    """A weight held by four cells, one below the other: pulses are counted in all of them, and all are written."""

    SLICES = 4

    @pytest.fixture(scope="class")
    @classmethod
    def chips(cls, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Chip]:
        array = {"cells_per_weight": cls.SLICES}
        return {
            access: edited(tmp_path_factory.mktemp(access), "rpu-2016", array=array, pulses={"access": access})
            for access in ("parallel", "row-by-row")
        }

    def test_an_update_pulses_every_cell_of_a_weight(self, chips: dict[str, Chip]) -> None:
        ledger = priced(chips["parallel"], Op.PULSE, 10, **UPDATE)
        full, half = round(1 / 24e6 * 1e-9 * 1e21), round(0.25 / 24e6 * 1e-9 * 1e21)
        half_selected = 40 * COLUMNS + 90 * self.SLICES * ROWS - 2 * 80
        charged = (40 + 90) * 4096 * CHARGE
        expected = 80 * full + half_selected * half + charged
        assert ledger.energy["array", "update", "fc"] == expected
        drivers = 10 * (self.SLICES * ROWS + COLUMNS) * 9_000_000 + (40 + 90) * 5_100_000
        assert ledger.energy["pulse drivers", "update", "fc"] == drivers

    def test_row_by_row_there_are_as_many_turns_as_rows_of_cells(self, chips: dict[str, Chip]) -> None:
        events = run(planned(chips["row-by-row"]), Activity.rows(phase=Phase.UPDATE, slots=10), "sequential")
        assert set(events.duration[events.op == Op.PULSE]) == {10 * 1_000 * 2 * self.SLICES * ROWS}
        ledger = priced(chips["row-by-row"], Op.PULSE, 10, **UPDATE)
        rows = self.SLICES * 10 * ROWS * 9_000_000 + 40 * 5_100_000
        columns = self.SLICES * ROWS * (10 * COLUMNS * 9_000_000 + 90 * 5_100_000)
        assert ledger.energy["pulse drivers", "update", "fc"] == rows + columns

    def test_every_cell_of_a_weight_is_written(self, chips: dict[str, Chip]) -> None:
        chip = chips["parallel"]
        row = Activity.rows(phase=Phase.MAINTENANCE, vector=-1, writes=ROWS * COLUMNS, active_rows=ROWS)
        forward = Activity.rows(phase=Phase.FORWARD, passes=1)
        plan = planned(chip)
        activity = Activity.concatenate([row, forward])
        events = run(plan, activity, "sequential")
        written = events.op == Op.WRITE
        assert set(events.amount[written]) == {300 * self.SLICES * ROWS}
        assert set(events.duration[written]) == {300 * self.SLICES * ROWS * 1_000}
        cells, line = 300 * self.SLICES * ROWS * COLUMNS, round(80e-18 * 1e21)
        expected = cells * round(1 / 24e6 * 1e-9 * 1e21) + (300 * self.SLICES * ROWS + cells) * 4096 * line
        assert Pricer(plan)(events, activity).energy["array", "maintenance", "fc"] == expected

    def test_going_back_drives_rows_and_reads_columns_slice_by_slice(self, chips: dict[str, Chip]) -> None:
        plan = planned(chips["parallel"])
        activity = Activity.rows(phase=Phase.BACKWARD, passes=1, active_rows=60)
        ledger = Pricer(plan)(run(plan, activity, "sequential"), activity)
        assert ledger.energy["input drivers", "backward", "fc"] == self.SLICES * 60 * 72_300_000
        assert ledger.energy["sample-and-hold", "backward", "fc"] == self.SLICES * COLUMNS * 81_000_000
        per_cell, per_line = round(1.0**2 / 24e6 * 80e-9 * 1e21), 4096 * round(80e-18 * 1.0**2 * 1e21)
        assert ledger.energy["array", "backward", "fc"] == self.SLICES * 60 * (COLUMNS * per_cell + per_line)


class TestWrite:
    CHIP = "reram-512"
    PULSE = round(1.75**2 / 500e3 * 1e-6 * 1e21)
    LINE = round(50e-18 * 1.75**2 * 1e21)

    @pytest.fixture(scope="class")
    @classmethod
    def ledger(cls) -> Ledger:
        """10,000 cells in 100 rows, each pulsed 8.52 times."""
        return priced(Chip.load(cls.CHIP), Op.WRITE, 852, phase=Phase.MAINTENANCE, writes=10_000)

    def test_cells_take_v2_over_r_times_width_and_lines_cv2(self, ledger: Ledger) -> None:
        expected = 85_200 * self.PULSE + (852 * 512 + 85_200 * 512) * self.LINE
        assert ledger.energy["array", "maintenance", "fc"] == expected

    def test_a_driver_works_for_every_row_and_every_cell_that_is_pulsed(self, ledger: Ledger) -> None:
        assert ledger.energy["pulse drivers", "maintenance", "fc"] == (852 + 85_200) * 5_100_000

    def test_no_other_part_takes_energy_from_a_write(self, ledger: Ledger) -> None:
        parts = {part for part, phase, _ in ledger.energy if phase == "maintenance"}
        assert parts == {"array", "pulse drivers"}

    def test_rpu_weights_take_300_pulses_of_one_volt_and_one_nanosecond(self) -> None:
        ledger = priced(Chip.load("rpu-2016"), Op.WRITE, 300 * ROWS, phase=Phase.MAINTENANCE, writes=ROWS * COLUMNS)
        cells = 300 * ROWS * COLUMNS
        line = round(80e-18 * 1e21)
        expected = cells * round(1 / 24e6 * 1e-9 * 1e21) + (300 * ROWS + cells) * 4096 * line
        assert ledger.energy["array", "maintenance", "fc"] == expected

    def test_phase_change_cells_take_the_current_of_a_pulse_times_its_voltage(self) -> None:
        pulse = bill_of_parts(Chip.load("hermes-2021")).tiles[0]["array"].actions["write"]
        assert pulse.energy_zj == round(2.0 * 400e-6 * 100e-9 * 1e21)
        assert pulse.latency_ps == 100_000

    def test_programming_adds_no_area_and_no_leakage_to_a_chip_that_trains(self) -> None:
        chip = Chip.load(self.CHIP)
        silent = chip.tiles[0].model_copy(update={"programming": None})
        without = bill_of_parts(with_tiles(chip, silent))
        for figure in ("area_m2", "leakage_w"):
            assert bill_of_parts(chip).total(figure) == without.total(figure)

    def test_a_tile_that_only_infers_gets_drivers_to_write_it(self) -> None:
        chip = Chip.load(self.CHIP)
        writes = Programming.model_validate(WRITES)
        kind = chip.tiles[0].model_copy(update={"pulses": None, "programming": writes})
        drivers = bill_of_parts(with_tiles(chip, kind)).tiles[0]["pulse drivers"]
        assert drivers.units == 1024
        assert set(drivers.actions) == {"write"}

    def test_cells_are_not_reset_on_a_chip_that_says_nothing_of_programming(self) -> None:
        chip = Chip.load(self.CHIP)
        silent = with_tiles(chip, chip.tiles[0].model_copy(update={"programming": None}))
        update = Activity.rows(phase=Phase.UPDATE, slots=1)
        reset = Activity.rows(phase=Phase.MAINTENANCE, writes=3, active_rows=2)
        with pytest.raises(InputError, match=r"tiles 'reram' of .* do not say how they are written, .* are reset"):
            run(planned(silent), Activity.concatenate([update, reset]), "sequential")

    def test_a_chip_that_says_nothing_of_programming_cannot_be_written(self) -> None:
        chip = Chip.load(self.CHIP)
        silent = chip.tiles[0].model_copy(update={"programming": None})
        with pytest.raises(AssertionError, match="without programming"):
            row = {"phase": Phase.MAINTENANCE, "writes": 1}
            priced(with_tiles(chip, silent), Op.WRITE, 1, **row)


@pytest.mark.parametrize(
    ("chip", "blocks", "sentence"),
    [
        (
            "reram-512",
            {"programming": {"card": "gates-28nm/dac-8b"}},
            r"programming.card: got 'gates-28nm/dac-8b', but a tile with pulses .* leave it out",
        ),
        (
            "isaac-2016",
            {"programming": {name: value for name, value in WRITES.items() if name != "card"}},
            r"programming.card is missing; a tile without pulses needs drivers",
        ),
        ("reram-512", {"programming": {"iterations": 0.5}}, r"programming.iterations: got 0.5, but .* equal to 1"),
        (
            "reram-512",
            {"programming": {"width": "0 ns"}},
            r"width: got '0 ns', but it must be a time above",
        ),
        ("reram-512", {"pulses": {"access": "rows"}}, r"pulses.access: got 'rows', but .*'parallel' or 'row-by-row'"),
        (
            "isaac-2016",
            {"programming": WRITES},
            r"lumps an array that is read .* but this chip also sends pulses to it",
        ),
    ],
)
def test_what_cannot_be_written_gets_one_sentence(
    tmp_path: Path, chip: str, blocks: dict[str, Any], sentence: str
) -> None:
    with pytest.raises(InputError, match=sentence) as caught:
        edited(tmp_path, chip, **blocks)
    assert "\n" not in str(caught.value)
    assert str(caught.value).startswith("mine.yaml: ")
