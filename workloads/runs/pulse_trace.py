"""The first mini-batches of an experiment with every pulse that its cells take, at the time at which it comes.

The run is that of `training_run`, on the same arrays with the same random numbers and the same clock; pulses are sent
one by one by the specification (`rpusim.kernels.pulses.specification`), which the compiled loops agree with.
"""

from __future__ import annotations

import copy
from contextlib import nullcontext
from dataclasses import dataclass
from itertools import count
from typing import Any, NamedTuple

import torch

from rpusim.arch.contract.activity import Activity, ActivityLog
from rpusim.arch.contract.columns import Integers
from rpusim.arch.engine.events import Events
from rpusim.arch.schedule.plan import Plan, make_plan
from rpusim.errors import InputError
from rpusim.kernels import AnalogSGD, AnalogTile
from rpusim.workloads.cells.training_cells import UnitCells
from rpusim.workloads.clock.coupling import Coupling
from rpusim.workloads.clock.loop_activity import LoopActivity
from rpusim.workloads.clock.meter import Meter
from rpusim.workloads.clock.pulse_times import Listener, in_order, table_of
from rpusim.workloads.runs import inputs
from rpusim.workloads.runs.analog_twin import analog_twin
from rpusim.workloads.runs.inputs import Inputs
from rpusim.workloads.runs.process import RandomNumbers, one_thread
from rpusim.workloads.runs.settings import Experiment
from rpusim.workloads.runs.training_loop import Batches, Training

MOST_PULSES = 20_000_000
"""The most pulses that are kept, in some gigabytes of memory."""


class TimedTogether(NamedTuple):
    """Hold some mini-batches: when they began (ps), what was done and when."""

    begun_ps: int
    activity: Activity
    events: Events


@dataclass(frozen=True)
class PulseTrace:
    """Hold the pulses of a run.

    columns:  `rpusim.workloads.clock.pulse_times.COLUMNS`, one entry for each pulse, in the order of time and place.
    layers:   names of the layers that the column "layer" numbers.
    pieces:   the mini-batches that were timed together, in order.
    plan:     by which they were timed.
    model:    the network on its arrays, after the run; before: its ``state_dict`` before it.
    samples:  that were learned. time_ps: that it took.
    """

    columns: dict[str, Integers]
    layers: tuple[str, ...]
    pieces: tuple[TimedTogether, ...]
    plan: Plan
    model: torch.nn.Module
    before: dict[str, Any]
    samples: int
    time_ps: int

    def __len__(self) -> int:
        return len(self.columns["time_ps"])


class _Noting(Meter):
    """A meter that keeps what it timed."""

    def __init__(self, *given: Any) -> None:
        super().__init__(*given)
        self.pieces: list[TimedTogether] = []

    def add(self, done: Activity | LoopActivity) -> tuple[Activity, Events] | None:
        """Account for whole mini-batches, see `Meter.add`."""
        begun, found = self.ledger().time_ps, super().add(done)
        if found is not None:
            self.pieces.append(TimedTogether(begun, *found))
        return found


def trace_pulses(experiment: Experiment, samples: int | None = None) -> PulseTrace:
    """Train an experiment's network on its chip for some samples, and note every pulse.

    experiment:  that trains on its chip; pulses are sent one by one, whatever its ``execution`` says.
    samples:     to learn from, rounded up to whole mini-batches; None: one mini-batch.

    Raises InputError for what cannot be used, and where pulses cannot be told one by one.
    """
    experiment = experiment.model_copy(update={"execution": "exact"})
    numbers = RandomNumbers(experiment.seed)
    with one_thread(), numbers.drawn():
        loaded = inputs.load(experiment)
        with experiment.speaks():
            _check(loaded)
            return _run(loaded, samples)


def _check(loaded: Inputs) -> None:
    """Refuse experiments whose pulses do not belong to one row of activity each."""
    experiment, cells, placement = loaded.experiment, loaded.cells, loaded.placement
    if experiment.inference is not None or not isinstance(cells, UnitCells):
        raise InputError("inference: its cells are written, not pulsed; accepted for pulses: an experiment that trains")
    if experiment.schedule == "asynchronous":
        raise InputError(
            "schedule: got 'asynchronous', where samples may be computed again; accepted for pulses: sequential, "
            "minibatch-pipelined"
        )
    if experiment.elapse == "vector":
        raise InputError("elapse: got 'vector', where updates are done twice; accepted for pulses: mini-batch")
    if loaded.replicas:
        raise InputError("replicas: got copies of layers, whose pulses cannot be told apart yet; accepted: none")
    if cells.layout.own_trains:
        raise InputError(
            f"device.cell.kind: got {cells.cell.kind!r}, which makes several trains of one vector; accepted for "
            "pulses: every other kind"
        )
    if len(placement.holders) < len(placement.layers) or any(placed.joined > 1 for placed in placement.layers):
        raise InputError(
            "network: a weight is used more than once, or groups share an array; accepted for pulses: layers with a "
            "weight and arrays of their own"
        )


def _run(loaded: Inputs, samples: int | None) -> PulseTrace:
    """Train for some mini-batches, and put the pulses that were noted and the events together."""
    experiment, placement, seed = loaded.experiment, loaded.placement, loaded.experiment.seed
    plan, log = make_plan(placement), ActivityLog()
    assert isinstance(loaded.cells, UnitCells)
    meter = _Noting(plan, experiment.schedule, "every", experiment.management)
    model = analog_twin(
        loaded.digital, placement, experiment.management, loaded.cells, seed, log, exclude=loaded.exclude
    )
    listeners = [Listener(t) for t in model.modules() if isinstance(t, AnalogTile) and t.log is log]
    before = copy.deepcopy(model.state_dict())
    refresh = experiment.refresh.every if experiment.refresh else None
    coupling = Coupling(model, meter, log.take, experiment.elapse, refresh)
    training = Training("analog", model, AnalogSGD(model, 1.0), log, coupling, "a trace of pulses")
    batches, learned, noted = Batches(loaded.samples, experiment.recipe, seed), 0, 0
    wanted = batches.size if samples is None else samples
    model.train()
    for epoch in count():
        training.optimizer.param_groups[0]["lr"] = batches.learning_rate(epoch)
        for x, y in batches.epoch(epoch):
            step = log.step
            training.learn(x, y, batches.size, nullcontext)
            learned += len(y)
            noted += sum(listener.end(step) for listener in listeners)
            if noted > MOST_PULSES:
                raise InputError(
                    f"samples: got {wanted}, which send more than {MOST_PULSES:,} pulses; accepted are fewer, here "
                    f"about {learned * MOST_PULSES // noted}"
                )
            if learned >= wanted:
                break
        if learned >= wanted:
            break
    training.settle()
    columns = in_order(table_of(p.activity, p.events, plan, listeners, p.begun_ps) for p in meter.pieces)
    names = tuple(placed.layer.name for placed in placement.layers)
    time_ps = meter.ledger().time_ps
    return PulseTrace(columns, names, tuple(meter.pieces), plan, model, before, learned, time_ps)
