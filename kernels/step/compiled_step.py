"""CompiledStep: trains a network, on arrays or in floating point, many mini-batches in one call.

It is the same training as with torch's modules, autograd and `AnalogSGD`: the same tensors and counters change, random
numbers have the same names, and the activity log gets the same rows. Sums, exponentials and hyperbolic tangents are
computed in another order, so that numbers agree to rounding; where rounding decides whether a line fires, a pulse may
differ, as rarely as that.

Cells that the loop does not know learn as everywhere, mini-batch by mini-batch, between a forward and backward pass in
compiled loops and the next.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from rpusim.arch.contract.activity import ActivityLog
from rpusim.errors import InputError
from rpusim.kernels.base.threads import several_threads
from rpusim.kernels.layers.base import AnalogLayer
from rpusim.kernels.layers.gradient import masked
from rpusim.kernels.mvm.compiled import block_of
from rpusim.kernels.pulses.trains import not_finite
from rpusim.kernels.step import col
from rpusim.kernels.step.between.families import FAMILIES
from rpusim.kernels.step.between.held import Dropout, Norm, Norms
from rpusim.kernels.step.col import ACTIVITY, Piece, Room, Tables
from rpusim.kernels.step.layout import Layout, laid_out
from rpusim.kernels.step.loop import loop_of
from rpusim.kernels.step.needs import needs_of
from rpusim.kernels.step.on_arrays.placed import Matrix, Placed
from rpusim.kernels.step.on_arrays.rows import Rows
from rpusim.kernels.step.program import (
    ERRORS,
    HOW_MANY,
    LAYER,
    OF_OUT,
    OF_SOURCE,
    OP,
    ROWS_OF,
    SORTED_ERRORS,
    SORTED_VECTORS,
    TILES_AT,
    USES_AT,
    VECTORS,
    WHICH,
    Graph,
    Layer,
    Unsuitable,
)

PARALLEL_WORK = 30_000_000
"""Products of a layer's mini-batch (about .02 ns each) from which on a launch of several threads pays."""
MOST_ROWS = 400_000
"""Rows of activity that one call makes, at most: 42 MB."""
MOST_DRAWN = 10_000_000
"""Numbers of masks that are drawn for one call, at most: 40 MB."""


class NotFinite(Exception):
    """The loss of a mini-batch is infinite or NaN; nothing was learned from it."""


class _Sized(NamedTuple):
    """What belongs to mini-batches of one size: tables, memory, rows of activity and numbers of masks of each, whether
    tiles learn in the loop, whether several threads pay, and the compiled loops for one and for several threads."""

    tables: Tables
    room: Room
    rows: int
    masks: int
    whole: bool
    large: bool
    loops: dict[bool, Any]


class CompiledStep:
    """Trains the layers of a network.

    graph:   what is computed; ends with classes.
    placed:  its weight layers, in the order of the graph.
    order:   the same by number, in the order in which they learn.
    log:     where layers on arrays write their activity; None: nowhere.
    norms:   what the graph's norms are, and masks: what draws its masks, by their numbers.

    Raises `Unsuitable` for what it cannot compute.
    """

    def __init__(
        self,
        graph: Graph,
        placed: Sequence[Placed],
        order: Sequence[int],
        log: ActivityLog | None,
        norms: Sequence[Norm] = (),
        masks: Sequence[Dropout] = (),
    ) -> None:
        self._graph, self._log = graph, log
        self._placed = [replace(each, layer=layer) for each, layer in zip(placed, graph.layers, strict=True)]
        if any(each.uses and len(each.uses) != each.layer.uses for each in self._placed):
            raise Unsuitable("a weight that is used more often in training than on the chip")
        if any(each.layer.flips and each.free == (False, True) for each in self._placed):
            raise Unsuitable("a frozen weight that is used transposed, whose biases learn")
        self._rows, self._norms, self._masks = Rows(self._placed), Norms(norms), masks
        self._order = list(order)
        self._sizes: dict[int, _Sized] = {}
        there = {node.op for node in graph.nodes}
        self._families = frozenset(name for name, ops in FAMILIES.items() if not there.isdisjoint(ops))

    @property
    def whole(self) -> bool:
        """Whether cells learn within the loop too."""
        return self._rows.whole

    def prepare(self, batch: int) -> None:
        """Compile the loop for mini-batches of ``batch`` samples, or find it among what was compiled before."""
        nothing = np.zeros((0, math.prod(self._graph.shape)), np.float32), np.zeros(0, np.int64)
        self._run(self._sized(batch), *nothing, batch, 1.0)

    @property
    def draws(self) -> bool:
        """Whether torch's random numbers are drawn in training, as for dropout."""
        return bool(self._masks)

    def rests(self, seconds: float) -> bool:
        """Whether `train` can let so many seconds pass from one mini-batch to the next, in all cells that notice it."""
        return self._rows.rests(seconds)

    def train(
        self, images: torch.Tensor, classes: torch.Tensor, batch: int, rate: float, between: float = 0.0
    ) -> list[float]:
        """Learn mini-batches of ``batch`` samples, one after the other, by plain stochastic gradient descent.

        images: (samples, ...) float32; classes: (samples,) int64, or (samples, positions) where a network tells the
        class of each. rate: learning rate, above 0. between: seconds that pass from each mini-batch to the next, see
        `rests`.

        Returns the mean loss of each. Raises `NotFinite` at a loss that is no number, and InputError as layers do.
        """
        flat, labels = images.reshape(len(images), -1).contiguous().numpy(), classes.reshape(len(classes), -1)
        ends = self._graph.nodes[-1].sources[0].shape
        if labels.shape[1] != math.prod(ends[:-1]):
            raise InputError(
                f"classes: a shape of {tuple(classes.shape)} was given; accepted is {(len(images), *ends[:-1])}"
            )
        sized = self._sized(batch)
        whole, losses = len(flat) // batch, []
        each = max(1, min(MOST_ROWS // max(1, sized.rows), MOST_DRAWN // max(1, sized.masks))) if sized.whole else 1
        for start in range(0, whole, each):
            part = slice(start * batch, min(whole, start + each) * batch)
            for tile in self._rows.volatile if start and between else ():
                tile.elapse(between)
            losses += self._run(sized, flat[part], labels[part].contiguous().reshape(-1).numpy(), batch, rate, between)
        return losses

    def _run(
        self,
        sized: _Sized,
        images: NDArray[np.float32],
        classes: NDArray[np.int64],
        batch: int,
        rate: float,
        between: float = 0.0,
    ) -> list[float]:
        number = len(images) // batch
        self._rows.learn(sized.whole)
        self._rows.look_up()
        self._norms.look_up(batch if number else 0)
        events, gains = self._rows.due(batch, number, rate)
        rows = np.zeros((len(ACTIVITY), number * sized.rows + (len(events) if self._log is not None else 0)), np.int64)
        masks = np.empty((number, sized.masks), np.float32)
        for of_mini_batch in masks:
            drawn = [each.drawn(batch) for each in self._masks]
            np.concatenate(drawn, out=of_mini_batch) if drawn else None
        piece, losses = Piece(rows, np.zeros(2, np.int64), masks, events, gains), np.empty(number, np.float32)
        step = self._log.step if self._log is not None else 0
        run = self._loop(sized)
        ended, done, which = run(sized.tables, sized.room, images, classes, batch, rate, piece, step, losses, between)
        self._rows.put_back(number if ended == col.DONE else done + 1, batch)
        if between:
            self._rows.let_pass(between, (number if ended == col.DONE else done + 1) - 1)
        if ended == col.LOSS_NOT_FINITE:
            raise NotFinite
        if ended != col.DONE:
            error = not_finite("input x" if ended == col.X_NOT_FINITE else "error d")
            raise InputError(f"layer {self._placed[which].module.layer}: {error}")
        if self._log is not None and rows.size:
            assert piece.at[0] == rows.shape[1], "as many rows as were foreseen"
            self._log.append(rows.shape[1], **dict(zip(ACTIVITY, rows, strict=True)))
        if not sized.whole and number:
            self._learn_elsewhere(sized, rate)
        if self._log is not None:
            for _ in range(number):
                self._log.mini_batch_over(self)
        return [float(loss) for loss in losses]

    def _loop(self, sized: _Sized) -> Any:
        """Return the loop for mini-batches of a size, compiled once the tables say what of it is needed."""
        parallel = sized.large and several_threads()
        if parallel not in sized.loops:
            r = self._rows
            needs = needs_of(sized.tables.program, r.layers, r.tiles, r.arrays)
            sized.loops[parallel] = loop_of(r.kinds, needs, parallel, self._families)
        return sized.loops[parallel]

    def _learn_elsewhere(self, sized: _Sized, rate: float) -> None:
        """Let every layer learn from the vectors and errors that the loop has left in the memory."""
        memory = torch.from_numpy(sized.room.memory)
        for which in self._order:
            layer, row = self._placed[which].module, sized.tables.updates[which]
            if isinstance(layer, AnalogLayer) and not self._placed[which].learns:
                layer.end_mini_batch()
            elif isinstance(layer, AnalogLayer):
                about, vectors = self._placed[which].layer, int(row[HOW_MANY])
                x_at, d_at = (
                    int(row[lie] if row[ordered] < 0 else row[ordered])
                    for lie, ordered in ((VECTORS, SORTED_VECTORS), (ERRORS, SORTED_ERRORS))
                )
                x, d = (
                    memory[at : at + vectors * size].reshape(vectors, size)
                    for at, size in ((x_at, about.columns), (d_at, about.rows))
                )
                (weights, biases) = self._placed[which].free
                if weights != biases:
                    x = masked(x, layer.groups, {"weight": float(weights), "bias": float(biases)})
                vars(layer)["at_work"] = np.repeat(np.arange(about.uses), vectors // about.uses)
                layer.send(x, d, rate)
                layer.end_mini_batch()

    def _sized(self, batch: int) -> _Sized:
        if batch not in self._sizes:
            layout, whole = laid_out(self._graph, batch, self._norms.counts), self._rows.fits(batch)
            rows = self._rows_of_each(layout, whole)
            self._sizes[batch] = _Sized(
                *(self._tables(layout), self._room(layout, batch), rows, layout.masks, whole),
                large=any(batch * _products(each.layer) >= PARALLEL_WORK for each in self._placed),
                loops={},
            )
        return self._sizes[batch]

    def _tables(self, layout: Layout) -> Tables:
        r, n, uses = self._rows, self._norms, list[int]()
        for each, update in zip(self._placed, layout.updates, strict=True):
            if each.uses:
                update[USES_AT] = at = len(uses)
                uses += [*each.uses, *[-1] * len(each.uses)]
                for use, numbers in enumerate(each.numbers_of_tiles, at + len(each.uses)):
                    if numbers is not None:
                        uses[use] = len(uses)
                        uses += numbers
        for row in layout.instructions:
            if row[OP] == LAYER:
                use, of_layer = row[ROWS_OF], layout.updates[row[WHICH]]
                told_apart = self._placed[row[WHICH]].uses
                row[ROWS_OF] = told_apart[use] if told_apart else -1
                row[TILES_AT] = uses[of_layer[USES_AT] + len(told_apart) + use] if told_apart else -1
        norms_at = np.column_stack([layout.of_norms, np.array(n.counts, np.int64)])
        return Tables(
            program=layout.instructions,
            parameters=layout.parameters,
            updates=layout.updates,
            places=layout.places,
            order=np.array(self._order, np.int64),
            uses=np.array(uses, np.int64),
            norms=n.rows,
            norm_numbers=n.numbers,
            norms_at=norms_at,
            layers=r.layers,
            tiles=r.tiles,
            numbers=r.numbers,
            tile_numbers=r.tile_numbers,
            tile_keys=r.tile_keys,
            arrays=r.arrays,
            array_numbers=r.array_numbers,
            array_keys=r.array_keys,
            transfers=r.moving.rows,
            transfer_numbers=r.moving.numbers,
            transfer_keys=r.moving.keys,
        )

    def _room(self, layout: Layout, batch: int) -> Room:
        most, widest, block = batch, 1, 1
        turns = layout.instructions[layout.instructions[:, OP] == LAYER]
        for row in (*turns, *layout.updates):
            about, blocks = self._placed[row[WHICH]].layer, self._placed[row[WHICH]].blocks
            vectors, lines = int(row[HOW_MANY]), max(about.rows, about.columns)
            most = max(most, vectors)
            block = max(block, min(vectors, block_of(lines)) * lines)
            if blocks > 1 or self._rows.layers[row[WHICH], col.SCALES]:
                widest = max(widest, vectors * lines)
        classes = self._graph.nodes[-1].sources[0].shape[-1]
        memory, chosen = np.zeros(layout.memory, np.float32), np.zeros(layout.chosen, np.int32)
        u, sums, x = (np.empty(size, np.float32) for size in (block, block, widest))
        y, passes, active = (
            np.empty(max(widest, classes), np.float32),
            np.empty(most, np.int32),
            np.empty(most, np.int32),
        )
        return Room(memory, chosen, u, sums, x, y, passes, active, np.zeros(most, np.int64))

    def _rows_of_each(self, layout: Layout, whole: bool) -> int:
        """Count the rows of activity of a mini-batch, but for those of transfers."""
        found = 0
        for row in layout.instructions[layout.instructions[:, OP] == LAYER]:
            tiles = sum(tile.log is not None for tile in self._placed[row[WHICH]].tiles)
            back, learns = row[OF_SOURCE] >= 0 and row[OF_OUT] >= 0, whole and self._placed[row[WHICH]].learns
            found += int(row[HOW_MANY]) * tiles * (1 + int(back) + int(learns))
        return found


def _products(layer: Layer) -> int:
    """Count the products of one sample in a layer, in one direction."""
    return layer.positions * layer.rows * layer.columns


def learning_order(model: nn.Module, placed: Sequence[Placed]) -> list[int]:
    """Number the layers of a model in the order in which `AnalogSGD` lets them learn."""
    place = {id(module): number for number, module in enumerate(model.modules())}
    holders = [each.module.holder if isinstance(each.module, Matrix) else each.module for each in placed]
    return sorted(range(len(placed)), key=lambda which: place[id(holders[which])])
