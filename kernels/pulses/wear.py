"""How many pulses every cell of an array has taken: what wears it out.

A cell takes a pulse where a pulse of its row and one of its column meet. The trains of all lines are there as bits when
pulses are sent (`drivers`), so that the pulses of a cell are the bits that both words have.
"""

from __future__ import annotations

import numpy as np
from numba import prange
from numpy.typing import NDArray

from rpusim.kernels.base.loops import Loop, Words, popcount

_ZERO = np.uint32(0)
_PARALLEL_WORK = 16_000_000


def tally(taken: NDArray[np.int32], rows: Words, columns: Words, only_up: bool) -> None:
    """Add to ``taken`` the pulses in which the bits of rows and columns meet; arguments as for `count`."""
    height, width, words = taken.shape[0], taken.shape[1], rows.shape[1]
    for i in prange(height):
        of_row = taken[i]
        for word in range(words):
            above, below = rows[0, word, i], rows[1, word, i]
            if above | below == _ZERO:
                continue
            plus, minus = columns[0, word], columns[1, word]
            if only_up:
                for j in range(width):
                    of_row[j] += np.int32(popcount(np.uint32((plus[j] & below) | (minus[j] & above))))
            else:
                either = np.uint32(above | below)
                for j in range(width):
                    of_row[j] += np.int32(popcount(np.uint32(np.uint32(plus[j] | minus[j]) & either)))


_TALLY = Loop(tally, _PARALLEL_WORK)


def count(taken: NDArray[np.int32], rows: Words, columns: Words, only_up: bool = False) -> None:
    """Count the pulses that every cell takes in one call.

    taken: (rows, columns), to which the pulses are added. rows, columns: words (2, words, padded lines) as
    `drivers.draw` returns them. only_up: down pulses do not count.
    """
    _TALLY(taken, rows, columns, only_up, work=taken.size * rows.shape[1])
