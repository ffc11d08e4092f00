"""An experiment whose network is trained in software, programmed, and used until its last time after programming.

train in floating point -> put on the chip -> retrain for it, if asked -> program -> per time { drift, measure it, infer
the test set } -> account. Training is off the chip's clock; programming, measuring drift and inferring are on it.
"""

from __future__ import annotations

import time
from dataclasses import replace

import numpy as np
import torch
from torch import nn

from rpusim.arch.activity import ActivityLog, Phase
from rpusim.arch.chip import Chip
from rpusim.arch.mapping import Placement, place
from rpusim.arch.plan import Plan, make_plan
from rpusim.errors import InputError, nearest
from rpusim.kernels.inference import INFERENCE, AddNormal, GaussianClip, drift, program
from rpusim.workloads import data as datasets
from rpusim.workloads import experiment as flow
from rpusim.workloads import inference, networks, settings
from rpusim.workloads.capture import capture, check_convertible
from rpusim.workloads.inference import InferenceCells
from rpusim.workloads.meter import Meter
from rpusim.workloads.result import SCHEMA, Result, cost, operations_per_sample, package_version
from rpusim.workloads.settings import Experiment, Use

ZEPTO, PICO = 1e-21, 1e-12


def run(experiment: Experiment, watch: flow.Watch) -> Result:
    """Accuracy, and cost of an inference, at each of the experiment's times after programming."""
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

    log, batches = ActivityLog(), flow.Batches(samples, experiment)
    stage = flow.Training("digital", digital, torch.optim.SGD(digital.parameters(), 1.0))
    flow.train(stage, batches, watch)
    chip_model = flow.analog_twin(digital, placement, experiment.management, cells, experiment.seed, log)
    if use.retraining is not None:
        recipe = {"epochs": use.retraining.epochs, "learning_rate": use.retraining.learning_rate}
        again = flow.Batches(samples, settings.changed(experiment, recipe))
        optimizer = torch.optim.SGD(chip_model.parameters(), 1.0)
        flow.train(flow.Training("hardware-aware", chip_model, optimizer, log), again, watch)
    log.take()

    plan = make_plan(placement)
    meter = Meter(plan, "sequential", management=experiment.management)
    program(chip_model.eval())
    aging = []
    for number, seconds in enumerate(use.times, 1):
        drift(chip_model, seconds)
        aging.append(_age(chip_model, batches, log, plan, meter, experiment) | {"seconds_since_programming": seconds})
        watch("aging", number / len(use.times))

    reference = stage.curve[-1]["test_error"]
    document = {
        "schema": SCHEMA,
        "title": experiment.title,
        "network": experiment.network,
        "chip": placement.chip.name,
        "training": experiment.model_dump(exclude={"source", "sources", "name", "title", "network", "chip", "seed"}),
        "seed": experiment.seed,
        "version": package_version(),
        "accuracy": {
            "test_error": aging[-1]["test_error"],
            "test_error_floating_point": reference,
            "test_samples": len(samples.test_y),
            "curve": [],
            "aging": aging,
        },
        **cost(plan, meter.ledger(), meter.samples, operations_per_sample(network, training=False)),
        "activity": meter.activity(),
        "storage": meter.storage(),
        "analysis": meter.analysis(),
        "provenance": [
            *experiment.numbers("experiment"),
            *cells.provenance(),
            {"field": "data", "value": experiment.data, "unit": "1", "source": samples.source},
            *placement.chip.provenance(),
        ],
        "wall": {"seconds": time.perf_counter() - began},
    }
    return Result(document, meter.trace, plan.stations, meter.details)


def _age(
    model: nn.Module, batches: flow.Batches, log: ActivityLog, plan: Plan, meter: Meter, experiment: Experiment
) -> dict[str, float]:
    """Infer the test set: error, cost of an inference, and of the maintenance before it."""
    wrong, size = 0, batches.recipe.batch
    with torch.no_grad():
        for x, y in zip(batches.test_x.split(size), batches.test_y.split(size), strict=True):
            wrong += int((model(x).argmax(dim=1) != y).sum())
            log.step += 1
    rows, before = log.take(), meter.ledger()
    alone = Meter(plan, "sequential", management=experiment.management)
    alone.add(rows.select(np.flatnonzero(rows.phase == Phase.FORWARD)))
    earlier_ps, earlier_zj = before.time_ps, before.total_zj
    meter.add(rows)
    inferring, after, tested = alone.ledger(), meter.ledger(), len(batches.test_y)
    return {
        "test_error": wrong / tested,
        "seconds_per_inference": inferring.time_ps * PICO / tested,
        "joules_per_inference": inferring.total_zj * ZEPTO / tested,
        "maintenance_seconds": (after.time_ps - earlier_ps - inferring.time_ps) * PICO,
        "maintenance_joules": (after.total_zj - earlier_zj - inferring.total_zj) * ZEPTO,
    }


def _cells(experiment: Experiment, use: Use) -> InferenceCells:
    """The cells that the experiment names, with what disturbs them in retraining; its times are covered."""
    found = inference.cells(experiment.device)
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
