"""The main flow, top to bottom: capture, map, schedule, then per mini-batch compute and time, then account.

What the kernel did in a mini-batch (pulse slots used, coincidences, retries, skipped vectors) is what the engine
schedules and prices: `Activity` is all that passes from one to the other.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from rpusim.arch.activity import ActivityLog
from rpusim.arch.chip import Chip
from rpusim.arch.mapping import Placement, place
from rpusim.arch.plan import make_plan
from rpusim.errors import InputError
from rpusim.kernels import AnalogSGD, AnalogTile, convert
from rpusim.workloads import data as datasets
from rpusim.workloads import networks, periphery, unit_cells
from rpusim.workloads.capture import capture, check_convertible
from rpusim.workloads.dry_run import check_learns, check_parameters
from rpusim.workloads.meter import Meter
from rpusim.workloads.result import SCHEMA, Result, cost, operations_per_sample, package_version
from rpusim.workloads.settings import Experiment, Management
from rpusim.workloads.unit_cells import UnitCells

MINI_BATCHES_PER_PIECE = 128
"""How many mini-batches of activity are collected before the engine is called; changes nothing but the speed."""

Watch = Callable[[str, float], None]
"""Called with the name of the stage and the fraction of it that is done."""


@contextmanager
def _one_thread() -> Iterator[None]:
    """Sums of floats depend on how they are shared among threads, and results must not; it is also faster here."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(threads)


@_one_thread()
def run(experiment: Experiment, watch: Watch = lambda stage, fraction: None) -> Result:
    """Train the experiment's network on its chip, and in floating point beside it; price every event of it."""
    began = time.perf_counter()
    torch.manual_seed(experiment.seed)
    digital, input_shape = networks.build(experiment.network)
    samples = datasets.load(experiment.data).shaped(input_shape)

    network = capture(digital, input_shape, experiment.network)
    check_convertible(network, digital)
    chip = Chip.load(experiment.chip)
    cells = unit_cells.build(experiment.device, chip)
    placement = place(network, chip, experiment.bias, cells.layout)
    meter = Meter(make_plan(placement), experiment.schedule, experiment.timed_every, experiment.management)

    log = ActivityLog()
    analog = analog_twin(digital, placement, experiment.management, cells, experiment.seed, log)

    batches = Batches(samples, experiment)
    tried = analog_twin(digital, placement, experiment.management, cells, experiment.seed, ActivityLog())
    dry_run(digital, tried, batches)
    reference = [
        epoch.test_error
        for epoch in train(digital, torch.optim.SGD(digital.parameters(), 1.0), batches, watch, "digital")
    ]
    curve = []
    for epoch in train(analog, AnalogSGD(analog, 1.0), batches, watch, "analog", lambda: meter.add(log.take()), log):
        ledger = meter.ledger()
        curve.append(
            {
                "epoch": epoch.number,
                "seconds": ledger.time_ps * 1e-12,
                "joules": ledger.total_zj * 1e-21,
                "train_loss": epoch.train_loss,
                "test_error": epoch.test_error,
                "test_error_floating_point": reference[epoch.number - 1],
            }
        )

    document = {
        "schema": SCHEMA,
        "title": experiment.title,
        "network": experiment.network,
        "chip": placement.chip.name,
        "training": experiment.model_dump(exclude={"source", "sources", "name", "title", "network", "chip", "seed"}),
        "seed": experiment.seed,
        "version": package_version(),
        "accuracy": {
            "test_error": curve[-1]["test_error"],
            "test_error_floating_point": reference[-1],
            "test_samples": len(samples.test_y),
            "curve": curve,
        },
        **cost(meter.plan, meter.ledger(), meter.samples, operations_per_sample(network, training=True)),
        "activity": meter.activity(),
        "analysis": meter.analysis(),
        "provenance": [
            *experiment.numbers("experiment"),
            *cells.provenance(),
            {"field": "data", "value": experiment.data, "unit": "1", "source": samples.source},
            *placement.chip.provenance(),
        ],
        "wall": {"seconds": time.perf_counter() - began},
    }
    document["time"]["per_epoch_s"] = document["time"]["per_sample_s"] * len(samples.train_y)
    return Result(document, meter.trace, meter.plan.stations, meter.details)


def dry_run(digital: nn.Module, analog: nn.Module, batches: Batches) -> None:
    """Refuse now, and not in the middle of a training, a network that cannot learn a mini-batch of these data."""
    check_parameters(digital)
    x, y = batches.smallest()
    for module, where in ((digital, "the data"), (analog, "the data on the arrays")):
        check_learns(module, x, y, batches.classes, where)


def analog_twin(
    digital: nn.Module, placement: Placement, management: Management, cells: UnitCells, seed: int, log: ActivityLog
) -> nn.Module:
    """A copy of ``digital`` whose weight layers are on the tiles of the placement, writing activity to ``log``."""
    configurations = periphery.layer_configurations(placement, management, cells)
    analog = convert(
        digital,
        next(iter(configurations.values())),
        per_layer=configurations,
        seed=seed,
        splits=periphery.splits(placement),
        log=log,
    )
    for placed in placement.layers:
        for tile in analog.get_submodule(placed.layer.name).modules():
            if isinstance(tile, AnalogTile):
                tile.layer = placed.index  # in order of execution, as the engine counts
    return analog


class Batches:
    """The mini-batches of every epoch, in an order that the seed alone decides, and the test set."""

    def __init__(self, samples: datasets.Dataset, experiment: Experiment) -> None:
        self.recipe = experiment.recipe
        self._seed = experiment.seed
        self._x, self._y = torch.tensor(samples.train_x), torch.tensor(samples.train_y)
        self.classes = samples.classes
        self.test_x, self.test_y = torch.tensor(samples.test_x), torch.tensor(samples.test_y)

    @property
    def per_epoch(self) -> int:
        return -(-len(self._y) // self.recipe.batch)

    def smallest(self) -> tuple[torch.Tensor, torch.Tensor]:
        """As many samples as the last mini-batch of an epoch has."""
        size = len(self._y) % self.recipe.batch or self.recipe.batch
        return self._x[:size], self._y[:size]

    def learning_rate(self, epoch: int) -> float:
        return self.recipe.learning_rate * 0.5 ** (epoch // self.recipe.halve_every)

    def epoch(self, number: int) -> Iterator[tuple[torch.Tensor, torch.Tensor]]:
        order: NDArray[np.intp] = np.random.default_rng((self._seed, number)).permutation(len(self._y))
        for start in range(0, len(order), self.recipe.batch):
            chosen = torch.from_numpy(order[start : start + self.recipe.batch])
            yield self._x[chosen], self._y[chosen]


@dataclass(frozen=True)
class Epoch:
    number: int
    train_loss: float
    test_error: float


def train(
    model: nn.Module,
    optimizer: torch.optim.Optimizer,
    batches: Batches,
    watch: Watch,
    stage: str,
    settle: Callable[[], None] = lambda: None,
    log: ActivityLog | None = None,
) -> Iterator[Epoch]:
    """Train epoch by epoch; ``settle`` is called every few mini-batches to account for the activity so far."""
    loss_function = nn.NLLLoss()
    for epoch in range(batches.recipe.epochs):
        model.train()
        optimizer.param_groups[0]["lr"] = batches.learning_rate(epoch)
        total = 0.0
        for number, (x, y) in enumerate(batches.epoch(epoch)):
            optimizer.zero_grad()
            loss = loss_function(model(x), y)
            if not torch.isfinite(loss):
                raise InputError(
                    f"recipe.learning_rate: got {batches.recipe.learning_rate}, with which the {stage} training "
                    f"diverged in epoch {epoch + 1}; a smaller rate is needed"
                )
            loss.backward()
            optimizer.step()
            total += float(loss.detach()) * len(y)
            if (number + 1) % MINI_BATCHES_PER_PIECE == 0:
                settle()
                watch(stage, (epoch + (number + 1) / batches.per_epoch) / batches.recipe.epochs)
        settle()
        yield Epoch(epoch + 1, total / len(batches._y), test_error(model, batches, log))
        watch(stage, (epoch + 1) / batches.recipe.epochs)


@torch.no_grad()
def test_error(model: nn.Module, batches: Batches, log: ActivityLog | None) -> float:
    """Fraction of the test set that is classified wrongly; on an analog model with all its noise, off the clock."""
    model.eval()
    wrong = int((model(batches.test_x).argmax(dim=1) != batches.test_y).sum())
    if log is not None:
        log.take()
    return wrong / len(batches.test_y)
