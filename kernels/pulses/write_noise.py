"""Write noise: what reads see of a cell is not quite where pulses have put it.

    apparent = persistent + sigma xi                                                              (1)

Pulses move the persistent weight; the apparent one is drawn anew whenever the cell is touched, and stays until then.
Reading draws nothing. The noise is that of short-term relaxation after programming, as in filamentary resistive
memories: Rasch et al., "Fast and robust analog in-memory deep neural network training", Nat. Commun. 15:7133 (2024).
"""

from __future__ import annotations

import numpy as np
import torch
from numba import prange
from numpy.typing import NDArray

from rpusim.kernels.base import rng
from rpusim.kernels.base.loops import Floats, Loop
from rpusim.kernels.base.rng import nb_bits, nb_line_words, nb_normal, nb_step_words

Tensor = torch.Tensor

# Cells (about 2 ns each) above which a parallel launch pays.
_PARALLEL_WORK = 4_000_000

# Part of a row's cells below which those that moved are drawn one by one, not the whole row side by side; measured.
_FEW = np.uint32(8)

_ZERO, _ONE = np.uint32(0), np.uint32(1)


class Before:
    """What persistent weights were before they were pulsed.

    weights: (rows, columns), valid in the rows that ``rows`` marks (rows,); weights of the others do not move.
    """

    def __init__(self, like: Tensor) -> None:
        self.weights, self.rows = torch.empty_like(like), np.zeros(len(like), np.bool_)

    def keep(self, persistent: Tensor) -> None:
        """Remember the weights (rows, columns) of all rows, as any of them may move."""
        self.weights.copy_(persistent)
        self.rows[:] = True


def _redraw(
    apparent: Floats,
    persistent: Floats,
    before: Floats,
    rows: NDArray[np.bool_],
    all_cells: bool,
    sigma: np.float32,
    base: np.uint64,
    step: int,
) -> None:
    """Apply equation 1 as `redraw` does: to all cells, or to those that moved in the marked rows."""
    word_a, word_b = nb_step_words(base, step)
    for i in prange(apparent.shape[0]):
        moved = _ZERO
        if not (all_cells or rows[i]):
            continue
        for j in range(apparent.shape[1]):
            moved = np.uint32(moved + (_ONE if persistent[i, j] != before[i, j] else _ZERO))
        if moved == _ZERO and not all_cells:
            continue
        a, c = nb_line_words(word_a, word_b, i, 0)
        if not all_cells and moved * _FEW < apparent.shape[1]:
            for j in range(apparent.shape[1]):
                if persistent[i, j] != before[i, j]:
                    apparent[i, j] = persistent[i, j] + nb_normal(nb_bits(a, c, j)) * sigma
            continue
        for j in range(apparent.shape[1]):
            fresh = persistent[i, j] + nb_normal(nb_bits(a, c, j)) * sigma
            apparent[i, j] = fresh if all_cells or persistent[i, j] != before[i, j] else apparent[i, j]


_NO_ROWS = np.zeros(0, np.bool_)
_REDRAW = Loop(_redraw, _PARALLEL_WORK)


class Redraw:
    """Draw the apparent weights of an array anew where persistent ones have moved, prepared: see `redraw`.

    apparent, persistent: (rows, columns) on the CPU. before, sigma, base: as for `redraw`.
    """

    def __init__(self, apparent: Tensor, persistent: Tensor, before: Before, sigma: float, base: int) -> None:
        self._of, self._weights = (apparent, persistent, before), (apparent.numpy(), persistent.numpy())
        self._before = before.weights.numpy(), before.rows, False, np.float32(sigma), np.uint64(base)

    def fits(self, apparent: Tensor, persistent: Tensor, before: Before) -> bool:
        """Whether it still is of these."""
        return self._of[0] is apparent and self._of[1] is persistent and self._of[2] is before

    def __reduce__(self) -> tuple[type[None], tuple[()]]:
        return type(None), ()  # a copy of the array makes its own

    def __call__(self, step: int) -> None:
        """Draw; step: which drawing of the array this is."""
        _REDRAW.variant(self._weights[0].size)(*self._weights, *self._before, step)


def redraw(
    apparent: Tensor, persistent: Tensor, before: Before | None, sigma: float, base: int, step: int, path: str
) -> None:
    """Draw apparent weights anew by equation 1, in place, for the cells whose persistent weight has moved.

    apparent, persistent: (rows, columns). before: what the persistent weights were; None: all cells have moved.
    sigma: standard deviation of the noise, in weight. base, step: the key of the random numbers, and which drawing of
    the array this is. path: "numba" or "torch".
    """
    if path == "numba":
        earlier, moved = (persistent, _NO_ROWS) if before is None else (before.weights, before.rows)
        weights = apparent.numpy(), persistent.numpy(), earlier.numpy()
        loop = _REDRAW.variant(apparent.numel())
        loop(*weights, moved, before is None, np.float32(sigma), np.uint64(base), step)
        return
    rows, columns = apparent.shape
    fresh = persistent + rng.normal_matrix(base, step, rows, columns, apparent.device) * float(np.float32(sigma))
    apparent.copy_(fresh if before is None else torch.where(persistent != before.weights, fresh, apparent))
