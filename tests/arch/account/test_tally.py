"""A tally groups events that cost the same; its account is that of all events one by one."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from generated import chain, works
from hypothesis import given, settings

from rpusim.arch.account import steady
from rpusim.arch.account.pricing import Pricer
from rpusim.arch.chips.chip import Chip
from rpusim.arch.contract.activity import Activity, Phase
from rpusim.arch.mapping.placement import place
from rpusim.arch.schedule.plan import Plan, make_plan
from rpusim.arch.schedule.schedules import run
from rpusim.errors import InputError


def work(activity: Activity) -> Callable[[int], Activity]:
    """One piece of work, of which there is no more."""
    return lambda number: activity


@given(made=works())
@settings(max_examples=40, deadline=None)
def test_random_activity_is_accounted_for_as_event_by_event(made: tuple[Plan, Activity, str]) -> None:
    plan, activity, schedule = made
    price = Pricer(plan)
    try:
        events = run(plan, activity, schedule)  # type: ignore[arg-type]
    except InputError:  # a buffer too small for one window
        return
    tallied = steady.timed(plan, schedule, work(activity), 1).ledger(price)  # type: ignore[arg-type]
    assert tallied == price(events, activity)


def test_events_that_take_equally_long_but_not_equally_much_are_told_apart() -> None:
    """Six vectors of which other lines are not zero, two of them alike."""
    plan = make_plan(place(chain(17, 11), Chip.load("rpu-2016")))
    lines = [3, 8, 15, 8, 1, 17]
    forward = Activity.rows(phase=Phase.FORWARD, vector=np.arange(6), passes=1, active_columns=lines)
    price = Pricer(plan)
    tallied = steady.timed(plan, "layer-pipelined", work(forward), 1).ledger(price)
    whole = price(run(plan, forward, "layer-pipelined"), forward)
    assert tallied == whole
    assert whole.energy["input drivers", "forward", "layer0"] == sum(lines) * 72_300_000
