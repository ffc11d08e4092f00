"""What a mini-batch does on the tiles of one layer, in compiled loops: forward and backward.

It is what `rpusim.kernels.layers` and `rpusim.kernels.tiles` do with torch, on the same tensors.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from rpusim.arch.contract.activity import Phase
from rpusim.kernels.base.loops import Floats, Integers, inlined
from rpusim.kernels.base.rng import Integer
from rpusim.kernels.step import col
from rpusim.kernels.step.col import Piece, Room, Tables
from rpusim.kernels.step.program import (
    ADDS,
    BACK,
    ERRORS,
    EVERY,
    FIRST_VECTOR,
    HOW_MANY,
    OF_OUT,
    OF_SOURCE,
    OUT,
    ROWS_OF,
    SIZE,
    SOURCE,
    TILES_AT,
    VECTORS,
)
from rpusim.kernels.step.views import add_to, matrix_at, numbers_at, part, places_at, wide_at

# Injected by `compile_loop`; named here for the reader and for type checkers.
multiply: Any = None
exactly: Any = None
in_parts: Any = None
gather: Any = None
scatter: Any = None
read: Any = None
write: Any = None
block: Any = None
columns_of: Any = None
scaled: Any = None
errors_from: Any = None
through: Any = None
back_through: Any = None
# See `needs`.
WITH_WINDOWS = WITH_PERFECT = WITH_PERIPHERY = WITH_PARTS = WITH_WIRES = 1

_FORWARD, _BACKWARD = int(Phase.FORWARD), int(Phase.BACKWARD)
_F = np.float32
_1 = _F(1)


@inlined
def number_of(tile: Integers, told_apart: Integer) -> Integer:
    """Find the number of the layer that a tile's rows bear, where uses are told apart (0 or more), and where not."""
    return told_apart if told_apart >= 0 else tile[col.NUMBER_OF_LAYER]


def write_rows(
    tile: Integers,
    given: Integers,
    tables: Tables,
    room: Room,
    piece: Piece,
    phase: int,
    back: bool,
    step: Integer,
    vectors: int,
) -> None:
    """Write the rows of activity of a multiplication by one tile, unless it writes none.

    given: the instruction. back: whether the rows were driven, and the columns read.
    """
    if tile[col.WRITES_ROWS] == 0:
        return
    rows, at = piece.rows, piece.at[0]
    driven, other = (col.ACTIVE_ROWS, col.ACTIVE_COLUMNS) if back else (col.ACTIVE_COLUMNS, col.ACTIVE_ROWS)
    lines = tile[col.WIDE] if back else tile[col.TALL]
    first, every, layer, number = given[FIRST_VECTOR], given[EVERY], number_of(tile, given[ROWS_OF]), tile[col.NUMBER]
    if given[TILES_AT] >= 0:
        number = tables.uses[given[TILES_AT] + number]
    for b in range(vectors):
        rows[col.STEP, at + b], rows[col.PHASE, at + b], rows[col.VECTOR, at + b] = step, phase, first + every * b
        rows[col.LAYER_OF_ROW, at + b], rows[col.TILE_OF_ROW, at + b] = layer, number
        rows[col.PASSES, at + b], rows[driven, at + b], rows[other, at + b] = room.passes[b], room.active[b], lines
        if WITH_PARTS and tile[col.PERIPHERY + (col.SIDE if back else 0) + col.PARTS]:
            rows[col.SET_BITS, at + b] = room.set_bits[b]
    piece.at[0] += vectors


def through_tiles(
    x: Floats,
    y: Floats,
    given: Integers,
    layer: Integers,
    tables: Tables,
    room: Room,
    piece: Piece,
    phase: int,
    step: Integer,
) -> None:
    """Multiply x (vectors, columns) by the tiles of a layer into y (vectors, rows); phase: of the rows of activity."""
    vectors, columns, height = len(x), layer[col.COLUMNS], layer[col.ROWS]
    index, top = layer[col.FIRST_TILE], 0
    for _ in range(layer[col.ROW_BLOCKS]):
        left, tall = first_column(layer, top), tables.tiles[index, col.TALL]
        for block in range(layer[col.COLUMN_BLOCKS]):
            tile, wide = tables.tiles[index], tables.tiles[index, col.WIDE]
            seen = x if wide == columns else columns_of(x, left, wide, room.x)
            alone = tall == height and block == 0
            made = y if alone else room.y[: vectors * tall].reshape((vectors, tall))
            read(tile, index, tables, room, seen, made, False)
            write(tile, given, tables, room, piece, phase, False, step, vectors)
            if not alone:
                for b in range(vectors):
                    for i in range(tall):
                        y[b, top + i] = made[b, i] if block == 0 else y[b, top + i] + made[b, i]
            left, index = left + wide, index + 1
        top += tall
    if layer[col.SCALE]:
        scaled(y, numbers_at(layer[col.SCALE], layer[col.SCALES]), False)


def back_through_tiles(
    d: Floats,
    z: Floats,
    given: Integers,
    layer: Integers,
    tables: Tables,
    room: Room,
    piece: Piece,
    phase: int,
    step: Integer,
) -> None:
    """Multiply d (vectors, rows) by the tiles transposed into z (vectors, columns); phase: as in `through_tiles`."""
    vectors, columns, height = len(d), layer[col.COLUMNS], layer[col.ROWS]
    index, top = layer[col.FIRST_TILE], 0
    for _ in range(layer[col.ROW_BLOCKS]):
        left, tall = first_column(layer, top), tables.tiles[index, col.TALL]
        first = top % (height // layer[col.GROUPS]) == 0
        for _ in range(layer[col.COLUMN_BLOCKS]):
            tile, wide = tables.tiles[index], tables.tiles[index, col.WIDE]
            seen = errors_from(d, top, tall, layer, room.x, False)
            alone = wide == columns and first
            made = z if alone else room.y[: vectors * wide].reshape((vectors, wide))
            read(tile, index, tables, room, seen, made, True)
            write(tile, given, tables, room, piece, phase, True, step, vectors)
            if not alone:
                for b in range(vectors):
                    for j in range(wide):
                        z[b, left + j] = made[b, j] if first else z[b, left + j] + made[b, j]
            left, index = left + wide, index + 1
        top += tall


def layer_forward(given: Integers, layer: Integers, tables: Tables, room: Room, piece: Piece, step: Integer) -> None:
    """Multiply the vectors of a layer by its tiles. given: its instruction."""
    memory, vectors, columns, height = room.memory, given[HOW_MANY], layer[col.COLUMNS], layer[col.ROWS]
    x = part(memory, given[VECTORS], vectors, columns)
    if WITH_WINDOWS and layer[col.IS_WINDOW]:
        samples = vectors // layer[col.POSITIONS]
        shape = samples, layer[col.CHANNELS], layer[col.DEPTH], layer[col.HEIGHT], layer[col.WIDTH]
        images = memory[given[SOURCE] : given[SOURCE] + given[SIZE]].reshape(shape)
        starts, offsets, corner = window_of(layer)
        if layer[col.GROUPS] > 1 and layer[col.BIAS_COLUMN]:
            plain = room.x[: vectors * len(offsets)].reshape((vectors, len(offsets)))
            gather(images, starts, offsets, corner, False, plain)
            with_biases(plain, layer[col.GROUPS], x, False)
        else:
            gather(images, starts, offsets, corner, layer[col.BIAS_COLUMN] != 0, x)
    elif given[VECTORS] != given[SOURCE]:
        inputs = columns - layer[col.BIAS_COLUMN]
        source = part(memory, given[SOURCE], vectors, inputs)
        for b in range(vectors):
            for j in range(inputs):
                x[b, j] = source[b, j]
            if inputs < columns:
                x[b, inputs] = _1
    y = part(memory, given[ERRORS] if layer[col.IS_WINDOW] else given[OUT], vectors, height)
    through(x, y, given, layer, tables, room, piece, _FORWARD, step)
    if layer[col.DIGITAL_BIAS]:
        bias = numbers_at(layer[col.DIGITAL_BIAS], height)
        for b in range(vectors):
            for i in range(height):
                y[b, i] += bias[i]
    if WITH_WINDOWS and layer[col.IS_WINDOW]:
        positions = layer[col.POSITIONS]
        out = part(memory, given[OUT], vectors // positions * height, positions)
        for n in range(vectors // positions):
            for p in range(positions):
                line = y[n * positions + p]
                for i in range(height):
                    out[n * height + i, p] = line[i]


@inlined
def window_of(layer: Integers) -> tuple[NDArray[np.uint64], NDArray[np.uint64], tuple[Integer, Integer, Integer]]:
    """Unpack the window of a convolution: where it begins, its places, and the padding before the image."""
    starts = places_at(layer[col.STARTS], layer[col.POSITIONS])
    offsets = places_at(layer[col.OFFSETS], layer[col.PLACES])
    return starts, offsets, (layer[col.FRONT], layer[col.TOP], layer[col.LEFT])


@inlined
def first_column(layer: Integers, top: Integer) -> Integer:
    """Find the first column that a row of a layer reads, by the group that it is in."""
    groups = layer[col.GROUPS]
    column: Integer = top // (layer[col.ROWS] // groups) * (layer[col.COLUMNS] // groups)
    return column


def with_biases(plain: Floats, groups: Integer, x: Floats, back: bool) -> None:
    """Put a 1 behind the columns of every group, from plain to x, or take ``back`` what stands there.

    plain: (vectors, columns of all groups), x: (vectors, the same and a further one for each group).
    """
    each = plain.shape[1] // groups
    for b in range(len(x)):
        for g in range(groups):
            for j in range(each):
                if back:
                    plain[b, g * each + j] = x[b, g * (each + 1) + j]
                else:
                    x[b, g * (each + 1) + j] = plain[b, g * each + j]
            if not back:
                x[b, g * (each + 1) + each] = _1


def some_columns(x: Floats, left: Integer, wide: Integer, scratch: Floats) -> Floats:
    """Copy ``wide`` columns of vectors from the column ``left`` on."""
    found = scratch[: len(x) * wide].reshape((len(x), wide))
    for b in range(len(x)):
        for j in range(wide):
            found[b, j] = x[b, left + j]
    return found


def scale_vectors(y: Floats, scale: Floats, divides: bool) -> None:
    """Multiply vectors (vectors, rows) by a scale, one number or one of every row, or divide them by it."""
    for b in range(len(y)):
        for i in range(y.shape[1]):
            factor = scale[0 if len(scale) == 1 else i]
            y[b, i] = y[b, i] / factor if divides else y[b, i] * factor


def read_tile(tile: Integers, index: Integer, tables: Tables, room: Room, x: Floats, y: Floats, back: bool) -> None:
    """Multiply by one tile, forward or ``back``; room.passes and room.active are filled."""
    weights = matrix_at(tile[col.WEIGHTS], tile[col.TALL], tile[col.WIDE])
    side = 1 if back else 0
    asked, numbers = tile[col.PERIPHERY + side * col.SIDE :], tables.numbers[side, index]
    counter = col.BACKWARDS if back else col.FORWARDS
    passes, active = room.passes[: len(x)], room.active[: len(x)]
    if WITH_PERFECT and asked[col.PERFECT]:
        exactly(weights, x, y, back, numbers, passes, active)
    elif WITH_PARTS and asked[col.PARTS]:
        in_parts(tile, index, tables, room, x, y, back)
    elif WITH_PERIPHERY:
        begin = col.BACKWARD_KEYS if back else col.FORWARD_KEYS
        keys = tables.tile_keys[index, begin : begin + 4]
        most = min(len(x), block(max(tile[col.TALL], tile[col.WIDE])))
        u = room.u[: most * x.shape[1]].reshape((most, x.shape[1]))
        sums = room.sums[: most * y.shape[1]].reshape((most, y.shape[1]))
        gains = share = np.zeros(0, np.float64)
        reaching = np.zeros(0, np.float32)
        if WITH_WIRES and asked[col.GAINS]:
            gains, share = wide_at(asked[col.GAINS], x.shape[1] + 1), wide_at(asked[col.SHARE_OUT], x.shape[1])
            reaching = numbers_at(asked[col.REACHING], y.shape[1])
        multiply(
            weights, x, y, back, numbers, numbers_at(asked[col.NOISE], asked[col.NOISES]),
            tables.tile_numbers[index, col.LOAD + side], gains, share, reaching, asked[col.INPUTS_MANAGED] != 0,
            asked[col.ROUND_IN] != 0, asked[col.ROUND_OUT] != 0, asked[col.TEST_LOW] != 0,
            tables.tile_numbers[index, col.LAST_REDUCTION + side], keys, tile[counter], u, sums, passes, active,
        )  # fmt: skip
    tile[counter] += len(x)


def layer_backward(given: Integers, layer: Integers, tables: Tables, room: Room, piece: Piece, step: Integer) -> None:
    """Bring a layer's errors into the form of its vectors, and send them back if its input wants them."""
    memory, vectors, columns, height = room.memory, given[HOW_MANY], layer[col.COLUMNS], layer[col.ROWS]
    d = part(memory, given[ERRORS], vectors, height)
    if WITH_WINDOWS and layer[col.IS_WINDOW]:
        positions = layer[col.POSITIONS]
        errors = part(memory, given[OF_OUT], vectors // positions * height, positions)
        for n in range(vectors // positions):
            for p in range(positions):
                line = d[n * positions + p]
                for i in range(height):
                    line[i] = errors[n * height + i, p]
    if given[OF_SOURCE] < 0:
        return
    z = part(memory, given[BACK], vectors, columns)
    back_through(d, z, given, layer, tables, room, piece, _BACKWARD, step)
    gradient, adds = memory[given[OF_SOURCE] : given[OF_SOURCE] + given[SIZE]], given[ADDS] != 0
    if WITH_WINDOWS and layer[col.IS_WINDOW]:
        samples = vectors // layer[col.POSITIONS]
        shape = samples, layer[col.CHANNELS], layer[col.DEPTH], layer[col.HEIGHT], layer[col.WIDTH]
        images = np.empty(shape, np.float32) if adds else gradient.reshape(shape)
        starts, offsets, corner = window_of(layer)
        if layer[col.GROUPS] > 1 and layer[col.BIAS_COLUMN]:
            plain = room.x[: vectors * len(offsets)].reshape((vectors, len(offsets)))
            with_biases(plain, layer[col.GROUPS], z, True)
            scatter(plain, starts, offsets, corner, images)
        else:
            scatter(z, starts, offsets, corner, images)
        if adds:
            add_to(gradient, images.reshape(-1))
    else:
        inputs = columns - layer[col.BIAS_COLUMN]
        of_inputs = gradient.reshape((vectors, inputs))
        for b in range(vectors):
            for j in range(inputs):
                of_inputs[b, j] = of_inputs[b, j] + z[b, j] if adds else z[b, j]


def errors_of(d: Floats, top: Integer, tall: Integer, layer: Integers, scratch: Floats, divides: bool) -> Floats:
    """Give the errors of ``tall`` rows from the row ``top`` on, times the layer's scale, or divided by it."""
    if tall == d.shape[1] and layer[col.SCALE] == 0:
        return d
    found: Floats = columns_of(d, top, tall, scratch)
    if layer[col.SCALE]:
        scale = numbers_at(layer[col.SCALE], layer[col.SCALES])
        scaled(found, scale if len(scale) == 1 else scale[top : top + tall], divides)
    return found
