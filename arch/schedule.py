"""Which work waits for which: the schedules that the engine runs.

``sequential``
    The RPU papers' way. For each sample: forward through layer after layer, then backward; then the pulsed update of
    every layer, each as soon as its own backward pass is done. The next mini-batch starts when all updates have ended.
    Without backward rows (inference) it is one sample after the other.
``layer-pipelined``
    Inference only. Every vector of every sample starts as soon as the vectors it needs are there, so samples follow
    each other through the layers. A layer hands on its vectors in order.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import numpy as np
import simpy

from rpusim.arch.activity import Activity, Phase
from rpusim.arch.engine import Engine, Steps
from rpusim.arch.events import Events
from rpusim.arch.plan import LayerPlan, Plan
from rpusim.errors import InputError

Schedule = Literal["sequential", "layer-pipelined"]


@dataclass(frozen=True)
class Work:
    """Activity rows as the schedules start them: rows[step, phase, layer] is, per vector, the row of each tile."""

    steps: tuple[int, ...]
    samples: dict[int, int]
    rows: dict[tuple[int, int, int], list[list[int]]]


def run(plan: Plan, activity: Activity, schedule: Schedule) -> Events:
    """Time ``activity`` on the chip. The clock starts at 0; the events say when each unit did what."""
    if schedule == "layer-pipelined" and np.any(activity.phase != Phase.FORWARD):
        raise InputError(
            "schedule: got 'layer-pipelined' for a training, but it is for inference only; accepted: sequential"
        )
    work = _group(plan, activity)
    engine = Engine(plan, activity)
    start = {"sequential": _sequential, "layer-pipelined": _layer_pipelined}[schedule]
    engine.clock.process(start(engine, work))
    engine.clock.run()
    return engine.log.take()


def _group(plan: Plan, activity: Activity) -> Work:
    """Find the row of every (step, phase, layer, vector, tile); gaps are errors of the program that made the rows."""
    assert np.all(activity.count == 1), "aggregated rows have to be expanded before they are scheduled"
    columns = (activity.tile, activity.vector, activity.layer, activity.phase, activity.step)
    order = np.lexsort(columns)
    group = np.stack([c[order] for c in (activity.step, activity.phase, activity.layer)])
    borders = np.flatnonzero(np.any(group[:, 1:] != group[:, :-1], axis=0)) + 1
    rows: dict[tuple[int, int, int], list[list[int]]] = {}
    samples: dict[int, int] = {}
    for members in np.split(order, borders):
        first = members[0]
        step, phase, layer = (int(c[first]) for c in (activity.step, activity.phase, activity.layer))
        tiles, per_sample = len(plan.layers[layer].blocks), plan.layers[layer].placed.layer.vectors
        vectors = len(members) // tiles
        whole = np.array_equal(activity.vector[members], np.repeat(np.arange(vectors), tiles))
        assert whole and vectors % per_sample == 0, f"activity of layer {layer} in step {step} has gaps"
        rows[step, phase, layer] = members.reshape(vectors, tiles).tolist()
        samples[step] = max(samples.get(step, 0), vectors // per_sample)
    return Work(tuple(sorted(samples)), samples, rows)


def _sequential(engine: Engine, work: Work) -> Steps:
    layers = engine.plan.layers
    for step in work.steps:
        updates: list[simpy.Process] = []
        for sample in range(work.samples[step]):
            last_sample = sample == work.samples[step] - 1
            for layer in layers:
                inputs = work.rows.get((step, Phase.FORWARD, layer.index))
                yield from _sample(engine, engine.forward, layer, inputs, sample)
            for layer in reversed(layers):
                errors = work.rows.get((step, Phase.BACKWARD, layer.index))
                pairs = work.rows.get((step, Phase.UPDATE, layer.index))
                if errors or pairs:
                    yield engine.clock.all_of(
                        [engine.clock.process(engine.error(layer, v)) for v in _vectors(layer, sample)]
                    )
                yield from _sample(engine, engine.backward, layer, errors, sample)
                if last_sample and pairs:
                    updates.append(engine.clock.process(_all(engine, engine.update, layer, pairs, range(len(pairs)))))
        yield engine.clock.all_of(updates)


Do = Callable[[LayerPlan, int, list[int]], Steps]


def _sample(engine: Engine, do: Do, layer: LayerPlan, rows: list[list[int]] | None, sample: int) -> Steps:
    """All vectors of one sample through one layer, as the units allow; nothing if there are no rows."""
    if rows:
        yield from _all(engine, do, layer, rows, _vectors(layer, sample))


def _all(engine: Engine, do: Do, layer: LayerPlan, rows: list[list[int]], vectors: range) -> Steps:
    yield engine.clock.all_of([engine.clock.process(do(layer, v, rows[v])) for v in vectors])


def _vectors(layer: LayerPlan, sample: int) -> range:
    per_sample = layer.placed.layer.vectors
    return range(sample * per_sample, (sample + 1) * per_sample)


def _layer_pipelined(engine: Engine, work: Work) -> Steps:
    clock = engine.clock
    arrived: dict[tuple[int, int, int], simpy.Event] = {}  # (step, layer, vector): it and all before it are handed on
    last: dict[int, simpy.Event] = {}

    def vector(layer: LayerPlan, step: int, index: int, before: simpy.Event | None) -> Steps:
        sample, position = divmod(index, layer.placed.layer.vectors)
        for producer, needs in layer.needs:
            if needs[position] >= 0:
                from_sample = sample * engine.plan.layers[producer].placed.layer.vectors
                yield arrived[step, producer, from_sample + needs[position]]
        others = [
            arrived[step, other, sample * engine.plan.layers[other].placed.layer.vectors + needed[position]]
            for other, needed in layer.merges
            if needed[position] >= 0
        ]
        yield from engine.forward(layer, index, work.rows[step, Phase.FORWARD, layer.index][index], others)
        if before is not None:
            yield before

    for step in work.steps:
        for layer in engine.plan.layers:
            for index in range(len(work.rows[step, Phase.FORWARD, layer.index])):
                process = clock.process(vector(layer, step, index, last.get(layer.index)))
                arrived[step, layer.index, index] = last[layer.index] = process
    yield clock.all_of(list(last.values()))
