"""Tiles that are read in many conversions for a product, in compiled loops: digits of inputs, slices of weights."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from rpusim.kernels.base.loops import Floats, Integers
from rpusim.kernels.base.rng import Integer
from rpusim.kernels.mvm import wires
from rpusim.kernels.mvm.whole.in_parts import Parts, fits, parts_of
from rpusim.kernels.step import col
from rpusim.kernels.step.col import Room, Tables
from rpusim.kernels.step.views import matrix_at, numbers_at, wide_at
from rpusim.kernels.tiles.analog import AnalogTile

# Injected by `compile_loop`; named here for the reader and for type checkers.
by_parts: Any = None


def fill_in(tile: AnalogTile, side: int, asked: NDArray[np.int64], kept: list[Any]) -> None:
    """Fill in what a side of a tile asks for, if it is read in many conversions.

    side: 0 forward, 1 backward. asked: its columns of the table of tiles. kept: receives arrays whose addresses these
    hold.
    """
    io = tile._backward_io if side else tile._forward_io
    if not fits(io):
        return
    cells = tile.sliced_cells if io.slices is not None else None
    parts = parts_of(io, 1.0 if cells is None else cells.largest)
    asked[[col.PARTS, col.SERIAL, col.DIGIT_BITS]] = len(parts.places), parts.serial, parts.width
    asked[[col.OWN_SIGN, col.LEVELS_IN, col.TOP_DIGIT]] = parts.own_sign, parts.levels, parts.top
    asked[[col.WORTH, col.OF_SLICES]] = parts.places.ctypes.data, parts.factors.ctypes.data
    asked[col.SLICED] = 0 if io.slices is None else len(parts.factors)
    kept += [parts.places, parts.factors]
    if io.wires is not None and io.wires.alone:
        spread = wires.spread_of(io.wires, tile.rows if side else tile.columns)
        kept.append(spread)
        asked[col.READ_ALONE] = spread.own.ctypes.data


def lines_of(tile: AnalogTile, side: int) -> torch.Tensor:
    """Copy what the lines hold that are read for a product on a side of a tile: (slices x outputs, inputs)."""
    cells = tile.sliced_cells
    assert cells is not None, "only cells of slices are read slice by slice"
    return (cells.turned if side else cells).matrix.contiguous()


def in_parts(tile: Integers, index: Integer, tables: Tables, room: Room, x: Floats, y: Floats, back: bool) -> None:
    """Multiply by one tile as `passes.read_tile` does; room.set_bits is filled besides."""
    tall, wide, side = tile[col.TALL], tile[col.WIDE], 1 if back else 0
    asked = tile[col.PERIPHERY + side * col.SIDE :]
    inputs, outputs, slices = x.shape[1], y.shape[1], max(1, asked[col.SLICED])
    if asked[col.LINES]:
        matrix, lying = matrix_at(asked[col.LINES], slices * outputs, inputs), False
    else:
        matrix, lying = matrix_at(tile[col.WEIGHTS], tall, wide), back
    parts = Parts(
        asked[col.SERIAL] != 0, asked[col.DIGIT_BITS], asked[col.OWN_SIGN] != 0, asked[col.LEVELS_IN],
        asked[col.TOP_DIGIT], wide_at(asked[col.WORTH], asked[col.PARTS]), wide_at(asked[col.OF_SLICES], slices),
    )  # fmt: skip
    gains = share = own = np.zeros(0, np.float64)
    reaching = np.zeros(0, np.float32)
    if asked[col.GAINS]:
        gains, share = wide_at(asked[col.GAINS], inputs + 1), wide_at(asked[col.SHARE_OUT], inputs)
        reaching = numbers_at(asked[col.REACHING], slices * outputs)
    if asked[col.READ_ALONE]:
        own = wide_at(asked[col.READ_ALONE], inputs)
    begin, counter = (col.BACKWARD_KEYS, col.BACKWARDS) if back else (col.FORWARD_KEYS, col.FORWARDS)
    vectors, keys = len(x), tables.tile_keys[index, begin : begin + 4]
    by_parts(
        matrix, x, y, back, lying, tables.numbers[side, index], numbers_at(asked[col.NOISE], asked[col.NOISES]),
        tables.tile_numbers[index, col.LOAD + side], gains, share, own, reaching, asked[col.INPUTS_MANAGED] != 0,
        asked[col.ROUND_IN] != 0, asked[col.ROUND_OUT] != 0, asked[col.TEST_LOW] != 0,
        tables.tile_numbers[index, col.LAST_REDUCTION + side], keys, tile[counter], parts, room.passes[:vectors],
        room.active[:vectors], room.set_bits[:vectors],
    )  # fmt: skip
