"""Prices are proportional to what cards say, however much that is: no product wraps in 64 bits."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import partial

import numpy as np
import pytest
from generated import chain, works
from hypothesis import Phase as Stage
from hypothesis import given, settings
from hypothesis import strategies as st

from rpusim.arch.account.pricing import Pricer
from rpusim.arch.chips.bill_of_parts import BillOfParts, bill_of_parts
from rpusim.arch.chips.chip import Chip
from rpusim.arch.contract.activity import Activity, Phase
from rpusim.arch.engine.events import Events
from rpusim.arch.mapping.placement import place
from rpusim.arch.parts.part import Part
from rpusim.arch.schedule.plan import Plan, make_plan
from rpusim.arch.schedule.schedules import Schedule, run
from rpusim.errors import InputError

Priced = list[tuple[str, list[int]]]


def with_parts(bill: BillOfParts, change: Callable[[Part], Part]) -> BillOfParts:
    tiles = tuple({name: change(part) for name, part in parts.items()} for parts in bill.tiles)
    return replace(bill, tiles=tiles, chip_wide={name: change(part) for name, part in bill.chip_wide.items()})


def dearer(part: Part, times: int) -> Part:
    actions = {name: replace(action, energy_zj=action.energy_zj * times) for name, action in part.actions.items()}
    return replace(part, actions=actions)


def priced(plan: Plan, bill: BillOfParts, events: Events, activity: Activity) -> Priced:
    """What every event takes, of parts that have actions (support circuits have a power)."""
    found = Pricer(plan, bill).priced(events, activity)
    parts = {part.name for part in bill.all_parts() if part.actions}
    return [(part, [int(zj) for zj in zeptojoules]) for part, _, zeptojoules in found if part in parts]


@given(made=works(), digits=st.integers(1, 14))
@settings(max_examples=30, deadline=None, phases=(Stage.explicit, Stage.reuse, Stage.generate))
def test_a_chip_on_which_everything_costs_more_takes_exactly_as_many_times_more(
    made: tuple[Plan, Activity, Schedule], digits: int
) -> None:
    plan, activity, schedule = made
    try:
        events = run(plan, activity, schedule)
    except InputError:  # a buffer too small for one window
        return
    bill, times = bill_of_parts(plan.placement.chip), 10**digits
    usual = priced(plan, bill, events, activity)
    dear = priced(plan, with_parts(bill, lambda part: dearer(part, times)), events, activity)
    assert dear == [(part, [times * zj for zj in zeptojoules]) for part, zeptojoules in usual]


@pytest.mark.parametrize("column", ["coincidences_up", "coincidences_down", "row_pulses", "column_pulses", "slots"])
@pytest.mark.parametrize("power", (20, 24, 27, 30))
def test_large_counts_of_an_update_are_priced_exactly(column: str, power: int) -> None:
    """Each count alone: what it takes is its number times what one takes, whatever else that is taken from."""
    plan = make_plan(place(chain(17, 11), Chip.load("rpu-2016")))
    events = run(plan, Activity.rows(phase=Phase.UPDATE, slots=3, row_pulses=1, column_pulses=1), "sequential")
    bill = with_parts(bill_of_parts(plan.placement.chip), lambda part: dearer(part, 1000))

    def takes(number: int) -> int:
        counts = {"slots": 0} | {column: number}
        return sum(sum(zj) for _, zj in priced(plan, bill, events, Activity.rows(phase=Phase.UPDATE, **counts)))

    number, nothing = (1 << power) + 1, takes(0)
    assert takes(number) - nothing == number * (takes(1) - nothing) != 0


def test_prices_of_many_rows_are_those_of_the_dearest_by_itself() -> None:
    """One row of a thousand needs more than 64 bits; none of the others is changed by that."""
    plan = make_plan(place(chain(17, 11), Chip.load("rpu-2016")))
    inputs = np.full(1000, 3)
    inputs[501] = 17
    activity = Activity.rows(phase=Phase.FORWARD, vector=np.arange(1000), passes=1, active_columns=inputs)
    events, bill = run(plan, activity, "layer-pipelined"), bill_of_parts(plan.placement.chip)
    usual = priced(plan, bill, events, activity)
    for digits in range(4, 12):
        times = 10**digits
        dear = priced(plan, with_parts(bill, partial(dearer, times=times)), events, activity)
        assert dear == [(part, [times * zj for zj in zeptojoules]) for part, zeptojoules in usual]
