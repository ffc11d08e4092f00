"""The main flow, top to bottom: capture, map, schedule, then per mini-batch compute and time, then account.

What the kernel did in a mini-batch (pulse slots used, coincidences, retries, skipped vectors) is what the engine
schedules and prices: `Activity` is all that passes from one to the other.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from rpusim.arch.contract.activity import ActivityLog
from rpusim.arch.chips.chip import Chip
from rpusim.arch.mapping.placement import Placement, place
from rpusim.arch.schedule.plan import make_plan
from rpusim.errors import InputError
from rpusim.kernels import AnalogSGD
from rpusim.kernels.layers.convert import convert
from rpusim.kernels.tiles.tile import Tile
from rpusim.workloads.zoo import data as datasets
from rpusim.workloads.cells import endurance, periphery, training_cells
from rpusim.workloads.zoo import networks
from rpusim.workloads.capture.capture import capture, check_convertible
from rpusim.workloads.runs.checkpoint import Checkpoint, Progress, digest
from rpusim.workloads.clock.coupling import MINI_BATCHES_PER_PIECE, Coupling
from rpusim.workloads.runs.dry_run import check_learns, check_parameters
from rpusim.workloads.cells.inference_cells import InferenceCells
from rpusim.workloads.clock.meter import Meter
from rpusim.workloads.results.result import SCHEMA, Result, cost, operations_per_sample, package_version
from rpusim.workloads.runs.settings import Experiment, Idle
from rpusim.workloads.cells.management import Management
from rpusim.workloads.cells.training_cells import UnitCells

ROUND_ERRORS = (0.5, 0.3, 0.2, 0.1, 0.05, 0.03, 0.02, 0.01, 0.005)

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
def run(experiment: Experiment, watch: Watch = lambda stage, fraction: None, kept: Path | None = None) -> Result:
    """Train the experiment's network on its chip, and in floating point beside it; price every event of it.

    An experiment with ``inference`` is trained in software, programmed and used instead (see `inference_run`).

    kept: a file in which the state is kept meanwhile; a run that was killed goes on from there (see `checkpoint`). It
    stays until whoever has saved the result removes it.
    """
    if experiment.inference is not None:
        from rpusim.workloads.runs import inference_run

        return inference_run.run(experiment, watch, kept)
    began = time.perf_counter()
    torch.manual_seed(experiment.seed)
    digital, input_shape = networks.build(experiment.network)
    samples = datasets.load(experiment.data).shaped(input_shape)

    network = capture(digital, input_shape, experiment.network)
    check_convertible(network, digital)
    chip = Chip.load(experiment.chip)
    cells = training_cells.build(experiment.device, chip)
    placement = place(network, chip, experiment.bias, cells.layout)
    meter = Meter(make_plan(placement), experiment.schedule, experiment.timing, experiment.management)

    log = ActivityLog()
    analog = analog_twin(digital, placement, experiment.management, cells, experiment.seed, log)
    done = Progress(Checkpoint(kept, inputs_of(experiment, digital, samples, placement, cells)), began)

    batches = Batches(samples, experiment)
    tried = analog_twin(digital, placement, experiment.management, cells, experiment.seed, ActivityLog())
    dry_run(digital, tried, batches)
    refresh = experiment.refresh.every if experiment.refresh else None
    coupling = Coupling(analog, meter, log.take, experiment.elapse, refresh)
    stages = [
        Training("digital", digital, torch.optim.SGD(digital.parameters(), 1.0)),
        Training("analog", analog, AnalogSGD(analog, 1.0), log, coupling),
    ]
    for stage in stages:
        done.goes_on_with(stage)
    try:
        for stage in stages:
            train(stage, batches, watch, done.keep, experiment.idle)
    except InputError:  # it cannot go on
        done.checkpoint.remove()
        raise
    reference = [epoch["test_error"] for epoch in stages[0].curve]
    curve = [
        epoch | {"test_error_floating_point": error} for epoch, error in zip(stages[1].curve, reference, strict=True)
    ]

    document = {
        **heading(experiment, placement),
        "accuracy": {
            "test_error": curve[-1]["test_error"],
            "test_error_floating_point": reference[-1],
            "test_samples": len(samples.test_y),
            "curve": curve,
            "reached": reached(curve),
        },
        **cost(meter.plan, meter.ledger(), meter.samples, operations_per_sample(network, training=True)),
        "activity": meter.activity(),
        "storage": meter.storage(),
        "endurance": endurance.document(analog, placement, cells.endurance, curve[-1]["seconds"], meter.samples),
        "analysis": meter.analysis(),
        "provenance": provenance(experiment, samples, placement, cells),
        "wall": {"seconds": time.perf_counter() - done.began},
    }
    document["time"]["per_epoch_s"] = document["time"]["per_sample_s"] * len(samples.train_y)
    return Result(document, meter.trace, meter.plan.stations, meter.details)


def heading(experiment: Experiment, placement: Placement) -> dict[str, Any]:
    """What was run, as a result begins."""
    return {
        "schema": SCHEMA,
        "title": experiment.title,
        "network": experiment.network,
        "chip": placement.chip.name,
        "training": experiment.model_dump(exclude={"source", "sources", "name", "title", "network", "chip", "seed"}),
        "seed": experiment.seed,
        "version": package_version(),
    }


def provenance(
    experiment: Experiment, samples: datasets.Dataset, placement: Placement, cells: UnitCells | InferenceCells
) -> list[dict[str, Any]]:
    """Every number that goes into a run, with its source."""
    return [
        *experiment.numbers("experiment"),
        *cells.provenance(),
        {"field": "data", "value": experiment.data, "unit": "1", "source": samples.source},
        *placement.chip.provenance(),
    ]


def inputs_of(
    experiment: Experiment,
    digital: nn.Module,
    samples: datasets.Dataset,
    placement: Placement,
    cells: UnitCells | InferenceCells,
) -> dict[str, str]:
    """All that the result depends on, by name; what a name stands for may have changed since, so contents as well."""
    fields: dict[str, str] = {}
    for name, value in experiment.model_dump().items():
        parts = value if name in ("recipe", "management") else {"": value}
        fields |= {f"{name}.{part}".rstrip("."): str(given) for part, given in parts.items()}
    numbers = [*cells.provenance(), *placement.chip.provenance()]
    contents = {
        "network": digest(repr(digital), *digital.state_dict().values()),
        "chip": digest(placement.chip.model_dump_json(), json.dumps(numbers, default=str)),
        "device": digest(repr(cells)),
        "data": digest(samples.train_x, samples.train_y, samples.test_x, samples.test_y),
    }
    versions = {"rpusim": package_version(), "torch": str(torch.__version__), "numpy": np.__version__}
    return fields | {f"content of the {name}": value for name, value in contents.items()} | versions


def reached(curve: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """What it took to get the test error down to round numbers: the first epoch that ended there, the cost by then."""
    names = ("epoch", "seconds", "joules", "pulses_per_cell")
    firsts = ((error, next((p for p in curve if p["test_error"] <= error), None)) for error in ROUND_ERRORS)
    return [{"test_error": error, **{name: point[name] for name in names}} for error, point in firsts if point]


def dry_run(digital: nn.Module, analog: nn.Module, batches: Batches) -> None:
    """Refuse now, and not in the middle of a training, a network that cannot learn a mini-batch of these data."""
    check_parameters(digital)
    x, y = batches.smallest()
    for module, where in ((digital, "the data"), (analog, "the data on the arrays")):
        check_learns(module, x, y, batches.classes, where)


def analog_twin(
    digital: nn.Module,
    placement: Placement,
    management: Management,
    cells: UnitCells | InferenceCells,
    seed: int,
    log: ActivityLog,
) -> nn.Module:
    """A copy of ``digital`` whose weight layers are on the tiles of the placement, writing activity to ``log``.

    Layers that are not placed, as nobody uses what they compute, write none.
    """
    configurations = periphery.layer_configurations(placement, management, cells)
    analog = convert(
        digital,
        next(iter(configurations.values())),
        per_layer=configurations,
        seed=seed,
        splits=periphery.splits(placement),
    )
    endurance.count(analog)
    for placed in placement.layers:
        for tile in analog.get_submodule(placed.layer.name).modules():
            if isinstance(tile, Tile):
                tile.layer, tile.log = placed.index, log  # in order of execution, as the engine counts
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
    def samples(self) -> int:
        """Of an epoch."""
        return len(self._y)

    @property
    def per_epoch(self) -> int:
        """Mini-batches."""
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


@dataclass
class Training:
    """A model in training, and how far it has come. log, coupling: of a model on a chip, to its clock.

    curve: what each epoch that is done led to. mini_batches: done of the next one; loss: summed over their samples.
    """

    name: str
    model: nn.Module
    optimizer: torch.optim.Optimizer
    log: ActivityLog | None = None
    coupling: Coupling | None = None
    mini_batches: int = 0
    loss: float = 0.0
    curve: list[dict[str, Any]] = field(default_factory=list)

    def begin(self) -> None:
        """Do what is due before a mini-batch."""
        if self.coupling:
            self.coupling.begin()

    def step(self) -> None:
        """Learn from a mini-batch."""
        if self.coupling:
            self.coupling.step(self.optimizer.step)
        else:
            self.optimizer.step()

    def settle(self) -> None:
        """Account for the activity so far."""
        if self.coupling:
            self.coupling.settle()

    def idle(self, seconds: float) -> None:
        """Let the chip stand still."""
        if self.coupling and seconds:
            self.coupling.idle(seconds)

    def end_epoch(self, loss: float, error: float) -> None:
        """Note what the epoch led to, and at which cost."""
        point: dict[str, Any] = {"epoch": len(self.curve) + 1}
        if self.coupling:
            ledger = self.coupling.meter.ledger()
            point |= {"seconds": ledger.time_ps * 1e-12, "joules": ledger.total_zj * 1e-21}
            point["pulses_per_cell"] = endurance.pulses_per_cell(self.model)
        self.curve.append(point | {"train_loss": loss, "test_error": error})
        self.mini_batches, self.loss = 0, 0.0

    def state_dict(self) -> dict[str, Any]:
        """All that it takes to go on; activity has been accounted for by then."""
        assert not self.log, "activity that nobody has accounted for"
        return {
            "model": self.model.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "coupling": self.coupling and self.coupling.state_dict(),
            "log_step": self.log.step if self.log is not None else 0,
            **{name: getattr(self, name) for name in ("mini_batches", "loss", "curve")},
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on from what `state_dict` gave."""
        self.model.load_state_dict(state["model"])
        self.optimizer.load_state_dict(state["optimizer"])
        self.mini_batches, self.loss, self.curve = state["mini_batches"], state["loss"], state["curve"]
        if self.coupling:
            self.coupling.load_state_dict(state["coupling"])
        if self.log is not None:
            self.log.step = state["log_step"]


def train(
    training: Training,
    batches: Batches,
    watch: Watch,
    keep: Callable[[], None] = lambda: None,
    idle: Idle | None = None,
) -> None:
    """Train from where it stands to the end. Every few mini-batches activity is accounted for; then ``keep`` is called,
    when nothing but the training's state is needed to go on. idle: when the chip stands still."""
    loss_function, recipe, model = nn.NLLLoss(), batches.recipe, training.model
    for epoch in range(len(training.curve), recipe.epochs):
        model.train()
        training.optimizer.param_groups[0]["lr"] = batches.learning_rate(epoch)
        for x, y in islice(batches.epoch(epoch), training.mini_batches, None):
            training.idle(idle.per_mini_batch if idle else 0.0)
            training.begin()
            training.optimizer.zero_grad()
            loss = loss_function(model(x), y)
            if not torch.isfinite(loss):
                raise InputError(
                    f"recipe.learning_rate: got {recipe.learning_rate}, with which the {training.name} training "
                    f"diverged in epoch {epoch + 1}; a smaller rate is needed"
                )
            loss.backward()
            training.step()
            training.loss += float(loss.detach()) * len(y)
            training.mini_batches += 1
            if training.mini_batches % MINI_BATCHES_PER_PIECE == 0:
                training.settle()
                keep()
                watch(training.name, (epoch + training.mini_batches / batches.per_epoch) / recipe.epochs)
        training.settle()
        training.end_epoch(training.loss / batches.samples, test_error(model, batches, training.log))
        training.idle(sum(pause.time for pause in idle.pauses if pause.after_epoch == epoch + 1) if idle else 0.0)
        keep()
        watch(training.name, (epoch + 1) / recipe.epochs)


@torch.no_grad()
def test_error(model: nn.Module, batches: Batches, log: ActivityLog | None) -> float:
    """Fraction of the test set that is classified wrongly; on an analog model with all its noise, off the clock."""
    model.eval()
    wrong = int((model(batches.test_x).argmax(dim=1) != batches.test_y).sum())
    if log is not None:
        log.take()
    return wrong / len(batches.test_y)
