"""Registers of digital lanes, and headers of messages: in closed form, and in the ledger of a run."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from generated import chain

from rpusim.arch.account.pricing import Pricer
from rpusim.arch.chips.bill_of_parts import bill_of_parts
from rpusim.arch.chips.chip import Chip, presets
from rpusim.arch.contract.digital_work import CLASSES
from rpusim.arch.engine.events import Events, Op
from rpusim.arch.mapping.assumed_activity import assumed_activity
from rpusim.arch.mapping.placement import place
from rpusim.arch.parts.registers import READ
from rpusim.arch.schedule.plan import Plan, make_plan
from rpusim.arch.schedule.schedules import run
from rpusim.errors import InputError

REGISTERS = {"card": "gates-28nm/register-file", "source": "made up, to be counted"}
NEITHER = {"tiles.0.digital.registers": None, "mesh.header_bits": 0}


def chip(changes: dict[str, Any], preset: str = "rpu-2016") -> Chip:
    """Load a chip that ships without registers of its lanes and headers, but for what is changed."""
    return Chip.load(preset, {**NEITHER, **changes})


def with_registers(preset: str = "rpu-2016") -> Chip:
    return chip({"tiles.0.digital.registers": REGISTERS}, preset)


def worked(on: Chip, samples: int = 2) -> tuple[Plan, Events, Any]:
    plan = make_plan(place(chain(20, 11, 10), on))
    activity = assumed_activity(plan.placement, samples, training=on.tiles[0].trains)
    events = run(plan, activity, "sequential")
    return plan, events, Pricer(plan)(events, activity)


@pytest.mark.parametrize("name", presets())
def test_every_chip_that_ships_counts_registers_and_headers_or_says_where_they_are(name: str) -> None:
    shipped = Chip.load(name)
    for kind in shipped.tiles:
        assert kind.digital.registers is not None or len(kind.digital.sources["registers"]) > 20
    assert "header_bits" in shipped.mesh.sources
    assert shipped.mesh.header_bits or "none" in shipped.mesh.sources["header_bits"]


def test_registers_of_eight_words_are_counted_in_gates() -> None:
    """Flip-flops of 3 x 0.567 fJ and 6 x 0.614 um2 (as of ZigZag's figures) would be 1.7 fJ; NeuroSim's are 3.9 fJ."""
    (card,) = (part.card for part in bill_of_parts(Chip.load("neurosim-vgg8")).all_parts() if part.name == "registers")
    assert card.energy["write"] == 3.9e-15
    assert card.energy["read"] == pytest.approx(21 * 0.25 * 0.567e-15, rel=0.01)
    assert card.area == pytest.approx((8 * 16 * 6 + 16 * 21) * 0.614e-12, rel=0.01)


def test_every_class_says_how_many_words_it_reads() -> None:
    assert tuple(READ) == CLASSES


@pytest.mark.parametrize("preset", ["rpu-2016", "reram-512", "cmos-rpu-2017"])
def test_every_operation_reads_its_operands_and_writes_its_result(preset: str) -> None:
    """An addition of words of b bits takes 2 b x 6.3 fJ + b x 9.6 fJ; a random number only the latter."""
    on = with_registers(preset)
    _, events, ledger = worked(on)
    assert events.work is not None and events.works is not None
    done = events.works[events.work].sum(0)
    femtojoules = sum(
        int(number) * on.tiles[0].digital.word_bits * (63 * READ[name] + 96)
        for name, number in zip(CLASSES, done, strict=True)
    )
    assert done.sum()
    booked = sum(zj for (part, phase, _), zj in ledger.energy.items() if part == "registers" and phase != "standby")
    assert booked == femtojoules * 10**5  # tenths of fJ in zJ


def test_they_take_no_time_and_change_nothing_else() -> None:
    _, events, ledger = worked(with_registers())
    plain = worked(chip({}))
    longer_wires = bill_of_parts(with_registers()).hop_seconds >= bill_of_parts(chip({})).hop_seconds
    assert longer_wires and len(events) == len(plain[1])
    assert np.array_equal(events.duration, plain[1].duration)
    others = {key: zj for key, zj in ledger.energy.items() if key[0] != "registers" and key[1] != "standby"}
    moved = {key for key, zj in others.items() if zj != plain[2].energy[key]}
    assert {part for part, *_ in moved} <= {"links"}  # whose wires are longer by the area


def test_a_unit_of_several_tiles_has_them_once() -> None:
    on = with_registers()
    bill, kind = bill_of_parts(on), on.tiles[0]
    units = -(-kind.count // kind.digital.tiles_per_unit)
    assert bill.total("area_m2")["registers"] == pytest.approx(units * kind.digital.lanes * 0.0151e-6)
    assert kind.tiles_sharing("registers") == kind.digital.tiles_per_unit


def test_a_card_with_a_power_is_refused() -> None:
    with pytest.raises(InputError, match=r"digital\.registers.* is for the part"):
        bill_of_parts(chip({"tiles.0.digital.registers": {**REGISTERS, "card": "isaac-2016/input-register"}}))


def test_a_header_goes_ahead_of_every_message_over_every_link() -> None:
    """32 bits more a message and hop: on a link of b bits a second for 32 / b, at the price of so many bits."""
    plan, events, ledger = worked(chip({}))
    _, with_headers, longer = worked(chip({"mesh.header_bits": 32}))
    sent, again = (of.op == Op.SEND for of in (events, with_headers))
    assert np.count_nonzero(sent) == np.count_nonzero(again) > 0
    assert with_headers.amount[again].sum() - events.amount[sent].sum() == 32 * np.count_nonzero(sent)
    stored, still = (of.amount[of.op == Op.STORE].sum() for of in (events, with_headers))
    assert stored == still
    links = [
        sum(zj for (part, phase, _), zj in of.energy.items() if part == "links" and phase != "standby")
        for of in (ledger, longer)
    ]
    parts = bill_of_parts(plan.placement.chip).chip_wide["links"].actions
    ports = np.array(["port" in name for name in plan.stations])[events.station[sent]]
    assert links[1] - links[0] == 32 * (
        np.count_nonzero(sent) * parts["bit"].energy_zj + np.count_nonzero(~ports) * parts["wire"].energy_zj
    )
    assert longer.time_ps > ledger.time_ps


def test_no_header_is_sent_where_nothing_is() -> None:
    plan = make_plan(place(chain(20, 11, 10), chip({"mesh.header_bits": 4096})))
    activity = assumed_activity(plan.placement, 1, training=False)
    skipped = replace(activity, passes=np.zeros_like(activity.passes))
    events = run(plan, skipped, "sequential")
    assert (events.amount[events.op == Op.SEND] >= 4096).all()
