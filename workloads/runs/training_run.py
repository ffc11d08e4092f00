"""An experiment that trains on a chip, top to bottom: per mini-batch compute and time, then account.

What the kernel did in a mini-batch (pulse slots used, coincidences, retries, skipped vectors) is what the engine
schedules and prices: `Activity` is all that passes from one to the other.
"""

from __future__ import annotations

import time
import warnings
from functools import partial
from typing import Any

import torch

from rpusim.arch.contract.activity import ActivityLog
from rpusim.arch.schedule.plan import make_plan
from rpusim.errors import InputError
from rpusim.kernels import AnalogSGD, ClippedWeights
from rpusim.workloads.cells import conductance, endurance, pulses, replicas
from rpusim.workloads.cells.training_cells import UnitCells
from rpusim.workloads.clock import calibration
from rpusim.workloads.clock.coupling import Coupling
from rpusim.workloads.clock.meter import Meter
from rpusim.workloads.results import document
from rpusim.workloads.results.result import Result
from rpusim.workloads.runs import robustness
from rpusim.workloads.runs.analog_twin import analog_twin
from rpusim.workloads.runs.checkpoint import Progress
from rpusim.workloads.runs.dry_run import draws, dry_run
from rpusim.workloads.runs.inputs import Inputs
from rpusim.workloads.runs.settings import Experiment
from rpusim.workloads.runs.stale import StaleLearning
from rpusim.workloads.runs.step_of import compiled_step, step_taken
from rpusim.workloads.runs.training_loop import Batches, Training, Watch, train

ROUND_ERRORS = (0.5, 0.3, 0.2, 0.1, 0.05, 0.03, 0.02, 0.01, 0.005)
"""Test errors for which a result says what it took to get there."""
_TOTALS = ("seconds", "joules", "pulses_per_cell")


def run(inputs: Inputs, progress: Progress, watch: Watch, device_type: str = "cpu") -> Result:
    """Train the experiment's network on its chip, and in floating point beside it; price every event of it.

    inputs:    what the experiment names; its cells learn.
    progress:  where the state is kept meanwhile, and what a killed run has left there.
    watch:     told how far it is.
    device_type:  where the arrays are computed, "cpu" or "cuda"; what is trained in floating point stays on the CPU.

    Raises InputError if the network cannot learn these data, or diverges.
    """
    device, elsewhere = torch.device(device_type), device_type != "cpu"
    if elsewhere:
        _check_device(inputs.experiment)
    experiment, digital, placement, cells = inputs.experiment, inputs.digital, inputs.placement, inputs.cells
    assert isinstance(cells, UnitCells)
    seed, management = experiment.seed, experiment.management
    meter = Meter(make_plan(placement), experiment.schedule, experiment.timing, management)
    log = ActivityLog()
    twin = partial(
        analog_twin, digital, placement, management, cells, seed, exclude=inputs.exclude, replicas=inputs.replicas
    )
    analog = twin(log)
    alike = replicas.similarity(analog)
    batches = Batches(inputs.samples, experiment.recipe, seed)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ClippedWeights)  # said of the first one
        tried = twin(ActivityLog())
    dry_run(digital, tried, batches)
    if elsewhere:
        analog.to(device)
    refresh = experiment.refresh.every if experiment.refresh else None
    optimizer, stale = AnalogSGD(analog, 1.0), None
    if experiment.schedule == "asynchronous":
        stale = StaleLearning(analog, optimizer, log, meter.plan, management)
    coupling = Coupling(analog, meter, log.take if stale is None else stale.take, experiment.elapse, refresh)
    reference = Training("digital", digital, torch.optim.SGD(digital.parameters(), 1.0))
    votes = experiment.sharing.votes
    on_chip = Training("analog", analog, optimizer, log, coupling, votes=votes, stale=stale, device=device)
    for stage in (reference, on_chip):
        stage.told = progress.epoch
        if stage.stale is None:
            stage.compiled = compiled_step(inputs.network, stage, batches.size, watch)
        progress.goes_on_with(stage)
    surrounding = draws(digital, batches, progress.numbers)
    try:
        for stage in (reference, on_chip):
            train(stage, batches, watch, progress.keep, experiment.idle, surrounding)
    except InputError:  # it cannot go on
        progress.checkpoint.remove()
        raise

    if stale is not None:
        on_chip.compiled = stale.said()
    if elsewhere:
        analog.to("cpu")
    with surrounding():
        disturbed = robustness.disturbed(
            {"test_error": analog, "test_error_floating_point": digital},
            *(batches.test_x, batches.test_y, experiment.robustness, seed, experiment.sharing.votes),
        )

    measured, curve = meter.measured(), _beside(on_chip.curve, reference.curve)
    calibrated = calibration.document(meter.plan, cells, {name: curve[-1][name] for name in _TOTALS})
    wear = endurance.document(analog, placement, cells.endurance, curve[-1]["seconds"], measured.samples)
    return document.result(
        measured,
        operations_per_sample=document.operations_per_sample(inputs.network, training=True),
        provenance=inputs.provenance(),
        title=experiment.title,
        training=experiment.document(),
        seed=seed,
        configuration=experiment.digest,
        accuracy={
            "test_error": curve[-1]["test_error"],
            "test_error_floating_point": curve[-1]["test_error_floating_point"],
            "test_samples": inputs.samples.test_y.size,
            "curve": curve,
            "reached": reached(curve),
            **({"robustness": disturbed} if disturbed else {}),
        },
        samples_per_epoch=len(inputs.samples.train_y),
        pulses=pulses.document(analog),
        endurance=wear,
        calibration=calibrated,
        conductance=conductance.document(analog, placement),
        replicas=replicas.rows_of_replicas(analog, alike),
        steps={stage.name: step_taken(stage.compiled) for stage in (reference, on_chip)},
        last={"wall": {"seconds": time.perf_counter() - progress.began}},
    )


def _check_device(experiment: Experiment) -> None:
    """Refuse what is computed on the CPU only."""
    if experiment.schedule == "asynchronous":
        raise InputError(
            "--device-type: cuda was given with schedule 'asynchronous', whose weights of the past are kept on the "
            "CPU; accepted is cpu, or another schedule"
        )


def _beside(curve: list[dict[str, Any]], reference: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Add the test error in floating point to every epoch of a learning curve."""
    errors = (epoch["test_error"] for epoch in reference)
    return [epoch | {"test_error_floating_point": error} for epoch, error in zip(curve, errors, strict=True)]


def reached(curve: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Say what it took to get the test error down to each of `ROUND_ERRORS`: the first epoch that ended there.

    curve: of each epoch its number, test error, and the seconds, joules and pulses per cell by then. Errors that were
    not reached are left out.
    """
    names = ("epoch", "seconds", "joules", "pulses_per_cell")
    firsts = ((error, next((p for p in curve if p["test_error"] <= error), None)) for error in ROUND_ERRORS)
    return [{"test_error": error, **{name: point[name] for name in names}} for error, point in firsts if point]
