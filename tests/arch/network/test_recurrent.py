"""Recurrent layers: each step waits for the one before it, forwards and back through time."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
from numpy.typing import NDArray

from rpusim.arch.account.pricing import Pricer
from rpusim.arch.analysis.occupancy import kept_bits
from rpusim.arch.chips.chip import Chip
from rpusim.arch.contract.activity import Phase
from rpusim.arch.engine.events import Events, Op
from rpusim.arch.mapping.assumed_activity import assumed_activity
from rpusim.arch.mapping.placement import Bias, place
from rpusim.arch.network.network import Network, connect
from rpusim.arch.network.operations import GATES, Operation, WeightLayer
from rpusim.arch.schedule.plan import Plan, make_plan
from rpusim.arch.schedule.schedules import run
from rpusim.errors import InputError

IH, HH = 0, 1
INFERENCE, TRAINING = ("sequential", "layer-pipelined"), ("sequential", "minibatch-pipelined", "asynchronous")
EVERY = [(False, schedule) for schedule in INFERENCE] + [(True, schedule) for schedule in TRAINING]


def recurrent(steps: int, rule: str = "lstm", state: int = 16, last: bool = False) -> Network:
    """One layer, and a read-out of every step or the last one."""
    rows, out = GATES[rule] * state, (steps, state)
    network = [
        (WeightLayer.linear("ih", (steps, 20), rows), ("input",)),
        (WeightLayer.recurrent("hh", (steps, rows), rule), ("ih",)),
    ]
    if last:
        network.append(
            (Operation.digital("last", "select", out, out[1:], axes=(0,), taken=(steps - 1, steps, 1)), ("hh",))
        )
    return connect(
        rule, (steps, 20), [*network, (WeightLayer.linear("out", out[1:] if last else out, 5), (network[-1][0].name,))]
    )


def timed(
    network: Network, schedule: str, training: bool, samples: int = 2, bias: Bias = "column", engine: str = "compiled"
) -> tuple[Plan, Events]:
    placement = place(network, Chip.load("reram-512"), bias)
    plan = make_plan(placement)
    return plan, run(plan, assumed_activity(placement, samples, training, samples), schedule, engine)  # type: ignore[arg-type]


def of(events: Events, layer: int, phase: Phase, op: Op) -> NDArray[np.bool_]:
    return (events.layer == layer) & (events.phase == phase) & (events.op == op)


def begins(events: Events, layer: int, phase: Phase, vectors: int) -> list[int]:
    """When each vector is first driven."""
    chosen = of(events, layer, phase, Op.DRIVE)
    return [int(events.start[chosen & (events.vector == vector)].min()) for vector in range(vectors)]


def ends(events: Events, layer: int, phase: Phase, op: Op, vectors: int) -> list[int]:
    chosen = of(events, layer, phase, op)
    return [int(events.end[chosen & (events.vector == vector)].max()) for vector in range(vectors)]


@pytest.mark.parametrize("rule", GATES)
@pytest.mark.parametrize(("training", "schedule"), EVERY)
@pytest.mark.parametrize("state", [16, 300])
def test_both_engines_agree_to_the_tick(rule: str, training: bool, schedule: str, state: int) -> None:
    """300 states are 1200 rows of an LSTM: three blocks of rows, each on a tile of its own."""
    network = recurrent(3, rule, state, last=training)
    engines = ("compiled", "simpy")
    one, other = (timed(network, schedule, training, bias="digital", engine=engine)[1] for engine in engines)
    for name, column in one.columns().items():
        assert np.array_equal(column, other.columns()[name]), name


@pytest.mark.parametrize(("training", "schedule"), EVERY)
def test_a_step_begins_when_the_one_before_has_come_back(training: bool, schedule: str) -> None:
    _, events = timed(recurrent(5, state=300), schedule, training, samples=1)
    stored = of(events, HH, Phase.FORWARD, Op.STORE) & (events.row < 0)
    own = np.isin(events.station, np.unique(events.station[of(events, HH, Phase.FORWARD, Op.FETCH)]))
    there = [int(events.end[stored & own & (events.vector == step)].max()) for step in range(4)]
    begun = begins(events, HH, Phase.FORWARD, 5)
    assert all(end <= start for end, start in zip(there, begun[1:], strict=True))


def test_every_further_step_takes_the_same_time() -> None:
    """The input's matrix is ahead; a step is then what one vector of the state takes, so time grows evenly."""
    totals = [int(timed(recurrent(n, last=True), "layer-pipelined", False, 1)[1].end.max()) for n in (3, 4, 5, 9)]
    step = totals[1] - totals[0]
    assert totals[2] - totals[1] == step and totals[3] - totals[2] == 4 * step
    _, events = timed(recurrent(6), "layer-pipelined", False, 1)  # whoever else reads the output
    assert {after - before for before, after in pairwise(begins(events, HH, Phase.FORWARD, 6)[1:])} == {step}


def test_gates_wait_for_what_the_input_gives() -> None:
    _, events = timed(recurrent(3), "layer-pipelined", False, 1)
    given = ends(events, IH, Phase.FORWARD, Op.STORE, 3)
    done = ends(events, HH, Phase.FORWARD, Op.DIGITAL, 3)
    assert all(end < gate for end, gate in zip(given, done, strict=True))


@pytest.mark.parametrize("schedule", TRAINING)
def test_errors_go_back_through_time(schedule: str) -> None:
    _, events = timed(recurrent(5, state=300), schedule, True, samples=1)
    driven, converted = (of(events, HH, Phase.BACKWARD, op) for op in (Op.DRIVE, Op.CONVERT))
    begun, back = (
        [int(time[chosen & (events.vector == step)].max()) for step in range(1, 5)]
        for time, chosen in ((events.start, driven), (events.end, converted))
    )
    assert all(start > end for start, end in zip(begun, back[1:], strict=False))
    error = of(events, HH, Phase.BACKWARD, Op.DIGITAL) & (events.vector == 0)
    assert events.start[error].min() > back[0], "the first step's error is what came back from the second"
    assert not np.any(events.vector[driven] == 0), "nobody gave the state before the first step"
    assert events.start[of(events, HH, Phase.UPDATE, Op.PULSE)].min() >= events.end[error].max()
    assert events.start[of(events, IH, Phase.UPDATE, Op.PULSE)].min() >= events.end[error].max()


@pytest.mark.parametrize(("training", "schedule"), EVERY)
def test_one_step_is_a_sequence_too(training: bool, schedule: str) -> None:
    _, events = timed(recurrent(1), schedule, training)
    assert not of(events, HH, Phase.BACKWARD, Op.DRIVE).any()
    assert of(events, HH, Phase.UPDATE, Op.PULSE).any() == training


def test_a_sample_begins_while_the_last_steps_of_the_one_before_go_around() -> None:
    _, events = timed(recurrent(8), "layer-pipelined", False, 2)
    order = begins(events, HH, Phase.FORWARD, 16)
    assert order[8] < order[7] < order[9]


def test_what_goes_around_is_the_state_and_what_is_given_all_gates() -> None:
    plan, events = timed(recurrent(6, state=16), "layer-pipelined", False, 1)
    word = plan.placement.chip.tiles[0].digital.word_bits
    home, following = (plan.layers[layer].blocks[0].buffer for layer in (HH, 2))
    stored = (events.op == Op.STORE) & (events.row < 0)

    def bits(layer: int, buffer: int) -> int:
        return int(events.amount[stored & (events.layer == layer) & (events.station == buffer)].sum())

    assert bits(IH, home) == 6 * 4 * 16 * word
    assert bits(HH, home) == 5 * 16 * word  # nobody waits for the last one
    assert bits(HH, following) == 6 * 16 * word


@pytest.mark.parametrize("rule", GATES)
def test_gates_are_counted_as_digital_operations(rule: str) -> None:
    network = recurrent(6, rule, state=10)
    each = {"tanh": 1 + 4, "relu": 1 + 1, "lstm": 4 + 5 * 4 + 4, "gru": 3 + 3 * 4 + 4}  # sums, activations, products
    assert network.digital_ops(HH) == 6 * 10 * each[rule]
    layer = network.layers[HH]
    assert (layer.rows, layer.columns, layer.outputs, layer.vectors) == (10 * GATES[rule], 10, 10, 6)


@pytest.mark.parametrize(("training", "schedule"), EVERY)
def test_the_account_closes_and_buffers_are_empty_in_the_end(training: bool, schedule: str) -> None:
    network = recurrent(4, last=False)
    placement = place(network, Chip.load("reram-512"))
    plan, activity = make_plan(placement), assumed_activity(placement, 2, training, 2)
    events = run(plan, activity, schedule)  # type: ignore[arg-type]
    assert sum(Pricer(plan)(events, activity).energy.values()) > 0
    assert kept_bits(plan, activity, events).sum() == 0


def test_replicas_of_a_recurrent_layer_are_refused() -> None:
    with pytest.raises(InputError, match="replicas: got 2 for layer 'hh', but its vectors wait for one another; 1 is"):
        place(recurrent(4), Chip.load("reram-512"), replicas={"hh": 2})
