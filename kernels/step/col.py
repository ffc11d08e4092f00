"""The tables that a step's loop reads, and the names of their columns.

A row of integers for each layer, tile and array, with the addresses of their tensors among them (`views`); numbers and
keys of random numbers beside them.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from rpusim.kernels.base.loops import Floats, Integers

KINDS = 3
"""Devices of different kinds that one network may have, for each way to be pulsed."""

# Layers: its first tile, and into how many blocks of rows and columns its tiles cut it; its size; whether a last column
# is the bias. DIGITAL_BIAS, SCALE: addresses of numbers, or 0; SCALES: how many numbers the scale has.
FIRST_TILE, ROW_BLOCKS, COLUMN_BLOCKS, ROWS, COLUMNS, BIAS_COLUMN, DIGITAL_BIAS, SCALE, SCALES = range(9)
# Of a convolution: positions of a sample, channels and sizes of the image, padding, and the window's places.
POSITIONS, CHANNELS, DEPTH, HEIGHT, WIDTH, FRONT, TOP, LEFT, STARTS, OFFSETS, PLACES, IS_WINDOW = range(9, 21)
# So many equal parts of the rows read columns of their own. Whether the weights on its tiles learn, and a digital bias;
# and what of the tiles stands still.
GROUPS, LEARNS, BIAS_LEARNS, STILL, LAYER_COLUMNS = range(21, 26)
NOTHING_STILL, WEIGHTS_STILL, BIASES_STILL = range(3)

# Tiles: the names that its rows of activity bear, and whether it writes such; its size; the address of the weights that
# reads see; how it learns; its first array; vectors that it has multiplied forward and backward.
NUMBER_OF_LAYER, NUMBER, WRITES_ROWS, TALL, WIDE, WEIGHTS, CELL, FIRST_ARRAY, FORWARDS, BACKWARDS = range(10)
# What the periphery asks for forwards, then the same backwards: whether it is perfect, whether inputs are managed,
# rounding by chance of inputs and of outputs, whether the lower bound counts; the address of the noise, and its length.
# Addresses of what of a potential is left a cell further, of what comes out of cells, and of what reaches lines, where
# wires matter; or 0.
PERFECT, INPUTS_MANAGED, ROUND_IN, ROUND_OUT, TEST_LOW, NOISE, NOISES, GAINS, SHARE_OUT, REACHING = range(10)
# Where a product is put together from many conversions (`in_parts`): how many parts an input has (0: it is not so),
# whether they are digits, their bits, whether the last one is driven with its sign, the DAC's levels and the highest
# digit; the address of what parts are worth; slices of a weight (0: it is not cut), the addresses of what these are
# worth and of what the lines hold that are read; of what a line's potential is worth where a slice is read alone, or 0.
PARTS, SERIAL, DIGIT_BITS, OWN_SIGN, LEVELS_IN, TOP_DIGIT, WORTH, SLICED, OF_SLICES, LINES, READ_ALONE = range(10, 21)
PERIPHERY, SIDE = 10, 21
TILE_COLUMNS = PERIPHERY + 2 * SIDE
# How a tile learns: by pulses on its only array; exactly, without pulses; by pulses on one array and transfers to
# another; not in the loop.
PULSED, EXACT, TRANSFERRED, ELSEWHERE = range(4)
# Numbers of a tile: the last reduction of bound management and the load of the wires, in both directions. Keys: four
# forward, four backward.
LAST_REDUCTION, LOAD, TILE_NUMBERS = 0, 2, 4
FORWARD_KEYS, BACKWARD_KEYS, TILE_KEYS = 0, 4, 8

# Arrays. STORED: address of what pulses act on, APPARENT: of what reads see, CELLS: of the numbers of cells,
# CELL_NUMBERS of them in a row. KIND: which of the loops for its device. LIMIT, ALONE: chunks.
STORED, APPARENT, CELLS, CELL_NUMBERS, KIND, LIMIT, ALONE = range(7)
# Addresses of pulses taken, weights before an update and rows that fired, spreads of diffusion, decay and target; or 0.
TAKEN, BEFORE, FIRED, DIFFUSION, DECAY, TARGET = range(7, 13)
# Of the pulse trains, as `UpdateParameters` has them.
BL, MANAGED, BL_MANAGED, FIXED_BL, ROUNDED, SEPARATE = range(13, 19)
# Counters, raised by the loop: updates, mini-batches, drawings of write noise.
UPDATES, STEPS, REDRAWS = range(19, 22)
# Addresses of the time constants of cells that leak, and of what rounding took from them (`leakage`); or 0.
RETENTION, RESIDUE = 22, 23
# Address of the numbers of the cells that decay may carry over a bound, and how many they are; whether the target of
# any is not 0 (`on_arrays.decay`).
EDGES, EDGES_NUMBER, GOALS = range(24, 27)
ARRAY_COLUMNS = 27
# Numbers of an array: noise of a pulse, granularity by which a rate is divided, the factor on errors, rounding steps of
# both sides, write noise; what the learning rate is multiplied by, and a rate of its own where that is 0.
SIGMA, GRANULARITY, GRAD_SCALE, STEP_D, STEP_X, WRITE_NOISE, RATE_FACTOR, OWN_RATE, ARRAY_NUMBERS = range(9)
# Keys of an array: six of pulses, write noise, diffusion; and merged noise of later parts of a mini-batch.
PULSE_KEYS, REDRAW_KEY, DIFFUSION_KEY, PART_KEYS, ARRAY_KEYS = 0, 6, 7, 8, 40

# Transfers of a tile: the transfers of a piece, FIRST_EVENT to AFTER_EVENT, and the next one; slices of an array; the
# addresses of buffer, mean and past, of what reads see of both arrays together, of the choppers of columns and rows and
# of the columns that have flipped, or 0; the number of the first event's cycle times the slices, plus its slice; every
# how many cycles a chopper flips.
FIRST_EVENT, AFTER_EVENT, NEXT_EVENT, SLICES, BUFFER, MEAN, PAST, VISIBLE, ON_COLUMNS, ON_ROWS, FRESH = range(11)
TURN, FLIPS_EVERY = 11, 12
# Of the collecting of a read-out, then of the pulses on C, as `loops.Collecting` and `loops.Writing` have them.
ADDS, MULTIPLIES, DIVIDES, COMPARES, RANDOMS, BUFFERED, KEPT, FORGET, REFERRED = range(13, 22)
SLOW_BL, SLOW_MANAGED, SLOW_BL_MANAGED, SLOW_FIXED_BL = range(22, 26)
# Addresses of the levels and shares of a `Reading`; 0: there are no wires.
LEVELS, LEVEL_SHARE, TRANSFER_COLUMNS = 26, 27, 28
# Numbers: those of a `Reading`, of a `Collecting`, of a `Writing`; chances that choppers flip; weights of A and of C in
# what reads see. Keys: of a reading, and of both choppers.
LEVEL, READ_STEP, READ_BOUND, READ_SIGMA, READ_SCALE, RATE, THRESHOLD, MOST, MOMENTUM, SPENT, CAP, OLD, NEW = range(13)
SLOW_GRANULARITY, SLOW_GRAD_SCALE, CHANCE, ROW_CHANCE, OF_FAST, OF_SLOW = range(13, 19)
# Where the rate of A follows the largest values: the weight of a mini-batch in their running means (0: it does not),
# the means, raised by the loop, and what is divided by their product.
SHARE, LARGEST_X, LARGEST_D, SCALED_RATE = range(19, 23)
# What is left of a buffer when the next read-out comes, as `loops.Collecting` has it.
STAYS, TRANSFER_NUMBERS = 23, 24
READ_KEY, CHOP_KEY, ROW_CHOP_KEY, TRANSFER_KEYS = range(4)

# Columns of the rows of activity.
ACTIVITY = (
    *("step", "layer", "tile", "phase", "vector", "passes", "active_rows", "active_columns", "slots"),
    *("coincidences_up", "coincidences_down", "row_pulses", "column_pulses", "writes"),
    *("adds", "multiplies", "divides", "compares", "randoms", "set_bits"),
)
STEP, LAYER_OF_ROW, TILE_OF_ROW, PHASE, VECTOR, PASSES, ACTIVE_ROWS, ACTIVE_COLUMNS, SLOTS = range(9)
COINCIDENCES_UP, COINCIDENCES_DOWN, ROW_PULSES, COLUMN_PULSES, WRITES = range(9, 14)
WORK, SET_BITS = 14, 19

DONE, LOSS_NOT_FINITE, X_NOT_FINITE, D_NOT_FINITE = range(4)
"""How a run ends."""


class Tables(NamedTuple):
    """All that the loop knows of a network.

    program, parameters, updates, places:  of `layout.Layout`. order: the layers, as they are updated.
    uses:       numbers of layers whose rows of activity are told apart by use, see `program.USES_AT`; for each of these
                uses, where the numbers of its tiles begin, or -1; and these numbers.
    norms:      (norms, NORM_COLUMNS) of `between.norms`; norm_numbers: (norms,), norms_at: (norms, 3), where gradients
                of factors and offsets lie, and how many there are.
    layers:     (layers, LAYER_COLUMNS).
    tiles:      (tiles, TILE_COLUMNS); numbers: (2, tiles, 10), the periphery of both directions in the order of
                `rpusim.kernels.mvm.compiled`; tile_numbers: (tiles, TILE_NUMBERS); tile_keys: (tiles, TILE_KEYS).
    arrays:     (arrays, ARRAY_COLUMNS), array_numbers, array_keys.
    transfers:  (tiles, TRANSFER_COLUMNS), transfer_numbers, transfer_keys.
    """

    program: Integers
    parameters: Floats
    updates: Integers
    places: Integers
    order: Integers
    uses: Integers
    norms: Integers
    norm_numbers: NDArray[np.float64]
    norms_at: Integers
    layers: Integers
    tiles: Integers
    numbers: NDArray[np.float32]
    tile_numbers: NDArray[np.float64]
    tile_keys: NDArray[np.uint64]
    arrays: Integers
    array_numbers: NDArray[np.float64]
    array_keys: NDArray[np.uint64]
    transfers: Integers
    transfer_numbers: NDArray[np.float64]
    transfer_keys: NDArray[np.uint64]


class Room(NamedTuple):
    """Memory of a step.

    memory:  values and gradients. chosen: places that pooling chose.
    u, sums, x, y:  scratch: a tile's driven lines and sums, and the parts of vectors that it reads and makes.
    passes, active, set_bits: of vectors.
    """

    memory: Floats
    chosen: NDArray[np.int32]
    u: Floats
    sums: Floats
    x: Floats
    y: Floats
    passes: NDArray[np.int32]
    active: NDArray[np.int32]
    set_bits: Integers


class Piece(NamedTuple):
    """What a call writes and reads besides.

    rows:    of activity, (columns of `ACTIVITY`, rows); at: (2,) how many are written, and the mini-batch of the piece.
    masks:   (mini-batches, numbers) that were drawn for all masks of the program.
    events:  transfers of all tiles, as `rpusim.kernels.cells.tiki_taka.loops.due` lists them, with vectors counted over
             the whole piece; gains: (events,) what their read-outs are multiplied by.
    """

    rows: Integers
    at: Integers
    masks: Floats
    events: Integers
    gains: NDArray[np.float64]
