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
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from rpusim.arch.contract.activity import ActivityLog
from rpusim.errors import InputError
from rpusim.kernels.base.threads import several_threads
from rpusim.kernels.layers.base import AnalogLayer
from rpusim.kernels.mvm.compiled import block_of
from rpusim.kernels.pulses.trains import not_finite
from rpusim.kernels.step import col
from rpusim.kernels.step.col import ACTIVITY, Piece, Room, Tables
from rpusim.kernels.step.layers import Placed, Rows
from rpusim.kernels.step.loop import loop_of
from rpusim.kernels.step.needs import needs_of
from rpusim.kernels.step.program import ERRORS, HOW_MANY, LAYER, OF_SOURCE, OP, VECTORS, WHICH, Graph, Layer, Layout

PARALLEL_WORK = 30_000_000
"""Products of a layer's mini-batch (about .02 ns each) from which on a launch of several threads pays."""
MOST_ROWS = 400_000
"""Rows of activity that one call makes, at most: 42 MB."""


class NotFinite(Exception):
    """The loss of a mini-batch is infinite or NaN; nothing was learned from it."""


class _Sized(NamedTuple):
    """What belongs to mini-batches of one size: tables, memory, rows of activity of each, whether tiles learn in the
    loop, and whether several threads pay."""

    tables: Tables
    room: Room
    rows: int
    whole: bool
    large: bool


class CompiledStep:
    """Trains the layers of a network.

    graph:   what is computed; ends with classes.
    placed:  its weight layers, in the order of the graph.
    order:   the same by number, in the order in which they learn.
    log:     where layers on arrays write their activity; None: nowhere.

    Raises `Unsuitable` for what it cannot compute.
    """

    def __init__(self, graph: Graph, placed: Sequence[Placed], order: Sequence[int], log: ActivityLog | None) -> None:
        self._graph, self._placed, self._log = graph, placed, log
        self._rows = Rows(placed)
        self._order = list(order)
        self._sizes: dict[int, _Sized] = {}

    @property
    def whole(self) -> bool:
        """Whether cells learn within the loop too."""
        return self._rows.whole

    def prepare(self, batch: int) -> None:
        """Compile the loop for mini-batches of ``batch`` samples, or find it among what was compiled before."""
        nothing = np.zeros((0, math.prod(self._graph.shape)), np.float32), np.zeros(0, np.int64)
        self._run(self._sized(batch), *nothing, batch, 1.0)

    def rests(self, seconds: float) -> bool:
        """Whether `train` can let so many seconds pass from one mini-batch to the next, in all cells that notice it."""
        return self._rows.rests(seconds)

    def train(
        self, images: torch.Tensor, classes: torch.Tensor, batch: int, rate: float, between: float = 0.0
    ) -> list[float]:
        """Learn mini-batches of ``batch`` samples, one after the other, by plain stochastic gradient descent.

        images: (samples, ...) float32; classes: (samples,) int64. rate: learning rate, above 0. between: seconds that
        pass from each mini-batch to the next, see `rests`.

        Returns the mean loss of each. Raises `NotFinite` at a loss that is no number, and InputError as layers do.
        """
        flat, labels = images.reshape(len(images), -1).contiguous().numpy(), classes.numpy()
        sized = self._sized(batch)
        whole, losses = len(flat) // batch, []
        each = max(1, MOST_ROWS // max(1, sized.rows)) if sized.whole else 1
        for start in range(0, whole, each):
            part = slice(start * batch, min(whole, start + each) * batch)
            for tile in self._rows.volatile if start and between else ():
                tile.elapse(between)
            losses += self._run(sized, flat[part], labels[part], batch, rate, between)
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
        events, gains = self._rows.due(batch, number, rate)
        rows = np.zeros((len(ACTIVITY), number * sized.rows + (len(events) if self._log is not None else 0)), np.int64)
        piece, losses = Piece(rows, np.zeros(1, np.int64), events, gains), np.empty(number, np.float32)
        step = self._log.step if self._log is not None else 0
        r = self._rows
        needs = needs_of(sized.tables.program, r.layers, r.tiles, r.arrays)
        run = loop_of(r.kinds, needs, sized.large and several_threads())
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

    def _learn_elsewhere(self, sized: _Sized, rate: float) -> None:
        """Let every layer learn from the vectors and errors that the loop has left in the memory."""
        memory = torch.from_numpy(sized.room.memory)
        for which, at_row in zip(self._order, sized.tables.order, strict=True):
            layer, row = self._placed[which].module, sized.tables.program[at_row]
            if isinstance(layer, AnalogLayer):
                about, vectors = self._placed[which].layer, int(row[HOW_MANY])
                x, d = (
                    memory[int(row[at]) : int(row[at]) + vectors * size].reshape(vectors, size)
                    for at, size in ((VECTORS, about.columns), (ERRORS, about.rows))
                )
                layer.send(x, d, rate)
                layer.end_mini_batch()

    def _sized(self, batch: int) -> _Sized:
        if batch not in self._sizes:
            layout, whole = self._graph.laid_out(batch), self._rows.fits(batch)
            self._sizes[batch] = _Sized(
                *(self._tables(layout), self._room(layout, batch), self._rows_of_each(layout, whole), whole),
                large=any(batch * _products(each.layer) >= PARALLEL_WORK for each in self._placed),
            )
        return self._sizes[batch]

    def _tables(self, layout: Layout) -> Tables:
        r, program = self._rows, layout.instructions
        places = {int(row[WHICH]): number for number, row in enumerate(program) if row[OP] == LAYER}
        order = np.array([places[which] for which in self._order], np.int64)
        return Tables(
            *(program, layout.parameters, order, r.layers, r.tiles, r.numbers, r.tile_numbers, r.tile_keys),
            *(r.arrays, r.array_numbers, r.array_keys, r.transfers, r.transfer_numbers, r.transfer_keys),
        )

    def _room(self, layout: Layout, batch: int) -> Room:
        most, widest, block = batch, 1, 1
        for row in layout.instructions[layout.instructions[:, OP] == LAYER]:
            about, tiles = self._placed[row[WHICH]].layer, self._placed[row[WHICH]].tiles
            vectors, lines = int(row[HOW_MANY]), max(about.rows, about.columns)
            most = max(most, vectors)
            block = max(block, min(vectors, block_of(lines)) * lines)
            if len(tiles) > 1 or self._rows.layers[row[WHICH], col.SCALES]:
                widest = max(widest, vectors * lines)
        classes = self._graph.nodes[-1].sources[0].size
        memory, chosen = np.zeros(layout.memory, np.float32), np.zeros(layout.chosen, np.int32)
        u, sums, x = (np.empty(size, np.float32) for size in (block, block, widest))
        y, passes, active = (
            np.empty(max(widest, classes), np.float32),
            np.empty(most, np.int32),
            np.empty(most, np.int32),
        )
        return Room(memory, chosen, u, sums, x, y, passes, active)

    def _rows_of_each(self, layout: Layout, whole: bool) -> int:
        """Count the rows of activity of a mini-batch, but for those of transfers."""
        found = 0
        for row in layout.instructions[layout.instructions[:, OP] == LAYER]:
            tiles = sum(tile.log is not None for tile in self._placed[row[WHICH]].tiles)
            found += int(row[HOW_MANY]) * tiles * (1 + int(row[OF_SOURCE] >= 0) + int(whole))
        return found


def _products(layer: Layer) -> int:
    """Count the products of one sample in a layer, in one direction."""
    return layer.positions * layer.rows * layer.columns


def learning_order(model: nn.Module, placed: Sequence[Placed]) -> list[int]:
    """Number the layers of a model in the order in which `AnalogSGD` lets them learn."""
    place = {id(module): number for number, module in enumerate(model.modules())}
    return sorted(range(len(placed)), key=lambda which: place[id(placed[which].module)])
