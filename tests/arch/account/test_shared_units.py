"""What a chip has once: global buffer, DRAM and host link, found, checked and priced to the zeptojoule."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import yaml
from generated import EventLog, chain

from rpusim.arch.account.ledger import STANDBY, Ledger
from rpusim.arch.account.pricing import Pricer
from rpusim.arch.chips.bill_of_parts import bill_of_parts
from rpusim.arch.chips.chip import FOLDER, Chip
from rpusim.arch.contract.activity import EMPTY, Phase
from rpusim.arch.engine.events import Op
from rpusim.arch.mapping.placement import place
from rpusim.arch.network.network import connect
from rpusim.arch.network.operations import WeightLayer
from rpusim.arch.schedule.plan import Plan, make_plan
from rpusim.errors import InputError

UNITS: dict[str, dict[str, Any]] = {
    "global_buffer": {
        "capacity": "1 MB",
        "bandwidth": "64 GB/s",
        "banks": 16,
        "card": "puma-2019/edram",
        "source": "a test",
    },
    "memory": {
        "capacity": "17 GB",
        "bandwidth": "4.288 Tb/s",
        "latency": "24 ns",
        "devices": 17,
        "card": "dram/gddr5",
        "source": "a test",
    },
    "host": {
        "bandwidth": "25.6 GB/s",
        "latency": "5 ns",
        "links": 1,
        "card": "puma-2019/hypertransport",
        "source": "a test",
    },
}


def chip_with(folder: Path, **units: Any) -> Chip:
    """reram-512 with the blocks of `UNITS`, edited."""
    fields = yaml.safe_load((FOLDER / "reram-512.yaml").read_text())
    for name, block in {**UNITS, **units}.items():
        fields[name] = {**UNITS[name], **block}
    path = folder / "mine.yaml"
    path.write_text(yaml.safe_dump(fields))
    return Chip.load(path)


@pytest.fixture(scope="module")
def chip(tmp_path_factory: pytest.TempPathFactory) -> Chip:
    return chip_with(tmp_path_factory.mktemp("chip"))


@pytest.fixture(scope="module")
def plan(chip: Chip) -> Plan:
    """One small layer, with a station for each of the three units whether or not the plan has made one itself."""
    network = connect("one", (8,), [(WeightLayer.linear("fc", (8,), 8, bias=False), ("input",))])
    made = make_plan(place(network, chip))
    names = ("global buffer", "DRAM", "host link")
    return replace(
        made,
        stations=(*made.stations, *(f"test {name}" for name in names)),
        station_parts=(*made.station_parts, *names),
        station_kinds=(*made.station_kinds, -1, -1, -1),
        station_capacity=(*made.station_capacity, 1, 1, 1),
    )


def priced(plan: Plan, op: Op, unit: str, phase: Phase, bits: int) -> Ledger:
    log = EventLog()
    log.append((op, plan.stations.index(f"test {unit}"), -1, 0, 0, phase, 0, 0, 1000, bits))
    return Pricer(plan)(log.take(), EMPTY)


@pytest.mark.parametrize(
    ("op", "unit", "phase", "zeptojoules_per_bit"),
    [
        (Op.FETCH, "global buffer", Phase.FORWARD, 67_187_500),
        (Op.STORE, "global buffer", Phase.FORWARD, 67_187_500),
        (Op.FETCH, "DRAM", Phase.FORWARD, 14_000_000_000),
        (Op.STORE, "DRAM", Phase.UPDATE, 14_000_000_000),
        (Op.HOST, "host link", Phase.FORWARD, round(10.4 / (25.6e9 * 8) * 1e21)),
    ],
)
def test_every_bit_costs_what_its_card_says(
    plan: Plan, op: Op, unit: str, phase: Phase, zeptojoules_per_bit: int
) -> None:
    ledger = priced(plan, op, unit, phase, 1_000)
    assert ledger.energy[unit, phase.name.lower(), "fc"] == 1_000 * zeptojoules_per_bit


def test_dram_is_priced_by_the_direction_of_the_event_whatever_the_phase(tmp_path: Path) -> None:
    fields = yaml.safe_load((FOLDER / "reram-512.yaml").read_text())
    card = {"part": "DRAM", "unit": "one", "node": "20 nm", "basis": "assumption", "source": "assumption: a test"}
    costs = {"energy": {"read": "1 pJ", "write": "3 pJ"}, "area": "1 um2", "leakage": "1 mW"}
    fields["cards"] = {"uneven": {**card, **costs, "rated_bandwidth": "8 Tb/s"}}
    fields["memory"] = {**UNITS["memory"], "card": "uneven"}
    path = tmp_path / "mine.yaml"
    path.write_text(yaml.safe_dump(fields))
    network = connect("one", (8,), [(WeightLayer.linear("fc", (8,), 8, bias=False), ("input",))])
    made = make_plan(place(network, Chip.load(path)))
    plan = replace(
        made,
        stations=(*made.stations, "test DRAM"),
        station_parts=(*made.station_parts, "DRAM"),
        station_kinds=(*made.station_kinds, -1),
        station_capacity=(*made.station_capacity, 1),
    )
    for phase in Phase:
        for op, picojoules in ((Op.FETCH, 1), (Op.STORE, 3)):
            ledger = priced(plan, op, "DRAM", phase, 10)
            assert ledger.energy["DRAM", phase.name.lower(), "fc"] == 10 * picojoules * 10**9


def test_standby_of_all_of_them_is_drawn_the_whole_time(plan: Plan, chip: Chip) -> None:
    ledger = priced(plan, Op.FETCH, "DRAM", Phase.FORWARD, 1)
    assert ledger.energy["DRAM", STANDBY, "chip"] == pytest.approx(17 * 0.0745 * 1000 * 1e9)
    assert ledger.energy["global buffer", STANDBY, "chip"] == pytest.approx(16 * 0.086e-6 * 28 * 1000 * 1e9, rel=1e-4)
    assert ("host link", STANDBY, "chip") not in ledger.energy  # its card counts everything as power while busy


def test_a_tiles_own_circuits_are_not_busy_with_the_global_buffer(plan: Plan) -> None:
    ledger = priced(plan, Op.FETCH, "global buffer", Phase.FORWARD, 100)
    assert {part for part, phase, _ in ledger.energy if phase != STANDBY} == {"global buffer"}


def test_off_chip_memory_has_no_area_on_the_chip_and_the_host_link_has(chip: Chip) -> None:
    area = bill_of_parts(chip).total("area_m2")
    assert area["DRAM"] == 0
    assert area["host link"] == pytest.approx(22.88e-6)
    assert area["global buffer"] == pytest.approx(16 * 0.086e-6)


def test_a_burst_holds_its_port_for_the_bits_at_the_bandwidth_and_is_there_a_latency_later(chip: Chip) -> None:
    assert chip.memory and chip.host and chip.global_buffer
    assert chip.memory.transfer_ps(4288) == 1_000
    assert chip.host.transfer_ps(2048) == 10_000
    plan = make_plan(place(chain(16, 8), chip))
    latency = {plan.stations[station]: plan.station_latency[station] for station in plan.outside.values()}
    assert latency == {"global buffer": 0, "DRAM": 24_000, "host link": 5_000}
    assert chip.global_buffer.transfer_ps(512) == 1_000


@pytest.mark.parametrize(
    ("units", "sentence"),
    [
        ({"memory": {"devices": 16}}, r"memory: a bandwidth of 4.288e\+12 b/s .* but 16 x card dram/gddr5 carry"),
        ({"memory": {"card": "dram/hbm3"}}, r"memory.card: no cost card is named 'dram/hbm3'; did you mean"),
        ({"host": {"card": "dram/hbm2"}}, r"host.card: .* part 'DRAM', but one for 'host link' is needed"),
        ({"host": {"bandwidth": "60 GB/s"}}, r"host: a bandwidth of 4.8e\+11 b/s .* 1 x card"),
        ({"global_buffer": {"capacity": "1 mm2"}}, r"global_buffer.capacity: got '1 mm2', but a memory size needs"),
        ({"memory": {"latency": "-1 ns"}}, r"memory.latency: got '-1 ns', but it must be a time of zero or more"),
    ],
)
def test_what_cannot_be_built_gets_one_sentence(tmp_path: Path, units: dict[str, Any], sentence: str) -> None:
    with pytest.raises(InputError, match=f"mine.yaml: {sentence}") as caught:
        chip_with(tmp_path, **units)
    assert "\n" not in str(caught.value)


def test_events_without_a_price_are_errors(plan: Plan) -> None:
    with pytest.raises(KeyError):
        priced(plan, Op.PULSE, "DRAM", Phase.UPDATE, 1)


def test_the_provenance_names_their_numbers(chip: Chip) -> None:
    rows = {row["field"]: row for row in chip.provenance()}
    assert rows["chip.memory.bandwidth"]["unit"] == "b/s"
    assert "NeuroSim" in rows["cards.dram/gddr5.energy.read"]["source"]


def test_standby_figures_of_dram_follow_from_their_currents() -> None:
    from rpusim.arch.chips.library import library

    assert library()["dram/gddr5"].leakage == pytest.approx(1.5 * (45e-3 + (286 - 45) * 1e-3 * 74 / 3800), rel=0.01)
    hbm2 = 8 * 1.2 * (40e-3 + (250 - 40) * 1e-3 * 260 / 3900)
    assert library()["dram/hbm2"].leakage == pytest.approx(hbm2, rel=0.01)
