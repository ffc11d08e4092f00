"""Products with the weights of a layer transposed, in compiled loops: tiles are driven at their rows and read at their
columns, and learn from the same pairs (see `rpusim.kernels.layers.turned`).
"""

from __future__ import annotations

from typing import Any

import numpy as np

from rpusim.arch.contract.activity import Phase
from rpusim.kernels.base.loops import Integers
from rpusim.kernels.base.rng import Integer
from rpusim.kernels.step import col
from rpusim.kernels.step.col import Piece, Room, Tables
from rpusim.kernels.step.program import ADDS, BACK, ERRORS, HOW_MANY, OF_OUT, OF_SOURCE, OUT, SOURCE, VECTORS
from rpusim.kernels.step.views import part

# Injected by `compile_loop`; named here for the reader and for type checkers.
through: Any = None
back_through: Any = None

_FORWARD, _BACKWARD = int(Phase.FORWARD), int(Phase.BACKWARD)
_F = np.float32


def flipped_forward(given: Integers, layer: Integers, tables: Tables, room: Room, piece: Piece, step: Integer) -> None:
    """Multiply by the weights of a layer transposed: what it reads are errors to the tiles, which learn from them."""
    memory, vectors, columns, height = room.memory, given[HOW_MANY], layer[col.COLUMNS], layer[col.ROWS]
    source, h = part(memory, given[SOURCE], vectors, height), part(memory, given[ERRORS], vectors, height)
    for b in range(vectors):
        for i in range(height):
            h[b, i] = source[b, i]
    z, inputs = part(memory, given[BACK], vectors, columns), columns - layer[col.BIAS_COLUMN]
    back_through(h, z, given, layer, tables, room, piece, _FORWARD, step)
    out = part(memory, given[OUT], vectors, inputs)
    for b in range(vectors):
        for j in range(inputs):
            out[b, j] = z[b, j]


def flipped_backward(given: Integers, layer: Integers, tables: Tables, room: Room, piece: Piece, step: Integer) -> None:
    """Send the errors of a product with the weights transposed back: they are vectors to the tiles."""
    memory, vectors, columns, height = room.memory, given[HOW_MANY], layer[col.COLUMNS], layer[col.ROWS]
    e, inputs = part(memory, given[VECTORS], vectors, columns), columns - layer[col.BIAS_COLUMN]
    errors = part(memory, given[OF_OUT], vectors, inputs)
    for b in range(vectors):
        for j in range(inputs):
            e[b, j] = errors[b, j]
        if inputs < columns:
            e[b, inputs] = _F(0)
    if given[OF_SOURCE] < 0:
        return
    y, adds = part(memory, given[BACK], vectors, height), given[ADDS] != 0
    through(e, y, given, layer, tables, room, piece, _BACKWARD, step)
    gradient = part(memory, given[OF_SOURCE], vectors, height)
    for b in range(vectors):
        for i in range(height):
            gradient[b, i] = gradient[b, i] + y[b, i] if adds else y[b, i]
