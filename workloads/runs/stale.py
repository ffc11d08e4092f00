"""Asynchronous training in the numbers: every sample goes forward and back through the weights that the clock says.

Under the schedule ``asynchronous`` a layer updates with every sample at once, while others are on their way. So a
sample may go forward through a layer before some earlier samples have updated it, and come back after they have. The
*version* of a layer's weights is the number of samples that have updated it. Versions follow from the engine's times:

    forward, backward    the samples whose writes to the visible arrays of a layer have ended when the layer is first
                         driven for this sample, that way
    update               after that of the sample before

Times depend on what was done (pulse slots, retries), and that on the weights that were seen. So samples are computed
in pieces: with the versions that are expected, those of the piece before; then the engine times what was done; if it
finds other versions, all is undone and computed again with these, until both agree. Pieces overlap neither on the clock
nor in the numbers: the first samples of one find all that came before, and are less stale than without the
border, by (N - 1) / 2 or less in the mean over the first N of them, with N on their way.
What never agrees within `MOST_ROUNDS` is counted.

To cells every sample is a mini-batch of its own, learned with the loss over the number of samples on their way.
"""

from __future__ import annotations

import copy
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import torch
from torch import nn

from rpusim.arch.contract.activity import Activity, ActivityLog, Phase
from rpusim.arch.contract.columns import Integers
from rpusim.arch.engine.events import Events, Op
from rpusim.arch.schedule.plan import Plan
from rpusim.arch.schedule.schedules import run
from rpusim.errors import InputError
from rpusim.kernels import AnalogSGD, AnalogTile
from rpusim.kernels.layers import AnalogLayer
from rpusim.kernels.layers.gradient import ArrayWeights
from rpusim.workloads.cells.management import Management
from rpusim.workloads.cells.periphery import with_management

MOST_ROUNDS = 12
MINI_BATCHES = 8
"""How many mini-batches are computed and timed together."""
_NEVER = np.iinfo(np.int64).max


def versions(plan: Plan, activity: Activity, events: Events, samples: int) -> Integers:
    """Find the versions of weights that samples see: (2, layers, samples), forward and backward.

    activity: of samples that are numbered through by step and vector. events: when it was done. A sample that a layer
    is not driven for, as its inputs are 0, sees all that came before.
    """
    vectors = np.array([layer.placed.layer.vectors for layer in plan.layers])
    within = activity.vector // vectors[activity.layer]
    per_step = 1 + int(within.max(initial=0))
    row = np.maximum(events.row, 0)
    sample = ((activity.step - activity.step.min()) * per_step + within)[row]
    found = np.tile(np.arange(samples), (2, len(plan.layers), 1))
    writes = ((events.op == Op.PULSE) | (events.op == Op.WRITE)) & (events.row >= 0)
    writes &= (events.phase == Phase.UPDATE) | (events.phase == Phase.TRANSFER)
    for layer in plan.layers:
        visible = [block.arrays[k].array for block in layer.blocks for k in plan.placement.cell.visible]
        written = writes & np.isin(events.station, visible)
        ended = np.full(samples, -1)
        np.maximum.at(ended, sample[written], events.end[written])
        writers = np.flatnonzero(ended >= 0)
        ends = np.maximum.accumulate(ended[writers])
        after = np.r_[0, writers + 1]
        for way, phase in enumerate((Phase.FORWARD, Phase.BACKWARD)):
            driven = (
                (events.layer == layer.index) & (events.phase == phase) & (events.op == Op.DRIVE) & (events.row >= 0)
            )
            first = np.full(samples, _NEVER)
            np.minimum.at(first, sample[driven], events.start[driven])
            seen = after[np.searchsorted(ends, first, side="right")]
            found[way, layer.index] = np.where(first < _NEVER, np.minimum(seen, np.arange(samples)), np.arange(samples))
    return found


class StaleLearning:
    """Train a placed model sample by sample with stale weights; see the module.

    model:       on the arrays of the plan's placement. optimizer: of all of its parameters. log: where it writes.
    plan:        by which it is timed. management: what the digital side does.

    Attributes: samples, that were learned; unsettled, those whose versions did not agree with the engine in the end.

    Raises InputError for what this cannot follow.
    """

    def __init__(
        self, model: nn.Module, optimizer: AnalogSGD, log: ActivityLog, plan: Plan, management: Management
    ) -> None:
        self._model, self._optimizer, self._log, self._plan, self._management = model, optimizer, log, plan, management
        self._tiles = [t for t in model.modules() if isinstance(t, AnalogTile) and t.log is log]
        self._layers = [part for part in model.modules() if isinstance(part, AnalogLayer)]
        self._done: list[Activity] = []
        self._step = 0
        self._expected: Integers | None = None
        self.samples = self.unsettled = 0
        self._check()

    def _check(self) -> None:
        """Refuse what has digital parameters, weights that are used twice, and cells that leak."""
        placement = self._plan.placement
        digital = [n for n, p in self._model.named_parameters() if p.requires_grad and not isinstance(p, ArrayWeights)]
        if digital:
            raise InputError(
                f"schedule: got 'asynchronous' for a network whose {digital[0]} learns digitally, of which no version "
                "is kept; accepted: networks that learn on arrays alone (bias: column), or another schedule"
            )
        if len(placement.holders) < len(placement.layers) or any(
            p.joined > 1 or p.replicas > 1 for p in placement.layers
        ):
            raise InputError(
                "schedule: got 'asynchronous' for a weight that is used more than once, shares its array or has "
                "replicas; accepted: layers with weights and arrays of their own, or another schedule"
            )
        if any(tile.volatile for tile in self._tiles):
            raise InputError("schedule: got 'asynchronous' with cells that leak or drift; accepted: other cells")

    def state_dict(self) -> dict[str, Any]:
        """Return what it takes to go on, besides the model's own state."""
        expected = None if self._expected is None else torch.from_numpy(self._expected)
        return {"expected": expected, "step": self._step, "samples": self.samples, "unsettled": self.unsettled}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on from what `state_dict` gave."""
        self._expected = None if state["expected"] is None else state["expected"].numpy()
        self._step, self.samples, self.unsettled = state["step"], state["samples"], state["unsettled"]

    def said(self) -> str:
        """Say how samples were computed, as the end of a sentence."""
        rest = f"; {self.unsettled} of {self.samples} samples saw others in the end" if self.unsettled else ""
        return (
            "samples see the weights that the clock says (schedule: asynchronous), in pieces of "
            f"{MINI_BATCHES} mini-batches, between which none is on its way{rest}"
        )

    def take(self) -> Activity:
        """Return the activity since this was last called, in mini-batches."""
        taken, self._done = self._done, []
        return Activity.concatenate(taken)

    def learn(self, x: torch.Tensor, y: torch.Tensor, batch: int) -> list[float]:
        """Learn from samples of which ``batch`` are on their way at a time; returns the mean loss of each batch."""
        expected = self._expected
        seen = np.tile(np.arange(len(y)), (2, len(self._plan.layers), 1))
        if expected is not None and expected.shape == seen.shape:
            seen = expected
        before, calls = copy.deepcopy(self._model.state_dict()), [layer.calls for layer in self._layers]
        for number in range(MOST_ROUNDS):
            if number:
                self._model.load_state_dict(before)
                for layer, count in zip(self._layers, calls, strict=True):
                    layer.calls = count
            losses = self._numbers(x, y, batch, seen)
            activity = self._renumbered(batch)
            found = versions(self._plan, activity, self._timed(activity), len(y))
            if np.array_equal(found, seen):
                break
            used, seen = seen, found
        else:
            self.unsettled += int((used != found).any((0, 1)).sum())
        self._expected, self._step = found, self._step + -(-len(y) // batch)
        self.samples += len(y)
        self._done.append(activity)
        return [float(np.mean(losses[at : at + batch])) for at in range(0, len(y), batch)]

    def _timed(self, activity: Activity) -> Events:
        managed = with_management(activity, self._plan.placement, self._management)
        return run(self._plan, managed, "asynchronous")

    def _renumbered(self, batch: int) -> Activity:
        """Number samples, which were steps of their own, by mini-batch and vector."""
        activity = self._log.take()
        first = int(activity.step.min(initial=0))
        sample = activity.step - first
        self._log.step = first
        vectors = np.array([layer.placed.layer.vectors for layer in self._plan.layers])[activity.layer]
        vector = activity.vector + sample % batch * vectors
        return replace(activity, step=self._step + sample // batch, vector=vector.astype(activity.vector.dtype))

    @torch.no_grad()
    def _show(self, weights: Sequence[torch.Tensor]) -> None:
        for tile, each in zip(self._tiles, weights, strict=True):
            tile.weights.copy_(each)

    def _numbers(self, x: torch.Tensor, y: torch.Tensor, batch: int, seen: Integers) -> list[float]:
        """Compute samples one after the other, each with the versions that it sees. Returns their losses."""
        kept = [[tile.weights.clone() for tile in self._tiles]]
        layers, losses = [tile.layer for tile in self._tiles], []
        for sample in range(len(y)):
            forward, backward = (
                [kept[seen[way, layer, sample]][k] for k, layer in enumerate(layers)] for way in (0, 1)
            )
            self._optimizer.zero_grad()
            self._show(forward)
            loss = nn.functional.nll_loss(self._model(x[sample : sample + 1]), y[sample : sample + 1])
            self._show(backward)
            torch.autograd.backward(loss / min(batch, len(y)))
            self._show(kept[-1])
            self._optimizer.step()
            kept.append([tile.weights.clone() for tile in self._tiles])
            losses.append(float(loss.detach()))
        return losses
