"""An experiment whose network is trained in software, programmed, and used until its last time after programming.

train in floating point -> put on the chip -> retrain for it, if asked -> program -> per time { drift, measure it, infer
the test set } -> account. Training is off the chip's clock; programming, measuring drift and inferring are on it. Where
drift is compensated, the same cells are tested without, too.
"""

from __future__ import annotations

import time
from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from rpusim.arch.account.ledger import Ledger
from rpusim.arch.contract.activity import Activity, ActivityLog, Phase
from rpusim.arch.schedule.plan import Plan, make_plan
from rpusim.errors import InputError
from rpusim.kernels.inference import drift, program
from rpusim.workloads.capture.capture import capture_modes
from rpusim.workloads.cells import conductance
from rpusim.workloads.cells.inference_cells import InferenceCells
from rpusim.workloads.cells.management import Management
from rpusim.workloads.clock import loads
from rpusim.workloads.clock.by_sample import is_load
from rpusim.workloads.clock.meter import Meter
from rpusim.workloads.results import document, reloading
from rpusim.workloads.results.result import Result
from rpusim.workloads.runs.analog_twin import analog_twin
from rpusim.workloads.runs.checkpoint import Progress
from rpusim.workloads.runs.dry_run import draws
from rpusim.workloads.runs.inputs import Inputs
from rpusim.workloads.runs.step_of import compiled_step, step_taken
from rpusim.workloads.runs.training_loop import Batches, Training, Watch, train
from rpusim.workloads.waterfall.divide import divide

ZEPTO, PICO = 1e-21, 1e-12
"""Joules in a zeptojoule, seconds in a picosecond."""


def run(inputs: Inputs, progress: Progress, watch: Watch) -> Result:
    """Find the accuracy, and the cost of an inference, at each of the experiment's times after programming.

    inputs:    what the experiment names; its cells infer, and it has ``inference``.
    progress:  where the state is kept meanwhile, and what a killed run has left there.
    watch:     told how far it is.

    Raises InputError if the training in software diverges.
    """
    experiment, digital, samples, cells = inputs.experiment, inputs.digital, inputs.samples, inputs.cells
    use, recipe, seed, log = experiment.inference, experiment.recipe, experiment.seed, ActivityLog()
    assert use is not None and isinstance(cells, InferenceCells)

    def on_chip(cells: InferenceCells, log: ActivityLog) -> nn.Module:
        return analog_twin(digital, inputs.placement, experiment.management, cells, seed, log, exclude=inputs.exclude)

    stage = Training("digital", digital, torch.optim.SGD(digital.parameters(), 1.0))
    batches = Batches(samples, recipe, seed)
    surrounding = draws(digital, batches, progress.numbers)
    with experiment.speaks("network"):
        network, _ = capture_modes(digital, inputs.input_shape, experiment.network, inputs.exclude)
    stage.told = progress.epoch
    stage.compiled = compiled_step(network, stage, batches.size, watch)
    try:
        progress.goes_on_with(stage)
        train(stage, batches, watch, progress.keep, draws=surrounding)
        model = on_chip(cells, log)
        if use.retraining is not None:
            changed = {"epochs": use.retraining.epochs, "learning_rate": use.retraining.learning_rate}
            again = Batches(samples, recipe.model_copy(update=changed), seed)
            retraining = Training("hardware-aware", model, torch.optim.SGD(model.parameters(), 1.0), log)
            retraining.told = progress.epoch
            progress.goes_on_with(retraining)
            train(retraining, again, watch, progress.keep, draws=surrounding)
    except InputError:  # it cannot go on
        progress.checkpoint.remove()
        raise
    log.take()

    plain = None
    if cells.config.compensation is not None:
        plain = on_chip(replace(cells, config=replace(cells.config, compensation=None)), ActivityLog())
        plain.load_state_dict(model.state_dict())
    aging = _Aging(model, plain, log, batches, make_plan(inputs.placement), experiment.management)
    progress.goes_on_with(aging)
    for seconds in use.times[len(aging.points) :]:
        with surrounding():
            aging.test(seconds)
        progress.keep()
        watch(aging.name, len(aging.points) / len(use.times))

    last: dict[str, Any] = {}
    if experiment.waterfall:
        twin = on_chip(cells, ActivityLog())
        twin.load_state_dict(model.state_dict())
        floating = stage.curve[-1]["test_error"]
        with surrounding():
            last["waterfall"] = divide(
                twin,
                batches.test_x,
                batches.test_y,
                use.times[-1],
                draws=experiment.waterfall,
                seed=seed,
                batch=batches.recipe.batch,
                before=None if use.retraining is None else floating,
                watch=lambda fraction: watch("waterfall", fraction),
            )

    return document.result(
        aging.meter.measured(),
        operations_per_sample=document.operations_per_sample(inputs.network, training=False),
        provenance=inputs.provenance(),
        title=experiment.title,
        training=experiment.document(),
        seed=seed,
        configuration=experiment.digest,
        accuracy={
            "test_error": aging.points[-1]["test_error"],
            "test_error_floating_point": stage.curve[-1]["test_error"],
            "test_samples": samples.test_y.size,
            "curve": [],
            "aging": aging.points,
        },
        conductance=conductance.document(model, inputs.placement),
        steps={"digital": step_taken(stage.compiled)},
        last={**aging.reload, **last, "wall": {"seconds": time.perf_counter() - progress.began}},
    )


class _Aging:
    """A model on a chip in use: programmed at the first time, tested at every one.

    model:       on the chip; it is put into evaluation mode.
    plain:       the same cells, programmed alike and read with the same noise, whose drift is not compensated; off the
                 clock. None where drift is not compensated anyway.
    log:         where ``model`` writes its activity.
    batches:     the test set, and how many of its samples are inferred at once.
    plan:        what the engine times.
    management:  whose digital operations are added.
    """

    name = "aging"

    def __init__(
        self,
        model: nn.Module,
        plain: nn.Module | None,
        log: ActivityLog,
        batches: Batches,
        plan: Plan,
        management: Management,
    ) -> None:
        self._models = [model.eval()] if plain is None else [model.eval(), plain.eval()]
        self._log, self._batches = log, batches
        self._new_meter = partial(Meter, plan, "sequential", management=management)
        self.meter = self._new_meter()
        self.points: list[dict[str, float]] = []
        self.reload: dict[str, Any] = {}
        """What it takes that blocks take turns, in the last test; empty if none do."""

    def test(self, seconds: float) -> None:
        """Infer the test set so many seconds after programming, and add a point to the curve.

        The point has the test error, time and energy of an inference, and of the maintenance before it (programming,
        or measuring drift); where drift is compensated, also the error without, and what compensation costs.
        """
        model, *plain = self._models
        for each in self._models:
            if not self.points:
                program(each)
            drift(each, seconds)
        point = {"seconds_since_programming": seconds, "test_error": self._error(model)}
        rows, before = self._log.take(), self.meter.ledger()
        self.meter.add(rows)
        after, tested = self.meter.ledger(), len(self._batches.test_y)
        time_ps, energy_zj = after.time_ps - before.time_ps, after.total_zj - before.total_zj
        forward, writing = (rows.phase == Phase.FORWARD) | is_load(rows), rows.writes > 0
        inferring = self._alone(rows, forward)
        point |= {
            "seconds_per_inference": inferring.time_ps * PICO / tested,
            "joules_per_inference": inferring.total_zj * ZEPTO / tested,
            "maintenance_seconds": (time_ps - inferring.time_ps) * PICO,
            "maintenance_joules": (energy_zj - inferring.total_zj) * ZEPTO,
        }
        for uncompensated in plain:
            unmeasured = self._alone(rows, forward | writing) if writing.any() else inferring
            point |= {
                "test_error_uncompensated": self._error(uncompensated),
                "compensation_seconds": (time_ps - unmeasured.time_ps) * PICO,
                "compensation_joules": (energy_zj - unmeasured.total_zj) * ZEPTO,
            }
        self.points.append(point)
        placement = self.meter.plan.placement
        self.reload = reloading.document(placement, inferring, lambda _: self._alone(rows, rows.phase == Phase.FORWARD))
        if self.reload:
            self.reload["reload"] |= loads.document(model, placement)

    def _error(self, model: nn.Module) -> float:
        """Return the fraction of the test set that is classified wrongly."""
        x, y, size = self._batches.test_x, self._batches.test_y, self._batches.recipe.batch
        wrong = 0
        with torch.no_grad():
            for inputs, classes in zip(torch.split(x, size), torch.split(y, size), strict=True):
                wrong += int((model(inputs).argmax(dim=-1) != classes).sum())
                self._log.step += 1
        return wrong / y.numel()

    def _alone(self, rows: Activity, chosen: NDArray[np.bool_]) -> Ledger:
        """Account for some rows of activity as if nothing else had been done."""
        meter = self._new_meter()
        meter.add(rows.select(np.flatnonzero(chosen)))
        return meter.ledger()

    def state_dict(self) -> dict[str, Any]:
        """Return all that it takes to go on after a test."""
        assert not self._log, "activity that nobody has accounted for"
        return {
            "models": [model.state_dict() for model in self._models],
            "meter": self.meter.state_dict(),
            "log_step": self._log.step,
            "points": self.points,
            "reload": self.reload,
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on from what `state_dict` gave."""
        for model, before in zip(self._models, state["models"], strict=True):
            model.load_state_dict(before)
        self.meter.load_state_dict(state["meter"])
        self._log.step, self.points = state["log_step"], state["points"]
        self.reload = state.get("reload", {})
