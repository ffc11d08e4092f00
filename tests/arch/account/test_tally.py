"""A tally groups events that cost the same; its account is that of all events one by one."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from generated import chain, works
from hypothesis import example, given, settings
from hypothesis import strategies as st

from rpusim.arch.account import steady
from rpusim.arch.account.pricing import Pricer, _exact_sum, _unwrapped
from rpusim.arch.account.tally import Tally
from rpusim.arch.chips.chip import Chip
from rpusim.arch.contract.activity import Activity, Phase
from rpusim.arch.mapping.placement import place
from rpusim.arch.schedule.plan import Plan, make_plan
from rpusim.arch.schedule.schedules import Schedule, run
from rpusim.errors import InputError


def work(activity: Activity) -> Callable[[int], Activity]:
    """One piece of work, of which there is no more."""
    return lambda number: activity


@given(made=works())
@settings(max_examples=40, deadline=None)
def test_random_activity_is_accounted_for_as_event_by_event(made: tuple[Plan, Activity, Schedule]) -> None:
    plan, activity, schedule = made
    price = Pricer(plan)
    try:
        events = run(plan, activity, schedule)
    except InputError:  # a buffer too small for one window
        return
    tallied = steady.timed(plan, schedule, work(activity), 1).ledger(price)
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


def test_equal_events_are_one_group_however_many_there_are() -> None:
    """Every operation of a vector has a group; the first vectors, which need not wait, may have others."""
    plan, groups = make_plan(place(chain(17, 11), Chip.load("rpu-2016"))), []
    for vectors in (10, 200):
        forward = Activity.rows(phase=Phase.FORWARD, vector=np.arange(vectors), passes=1, active_columns=17)
        timed = steady.timed(plan, "layer-pipelined", work(forward), 1)
        tally = Tally(timed.program, timed.start, timed.end, forward)
        assert int(tally.count.sum()) == len(run(plan, forward, "layer-pipelined"))
        groups.append(len(tally.events))
    assert groups[0] == groups[1] < 10


@example([2**62], 4)
@given(values=st.lists(st.integers(0, 2**62), min_size=1, max_size=5), rate=st.integers(0, 2**40))
def test_durations_times_rates_never_wrap(values: list[int], rate: int) -> None:
    products = _unwrapped(np.array(values, np.int64), rate) * rate
    assert [int(product) for product in products] == [value * rate for value in values]


@given(
    rows=st.lists(st.tuples(st.integers(0, 2**62), st.integers(0, 2**47)), min_size=1, max_size=50),
)
def test_sums_of_products_beyond_64_bits_are_exact(rows: list[tuple[int, int]]) -> None:
    values, counts = (np.array(column, np.int64) for column in zip(*rows, strict=True))
    assert _exact_sum(values, counts) == sum(value * count for value, count in rows)
