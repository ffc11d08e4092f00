"""Arrays in compiled loops by the address of their first number.

Layers differ in number and size, and a compiled function is made for arrays that it knows by name. So what belongs to a
layer comes as a row of a table of integers, with the addresses of its tensors among them; whoever makes the table keeps
the tensors.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import carray
from numba.core import types
from numba.extending import intrinsic
from numpy.typing import NDArray

from rpusim.kernels.base.loops import Floats, Words, inlined
from rpusim.kernels.base.rng import Integer


def _pointer(_context: Any, _address: Any) -> tuple[Any, Any]:
    """Take an address as what it is."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        return builder.inttoptr(arguments[0], context.get_value_type(signature.return_type))

    return types.voidptr(types.int64), generate


# Typed as Any because its Python signature is not the one it is called with.
pointer: Any = intrinsic(_pointer)


@inlined
def numbers_at(address: Integer, size: Integer) -> Floats:
    """View ``size`` float32 numbers."""
    return carray(pointer(address), (size,), np.float32)


@inlined
def matrix_at(address: Integer, rows: Integer, columns: Integer) -> Floats:
    """View a matrix (rows, columns) of float32."""
    return carray(pointer(address), (rows, columns), np.float32)


@inlined
def counts_at(address: Integer, rows: Integer, columns: Integer) -> NDArray[np.int32]:
    """View a matrix (rows, columns) of int32."""
    return carray(pointer(address), (rows, columns), np.int32)


@inlined
def places_at(address: Integer, size: Integer) -> NDArray[np.uint64]:
    """View ``size`` uint64 numbers."""
    return carray(pointer(address), (size,), np.uint64)


@inlined
def flags_at(address: Integer, size: Integer) -> NDArray[np.bool_]:
    """View ``size`` truth values."""
    return carray(pointer(address), (size,), np.bool_)


@inlined
def part(memory: Floats, at: Integer, rows: Integer, columns: Integer) -> Floats:
    """View a matrix (rows, columns) that begins at a place of the memory."""
    return memory[at : at + rows * columns].reshape((rows, columns))


__all__ = ["Words", "counts_at", "flags_at", "matrix_at", "numbers_at", "part", "places_at"]
