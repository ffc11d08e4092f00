"""The activity of a user's own loop: any order of forward, backward, evaluation and step, put in order for the engine.

What a mini-batch is, the loop decides: everything between two steps of the optimizer is one. So

* gradients that are accumulated over several forward and backward passes are one mini-batch of all their vectors;
* what runs in ``model.eval()`` or under ``torch.no_grad()`` is inference, each call a mini-batch of its own, wherever
  it comes;
* maintenance between mini-batches (cells programmed, drift measured) comes before the next one, and waits for it;
* a forward pass whose error never comes back (its loss was thrown away) is timed as what it was: a forward pass. Of a
  mini-batch that has more samples forward than backward, the last ones are taken to be those that learned.

`LoopLog` notes which rows are inference while they are written; `in_order` numbers the vectors of a mini-batch
consecutively and cuts it so that in each piece all passes have the same samples. That is what a schedule needs.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from torch import nn

from rpusim.arch.chips.description import TileKind
from rpusim.arch.contract.activity import Activity, ActivityLog, Phase
from rpusim.arch.mapping.placement import Placement
from rpusim.errors import InputError


class LoopLog(ActivityLog):
    """An activity log that gives every mini-batch and every call for inference a step of its own.

    placement: where the layers of the module lie that will write to this log.

    The optimizer says that a mini-batch is over by raising ``step``, as for any log.
    """

    def __init__(self, placement: Placement) -> None:
        self.inference_rows = 0
        """How many rows of the first array were inference."""
        self._chip, self._shape = placement.chip, placement.network.input_shape
        self._kinds: dict[Any, TileKind] = {
            (block.layer, block.tile): placement.chip.tiles[block.kind] for block in placement.blocks()
        }
        self.waiting: list[tuple[int, dict[str, ArrayLike]]] = []
        """Maintenance between mini-batches, which belongs to the next one."""
        self._count = 0
        self._open: int | None = None
        self._asked: int | None = None
        self.when_over: Callable[[], None] = lambda: None
        """Is called when a mini-batch is over."""
        super().__init__()

    @property
    def step(self) -> int:
        """Number of the mini-batch, or of the call for inference, that rows written now belong to."""
        if self._asked is not None:
            return self._asked
        if self._open is None:
            self._open = self._new()
        return self._open

    @step.setter
    def step(self, _: int) -> None:
        self._open = None
        self.when_over()

    def _new(self) -> int:
        self._count += 1
        return self._count - 1

    def append(self, length: int, **columns: ArrayLike) -> None:
        """Add rows as `ActivityLog.append` does; maintenance between mini-batches waits for the next one.

        Raises InputError if cells are programmed on a chip that does not say how.
        """
        phase = columns.get("phase")
        if self._asked is None and self._open is None and np.all(np.equal(phase, Phase.MAINTENANCE)):  # type: ignore[arg-type]
            self._check_written(columns)
            self.waiting.append((length, columns))
            return
        for waited in self.waiting:
            super().append(waited[0], **waited[1])
        self.waiting.clear()
        first = columns.get("layer") == 0 and columns.get("tile") == 0
        if self._asked is not None and first and np.all(np.equal(phase, Phase.FORWARD)):  # type: ignore[arg-type]
            self.inference_rows += length
        super().append(length, **columns)

    def _check_written(self, columns: dict[str, ArrayLike]) -> None:
        """Refuse to program cells of a chip that does not say what writing them costs."""
        kind = self._kinds.get((columns.get("layer"), columns.get("tile")))
        if np.any(columns.get("writes", 0)) and kind is not None:
            kind.writing(self._chip.name)

    def follow(self, module: nn.Module) -> None:
        """Be told of every call of ``module``, which writes to this log.

        Such a call raises InputError if its input is not a batch of samples of the shape that was placed.
        """
        module.register_forward_pre_hook(self._called)
        module.register_forward_hook(self._returned, always_call=True)

    def _called(self, module: nn.Module, given: tuple[object, ...]) -> None:
        x = given[0] if given else None
        if isinstance(x, torch.Tensor):
            fits = tuple(x.shape[1:]) == self._shape or (
                x.dim() > 0 and x.numel() == len(x) * math.prod(self._shape)  # as for a network that flattens first
            )
            if not fits or not len(x):
                raise InputError(
                    f"input: got shape {tuple(x.shape)}, but the module was placed for samples of shape {self._shape}, "
                    f"so (samples, {', '.join(map(str, self._shape))}) is needed"
                )
        learns = module.training and torch.is_grad_enabled()
        self._asked = None if learns else self._new()

    def _returned(self, *_: object) -> None:
        self._asked = None


def in_order(activity: Activity, vectors_per_sample: Sequence[int], first_step: int = 0) -> Activity:
    """Number the vectors of a user's own loop, and cut its mini-batches into steps that a schedule can follow.

    activity:            rows as a `LoopLog` gave them.
    vectors_per_sample:  how many vectors of a sample each layer sees.
    first_step:          number of the first step.

    Returns the same rows in the same order with other steps and vectors (see the module). Raises InputError if a layer
    saw only a part of a sample.
    """
    order, vector = _consecutive(activity)
    sample = vector // np.asarray(vectors_per_sample, np.int64)[activity.layer]
    step = np.empty(len(activity), np.int64)
    number = first_step
    borders = np.flatnonzero(np.diff(activity.step[order])) + 1
    for rows in np.split(order, borders):
        piece, less = _pieces(activity, rows, vector, sample, vectors_per_sample)
        step[rows] = number + piece
        vector[rows] -= less
        number += int(piece.max()) + 1
    multiplied = activity.phase <= Phase.UPDATE
    return replace(activity, step=step, vector=np.where(multiplied, vector, activity.vector).astype(np.int32))


def _consecutive(activity: Activity) -> tuple[NDArray[np.intp], NDArray[np.int64]]:
    """Group rows by step, phase, layer and tile, and number the vectors of each group through all calls of the layer.

    Returns the order of the rows by group, in each as they came; and each row's number. In a log every call of a layer
    counts anew, and its rows begin with the same number as those of the first call. That is not 0 where errors come
    back through time, and rows of a call then are not in the order of their numbers either.
    """
    keys = np.stack([activity.tile, activity.layer, activity.phase, activity.step])
    order = np.lexsort(keys)  # stable
    first = np.r_[True, np.any(np.diff(keys[:, order], axis=1), axis=0)]
    within, starts = activity.vector[order].astype(np.int64), np.flatnonzero(first)
    calls = np.flatnonzero(within == np.repeat(within[starts], np.diff(np.r_[starts, len(order)])))
    before = np.r_[0, np.cumsum(np.maximum.reduceat(within, calls) + 1)[:-1]]
    # What calls before it counted, those of other groups included.
    of_group = np.maximum.accumulate(np.where(first[calls], before, 0))
    vector = np.empty(len(order), np.int64)
    vector[order] = within + np.repeat(before - of_group, np.diff(np.r_[calls, len(order)]))
    return order, vector


def _pieces(
    activity: Activity,
    rows: NDArray[np.intp],
    vector: NDArray[np.int64],
    sample: NDArray[np.int64],
    vectors_per_sample: Sequence[int],
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Cut one step so that all passes of a piece have the same samples.

    rows: those of the step. vector, sample: numbers of every row's vector and sample within the step.

    Returns for each of the rows which piece it goes to, and by how much its vector's number becomes less.
    """
    phase, layer = activity.phase[rows], activity.layer[rows]
    group = phase * len(vectors_per_sample) + layer
    samples = np.zeros(int(group.max()) + 1, np.int64)
    for number in np.unique(group[phase <= Phase.UPDATE]):
        vectors, per_sample = (
            int(vector[rows[group == number]].max()) + 1,
            vectors_per_sample[number % len(vectors_per_sample)],
        )
        if vectors % per_sample:
            raise InputError(
                f"chip.report: layer {number % len(vectors_per_sample)} saw {vectors} vectors in a mini-batch, but a "
                f"sample has {per_sample} of them there; call the placed module itself, with whole samples"
            )
        samples[number] = vectors // per_sample
    multiplies = phase < Phase.UPDATE
    cuts = np.unique(samples[np.unique(group[multiplies])])  # samples of a pass, fewest first
    piece = np.zeros(len(rows), np.int64)
    less = np.zeros(len(rows), np.int64)
    if len(cuts) > 1:  # the last piece has what all passes have, counted from the end
        from_end = samples[group] - 1 - sample[rows]
        level = np.where(multiplies, np.searchsorted(cuts, from_end, side="right"), 0)
        piece = len(cuts) - 1 - level
        first = samples[group] - cuts[np.minimum(level, len(cuts) - 1)]
        less = np.where(multiplies, first * np.asarray(vectors_per_sample)[layer], 0)
    learned = samples[np.unique(group[phase == Phase.UPDATE])].max(initial=0)
    if len(cuts) and learned > cuts[0]:  # pairs of passes that were reported before
        piece[~multiplies] = len(cuts)
    return piece, less
