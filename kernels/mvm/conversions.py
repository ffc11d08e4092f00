"""What the specification and the compiled loops share of products that are put together from many conversions.

Bits of a vector are rows of one matrix product, and slices of an output are lines of it, so that a vector with B bits
on an array with K slices is one product of B times as many vectors by K times as many lines.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray

from rpusim.kernels.mvm.periphery import IOParameters
from rpusim.kernels.mvm.slices import SlicedCells, cut

Tensor = torch.Tensor

_BLOCK_NUMBERS, _BLOCK_VECTORS = 1 << 17, 64
"""Vectors are multiplied in blocks of about so many numbers, and of no less than half of so many vectors, from which on
each gets the same bits as with all others."""


class LinesRead(NamedTuple):
    """What the lines of an array hold that are read for one product, and how their read-outs become outputs.

    matrix:   (lines, inputs) levels of the cells.
    factors:  (slices,) what a read-out of each slice is worth.
    flipped:  (slices, outputs) which of them hold complements.
    top:      highest level of a cell, which is what a read-out of the unit line of level 1 is multiplied by.
    offset:   what a read-out of the unit line is worth, taken off every output.
    unit:     whether there is a unit line, the last one.
    """

    matrix: Tensor
    factors: NDArray[np.float64]
    flipped: Tensor
    top: float
    offset: float
    unit: bool

    def put_together(self, total: Tensor) -> Tensor:
        """Add up what the lines gave, by equation 9 of `specification`.

        total: (vectors, lines) float64, their bits added up. Returns (vectors, outputs) float64.
        """
        outputs = self.flipped.shape[1]
        of_unit = total[:, -1:] if self.unit else torch.zeros_like(total[:, :1])
        out = torch.zeros_like(total[:, :outputs])
        for number, worth in enumerate(self.factors.tolist()):
            part = total[:, number * outputs : (number + 1) * outputs]
            part = torch.where(self.flipped[number], of_unit * self.top - part, part)
            out = out + part * worth
        return out - of_unit * self.offset


def lines_of(weights: Tensor, io: IOParameters, cells: SlicedCells | None) -> LinesRead:
    """Find what the lines hold.

    weights: (outputs, inputs). io: the periphery. cells: what the cells of sliced weights hold; None: exactly what the
    weights are cut into.
    """
    if io.slices is None:
        flipped = torch.zeros(1, len(weights), dtype=torch.bool, device=weights.device)
        return LinesRead(weights, np.ones(1), flipped, 1.0, 0.0, False)
    slices = io.slices
    cells = cut(weights, slices, io.out_bound) if cells is None else cells
    offset = slices.offset * slices.top * cells.largest / slices.largest
    factors = np.array(slices.factors(cells.largest))
    return LinesRead(cells.matrix, factors, cells.flipped, float(slices.top), offset, slices.has_unit_line)


def in_blocks(
    conversions: Callable[..., NDArray[np.bool_]],
    read: LinesRead,
    x: Tensor,
    y: Tensor,
    todo: NDArray[np.int64],
    factor: NDArray[np.float32],
    io: IOParameters,
    *given: Any,
) -> NDArray[np.bool_]:
    """Call ``conversions`` for so many vectors at a time that its numbers stay in the cache; it fills rows of ``y``.

    The other arguments are those of `specification.one_pass`. Returns which vectors clipped (len(todo),).
    """
    each = len(io.places) * max(read.matrix.shape)
    vectors = max(-(-_BLOCK_VECTORS // len(io.places)), _BLOCK_NUMBERS // each)
    blocks = max(1, len(todo) // vectors)
    clipped = np.empty(len(todo), np.bool_)
    for block in range(blocks):
        part = slice(len(todo) * block // blocks, len(todo) * (block + 1) // blocks)
        clipped[part] = conversions(read, x, y, todo[part], factor[part], io, *given)
    return clipped
