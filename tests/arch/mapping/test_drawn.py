"""Replicas whose shares the rows of activity say: what is sent follows them; if they take turns, all is as planned."""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import replace

import numpy as np
import pytest
from generated import changed, images, one_mini_batch, one_replica, replicated, with_outside, works
from hypothesis import Phase as Stage
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from rpusim.arch.analysis.occupancy import kept_bits
from rpusim.arch.chips.chip import Chip
from rpusim.arch.contract.activity import Activity, Phase
from rpusim.arch.engine.events import NO_ROW, SAMPLE, Events, Op
from rpusim.arch.mapping.assumed_activity import assumed_activity
from rpusim.arch.mapping.placement import Placement, place
from rpusim.arch.network.network import connect
from rpusim.arch.network.operations import Operation, WeightLayer, Window
from rpusim.arch.schedule.plan import Plan, make_plan
from rpusim.arch.schedule.schedules import Schedule, run
from rpusim.arch.schedule.work import Todo
from rpusim.errors import InputError

WITHOUT_SHRINKING = (Stage.explicit, Stage.reuse, Stage.generate)
SIDE, CHANNELS, SAMPLES = 6, 4, 3
NEXT = SIDE // 2
WORD = Chip.load("reram-512").tiles[0].digital.word_bits


def placed(first: int, second: int, chip: Chip | None = None) -> Placement:
    copies = {"conv1": first, "conv2": second}
    return place(images(SIDE, CHANNELS), chip or changed(Chip.load("reram-512")), replicas=copies, drawn=True)


def shared(activity: Activity, placement: Placement, seed: int) -> Activity:
    """The same rows, each vector on some replica, the same one in all phases; some have more, some have none."""
    layers, rng = placement.layers, np.random.default_rng(seed)
    tile = activity.tile.astype(np.int64)
    for layer in layers:
        mine = activity.layer == layer.index
        most = int(activity.vector[mine].max(initial=-1)) + 1
        replica = rng.integers(0, layer.replicas, (int(activity.step.max(initial=0)) + 1, most))
        tile[mine] = tile[mine] % layer.grid + replica[activity.step[mine], activity.vector[mine]] * layer.grid
    order = np.lexsort((activity.vector, tile, activity.phase, activity.layer, activity.step))
    return replace(activity, tile=tile.astype(np.int32)).select(order)


def work(placement: Placement, seed: int, training: bool) -> Activity:
    alone = one_replica(placement)
    return shared(one_mini_batch(assumed_activity(alone, SAMPLES, training), alone), placement, seed)


def replica_of(activity: Activity, layer: int, grid: int = 1) -> dict[int, int]:
    mine = (activity.layer == layer) & (activity.phase == Phase.FORWARD)
    return dict(zip(activity.vector[mine].tolist(), (activity.tile[mine] // grid).tolist(), strict=True))


def windows(side: int) -> list[set[int]]:
    """Positions of a square image under each 3 x 3 window with a margin of one, in raster order."""
    inside = range(side)
    around = (-1, 0, 1)
    return [
        {(row + y) * side + column + x for y in around for x in around if row + y in inside and column + x in inside}
        for row in inside
        for column in inside
    ]


def completed(position: int) -> int:
    """The vector of the first convolution that completes a pooled position: the last of four."""
    y, x = divmod(position, NEXT)
    return (2 * y + 1) * SIDE + 2 * x + 1


def stores(plan: Plan, events: Events, layer: int, phase: Phase) -> Counter[str]:
    chosen = (
        (events.op == Op.STORE)
        & np.isin(events.row, [NO_ROW, SAMPLE])
        & (events.layer == layer)
        & (events.phase == phase)
    )
    found: Counter[str] = Counter()
    for station, bits in zip(events.station[chosen], events.amount[chosen].tolist(), strict=True):
        found[plan.stations[station]] += bits
    return +found


def buffer(placement: Placement, layer: int, replica: int) -> str:
    return f"tile {placement.layers[layer].blocks[replica].chip_tile} buffer"


@given(works(fits=("as-is",)), st.integers(0, 99))
@settings(max_examples=40, deadline=None, phases=WITHOUT_SHRINKING)
def test_if_the_rows_say_that_replicas_take_turns_every_event_is_as_if_they_were_planned_to(
    drawn_work: tuple[Plan, Activity, Schedule], seed: int
) -> None:
    """The two ways of counting what goes from replica to replica: by turns, and by what these vectors read.

    In front of recurrent layers in a pipeline the same is done and takes as long, but what is asked for at one instant
    may be done in another order.
    """
    plan, activity, schedule = drawn_work
    before = plan.placement
    copies = {layer.layer.name: layer.replicas for layer in before.layers}
    assume(max(copies.values()) > 1)
    try:
        after = place(before.network, before.chip, before.bias, before.cell, copies, True, before.fit)
    except InputError:  # sums at replicas
        assume(False)
    activity = one_mini_batch(activity, before) if activity.trains else activity
    try:
        in_turn = run(plan, activity, schedule).columns()
    except InputError as error:  # buffers that are too small
        with pytest.raises(InputError, match=re.escape(str(error))):
            run(make_plan(after), activity, schedule)
        return
    drawn = run(make_plan(after), activity, schedule).columns()
    for columns in (in_turn, drawn):
        del columns["station"]  # numbered as messages are made
        if schedule == "layer-pipelined" and any(layer.is_recurrent for layer in before.network.layers):
            columns["start"] = columns.pop("end") - columns["start"]  # the same durations, in whichever order
    orders = [np.lexsort(tuple(columns.values())) for columns in (in_turn, drawn)]
    assert len(orders[0]) == len(orders[1])
    for name, values in in_turn.items():
        assert np.array_equal(values[orders[0]], drawn[name][orders[1]]), name


@given(st.integers(0, 99), st.integers(1, 9), st.integers(1, 9), st.sampled_from(["sequential", "minibatch-pipelined"]))
@settings(max_examples=10, deadline=None, phases=WITHOUT_SHRINKING)
def test_each_array_does_the_vectors_that_the_rows_say_and_nobody_does_any_other(
    seed: int, first: int, second: int, schedule: Schedule
) -> None:
    placement = placed(first, second)
    activity = work(placement, seed, training=True)
    plan = make_plan(placement)
    events = run(plan, activity, schedule)
    assert run(plan, activity, schedule, "simpy").makespan_ps == events.makespan_ps
    for op, phase in ((Op.DRIVE, Phase.FORWARD), (Op.DRIVE, Phase.BACKWARD), (Op.PULSE, Phase.UPDATE)):
        chosen = (events.op == op) & (events.phase == phase)
        of_rows = activity.phase == phase
        done = Counter(zip(*(getattr(events, c)[chosen].tolist() for c in ("layer", "tile", "vector")), strict=True))
        told = Counter(zip(*(getattr(activity, c)[of_rows].tolist() for c in ("layer", "tile", "vector")), strict=True))
        assert set(done) == set(told)
        slots = events.amount[chosen & (events.layer == 0) & (events.tile == 0)].sum() if phase == Phase.UPDATE else 0
        mine = of_rows & (activity.layer == 0) & (activity.tile == 0)
        assert phase != Phase.UPDATE or bool(slots) == bool(activity.slots[mine].sum())
    assert np.sum(kept_bits(plan, activity, events)) == 0  # all that came has gone


@given(st.integers(0, 99), st.integers(1, 36), st.integers(1, 9))
@settings(max_examples=10, deadline=None, phases=WITHOUT_SHRINKING)
def test_replicas_get_what_the_windows_of_their_vectors_read_and_send_back_that_much(
    seed: int, first: int, second: int
) -> None:
    chip = with_outside(changed(Chip.load("reram-512")), frozenset(["host"]))
    placement = placed(first, second, chip)
    activity = work(placement, seed, training=True)
    plan = make_plan(placement)
    events = run(plan, activity, "sequential")
    givers, takers = replica_of(activity, 0), replica_of(activity, 1)
    read = {
        (sample, takers[sample * NEXT**2 + vector], position)
        for sample in range(SAMPLES)
        for vector, under in enumerate(windows(NEXT))
        for position in under
    }
    own = {
        (sample, givers[sample * SIDE**2 + vector], position)
        for sample in range(SAMPLES)
        for vector, under in enumerate(windows(SIDE))
        for position in under
    }
    came = Counter({buffer(placement, 0, replica): 0 for replica in range(first)})
    for _, replica, _ in own:
        came[buffer(placement, 0, replica)] += WORD
    for _, replica, _ in read:
        came[buffer(placement, 1, replica)] += CHANNELS * WORD
    back: Counter[str] = Counter()
    for sample, _, position in read:
        back[buffer(placement, 0, givers[sample * SIDE**2 + completed(position)])] += CHANNELS * WORD
    of_last = {buffer(placement, 2, 0)}
    assert stores(plan, events, 0, Phase.FORWARD) == +came
    assert stores(plan, events, 1, Phase.BACKWARD) == back
    assert set(stores(plan, events, 1, Phase.FORWARD)) == of_last
    joins = plan.layers[0].joins
    todo = Todo(plan, activity)
    if joins is not None and todo.shares is not None:
        assert joins.of(todo.shares).sum() == (len(read) - SAMPLES * NEXT**2) * CHANNELS


def test_turns_are_refused_where_nothing_says_that_shares_are_drawn() -> None:
    placement = placed(4, 2)
    planned = place(placement.network, placement.chip, replicas={"conv1": 4, "conv2": 2})
    assert not planned.drawn and placement.drawn
    with pytest.raises(AssertionError, match="gaps"):
        run(make_plan(planned), work(placement, 1, training=False), "sequential")
    in_turn = replicated(
        planned, one_mini_batch(assumed_activity(one_replica(planned), 2, False), one_replica(planned))
    )
    assert run(make_plan(planned), in_turn, "sequential").makespan_ps > 0


def test_sums_at_replicas_are_refused() -> None:
    window, shape = Window((3, 3), padding=(1, 1)), (4, SIDE, SIDE)
    steps = [
        (WeightLayer.convolution("conv1", (1, SIDE, SIDE), 4, window), ("input",)),
        (WeightLayer.convolution("conv2", (1, SIDE, SIDE), 4, window), ("input",)),
        (Operation.digital("sum", "add", shape, inputs=2), ("conv1", "conv2")),
    ]
    network = connect("sums", (1, SIDE, SIDE), steps)
    with pytest.raises(InputError, match="replicas: got 2 for layer 'conv2', where the branches of 'sum' are summed"):
        place(network, Chip.load("reram-512"), replicas={"conv2": 2}, drawn=True)
    assert place(network, Chip.load("reram-512"), replicas={"conv1": 2}, drawn=True).drawn
