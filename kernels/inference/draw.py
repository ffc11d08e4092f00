"""Random numbers of the cells of a layer: functions of the layer, the place in its matrix, the event and the device.

A tile knows where it lies in its layer's matrix, so a cell gets the same numbers however the layer is cut into tiles.
"""

from __future__ import annotations

import numpy as np
import torch

from rpusim.kernels.base import rng

Tensor = torch.Tensor


class CellDraw:
    """Draw consecutive independent random matrices for the cells of one block of a layer's matrix.

    rows, columns:  size of the block. place: its first row and column in the matrix.
    name:           integers that say what the numbers are for: seed, layer, purpose, event, device.
    device:         torch's, on which they are drawn.
    """

    def __init__(
        self,
        rows: int,
        columns: int,
        name: tuple[int, ...],
        place: tuple[int, int] = (0, 0),
        device: torch.device | str = "cpu",
    ) -> None:
        self._base, self._count, self._device = rng.key(*name), 0, device
        self._row = torch.arange(place[0], place[0] + rows, device=device)[:, None]
        self._column = torch.arange(place[1], place[1] + columns, device=device)

    def _bits(self) -> Tensor:
        self._count += 1
        words = rng.torch_words(self._base, np.array([self._count], np.int64), self._device)[0]
        return rng.bits(words, self._row, self._column)

    def normal(self) -> Tensor:
        """Draw standard-normal numbers (rows, columns)."""
        return rng.normal(self._bits())

    def uniform(self) -> Tensor:
        """Draw uniform numbers in [0, 1) (rows, columns)."""
        return rng.uniform(self._bits())
