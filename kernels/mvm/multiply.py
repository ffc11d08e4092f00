"""Analog multiplication: y = W x through DACs, an array that is not ideal, and ADCs; the same backwards with W^T.

Per input vector, in this order: noise management divides by a factor alpha, the DAC rounds to its resolution and clips
to its bound, input noise, the array (IR drop, voltage offsets, series resistance, weight read noise), an S-shaped
read-out, output noise, the ADC rounds and clips to its bound; the digital side multiplies alpha back. Bound management
repeats the vector at half the input if any output clipped, with all noise fresh. Rounding is half to even.

Where inputs come bit by bit in two's complement, or weights are cut over several cells (`slices`), a pass is many
conversions, whose results are put together digitally (`conversions`).

`multiply` drives the passes and decides; the *stages* do the arithmetic: `specification` (everything; any device; the
specification), or `compiled` and `compiled_conversions` (the common subset, compiled). On a GPU `by_triton` does both
for the common subset. All share the one matrix product in the middle.

Noise, bound and update management: Gokmen, Onen & Haensch, Front. Neurosci. 11:538 (2017). Pipeline as in Rasch et al.,
"A flexible and fast PyTorch toolkit for simulating training and inference on analog crossbar arrays" (2021).
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from rpusim.kernels.mvm import by_triton, compiled, compiled_conversions, specification
from rpusim.kernels.mvm.periphery import (
    BoundManagement,
    IOParameters,
    Lines,
    MVType,
    NoiseManagement,
    Product,
    Statistics,
    WeightNoise,
    product,
)
from rpusim.kernels.mvm.slices import Encoding, SlicedCells, Slices
from rpusim.kernels.mvm.whole.multiplier import Multiplier

__all__ = [
    "BoundManagement",
    "Encoding",
    "IOParameters",
    "Lines",
    "MVType",
    "NoiseManagement",
    "Product",
    "SlicedCells",
    "Slices",
    "Statistics",
    "WeightNoise",
    "multiply",
    "noise_factor",
]

Tensor = torch.Tensor


def multiply(
    weights: Tensor,
    x: Tensor,
    io: IOParameters,
    lines: Lines,
    stream: tuple[int, ...],
    first: int,
    average: Tensor | None = None,
    path: str = "numba",
    backward: bool = False,
    cells: SlicedCells | None = None,
) -> Product:
    """Multiply each row of ``x`` by ``weights`` as an array with its periphery does; signals have no unit.

    weights: (outputs, inputs); may be a transposed view. x: (vectors, inputs), float32.
    io: the periphery; lines: its frozen variations. stream: integers that name array and direction to the random
    numbers; first: the counter of the first vector, so that any division into calls draws the same noise.
    average: one-element state of ``average_abs_max`` (NaN before the first vector), changed in place; None if noise
    management needs none. path: "numba" or "triton" (where `compiled.covers` the periphery; else torch), or "torch".
    backward: x are errors. A vector that noise management finds empty (alpha <= 0) gives exact zeros and takes no pass;
    forwards, only if there is no input noise, which is multiplied otherwise. The rules are those of AIHWKit.
    cells: what the cells of sliced weights hold; None: exactly what the weights are cut into.
    Returns outputs (vectors, outputs), and per vector how many analog passes it took and how many inputs were not zero.
    """
    if path == "triton" and by_triton.covers(io):
        return by_triton.multiply(weights, x, io, lines, stream, first, average, backward)
    loops = path == "numba" and x.is_cpu
    if loops and Multiplier.fits(io):
        return Multiplier(io, lines, stream, backward)(weights, x, first)
    stages: Any = specification
    if loops and compiled_conversions.covers(io):
        stages = compiled_conversions
    elif loops and compiled.covers(io):
        stages = compiled
    set_bits = np.zeros(len(x), np.int64) if io.mv_type is MVType.BIT_SERIAL else None
    extra = (cells, set_bits) if io.in_conversions else ()
    worst_case = io.bound_management is BoundManagement.ITERATIVE_WORST_CASE
    wants_sums = worst_case or io.noise_management is NoiseManagement.ABS_MAX_NP_SUM
    seen = stages.statistics(x, wants_sums)
    if io.is_perfect:
        y = product(x, weights)
        return Product(
            y if io.out_scale == 1.0 else y * io.out_scale, (seen.nonzero > 0).astype(np.int32), seen.nonzero
        )

    alpha = noise_factor(io, io.noise_management, seen, average)
    vectors = x.shape[0]
    passes = np.zeros(vectors, np.int32)
    y = torch.zeros(vectors, weights.shape[0], device=x.device)
    # A vector that noise management finds empty is not multiplied at all, unless its inputs would still be noisy.
    skips = backward or io.inp_noise <= 0.0
    todo = np.flatnonzero(~(alpha <= 0)) if skips else np.arange(vectors)  # one that is no number stays so
    alpha = np.where(alpha > 0, alpha, np.float32(1))
    reduction, last, round_number = 1.0, io.last_reduction, 0
    while len(todo):
        passes[todo] += 1
        factor = alpha[todo] * np.float32(reduction)
        clipped = stages.one_pass(weights, x, y, todo, factor, io, lines, stream, first, round_number, *extra)
        if reduction >= last:
            break
        todo = todo[clipped]
        if worst_case and round_number == 0 and io.noise_management is not NoiseManagement.ABS_MAX_NP_SUM:
            alpha = noise_factor(io, NoiseManagement.ABS_MAX_NP_SUM, seen, average)
            alpha = np.where(alpha > 0, alpha, np.float32(1))
        else:
            reduction *= 2.0
        round_number += 1
    return Product(y, passes, seen.nonzero, set_bits)


def noise_factor(
    io: IOParameters, mode: NoiseManagement, seen: Statistics, average: Tensor | None
) -> NDArray[np.float32]:
    """Find the factor alpha that the inputs of each vector are divided by: (vectors,).

    io: the periphery. mode: which noise management, not always that of ``io``. seen: the vectors' statistics.
    average: state of ``average_abs_max`` (1,), changed in place; None for other modes.
    """
    threshold = np.float32(io.nm_thres) if io.nm_thres > 0.0 else np.float32(np.inf)
    largest = seen.largest_magnitude
    if mode is NoiseManagement.ABS_MAX:
        return np.minimum(largest, threshold) if io.nm_thres > 0.0 else largest
    if mode is NoiseManagement.MAX:
        return np.minimum(seen.largest, threshold)
    if mode is NoiseManagement.AVERAGE_ABS_MAX:
        assert average is not None, "average_abs_max needs the array's state"
        alpha = np.empty_like(largest)
        state = float(average[0])
        for vector, value in enumerate(largest):
            state = float(value) if np.isnan(state) else (1.0 - io.nm_decay) * state + io.nm_decay * float(value)
            alpha[vector] = state
        average[0] = state
        return alpha
    if mode is NoiseManagement.ABS_MAX_NP_SUM:
        assert seen.sum_of_side is not None
        base = np.minimum(largest, threshold)
        worst = seen.sum_of_side * np.float32(io.nm_assumed_wmax / io.out_bound) if io.out_bound > 0.0 else base
        if io.inp_step > 0.0:
            worst = np.minimum(base * np.float32(io.max_bm_res / io.inp_step), worst)
        return np.maximum(base, worst)
    constant = io.nm_thres if mode is NoiseManagement.CONSTANT and io.nm_thres > 0.0 else 1.0
    return np.full_like(largest, constant)
