"""What a mini-batch does on the tiles of one layer when it learns, in compiled loops.

It is what `rpusim.kernels.layers` and `rpusim.kernels.tiles` do with torch, on the same tensors.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from rpusim.arch.contract.activity import Phase
from rpusim.kernels.base.loops import Floats, Integers
from rpusim.kernels.base.rng import Integer
from rpusim.kernels.pulses import counts
from rpusim.kernels.step import col
from rpusim.kernels.step.col import Piece, Room, Tables
from rpusim.kernels.step.on_arrays import transfers
from rpusim.kernels.step.on_arrays.passes import first_column
from rpusim.kernels.step.program import ERRORS, FLIPPED, HOW_MANY, USES, USES_AT, VECTORS
from rpusim.kernels.step.views import matrix_at, numbers_at, part

# Injected by `compile_loop`; named here for the reader and for type checkers.
exact: Any = None
pulse: Any = None
rest: Any = None
learn: Any = None
show: Any = None
columns_of: Any = None
errors_from: Any = None
tile_update: Any = None
by_sample: Any = None
silence: Any = None
WITH_EXACT = WITH_PULSES = WITH_TRANSFERS = WITH_REST = 1  # see `needs`

_UPDATE = int(Phase.UPDATE)
_COUNTS = len(counts.UpdateCounts._fields)
# Where the counts of an update stand in their table, and in the rows of activity; the same of a transfer cell's rows.
_COUNTED = tuple(counts.UpdateCounts._fields.index(name) for name in counts.PULSE_COLUMNS)
_OF_COUNTED = tuple(col.ACTIVITY.index(name) for name in counts.PULSE_COLUMNS)
_LOGGED, _OF_LOGGED = transfers.FROM, transfers.TO
_F = np.float32


def layer_update(
    given: Integers,
    layer: Integers,
    tables: Tables,
    room: Room,
    piece: Piece,
    rate: float,
    number: Integer,
    step: Integer,
) -> int:
    """Let what is digital of a layer, and its tiles, learn from its vectors and errors; returns how that ended.

    rate: learning rate. number, step: of the mini-batch, within the piece and since the run began.
    """
    vectors, columns, height = given[HOW_MANY], layer[col.COLUMNS], layer[col.ROWS]
    if layer[col.LEARNS] == 0:
        first = layer[col.FIRST_TILE]
        for index in range(first, first + layer[col.ROW_BLOCKS] * layer[col.COLUMN_BLOCKS]):
            if tables.tiles[index, col.CELL] != col.ELSEWHERE:
                rest_tile(tables.tiles[index], index, tables)
        if layer[col.BIAS_LEARNS] == 0:
            return col.DONE
    x = part(room.memory, by_sample(given, False, given[VECTORS], columns, room.memory), vectors, columns)
    if layer[col.STILL] != col.NOTHING_STILL:
        silence(x, layer)
    d = part(room.memory, by_sample(given, True, given[ERRORS], height, room.memory), vectors, height)
    if layer[col.DIGITAL_BIAS] and layer[col.BIAS_LEARNS]:
        bias, factor, total = numbers_at(layer[col.DIGITAL_BIAS], height), _F(rate), np.zeros(height, np.float32)
        for b in range(vectors):
            if given[FLIPPED] and (given[FLIPPED] >> (b // (vectors // given[USES]))) & 1:
                continue  # a use of the weight transposed has no bias
            for i in range(height):
                total[i] += d[b, i]
        for i in range(height):
            bias[i] -= factor * total[i]
    index, top = layer[col.FIRST_TILE], 0
    for _ in range(layer[col.ROW_BLOCKS] if layer[col.LEARNS] else 0):
        left, tall = first_column(layer, top), tables.tiles[index, col.TALL]
        for _ in range(layer[col.COLUMN_BLOCKS]):
            tile, wide = tables.tiles[index], tables.tiles[index, col.WIDE]
            if tile[col.CELL] != col.ELSEWHERE:
                seen = x if wide == columns else columns_of(x, left, wide, room.x)
                errors = errors_from(d, top, tall, layer, room.y, True)
                ended: int = tile_update(tile, given, index, tables, piece, seen, errors, rate, number, step)
                if ended != col.DONE:
                    return ended
            left, index = left + wide, index + 1
        top += tall
    return col.DONE


def silence_columns(x: Floats, layer: Integers) -> None:
    """Take what stands still out of vectors x (vectors, columns): all weights, or the columns of biases."""
    each, biases = layer[col.COLUMNS] // layer[col.GROUPS], layer[col.STILL] == col.BIASES_STILL
    for b in range(len(x)):
        for j in range(x.shape[1]):
            if ((j + 1) % each == 0) == biases:
                x[b, j] = _F(0)


def rest_tile(tile: Integers, index: Integer, tables: Tables) -> None:
    """Let the cells of a tile rest by a mini-batch: they diffuse and decay, whether or not they learned."""
    at = tile[col.FIRST_ARRAY]
    for array in range(at, at + (2 if tile[col.CELL] == col.TRANSFERRED else 1)):
        if WITH_REST:
            of_array = tables.arrays[array], tables.array_numbers[array], tables.array_keys[array]
            rest(*of_array, tile[col.TALL], tile[col.WIDE])
        else:
            tables.arrays[array, col.STEPS] += 1
    if WITH_TRANSFERS and tile[col.CELL] == col.TRANSFERRED:
        show(index, tables)


def update_tile(
    tile: Integers,
    given: Integers,
    index: Integer,
    tables: Tables,
    piece: Piece,
    x: Floats,
    d: Floats,
    rate: float,
    number: Integer,
    step: Integer,
) -> int:
    """Let a tile learn from the pairs x (vectors, columns), d (vectors, rows), and its cells rest by a mini-batch."""
    vectors, tall, wide, at = len(x), tile[col.TALL], tile[col.WIDE], tile[col.FIRST_ARRAY]
    table, log, total = np.zeros((_COUNTS, vectors), np.int64), np.zeros((0, 0), np.int64), 0
    if WITH_EXACT and tile[col.CELL] == col.EXACT:
        exact(matrix_at(tables.arrays[at, col.STORED], tall, wide), x, d, rate, table)
        tables.arrays[at, col.UPDATES] += vectors
    elif WITH_PULSES and tile[col.CELL] == col.PULSED:
        total = pulse(tables.arrays[at], tables.array_numbers[at], tables.array_keys[at], x, d, rate, table)
    elif WITH_TRANSFERS:
        total, log = learn(index, tables, piece, x, d, rate, number * vectors, table)
    if total < 0:
        return col.X_NOT_FINITE if total == -1 else col.D_NOT_FINITE
    rest_tile(tile, index, tables)
    if tile[col.WRITES_ROWS]:
        rows, begin = piece.rows, piece.at[0]
        for b in range(vectors + len(log)):
            rows[col.STEP, begin + b], rows[col.PHASE, begin + b], rows[col.VECTOR, begin + b] = step, _UPDATE, b
            rows[col.TILE_OF_ROW, begin + b] = tile[col.NUMBER]
        for k in range(len(_COUNTED)):
            for b in range(vectors):
                rows[_OF_COUNTED[k], begin + b] = table[_COUNTED[k], b]
        for k in range(len(_LOGGED)):
            for e in range(len(log)):
                rows[_OF_LOGGED[k], begin + vectors + e] = log[e, _LOGGED[k]]
        each = vectors // given[USES]
        for b in range(begin, begin + vectors + len(log)):
            rows[col.LAYER_OF_ROW, b] = tile[col.NUMBER_OF_LAYER]
            if given[USES_AT] >= 0:  # rows are told apart by use, and count the vectors of each
                use = rows[col.VECTOR, b] // each
                rows[col.LAYER_OF_ROW, b] = tables.uses[given[USES_AT] + use]
                rows[col.VECTOR, b] -= use * each
                tiles_at = tables.uses[given[USES_AT] + given[USES] + use]
                if tiles_at >= 0:
                    rows[col.TILE_OF_ROW, b] = tables.uses[tiles_at + tile[col.NUMBER]]
        piece.at[0] += vectors + len(log)
    return col.DONE
