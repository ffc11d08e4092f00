"""One point: an experiment that is run, with its run folder, or an estimate of what a network costs.

An estimate needs no torch, so that a process that makes thousands of them starts at once: the network was captured
before, and what unit cells do comes with the task.
"""

from __future__ import annotations

import time
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rpusim.arch.account import steady
from rpusim.arch.account.pricing import Pricer
from rpusim.arch.chips.chip import load_chip
from rpusim.arch.contract.activity import EMPTY
from rpusim.arch.contract.cell_layout import SINGLE, CellLayout
from rpusim.arch.mapping.assumed_activity import PLAIN, Learning
from rpusim.arch.mapping.assumed_work import AssumedWork, check
from rpusim.arch.mapping.placement import place
from rpusim.arch.network.network import Network
from rpusim.arch.schedule import schedules
from rpusim.arch.schedule.plan import make_plan
from rpusim.errors import InputError, Notice
from rpusim.workloads.explore.study import Timed
from rpusim.workloads.explore.workers import check_parent
from rpusim.workloads.results import document
from rpusim.workloads.results.measures import figures

if TYPE_CHECKING:
    from rpusim.workloads.results.result import Result


@dataclass(frozen=True)
class Cells:
    """What an estimate has to know of unit cells.

    layout:    how many arrays every weight takes.
    learning:  what they are assumed to do.
    alike:     whether every mini-batch is like every other.
    """

    layout: CellLayout = SINGLE
    learning: Learning = PLAIN
    alike: bool = True


PLAIN_CELLS = Cells()
Save = Callable[["Result", Path], None]
"""Writes a result's run folder, with whatever a person is to see of it."""


def estimate(task: Timed, network: Network, cells: Cells) -> dict[str, Any]:
    """Time and price a network, and nothing else.

    task:     what is timed.
    network:  its network, captured as in training or as in evaluation.
    cells:    what stands at the cross-points.

    Returns the parts of a result's document that are about cost: those of `rpusim.time_network`, digit for digit.
    Raises InputError on what cannot be timed.
    """
    placement = place(network, load_chip(task.chip), task.bias, cells.layout, task.replicas, fit=task.fit)
    check(placement, task.samples, task.training, task.schedule, task.batch)
    work = AssumedWork(placement, task.samples, task.training, task.batch, cells.learning, EMPTY)
    plan = make_plan(placement)
    price = Pricer(plan)
    if task.samples % work.size == 0 and cells.alike and (task.samples > work.most or task.schedule != "asynchronous"):
        times = task.samples // work.size
        ledger, _ = steady.account(plan, task.schedule, price, work.mini_batches, times, work.size, work.most)
    elif task.samples > work.most:
        raise InputError(f"samples: got {task.samples}, but of this network at most {work.most} can be timed in one go")
    else:
        activity = work.all()
        ledger, _ = price.piece(schedules.run(plan, activity, task.schedule), activity, None)
    operations = document.operations_per_sample(network, task.training)
    return document.cost(plan, ledger, task.samples, operations)


def estimated(task: Timed, network: Network, cells: Cells) -> dict[str, Any]:
    """Make what is recorded of a point that is timed; see `estimate` for the arguments."""
    began = time.perf_counter()
    try:
        found = estimate(task, network, cells)
    except InputError as error:
        return {"state": "failed", "why": str(error)}
    return _recorded(found, began)


def show(task: Timed, folder: Path, save: Save) -> None:
    """Time a point once more, with all that a result has to say, and write its run folder."""
    from rpusim.workloads.runs import estimate

    names = ("samples", "training", "schedule", "bias", "batch", "device", "fit")
    options = {name: getattr(task, name) for name in names}
    save(estimate.time_network(task.network, task.chip, replicas=task.replicas, **options), folder)


def run(task: dict[str, Any], folder: Path, save: Save, until: int | None = None) -> dict[str, Any]:
    """Run an experiment and write its run folder.

    task:    the fields of the experiment.
    folder:  the run folder; its checkpoint is beside it.
    save:    writes a result to a folder.
    until:   epochs after which to pause, with the state kept in the checkpoint; None: to the end.

    Returns what is recorded of the point: a failure has its sentence; a pause the learning curve so far.
    """
    from rpusim.workloads.results import files
    from rpusim.workloads.runs import checkpoint, simulate
    from rpusim.workloads.runs.checkpoint import Paused
    from rpusim.workloads.runs.settings import Experiment

    began, kept = time.perf_counter(), checkpoint.beside(folder)
    try:
        with warnings.catch_warnings(record=True) as said:
            warnings.simplefilter("always", Notice)
            found = simulate.run(Experiment.model_validate(task), lambda stage, fraction: check_parent(), kept, until)
        save(found, folder)
    except Paused as pause:
        return {"state": "paused", "errors": {str(p["epoch"]): p["test_error"] for p in pause.curve}}
    except InputError as error:
        return {"state": "failed", "why": str(error)}
    files.remove(kept)
    for one in said:
        if not issubclass(one.category, Notice):
            warnings.warn_explicit(one.message, one.category, one.filename, one.lineno)
    notices = list(dict.fromkeys(str(one.message) for one in said if issubclass(one.category, Notice)))
    return _recorded(found.document, began) | ({"notices": notices} if notices else {})


def _recorded(found: dict[str, Any], began: float) -> dict[str, Any]:
    """Keep the figures of a document, what its energy went into, and its learning curve."""
    record: dict[str, Any] = {"state": "done", "metrics": figures(found)}
    record["energy_by_part"] = {
        part: joules * found["time"]["per_sample_s"] / found["time"]["total_s"]
        for part, joules in found["energy"]["by_part"].items()
    }
    if curve := found.get("accuracy", {}).get("curve"):
        record["curve"] = [[point[name] for name in ("epoch", "test_error", "seconds", "joules")] for point in curve]
        record["test_samples"] = found["accuracy"]["test_samples"]
    return record | {"wall_s": time.perf_counter() - began}
