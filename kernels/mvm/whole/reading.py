"""A multiplication on one array with its periphery, in compiled loops: `rpusim.kernels.mvm.compiled` without Python."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from rpusim.kernels.base.loops import Floats, compile_loop
from rpusim.kernels.base.rng import Integer
from rpusim.kernels.mvm import compiled, wires
from rpusim.kernels.mvm.compiled import INP_BOUND, INP_LEFT, INP_NOISE, INP_STEP, OUT_SCALE
from rpusim.kernels.mvm.whole import in_parts, products
from rpusim.kernels.mvm.wires import Wide

# Injected by `compile_loop`; named here for the reader and for type checkers.
prepare: Any = None
convert: Any = None
finish: Any = None
forward: Any = None
backward: Any = None
largest: Any = None
drive: Any = None
WITH_WIRES = 1  # whether there may be wires

_TWO = np.float32(2)


def multiply(
    weights: Floats,
    x: Floats,
    y: Floats,
    back: bool,
    numbers: Floats,
    sigma: Floats,
    load: float,
    gains: Wide,
    share: Wide,
    reaching: Floats,
    managed: bool,
    round_in: bool,
    round_out: bool,
    test_low: bool,
    last_reduction: float,
    keys: NDArray[np.uint64],
    first: Integer,
    u: Floats,
    sums: Floats,
    passes: NDArray[np.int32],
    active: NDArray[np.int32],
) -> None:
    """Multiply x (vectors, inputs) by the weights, or ``back`` by their transpose, into y (vectors, outputs).

    numbers, managed, round_in, round_out, test_low, last_reduction: what the periphery asks for, in the order of
    `rpusim.kernels.mvm.compiled`. sigma: of the output noise, one number or one per line. keys: of input noise, input
    rounding, output noise, output rounding. first: the counter of the first vector.
    load, gains, share, reaching: of the wires, as `rpusim.kernels.mvm.wires` has them; empty where there are none.
    u, sums: scratch (vectors of a block, inputs) and (vectors of a block, outputs). passes, active: (vectors,), filled
    with the analog passes and the inputs that are not zero.
    """
    vectors = len(x)
    blocks = -(-vectors // len(u))
    for block in range(blocks):
        low, high = vectors * block // blocks, vectors * (block + 1) // blocks
        of_x, of_y, of_passes = x[low:high], y[low:high], passes[low:high]
        todo, factor = prepare(
            of_x, numbers, managed, round_in, back, keys, first + low, of_passes, active[low:high], u, of_y
        )
        reduction, round_number = 1.0, 0
        while len(todo):
            driven, read = u[: len(todo)], sums[: len(todo)]
            if WITH_WIRES and len(gains):
                drive(driven, load, gains, share, np.empty(0, np.float64))
            if back:
                backward(driven, weights, read)
            else:
                forward(driven, weights, read)
            if len(reaching):
                for b in range(len(read)):
                    for i in range(len(reaching)):
                        read[b, i] *= reaching[i]
            clipped = np.empty(len(todo), np.bool_)
            number = finish(
                read, todo, factor, numbers, sigma, round_out, test_low, keys, first + low, round_number, of_y, clipped
            )
            if number == 0 or reduction >= last_reduction:
                break
            todo, factor, reduction, round_number = (
                todo[clipped],
                factor[clipped] * _TWO,
                reduction * 2.0,
                round_number + 1,
            )
            for b in todo:
                of_passes[b] += 1
            step, bound, noise, left = numbers[INP_STEP], numbers[INP_BOUND], numbers[INP_NOISE], numbers[INP_LEFT]
            convert(
                of_x, todo, factor, step, bound, noise, left, round_in, keys[0], keys[1], first + low, round_number, u
            )


def exactly(
    weights: Floats,
    x: Floats,
    y: Floats,
    back: bool,
    numbers: Floats,
    passes: NDArray[np.int32],
    active: NDArray[np.int32],
) -> None:
    """Multiply without any periphery but its digital factor; arguments as for `multiply`."""
    if back:
        backward(x, weights, y)
    else:
        forward(x, weights, y)
    scale = numbers[OUT_SCALE]
    for b in range(len(x)):
        _, active[b] = largest(x[b])
        passes[b] = 1 if active[b] > 0 else 0
        if scale != 1:
            for i in range(y.shape[1]):
                y[b, i] *= scale


def stages(parallel: bool, WITH_WIRES: int, WITH_PARTS: int = 0) -> dict[str, Any]:
    """Compile the ways to multiply, by the names that the step's loop has for them.

    parallel: on all threads. WITH_WIRES, WITH_PARTS: 0 or 1, whether there may be wires that matter, and products
    that are put together from many conversions (`in_parts`).
    """
    made = {
        "forward": compile_loop(products.forward, fastmath=products.REORDERED),
        "backward": compile_loop(products.backward, fastmath=products.REORDERED),
    }
    if parallel:
        made = {name: compile_loop(products.in_blocks, True, product=product) for name, product in made.items()}
    whole = compile_loop(
        multiply,
        prepare=compiled.FIRST[parallel],
        convert=compile_loop(compiled._inputs, parallel),
        finish=compiled.LAST[parallel],
        drive=compile_loop(wires._drive, parallel),
        WITH_WIRES=WITH_WIRES,
        **made,
    )
    found = {"multiply": whole, "exactly": compile_loop(exactly, largest=compiled.largest, **made)}
    return found | ({"by_parts": in_parts.stage(parallel, WITH_WIRES, **made)} if WITH_PARTS else {})
