"""The CMOS RPU cell: steps, states, retention, area and energies follow from one circuit."""

from __future__ import annotations

import math
from typing import Any

import pytest

from rpusim.arch.chips import library
from rpusim.arch.chips.bill_of_parts import bill_of_parts
from rpusim.arch.chips.chip import Chip
from rpusim.arch.contract.configuration import parse
from rpusim.arch.parts.cmos_cell import CmosCell
from rpusim.arch.parts.part import Card
from rpusim.arch.parts.programming import Programming
from rpusim.errors import InputError
from rpusim.kernels import CmosRpu
from rpusim.kernels.devices.presets import DEVICES
from rpusim.workloads.cells import training_cells

CARD = library.library()["cells/cmos-rpu-2017"]
WIDTH = 1e-9


def cell(**changes: float) -> CmosCell:
    assert CARD.cmos
    return CARD.cmos.model_copy(update=changes)


def test_a_pulse_moves_the_voltage_by_its_charge_over_the_capacitance() -> None:
    assert cell().step(WIDTH) == pytest.approx(100e-9 * 1e-9 / 100e-15) == pytest.approx(1e-3)
    assert cell().states(WIDTH) == pytest.approx(1000)
    assert cell().states(2 * WIDTH) == pytest.approx(500)
    assert cell(capacitance=200e-15).of_device(WIDTH)["dw_min"] == pytest.approx(0.001)


def test_the_weaker_source_shrinks_its_direction_only() -> None:
    for up, down, asymmetry in ((100e-9, 80e-9, 0.2), (80e-9, 100e-9, -0.2)):
        numbers = cell(charging_current=up, discharging_current=down).of_device(WIDTH)
        assert numbers["up_down"] == pytest.approx(asymmetry) and numbers["dw_min"] == pytest.approx(0.002)
        cells = CmosRpu(**{**numbers, "current_dtod": 0.0, "capacitance_dtod": 0.0}).sample(1, 1, (0,))
        assert float(cells.parameters(up=True)[0]) == pytest.approx(0.002 * up / 100e-9)
        assert float(cells.parameters(up=False)[0]) == pytest.approx(0.002 * down / 100e-9)


def test_retention_is_capacitance_times_both_off_resistances_side_by_side() -> None:
    off_resistance = 0.5 / 25e-15
    assert cell().retention == pytest.approx(100e-15 * off_resistance / 2) == pytest.approx(1.0)
    assert cell(off_current=25e-12).retention == pytest.approx(1e-3)


def test_smaller_gates_match_worse_and_leak_less_alike() -> None:
    large, small = cell().of_device(WIDTH), cell(gate_area=0.5625e-12 / 4).of_device(WIDTH)
    for spread in ("current_dtod", "offset_dtod", "leakage_dtod"):
        assert small[spread] == pytest.approx(2 * large[spread])
    assert large["current_dtod"] == pytest.approx(2 * 2e-3 / 0.2)
    assert cell(gate_area=0.5625e-12 / 4).area == pytest.approx(cell().area - 2 * 0.75 * 0.5625e-12, rel=1e-6, abs=0)


def test_short_weak_pulses_have_the_shot_noise_of_their_electrons() -> None:
    electrons = 1e-9 * 1e-9 / 1.602176634e-19
    quiet = cell(charge_noise=0.0, charging_current=1e-9, discharging_current=1e-9)
    assert quiet.of_device(WIDTH)["dw_min_std"] == pytest.approx(1 / math.sqrt(electrons))


def test_an_update_takes_its_charge_from_the_supply_and_switches_the_gates() -> None:
    assert cell().supply == pytest.approx(1.4)
    assert cell().coincidence(WIDTH) == pytest.approx(100e-9 * 1e-9 * 1.4 + 1e-15 * 1.4**2, rel=1e-6, abs=0)
    part = bill_of_parts(Chip.load("cmos-rpu-2017")).tiles[0]["array"]
    assert part.actions["coincidence"].energy_zj == round(cell().coincidence(WIDTH) * 1e21)
    assert part.actions["read"].energy_zj == round(1 / 24e6 * 80e-9 * 1e21)
    assert "half_select" not in part.actions  # a gate that sees one pulse of two stays shut
    assert part.area_m2 == pytest.approx(1024**2 * cell().area) and part.leakage_w == pytest.approx(1024**2 * 35e-15)


def test_lines_are_charged_by_c_v_squared_of_what_is_put_on_them() -> None:
    """Reads put the read voltage on a line, updates switch gates between ground and the supply: C V^2 each."""
    kind = Chip.load("cmos-rpu-2017").tiles[0]
    assert kind.pulses
    odd = CARD.model_copy(update={"cmos": cell(read_voltage=0.5, line_capacitance=3e-15)})
    actions = kind.array.build(odd, 80e-9, 1e-9, None).actions
    assert actions["read_line_per_cell"].energy_zj == round(3e-15 * 0.25 * 1e21)
    assert actions["pulse_line_per_cell"].energy_zj == round(3e-15 * 1.4**2 * 1e21)


def test_writing_is_pulsing_with_the_pulses_of_the_programming() -> None:
    kind = Chip.load("cmos-rpu-2017").tiles[0]
    writing = Programming.model_validate(
        {"width": "17 ns", "voltage": "1.5 V", "verify": True, "iterations": 2.5, "source": "made up"}
    )
    odd = CARD.model_copy(update={"cmos": cell(read_voltage=0.5, line_capacitance=3e-15)})
    actions = kind.array.build(odd, 80e-9, None, writing).actions
    assert set(actions) == {"read", "read_line_per_cell", "write", "write_line_per_cell"}
    assert actions["write"].energy_zj == round(cell().coincidence(17e-9) * 1e21)
    assert actions["write_line_per_cell"].energy_zj == round(3e-15 * 1.4**2 * 1e21)
    assert actions["read_line_per_cell"].energy_zj == round(3e-15 * 0.5**2 * 1e21)
    assert actions["write"].latency_ps == actions["write_line_per_cell"].latency_ps == writing.pulse_ps


def test_every_equation_holds_where_no_two_numbers_are_alike() -> None:
    """Swing 0.7 V, 0.15 V of overdrive, 3 fF of gates, 40 aF of line, 17 transistors: supply 1 V."""
    odd = cell(
        capacitance=70e-15, swing=0.7, overdrive=0.15, charging_current=90e-9, discharging_current=110e-9,
        off_current=20e-15, logic_capacitance=3e-15, read_voltage=0.3, read_resistance=2e6, line_capacitance=40e-18,
        transistors=17, transistor_area=0.03e-12, gate_area=0.4e-12, capacitor_density=0.25, matching=2e-9,
    )  # fmt: skip
    expected = {
        odd.step(2e-9): 100e-9 * 2e-9 / 70e-15, odd.states(2e-9): 0.7 * 70e-15 / (100e-9 * 2e-9), odd.supply: 1.0,
        odd.threshold_spread: 2e-9 / 0.4e-12**0.5, odd.retention: 70e-15 * 0.7 / 4 / 20e-15, odd.standby: 20e-15,
        odd.area: 70e-15 / 0.25 + 17 * 0.03e-12 + 2 * 0.4e-12, odd.coincidence(2e-9): 110e-9 * 2e-9 + 3e-15,
        odd.read(5e-8): 0.3**2 / 2e6 * 5e-8,
    }  # fmt: skip
    for found, number in expected.items():
        assert found == pytest.approx(number, rel=1e-9, abs=0)


def test_area_is_capacitor_and_transistors() -> None:
    assert cell().area == pytest.approx(100e-15 / 0.2 + 9 * 0.05e-12 + 2 * 0.5625e-12, rel=1e-6, abs=0)
    assert cell(capacitance=200e-15).area - cell().area == pytest.approx(0.5e-12, rel=1e-6, abs=0)


def test_the_preset_of_the_kernel_is_what_follows_from_the_card() -> None:
    chip = Chip.load("cmos-rpu-2017")
    assert chip.tiles[0].pulses
    numbers = cell().of_device(chip.tiles[0].pulses.width)
    preset = DEVICES["cmos-rpu-2017"].device
    assert {name: getattr(preset, name) for name in numbers} == pytest.approx(numbers, rel=1e-12)
    assert training_cells.of_the_chip(chip) == CmosRpu(**numbers)


def test_the_device_of_the_chip_follows_every_change_of_its_circuit() -> None:
    chip = Chip.load("cmos-rpu-2017")
    own = CARD.model_copy(update={"cmos": cell(capacitance=50e-15), "name": "mine"})
    kind = chip.tiles[0].model_copy(update={"array": chip.tiles[0].array.model_copy(update={"cell": "mine"})})
    changed = chip.model_copy(update={"tiles": (kind,), "cards": {"mine": own}})
    assert training_cells.build("chip", changed).device.dw_min == pytest.approx(0.004)
    mapped = training_cells.build({"model": "chip", "retention": 5.0, "cell": {"kind": "transfer"}}, changed)
    assert (mapped.device.retention, mapped.cell.kind) == (5.0, "transfer")
    assert {"device.retention"} <= {row["field"] for row in mapped.provenance() if row["unit"] == "s"}


@pytest.mark.parametrize("chip", [None, "rpu-2016", "isaac-2016"])
def test_a_chip_that_does_not_say_how_its_cells_learn_has_no_device(chip: str | None) -> None:
    with pytest.raises(InputError, match=r"device\.model: got 'chip', but"):
        training_cells.build("chip", Chip.load(chip) if chip else None)


def fields(**changes: Any) -> dict[str, Any]:
    document = library.read_yaml(library.FOLDER / "cells.yaml")["cmos-rpu-2017"]
    circuit = {**document["cmos"], **changes.pop("cmos", {})}
    return {"name": "mine", **document, "cmos": circuit, **changes}


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"area": "1 um2"}, "area follows from cmos"),
        ({"leakage": "1 pW"}, "leakage follows from cmos"),
        ({"power": "1 W"}, "exactly one way"),
        ({"cmos": {"capacitance": "100 nA"}}, "capacitance: got '100 nA', but a capacitance needs a number"),
        ({"cmos": {"off_current": "0 A"}}, "off_current: got '0 A', but it must be a current above zero"),
        ({"cmos": {"matching": "1.5 mV"}}, "matching: got '1.5 mV', but a matching coefficient needs"),
        ({"cmos": {"capacitor_density": "200 fF"}}, "capacitor_density: got '200 fF'"),
        ({"cmos": {"colour": 1}}, "colour is not a field"),
    ],
)
def test_impossible_circuits_are_refused_in_one_sentence(changes: dict[str, Any], sentence: str) -> None:
    with pytest.raises(InputError, match=sentence):
        parse(Card, fields(**changes), "cells.yaml")
