"""An experiment whose network is trained in software, programmed, and used until its last time after programming.

train in floating point -> put on the chip -> retrain for it, if asked -> program -> per time { drift, measure it, infer
the test set } -> account. Training is off the chip's clock; programming, measuring drift and inferring are on it. Where
drift is compensated, the same cells are tested without, too.
"""

from __future__ import annotations

import time
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from rpusim.arch.contract.activity import Activity, ActivityLog, Phase
from rpusim.arch.chips.chip import Chip
from rpusim.arch.account.ledger import Ledger
from rpusim.arch.mapping.placement import Placement, place
from rpusim.arch.schedule.plan import Plan, make_plan
from rpusim.errors import InputError, nearest
from rpusim.kernels.inference import INFERENCE, AddNormal, GaussianClip, drift, program
from rpusim.workloads.zoo import data as datasets
from rpusim.workloads.runs import training_run as flow
from rpusim.workloads.cells import inference_cells
from rpusim.workloads.zoo import networks
from rpusim.workloads.runs import settings
from rpusim.workloads.capture.capture import capture, check_convertible
from rpusim.workloads.runs.checkpoint import Checkpoint, Progress
from rpusim.workloads.cells.inference_cells import InferenceCells
from rpusim.workloads.clock.meter import Meter
from rpusim.workloads.results.result import Result, cost, operations_per_sample
from rpusim.workloads.runs.settings import Experiment, Use
from rpusim.workloads.cells.management import Management

ZEPTO, PICO = 1e-21, 1e-12


def run(experiment: Experiment, watch: flow.Watch, kept: Path | None = None) -> Result:
    """Accuracy, and cost of an inference, at each of the experiment's times after programming.

    kept: a file in which the state is kept meanwhile, as for `experiment.run`.
    """
    began, use = time.perf_counter(), experiment.inference
    assert use is not None
    torch.manual_seed(experiment.seed)
    digital, input_shape = networks.build(experiment.network)
    samples = datasets.load(experiment.data).shaped(input_shape)
    network = capture(digital, input_shape, experiment.network)
    check_convertible(network, digital)
    cells = _cells(experiment, use)
    placement = place(network, Chip.load(experiment.chip), experiment.bias, cells.layout)
    _check_written(placement)
    done = Progress(Checkpoint(kept, flow.inputs_of(experiment, digital, samples, placement, cells)), began)

    log, batches = ActivityLog(), flow.Batches(samples, experiment)
    stage = flow.Training("digital", digital, torch.optim.SGD(digital.parameters(), 1.0))

    def on_chip(cells: InferenceCells, log: ActivityLog) -> nn.Module:
        return flow.analog_twin(digital, placement, experiment.management, cells, experiment.seed, log)

    try:
        done.goes_on_with(stage)
        flow.train(stage, batches, watch, done.keep)
        model = on_chip(cells, log)
        if use.retraining is not None:
            recipe = {"epochs": use.retraining.epochs, "learning_rate": use.retraining.learning_rate}
            again = flow.Batches(samples, settings.changed(experiment, recipe))
            retraining = flow.Training("hardware-aware", model, torch.optim.SGD(model.parameters(), 1.0), log)
            done.goes_on_with(retraining)
            flow.train(retraining, again, watch, done.keep)
    except InputError:  # it cannot go on
        done.checkpoint.remove()
        raise
    log.take()

    plain = None
    if cells.config.compensation is not None:
        plain = on_chip(replace(cells, config=replace(cells.config, compensation=None)), ActivityLog())
        plain.load_state_dict(model.state_dict())
    plan = make_plan(placement)
    aging = _Aging(model, plain, log, batches, plan, experiment.management)
    done.goes_on_with(aging)
    for seconds in use.times[len(aging.points) :]:
        aging.test(seconds)
        done.keep()
        watch(aging.name, len(aging.points) / len(use.times))

    meter, reference = aging.meter, stage.curve[-1]["test_error"]
    document = {
        **flow.heading(experiment, placement),
        "accuracy": {
            "test_error": aging.points[-1]["test_error"],
            "test_error_floating_point": reference,
            "test_samples": len(samples.test_y),
            "curve": [],
            "aging": aging.points,
        },
        **cost(plan, meter.ledger(), meter.samples, operations_per_sample(network, training=False)),
        "activity": meter.activity(),
        "storage": meter.storage(),
        "analysis": meter.analysis(),
        "provenance": flow.provenance(experiment, samples, placement, cells),
        "wall": {"seconds": time.perf_counter() - done.began},
    }
    return Result(document, meter.trace, plan.stations, meter.details)


class _Aging:
    """A model on a chip in use: programmed at the first time, tested at every one.

    plain: the same cells, programmed alike and read with the same noise, whose drift is not compensated; off the clock.
    """

    name = "aging"

    def __init__(
        self,
        model: nn.Module,
        plain: nn.Module | None,
        log: ActivityLog,
        batches: flow.Batches,
        plan: Plan,
        management: Management,
    ) -> None:
        self._models = [model.eval()] if plain is None else [model.eval(), plain.eval()]
        self._log, self._batches = log, batches
        self._new_meter = partial(Meter, plan, "sequential", management=management)
        self.meter = self._new_meter()
        self.points: list[dict[str, float]] = []

    def test(self, seconds: float) -> None:
        """Infer the test set so long after programming: error, cost of an inference, and of what comes before it."""
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
        forward, writing = rows.phase == Phase.FORWARD, rows.writes > 0
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

    def _error(self, model: nn.Module) -> float:
        x, y, size = self._batches.test_x, self._batches.test_y, self._batches.recipe.batch
        wrong = 0
        with torch.no_grad():
            for inputs, classes in zip(x.split(size), y.split(size), strict=True):
                wrong += int((model(inputs).argmax(dim=1) != classes).sum())
                self._log.step += 1
        return wrong / len(y)

    def _alone(self, rows: Activity, chosen: NDArray[np.bool_]) -> Ledger:
        meter = self._new_meter()
        meter.add(rows.select(np.flatnonzero(chosen)))
        return meter.ledger()

    def state_dict(self) -> dict[str, Any]:
        """All that it takes to go on after a test."""
        assert not self._log, "activity that nobody has accounted for"
        return {
            "models": [model.state_dict() for model in self._models],
            "meter": self.meter.state_dict(),
            "log_step": self._log.step,
            "points": self.points,
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on from what `state_dict` gave."""
        for model, before in zip(self._models, state["models"], strict=True):
            model.load_state_dict(before)
        self.meter.load_state_dict(state["meter"])
        self._log.step, self.points = state["log_step"], state["points"]


def _cells(experiment: Experiment, use: Use) -> InferenceCells:
    """The cells that the experiment names, with what disturbs them in retraining; its times are covered."""
    found = inference_cells.cells(experiment.device)
    if found is None:
        given = str(experiment.device)[:60]
        raise InputError(f"device: {given!r} does not infer, but the experiment does{nearest(given, INFERENCE)}")
    if found.config.noise is not None:
        for seconds in use.times:
            found.config.noise.check_time(seconds)
    if use.retraining is None:
        return found
    clip = GaussianClip(use.retraining.clip) if use.retraining.clip else None
    return replace(found, config=replace(found.config, modifiers=(AddNormal(use.retraining.noise),), clip=clip))


def _check_written(placement: Placement) -> None:
    for kind in placement.chip.tiles:
        if kind.programming is None:
            raise InputError(
                f"chip: tiles {kind.name!r} of {placement.chip.name} do not say how they are written; a programming "
                "block is needed"
            )
