"""What parts draw that do nothing: closed forms, and laws of gating over generated chips, networks and activity."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from generated import chain, works
from hypothesis import Phase as Stage
from hypothesis import given, settings

from rpusim.arch.account.ledger import CHIP, IDLE, RESTING, STANDBY, Ledger
from rpusim.arch.account.pauses import Pauses
from rpusim.arch.account.pricing import Pricer
from rpusim.arch.chips.bill_of_parts import bill_of_parts
from rpusim.arch.chips.chip import Chip
from rpusim.arch.chips.library import library
from rpusim.arch.contract.activity import Activity, Phase
from rpusim.arch.engine.events import Events, Op
from rpusim.arch.mapping.placement import place
from rpusim.arch.schedule.plan import Plan, make_plan
from rpusim.arch.schedule.schedules import Schedule, run
from rpusim.errors import InputError

GATING = ("none", "idle", "tile")
NW = 10**9


def gated(plan: Plan, gating: str) -> Plan:
    chip = plan.placement.chip.model_copy(update={"gating": gating})
    return replace(plan, placement=replace(plan.placement, chip=chip))


def at_rest(ledger: Ledger) -> int:
    return sum(zj for (_, phase, _), zj in ledger.energy.items() if phase in RESTING)


def at_work(ledger: Ledger) -> dict[Any, int]:
    return {key: zj for key, zj in ledger.energy.items() if key[1] not in RESTING}


@given(made=works())
@settings(max_examples=100, deadline=None, phases=(Stage.explicit, Stage.reuse, Stage.generate))
def test_more_gating_never_costs_more_at_rest_and_changes_nothing_at_work(
    made: tuple[Plan, Activity, Schedule],
) -> None:
    plan, activity, schedule = made
    try:
        events = run(plan, activity, schedule)
    except InputError:  # a buffer too small for one window
        return
    none, idle, tile = (Pricer(gated(plan, gating))(events, activity) for gating in GATING)
    assert at_rest(none) >= at_rest(idle) >= at_rest(tile) >= 0
    assert at_work(none) == at_work(idle) == at_work(tile)
    for ledger in (none, idle, tile):
        assert all(zj >= 0 for zj in ledger.energy.values())
        for column in range(3):
            assert sum(ledger.by(column).values()) == ledger.total_zj
        if ledger.time_ps:
            average = ledger.total_zj / ledger.time_ps / NW
            assert average <= ledger.peak_w * (1 + 1e-9)


@pytest.fixture(scope="module")
def plan() -> Plan:
    return make_plan(place(chain(200, 100), Chip.load("rpu-2016")))


def one_read(plan: Plan, start: int, stop: int) -> Events:
    """A conversion of the row ADCs that ends when the work does."""
    columns = {name: np.zeros(1, np.int64) for name in Events.__dataclass_fields__}
    station = next(i for i, name in enumerate(plan.stations) if name.endswith("row ADCs"))
    given = {"op": Op.CONVERT, "station": station, "start": start, "end": stop}
    return Events(**{**columns, **{name: np.array([value]) for name, value in given.items()}})


class TestClosedForms:
    """One conversion from 1 us to 1.005 us on a tile of 2 x 256 converters that wait at 0.92 mW each."""

    ACTIVITY = Activity.rows(phase=Phase.FORWARD, passes=1, active_columns=1)
    SIDE = 256 * 920_000  # zJ/ps of the converters of one side

    def idle(self, plan: Plan, gating: str) -> int:
        return Pricer(gated(plan, gating))(one_read(plan, 1_000_000, 1_005_000), self.ACTIVITY).energy[
            "ADC", IDLE, CHIP
        ]

    def test_without_gating_a_converter_draws_its_idle_power_whenever_it_does_not_convert(self, plan: Plan) -> None:
        assert self.idle(plan, "none") == self.SIDE * (1_000_000 + 1_005_000)

    @pytest.mark.parametrize("gating", ["idle", "tile"])
    def test_gated_it_draws_it_for_its_wake_time(self, plan: Plan, gating: str) -> None:
        assert self.idle(plan, gating) == self.SIDE * 10_000

    def test_a_pause_that_is_shorter_than_the_wake_time_is_not_used(self, plan: Plan) -> None:
        ledger = Pricer(gated(plan, "idle"))(one_read(plan, 4_000, 9_000), self.ACTIVITY)
        assert ledger.energy["ADC", IDLE, CHIP] == self.SIDE * 4_000

    def test_waking_is_spread_over_the_conversion_that_it_is_for(self, plan: Plan) -> None:
        events = one_read(plan, 1_000_000, 1_005_000)
        for gating, times in (("none", 0.0), ("idle", 10_000 / 5_000)):
            assert Pricer(gated(plan, gating)).woken(events).tolist() == [self.SIDE * times]
        early = one_read(plan, 4_000, 9_000)  # a pause of 4 ns only
        assert Pricer(gated(plan, "idle")).woken(early).tolist() == [self.SIDE * 4_000 / 5_000]

    def test_work_that_goes_on_from_other_work_wakes_for_the_pause_between_them(self, plan: Plan) -> None:
        """1 ns after the conversion of the first piece ends it ends, too; the second converts from 4 ns on."""
        price = Pricer(gated(plan, "idle"))
        ledger, rested = price.piece(one_read(plan, 4_000, 9_000), self.ACTIVITY, None)
        assert ledger.time_ps == 9_000 and set(rested.tolist()) == {0, -1}
        later, _ = price.piece(one_read(plan, 4_000, 9_000), self.ACTIVITY, np.where(rested < 0, -1, 1_000))
        assert later.energy["ADC", IDLE, CHIP] == self.SIDE * (4_000 + 1_000)

    def test_a_tile_that_is_cut_off_leaks_its_buffer_alone(self, plan: Plan) -> None:
        events = one_read(plan, 1_000_000, 1_005_000)
        on, off = (Pricer(gated(plan, gating))(events, self.ACTIVITY).energy for gating in ("idle", "tile"))
        assert on["buffer", STANDBY, CHIP] == off["buffer", STANDBY, CHIP] > 0
        lanes = bill_of_parts(plan.placement.chip).tiles[0]["digital unit"].leakage_w
        assert off["digital unit", STANDBY, CHIP] == pytest.approx(lanes * 15e-9 * 1e21, rel=1e-3)  # wakes in 10 ns
        assert on["digital unit", STANDBY, CHIP] == pytest.approx(lanes * 1005e-9 * 1e21, rel=1e-3)

    def test_a_chip_that_stands_still_draws_what_is_not_gated(self, plan: Plan) -> None:
        drawn = []
        for gating in GATING:
            ledger, price = Ledger(), Pricer(gated(plan, gating))
            price.rest.stand_still(ledger, 1000)
            assert ledger.time_ps == 1000
            drawn.append(ledger.total_zj)
        assert drawn[0] == 1000 * (sum(price.rest.standby.values()) + sum(price.rest.idle.values()))
        assert drawn[1] == 1000 * sum(price.rest.standby.values())
        outside = price.rest.standby["buffer"] + price.rest.standby["links"]
        assert drawn[2] == pytest.approx(1000 * outside, abs=1000 * len(price.rest.standby))  # to 1 nW for each part


def test_pauses_of_a_group_are_those_of_all_its_stations_together() -> None:
    """Work from 5 to 9 and from 8 to 12 on two stations of a group, then from 100 on: awake for 5, then for 30."""
    names = Events.__dataclass_fields__
    columns = {name: np.zeros(3, np.int64) for name in names}
    columns |= {"station": np.array([0, 1, 0]), "start": np.array([5, 8, 100]), "end": np.array([9, 12, 101])}
    found = Pauses.of(Events(**columns), [((0, 1), 30, 7), ((1,), 3, 0)])
    assert found.covered_ps.tolist() == [8, 4] and found.waking_ps.tolist() == [35, 3]
    assert found.first_ps.tolist() == [5, 8] and found.last_ps.tolist() == [101, 12]
    # All of the wake time before the first event; 7 zJ/ps for 30 ps, over 4 ps and over 1 ps.
    assert found.woken_pw.tolist() == [7000 * 30 / 4, 0, 7000 * 30]
    assert found.seam(200).waking_ps.tolist() == [25, 0]


def test_power_that_cannot_be_counted_is_refused(plan: Plan) -> None:
    """2^62 pW are 4.61 MW, of all units together."""
    chip = plan.placement.chip
    card = library()["haensch-2018/adc"].model_copy(update={"energy": {"convert": 1.0}})
    dear = chip.model_copy(update={"cards": {**chip.cards, card.name: card}})
    price = Pricer(replace(plan, placement=replace(plan.placement, chip=dear)))
    row = Activity.rows(phase=Phase.FORWARD, passes=1, active_columns=1)
    events = replace(one_read(plan, 4_000, 9_000), amount=np.array([1]))
    with pytest.raises(InputError, match=r"chip: its units would draw up to 2e\+08 W each, but at most 4.61e\+06 W"):
        price(events, row)
