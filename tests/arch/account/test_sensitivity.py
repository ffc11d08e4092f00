"""What each assumption does to the total: that of the same work on a chip with the other number, priced anew."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from generated import chain, works
from hypothesis import Phase as Stage
from hypothesis import given, settings
from hypothesis import strategies as st

from rpusim.arch.account.pricing import Pricer
from rpusim.arch.account.sensitivity import Sensitivity
from rpusim.arch.chips import library
from rpusim.arch.chips.chip import Chip
from rpusim.arch.chips.description import ChipDescription
from rpusim.arch.contract.activity import Activity
from rpusim.arch.mapping.assumed_activity import assumed_activity
from rpusim.arch.mapping.placement import place
from rpusim.arch.schedule.plan import Plan, make_plan
from rpusim.arch.schedule.schedules import Schedule, run
from rpusim.errors import InputError


def other(plan: Plan, chip: ChipDescription) -> Plan:
    return replace(plan, placement=replace(plan.placement, chip=chip))


def with_card(chip: ChipDescription, name: str, **fields: Any) -> ChipDescription:
    card = library.library()[name].model_copy(update=fields)
    return chip.model_copy(update={"cards": {**chip.cards, name: card}})


@given(
    made=works(),
    gating=st.sampled_from(["none", "idle", "tile"]),
    leakage=st.sampled_from(["as-published", "low-standby"]),
)
@settings(max_examples=60, deadline=None, phases=(Stage.explicit, Stage.reuse, Stage.generate))
def test_where_all_events_are_looked_at_the_total_is_that_of_pricing_them_anew(
    made: tuple[Plan, Activity, Schedule], gating: str, leakage: str
) -> None:
    plan, activity, schedule = made
    try:
        events = run(plan, activity, schedule)
    except InputError:  # a buffer too small for one window
        return
    if not events.makespan_ps:
        return
    varied = Sensitivity(plan, Pricer(plan)(events, activity), events, activity)
    chip = plan.placement.chip.model_copy(update={"gating": gating, "leakage": leakage})
    chip = with_card(chip, "puma-2019/router", energy={"bit": 5e-13}, leakage=1e-3)
    chip = with_card(chip, "gates-28nm/pulse-driver", energy={"slot": 4e-15, "pulse": 8e-15})
    anew = Pricer(other(plan, chip))(events, activity).total_zj * 1e-21
    assert varied.total(chip) == pytest.approx(anew, rel=1e-9)


@pytest.fixture(scope="module")
def sensitivity() -> Sensitivity:
    plan = make_plan(place(chain(200, 100, 10), Chip.load("rpu-2016")))
    activity = assumed_activity(plan.placement, 3, training=True)
    events = run(plan, activity, "sequential")
    return Sensitivity(plan, Pricer(plan)(events, activity), events, activity)


def test_the_largest_come_first_and_every_one_is_called_an_assumption(sensitivity: Sensitivity) -> None:
    rows, tried = sensitivity.rows()
    total = sensitivity.total(Chip.load("rpu-2016"))
    swings = [max(abs(row["low_J"] - total), abs(row["high_J"] - total)) for row in rows]
    assert swings == sorted(swings, reverse=True) and len(rows) == 10 < tried
    assert all("assum" in row["source"].lower() for row in rows)
    assert rows[0]["field"] == "chip.gating" and rows[0]["high"] == "none"


def test_a_number_is_varied_over_its_stated_range_or_from_half_to_twice(sensitivity: Sensitivity) -> None:
    rows = {row["field"]: row for row in sensitivity.rows(100)[0]}
    idle = rows["cards.haensch-2018/adc.idle"]
    assert (idle["low"], idle["value"], idle["high"]) == (0.0, 0.92e-3, 1.84e-3)
    line = rows["cards.cells/rpu-2016.electrical.line_capacitance"]
    assert (line["low"], line["high"]) == (line["value"] / 2, line["value"] * 2)


def test_twice_the_idle_power_costs_once_more_what_idle_converters_take(sensitivity: Sensitivity) -> None:
    chip = Chip.load("rpu-2016")
    ledger = sensitivity._ledger
    idle = ledger.energy["ADC", "idle", "chip"] * 1e-21
    rows = {row["field"]: row for row in sensitivity.rows(100)[0]}
    assert rows["cards.haensch-2018/adc.idle"]["high_J"] - sensitivity.total(chip) == pytest.approx(idle, rel=1e-9)
