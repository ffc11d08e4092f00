"""What comes between the arrays of transfer cells, as rows of tables for the step's loop."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from rpusim.kernels.base.loops import Integers
from rpusim.kernels.cells.tiki_taka.chopped import ChoppedTransferCell
from rpusim.kernels.cells.tiki_taka.compiled import covers
from rpusim.kernels.cells.tiki_taka.dynamic import DynamicTransferCell
from rpusim.kernels.cells.tiki_taka.transfer import TransferCell
from rpusim.kernels.pulses.trains import Execution
from rpusim.kernels.step import col

Tensor = torch.Tensor


class TransferRows:
    """Tables of all tiles, of which only those of transfer cells are filled in.

    tiles:  how many there are.

    Attributes:
    rows, numbers, keys:  (tiles, ...) with the columns of `col`.
    """

    def __init__(self, tiles: int) -> None:
        self.rows = np.zeros((tiles, col.TRANSFER_COLUMNS), np.int64)
        self.numbers = np.zeros((tiles, col.TRANSFER_NUMBERS), np.float64)
        self.keys = np.zeros((tiles, col.TRANSFER_KEYS), np.uint64)
        self._kept: list[Any] = []

    def fill_in(self, cell: TransferCell, index: int) -> None:
        """Fill in what comes between the arrays of a transfer cell. index: of its tile."""
        row, numbers, keys = self.rows[index], self.numbers[index], self.keys[index]
        reading, how, write = cell.readers[0].reading, cell.collecting, cell.transfer_update
        row[col.SLICES] = cell.slices
        row[col.ADDS : col.RANDOMS + 1] = how[:5]
        row[[col.BUFFERED, col.KEPT, col.FORGET, col.REFERRED]] = (
            how.buffered,
            how.kept,
            how.forget,
            how.referred,
        )
        row[col.SLOW_BL : col.SLOW_FIXED_BL + 1] = write.rule[:4]
        numbers[col.LEVEL : col.READ_SCALE + 1] = (
            reading.level,
            reading.step,
            reading.bound,
            reading.sigma,
            reading.scale,
        )
        keys[col.READ_KEY] = reading.key
        if len(reading.levels):
            self._kept += [reading.levels, reading.share]
            row[[col.LEVELS, col.LEVEL_SHARE]] = reading.levels.ctypes.data, reading.share.ctypes.data
        numbers[col.RATE : col.NEW + 1] = (
            *(how.rate, how.threshold, how.most, how.momentum, how.spent, how.limit, how.old, how.new),
        )
        numbers[col.STAYS] = how.stays
        numbers[[col.SLOW_GRANULARITY, col.SLOW_GRAD_SCALE]] = cell._arrays[1].device.granularity, write.rule[4]
        numbers[[col.OF_FAST, col.OF_SLOW]] = cell.gamma
        if isinstance(cell, ChoppedTransferCell):
            row[col.FLIPS_EVERY], (numbers[col.CHANCE], numbers[col.ROW_CHANCE]), chops = cell.chopping
            keys[[col.CHOP_KEY, col.ROW_CHOP_KEY]] = chops
            if cell.c.auto_scale:
                scaled = cell.c.fast_lr * cell.site.update.desired_bl * cell._arrays[0].device.granularity
                numbers[[col.SHARE, col.SCALED_RATE]] = 1.0 - cell.c.auto_momentum, scaled

    def look_up(self, cell: TransferCell, index: int, address: Callable[[Tensor | None], int]) -> None:
        """Write where the tensors of a cell lie now, and how far its counters have come."""
        row, counters = self.rows[index], cell.counters
        memories = [*cell.memories, None, None, None]
        row[[col.BUFFER, col.MEAN, col.PAST, col.VISIBLE]] = [*map(address, (*memories[:3], cell.visible))]
        for place, tensor in zip((col.ON_COLUMNS, col.ON_ROWS), cell.choppers or (None, None), strict=True):
            row[place] = address(tensor)
        row[col.FRESH] = address(cell.fresh if isinstance(cell, DynamicTransferCell) else None)
        row[col.TURN] = counters.get("cycle", 0) * cell.slices + counters["slice 0"]
        largest = counters.get("largest x", 0.0), counters.get("largest d", 0.0)
        self.numbers[index, [col.LARGEST_X, col.LARGEST_D]] = largest

    def due(
        self, cell: TransferCell, index: int, vectors: int, mini_batches: int, rate: float, at: int
    ) -> tuple[Integers, NDArray[np.float64]]:
        """List the transfers of a cell in a piece, and what their read-outs are multiplied by.

        vectors, mini_batches: of each mini-batch, and how many. rate: learning rate. at: how many transfers of other
        cells are listed before.
        """
        rates = np.full(vectors * mini_batches, cell.fast_rate(rate))
        found, gain = cell.schedule(rates, rate, vectors)
        self.rows[index, [col.FIRST_EVENT, col.NEXT_EVENT]] = at
        self.rows[index, col.AFTER_EVENT] = at + len(found)
        return found, np.full(len(found), gain, np.float64)

    def put_back(self, cell: TransferCell, index: int, vectors: int) -> None:
        """Tell a cell how far its counters have come, after so many vectors."""
        moved = self.rows[index, col.NEXT_EVENT] - self.rows[index, col.FIRST_EVENT]
        cell.skip(vectors, int(moved))
        if "largest x" in cell.counters:
            largest = self.numbers[index, [col.LARGEST_X, col.LARGEST_D]].tolist()
            cell.counters |= dict(zip(("largest x", "largest d"), largest, strict=True))


def fits(cell: TransferCell, vectors: int) -> bool:
    """Whether the loop does all that a cell does in a mini-batch of so many vectors."""
    period = cell.periods(vectors)[0]
    parts = vectors // period // cell.slices + 2 if period else 1
    exact_noise = cell._arrays[0].persistent is not None and cell.site.update.execution is Execution.EXACT
    return parts <= col.ARRAY_KEYS - col.PART_KEYS and not (exact_noise and vectors > 1)


def fast_rate(cell: TransferCell) -> tuple[float, float]:
    """What the learning rate of A is: a factor of the optimizer's, and a number that is added."""
    p = cell.p
    if isinstance(cell, ChoppedTransferCell) and cell.c.auto_scale:
        return (1.0, 0.0) if p.scale_fast_lr else (0.0, 1.0)
    if p.fast_lr <= 0.0:
        return 1.0, 0.0
    return (p.fast_lr, 0.0) if p.scale_fast_lr else (0.0, p.fast_lr)


def transfers_here(cell: TransferCell) -> bool:
    """Whether the loop does all that a transfer cell does, in mini-batches of some size."""
    if isinstance(cell, ChoppedTransferCell) and cell.c.auto_scale and cell.c.correct_gradient_magnitudes:
        return False  # then gains depend on the vectors
    if len(cell._arrays) > 2:
        return False  # something else happens between transfers, see `TransferCell.stops`
    return covers(cell, 1)
