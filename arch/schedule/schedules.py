"""Which work waits for which: the schedules, each a program of `flow`.

``sequential``
    The RPU papers' way. For each sample: forward through layer after layer, then backward; then the pulsed update of
    every layer, each as soon as its own backward pass is done. The next mini-batch starts when all updates have ended.
    Without backward rows (inference) it is one sample after the other.
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

from collections.abc import Callable, Sequence
from typing import Literal

import numpy as np

from rpusim.arch.contract.activity import Activity, Phase
from rpusim.arch.contract.columns import Integers, Operand
from rpusim.arch.engine.compiled_engine import CompiledEngine
from rpusim.arch.engine.events import Events
from rpusim.arch.engine.program import ALWAYS, Program, only
from rpusim.arch.engine.simpy_engine import SimpyEngine
from rpusim.arch.schedule import deadlock
from rpusim.arch.schedule.flow import Flow
from rpusim.arch.schedule.plan import LayerPlan, Plan
from rpusim.arch.schedule.storage import Kept, settle
from rpusim.arch.schedule.work import Done, Extras, Work
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
    """Time ``activity`` on the chip. The clock starts at 0; the events say when each unit did what.

    kept: what layers keep of a mini-batch, if it is not to be settled for those of ``activity``.
    """
    program = compiled(plan, activity, schedule, kept)
    return program.events(*times(plan, program, engine))


def times(plan: Plan, program: Program, engine: str = "compiled") -> tuple[Integers, Integers]:
    """When what is in each slot of the program began and ended; a deadlock is explained."""
    made = ENGINES[engine](program)
    found = made.times()
    if made.stuck:
        raise InputError(deadlock.explain(program, plan, made.stuck))
    return found


def compiled(plan: Plan, activity: Activity, schedule: Schedule, kept: tuple[Kept, ...] | None = None) -> Program:
    """The program that does ``activity`` on the chip in the order of ``schedule``."""
    trains = activity.trains
    if schedule == "layer-pipelined" and trains:
        raise InputError(
            "schedule: got 'layer-pipelined' for a training, but it is for inference only; accepted: sequential, "
            "minibatch-pipelined, asynchronous"
        )
    todo = _Todo(plan, activity)
    at_once = int(todo.samples.max(initial=1)) if trains else 1
    kept = kept or settle(plan, at_once, trains)
    flow = Flow(plan, activity, kept, streams=schedule == "layer-pipelined")
    if schedule == "sequential":
        _sequential(flow, todo)
    else:
        _pipelined(flow, todo, at_once=schedule == "asynchronous")
    return flow.builder.program()


class _Todo:
    """Activity sorted by phase and layer, and how many samples every mini-batch has."""

    def __init__(self, plan: Plan, activity: Activity) -> None:
        assert np.all(activity.count == 1), "aggregated rows have to be expanded before they are scheduled"
        self.layers = plan.layers
        step = activity.mini_batch
        self.mini_batches = int(step.max(initial=-1)) + 1
        self._forms: dict[tuple[int, int], tuple[Integers, Integers, Integers]] = {}
        samples = np.zeros(self.mini_batches, np.int64)
        main = activity.phase <= Phase.UPDATE
        for layer in plan.layers:
            for phase in (Phase.FORWARD, Phase.BACKWARD, Phase.UPDATE):
                rows = np.flatnonzero((activity.layer == layer.index) & (activity.phase == phase))
                if len(rows):
                    form = self._forms[phase, layer.index] = _form(layer, rows, step, activity)
                    np.maximum.at(samples, form[0], form[1] // layer.placed.layer.vectors + 1)
        self.samples = samples
        self.first = np.concatenate([[0], np.cumsum(samples)])
        """The first sample of every step, counted through."""
        self.step_of = np.repeat(np.arange(len(samples)), samples)
        self.number = np.arange(len(self.step_of)) - self.first[self.step_of]
        """Of every sample within its mini-batch."""
        self._extras = {
            layer.index: Extras(
                step=step[rows],
                vector=activity.vector[rows].astype(np.int64),
                tile=activity.tile[rows].astype(np.int64),
                row=rows,
                phase=activity.phase[rows].astype(np.int64),
            )
            for layer in plan.layers
            if len(rows := np.flatnonzero(~main & (activity.layer == layer.index)))
        }

    def readers(self) -> list[Work]:
        """The forward work of layers that read the network's input."""
        works = (self.work(Phase.FORWARD, layer) for layer in self.layers if layer.inputs)
        return [work for work in works if work]

    def work(self, phase: Phase, layer: LayerPlan) -> Work | None:
        if (phase, layer.index) not in self._forms:
            return None
        step, vector, rows = self._forms[phase, layer.index]
        sample = self.first[step] + vector // layer.placed.layer.vectors
        return Work(layer, phase, step, sample, vector, rows)

    def errors(self, layer: LayerPlan) -> Work | None:
        """The vectors that have an error: those that go back, or learn."""
        found = [w for phase in (Phase.BACKWARD, Phase.UPDATE) if (w := self.work(phase, layer))]
        if not found:
            return None
        width = 1 + max(int(w.vector.max()) for w in found)
        step, vector = np.divmod(np.unique(np.concatenate([w.step * width + w.vector for w in found])), width)
        sample = self.first[step] + vector // layer.placed.layer.vectors
        return Work(layer, Phase.BACKWARD, step, sample, vector, None)

    def extras(self, layer: LayerPlan) -> Extras | None:
        """What follows updates."""
        extras = self._extras.get(layer.index)
        return extras and extras.of(extras.vector >= 0)

    def preparations(self, layer: LayerPlan) -> Extras | None:
        """What comes before mini-batches."""
        extras = self._extras.get(layer.index)
        return extras and extras.of(extras.vector < 0)


def _form(layer: LayerPlan, rows: Integers, step: Integers, activity: Activity) -> tuple[Integers, Integers, Integers]:
    """Step and vector of every vector, and its row on each block of its replica; gaps are errors of the program."""
    placed = layer.placed
    order = rows[np.lexsort((activity.tile[rows], activity.vector[rows], step[rows]))]
    table = order.reshape(-1, placed.grid)
    steps, vectors = step[table[:, 0]], activity.vector[table[:, 0]].astype(np.int64)
    starts = np.flatnonzero(np.r_[True, steps[1:] != steps[:-1]])
    numbers = np.diff(np.r_[starts, len(vectors)])
    unread = placed.layer.unread * int(activity.phase[rows[0]] == Phase.BACKWARD)
    each = placed.layer.vectors - unread
    sample, position = np.divmod(np.arange(len(vectors)) - np.repeat(starts, numbers), each)
    expected = sample * placed.layer.vectors + position + unread
    tiles = (vectors % placed.replicas * placed.grid)[:, None] + np.arange(placed.grid)
    whole = np.array_equal(vectors, expected) and np.array_equal(activity.tile[table], tiles)
    assert whole and not np.any(numbers % each), f"activity of layer {layer.index} has gaps"
    return steps.astype(np.int64), vectors, table


def _last(of: Integers, number: int) -> Integers:
    """For every sample (or step) the place of its last vector, ``of`` saying which each belongs to; -1: it has none."""
    last = np.full(number, -1)
    last[of] = np.arange(len(of))  # in order, so the last one stays
    return last


def _sequential(flow: Flow, todo: _Todo) -> None:
    samples = len(todo.step_of)
    begin = flow.builder.gates(samples) + np.arange(samples)
    before = begin
    """What each sample has to have done before its next stage."""

    # A sample is fetched while the one before it is at work.
    readers = todo.readers()
    learned = begin[todo.first[todo.step_of]]
    inputs = flow.bring_in(readers, todo.number, [only(begin > begin[0], begin - 1)], [learned] * len(readers))

    def stage(work: Work | None, do: Callable[[Work, Sequence[Operand]], Done]) -> None:
        nonlocal before
        if work is None:
            return
        start = [before[work.sample]]
        if inputs is not None and work.phase == Phase.FORWARD and work.layer.inputs:
            start.append(inputs[work.sample])
        if work.phase == Phase.FORWARD and (extras := todo.preparations(work.layer)):
            start.append(_prepared(flow, work, extras, begin[todo.first[:-1]]))
        reached = do(work, start).by(_last(work.sample, samples))
        before = np.where(reached != ALWAYS, reached, before)

    updates: list[Integers] = []
    last_sample = todo.first[1:] - 1
    for layer in todo.layers:
        stage(todo.work(Phase.FORWARD, layer), flow.forward)
    for layer in reversed(todo.layers):
        stage(todo.errors(layer), flow.error)
        known = before
        stage(todo.work(Phase.BACKWARD, layer), flow.backward)
        if layer.echo:  # the error of the first step, after all others went back
            before = known
        if pairs := todo.work(Phase.UPDATE, layer):
            done = flow.update(pairs, [before[last_sample[pairs.step]]], todo.extras(layer))
            updates.append(done.by(_last(pairs.step, todo.mini_batches)))
    _conduct(flow, todo, begin, before, updates)


def _prepared(flow: Flow, work: Work, extras: Extras, start: Integers) -> Integers:
    """For the vectors of mini-batches that something has to be done before: that it is."""
    due = np.isin(work.step, extras.step)
    return only(due, flow.prepare(work.layer, extras, start).by(work.step))


def _conduct(flow: Flow, todo: _Todo, begin: Integers, ends: Integers, updates: Sequence[Integers]) -> None:
    """Begin each sample when the one before it has ended; the first of a mini-batch when all updates have, too."""
    samples = len(todo.step_of)
    behind = np.arange(samples) - 1
    first = np.isin(np.arange(samples), todo.first[1:])
    with flow.builder.task(samples, Phase.FORWARD, 0, 0, np.arange(samples)) as task:
        task.wait(only(behind >= 0, ends[behind]))
        task.wait_for(only(first & (behind >= 0), update[todo.step_of - 1]) for update in updates)
        task.raise_(begin)


def _pipelined(flow: Flow, todo: _Todo, at_once: bool) -> None:
    """Every vector as soon as what it needs is there; see `layer-pipelined`, `minibatch-pipelined`, `asynchronous`."""
    samples, network = len(todo.step_of), flow.plan.placement.network
    learned = {layer.index: flow.builder.gates(todo.mini_batches) for layer in todo.layers}
    """Raised when the update of a layer with a mini-batch has ended."""
    free = flow.builder.gates(samples) + np.arange(samples)
    trains = {layer.index: todo.work(Phase.UPDATE, layer) for layer in todo.layers}

    def learned_before(layer: LayerPlan, step: Integers) -> Integers:
        """The weights that the mini-batch before has left are there, and its samples out of the layer's buffers."""
        pairs = trains[layer.index]
        known = np.isin(np.arange(todo.mini_batches), [] if pairs is None else pairs.step)
        return only((step > 0) & known[step - 1], learned[layer.index] + step - 1)

    readers = todo.readers()
    left = [free if at_once else learned_before(work.layer, todo.step_of) for work in readers]
    inputs = flow.bring_in(readers, todo.number, [], left)

    forwards: dict[int, tuple[Work, Done]] = {}
    for layer in todo.layers:
        work = todo.work(Phase.FORWARD, layer)
        if work is None:
            continue
        start = [_needed(forwards[producer], work, np.array(needs)) for producer, needs in layer.needs]
        if inputs is not None and layer.inputs:
            start.append(inputs[work.sample])
        merges = [_needed(forwards[other], work, np.array(needed)) for other, needed in layer.merges]
        pairs = trains[layer.index]
        if pairs is not None:
            start.append(free[work.sample] if at_once else learned_before(layer, work.step))
        if extras := todo.preparations(layer):
            steps = np.arange(todo.mini_batches)
            idle = only((steps > 0) & (pairs is not None), learned[layer.index] + steps - 1)
            start.append(_prepared(flow, work, extras, idle))
        forwards[layer.index] = work, flow.forward(work, start, merges)

    backs: dict[int, tuple[Work, Done]] = {}
    ends: list[Integers] = []
    for layer in reversed(todo.layers):
        errors = todo.errors(layer)
        if errors is None:
            continue
        later = [e.consumer for e in network.edges if e.producer == layer.index and e.consumer in backs]
        sources = [backs[consumer] for consumer in later]
        if not sources:  # the loss: known when all that nobody reads has come out
            outputs = {layer.index for layer in todo.layers} - {e.producer for e in network.edges}
            sources = [forwards[output] for output in outputs if output in forwards]
        start = [done.by(_last(work.sample, samples)[errors.sample]) for work, done in sources]
        ready = errors, flow.error(errors, start)
        back = todo.work(Phase.BACKWARD, layer)
        done = back and flow.backward(back, [ready[1].by(_last(errors.sample, samples)[back.sample])])
        if layer.echo:  # the error of the first step comes after all others went back, and is what others wait for
            backs[layer.index] = ready
        elif back and done:
            ready = backs[layer.index] = back, done
        pairs = trains[layer.index]
        if pairs is None:
            continue
        # Every vector after its own sample, or the whole mini-batch, has come back.
        until = _last(ready[0].sample, samples)[pairs.sample if at_once else todo.first[1:][pairs.step] - 1]
        done = flow.update(pairs, [ready[1].by(until)], todo.extras(layer))
        steps = np.unique(pairs.step)
        with flow.builder.task(len(steps), Phase.UPDATE, layer.index, 0, 0) as task:
            task.wait(done.by(_last(pairs.step, todo.mini_batches)[steps]))
            task.raise_(learned[layer.index] + steps)
        ends.append(done.by(_last(pairs.sample, samples)))
    if at_once:
        _let_in(flow, todo, free, ends)


def _needed(producer: tuple[Work, Done], work: Work, needs: Integers) -> Integers:
    """The vector of the producer that each vector has to wait for."""
    theirs, done = producer
    first = np.full(int(theirs.sample.max()) + 1, -1)
    first[theirs.sample[::-1]] = np.arange(len(theirs))[::-1]
    needed = needs[work.position]
    return done.by(np.where(needed >= 0, first[work.sample] + needed, -1))


def _let_in(flow: Flow, todo: _Todo, free: Integers, ends: Sequence[Integers]) -> None:
    """Let a sample in when the one a mini-batch before it has ended."""
    samples = len(todo.step_of)
    window = int(todo.samples.max(initial=1))
    behind = np.arange(samples) - window
    with flow.builder.task(samples, Phase.FORWARD, 0, 0, np.arange(samples)) as task:
        task.wait_for(only(behind >= 0, end[behind]) for end in ends)
        task.raise_(free)
