"""Wires of an array: where their numbers come from, what follows from them, and how long a read takes."""

from math import log, pi, sqrt
from pathlib import Path
from typing import Any

import pytest
import yaml

from rpusim.arch.chips.bill_of_parts import bill_of_parts
from rpusim.arch.chips.chip import FOLDER, Chip, presets
from rpusim.arch.parts.array_wires import COPPER, ArrayWires, drop, of_copper
from rpusim.errors import InputError

GIVEN = {"resistance": "0.1 Ohm", "source": "made up"}


def chip(folder: Path, wires: Any = None, preset: str = "rpu-2016", **array: Any) -> Chip:
    """A preset with other words about the wires of its first kind of tile; None: no word."""
    fields = yaml.safe_load((FOLDER / f"{preset}.yaml").read_text(encoding="utf-8"))
    block = fields["tiles"][0]["array"]
    block.pop("wires", None)
    block["sources"] = {name: source for name, source in block.get("sources", {}).items() if name != "wires"}
    block |= array if wires is None else {**array, "wires": wires}
    path = folder / "wired.yaml"
    path.write_text(yaml.safe_dump(fields), encoding="utf-8")
    return Chip.load(path)


def wires_of(of: Chip) -> ArrayWires:
    found = of.tiles[0].array.wires
    assert isinstance(found, ArrayWires)
    return found


class TestWhereTheNumbersComeFrom:
    @pytest.mark.parametrize("name", presets())
    def test_every_chip_that_ships_says_its_wires_or_why_they_are_ideal(self, name: str) -> None:
        for fields in yaml.safe_load((FOLDER / f"{name}.yaml").read_text(encoding="utf-8"))["tiles"]:
            wires = fields["array"]["wires"]
            assert fields["array"]["sources"]["wires"] if wires == "ideal" else wires["source"]

    def test_wires_that_are_not_mentioned_follow_from_the_pitch(self, tmp_path: Path) -> None:
        """400 nm of a wire 200 nm wide and 2.1 times as high, 24.2 nOhm m."""
        wires = wires_of(chip(tmp_path))
        assert wires.resistance == pytest.approx(2.42e-8 * 400e-9 / (2.1 * 200e-9**2))
        assert (wires.capacitance, wires.cell_resistance, wires.pulses_drop) == (80e-18, 24e6, True)
        rows = {row["field"]: row for row in chip(tmp_path).provenance()}
        assert "assumption" in rows["chip.tiles.rpu.array.wires.resistance"]["source"]
        assert rows["chip.tiles.rpu.array.wires.cell_resistance"]["source"] == "card cells/rpu-2016"

    def test_wires_are_half_a_pitch_wide_as_far_as_the_table_goes(self) -> None:
        for width, aspect, resistivity in COPPER[1:]:
            assert of_copper(2 * width) == pytest.approx(resistivity * 2 * width / (aspect * width**2))
            assert of_copper(2.1 * width) == pytest.approx(resistivity * 2.1 * width / (aspect * width**2))
        widest, narrowest = of_copper(4e-6) / 4e-6, of_copper(1e-9) / 1e-9
        assert widest == pytest.approx(of_copper(400e-9) / 400e-9) and narrowest == pytest.approx(
            of_copper(28e-9) / 28e-9
        )

    def test_a_capacitor_cell_is_pulsed_through_gates_which_draw_no_current(self) -> None:
        wires, found = wires_of(Chip.load("cmos-rpu-2017")), Chip.load("cmos-rpu-2017").tiles[0].drop
        assert wires.pulses_drop is False and found is not None and found.pulse == 1.0 and not found.steps

    def test_of_a_lumped_array_nothing_is_known_and_the_result_says_so(self, tmp_path: Path) -> None:
        without = chip(tmp_path, preset="isaac-2016")
        assert without.tiles[0].array.wires is None and without.tiles[0].drop is None
        said = chip(tmp_path, GIVEN | {"cell_resistance": "100 kOhm"}, preset="isaac-2016")
        pitch = sqrt(25e-12 / (129 * 128))
        assert wires_of(said).capacitance == pytest.approx(0.2e-9 * pitch)

    @pytest.mark.parametrize(
        ("wires", "message"),
        [
            ("none", r"array\.wires: got 'none', but a mapping of resistance and source is needed, or the word"),
            (5, r"array\.wires: got 5, but a mapping"),
            (GIVEN | {"resistance": 0.1}, r"array\.wires\.resistance: got 0\.1, but a resistance needs a number"),
            (GIVEN | {"resistnce": "1 Ohm"}, r"wires\.resistnce is not a field; did you mean 'resistance'"),
            (
                GIVEN | {"resistance": "30 MOhm"},
                r"tiles\.rpu\.array\.wires\.resistance: got 3e\+07 Ohm from cell",
            ),
            ({"resistance": "1 Ohm"}, r"array\.wires\.source is missing"),
        ],
    )
    def test_wires_that_cannot_be_used_are_refused(self, tmp_path: Path, wires: Any, message: str) -> None:
        with pytest.raises(InputError, match=message):
            chip(tmp_path, wires)

    def test_wires_of_a_lumped_array_need_what_a_cell_conducts(self, tmp_path: Path) -> None:
        with pytest.raises(
            InputError, match=r"tiles\.isaac\.array\.wires\.cell_resistance is missing: card isaac-2016"
        ):
            chip(tmp_path, GIVEN, preset="isaac-2016")


class TestWhatFollows:
    def test_the_rpu_chip_loses_a_tenth_in_its_corner_as_its_paper_allows(self) -> None:
        """Gokmen & Vlasov 2016 (recalled): 4096 lines are what the resistance of the lines lets 24 MOhm have.

        Each of three passes along a line loses r / R n^2 / 2 = 0.115 / 24e6 * 4096^2 / 2 = 4 %.
        """
        found = Chip.load("rpu-2016").tiles[0].drop
        assert found is not None and found.loss == pytest.approx(3 * 0.115 / 24e6 * 4096**2 / 2, rel=0.08)
        assert found.pulse == pytest.approx(1 - 2 * 0.115 / 24e6 * 4096**2 / 2, rel=0.01)

    def test_a_larger_array_loses_more_and_settles_later(self) -> None:
        wires = ArrayWires(resistance="1 Ohm", capacitance="1 fF", cell_resistance="1 MOhm", source="made up")  # type: ignore[arg-type]
        drops = [drop(wires, n, n, 8, 0.1, 0.0, 12.0, True) for n in (16, 64, 256, 1024)]
        assert [d.loss for d in drops] == sorted(d.loss for d in drops)
        assert [d.settling for d in drops] == sorted(d.settling for d in drops)

    def test_what_no_read_can_show_is_left_out(self) -> None:
        """16 lines at a load of 1e-6 lose 3 * 16 * 17 / 2 * 1e-6 = 4.1e-4: of 12, a tenth of 0.05; not of 0.04."""
        wires = ArrayWires(resistance="1 Ohm", capacitance="1 fF", cell_resistance="1 MOhm", source="made up")  # type: ignore[arg-type]
        loss = 3 * 16 * 17 / 2 * 1e-6
        assert not drop(wires, 16, 16, 8, 0.05, 0.0, 12.0, False).reads
        assert drop(wires, 16, 16, 8, 0.04, 0.0, 12.0, False).reads
        assert drop(wires, 16, 16, 8, 0.05, 0.04, 12.0, False).reads
        assert drop(wires, 16, 16, 8, 0.05, 0.0, 12.0, False).loss == pytest.approx(loss, rel=1e-3)


class TestTime:
    SLOW = GIVEN | {"resistance": "20 Ohm", "capacitance": "1 fF"}

    def test_a_read_waits_until_the_wires_have_settled(self, tmp_path: Path) -> None:
        """Two lines of 4096: 4 / pi^2 (81.92 kOhm x 4.096 pF) each, ln(4 / pi) + 10 ln 2 of it for 9 bits."""
        kind = chip(tmp_path, self.SLOW).tiles[0]
        expected = 2 * 4 / pi**2 * 4096**2 * 20 * 1e-15 * (log(4 / pi) + 10 * log(2))
        assert kind.drop is not None and kind.drop.settling == pytest.approx(expected, rel=1e-3)
        assert kind.read_seconds == kind.drop.settling > 80e-9
        fast = chip(tmp_path, GIVEN).tiles[0]
        assert fast.read_seconds == 80e-9 and fast.drop is not None and fast.drop.settling < 80e-9

    def test_ideal_wires_need_no_time(self, tmp_path: Path) -> None:
        kind = chip(tmp_path, "ideal").tiles[0]
        assert kind.drop is None and kind.read_seconds == 80e-9

    def test_energy_and_clock_take_the_same_time(self, tmp_path: Path) -> None:
        slow = chip(tmp_path, self.SLOW)
        read = bill_of_parts(slow).tiles[0]["array"].actions["read"]
        assert read.latency_ps == round(slow.tiles[0].read_seconds * 1e12)
        assert read.energy_zj == pytest.approx(slow.tiles[0].read_seconds / 24e6 * 1e21, rel=1e-6)
