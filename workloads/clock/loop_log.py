"""The activity of a user's own loop: any order of forward, backward, evaluation and step, put in order for the engine.

What a mini-batch is, the loop decides: everything between two steps of the optimizer is one; steps of several
optimizers, each of which trains a part of the module, end the same one if nothing was multiplied between them. So

* gradients that are accumulated over several forward and backward passes are one mini-batch of all their vectors;
* what runs in ``model.eval()`` or under ``torch.no_grad()`` is inference, each call a mini-batch of its own, wherever
  it comes;
* maintenance between mini-batches (cells programmed, drift measured) comes before the next one, and waits for it;
* a forward pass whose error never comes back (its loss was thrown away) is timed as what it was: a forward pass. Of a
  mini-batch that has more samples forward than backward, the last ones are taken to be those that learned.

A call uses the layers that were captured, each once and in that order: those of training, or those of evaluation where
that uses fewer. What it really used says which of both it was; anything else is refused.

`LoopLog` notes which rows are inference while they are written; `in_order` numbers the vectors of a mini-batch
consecutively and cuts it so that in each piece all passes have the same samples. That is what a schedule needs, and
nobody else sees: counted are the mini-batches.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from itertools import accumulate
from typing import Any, NoReturn

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from torch import nn

from rpusim.arch.chips.description import TileKind
from rpusim.arch.contract.activity import Activity, ActivityLog, Phase
from rpusim.arch.mapping.placement import Placement
from rpusim.errors import InputError
from rpusim.kernels.inference import InferenceTile

_BACKWARD, _UPDATE, _MAINTENANCE = int(Phase.BACKWARD), int(Phase.UPDATE), int(Phase.MAINTENANCE)


def _all_below(phases: Any, phase: int) -> bool:
    """Whether all rows are of phases before this one; phases: one for all rows, mostly, or an array."""
    return phases < phase if isinstance(phases, int) else bool(np.all(np.less(phases, phase)))


def _all_from(phases: Any, phase: int) -> bool:
    """Whether all rows are of this phase or a later one."""
    return phases >= phase if isinstance(phases, int) else bool(np.all(np.greater_equal(phases, phase)))


def _came_before(columns: Mapping[str, ArrayLike]) -> bool:
    """Whether rows are maintenance that had waited for a call, not the loads of blocks that take turns in it."""
    maintains = np.all(np.equal(columns["phase"], Phase.MAINTENANCE))
    return bool(maintains and np.all(np.less(columns.get("vector", 0), 0)))


class LoopLog(ActivityLog):
    """An activity log that gives every mini-batch and every call for inference a step of its own.

    placement:   where the layers of the module lie that will write to this log.
    evaluation:  the layers that evaluation uses, in order; None: all of them.
    axis:        of a batch, along which its samples stand.
    """

    def __init__(self, placement: Placement, evaluation: Sequence[int] | None = None, axis: int = 0) -> None:
        self.mini_batches = 0
        """How many mini-batches ended with a step of the optimizer."""
        self.inference_rows = 0
        """How many rows of the first array (that evaluation uses, too) were inference."""
        self._layers = [placed.layer for placed in placement.layers]
        self._trained = tuple(range(len(self._layers)))
        self._evaluated = self._trained if evaluation is None else tuple(evaluation)
        self._in_evaluation: dict[int, bool] = {}
        """By step: whether all calls of the module in it did what evaluation does."""
        self._used: dict[int, int] | None = None
        """Vectors that went forward in a call, by layer and in order; None: nothing is called."""
        self._samples: int | None = None
        """How many samples the call was given; None: nobody knows."""
        self._mark, self._inferred = (0, 0), 0
        """How many parts and rows, and rows of inference, there were when it began."""
        self._chip, self._shape, self._axis = placement.chip, placement.network.inputs[0].shape, axis
        self._sent: dict[Any, list[int]] = {}
        """Vectors of the calls since the last step, by layer, of layers where those of a sample stand apart."""
        self._kinds: dict[Any, TileKind] = {
            (block.layer, block.tile): placement.chip.tiles[block.kind] for block in placement.blocks()
        }
        self._grid = {placed.index: placed.parts for placed in placement.layers}
        """Blocks of a replica, by layer."""
        self.waiting: list[tuple[int, dict[str, ArrayLike]]] = []
        """Maintenance between mini-batches, which belongs to the next one."""
        self._count = 0
        self._open: int | None = None
        self._asked: int | None = None
        self._asks = self._learns = False
        """Whether the module is called for inference now; and whether an optimizer has sent updates since its step."""
        self._ended_by: set[int] = set()
        """Optimizers whose steps have ended the mini-batch, if nothing was multiplied since then."""
        self.when_over: Callable[[], None] = lambda: None
        """Is called when a mini-batch is over."""
        super().__init__()

    @property
    def step(self) -> int:
        """Number of the mini-batch, or of the call for inference, that rows written now belong to."""
        if self._asks:
            if self._asked is None:
                self._asked = self._new()
            return self._asked
        if self._open is None:
            self._open = self._new()
        return self._open

    @step.setter
    def step(self, _: int) -> None:
        self._open = None

    def mini_batch_over(self, by: object) -> None:
        """End the mini-batch, unless another optimizer has done so just before. by: the optimizer."""
        if not self._ended_by or id(by) in self._ended_by:
            self.mini_batches += 1
            self._ended_by.clear()
        self._ended_by.add(id(by))
        self._learns = False
        self._sent.clear()
        self.when_over()

    def _new(self) -> int:
        self._count += 1
        return self._count - 1

    def append(self, length: int, **columns: ArrayLike) -> None:
        """Add rows as `ActivityLog.append` does; maintenance between mini-batches waits for the next one.

        Raises InputError if cells are programmed on a chip that does not say how.
        """
        if not length:
            return
        columns = self._by_sample(length, columns)
        phases: Any = columns.get("phase")
        between = self._open is None or (self._ended_by and not self._learns)
        if not self._asks and between and _all_from(phases, _MAINTENANCE):
            self._check_written(columns)
            self.waiting.append((length, columns))
            return
        if not self._asks and self._ended_by:
            if _all_below(phases, _UPDATE):
                self._open = None
                self._ended_by.clear()
            else:
                self._learns = True
        for waited in self.waiting:
            super().append(waited[0], **waited[1])
        self.waiting.clear()
        layer: Any = columns.get("layer")
        if _all_below(phases, _BACKWARD) and self._is_first(layer, columns.get("tile", 0)):
            if self._used is not None:
                self._used[layer] = self._used.get(layer, 0) + length
            if self._asks and layer == self._evaluated[0]:
                self.inference_rows += length
        super().append(length, **columns)

    def _is_first(self, layer: Any, tile: Any) -> bool:
        """Tell whether all rows are of the first block of replicas, whose vectors stand for those of the layer."""
        grid = self._grid.get(layer, 1)
        return tile % grid == 0 if isinstance(tile, int) else not np.any(np.asarray(tile) % grid)

    def _check_written(self, columns: dict[str, ArrayLike]) -> None:
        """Refuse to program cells of a chip that does not say what writing them costs."""
        kind = self._kinds.get((columns.get("layer"), columns.get("tile")))
        if np.any(columns.get("writes", 0)) and kind is not None:
            kind.writing(self._chip.name)

    def follow(self, module: nn.Module) -> None:
        """Be told of every call of ``module``, which writes to this log.

        Such a call raises InputError if its input is not a batch of samples of the shape that was placed, or if it used
        other layers than were captured, or those in another order; nothing of such a call is in the log.
        """
        module.register_forward_pre_hook(self._called, with_kwargs=True)
        module.register_forward_hook(self._returned, always_call=True)

    def _called(self, module: nn.Module, given: tuple[object, ...], named: Mapping[str, object]) -> None:
        x = next((value for value in (*given, *named.values()) if isinstance(value, torch.Tensor)), None)
        if x is not None:
            one = (*x.shape[: self._axis], *x.shape[self._axis + 1 :])
            fits = (x.dim() > self._axis and one == self._shape) or (
                not self._axis
                and x.dim() > 0
                and x.numel() == len(x) * math.prod(self._shape)  # as for a network that flattens first
            )
            if not fits:
                raise InputError(
                    f"input: got shape {tuple(x.shape)}, but the module was placed for samples of shape {self._shape}, "
                    f"so ({', '.join(self._batch())}) is needed"
                )
        self._asks = not (module.training and torch.is_grad_enabled())
        self._used, self._mark = {}, (len(self._parts), self._length)
        self._samples = None if x is None else x.shape[self._axis]
        self._inferred = self.inference_rows

    def _batch(self) -> list[str]:
        """List the sizes of a batch in words."""
        sizes = list(map(str, self._shape))
        return [*sizes[: self._axis], "samples", *sizes[self._axis :]]

    def _by_sample(self, length: int, columns: dict[str, Any]) -> dict[str, Any]:
        """Number vectors sample by sample, as a network does, where in a batch those of a sample stand apart.

        length, columns: as for `append`.
        """
        layer: Any = columns.get("layer")
        phases, vector = columns.get("phase"), columns.get("vector", 0)
        together = self._layers[layer].together if isinstance(layer, int) else 0
        if not together or np.ndim(vector) != 1 or not _all_below(phases, _MAINTENANCE):
            return columns
        if columns.get("tile") == 0 and _all_below(phases, _BACKWARD) and not self._asks:
            self._sent.setdefault(layer, []).append(length)
        sent = self._sent.get(layer, []) if _all_from(phases, _UPDATE) else [length]
        if sum(sent) != length:
            return columns  # some of the calls sent nothing back, and nobody knows which
        each, numbers = self._layers[layer].vectors, []
        for start, number in zip(accumulate(sent, initial=0), sent, strict=False):
            at, samples = np.arange(number), number // each
            place = at // (together * samples) * together + at % together
            numbers.append(start + at // together % samples * each + place)
        known = np.concatenate(numbers).astype(np.int32)
        return columns | {"vector": known[np.asarray(vector)]}

    def _returned(self, module: nn.Module, given: object, output: object) -> None:
        used, self._used = self._used, None
        try:
            if used and output is not None:  # it is None where forward failed
                self._note_mode(module, used)
        finally:
            self._asks, self._asked = False, None

    def _note_mode(self, module: nn.Module, used: Mapping[int, int]) -> None:
        """Find out from the layers that a call used, with their vectors, which mode it was, and note it."""
        number = self._samples
        if number is None:
            number = next(used[layer] // self._layers[layer].vectors for layer in used)
        whole = all(vectors == number * self._layers[layer].vectors for layer, vectors in used.items())
        trains = whole and tuple(used) == self._trained
        evaluates = whole and tuple(used) == self._evaluated and not (trains and module.training)
        if not (trains or evaluates):
            if any(isinstance(part, InferenceTile) and part.training for part in module.modules()):
                return  # some of it was trained in software, and the rest did what is in the log
            expected = self._trained if module.training else self._evaluated
            self._refuse(f"it {self._difference(used, expected, number)}, unlike when it was placed")
        step = self._asked if self._asks else self._open
        assert step is not None, "rows that belong nowhere"
        if self._in_evaluation.setdefault(step, evaluates) != evaluates:
            self._refuse("it did what evaluation does, and in another call of the mini-batch what training does")

    def _difference(self, used: Mapping[int, int], expected: Sequence[int], samples: int) -> str:
        """Say how the layers that a call used are not those expected."""
        names = [repr(layer.name) for layer in self._layers]
        if missing := [layer for layer in expected if layer not in used]:
            return f"did not use layer {names[missing[0]]}"
        for layer, vectors in used.items():
            if layer not in expected:
                return f"used layer {names[layer]}"
            if vectors != (right := samples * self._layers[layer].vectors):
                return f"sent {vectors} vectors through layer {names[layer]} instead of {right}"
        early, late = next(pair for pair in zip(used, expected, strict=True) if pair[0] != pair[1])
        return f"used layer {names[early]} before layer {names[late]}"

    def _refuse(self, what: str) -> NoReturn:
        """Forget what the call did, but for maintenance that had waited for it, and say what is wrong with it."""
        parts, length = self._mark
        waited = [part for part in self._parts[parts:] if _came_before(part[2])]
        self._parts[parts:], self._length = waited, length + sum(part[0] for part in waited)
        self.inference_rows = self._inferred
        raise InputError(
            f"model: {what}; accepted: calls that use the layers that were captured, each once and in the same order "
            "for all samples"
        )

    def evaluated(self, rows: Activity) -> NDArray[np.bool_]:
        """Tell for each row that was taken whether it is of what evaluation does, where training does more."""
        steps = [step for step, evaluates in self._in_evaluation.items() if evaluates]
        found = np.isin(rows.step, steps)
        other = rows.step[found & ~np.isin(rows.layer, self._evaluated)]  # as a part of the module was called
        self._in_evaluation = {step: was for step, was in self._in_evaluation.items() if step == self._open}
        mask: NDArray[np.bool_] = found & ~np.isin(rows.step, other)
        return mask

    def state_dict(self) -> dict[str, Any]:
        """Return what it takes to go on, once the rows have been taken."""
        kept = {"mini_batches": self.mini_batches, "inference_rows": self.inference_rows, "count": self._count}
        return kept | {"waiting": list(self.waiting)}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Go on from what `state_dict` gave."""
        self.take()
        self.mini_batches, self.inference_rows = state["mini_batches"], state["inference_rows"]
        self._count, self.waiting = state["count"], list(state["waiting"])
        self._open = self._asked = None
        self._in_evaluation.clear()
        self._ended_by.clear()


def in_order(
    activity: Activity, vectors_per_sample: Sequence[int], first_step: int = 0, grid: Sequence[int] | None = None
) -> Activity:
    """Number the vectors of a user's own loop, and cut its mini-batches into steps that a schedule can follow.

    activity:            rows as a `LoopLog` gave them.
    vectors_per_sample:  how many vectors of a sample each layer sees.
    first_step:          number of the first step.
    grid:                blocks of a replica of each layer; None: no layer has replicas.

    Returns the same rows in the same order with other steps and vectors (see the module). Raises InputError if a layer
    saw only a part of a sample.
    """
    block = activity.tile if grid is None else activity.tile % np.asarray(grid)[activity.layer]
    order, vector = _consecutive(activity, block)
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


def _consecutive(activity: Activity, block: NDArray[Any]) -> tuple[NDArray[np.intp], NDArray[np.int64]]:
    """Group rows by step, phase, layer and block, and number the vectors of each group through all calls of the layer.

    block: (rows,) of whichever replica.

    Returns the order of the rows by group, in each as they came; and each row's number. In a log every call of a layer
    counts anew, and its rows begin with the same number as those of the first call. That is not 0 where errors come
    back through time, and rows of a call then are not in the order of their numbers either.
    """
    keys = np.stack([block, activity.layer, activity.phase, activity.step])
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
