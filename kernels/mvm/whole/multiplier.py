"""A multiplication with the usual management, prepared: what follows from its configuration is found out once.

Small arrays take a few microseconds, and so does every look-up. What is computed is what `rpusim.kernels.mvm.multiply`
says, with as few steps as possible between the loops.
"""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from rpusim.kernels.base.threads import several_threads
from rpusim.kernels.mvm import wires
from rpusim.kernels.mvm.compiled import (
    FIRST,
    LAST,
    behind_wires,
    block_of,
    constants_of,
    converted,
    keys_of,
    read_out,
    simple,
    variant,
)
from rpusim.kernels.mvm.periphery import IOParameters, Lines, Product
from rpusim.kernels.mvm.whole import reading

_TWO = np.float32(2)
_NO_WIRES, _NO_SHARES = np.empty(0, np.float64), np.empty(0, np.float32)


@cache
def _whole(with_wires: bool) -> Any:
    return reading.stages(False, int(with_wires))["multiply"]


class Multiplier:
    """Multiply vectors by an array, forwards or backwards; for the usual management of a training chip, see `fits`.

    io, lines, stream, backward:  as for `rpusim.kernels.mvm.multiply.multiply`.
    """

    def __init__(self, io: IOParameters, lines: Lines, stream: tuple[int, ...], backward: bool = False) -> None:
        self._io, self._lines = io, lines
        self._constants, self._keys = constants_of(io), keys_of(stream)
        self._numbers, noise = self._constants.numbers, self._constants.noise
        self._sigma = noise if lines.noise is None else lines.noise.numpy()
        self._first_flags = *self._constants.first_flags, backward
        # A single vector is multiplied where the cells lie: by rows forwards, by columns backwards.
        self._backward, self._whole = backward, io.wires is None or not io.wires.alone
        self._asked: tuple[Any, ...] = ()
        self._sizes = 0, 0

    @staticmethod
    def fits(io: IOParameters) -> bool:
        """Whether all that a periphery asks for can be computed here."""
        fits: bool = simple(io)
        return fits

    def __call__(self, weights: torch.Tensor, x: torch.Tensor, first: int) -> Product:
        """Multiply x (vectors, inputs) by weights (outputs, inputs); first: the counter of the first vector."""
        values, outputs = x.numpy(), weights.shape[0]
        vectors, inputs = values.shape
        y = np.empty((vectors, outputs), np.float32)
        passes, active = np.empty(vectors, np.int32), np.empty(vectors, np.int32)
        if vectors == 1 and self._whole:
            matrix = weights.t() if self._backward else weights
            if matrix.is_contiguous():
                self._at_once(matrix, values, y, passes, active, first)
                return Product(torch.from_numpy(y), passes, active)
        blocks = -(-vectors // block_of(max(outputs, inputs)))
        if blocks <= 1 or several_threads():
            self._block(weights, x, values, y, passes, active, first)
        else:
            for block in range(blocks):
                part = slice(vectors * block // blocks, vectors * (block + 1) // blocks)
                of_part = x[part], values[part], y[part], passes[part], active[part]
                self._block(weights, *of_part, first + part.start)
        return Product(torch.from_numpy(y), passes, active)

    def _at_once(
        self,
        matrix: torch.Tensor,
        values: NDArray[np.float32],
        y: NDArray[np.float32],
        passes: NDArray[np.int32],
        active: NDArray[np.int32],
        first: int,
    ) -> None:
        """Multiply a single vector (1, inputs) in one compiled call. matrix: the cells, as they lie."""
        if self._sizes != (values.shape[1], y.shape[1]):
            self._ask(values.shape[1], y.shape[1])
        _whole(self._io.wires is not None)(
            matrix.detach().numpy(), values, y, self._backward, *self._asked, first, np.empty(values.shape, np.float32),
            np.empty(y.shape, np.float32), passes, active,
        )  # fmt: skip

    def _ask(self, inputs: int, outputs: int) -> None:
        """Put together what the compiled call is asked for by an array of this size."""
        of_wires: tuple[Any, ...] = 0.0, _NO_WIRES, _NO_WIRES, _NO_SHARES
        if self._io.wires is not None:
            spread = wires.spread_of(self._io.wires, inputs)
            of_wires = spread.load, spread.gains, spread.share, wires.arriving(self._io.wires, outputs)
        constants = self._constants
        flags = *constants.first_flags, *constants.last_flags
        self._asked = self._numbers, self._sigma, *of_wires, *flags, constants.last_reduction, self._keys
        self._sizes = inputs, outputs

    def _block(
        self,
        weights: torch.Tensor,
        x: torch.Tensor,
        values: NDArray[np.float32],
        y: NDArray[np.float32],
        passes: NDArray[np.int32],
        active: NDArray[np.int32],
        first: int,
    ) -> None:
        """Multiply some of the vectors; values: x once more. y, passes and active are filled."""
        u = np.empty(values.shape, np.float32)
        todo, factor = variant(FIRST, u.size)(
            values, self._numbers, *self._first_flags, self._keys, first, passes, active, u, y
        )
        number = todo.size
        if number == 0:
            return
        sums = behind_wires(torch.from_numpy(u if number == len(u) else u[:number]), weights, self._io)
        clipped = np.empty(number, np.bool_)
        of_read = self._numbers, self._sigma, *self._constants.last_flags, self._keys, first
        many = variant(LAST, number * y.shape[1])(sums.numpy(), todo, factor, *of_read, 0, y, clipped)
        reduction, round_number = 1.0, 0
        while many and reduction < self._constants.last_reduction:
            todo, factor = todo[clipped], factor[clipped] * _TWO
            reduction, round_number = reduction * 2.0, round_number + 1
            passes[todo] += 1
            driven = converted(x, todo, factor, self._io, self._keys, first, round_number)
            sums, given = behind_wires(driven, weights, self._io), (self._keys, first, round_number)
            many, clipped = read_out(sums, y, todo, factor, self._constants, self._lines, *given)
