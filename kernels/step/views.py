"""Arrays in compiled loops by the address of their first number.

Layers differ in number and size, and a compiled function is made for arrays that it knows by name. So what belongs to a
layer comes as a row of a table of integers, with the addresses of its tensors among them; whoever makes the table keeps
the tensors.
"""

from __future__ import annotations

from typing import Any

import numba
import numpy as np
from numba.core import types
from numba.extending import intrinsic
from numpy.typing import NDArray

from rpusim.kernels.base.loops import Floats, Integers, inlined
from rpusim.kernels.base.rng import Integer


def _pointer(_context: Any, _address: Any) -> tuple[Any, Any]:
    """Take an address as what it is."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        return builder.inttoptr(arguments[0], context.get_value_type(signature.return_type))

    return types.voidptr(types.int64), generate


def _uncounted(_: Any, given: Any) -> Any:
    """Say for numba how to view arrays without counting references to them: an array, or a tuple that holds some."""

    def without_owner(context: Any, builder: Any, kind: Any, value: Any) -> Any:
        if isinstance(kind, types.BaseTuple):
            kinds: Any = kind
            parts = [
                without_owner(context, builder, each, builder.extract_value(value, n)) for n, each in enumerate(kinds)
            ]
            return context.make_tuple(builder, kind, parts)
        if not isinstance(kind, types.Array):
            return value
        array = context.make_array(kind)(context, builder, value)
        array.meminfo, array.parent = array.meminfo.type(None), array.parent.type(None)
        return array._getvalue()

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        return without_owner(context, builder, signature.return_type, arguments[0])

    return given(given), generate


# Typed as Any because their Python signatures are not the ones they are called with.
pointer: Any = intrinsic(_pointer)
uncounted: Any = intrinsic(_uncounted)
"""Views what a compiled function was given, and whoever called it holds: no references are counted.

A locked addition is saved wherever an array is handed on, which in a mini-batch of one sample takes a quarter of the
time. Never for what the function made itself.
"""
carray: Any = numba.carray  # type: ignore[attr-defined]


@inlined
def numbers_at(address: Integer, size: Integer) -> Floats:
    """View ``size`` float32 numbers."""
    found: Floats = carray(pointer(address), (size,), np.float32)
    return found


@inlined
def matrix_at(address: Integer, rows: Integer, columns: Integer) -> Floats:
    """View a matrix (rows, columns) of float32."""
    found: Floats = carray(pointer(address), (rows, columns), np.float32)
    return found


@inlined
def wide_at(address: Integer, size: Integer) -> NDArray[np.float64]:
    """View ``size`` float64 numbers."""
    found: NDArray[np.float64] = carray(pointer(address), (size,), np.float64)
    return found


@inlined
def counts_at(address: Integer, rows: Integer, columns: Integer) -> NDArray[np.int32]:
    """View a matrix (rows, columns) of int32."""
    found: NDArray[np.int32] = carray(pointer(address), (rows, columns), np.int32)
    return found


@inlined
def places_at(address: Integer, size: Integer) -> NDArray[np.uint64]:
    """View ``size`` uint64 numbers."""
    found: NDArray[np.uint64] = carray(pointer(address), (size,), np.uint64)
    return found


@inlined
def integers_at(address: Integer, size: Integer) -> Integers:
    """View ``size`` int64 numbers."""
    found: Integers = carray(pointer(address), (size,), np.int64)
    return found


@inlined
def flags_at(address: Integer, size: Integer) -> NDArray[np.bool_]:
    """View ``size`` truth values."""
    found: NDArray[np.bool_] = carray(pointer(address), (size,), np.bool_)
    return found


@inlined
def part(memory: Floats, at: Integer, rows: Integer, columns: Integer) -> Floats:
    """View a matrix (rows, columns) that begins at a place of the memory."""
    return memory[at : at + rows * columns].reshape((rows, columns))


@inlined
def add_to(total: Floats, more: Floats) -> None:
    """Add ``more`` to ``total``, both (numbers,); said as a loop, which compiles sooner than a sum of arrays."""
    for n in range(len(total)):
        total[n] += more[n]
