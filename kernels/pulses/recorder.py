"""Every pulse that the cells of an array take, one by one, for whoever wants to see or repeat them.

The specification notes them where it sends them, so what is noted is what moved the weights. A pulse has no noise of
its own here: `replay` repeats cells without noise exactly, and others as they are on average.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from rpusim.kernels.devices.base import Cells, PulsedDevice

Tensor = torch.Tensor
Integers = NDArray[np.int64]


@dataclass(frozen=True)
class Train:
    """Hold the pulses that one array took from the train of one pair, in order.

    place:  of the pair among those that the array had, or that its cell said (`Recorder.places`).
    slots:  of the train.
    slot, row, column: (pulses,) int64; the slot counts from the first one of the train.
    up:     (pulses,) whether a pulse raised its cell.
    """

    place: int
    slots: int
    slot: Integers
    row: Integers
    column: Integers
    up: NDArray[np.bool_]


class Recorder:
    """Note the pulses of one array.

    places: of the pairs that come next, where several arrays take turns; None: one after the other.
    """

    def __init__(self) -> None:
        self.places: Integers | None = None
        self._trains: list[Train] = []
        self._pieces: list[tuple[Tensor, Tensor, Tensor, Tensor]] = []
        self._number = 0

    def note(self, hit: Tensor, up: Tensor, slot: Tensor) -> None:
        """Note pulses: cells that took one, and which of them it raised, both (rows, columns); slot: (columns,)."""
        row, column = torch.nonzero(hit, as_tuple=True)
        self._pieces.append((slot[column], row, column, up[row, column]))

    def end(self, vector: int, slots: int) -> None:
        """End the train of a pair. vector: of the call; slots: 0 if there was no train."""
        place = self._number if self.places is None else int(self.places[vector])
        self._number += slots > 0
        if slots:
            none = (torch.zeros(0, dtype=torch.long),) * 3 + (torch.zeros(0, dtype=torch.bool),)
            parts = [torch.cat(part).cpu().numpy() for part in zip(*(self._pieces or [none]), strict=True)]
            order = np.argsort(parts[0], kind="stable")
            slot, row, column, up = (part[order] for part in parts)
            self._trains.append(Train(place, slots, slot, row, column, up))
        self._pieces = []

    def take(self) -> list[Train]:
        """Return the trains so far, and forget them."""
        taken, self._trains, self._number = self._trains, [], 0
        return taken


def replay(weights: Tensor, cells: Cells, device: PulsedDevice, row: Integers, column: Integers, up: Integers) -> None:
    """Send single pulses to cells, in order and in place, without their noise.

    weights: (rows, columns) float32. cells, device: of the array. row, column, up: (pulses,) which cell, and 1 for
    those that raise it, 0 for those that lower it.
    """
    cell = row * weights.shape[1] + column
    order = np.argsort(cell, kind="stable")
    ordered = cell[order]
    first = np.flatnonzero(np.r_[True, ordered[1:] != ordered[:-1]]) if len(cell) else order
    each = np.diff(np.r_[first, len(cell)])
    number = np.empty(len(cell), np.int64)  # of a pulse among those of its cell, which do not see other cells
    number[order] = np.arange(len(cell)) - np.repeat(first, each)
    nothing = torch.zeros_like(weights)
    for k in range(int(each.max(initial=0))):
        now = number == k
        hit, above = torch.zeros_like(weights, dtype=torch.bool), torch.zeros_like(weights, dtype=torch.bool)
        hit[row[now], column[now]] = True
        above[row[now], column[now]] = torch.from_numpy(up[now].astype(bool))
        directions = zip(cells.parameters(up=True), cells.parameters(up=False), strict=True)
        size = device.step(weights, nothing, *(torch.where(above, high, low) for high, low in directions))
        moved = cells.clip(weights + torch.where(above, size, -size))
        weights.copy_(torch.where(hit, moved, weights))
