"""The analog multiplication on a GPU: the stages of `rpusim.kernels.triton.converters`, the product by torch.

Vectors stay where they are, all of a call at once. What depends on them is decided there, too: noise management finds
a factor for every vector, and bound management repeats those that clipped. The host waits once for each round of
repetitions, to learn which vectors clipped, and once at the end, for passes and inputs that are not zero; however many
vectors there are.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import numpy as np
import torch

from rpusim.kernels.base.loops import by_identity
from rpusim.kernels.mvm import compiled
from rpusim.kernels.mvm.periphery import BoundManagement, IOParameters, Lines, NoiseManagement, Product, product
from rpusim.kernels.mvm.wires import at_the_cells, at_the_end

Tensor = torch.Tensor


def covers(io: IOParameters) -> bool:
    """Tell whether the stages here can do everything that ``io`` asks for."""
    return compiled.covers(io)


def multiply(
    weights: Tensor,
    x: Tensor,
    io: IOParameters,
    lines: Lines,
    stream: tuple[int, ...],
    first: int,
    average: Tensor | None,
    backward: bool,
) -> Product:
    """Multiply each row of ``x``; arguments and result as for `rpusim.kernels.mvm.multiply.multiply`."""
    from rpusim.kernels.triton import converters

    x, device = x.contiguous(), x.device
    worst_case = io.bound_management is BoundManagement.ITERATIVE_WORST_CASE
    wants_sums = worst_case or io.noise_management is NoiseManagement.ABS_MAX_NP_SUM
    seen = converters.look(x, wants_sums)
    nonzero = seen[3]
    if io.is_perfect:
        y, active = product(x, weights), nonzero.cpu().numpy()
        return Product(y if io.out_scale == 1.0 else y * io.out_scale, (active > 0).astype(np.int32), active)

    alpha = _factor(io, io.noise_management, seen, average)
    # A vector that noise management finds empty is not multiplied, unless its inputs would still be noisy.
    skips = backward or io.inp_noise <= 0.0
    wanted = ~(alpha <= 0) if skips else torch.ones_like(alpha, dtype=torch.bool)
    alpha = torch.where(alpha > 0, alpha, 1.0)
    y = torch.empty(len(x), weights.shape[0], device=device)
    passes, keys = wanted.to(torch.int32), _keys(stream, device)
    todo, reduction, last, round_number = torch.arange(len(x), device=device), 1.0, io.last_reduction, 0
    ends = _ends(io, converters.Converter)
    of_lines = None if lines.noise is None else _of_lines(lines).to(device)
    while len(todo):
        factor = alpha[todo] * reduction
        u = converters.drive(x, todo, factor, ends[0], keys, first, round_number)
        sums = product(u if io.wires is None else at_the_cells(u, io.wires), weights)
        sums = sums if io.wires is None else at_the_end(sums, io.wires, *io.lines_of_a_weight)
        read = io.out_scale, io.bm_test_negative_bound, keys, first, round_number
        clipped = converters.read_out(sums.contiguous(), todo, factor, wanted, of_lines, ends[1], *read, y)
        if reduction >= last:
            break
        todo = todo[torch.nonzero(clipped).squeeze(1)]  # the host waits here
        passes[todo] += 1
        if worst_case and round_number == 0 and io.noise_management is not NoiseManagement.ABS_MAX_NP_SUM:
            alpha = _factor(io, NoiseManagement.ABS_MAX_NP_SUM, seen, average)
            alpha = torch.where(alpha > 0, alpha, 1.0)
        else:
            reduction *= 2.0
        round_number += 1
    counted = torch.stack([passes, nonzero]).cpu().numpy()  # and here
    return Product(y, counted[0], counted[1])


def _factor(
    io: IOParameters, mode: NoiseManagement, seen: tuple[Tensor, Tensor, Tensor, Tensor], average: Tensor | None
) -> Tensor:
    """Find the factor alpha of each vector (vectors,), as `rpusim.kernels.mvm.multiply.noise_factor` does."""
    magnitude, largest, sums, _ = seen
    threshold = float(np.float32(io.nm_thres)) if io.nm_thres > 0.0 else float("inf")
    if mode is NoiseManagement.ABS_MAX:
        return magnitude.clamp(max=threshold)
    if mode is NoiseManagement.MAX:
        return largest.clamp(max=threshold)
    if mode is NoiseManagement.AVERAGE_ABS_MAX:
        from rpusim.kernels.triton import converters

        assert average is not None, "average_abs_max needs the array's state"
        return converters.follow(magnitude, average, _decay(io.nm_decay, magnitude.device))
    if mode is NoiseManagement.ABS_MAX_NP_SUM:
        base = magnitude.clamp(max=threshold)
        worst = sums * float(np.float32(io.nm_assumed_wmax / io.out_bound)) if io.out_bound > 0.0 else base
        if io.inp_step > 0.0:
            worst = torch.minimum(base * float(np.float32(io.max_bm_res / io.inp_step)), worst)
        return torch.maximum(base, worst)
    constant = io.nm_thres if mode is NoiseManagement.CONSTANT and io.nm_thres > 0.0 else 1.0
    return torch.full_like(magnitude, constant)


@lru_cache(maxsize=4096)
def _keys(stream: tuple[int, ...], device: torch.device) -> Tensor:
    """Bring the keys of a stream to a device: (4,) int64."""
    return torch.from_numpy(compiled.keys_of(stream).view(np.int64)).to(device)


@lru_cache(maxsize=64)
def _decay(decay: float, device: torch.device) -> Tensor:
    return torch.tensor([decay], dtype=torch.float64, device=device)


@by_identity
def _of_lines(lines: Lines) -> _Moved:
    return _Moved(lines)


class _Moved:
    """Keep the noise of an array's lines where it was used last."""

    def __init__(self, lines: Lines) -> None:
        assert lines.noise is not None, "lines with a noise of their own"
        self._noise = lines.noise

    def to(self, device: torch.device) -> Tensor:
        """Return the standard deviations (outputs,) on a device."""
        if self._noise.device != device:
            self._noise = self._noise.to(device)
        return self._noise


def _ends(io: IOParameters, converter: Any) -> tuple[Any, Any]:
    """Say what converters do at the two ends of a periphery: two `rpusim.kernels.triton.converters.Converter`."""
    left = 1.0 - io.inp_asymmetry, 1.0 - io.out_asymmetry
    return (
        converter(io.inp_step, max(io.inp_bound, 0.0), io.inp_noise, left[0], io.inp_sto_round),
        converter(io.out_step, max(io.out_bound, 0.0), io.out_noise, left[1], io.out_sto_round),
    )
