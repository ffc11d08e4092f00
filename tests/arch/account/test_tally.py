"""A tally groups events that cost the same; its account is that of all events one by one."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable

import numpy as np
import pytest
from generated import chain, works
from hypothesis import example, given, settings
from hypothesis import strategies as st

from rpusim.arch.account import steady
from rpusim.arch.account.exact_sums import exact_sums
from rpusim.arch.account.pauses import Pauses
from rpusim.arch.account.pricing import Pricer, _unwrapped
from rpusim.arch.account.tally import Tally, _alike
from rpusim.arch.chips.chip import Chip
from rpusim.arch.contract.activity import EMPTY, Activity, Phase
from rpusim.arch.contract.columns import Integers
from rpusim.arch.engine.events import Events
from rpusim.arch.mapping.assumed_activity import assumed_activity
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
    """Every operation of a vector has a group, and one more for each other duration of it."""
    plan, groups = make_plan(place(chain(17, 11), Chip.load("rpu-2016"))), []
    for vectors in (10, 200):
        forward = Activity.rows(phase=Phase.FORWARD, vector=np.arange(vectors), passes=1, active_columns=17)
        timed = steady.timed(plan, "layer-pipelined", work(forward), 1)
        tally = Tally(timed.program, timed.start, timed.end, forward)
        events = run(plan, forward, "layer-pipelined")
        assert int(tally.count.sum()) == len(events)
        assert len(tally.events) == len(kinds(events, np.ones(len(events), np.int64)))
        groups.append(len(tally.events))
    assert groups[0] == groups[1] < 10


def kinds(events: Events, count: Integers) -> Counter[tuple[int, ...]]:
    """How many events there are of every kind, each of which stands for ``count``."""
    found = Counter[tuple[int, ...]]()
    columns = (events.op, events.station, events.phase, events.layer, events.tile, events.amount, events.duration)
    for what, number in zip(zip(*(column.tolist() for column in columns), strict=True), count.tolist(), strict=True):
        found[what] += number
    return found


@given(samples=st.integers(4, 40), sizes=st.lists(st.integers(1, 60), min_size=2, max_size=3), training=st.booleans())
@settings(max_examples=20, deadline=None)
def test_groups_stand_for_all_samples_those_that_were_not_run_included(
    samples: int, sizes: list[int], training: bool
) -> None:
    plan = make_plan(place(chain(*sizes), Chip.load("rpu-2016")))
    rows = [assumed_activity(plan.placement, number, training) for number in range(samples + 1)]
    timed = steady.timed(plan, "sequential", lambda number: rows[number], samples)
    tally = timed._tally
    events = run(plan, rows[samples], "sequential")
    assert kinds(tally.events, tally.count) == kinds(events, np.ones(len(events), np.int64))
    assert tally.makespan_ps == events.makespan_ps


def test_groups_are_told_apart_by_what_rows_say_and_not_by_when_or_where() -> None:
    """Rows 0, 2 and 3 are alike; each of seven others differs in one column."""
    columns: dict[str, list[int]] = {name: [1] * 4 for name in ("passes", "active_columns", "slots", "set_bits")}
    columns |= {"vector": [0, 1, 2, 3], "step": [0, 0, 1, 2]}
    columns["active_columns"][1] = 2
    assert _alike(Activity.rows(phase=Phase.FORWARD, **columns)).tolist() == [0, 1, 0, 0]
    for name in ("passes", "slots", "set_bits", "row_pulses", "coincidences_up", "writes", "array"):
        each = Activity.rows(phase=Phase.FORWARD, **{**columns, name: [1, 1, 7, 1]})
        assert _alike(each).tolist() == [0, 1, 2, 0], name
    assert not len(_alike(EMPTY))


@pytest.mark.parametrize("at_once", [1, 3, 60])
def test_pauses_are_those_of_the_events_however_many_groups_are_looked_at_in_one_go(
    at_once: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of all stations of both layers, in several samples, and of some that no event is of."""
    monkeypatch.setattr("rpusim.arch.account.tally.AT_ONCE", at_once)
    chip = Chip.load("rpu-2016").model_copy(update={"gating": "tile"})
    plan = make_plan(place(chain(40, 30, 10), chip))
    activity = assumed_activity(plan.placement, 3, True)
    timed, events = steady.timed(plan, "sequential", work(activity), 1), run(plan, activity, "sequential")
    groups = [*Pricer(plan).rest.groups, ((len(plan.stations) + 5,), 7, 0)]
    assert len(groups) > 6 and len({len(group[0]) for group in groups}) > 1
    found, expected = timed._tally.pauses(groups), Pauses.of(events, groups)
    for name in ("covered_ps", "waking_ps", "first_ps", "last_ps", "wake_ps"):
        assert getattr(found, name).tolist() == getattr(expected, name).tolist(), name
    assert (
        np.sort(found.woken_pw[found.woken_pw > 0]).tolist()
        == np.sort(expected.woken_pw[expected.woken_pw > 0]).tolist()
    )


@example([2**62], 4)
@given(values=st.lists(st.integers(0, 2**62), min_size=1, max_size=5), rate=st.integers(0, 2**40))
def test_durations_times_rates_never_wrap(values: list[int], rate: int) -> None:
    products = _unwrapped(np.array(values, np.int64), rate) * rate
    assert [int(product) for product in products] == [value * rate for value in values]


@settings(deadline=None)
@given(
    rows=st.lists(st.tuples(st.integers(0, 2**62), st.integers(0, 2**47), st.integers(0, 4)), min_size=1, max_size=50),
    of_any_size=st.booleans(),
)
def test_sums_of_products_beyond_64_bits_are_exact(rows: list[tuple[int, int, int]], of_any_size: bool) -> None:
    values, counts, groups = (np.array(column, np.int64) for column in zip(*rows, strict=True))
    members = np.arange(len(rows))[::-1]
    given = values[::-1].astype(object) if of_any_size else values[::-1]
    expected: dict[int, int] = {}
    for value, count, group in rows:
        expected[group] = expected.get(group, 0) + value * count
    assert list(exact_sums(given, members, groups, counts, 5)) == sorted(expected.items())
