"""CompiledStep: trains a network, on arrays or in floating point, many mini-batches in one call.

It is the same training as with torch's modules, autograd and `AnalogSGD`: the same tensors and counters change, random
numbers have the same names, and the activity log gets the same rows. Sums of floats, exponentials and hyperbolic tangents
are computed in another order, so that numbers agree to rounding; where rounding decides whether a line fires, a pulse may
differ, as rarely as that.

Cells that learn in another way than by the pulses of one device learn as everywhere, mini-batch by mini-batch, between a
forward and backward pass in compiled loops and the next.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from rpusim.arch.contract.activity import ActivityLog
from rpusim.errors import InputError
from rpusim.kernels.layers.base import AnalogLayer
from rpusim.kernels.pulses.trains import not_finite
from rpusim.kernels.step import loop
from rpusim.kernels.step.layers import Placed, Rows
from rpusim.kernels.step.loop import ACTIVITY, Room, Tables
from rpusim.kernels.step.program import ERRORS, HOW_MANY, LAYER, OF_SOURCE, OP, VECTORS, WHICH, Graph, Layout

MOST_ROWS = 400_000
"""Rows of activity that one call makes, at most: 42 MB."""


class NotFinite(Exception):
    """The loss of a mini-batch is infinite or NaN; nothing was learned from it."""


class _Sized(NamedTuple):
    """What belongs to mini-batches of one size: tables, memory, the rows of activity of each, and of each tile."""

    tables: Tables
    room: Room
    rows: int
    starts: NDArray[np.int64]


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
        self._loop = loop.loop_of(tuple(self._rows.kinds))

    @property
    def whole(self) -> bool:
        """Whether cells learn within the loop too."""
        return self._rows.whole

    def train(self, images: torch.Tensor, classes: torch.Tensor, batch: int, rate: float) -> list[float]:
        """Learn mini-batches of ``batch`` samples, one after the other, by plain stochastic gradient descent.

        images: (samples, ...) float32; classes: (samples,) int64. rate: learning rate, above 0.

        Returns the mean loss of each. Raises `NotFinite` at a loss that is no number, and InputError as layers do.
        """
        flat, labels = images.reshape(len(images), -1).contiguous().numpy(), classes.numpy()
        sized = self._sized(batch)
        whole, losses = len(flat) // batch, []
        each = max(1, MOST_ROWS // max(1, sized.rows)) if self.whole else 1
        for start in range(0, whole, each):
            part = slice(start * batch, min(whole, start + each) * batch)
            losses += self._run(sized, flat[part], labels[part], batch, rate)
        return losses

    def _run(
        self, sized: _Sized, images: NDArray[np.float32], classes: NDArray[np.int64], batch: int, rate: float
    ) -> list[float]:
        number = len(images) // batch
        self._rows.tiles[:, [loop.FORWARD_ROW, loop.BACKWARD_ROW, loop.UPDATE_ROW]] = sized.starts
        self._rows.look_up()
        rows, losses = np.zeros((len(ACTIVITY), number * sized.rows), np.int64), np.empty(number, np.float32)
        step = self._log.step if self._log is not None else 0
        ended, done, which = self._loop(
            sized.tables, sized.room, images, classes, batch, rate, self.whole, rows, sized.rows, step, losses
        )
        self._rows.put_back(number if ended == loop.DONE else done + 1)
        if ended == loop.LOSS_NOT_FINITE:
            raise NotFinite
        if ended != loop.DONE:
            error = not_finite("input x" if ended == loop.X_NOT_FINITE else "error d")
            raise InputError(f"layer {self._placed[which].module.layer}: {error}")
        if self._log is not None and rows.size:
            self._log.append(rows.shape[1], **dict(zip(ACTIVITY, rows, strict=True)))
        if not self.whole:
            self._learn_elsewhere(sized, rate)
        if self._log is not None:
            for _ in range(number):
                self._log.mini_batch_over(self)
        return [float(loss) for loss in losses]

    def _learn_elsewhere(self, sized: _Sized, rate: float) -> None:
        """Let every layer learn from the vectors and errors that the loop has left in the memory."""
        memory = torch.from_numpy(sized.room.memory)
        places = {int(row[WHICH]): row for row in sized.tables.program if row[OP] == LAYER}
        for which in self._order:
            layer, row = self._placed[which].module, places[which]
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
            layout = self._graph.laid_out(batch)
            self._sizes[batch] = _Sized(self._tables(layout), self._room(layout, batch), *self._row_starts(layout))
        return self._sizes[batch]

    def _tables(self, layout: Layout) -> Tables:
        rows, program = self._rows, layout.instructions
        places = {int(row[WHICH]): number for number, row in enumerate(program) if row[OP] == LAYER}
        order = np.array([places[which] for which in self._order], np.int64)
        return Tables(program, layout.parameters, rows.layers, rows.tiles, rows.numbers, rows.scales, rows.keys, order)

    def _room(self, layout: Layout, batch: int) -> Room:
        most, widest, block = batch, 1, 1
        for row in layout.instructions[layout.instructions[:, OP] == LAYER]:
            about, tiles = self._placed[row[WHICH]].layer, self._placed[row[WHICH]].tiles
            vectors, lines = int(row[HOW_MANY]), max(about.rows, about.columns)
            most = max(most, vectors)
            block = max(block, min(vectors, loop.block_of(lines)) * lines)
            if len(tiles) > 1 or self._rows.layers[row[WHICH], loop.SCALES]:
                widest = max(widest, vectors * lines)
        classes = self._graph.nodes[-1].sources[0].size
        return Room(
            np.zeros(layout.memory, np.float32),
            np.zeros(layout.chosen, np.int32),
            np.empty(block, np.float32),
            np.empty(block, np.float32),
            np.empty(widest, np.float32),
            np.empty(max(widest, classes), np.float32),
            np.empty(most, np.int32),
            np.empty(most, np.int32),
        )

    def _row_starts(self, layout: Layout) -> tuple[int, NDArray[np.int64]]:
        """Count the rows of activity of a mini-batch, and find where those of each tile begin: (tiles, 3)."""
        starts = np.full((len(self._rows.tiles), 3), -1, np.int64)
        if self._log is None:
            return 0, starts
        layers = layout.instructions[layout.instructions[:, OP] == LAYER]
        by_which = {int(row[WHICH]): row for row in layers}
        at = 0
        for column, rows in enumerate((layers, layers[::-1], [by_which[which] for which in self._order])):
            for row in rows:
                if column == 1 and row[OF_SOURCE] < 0 or (column == 2 and not self.whole):
                    continue
                first = int(self._rows.layers[row[WHICH], loop.FIRST_TILE])
                for index in range(first, first + len(self._placed[row[WHICH]].tiles)):
                    starts[index, column] = at
                    at += int(row[HOW_MANY])
        return at, starts


def learning_order(model: nn.Module, placed: Sequence[Placed]) -> list[int]:
    """Number the layers of a model in the order in which `AnalogSGD` lets them learn."""
    place = {id(module): number for number, module in enumerate(model.modules())}
    return sorted(range(len(placed)), key=lambda which: place[id(placed[which].module)])
