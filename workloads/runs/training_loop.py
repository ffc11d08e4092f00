"""The loop of every training, digital or on a chip: mini-batches in an order that the seed decides, epoch by epoch."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from rpusim.arch.contract.activity import ActivityLog
from rpusim.errors import InputError
from rpusim.kernels.step import CompiledStep, NotFinite
from rpusim.workloads.cells import endurance, replicas
from rpusim.workloads.clock.coupling import MINI_BATCHES_PER_PIECE, Coupling
from rpusim.workloads.data.dataset import Dataset
from rpusim.workloads.runs.callbacks import Callback
from rpusim.workloads.runs.settings import Idle, Recipe
from rpusim.workloads.runs.stale import MINI_BATCHES, StaleLearning

Watch = Callable[[str, float], None]
"""Called with the name of the stage and the fraction of it that is done."""


def likelihood(output: Tensor, y: Tensor) -> Tensor:
    """Return the mean negative log-likelihood of classes, of samples or of all their positions.

    output: log-probabilities (samples, classes) or (samples, positions, classes). y: the right classes.
    """
    return nn.functional.nll_loss(output.reshape(-1, output.shape[-1]), y.reshape(-1))


class Batches:
    """The mini-batches of every epoch, in an order that the seed alone decides, and the test set.

    samples:  what is learned and tested.
    recipe:   epochs, size of a mini-batch and learning rate.
    seed:     of the order of the samples.
    """

    def __init__(self, samples: Dataset, recipe: Recipe, seed: int) -> None:
        self.recipe, self._seed = recipe, seed
        self._x, self._y = torch.tensor(samples.train_x), torch.tensor(samples.train_y)
        self.classes = samples.classes
        self.test_x, self.test_y = torch.tensor(samples.test_x), torch.tensor(samples.test_y)

    @property
    def samples(self) -> int:
        """How many samples an epoch has."""
        return len(self._y)

    @property
    def size(self) -> int:
        """How many samples a mini-batch has, but for a last one that is smaller."""
        return min(self.recipe.batch, self.samples)

    @property
    def per_epoch(self) -> int:
        """How many mini-batches an epoch has; the last one may be smaller."""
        return -(-len(self._y) // self.recipe.batch)

    def smallest(self) -> tuple[Tensor, Tensor]:
        """Return as many samples as the last mini-batch of an epoch has, and their classes."""
        size = len(self._y) % self.recipe.batch or self.recipe.batch
        return self._x[:size], self._y[:size]

    def learning_rate(self, epoch: int) -> float:
        """Return the learning rate of an epoch, counted from 0."""
        return self.recipe.learning_rate * 0.5 ** (epoch // self.recipe.halve_every)

    def epoch(self, number: int, first: int = 0, most: int = 1) -> Iterator[tuple[Tensor, Tensor]]:
        """Go through the mini-batches of an epoch: samples and their classes.

        number: of the epoch, from 0. first: the mini-batch to begin with. most: how many mini-batches come at once, in
        a row; as many end together, and one that is smaller comes alone.
        """
        order: NDArray[np.intp] = np.random.default_rng((self._seed, number)).permutation(len(self._y))
        whole, batch = len(order) // self.recipe.batch, self.recipe.batch
        while first < self.per_epoch:
            piece = min(most - first % most, max(whole - first, 1))
            chosen = torch.from_numpy(order[first * batch : (first + piece) * batch])
            first += piece
            yield self._x[chosen], self._y[chosen]


@dataclass
class Training:
    """A model in training, and how far it has come.

    name:          of this stage of a run, for who watches and for the checkpoint.
    model:         what learns; it returns log-probabilities.
    optimizer:     its learning rate is set anew in every epoch.
    log:           where a model on a chip writes its activity; None for one that has no chip under it.
    coupling:      a model's tie to the chip's clock; None: training takes no time.
    compiled:      trains many mini-batches in one call; or why torch's modules do so one by one, as part of a sentence.
    mini_batches:  how many of the current epoch are done.
    loss:          summed over their samples.
    curve:         what each epoch that is done led to.
    told:          called with the name and what an epoch led to.
    votes:         how often the test set is classified, for a vote.
    stale:         learns samples with the weights that the clock says; None: all see fresh ones.
    device:        where the model computes.
    """

    name: str
    model: nn.Module
    optimizer: torch.optim.Optimizer
    log: ActivityLog | None = None
    coupling: Coupling | None = None
    compiled: CompiledStep | str = "nobody asked for a compiled step"
    mini_batches: int = 0
    loss: float = 0.0
    curve: list[dict[str, Any]] = field(default_factory=list)
    told: Callback = lambda stage, epoch: None
    votes: int = 1
    stale: StaleLearning | None = None
    device: torch.device = torch.device("cpu")  # noqa: RUF009 (it is a value)

    def begin(self) -> None:
        """Do what is due before a mini-batch."""
        if self.coupling:
            self.coupling.begin()

    def piece(self, batch: int) -> int:
        """Say after how many mini-batches of ``batch`` samples everything is accounted for and may be kept."""
        if self.stale is not None:
            return MINI_BATCHES
        return self.coupling.piece(batch) if self.coupling else MINI_BATCHES_PER_PIECE

    def learn(self, x: Tensor, y: Tensor, batch: int, draws: Callable[[], AbstractContextManager[None]]) -> list[float]:
        """Learn mini-batches of ``batch`` samples, or one that may be smaller; returns the mean loss of each.

        draws: as for `train`. Raises NotFinite at a loss that is no number.
        """
        if self.stale is not None:
            losses = self.stale.learn(x, y, batch)
            if self.coupling:
                self.coupling.stepped(len(losses))
            return losses
        if isinstance(self.compiled, CompiledStep):
            batch, rate = min(batch, len(y)), self.optimizer.param_groups[0]["lr"]
            with draws() if self.compiled.draws else nullcontext():
                if self.coupling:
                    return self.coupling.learn(self.compiled, x, y, batch, rate)
                return self.compiled.train(x, y, batch, rate)
        self.begin()
        self.optimizer.zero_grad()
        with draws():
            loss = likelihood(self.model(x.to(self.device)), y.to(self.device))
            if not torch.isfinite(loss):
                raise NotFinite
            torch.autograd.backward(loss)
        if self.coupling:
            self.coupling.step(self.optimizer.step)
        else:
            self.optimizer.step()
        return [float(loss.detach())]

    def settle(self) -> None:
        """Account for the activity so far."""
        if self.coupling:
            self.coupling.settle()

    def idle(self, seconds: float) -> None:
        """Let the chip stand still for so many seconds."""
        if self.coupling and seconds:
            self.coupling.idle(seconds)

    def end_epoch(self, loss: float, error: float) -> None:
        """Note what the epoch led to: mean loss, test error, and on a chip the time and energy by now."""
        point: dict[str, Any] = {"epoch": len(self.curve) + 1}
        if self.coupling:
            ledger = self.coupling.meter.ledger()
            point |= {"seconds": ledger.time_ps * 1e-12, "joules": ledger.total_zj * 1e-21}
            point["pulses_per_cell"] = endurance.pulses_per_cell(self.model)
            if alike := replicas.similarity(self.model):
                point["similarity"] = sum(alike.values()) / len(alike)
        self.curve.append(point | {"train_loss": loss, "test_error": error})
        self.told(self.name, self.curve[-1])
        self.mini_batches, self.loss = 0, 0.0

    def state_dict(self) -> dict[str, Any]:
        """Return all that it takes to go on; activity has been accounted for by then."""
        assert not self.log, "activity that nobody has accounted for"
        return {
            "model": self.model.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "coupling": self.coupling and self.coupling.state_dict(),
            "stale": self.stale and self.stale.state_dict(),
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
        if self.stale is not None:
            self.stale.load_state_dict(state["stale"])
        if self.log is not None:
            self.log.step = state["log_step"]

    def learn_all(self, x: Tensor, y: Tensor, batch: int) -> list[float]:
        """Learn samples in their order, in mini-batches of ``batch``; a last one may be smaller.

        Returns the mean loss of each. Raises InputError at a loss that is no number.
        """
        whole = len(y) // batch * batch if isinstance(self.compiled, CompiledStep) else 0
        try:
            losses = self.learn(x[:whole], y[:whole], batch, nullcontext) if whole else []
            for part in range(whole, len(y), batch):
                losses += self.learn(x[part : part + batch], y[part : part + batch], batch, nullcontext)
        except NotFinite:
            rate = self.optimizer.param_groups[0]["lr"]
            raise InputError(
                f"learning rate: got {rate}, with which the training diverged; a smaller one is needed"
            ) from None
        return losses


def train(
    training: Training,
    batches: Batches,
    watch: Watch,
    keep: Callable[[], None] = lambda: None,
    idle: Idle | None = None,
    draws: Callable[[], AbstractContextManager[None]] = nullcontext,
) -> None:
    """Train a model from where it stands to the end of its recipe.

    training:  the model, changed in place.
    batches:   what it learns, with the recipe.
    watch:     told how far it is.
    keep:      called every few mini-batches, when nothing but the training's state is needed to go on.
    idle:      when the chip stands still; None: never.
    draws:     makes what surrounds a pass through the model, see `RandomNumbers.drawn`.

    Raises InputError if the loss becomes infinite or NaN.
    """
    recipe, model = batches.recipe, training.model
    piece = training.piece(recipe.batch)
    at_once = isinstance(training.compiled, CompiledStep) or training.stale is not None
    several = at_once and not (idle and idle.per_mini_batch)
    for epoch in range(len(training.curve), recipe.epochs):
        model.train()
        training.optimizer.param_groups[0]["lr"] = batches.learning_rate(epoch)
        for x, y in batches.epoch(epoch, training.mini_batches, piece if several else 1):
            training.idle(idle.per_mini_batch if idle else 0.0)
            try:
                losses = training.learn(x, y, recipe.batch, draws)
            except NotFinite:
                raise InputError(
                    f"recipe.learning_rate: got {recipe.learning_rate}, with which the {training.name} training "
                    f"diverged in epoch {epoch + 1}; a smaller rate is needed"
                ) from None
            for loss in losses:
                training.loss += loss * (len(y) // len(losses))
            training.mini_batches += len(losses)
            if training.mini_batches % piece == 0:
                training.settle()
                keep()
                watch(training.name, (epoch + training.mini_batches / batches.per_epoch) / recipe.epochs)
        training.settle()
        with draws():
            error = test_error(model, batches, training.log, training.votes, training.device)
        training.end_epoch(training.loss / batches.samples, error)
        training.idle(sum(pause.time for pause in idle.pauses if pause.after_epoch == epoch + 1) if idle else 0.0)
        keep()
        watch(training.name, (epoch + 1) / recipe.epochs)


@torch.no_grad()
def test_error(
    model: nn.Module,
    batches: Batches,
    log: ActivityLog | None,
    votes: int = 1,
    device: torch.device = torch.device("cpu"),  # noqa: B008 (it is a value)
) -> float:
    """Return the fraction of the test set that is classified wrongly; on a chip with all its noise, off the clock.

    log: its activity is thrown away, as testing is not what is timed; None for a model without a chip. votes: how often
    every sample is classified; the class that most of them say is its answer, of equally many the one with the largest
    sum of outputs. device: where the model computes.
    """
    model.eval()
    x = batches.test_x.to(device)
    outputs = [model(x).cpu() for _ in range(votes)]
    wrong = int((majority(outputs) != batches.test_y).sum())
    if log is not None:
        log.take()
    return wrong / batches.test_y.numel()


def majority(outputs: list[Tensor]) -> Tensor:
    """Return the class that most outputs, each (..., classes), say of every sample, or position; see `test_error`."""
    if len(outputs) == 1:
        return outputs[0].argmax(dim=-1)
    classes = outputs[0].shape[-1]
    said = torch.stack([torch.nn.functional.one_hot(each.argmax(-1), classes) for each in outputs]).sum(0)
    together = torch.stack(outputs).sum(0).masked_fill(said < said.amax(-1, keepdim=True), -torch.inf)
    return together.argmax(dim=-1)
