"""A multiplication that is put together from many conversions, in compiled loops: bits or digits of inputs, and slices
of weights. It is `rpusim.kernels.mvm.compiled_conversions` with the usual management, without Python.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from rpusim.kernels.base.loops import Floats, Integers, by_identity, compile_loop
from rpusim.kernels.base.rng import Integer
from rpusim.kernels.mvm import compiled, compiled_conversions, wires
from rpusim.kernels.mvm.compiled import (
    ALPHA_CONSTANT,
    ALPHA_MOST,
    INP_BOUND,
    INP_LEFT,
    INP_NOISE,
    INP_STEP,
    OUT_BOUND,
    OUT_LEFT,
    OUT_SCALE,
    OUT_STEP,
)
from rpusim.kernels.mvm.periphery import BoundManagement, IOParameters, MVType, NoiseManagement
from rpusim.kernels.mvm.slices import Encoding
from rpusim.kernels.mvm.wires import Wide

# Injected by `compile_loop`; named here for the reader and for type checkers.
wanted: Any = None
cut: Any = None
convert: Any = None
put_together: Any = None
forward: Any = None
backward: Any = None
largest: Any = None
drive: Any = None
block: Any = None
WITH_WIRES = 1  # whether there may be wires

_TWO, _HALF = np.float32(2), np.float32(0.5)


class Parts(NamedTuple):
    """How inputs and weights are cut into what is converted for itself; what a read-out of each is worth.

    serial:   whether inputs come digit by digit. width: bits of a digit. own_sign: whether the last one is driven with
              its sign. levels: the DAC's largest integer. top: the highest digit.
    places:   what a part of an input is worth; 1 where inputs come whole. factors: the same of every slice.
    """

    serial: bool
    width: Integer
    own_sign: bool
    levels: Integer
    top: Integer
    places: Wide
    factors: Wide


@by_identity
def fits(io: IOParameters) -> bool:
    """Whether `multiply` can do everything that a periphery asks for: the usual management, digits with signs."""
    usual = NoiseManagement.NONE, NoiseManagement.CONSTANT, NoiseManagement.ABS_MAX
    bounds = BoundManagement.NONE, BoundManagement.ITERATIVE
    signed = io.slices is None or io.slices.encoding is Encoding.SIGNED
    managed = io.noise_management in usual and io.bound_management in bounds
    return bool(compiled_conversions.covers(io) and managed and signed)


def parts_of(io: IOParameters, largest: float) -> Parts:
    """Say how a periphery cuts inputs and weights. largest: the weight that all slices at their highest level hold."""
    factors = [1.0] if io.slices is None else io.slices.factors(largest)
    serial, places = io.mv_type is MVType.BIT_SERIAL, np.array(io.places)
    digits = (io.last_digit_is_driven_with_its_sign, io.inp_levels) if serial else (False, 0)
    return Parts(serial, io.digit_bits, *digits, io.top_digit, places, np.array(factors))


def find_factors(
    x: Floats,
    numbers: Floats,
    managed: bool,
    backward: bool,
    passes: NDArray[np.int32],
    active: NDArray[np.int32],
    y: Floats,
) -> tuple[Integers, Floats]:
    """Find the factors alpha of all vectors, and which are multiplied at all; as `rpusim.kernels.mvm.compiled` does."""
    alpha, todo, number = np.empty(len(x), np.float32), np.empty(len(x), np.int64), 0
    for b in range(len(x)):
        top, active[b] = largest(x[b])
        alpha[b] = min(top, numbers[ALPHA_MOST]) if managed else numbers[ALPHA_CONSTANT]
        nothing = not (alpha[b] > 0 or (numbers[INP_NOISE] > 0 and not backward))
        passes[b] = 0 if nothing else 1
        todo[number] = b
        number += 0 if nothing else 1
        if nothing:
            y[b] = 0
    todo = todo[:number]
    factor = alpha[todo]
    for n in range(number):
        factor[n] = factor[n] if factor[n] > 0 else np.float32(1)
    return todo, factor


def multiply(
    matrix: Floats,
    x: Floats,
    y: Floats,
    back: bool,
    lying: bool,
    numbers: Floats,
    sigma: Floats,
    load: float,
    gains: Wide,
    share: Wide,
    own: Wide,
    reaching: Floats,
    managed: bool,
    round_in: bool,
    round_out: bool,
    test_low: bool,
    last_reduction: float,
    keys: NDArray[np.uint64],
    first: Integer,
    parts: Parts,
    passes: NDArray[np.int32],
    active: NDArray[np.int32],
    set_bits: Integers,
) -> None:
    """Multiply x (vectors, inputs) by the lines of an array, into y (vectors, outputs).

    matrix: what the cells hold (lines, inputs), slice by slice; or (inputs, lines) if it is ``lying``, as are weights
    that are not cut, backwards. back: x are errors. own: as `wires.Spread` has it. parts: see `Parts`. set_bits:
    (vectors,), filled with how often a digit that is not 0 drives a line. The others are as for `reading.multiply`.
    """
    vectors, each, inputs = len(x), len(parts.places), x.shape[1]
    lines = matrix.shape[1] if lying else matrix.shape[0]
    most = max(1, block(max(lines, inputs)) // each)
    blocks = -(-vectors // most)
    most = min(most, vectors)
    driven, read = np.empty((most * each, inputs), np.float32), np.empty((most * each, lines), np.float32)
    flipped = np.zeros((len(parts.factors), y.shape[1]), np.bool_)
    for b in range(vectors):
        set_bits[b] = 0
    for part in range(blocks):
        low, high = vectors * part // blocks, vectors * (part + 1) // blocks
        of_x, of_y, of_passes, of_bits = x[low:high], y[low:high], passes[low:high], set_bits[low:high]
        todo, factor = wanted(of_x, numbers, managed, back, of_passes, active[low:high], of_y)
        reduction, round_number, voltage = 1.0, 0, np.float32(1)
        while len(todo):
            number = len(todo)
            u, sums = driven[: number * each], read[: number * each]
            lost, clipped = np.zeros(number, np.bool_), np.empty(number, np.bool_)
            step, bound, noise, left = numbers[INP_STEP], numbers[INP_BOUND], numbers[INP_NOISE], numbers[INP_LEFT]
            if parts.serial:
                digits, of_digit = (each, parts.width, parts.own_sign), np.float32(np.float64(voltage) / parts.top)
                cut(
                    of_x, todo, factor * voltage, step, parts.levels, digits, of_digit, noise, left, round_in, keys[0],
                    keys[1], first + low, round_number, u, lost, of_bits,
                )  # fmt: skip
            else:
                convert(
                    of_x, todo, factor, step, bound, noise, left, round_in, keys[0], keys[1], first + low,
                    round_number, u,
                )  # fmt: skip
            if WITH_WIRES and len(gains):
                drive(u, load, gains, share, own)
            if lying:
                backward(u, matrix, sums)
            else:
                forward(u, matrix, sums)
            if len(reaching):
                for n in range(len(sums)):
                    for i in range(lines):
                        sums[n, i] *= reaching[i]
            put_together(
                sums, todo, factor * numbers[OUT_SCALE], parts.places, parts.factors, flipped, (False, 1.0, 0.0), lost,
                numbers[OUT_STEP], numbers[OUT_BOUND], False, sigma, numbers[OUT_LEFT], round_out, test_low, keys[2],
                keys[3], first + low, round_number, of_y, clipped,
            )  # fmt: skip
            if not clipped.any() or reduction >= last_reduction:
                break
            todo, factor = todo[clipped], factor[clipped] * _TWO
            reduction, round_number, voltage = reduction * 2.0, round_number + 1, voltage * _HALF
            for b in todo:
                of_passes[b] += 1


def stage(parallel: bool, WITH_WIRES: int, **products: Any) -> Any:
    """Compile `multiply`. parallel: on all threads. WITH_WIRES: 0 or 1, whether there may be wires that matter.

    products: ``forward`` and ``backward``, as `reading.stages` has them.
    """
    return compile_loop(
        multiply,
        wanted=compile_loop(find_factors, largest=compiled.largest),
        cut=compile_loop(compiled_conversions._bits, parallel),
        convert=compile_loop(compiled._inputs, parallel),
        put_together=compile_loop(compiled_conversions._readings, parallel),
        drive=compile_loop(wires._drive, parallel),
        WITH_WIRES=WITH_WIRES,
        block=compiled.block_of,
        **products,
    )
