"""Replicas that are chosen: the least time of the slowest stage that a budget allows."""

from __future__ import annotations

from itertools import product

import numpy as np
import pytest
from generated import again, chain, images, residual, sequences
from hypothesis import given, settings
from hypothesis import strategies as st

from rpusim.arch.chips.chip import Chip
from rpusim.arch.choice.balance import Budget, Stage, balanced, chosen_replicas
from rpusim.arch.contract.activity import Phase
from rpusim.arch.engine.events import Op
from rpusim.arch.mapping.assumed_activity import assumed_activity
from rpusim.arch.mapping.placement import place, replicas_of
from rpusim.arch.network.network import Network
from rpusim.arch.schedule.plan import make_plan
from rpusim.arch.schedule.schedules import run
from rpusim.errors import InputError

stages = st.lists(
    st.builds(
        lambda vectors, held, arrays, kind: Stage("s", tuple(vectors), held, arrays, kind, min(vectors)),
        st.lists(st.integers(1, 6), min_size=1, max_size=2),
        st.integers(1, 9),
        st.integers(1, 5),
        st.integers(0, 1),
    ),
    min_size=1,
    max_size=4,
)
budgets = st.builds(
    Budget,
    st.integers(1, 30),
    st.tuples(st.integers(1, 3), st.integers(1, 3)),
    st.one_of(st.none(), st.tuples(st.integers(0, 20), st.integers(0, 20))),
)


@given(stages, budgets)
@settings(max_examples=500, deadline=None)
def test_no_choice_within_the_budget_is_faster(stages: list[Stage], budget: Budget) -> None:
    """Against all choices; of those that are as fast, none takes fewer tiles."""
    found = balanced(stages, budget)
    every = [c for c in product(*(range(1, s.most + 1) for s in stages)) if budget.allows(stages, c)]
    if found is None:
        assert not every
        return

    def slowest(choice: tuple[int, ...]) -> int:
        return max(stage.time_ps(number) for stage, number in zip(stages, choice, strict=True))

    best = min(map(slowest, every))
    assert budget.allows(stages, found) and slowest(tuple(found)) == best
    assert budget.used(stages, found) == min(budget.used(stages, c) for c in every if slowest(c) == best)


def test_the_pace_of_the_pipeline_is_that_of_the_level() -> None:
    """64, 16 and 1 vectors of 100 ns; 8 tiles of their own: 5 + 2 + 1 replicas, 13 vectors on the busiest array."""
    network, chip = images(8, 4), Chip.load("rpu-2016")
    copies = chosen_replicas(network, chip, "balance", tiles=8)
    assert copies == {"conv1": 5, "conv2": 2, "fc": 1}
    plan = make_plan(place(network, chip, replicas=copies))
    few, more = (run(plan, assumed_activity(plan.placement, n, False), "layer-pipelined").makespan_ps for n in (10, 20))
    held = plan.layers[0].blocks[0].forward
    assert (more - few) / 10 == pytest.approx(64 / 5 * (held.lead_ps + held.overlap_ps), rel=0.03)


def test_max_gives_every_vector_an_array() -> None:
    assert chosen_replicas(images(4, 2), Chip.load("rpu-2016"), "max") == {"conv1": 16, "conv2": 4, "fc": 1}


@pytest.mark.parametrize("network", [images(4, 2), residual(3, 2, 1), again(4, 2), sequences(3, 4, "lstm", True)])
def test_max_is_the_most_that_is_accepted_and_drives_every_array_once_for_a_sample(network: Network) -> None:
    """A further copy of any layer is refused, and those chosen leave no vector to wait for another, by both engines."""
    chip = Chip.load("rpu-2016", {"tiles.0.count": 400})
    copies = chosen_replicas(network, chip, "max")
    for name, number in copies.items():
        with pytest.raises(InputError, match=rf"replicas: got {number + 1} for layer '{name}'"):
            replicas_of(network, {name: number + 1})
    plan = make_plan(place(network, chip, replicas=copies))
    activity = assumed_activity(plan.placement, 1, training=False)
    events = run(plan, activity, "layer-pipelined")
    other = run(plan, activity, "layer-pipelined", engine="simpy")
    assert np.array_equal(events.start, other.start) and np.array_equal(events.end, other.end)
    array = np.array([part == "array" for part in plan.station_parts])[events.station]
    drives = array & (events.op == Op.DRIVE) & (events.phase == Phase.FORWARD)
    for placed in plan.placement.layers:
        mine = drives & (events.layer == placed.index)
        passes = np.bincount(events.tile[mine], minlength=len(placed.blocks))
        once = 1 if not placed.layer.is_recurrent else placed.layer.vectors
        assert passes.tolist() == [once] * len(placed.blocks)


@pytest.mark.parametrize(
    ("given", "tiles", "fit", "sentence"),
    [
        ("ballance", None, "as-is", r"replicas: got 'ballance'; did you mean 'balance'"),
        (
            "balance",
            2,
            "as-is",
            r"needs 3 tiles of chip rpu-2016 without any replicas, but 2 may be used; accept",
        ),
        ("balance", 99, "as-is", r"tiles: got 99, but chip rpu-2016 has 50; accepted: at most these, or fit grow"),
        ("balance", 0, "as-is", r"tiles: got 0 .*at least 1"),
        ("max", 9, "as-is", r"tiles: got 9 with replicas .*max.*; accepted: .*'balance'"),
        ("balance", None, "pack", r"count arrays that layers have for themselves, but fit is pack; accepted: as-is or"),
    ],
)
def test_what_cannot_be_chosen_is_refused(given: str, tiles: int | None, fit: str, sentence: str) -> None:
    with pytest.raises(InputError, match=sentence):
        chosen_replicas(chain(8, 8, 8, 8), Chip.load("rpu-2016"), given, tiles, fit=fit)
