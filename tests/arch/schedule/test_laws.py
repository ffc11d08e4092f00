"""Laws of rooms, errors and messages over generated chips and networks, with recurrent layers and frozen parts."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence

import numpy as np
import pytest
from generated import chain, changed, sequences, without_learning, works
from hypothesis import Phase as Stage
from hypothesis import given, settings

from rpusim.arch.chips.chip import Chip
from rpusim.arch.contract.activity import Activity, Phase
from rpusim.arch.contract.columns import Integers
from rpusim.arch.engine import simpy_engine
from rpusim.arch.engine.events import Events, Op
from rpusim.arch.engine.program import Program
from rpusim.arch.mapping.assumed_activity import assumed_activity
from rpusim.arch.mapping.messages import Message, trees
from rpusim.arch.mapping.placement import place
from rpusim.arch.network.network import Network
from rpusim.arch.network.operations import GATES
from rpusim.arch.schedule.plan import Plan, make_plan
from rpusim.arch.schedule.schedules import Schedule, compiled, run
from rpusim.arch.schedule.work import Todo
from rpusim.errors import InputError

WITHOUT_SHRINKING = (Stage.explicit, Stage.reuse, Stage.generate)
HH = 2
"""The recurrent layer of `sequences`, behind a linear one and the matrix of its input."""


def watched(program: Program) -> tuple[list[tuple[int, int, int]], bool]:
    """Run a program; returns the least, the most and the last that was free of every station, and whether all ended."""
    engine = simpy_engine.SimpyEngine(program)
    free = {id(station): [station._free] for station in engine._stations}
    give, grant = simpy_engine.Station.give, simpy_engine.Station.grant

    def watched_give(station: simpy_engine.Station, amount: int = 1) -> None:
        give(station, amount)
        free[id(station)].append(station._free)

    def watched_grant(station: simpy_engine.Station) -> None:
        grant(station)
        free[id(station)].append(station._free)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(simpy_engine.Station, "give", watched_give)
        patch.setattr(simpy_engine.Station, "grant", watched_grant)
        engine.times()
    return [(min(seen), max(seen), seen[-1]) for seen in free.values()], not engine.stuck


class TestRooms:
    @given(works())
    @settings(max_examples=150, deadline=None, phases=WITHOUT_SHRINKING)
    def test_nothing_is_given_before_it_was_taken_and_all_of_it_in_the_end(
        self, work: tuple[Plan, Activity, Schedule]
    ) -> None:
        program = compiled(*work)
        stations, ended = watched(program)
        for (least, most, last), capacity in zip(stations, program.capacity.tolist(), strict=True):
            assert least >= 0
            assert most <= capacity
            assert not ended or last == capacity

    @pytest.mark.parametrize(
        "network", [sequences(6, 64, "tanh", last=False), chain(20, 64, 64)], ids=lambda each: each.name
    )
    def test_a_buffer_too_small_for_one_result_is_refused(self, network: Network) -> None:
        """64 numbers of 16 bits are 1024 bits: what a recurrent layer is given needs room as what others read does."""
        for bits, refused in ((1023, True), (2048, False)):
            chip = changed(Chip.load("reram-512"), buffer={"capacity": bits})
            plan = make_plan(place(network, chip))
            work = assumed_activity(plan.placement, 5, False)
            if refused:
                with pytest.raises(InputError, match="larger buffers are needed"):
                    run(plan, work, "layer-pipelined")
            else:
                assert run(plan, work, "layer-pipelined").makespan_ps > 0


class TestErrors:
    @pytest.mark.parametrize("rule", sorted(GATES))
    @pytest.mark.parametrize("steps", [1, 4])
    @pytest.mark.parametrize("schedule", ["sequential", "minibatch-pipelined", "asynchronous"])
    @pytest.mark.parametrize("frozen", [{HH}, {HH - 1, HH}], ids=["state", "state and input"])
    def test_a_frozen_recurrent_layer_makes_the_error_of_every_step_before_anything_learns_from_it(
        self, rule: str, steps: int, schedule: Schedule, frozen: set[int]
    ) -> None:
        network = sequences(steps, 8, rule, last=True)
        plan = make_plan(place(network, Chip.load("reram-512")))
        samples, layers = 2, [HH] if HH - 1 in frozen else [HH - 1, HH]
        work = assumed_activity(plan.placement, samples, True, samples)
        events = run(plan, without_learning(work, network, frozenset(frozen)), schedule)
        back = (events.layer == HH) & (events.phase == Phase.BACKWARD)
        made = back & (events.op == Op.DIGITAL) & (events.row < 0)
        assert set(events.vector[made].tolist()) == set(range(samples * steps))
        for layer in {*range(HH), *layers} - frozen:
            learns = (events.layer == layer) & (events.phase == Phase.UPDATE) & (events.op == Op.PULSE)
            for sample in range(samples):
                mine = events.vector // plan.layers[layer].placed.layer.vectors == sample
                its = back & (events.vector // steps == sample)
                assert events.start[learns & mine].min() >= events.end[its].max()

    @given(works())
    @settings(max_examples=60, deadline=None, phases=WITHOUT_SHRINKING)
    def test_whatever_learns_has_an_error_for_every_vector_that_it_learns_from(
        self, work: tuple[Plan, Activity, Schedule]
    ) -> None:
        plan, activity, _ = work
        todo = Todo(plan, activity)
        for layer in plan.layers:
            pairs, errors = todo.work(Phase.UPDATE, layer), todo.errors(layer)
            if pairs is not None:
                assert errors is not None
                known = set(zip(errors.step.tolist(), errors.vector.tolist(), strict=True))
                assert known >= set(zip(pairs.step.tolist(), pairs.vector.tolist(), strict=True))


class TestMessages:
    @given(works().filter(lambda work: work[2] == "layer-pipelined"))
    @settings(max_examples=60, deadline=None, phases=WITHOUT_SHRINKING)
    def test_bits_sent_are_bits_stored(self, work: tuple[Plan, Activity, Schedule]) -> None:
        """Every port and link carries, and every buffer takes, what the messages of all vectors say, no bit else."""
        plan, activity, schedule = work
        try:
            events = run(plan, activity, schedule)
        except InputError:  # a buffer too small for one window
            return
        assert moved(events) == expected(plan, activity)


def moved(events: Events) -> Counter[int]:
    """By station, the bits sent over it or stored into it."""
    bits = Counter[int]()
    for op in (Op.SEND, Op.STORE):
        chosen = events.op == op
        for station, amount in zip(events.station[chosen].tolist(), events.amount[chosen].tolist(), strict=True):
            bits[station] += amount
    return bits


def expected(plan: Plan, activity: Activity) -> Counter[int]:
    """The same from the messages of the plan: inputs, partial sums, results (of sums, too) and what is fed back.

    A header goes ahead of each over every port and link, and ends there.
    """
    bits, todo, header = Counter[int](), Todo(plan, activity), plan.placement.chip.mesh.header_bits

    def sent(messages: Sequence[Message], each: Callable[[Message], Integers]) -> None:
        for tree in trees(messages):
            for hop, message in tree.links():
                of_vectors = each(message)
                bits[hop.station] += int(of_vectors.sum()) + header * int(np.count_nonzero(of_vectors))
        for message in messages:
            bits[message.buffer] += int(each(message).sum())

    for layer in plan.layers:
        work = todo.work(Phase.FORWARD, layer)
        if work is None:
            continue
        replicas, homes = layer.placed.replicas, layer.placed.row_homes
        for block in layer.blocks:
            if block.partial_forward is not None:
                turn = work.vector % replicas == block.block.tile // layer.placed.grid
                sent([block.partial_forward], lambda message, turn=turn: message.bits * turn[turn])
        for number in range(len(homes)):
            turn = np.flatnonzero(work.vector % replicas == number * replicas // len(homes))
            sample, position = np.divmod(work.vector[turn], layer.placed.layer.vectors)

            def count(message: Message, sample: Integers = sample, position: Integers = position) -> Integers:
                return message.sent(sample, position)

            for ways in (layer.outputs, *(made.outputs for made in layer.sums)):
                sent([message for messages in ways for message in messages[number]], count)
            sent(layer.echo[number] if layer.echo else (), count)
    if "DRAM" in plan.outside or "host link" in plan.outside:
        whole = [message for layer in plan.layers if todo.work(Phase.FORWARD, layer) for message in layer.inputs]
        parts = [message for layer in plan.layers for made in layer.sums for message in made.inputs]
        sent([*whole, *parts], lambda message: message.sent(todo.number, todo.number * 0))
    return Counter({station: number for station, number in bits.items() if number})
