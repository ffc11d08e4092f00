"""Decide which work waits for which: the schedules, each a program written by `flow`.

``sequential``
    The RPU papers' way. For each sample: forward through layer after layer, then backward; then the pulsed update of
    every layer, each as soon as its own backward pass is done. The next mini-batch starts when all updates have ended.
    Without backward rows (inference) it is one sample after the other. Where batch statistics are learned (BatchNorm in
    training) the samples of a mini-batch begin together, as each waits at the normalisation for all others.
``layer-pipelined``
    Inference only. Every vector of every sample starts as soon as the vectors it needs are there, so samples follow
    each other through the layers. A layer hands on its vectors in order.
``minibatch-pipelined``
    Training; the samples of a mini-batch follow each other through the layers, forward as above and backward sample by
    sample. A layer updates when the backward passes of the whole mini-batch through it are done, and takes up the next
    mini-batch after that. So the weights that a mini-batch sees are those of sequential training.
``asynchronous``
    Training without that barrier: a layer updates with every sample at once, while others are on their way, so that a
    sample may come back to weights other than it went out with. As many samples are on their way as a mini-batch has.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Literal

import numpy as np

from rpusim.arch.contract.activity import Activity, Phase
from rpusim.arch.contract.columns import Integers, Operand
from rpusim.arch.engine.compiled_engine import CompiledEngine
from rpusim.arch.engine.events import Events, Op
from rpusim.arch.engine.program import ALWAYS, Program, only
from rpusim.arch.engine.simpy_engine import SimpyEngine
from rpusim.arch.mapping.fit.turns import BEFORE, turns
from rpusim.arch.schedule import deadlock
from rpusim.arch.schedule.flow import Flow
from rpusim.arch.schedule.plan import LayerPlan, Plan, SumPlan
from rpusim.arch.schedule.storage import Kept, early_samples, settle
from rpusim.arch.schedule.work import Done, Extras, Todo, Work
from rpusim.errors import InputError

Schedule = Literal["sequential", "layer-pipelined", "minibatch-pipelined", "asynchronous"]
ENGINES: dict[str, type[CompiledEngine] | type[SimpyEngine]] = {"compiled": CompiledEngine, "simpy": SimpyEngine}


def run(
    plan: Plan,
    activity: Activity,
    schedule: Schedule,
    engine: str = "compiled",
    kept: tuple[Kept, ...] | None = None,
) -> Events:
    """Time work on a chip.

    Args:
        plan: of the chip and network.
        activity: the rows to be done.
        schedule: in which order.
        engine: "compiled" or "simpy"; both find the same times.
        kept: for every layer, what it keeps of a mini-batch; None: settled for the mini-batches of ``activity``.

    Returns:
        When each unit did what, from 0 on.

    Raises:
        InputError: the schedule does not fit the work, or the work waits for itself, as buffers are too small.
    """
    program = compiled(plan, activity, schedule, kept)
    return program.events(*times(plan, program, engine))


def times(plan: Plan, program: Program, engine: str = "compiled") -> tuple[Integers, Integers]:
    """Run a program.

    Args:
        plan: of the chip and network.
        program: to be run.
        engine: "compiled" or "simpy".

    Returns:
        Start and end of every slot of the program, each (slots,) in ps.

    Raises:
        InputError: the work waits for itself; the message names the cycle.
    """
    made = ENGINES[engine](program)
    found = made.times()
    if made.stuck:
        raise InputError(deadlock.explain(program, plan, made.stuck))
    return found


def compiled(plan: Plan, activity: Activity, schedule: Schedule, kept: tuple[Kept, ...] | None = None) -> Program:
    """Write the program that does ``activity`` on the chip in the order of ``schedule``; arguments as for `run`."""
    trains = activity.trains
    if schedule == "layer-pipelined" and trains:
        raise InputError(
            "schedule: got 'layer-pipelined' for a training, but it is for inference only; accepted: sequential, "
            "minibatch-pipelined, asynchronous"
        )
    todo = Todo(plan, activity)
    at_once = int(todo.samples.max(initial=1)) if trains else 1
    kept = kept or settle(plan, at_once, trains)
    flow = Flow(plan, activity, kept, frozenset(todo.with_errors), streams=schedule == "layer-pipelined")
    if schedule == "sequential":
        _sequential(flow, todo)
    else:
        _Pipelined(flow, todo, at_once=schedule == "asynchronous").write()
    return flow.builder.program()


def of_layer(plan: Plan, activity: Activity, begins_ps: int) -> Program:
    """Write the program of one layer in sequential inference of one sample.

    Args:
        plan: of the chip and network.
        activity: the rows of the layer.
        begins_ps: when all layers before it are done; what does not wait for them begins at 0.

    Returns:
        The program of the layer and of the sums at its homes. Its last slot ends when the next layer begins.
    """
    todo = Todo(plan, activity)
    flow = Flow(plan, activity, settle(plan, 1, training=False), frozenset(), streams=False)
    ends = _sequential(flow, todo, begins_ps)
    with flow.builder.task(1, Phase.FORWARD, int(activity.layer[0]), 0, 0) as task:
        task.note()
        task.wait(int(ends[0]))
        task.log(Op.STORE, [])
    return flow.builder.program()


def _last(of: Integers, number: int) -> Integers:
    """Find the index of the last vector of every sample (or step); -1: it has none.

    Args:
        of: (vectors,) the sample that each belongs to.
        number: how many samples there are.
    """
    last = np.full(number, -1)
    last[of] = np.arange(len(of))  # in order, so the last one stays
    return last


def _sequential(flow: Flow, todo: Todo, begins_ps: int = 0) -> Integers:
    """Write one sample after the other through all layers, and the updates of a mini-batch after its last sample.

    begins_ps: how long samples wait before they begin.
    Returns (samples,) gates that open when a sample has come back.
    """
    samples, network = len(todo.step_of), flow.plan.placement.network
    begin = flow.builder.gates(samples) + np.arange(samples)
    before = begin
    """(samples,) gates of what each has to have done before its next stage."""

    # A sample is fetched while the one before it is at work, or earlier if that does not suffice.
    readers, early = todo.readers(), early_samples(flow.plan)
    learned, turn = begin[todo.first[todo.step_of]], only(np.arange(samples) >= early, begin - early)
    inputs = flow.movement.bring_in(readers, todo.number, [turn], [learned] * len(readers))

    forwards: dict[int, tuple[Work, Done]] = {}
    written, last_sample = turns(flow.plan.placement), todo.first[1:] - 1

    def stage(work: Work | None, do: Callable[[Work, Sequence[Operand]], Done]) -> Done | None:
        nonlocal before
        if work is None:
            return None
        start = [before[work.sample]]
        if inputs is not None and work.phase == Phase.FORWARD and work.layer.inputs:
            start.append(inputs[work.sample])
        if work.phase == Phase.FORWARD:
            rounds, extras = flow.in_rounds(work), todo.preparations(work.layer)
            users = written.get(work.layer.index, {}) if extras else {}
            left = {user: left_by(*user) for user in {*users.values()} - {BEFORE}}
            free = {tile: left[user] for tile, user in users.items() if user != BEFORE}
            if extras and rounds is None:
                start.append(_prepared(flow, work, extras, begin[todo.first[:-1]], free))
            elif extras and rounds:
                of = np.array([block.round for block in work.layer.placed.blocks])
                for number, mine in extras.sorted_by(of[extras.tile]):
                    rounds.ready[number].append(_prepared(flow, work, mine, begin[todo.first[:-1]], free))
        return ended(work, do(work, start))

    def left_by(layer: int, number: int) -> Integers:
        """Return (mini-batches,) gates that open when the last sample is through a layer, or through that round."""
        rounds = flow.rounds.get(layer)
        work, done = (todo.work(Phase.FORWARD, todo.layers[layer]), rounds.over[number]) if rounds else forwards[layer]
        assert work is not None
        gates = done.by(_last(work.sample, samples))
        return np.asarray(gates[last_sample], np.int64)

    def ended(work: Work, done: Done) -> Done:
        nonlocal before
        reached = done.by(_last(work.sample, samples))
        before = np.where(reached != ALWAYS, reached, before)
        return done

    updates: list[Integers] = []
    for layer in todo.layers:
        work, begun = todo.work(Phase.FORWARD, layer), before
        done = stage(work, flow.forward)
        if work and done:
            forwards[layer.index] = work, done
            for made in layer.sums:  # vector by vector, as they come from the layer
                ended(work, _summed(flow, forwards, work, made, inputs, [begun[work.sample]]))
    wrong = todo.with_errors
    for layer in reversed(todo.layers):
        for made in reversed(layer.sums):
            stage(wrong.get(made.number), partial(_share_error, flow, made, wrong))
        stage(wrong.get(layer.index), flow.error)
        known = before
        stage(todo.work(Phase.BACKWARD, layer), flow.backward)
        if layer.echo:  # the error of the first step, after all others went back
            before = known
        uses = network.uses(layer.index)  # all of which read the arrays before any of them writes there
        for use in uses if uses[0] == layer.index else ():
            if pairs := todo.work(Phase.UPDATE, todo.layers[use]):
                done = flow.update(pairs, [before[last_sample[pairs.step]]], todo.extras(todo.layers[use]))
                updates.append(done.by(_last(pairs.step, todo.mini_batches)))
    _conduct(flow, todo, begin, before, updates, begins_ps)
    return before


def _summed(
    flow: Flow,
    forwards: dict[int, tuple[Work, Done]],
    work: Work,
    made: SumPlan,
    inputs: Integers | None,
    start: Sequence[Operand] = (),
) -> Done:
    """Write a sum, of which each vector follows those of its parts that it needs.

    Args:
        flow: writes the program.
        forwards: by stage, its work and when that is done; the sum is added. Stages that are not there are done.
        work: of the layer at whose homes it is made.
        made: the sum.
        inputs: (samples,) gates that open when a sample is there; None: it is from the start.
        start: gates that every vector waits for, whether it needs a part or not.
    """
    waits: list[Operand] = [*start]
    waits += [_needed(forwards[part], work, np.array(needs)) for part, needs in made.needs if part in forwards]
    if inputs is not None and made.inputs:
        waits.append(inputs[work.sample])
    done = flow.sum(work, made, waits)
    forwards[made.number] = work, done
    return done


def _share_error(flow: Flow, made: SumPlan, wrong: Mapping[int, Work], work: Work, start: Sequence[Operand]) -> Done:
    """Write the error of a sum; see `Flow.share_error`. ``wrong``: the work of all stages that have errors."""
    return flow.share_error(work, made, wrong, start)


def _prepared(flow: Flow, work: Work, extras: Extras, start: Integers, free: Mapping[int, Integers]) -> Integers:
    """Write the maintenance before mini-batches; returns (vectors,) gates that open when that of each is done.

    start, free: see `Transfers.prepare`.
    """
    due = np.isin(work.step, extras.step)
    return only(due, flow.transfers.prepare(work.layer, extras, start, free).by(work.step))


def _conduct(
    flow: Flow, todo: Todo, begin: Integers, ends: Integers, updates: Sequence[Integers], begins_ps: int
) -> None:
    """Begin each sample when the one before it has ended; the first of a mini-batch when all updates have, too.

    Samples of a mini-batch that wait for each other, see `Plan.normalises`, all begin when the one before it has ended.

    Args:
        flow: writes the program.
        todo: all work.
        begin: (samples,) gates to raise.
        ends: (samples,) gates that open when a sample has come back.
        updates: (mini-batches,) gates of every layer that learns, which open when it has.
        begins_ps: how long each sample waits before it begins.
    """
    samples = len(todo.step_of)
    behind = np.arange(samples) - 1
    first = np.isin(np.arange(samples), todo.first[1:])
    if flow.plan.normalises and flow.trains:
        behind, first = todo.first[todo.step_of] - 1, np.ones(samples, np.bool_)
    with flow.builder.task(samples, Phase.FORWARD, 0, 0, np.arange(samples)) as task:
        task.wait(only(behind >= 0, ends[behind]))
        task.wait_for(only(first & (behind >= 0), update[todo.step_of - 1]) for update in updates)
        task.hold(begins_ps)
        task.raise_(begin)


class _Pipelined:
    """Start every vector as soon as what it needs is there.

    See `layer-pipelined`, `minibatch-pipelined` and, with ``at_once``, `asynchronous` in the module.
    """

    def __init__(self, flow: Flow, todo: Todo, at_once: bool) -> None:
        self._flow, self._todo, self._at_once = flow, todo, at_once
        self._network, self._samples = flow.plan.placement.network, len(todo.step_of)
        self._learned = {layer.index: flow.builder.gates(todo.mini_batches) for layer in todo.layers}
        """By layer: the first of its gates, one for each mini-batch, that open when it has learned from that."""
        self._free = flow.builder.gates(self._samples) + np.arange(self._samples)
        """(samples,) gates that let a sample in."""
        self._trains = {layer.index: todo.work(Phase.UPDATE, layer) for layer in todo.layers}
        readers = todo.readers()
        left = [self._free if at_once else self._learned_before(work.layer.index, todo.step_of) for work in readers]
        self._inputs = flow.movement.bring_in(readers, todo.number, [], left)
        self._forwards: dict[int, tuple[Work, Done]] = {}
        self._backs: dict[int, tuple[Work, Done]] = {}
        """By stage: what those before it wait for: a layer's gradients, or a recurrent layer's error of the first step;
        the error of a sum."""
        self._prepared: dict[int, Done] = {}
        """By layer: when its arrays have been maintained before each mini-batch."""
        self._ready: dict[int, tuple[Work, Done]] = {}
        """By layer: what its update waits for."""
        self._wrong = todo.with_errors

    def write(self) -> None:
        """Write all work."""
        for layer in self._todo.layers:
            self._forward(layer)
        ends = []
        for layer in reversed(self._todo.layers):
            for made in reversed(layer.sums):
                self._share_error(made)
            self._back(layer)
            uses = self._network.uses(layer.index)  # all of which read the arrays before any of them writes there
            if uses[0] == layer.index:
                ends += [end for use in uses if (end := self._update(use, uses)) is not None]
        if self._at_once:
            _let_in(self._flow, self._todo, self._free, ends)

    def _learned_before(self, layer: int, step: Integers) -> Integers:
        """Return gates that open when a layer has learned from the mini-batch before each of these.

        Then the weights that it leaves are there, and its samples are out of the layer's buffers.
        """
        pairs = self._trains[layer]
        known = np.isin(np.arange(self._todo.mini_batches), [] if pairs is None else pairs.step)
        return only((step > 0) & known[step - 1], self._learned[layer] + step - 1)

    def _forward(self, layer: LayerPlan) -> None:
        """Write the forward pass of a layer, and what prepares its arrays."""
        work = self._todo.work(Phase.FORWARD, layer)
        if work is None:
            return
        start = [_needed(self._forwards[producer], work, np.array(needs)) for producer, needs in layer.needs]
        if self._inputs is not None and layer.inputs:
            start.append(self._inputs[work.sample])
        merges = [_needed(self._forwards[other], work, np.array(needed)) for other, needed in layer.merges]
        learning = [use for use in self._network.uses(layer.index) if self._trains[use] is not None]
        if learning and self._at_once:
            start.append(self._free[work.sample])
        elif learning:
            start += [self._learned_before(use, work.step) for use in learning]
        first = self._todo.layers[self._network.uses(layer.index)[0]]
        if extras := self._todo.preparations(first):
            if first is layer:
                self._prepared[layer.index] = self._flow.transfers.prepare(layer, extras, self._idle(learning))
            start.append(only(np.isin(work.step, extras.step), self._prepared[first.index].by(work.step)))
        self._forwards[layer.index] = work, self._flow.forward(work, start, merges)
        for made in layer.sums:
            _summed(self._flow, self._forwards, work, made, self._inputs)

    def _idle(self, uses: Sequence[int]) -> Integers:
        """Return (mini-batches,) gates that open when all uses of a weight that learn have, from the one before."""
        steps = np.arange(self._todo.mini_batches)
        learned = [only(steps > 0, self._learned[use] + steps - 1) for use in uses]
        if len(learned) < 2:
            return learned[0] if learned else np.full(len(steps), ALWAYS)
        all_have = self._flow.builder.gates(len(steps)) + steps
        with self._flow.builder.task(len(steps), Phase.UPDATE, uses[0], 0, 0) as task:
            task.wait_for(learned)
            task.raise_(all_have)
        return all_have

    def _share_error(self, made: SumPlan) -> None:
        """Write the error of a sum."""
        work = self._wrong.get(made.number)
        if work is None:
            return
        start = [
            done.by(_last(theirs.sample, self._samples)[work.sample]) for theirs, done in self._sources(made.number)
        ]
        self._backs[made.number] = work, self._flow.share_error(work, made, self._wrong, start)

    def _back(self, layer: LayerPlan) -> None:
        """Write error and backward pass of a layer."""
        errors = self._wrong.get(layer.index)
        if errors is None:
            return
        sources = self._sources(layer.index)
        start = [done.by(_last(work.sample, self._samples)[errors.sample]) for work, done in sources]
        ready = errors, self._flow.error(errors, start)
        back = self._todo.work(Phase.BACKWARD, layer)
        done = back and self._flow.backward(back, [ready[1].by(_last(errors.sample, self._samples)[back.sample])])
        if layer.echo:  # the error of the first step comes after all others went back, and is what others wait for
            self._backs[layer.index] = ready
        elif back and done:
            ready = self._backs[layer.index] = back, done
        self._ready[layer.index] = ready

    def _sources(self, stage: int) -> list[tuple[Work, Done]]:
        """Return what a stage's errors come from: the stages that read it, or else the loss.

        The loss is known when everything that no other stage reads has come out.
        """
        edges, backs, forwards = self._network.edges, self._backs, self._forwards
        later = [e.consumer for e in edges if e.producer == stage and e.consumer in backs]
        if later:
            return [backs[consumer] for consumer in later]
        read = {e.producer for e in edges}
        return [forwards[output] for output in sorted(forwards) if output not in read]

    def _update(self, layer: int, uses: Sequence[int]) -> Integers | None:
        """Write the update of a layer, of every vector after its own sample, or the whole mini-batch, has come back.

        Args:
            layer: that learns.
            uses: all layers that use its weight; the update waits for what each of them reads there.

        Returns:
            (samples,) gates that open when the update with a sample is done; None: the layer does not learn.
        """
        flow, todo, samples, pairs = self._flow, self._todo, self._samples, self._trains[layer]
        if pairs is None:
            return None
        ready = [self._ready[use] for use in uses if use in self._ready]
        at = pairs.sample if self._at_once else todo.first[1:][pairs.step] - 1
        until = [done.by(_last(work.sample, samples)[at]) for work, done in ready]
        done = flow.update(pairs, until, todo.extras(todo.layers[layer]))
        steps = np.unique(pairs.step)
        with flow.builder.task(len(steps), Phase.UPDATE, layer, 0, 0) as task:
            task.wait(done.by(_last(pairs.step, todo.mini_batches)[steps]))
            task.raise_(self._learned[layer] + steps)
        return done.by(_last(pairs.sample, samples))


def _needed(producer: tuple[Work, Done], work: Work, needs: Integers) -> Integers:
    """Return the gates of the vectors of another layer that each vector has to wait for.

    Args:
        producer: the other layer's work, and when it is done.
        work: that waits.
        needs: (vectors of a sample,) the last vector of the producer that each needs; -1: none.
    """
    theirs, done = producer
    first = np.full(int(theirs.sample.max()) + 1, -1)
    first[theirs.sample[::-1]] = np.arange(len(theirs))[::-1]
    needed = needs[work.position]
    return done.by(np.where(needed >= 0, first[work.sample] + needed, -1))


def _let_in(flow: Flow, todo: Todo, free: Integers, ends: Sequence[Integers]) -> None:
    """Let a sample in when the sample a mini-batch before it has ended on all layers that learn.

    Args:
        flow: writes the program.
        todo: all work.
        free: (samples,) gates to raise.
        ends: (samples,) gates of every layer that learns.
    """
    samples = len(todo.step_of)
    window = int(todo.samples.max(initial=1))
    behind = np.arange(samples) - window
    with flow.builder.task(samples, Phase.FORWARD, 0, 0, np.arange(samples)) as task:
        task.wait_for(only(behind >= 0, end[behind]) for end in ends)
        task.raise_(free)
