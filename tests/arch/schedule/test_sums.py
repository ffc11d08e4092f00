"""Sums of branches: made once, sent once to each reader, their errors made once and sent to each branch."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings

from rpusim.arch.account.ledger import STANDBY
from rpusim.arch.account.pricing import Pricer
from rpusim.arch.analysis.occupancy import kept_bits
from rpusim.arch.chips.chip import Chip
from rpusim.arch.contract.activity import Activity, Phase
from rpusim.arch.engine.events import PART, Events, Op
from rpusim.arch.mapping.assumed_activity import assumed_activity
from rpusim.arch.mapping.placement import place
from rpusim.arch.network.network import INPUT, Network, connect
from rpusim.arch.network.operations import Operation, WeightLayer
from rpusim.arch.schedule.plan import Plan, make_plan
from rpusim.arch.schedule.schedules import Schedule, run
from rpusim.arch.schedule.storage import sent
from rpusim.errors import InputError
from tests.arch.generated import around, changed, gated, residual, sums, works

SCHEDULES = [
    (False, "sequential"),
    (False, "layer-pipelined"),
    (True, "sequential"),
    (True, "minibatch-pipelined"),
    (True, "asynchronous"),
]


def blocks(depth: int, width: int = 256) -> Network:
    """x = relu(x + Linear(x)), 16 positions, so often."""
    steps: list[tuple[Operation, tuple[str, ...]]] = []
    x, shape = "input", (16, width)
    for block in range(depth):
        steps.append((WeightLayer.linear(f"linear{block}", shape, width), (x,)))
        steps.append((Operation.digital(f"sum{block}", "add", shape, inputs=2), (f"linear{block}", x)))
        x = f"relu{block}"
        steps.append((Operation.digital(x, "activation", shape, detail="relu"), (f"sum{block}",)))
    return connect("blocks", shape, steps)


def timed(network: Network, training: bool, schedule: Schedule, samples: int = 2) -> tuple[Plan, Activity, Events]:
    chip = changed(Chip.load("reram-512"))
    chip = chip.model_copy(update={"mesh": chip.mesh.model_copy(update={"columns": 128})})  # neighbours in one row
    placement = place(network, chip)
    plan, activity = make_plan(placement), assumed_activity(placement, samples, training, samples)
    return plan, activity, run(plan, activity, schedule)


def stored(events: Events, phase: Phase) -> int:
    return int(events.amount[(events.op == Op.STORE) & (events.phase == phase) & (events.row < 0)].sum())


@pytest.mark.parametrize("training", [False, True])
def test_each_further_block_stores_the_same_bits(training: bool) -> None:
    """One block more: its sum goes to the next layer and to the next sum, forward and backward.

    In training it also keeps, for the way back, a bit of every value that its relu lets through or not.
    """
    values, word = 16 * 256, Chip.load("reram-512").tiles[0].digital.word_bits
    for phase in (Phase.FORWARD, Phase.BACKWARD) if training else (Phase.FORWARD,):
        found = [stored(timed(blocks(depth), training, "sequential", 1)[2], phase) for depth in (4, 8, 16, 32)]
        each = values * (2 * word + (training and phase == Phase.FORWARD))
        assert np.diff(found).tolist() == [4 * each, 8 * each, 16 * each]


@pytest.mark.parametrize(("training", "schedule"), SCHEDULES)
def test_a_further_block_takes_as_long_and_as_much_energy_whatever_the_depth(
    training: bool, schedule: Schedule
) -> None:
    """Standby aside, which lasts longer on more tiles."""
    found = []
    for depth in (4, 8, 16, 32):
        plan, activity, events = timed(blocks(depth), training, schedule)
        energy = Pricer(plan)(events, activity).energy
        found.append((events.makespan_ps, sum(zj for key, zj in energy.items() if STANDBY not in key)))
    rise = np.diff(np.array(found), axis=0) / np.array([[4], [8], [16]])
    assert (rise[1:] <= 1.1 * rise[:-1]).all()  # less is right: samples come in further ahead of a longer pipeline
    assert (rise[1:] >= 0.9 * rise[:-1]).all()


def _operations(plan: Plan, stage: int) -> int:
    """Digital operations per sample behind a stage, as its unit computes them; scaling, too, if that is part of it."""
    network = plan.placement.network
    layer = plan.layers[max(network.home(stage), 0)]
    digital = layer.blocks[0].kind.digital
    own = sum(elements * digital.forward(name).total for name, elements in network.functions(stage).items())
    scaled = stage == layer.index and digital.pipelined and layer.placed.grid == 1
    return own + scaled * layer.placed.layer.outputs * layer.placed.layer.vectors * digital.of_an_output.total


@given(work=works(sums))
@settings(max_examples=60, deadline=None)
def test_what_is_sent_to_sums_is_stored_there_and_all_digital_operations_are_done_once(
    work: tuple[Plan, Activity, Schedule],
) -> None:
    """Bits stored = positions x outputs x bits of a word, of every branch; and of the sample, if brought in."""
    plan, activity, schedule = work
    try:
        events = run(plan, activity, schedule)
    except InputError as error:  # of a pipeline whose buffers are too small
        assert schedule == "layer-pipelined" and "larger buffers are needed" in str(error)
        return
    network, stages = plan.placement.network, len(plan.layers) + len(plan.placement.network.sums)
    samples = _samples(plan, activity)
    parts = sum(
        int(edge.emits.sum()) * giver.placed.layer.outputs * giver.blocks[0].kind.digital.word_bits
        for made in network.sums
        for edge in network.edges
        if edge.consumer == made.number and network.home(edge.producer) not in (INPUT, made.home)
        for giver in (plan.layers[network.home(edge.producer)],)
    )
    if {"DRAM", "host link"} & plan.outside.keys():
        inputs = [made.inputs for layer in plan.layers for made in layer.sums]
        parts += sum(sum(sent([messages], 1, 1).values()) for messages in inputs)
    waiting = (events.op == Op.STORE) & (events.row == PART)
    assert events.amount[waiting].sum() == parts * samples
    assert set(events.phase[waiting]) <= {Phase.FORWARD}
    done = (events.op == Op.DIGITAL) & (events.phase == Phase.FORWARD) & (events.row < 0)
    assert events.amount[done].sum() == samples * sum(_operations(plan, stage) for stage in (INPUT, *range(stages)))


@given(work=works(sums))
@settings(max_examples=60, deadline=None)
def test_the_error_of_a_sum_takes_as_many_bits_to_each_branch_as_the_branch_took_to_the_sum(
    work: tuple[Plan, Activity, Schedule],
) -> None:
    plan, _, _ = work
    network = plan.placement.network
    for layer in plan.layers:
        for made in layer.sums:
            assert {part for part, _ in made.needs} == set(network.predecessors(made.number)) - {INPUT}
            for part, errors in made.errors:
                giver = plan.layers[network.home(part)]
                stages = {giver.index: giver.outputs} | {other.number: other.outputs for other in giver.sums}
                forward = stages[part][network.successors(part).index(made.number)]
                there, back = (
                    sum(sent(messages, home.placed.replicas, home.placed.layer.vectors).values())
                    for messages, home in ((forward, giver), (errors, layer))
                )
                assert there == back
                assert (there == 0) == (giver is layer)


@pytest.mark.parametrize(("training", "schedule"), SCHEDULES)
@pytest.mark.parametrize("network", [residual(4, 3, 3), gated(3, 5), around(20, 3)], ids=lambda each: each.name)
def test_buffers_are_empty_in_the_end(network: Network, training: bool, schedule: Schedule) -> None:
    plan, activity, events = timed(network, training, schedule)
    change = kept_bits(plan, activity, events)
    assert change.any() and change.sum() == 0


@pytest.mark.parametrize(("training", "schedule"), SCHEDULES)
def test_a_sum_follows_its_branches_and_comes_before_its_readers(training: bool, schedule: Schedule) -> None:
    """Of every vector: the last part is there before the operations of the sum, which come before what reads it."""
    _plan, _, events = timed(blocks(3, 16), training, schedule, 1)
    forward = events.phase == Phase.FORWARD
    for vector in range(16):
        mine = forward & (events.vector == vector)
        for home in (1, 2):
            came = mine & (events.layer == home - 1) & (events.row == PART) & (events.op == Op.STORE)
            made = mine & (events.layer == home) & (events.row == -1) & (events.op == Op.DIGITAL)
            assert came.sum() == made.sum() == 1
            assert events.end[came].max() <= events.start[made].min()
            read = mine & (events.layer == home + 1) & (events.op == Op.DRIVE) & (events.amount > 0)
            assert not read.any() or events.start[read].min() >= events.end[made].max()


def test_the_error_of_a_sum_is_known_before_that_of_its_branches() -> None:
    _plan, _, events = timed(blocks(3, 16), True, "minibatch-pipelined", 1)
    back = (events.phase == Phase.BACKWARD) & (events.op == Op.DIGITAL) & (events.row == -1)
    last = [events.end[back & (events.layer == layer)].max() for layer in range(3)]
    assert last[2] < last[1] < last[0]


def test_a_frozen_branch_gets_no_error() -> None:
    """Only the layers that have backward or update rows are sent one; the others of the sum are."""
    network = around(8, 2)
    placement = place(network, changed(Chip.load("reram-512")))
    plan, activity = make_plan(placement), assumed_activity(placement, 1, True)
    whole = run(plan, activity, "sequential")
    frozen = run(plan, activity.select((activity.layer == 1) | (activity.phase == Phase.FORWARD)), "sequential")
    sizes = [int(e.amount[(e.phase == Phase.BACKWARD) & (e.op == Op.STORE)].sum()) for e in (whole, frozen)]
    word = plan.layers[0].blocks[0].kind.digital.word_bits
    assert sizes[0] - sizes[1] == 3 * 8 * word  # what the second sum sends to the first


def _samples(plan: Plan, activity: Activity) -> int:
    """How many samples go forward."""
    placed = plan.layers[0].placed
    rows = (activity.layer == 0) & (activity.phase == Phase.FORWARD)
    return int(rows.sum()) // placed.grid // placed.layer.vectors
