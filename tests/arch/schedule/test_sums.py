"""Sums of branches: made once, sent once to each reader, their errors made once and sent to each branch."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest
from hypothesis import given, settings

from rpusim.arch.account.ledger import STANDBY
from rpusim.arch.account.pricing import Pricer
from rpusim.arch.analysis.occupancy import kept_bits
from rpusim.arch.chips.chip import Chip
from rpusim.arch.contract.activity import Activity, Phase
from rpusim.arch.engine.events import NO_ROW, PART, Events, Op
from rpusim.arch.mapping.assumed_activity import assumed_activity
from rpusim.arch.mapping.placement import place
from rpusim.arch.network.network import INPUT, Network, connect
from rpusim.arch.network.operations import Operation, WeightLayer
from rpusim.arch.schedule.plan import Plan, make_plan
from rpusim.arch.schedule.schedules import Schedule, run
from rpusim.arch.schedule.storage import sent, settle
from rpusim.errors import InputError
from tests.arch.generated import around, changed, gated, residual, sums, with_outside, works

SCHEDULES = [
    (False, "sequential"),
    (False, "layer-pipelined"),
    (True, "sequential"),
    (True, "minibatch-pipelined"),
    (True, "asynchronous"),
]


def blocks(depth: int, width: int = 256, layers: int = 1) -> Network:
    """x = relu(x + Linear(x)), 16 positions, so often; or with several layers in each."""
    steps: list[tuple[Operation, tuple[str, ...]]] = []
    x, shape = "input", (16, width)
    for block in range(depth):
        before = x
        for layer in range(layers):
            name = f"linear{block}.{layer}"
            steps.append((WeightLayer.linear(name, shape, width), (before,)))
            before = name
        steps.append((Operation.digital(f"sum{block}", "add", shape, inputs=2), (before, x)))
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
    """One block more: its sum goes once to the next layer, which has it for the next sum, too; two errors go back.

    In training it also keeps, for the way back, a bit of every value that its relu lets through or not.
    """
    values, word = 16 * 256, Chip.load("reram-512").tiles[0].digital.word_bits
    for phase in (Phase.FORWARD, Phase.BACKWARD) if training else (Phase.FORWARD,):
        found = [stored(timed(blocks(depth), training, "sequential", 1)[2], phase) for depth in (4, 8, 16, 32)]
        each = values * (2 * word if phase == Phase.BACKWARD else word + training)
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


@pytest.mark.parametrize("layers", [1, 2])
@pytest.mark.parametrize(("training", "schedule"), SCHEDULES)
def test_every_block_takes_the_same_energy_whatever_the_depth(training: bool, schedule: Schedule, layers: int) -> None:
    """To the zeptojoule: all but the last, whose sum nobody reads, and in training the first, which sends none back."""
    found = set[float]()
    for depth in (4, 8, 16, 32):
        plan, activity, events = timed(blocks(depth, layers=layers), training, schedule)
        of_layer = Counter[str]()
        for (_, phase, layer), zj in Pricer(plan)(events, activity).energy.items():
            of_layer[layer] += zj * (phase != STANDBY)
        each = [sum(of_layer[f"linear{block}.{n}"] for n in range(layers)) for block in range(training, depth - 1)]
        assert len(set(each)) == 1
        found.add(sum(each) / len(each))
    assert len(found) == 1


@pytest.mark.parametrize("schedule", ["sequential", "layer-pipelined"])
def test_every_block_takes_the_same_time_whatever_the_depth(schedule: Schedule) -> None:
    """From its end to that of the next one, for one sample; all between the first and the last."""
    found = set[int]()
    for depth in (4, 8, 16, 32):
        _, _, events = timed(blocks(depth), False, schedule, 1)
        ends = [int(events.end[events.layer == layer].max()) for layer in range(1, depth - 1)]
        found.update(np.diff(ends).tolist())
    assert len(found) == 1


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
    bits = parts * samples - _read_beside(plan, activity)
    waiting = (events.op == Op.STORE) & (events.row == PART)
    assert events.amount[waiting].sum() == bits
    assert set(events.phase[waiting]) <= {Phase.FORWARD}
    taken = int(events.amount[(events.op == Op.FETCH) & (events.row == PART)].sum())
    assert taken >= bits  # more where homes on one tile each take what is broadcast to both
    homes = [[home.chip_tile for home in layer.placed.row_homes] for layer in plan.layers]
    assert taken == bits or any(len(set(tiles)) < len(tiles) for tiles in homes)
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
                shared = sum(sent(made.shared, giver.placed.replicas, giver.placed.layer.vectors).values())
                there += shared if part == network.read_beside(made.number, layer.placed.replicas) else 0
                assert there == back
                assert (there == 0) == (giver is layer)


@pytest.mark.parametrize(("training", "schedule"), SCHEDULES)
@pytest.mark.parametrize("network", [residual(4, 3, 3), gated(3, 5), around(20, 3)], ids=lambda each: each.name)
def test_buffers_are_empty_in_the_end(network: Network, training: bool, schedule: Schedule) -> None:
    plan, activity, events = timed(network, training, schedule)
    change = kept_bits(plan, activity, events)
    assert change.any() and change.sum() == 0


@pytest.mark.parametrize("layers", [1, 2])
@pytest.mark.parametrize(("training", "schedule"), SCHEDULES)
def test_a_sum_follows_its_branches_and_comes_before_its_readers(
    training: bool, schedule: Schedule, layers: int
) -> None:
    """Of every vector: the last part is there before the operations of the sum, which come before what reads it."""
    _plan, _, events = timed(blocks(3, 16, layers), training, schedule, 1)
    forward = events.phase == Phase.FORWARD
    for vector in range(16):
        mine = forward & (events.vector == vector)
        for block in (1, 2):
            home, giver = block * layers + layers - 1, block * layers - 1
            row = NO_ROW if layers == 1 else PART  # what the layer there reads comes once for both
            came = mine & (events.layer == giver) & (events.row == row) & (events.op == Op.STORE)
            came &= events.start > events.end[mine & (events.layer == giver) & (events.op == Op.DIGITAL)].max() - 1
            took = mine & (events.layer == home) & (events.row == row) & (events.op == Op.FETCH)
            made = mine & (events.layer == home) & (events.row == NO_ROW) & (events.op == Op.DIGITAL)
            assert came.sum() == took.sum() == made.sum() == 1
            assert events.end[came].max() <= events.start[took].min()
            assert events.end[took].max() <= events.start[made].min()
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


def _read_beside(plan: Plan, activity: Activity) -> int:
    """How many bits come to sums with what the layer at their homes reads, in all mini-batches.

    Not as many with every sample: replicas that take turns begin each one elsewhere, and their tiles may read less.
    """
    placed, network, found = plan.layers[0].placed, plan.placement.network, 0
    rows = (activity.layer == 0) & (activity.phase == Phase.FORWARD)
    for rows_of_step in np.unique(activity.step[rows], return_counts=True)[1]:
        samples = int(rows_of_step) // placed.grid // placed.layer.vectors
        for layer in (layer for layer in plan.layers if any(made.shared for made in layer.sums)):
            giver = plan.layers[network.home(network.arriving(layer.index).stage)].placed
            sample, position = np.divmod(np.arange(samples * giver.layer.vectors), giver.layer.vectors)
            for made in layer.sums:
                for home, messages in enumerate(made.shared):
                    own = np.arange(home * giver.replicas // len(made.shared), len(sample), giver.replicas)
                    found += sum(int(message.sent(sample[own], position[own]).sum()) for message in messages)
    return found


class TestRoom:
    WORD = Chip.load("reram-512").tiles[0].digital.word_bits

    @pytest.mark.parametrize(("layers", "vectors"), [(1, 1), (2, 2)])
    def test_a_pipeline_needs_room_for_what_waits_for_a_sum(self, layers: int, vectors: int) -> None:
        """Of one vector where the layer there reads it, too; where it only waits, the sum has half of the buffer."""
        needed = vectors * 16 * self.WORD
        for bits, refused in ((needed - 1, True), (needed, False)):
            chip = changed(Chip.load("reram-512"), buffer={"capacity": bits})
            plan = make_plan(place(blocks(3, 16, layers), chip))
            work = assumed_activity(plan.placement, 3, False)
            if refused:
                with pytest.raises(InputError, match="larger buffers are needed"):
                    run(plan, work, "layer-pipelined")
            else:
                assert run(plan, work, "layer-pipelined").makespan_ps > 0

    def test_room_for_a_part_is_taken_until_the_sum_is_made(self) -> None:
        """With room for one vector of it, the next one is not driven before the sum has taken the one before."""
        chip = changed(Chip.load("reram-512"), buffer={"capacity": 2 * 16 * self.WORD})
        plan = make_plan(place(blocks(3, 16, 2), chip))
        events = run(plan, assumed_activity(plan.placement, 1, False), "layer-pipelined")
        took = events.end[(events.op == Op.FETCH) & (events.row == PART) & (events.layer == 3)]
        drives = events.start[(events.op == Op.DRIVE) & (events.amount > 0) & (events.layer == 1)]
        assert len(took) == len(drives) == 16
        assert (np.sort(drives)[1:] >= np.sort(took)[:-1]).all()

    @pytest.mark.parametrize("training", [False, True])
    def test_what_waits_for_a_sum_leaves_less_room_for_samples(self, training: bool) -> None:
        """A sample's part is 16 vectors of 16 numbers, beside as many inputs and, in training, errors and more."""
        whole, samples = 16 * 16 * self.WORD, 10
        chip = changed(Chip.load("reram-512"), buffer={"capacity": samples * (4 + training) * whole})
        plan = make_plan(place(blocks(2, 16, 2), with_outside(chip, frozenset({"memory"}))))
        assert [one.part_bits for kept in settle(plan, samples, training) for one in kept.held[0]] == [0, whole] * 2
        each = whole * (2 + training) + settle(plan, samples, training)[3].waiting_bits
        for room, stay in ((samples * each, samples), (samples * each - 1, samples - 2)):
            chip = changed(Chip.load("reram-512"), buffer={"capacity": room})
            plan = make_plan(place(blocks(2, 16, 2), with_outside(chip, frozenset({"memory"}))))
            assert settle(plan, samples, training)[3].samples == stay
