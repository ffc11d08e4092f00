"""The loop over mini-batches: forward, loss, backward, update, in one compiled function.

A table of instructions says what is computed (`program`), two more what the layers and their tiles are. The arithmetic
and the random numbers are those of `rpusim.kernels.mvm`, `rpusim.kernels.pulses` and `rpusim.kernels.arrays`, whose
compiled loops are called; a mini-batch gives the rows of activity that its layers would have written.
"""

from __future__ import annotations

from functools import cache
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from rpusim.arch.contract.activity import Phase
from rpusim.kernels.base.loops import Floats, Integers, compile_loop
from rpusim.kernels.base.rng import Integer, nb_bits, nb_line_words, nb_normal, nb_step_words
from rpusim.kernels.devices.variation import BOUND_MAX, BOUND_MIN
from rpusim.kernels.layers import patches
from rpusim.kernels.mvm import compiled as reads
from rpusim.kernels.pulses import compiled, counts, write_noise
from rpusim.kernels.step import functions, products, reading, windows
from rpusim.kernels.step.program import (
    ADD,
    ADDS,
    AVERAGE,
    BACK,
    CHOSEN,
    CLASSIFY,
    ERRORS,
    FUNCTION,
    HOW_MANY,
    IMAGES,
    LARGEST,
    LAYER,
    OF_OTHER,
    OF_OUT,
    OF_SOURCE,
    OP,
    OTHER,
    OTHER_ADDS,
    OUT,
    OUTPUTS,
    PIXELS,
    SIZE,
    SIZES_AT,
    SOURCE,
    VECTORS,
    WHICH,
)
from rpusim.kernels.step.views import counts_at, flags_at, matrix_at, numbers_at, part, places_at

# Injected by `compile_loop`; named here for the reader and for type checkers.
multiply: Any = None
exactly: Any = None
gather: Any = None
scatter: Any = None
descend: Any = None
send_0: Any = None
send_1: Any = None
send_2: Any = None
redraw: Any = None
apply: Any = None
pass_back: Any = None
learn_classes: Any = None
largest_under: Any = None
largest_back: Any = None
average_under: Any = None
layer_forward: Any = None
layer_backward: Any = None
layer_update: Any = None
read: Any = None
write: Any = None
columns_of: Any = None
scaled: Any = None
pulse: Any = None
largest: Any = None
rest: Any = None
block: Any = None
forward_pass: Any = None
backward_pass: Any = None

KINDS = 3
"""Devices of different kinds that one network may have."""

# Columns of the table of layers: its tiles, and into how many blocks of rows and columns they cut it; its size; whether
# a last column is the bias. DIGITAL_BIAS, SCALE: addresses of rows numbers, or 0; SCALES: how many numbers the scale has.
FIRST_TILE, ROW_BLOCKS, COLUMN_BLOCKS, ROWS, COLUMNS, BIAS_COLUMN, DIGITAL_BIAS, SCALE, SCALES = range(9)
# Of a convolution: positions of a sample, channels and sizes of the image, padding, and the window's places.
POSITIONS, CHANNELS, DEPTH, HEIGHT, WIDTH, FRONT, TOP, LEFT, STARTS, OFFSETS, PLACES, IS_WINDOW = range(9, 21)
LAYER_COLUMNS = 21

# Columns of the table of tiles. WEIGHTS: address of what reads see, STORED: of what pulses act on, CELLS: of the numbers
# of cells, STRIDE numbers a row. KIND: which loop sends its pulses, or one of the codes below. LIMIT, ALONE: chunks.
NUMBER_OF_LAYER, NUMBER, TALL, WIDE, WEIGHTS, STORED, CELLS, STRIDE, KIND, LIMIT, ALONE = range(11)
EXACT, ELSEWHERE = -1, -2
# Addresses of pulses taken, weights before an update and rows that fired, spreads of diffusion, decay and target; or 0.
TAKEN, BEFORE, FIRED, DIFFUSION, DECAY, TARGET = range(11, 17)
# Of the pulse trains, as `UpdateParameters` has them.
BL, MANAGED, BL_MANAGED, FIXED_BL, ROUNDED, SEPARATE = range(17, 23)
# Counters, raised here: vectors forward and backward, updates, steps, drawings of write noise.
FORWARDS, BACKWARDS, UPDATES, STEPS, REDRAWS = range(23, 28)
# What the periphery asks for forwards, then the same backwards: whether it is perfect, whether inputs are managed,
# rounding by chance of inputs and of outputs, whether the lower bound counts; the address of the noise, and its length.
PERFECT, INPUTS_MANAGED, ROUND_IN, ROUND_OUT, TEST_LOW, NOISE, NOISES = range(7)
PERIPHERY, SIDE = 28, 7
# Where its rows of activity begin in a mini-batch, forward, backward and update; -1: it writes none.
FORWARD_ROW, BACKWARD_ROW, UPDATE_ROW = range(42, 45)
TILE_COLUMNS = 45

# Columns of the numbers of a tile: noise of a pulse, granularity, the factor on errors, rounding steps of both sides,
# write noise, and the last reduction of bound management in both directions.
SIGMA, GRANULARITY, GRAD_SCALE, STEP_D, STEP_X, WRITE_NOISE, LAST_REDUCTION = range(7)
TILE_NUMBERS = 9

# Keys of a tile: four forward, four backward, six of pulses, write noise, diffusion.
FORWARD_KEYS, BACKWARD_KEYS, PULSE_KEYS, REDRAW_KEY, DIFFUSION_KEY, KEYS = 0, 4, 8, 14, 15, 16

# Columns of the rows of activity.
ACTIVITY = (
    "step",
    "layer",
    "tile",
    "phase",
    "vector",
    "passes",
    "active_rows",
    "active_columns",
    "slots",
    "coincidences_up",
    "coincidences_down",
    "row_pulses",
    "column_pulses",
)
STEP, LAYER_OF_ROW, TILE_OF_ROW, PHASE, VECTOR, PASSES, ACTIVE_ROWS, ACTIVE_COLUMNS, SLOTS = range(9)
COINCIDENCES_UP, COINCIDENCES_DOWN, ROW_PULSES, COLUMN_PULSES = range(9, 13)

DONE, LOSS_NOT_FINITE, X_NOT_FINITE, D_NOT_FINITE = range(4)
"""How a run ends."""

_FORWARD, _BACKWARD, _UPDATE = int(Phase.FORWARD), int(Phase.BACKWARD), int(Phase.UPDATE)
_F = np.float32
_1 = _F(1)


class Tables(NamedTuple):
    """All that the loop knows of a network.

    program, parameters: of `program.Layout`. layers: (layers, LAYER_COLUMNS). tiles: (tiles, TILE_COLUMNS). numbers: (2,
    tiles, 10), the periphery of both directions in the order of `rpusim.kernels.mvm.compiled`. scales: (tiles,
    TILE_NUMBERS). keys: (tiles, KEYS). order: the layers as they are updated.
    """

    program: Integers
    parameters: Floats
    layers: Integers
    tiles: Integers
    numbers: NDArray[np.float32]
    scales: NDArray[np.float64]
    keys: NDArray[np.uint64]
    order: Integers


class Room(NamedTuple):
    """Memory of a step: values and gradients; places that pooling chose; scratch of a tile's vectors and sums, and of the
    parts that it reads and makes; passes and active lines of vectors."""

    memory: Floats
    chosen: NDArray[np.int32]
    u: Floats
    sums: Floats
    x: Floats
    y: Floats
    passes: NDArray[np.int32]
    active: NDArray[np.int32]


def block_of(lines: int) -> int:
    """Say how many vectors are multiplied at a time by an array whose longer side has so many lines."""
    return max(reads.BLOCK_VECTORS, reads.BLOCK_NUMBERS // lines)


def _write(
    rows: Integers, at: Integer, tile: Integers, phase: int, step: Integer, vectors: int
) -> None:
    """Begin ``vectors`` rows of activity from the row ``at`` on."""
    for b in range(vectors):
        rows[STEP, at + b], rows[LAYER_OF_ROW, at + b], rows[TILE_OF_ROW, at + b] = step, tile[NUMBER_OF_LAYER], tile[NUMBER]
        rows[PHASE, at + b], rows[VECTOR, at + b] = phase, b


def _layer_forward(
    given: Integers, layer: Integers, tables: Tables, room: Room, rows: Integers, at: Integer, step: Integer
) -> None:
    """Multiply the vectors of a layer by its tiles. given: its instruction. at: where the mini-batch's rows begin."""
    memory, vectors, columns, height = room.memory, given[HOW_MANY], layer[COLUMNS], layer[ROWS]
    x = part(memory, given[VECTORS], vectors, columns)
    if layer[IS_WINDOW]:
        samples = vectors // layer[POSITIONS]
        shape = samples, layer[CHANNELS], layer[DEPTH], layer[HEIGHT], layer[WIDTH]
        images = memory[given[SOURCE] : given[SOURCE] + given[SIZE]].reshape(shape)
        starts, offsets = places_at(layer[STARTS], layer[POSITIONS]), places_at(layer[OFFSETS], layer[PLACES])
        gather(images, starts, offsets, (layer[FRONT], layer[TOP], layer[LEFT]), layer[BIAS_COLUMN] != 0, x)
    elif layer[BIAS_COLUMN]:
        source = part(memory, given[SOURCE], vectors, columns - 1)
        for b in range(vectors):
            for j in range(columns - 1):
                x[b, j] = source[b, j]
            x[b, columns - 1] = _1
    y = part(memory, given[ERRORS] if layer[IS_WINDOW] else given[OUT], vectors, height)
    index, top = layer[FIRST_TILE], 0
    for _ in range(layer[ROW_BLOCKS]):
        left, tall = 0, tables.tiles[index, TALL]
        for block in range(layer[COLUMN_BLOCKS]):
            tile, wide = tables.tiles[index], tables.tiles[index, WIDE]
            seen = x if wide == columns else columns_of(x, left, wide, room.x)
            alone = tall == height and block == 0
            made = y if alone else room.y[: vectors * tall].reshape((vectors, tall))
            read(tile, index, tables, room, seen, made, False)
            if tile[FORWARD_ROW] >= 0:
                begin = at + tile[FORWARD_ROW]
                write(rows, begin, tile, _FORWARD, step, vectors)
                for b in range(vectors):
                    rows[PASSES, begin + b], rows[ACTIVE_COLUMNS, begin + b] = room.passes[b], room.active[b]
                    rows[ACTIVE_ROWS, begin + b] = tall
            if not alone:
                for b in range(vectors):
                    for i in range(tall):
                        y[b, top + i] = made[b, i] if block == 0 else y[b, top + i] + made[b, i]
            left, index = left + wide, index + 1
        top += tall
    if layer[SCALE]:
        scaled(y, numbers_at(layer[SCALE], layer[SCALES]), False)
    if layer[DIGITAL_BIAS]:
        bias = numbers_at(layer[DIGITAL_BIAS], height)
        for b in range(vectors):
            for i in range(height):
                y[b, i] += bias[i]
    if layer[IS_WINDOW]:
        positions = layer[POSITIONS]
        out = part(memory, given[OUT], vectors // positions * height, positions)
        for n in range(vectors // positions):
            for p in range(positions):
                line = y[n * positions + p]
                for i in range(height):
                    out[n * height + i, p] = line[i]


def _columns(x: Floats, left: Integer, wide: Integer, scratch: Floats) -> Floats:
    """Copy ``wide`` columns of vectors from the column ``left`` on."""
    found = scratch[: len(x) * wide].reshape((len(x), wide))
    for b in range(len(x)):
        for j in range(wide):
            found[b, j] = x[b, left + j]
    return found


def _scaled(y: Floats, scale: Floats, divides: bool) -> None:
    """Multiply vectors (vectors, rows) by a scale, one number or one of every row, or divide them by it."""
    for b in range(len(y)):
        for i in range(y.shape[1]):
            factor = scale[0 if len(scale) == 1 else i]
            y[b, i] = y[b, i] / factor if divides else y[b, i] * factor


def _read(tile: Integers, index: Integer, tables: Tables, room: Room, x: Floats, y: Floats, back: bool) -> None:
    """Multiply by one tile, forward or ``back``; room.passes and room.active are filled."""
    weights = matrix_at(tile[WEIGHTS], tile[TALL], tile[WIDE])
    side = 1 if back else 0
    asked, numbers = tile[PERIPHERY + side * SIDE :], tables.numbers[side, index]
    counter = BACKWARDS if back else FORWARDS
    passes, active = room.passes[: len(x)], room.active[: len(x)]
    if asked[PERFECT]:
        exactly(weights, x, y, back, numbers, passes, active)
    else:
        keys = tables.keys[index, BACKWARD_KEYS:PULSE_KEYS] if back else tables.keys[index, FORWARD_KEYS:BACKWARD_KEYS]
        most = min(len(x), block(max(tile[TALL], tile[WIDE])))
        u = room.u[: most * x.shape[1]].reshape((most, x.shape[1]))
        sums = room.sums[: most * y.shape[1]].reshape((most, y.shape[1]))
        multiply(
            weights, x, y, back, numbers, numbers_at(asked[NOISE], asked[NOISES]), asked[INPUTS_MANAGED] != 0,
            asked[ROUND_IN] != 0, asked[ROUND_OUT] != 0, asked[TEST_LOW] != 0,
            tables.scales[index, LAST_REDUCTION + side], keys, tile[counter], u, sums, passes, active,
        )  # fmt: skip
    tile[counter] += len(x)


def _layer_backward(
    given: Integers, layer: Integers, tables: Tables, room: Room, rows: Integers, at: Integer, step: Integer
) -> None:
    """Bring a layer's errors into the form of its vectors, and send them back if its input wants them."""
    memory, vectors, columns, height = room.memory, given[HOW_MANY], layer[COLUMNS], layer[ROWS]
    d = part(memory, given[ERRORS], vectors, height)
    if layer[IS_WINDOW]:
        positions = layer[POSITIONS]
        errors = part(memory, given[OF_OUT], vectors // positions * height, positions)
        for n in range(vectors // positions):
            for p in range(positions):
                line = d[n * positions + p]
                for i in range(height):
                    line[i] = errors[n * height + i, p]
    if given[OF_SOURCE] < 0:
        return
    z = part(memory, given[BACK], vectors, columns)
    index, top = layer[FIRST_TILE], 0
    for block in range(layer[ROW_BLOCKS]):
        left, tall = 0, tables.tiles[index, TALL]
        for _ in range(layer[COLUMN_BLOCKS]):
            tile, wide = tables.tiles[index], tables.tiles[index, WIDE]
            seen = _errors(d, top, tall, layer, room.x, False)
            alone = wide == columns and block == 0
            made = z if alone else room.y[: vectors * wide].reshape((vectors, wide))
            read(tile, index, tables, room, seen, made, True)
            if tile[BACKWARD_ROW] >= 0:
                begin = at + tile[BACKWARD_ROW]
                write(rows, begin, tile, _BACKWARD, step, vectors)
                for b in range(vectors):
                    rows[PASSES, begin + b], rows[ACTIVE_ROWS, begin + b] = room.passes[b], room.active[b]
                    rows[ACTIVE_COLUMNS, begin + b] = wide
            if not alone:
                for b in range(vectors):
                    for j in range(wide):
                        z[b, left + j] = made[b, j] if block == 0 else z[b, left + j] + made[b, j]
            left, index = left + wide, index + 1
        top += tall
    gradient, adds = memory[given[OF_SOURCE] : given[OF_SOURCE] + given[SIZE]], given[ADDS] != 0
    if layer[IS_WINDOW]:
        samples = vectors // layer[POSITIONS]
        shape = samples, layer[CHANNELS], layer[DEPTH], layer[HEIGHT], layer[WIDTH]
        images = np.empty(shape, np.float32) if adds else gradient.reshape(shape)
        starts, offsets = places_at(layer[STARTS], layer[POSITIONS]), places_at(layer[OFFSETS], layer[PLACES])
        scatter(z, starts, offsets, (layer[FRONT], layer[TOP], layer[LEFT]), images)
        if adds:
            gradient += images.reshape(-1)
    else:
        inputs = columns - layer[BIAS_COLUMN]
        of_inputs = gradient.reshape((vectors, inputs))
        for b in range(vectors):
            for j in range(inputs):
                of_inputs[b, j] = of_inputs[b, j] + z[b, j] if adds else z[b, j]


def _errors(d: Floats, top: Integer, tall: Integer, layer: Integers, scratch: Floats, divides: bool) -> Floats:
    """Give the errors of ``tall`` rows from the row ``top`` on, times the layer's scale, or divided by it."""
    if tall == d.shape[1] and layer[SCALE] == 0:
        return d
    found = columns_of(d, top, tall, scratch)
    if layer[SCALE]:
        scale = numbers_at(layer[SCALE], layer[SCALES])
        scaled(found, scale if len(scale) == 1 else scale[top : top + tall], divides)
    return found


def _layer_update(
    given: Integers,
    layer: Integers,
    tables: Tables,
    room: Room,
    rate: float,
    learns: bool,
    rows: Integers,
    at: Integer,
    step: Integer,
) -> int:
    """Let the tiles of a layer learn from its vectors and errors, then rest by a mini-batch; returns how that ended.

    learns: whether the tiles do that here; else only what is digital learns.
    """
    vectors, columns, height = given[HOW_MANY], layer[COLUMNS], layer[ROWS]
    x = part(room.memory, given[VECTORS], vectors, columns)
    d = part(room.memory, given[ERRORS], vectors, height)
    if layer[DIGITAL_BIAS]:
        bias, factor = numbers_at(layer[DIGITAL_BIAS], height), _F(rate)
        total = np.zeros(height, np.float32)
        for b in range(vectors):
            for i in range(height):
                total[i] += d[b, i]
        for i in range(height):
            bias[i] -= factor * total[i]
    index, top = layer[FIRST_TILE], 0
    for _ in range(layer[ROW_BLOCKS] if learns else 0):
        left, tall = 0, tables.tiles[index, TALL]
        for _ in range(layer[COLUMN_BLOCKS]):
            tile, wide = tables.tiles[index], tables.tiles[index, WIDE]
            seen = x if wide == columns else columns_of(x, left, wide, room.x)
            error = _errors(d, top, tall, layer, room.y, True)
            table = np.zeros((_COUNTS, vectors), np.int64)
            total = pulse(tile, index, tables, seen, error, rate, table)
            if total < 0:
                return X_NOT_FINITE if total == -1 else D_NOT_FINITE
            tile[UPDATES] += vectors
            rest(tile, tables.scales[index], tables.keys[index])
            if tile[UPDATE_ROW] >= 0:
                begin = at + tile[UPDATE_ROW]
                write(rows, begin, tile, _UPDATE, step, vectors)
                for b in range(vectors):
                    rows[SLOTS, begin + b] = table[counts.SLOTS, b]
                    rows[COINCIDENCES_UP, begin + b] = table[counts.COINCIDENCES_UP, b]
                    rows[COINCIDENCES_DOWN, begin + b] = table[counts.COINCIDENCES_DOWN, b]
                    rows[ACTIVE_ROWS, begin + b] = table[counts.ACTIVE_ROWS, b]
                    rows[ACTIVE_COLUMNS, begin + b] = table[counts.ACTIVE_COLUMNS, b]
                    rows[ROW_PULSES, begin + b] = table[counts.ROW_PULSES, b]
                    rows[COLUMN_PULSES, begin + b] = table[counts.COLUMN_PULSES, b]
            left, index = left + wide, index + 1
        top += tall
    return DONE


def _pulse(
    tile: Integers, index: Integer, tables: Tables, x: Floats, d: Floats, rate: float, table: Integers
) -> int:
    """Send the pairs x (vectors, columns), d (vectors, rows) to a tile; returns what `pulses.compiled.send` does.

    table: `UpdateCounts.table`, filled here.
    """
    tall, wide, scales, keys = tile[TALL], tile[WIDE], tables.scales[index], tables.keys[index]
    stored = matrix_at(tile[STORED], tall, wide)
    if tile[KIND] == EXACT:
        descend(stored, x, d, _F(rate))
        for b in range(len(x)):
            _, of_x = largest(x[b])
            _, of_d = largest(d[b])
            if of_x > 0 and of_d > 0:
                table[counts.ACTIVE_COLUMNS, b], table[counts.ACTIVE_ROWS, b] = of_x, of_d
        return 0
    cells = matrix_at(tile[CELLS], tall, tile[STRIDE])
    rule = tile[BL], tile[MANAGED] != 0, tile[BL_MANAGED] != 0, tile[FIXED_BL] != 0, scales[GRAD_SCALE]
    taken, before, fired = np.zeros((0, 0), np.int32), np.zeros((0, 0), np.float32), np.zeros(0, np.bool_)
    if tile[TAKEN]:
        taken = counts_at(tile[TAKEN], tall, wide)
    if tile[BEFORE]:
        before, fired = matrix_at(tile[BEFORE], tall, wide), flags_at(tile[FIRED], tall)
    sigma, step_d, step_x = _F(scales[SIGMA]), _F(scales[STEP_D]), _F(scales[STEP_X])
    strength, of_pulses = abs(rate) / scales[GRANULARITY], keys[PULSE_KEYS:REDRAW_KEY]
    first, limit, alone, rounded = tile[UPDATES], tile[LIMIT], tile[ALONE], tile[ROUNDED] != 0
    if tile[KIND] == 0:
        total = send_0(
            stored, cells, sigma, x, d, strength, rule, step_d, step_x, rounded, of_pulses, first, rate < 0, limit,
            alone, table, taken, before, fired,
        )  # fmt: skip
    elif tile[KIND] == 1:
        total = send_1(
            stored, cells, sigma, x, d, strength, rule, step_d, step_x, rounded, of_pulses, first, rate < 0, limit,
            alone, table, taken, before, fired,
        )  # fmt: skip
    else:
        total = send_2(
            stored, cells, sigma, x, d, strength, rule, step_d, step_x, rounded, of_pulses, first, rate < 0, limit,
            alone, table, taken, before, fired,
        )  # fmt: skip
    if tile[BEFORE]:
        apparent, noise = matrix_at(tile[WEIGHTS], tall, wide), _F(scales[WRITE_NOISE])
        redraw(apparent, stored, before, fired, False, noise, keys[REDRAW_KEY], tile[REDRAWS])
        tile[REDRAWS] += 1
    if tile[SEPARATE]:
        for b in range(len(x)):
            above, below = False, False
            for value in x[b]:
                above |= value > 0
                below |= value < 0
            if above and below:
                table[counts.SLOTS, b] *= 2
                table[counts.ROW_PULSES, b] *= 2
    return total


def _rest(tile: Integers, scales: NDArray[np.float64], keys: NDArray[np.uint64]) -> None:
    """Let the cells of a tile diffuse and decay by one mini-batch, as `DeviceArray.end_mini_batch` does."""
    step = tile[STEPS]
    tile[STEPS] += 1
    if tile[DIFFUSION] == 0 and tile[DECAY] == 0:
        return
    tall, wide = tile[TALL], tile[WIDE]
    weights, cells = matrix_at(tile[STORED], tall, wide), matrix_at(tile[CELLS], tall, tile[STRIDE])
    each = tile[STRIDE] // wide
    if tile[DIFFUSION]:
        spread = matrix_at(tile[DIFFUSION], tall, wide)
        word_a, word_b = nb_step_words(keys[DIFFUSION_KEY], step)
        for i in range(tall):
            a, c = nb_line_words(word_a, word_b, i, 0)
            for j in range(wide):
                moved = weights[i, j] + spread[i, j] * nb_normal(nb_bits(a, c, j))
                weights[i, j] = min(max(moved, cells[i, j * each + BOUND_MIN]), cells[i, j * each + BOUND_MAX])
    if tile[DECAY]:
        left = matrix_at(tile[DECAY], tall, wide)
        for i in range(tall):
            for j in range(wide):
                goal = matrix_at(tile[TARGET], tall, wide)[i, j] if tile[TARGET] else _F(0)
                moved = (weights[i, j] - goal) * left[i, j] + goal
                weights[i, j] = min(max(moved, cells[i, j * each + BOUND_MIN]), cells[i, j * each + BOUND_MAX])
    if tile[BEFORE]:
        apparent, none, noise = matrix_at(tile[WEIGHTS], tall, wide), np.zeros(0, np.bool_), _F(scales[WRITE_NOISE])
        redraw(apparent, weights, weights, none, True, noise, keys[REDRAW_KEY], tile[REDRAWS])
        tile[REDRAWS] += 1


def _forward_pass(
    tables: Tables, room: Room, classes: Integers, rows: Integers, at: Integer, step: Integer
) -> np.float32:
    """Compute all values of a mini-batch, whose samples are there; returns the loss, with its gradient in place."""
    memory, loss = room.memory, _F(0)
    for k in range(len(tables.program)):
        given = tables.program[k]
        op, size = given[OP], given[SIZE]
        source = memory[given[SOURCE] : given[SOURCE] + size]
        if op == LAYER:
            layer_forward(given, tables.layers[given[WHICH]], tables, room, rows, at, step)
        elif op == FUNCTION:
            out = memory[given[OUT] : given[OUT] + size]
            apply(given[WHICH], tables.parameters[k, 0], tables.parameters[k, 1], source, out)
        elif op == LARGEST or op == AVERAGE:
            images, outputs = given[IMAGES], given[OUTPUTS]
            out = part(memory, given[OUT], images, outputs)
            if op == AVERAGE:
                average_under(source.reshape((images, given[PIXELS])), given[SIZES_AT:], out, False)
            else:
                chosen = room.chosen[given[CHOSEN] : given[CHOSEN] + images * outputs].reshape((images, outputs))
                largest_under(source.reshape((images, given[PIXELS])), given[SIZES_AT:], out, chosen)
        elif op == ADD:
            out, other = memory[given[OUT] : given[OUT] + size], memory[given[OTHER] : given[OTHER] + size]
            for n in range(size):
                out[n] = source[n] + other[n]
        elif op == CLASSIFY:
            samples = len(classes)
            shape = samples, size // samples
            gradient = memory[given[OF_SOURCE] : given[OF_SOURCE] + size]
            loss = learn_classes(source.reshape(shape), classes, gradient.reshape(shape), room.y)
    return loss


def _backward_pass(tables: Tables, room: Room, rows: Integers, at: Integer, step: Integer) -> None:
    """Compute the gradients of all values that somebody wants, from the last one back."""
    memory = room.memory
    for k in range(len(tables.program) - 1, -1, -1):
        given = tables.program[k]
        op, size, adds = given[OP], given[SIZE], given[ADDS] != 0
        if op == LAYER:
            layer_backward(given, tables.layers[given[WHICH]], tables, room, rows, at, step)
            continue
        if op == CLASSIFY or (given[OF_SOURCE] < 0 and op != ADD):
            continue
        gradient = memory[given[OF_SOURCE] : given[OF_SOURCE] + size]
        if op == FUNCTION:
            source, out = memory[given[SOURCE] : given[SOURCE] + size], memory[given[OUT] : given[OUT] + size]
            of_out, a, b = memory[given[OF_OUT] : given[OF_OUT] + size], tables.parameters[k, 0], tables.parameters[k, 1]
            found = np.empty(size, np.float32) if adds else gradient
            pass_back(given[WHICH], a, b, source, out, of_out, found)
            if adds:
                gradient += found
        elif op == LARGEST or op == AVERAGE:
            images, outputs = given[IMAGES], given[OUTPUTS]
            of_out = part(memory, given[OF_OUT], images, outputs)
            found = np.empty(size, np.float32) if adds else gradient
            of_images = found.reshape((images, given[PIXELS]))
            if op == AVERAGE:
                average_under(of_images, given[SIZES_AT:], of_out, True)
            else:
                chosen = room.chosen[given[CHOSEN] : given[CHOSEN] + images * outputs].reshape((images, outputs))
                largest_back(of_out, chosen, of_images)
            if adds:
                gradient += found
        elif op == ADD:
            of_out = memory[given[OF_OUT] : given[OF_OUT] + size]
            for of_source, more in ((given[OF_SOURCE], adds), (given[OF_OTHER], given[OTHER_ADDS] != 0)):
                if of_source >= 0:
                    each = memory[of_source : of_source + size]
                    for n in range(size):
                        each[n] = each[n] + of_out[n] if more else of_out[n]


def run(
    tables: Tables,
    room: Room,
    images: Floats,
    classes: Integers,
    batch: int,
    rate: float,
    learns: bool,
    rows: Integers,
    rows_of_each: int,
    step: Integer,
    losses: Floats,
) -> tuple[int, int, int]:
    """Train mini-batches one after the other.

    images: (samples, numbers), classes: (samples,), of all mini-batches. batch: samples of each. rate: learning rate.
    learns: whether the tiles learn here; else only forward and backward are computed, and digital biases learn.
    rows: (columns of `ACTIVITY`, rows), filled with ``rows_of_each`` rows for each mini-batch. step: number of the first.
    losses: (mini-batches,), filled with their mean losses.
    Returns how it ended (see `DONE`), after how many whole mini-batches, and at which layer.
    """
    for number in range(len(losses)):
        low, at = number * batch, number * rows_of_each
        samples = room.memory[: batch * images.shape[1]].reshape((batch, images.shape[1]))
        for b in range(batch):
            for k in range(images.shape[1]):
                samples[b, k] = images[low + b, k]
        losses[number] = forward_pass(tables, room, classes[low : low + batch], rows, at, step + number)
        if not np.isfinite(losses[number]):
            return LOSS_NOT_FINITE, number, -1
        backward_pass(tables, room, rows, at, step + number)
        for which in tables.order:
            given = tables.program[which]
            layer = tables.layers[given[WHICH]]
            ended = layer_update(given, layer, tables, room, rate, learns, rows, at, step + number)
            if ended != DONE:
                return ended, number, given[WHICH]
    return DONE, len(losses), -1


_COUNTS = len(counts.UpdateCounts._fields)


class Kind(NamedTuple):
    """Say how pulses of a device are sent: arguments of `rpusim.kernels.pulses.compiled.send_loop` before ``parallel``."""

    device_step: Any
    parameters: int
    only_up: bool
    merging: bool


def _none(
    stored: Floats, cells: Floats, sigma: Any, x: Any, d: Any, strength: Any, rule: Any, step_d: Any, step_x: Any,
    rounded: Any, keys: Any, first: Any, flip: Any, limit: Any, alone: Any, table: Any, taken: Any, before: Any,
    fired: Any,
) -> int:  # fmt: skip
    """Stand for the loop that sends pulses where no device takes any."""
    return 0


@cache
def loop_of(kinds: tuple[Kind, ...]) -> Any:
    """Compile `run` for a network whose devices are of these kinds, at most `KINDS`."""
    sends = [compiled.send_loop(*kind, False) for kind in kinds] or [_none]
    sends += sends[:1] * (KINDS - len(sends))
    small = {"columns_of": _columns, "scaled": _scaled}
    redraw = compile_loop(write_noise._redraw)
    read = compile_loop(_read, block=block_of, **reading.stages())
    write, errors = compile_loop(_write), compile_loop(_errors, **small)
    made = {"read": read, "write": write, **small}
    places = {"gather": compile_loop(patches._gather), "scatter": compile_loop(patches._scatter)}
    pulse = compile_loop(
        _pulse,
        descend=compile_loop(products.descend, fastmath={"contract"}),
        largest=reads.largest,
        redraw=redraw,
        **{f"send_{number}": send for number, send in enumerate(sends)},
    )
    rest = compile_loop(_rest, redraw=redraw)
    forward = compile_loop(
        _forward_pass,
        layer_forward=compile_loop(_layer_forward, **made, **places),
        apply=compile_loop(functions.apply, fastmath={"contract"}),
        learn_classes=compile_loop(functions.learn_classes),
        largest_under=compile_loop(windows.largest),
        average_under=compile_loop(windows.average),
    )
    backward = compile_loop(
        _backward_pass,
        layer_backward=compile_loop(_layer_backward, _errors=errors, **made, **places),
        pass_back=compile_loop(functions.pass_back, fastmath={"contract"}),
        largest_back=compile_loop(windows.largest_back),
        average_under=compile_loop(windows.average),
    )
    update = compile_loop(_layer_update, _errors=errors, pulse=pulse, rest=rest, write=write, **small)
    return compile_loop(run, forward_pass=forward, backward_pass=backward, layer_update=update)
