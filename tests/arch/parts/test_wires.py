"""Wires between routers: their length follows from areas, energy and delay from length and node."""

from __future__ import annotations

from math import sqrt

import pytest

from rpusim.arch.chips.bill_of_parts import bill_of_parts
from rpusim.arch.chips.chip import Chip
from rpusim.arch.chips.scaling import supply
from rpusim.arch.mapping.placement import place
from rpusim.arch.network.network import connect
from rpusim.arch.network.operations import WeightLayer
from rpusim.arch.parts.wires import delay, energy, hop_seconds
from rpusim.arch.schedule.plan import make_plan
from rpusim.errors import InputError


def meshed(**fields: object) -> Chip:
    chip = Chip.load("reram-512")
    return chip.model_copy(update={"mesh": type(chip.mesh).model_validate({**_given(chip), **fields})})


def _given(chip: Chip) -> dict[str, object]:
    mesh = chip.mesh
    counts = {name: getattr(mesh, name) for name in ("columns", "tiles_per_router", "ports", "lanes", "card", "source")}
    return {**counts, "bandwidth": f"{mesh.bandwidth:.0f} b/s"}


def latencies(chip: Chip) -> set[int]:
    steps = [
        (WeightLayer.linear("a", (600,), 20, bias=False), ("input",)),
        (WeightLayer.linear("b", (20,), 5, bias=False), ("a",)),
    ]
    plan = make_plan(place(connect("two", (600,), steps), chip))
    return {plan.station_latency[i] for i, part in enumerate(plan.station_parts) if part in ("port", "link")}


@pytest.mark.parametrize(("volts", "femtojoules", "tolerance"), [(0.9, 310e3 / 2560, 0.01), (0.75, 200e3 / 2560, 0.1)])
def test_a_bit_costs_what_keckler_et_al_find_per_millimetre(volts: float, femtojoules: float, tolerance: float) -> None:
    """IEEE Micro 31(5), Table 1: 256 bits over 10 mm take 310 pJ at 40 nm (0.9 V), 200 pJ at 10 nm (0.75 V)."""
    assert energy(1e-3, volts) == pytest.approx(femtojoules * 1e-15, rel=tolerance, abs=0)


@pytest.mark.parametrize(("node", "picoseconds"), [(90, 138), (65, 157), (45, 162), (32, 193), (22, 217)])
def test_a_bit_takes_what_cacti_finds_per_millimetre(node: float, picoseconds: float) -> None:
    """CACTI 7, repeated wires sized for delay, high-performance transistors; the fit is within 7 % of all."""
    assert delay(1e-3, node * 1e-9) == pytest.approx(picoseconds * 1e-12, rel=0.07)


def test_the_distance_of_routers_is_the_side_of_their_tiles() -> None:
    chip = meshed()
    bill = bill_of_parts(chip)
    tile = sum(part.area_m2 / chip.tiles[0].tiles_sharing(name) for name, part in bill.tiles[0].items())
    links = bill.chip_wide["links"]
    side = sqrt(tile + chip.mesh.lanes * links.card.area)
    assert links.actions["wire"].energy_zj == round(0.3e-9 * supply(32e-9) ** 2 / 2 * side * 1e21)
    per_metre = 217e-9 * (22 / 32) ** 0.32
    assert latencies(chip) == {round((1e-9 + per_metre * side) * 1e12)}
    found = {row["field"]: row for row in chip.provenance()}
    assert found["chip.mesh.hop_latency"]["value"] == pytest.approx(hop_seconds(side, 32e-9))
    assert "assumption" in found["chip.mesh.hop_latency"]["source"]
    assert "Keckler" in found["chip.mesh.wire_energy"]["source"]
    assert "assumption" in found["chip.mesh.in_flight"]["source"]


def test_four_times_the_tile_is_twice_the_wire() -> None:
    small, large = (Chip.load("reram-512"), meshed(tiles_per_router=4, lanes=4 * Chip.load("reram-512").mesh.lanes))
    areas = [bill_of_parts(chip).chip_wide["links"].actions["wire"].energy_zj for chip in (small, large)]
    assert areas[1] / areas[0] == pytest.approx(2)  # of tiles and routers


def test_what_the_file_says_counts() -> None:
    chip = meshed(hop_latency="3 ns", wire_energy="0.5 pJ")
    assert bill_of_parts(chip).chip_wide["links"].actions["wire"].energy_zj == 500_000_000
    assert latencies(chip) == {3_000}


def test_a_wire_that_costs_nothing_says_why() -> None:
    with pytest.raises((InputError, ValueError), match=r"wire_energy is zero; sources.wire_energy must say why"):
        meshed(wire_energy="0 J")
    free = meshed(wire_energy="0 J", sources={"wire_energy": "counted with the router"})
    assert bill_of_parts(free).chip_wide["links"].actions["wire"].energy_zj == 0
