"""The stages of the analog multiplication in torch: every option, any device. This is the specification.

Equations, with u the prepared input, Delta the step of a converter, xi fresh normal numbers, and n inputs:

    input     u = clip(Delta rint(x / (alpha r) / Delta), inp_bound) + inp_noise xi;  u < 0: u (1 - inp_asymmetry)
    (1) IR drop   a_i = n/g sum_j |W_ij||u_j|,  c = a (a (0.05 a - 0.2) + 0.5)
              y_i = sum_j W_ij u_j - ir_drop c_i sum_j W_ij u_j (1 - (1 - j/n)^2)                              (2)
    wires     as (1) or (2) of `wires`, of the product above; IR drop besides is that of AIHWKit
    offset    y = (1 - v) y / (1 + r_s |y|), or against the reference line of weight v_offset_w_min            (3)
    read      y += w_noise |u| xi   or   y += w_noise sqrt(sum_j |W_ij| u_j^2) xi                               (4)
    S-shape   y = f^2 y / (1 + |nu y|),  f = 1 + (mean nu + r_s) slope_calibration out_bound                  (5)
    output    y < 0: y (1 - out_asymmetry);  y += out_noise xi;  y = clip(Delta rint(y / Delta), out_bound)    (6)
    by bits   y = sum_k 2^(l_k) s_k y_k, where y_k is (2) to (6) of part k of the integer u / Delta, which starts at
              bit l_k; s_k = 1, or what scaled the part to the whole input range                               (7)
    conversions  y_l = sum_b p_b r_bl, where r_bl is (2) to (6) of bit b of u / Delta in two's complement (places p_b =
              Delta 2^b, of the sign -Delta 2^b; or of the whole input, p = 1) on line l; or of its digits of n bits,
              each over 2^n - 1, with p_b = Delta (2^n - 1) 2^(nb); the last one has its own sign, or is the sign (8)
              y = sum_k f_k y_k - o y_unit over the slices k of an output; one that is flipped counts as top y_unit -
              y_k; all of it in float64, as the digital side adds integers                                      (9)

Bit by bit in two's complement x / alpha is rounded, not x / (alpha r): 1 / r is the read voltage.
"""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray

from rpusim.kernels.base import rng
from rpusim.kernels.base.rng import Purpose
from rpusim.kernels.mvm.conversions import LinesRead, in_blocks, lines_of
from rpusim.kernels.mvm.periphery import IOParameters, Lines, MVType, Statistics, WeightNoise, product
from rpusim.kernels.mvm.slices import SlicedCells
from rpusim.kernels.mvm.wires import at_the_cells, at_the_end

Tensor = torch.Tensor


def statistics(x: Tensor, wants_sums: bool) -> Statistics:
    """Find what noise management looks at in x (vectors, inputs); the sums of a side only if they are wanted."""
    sums = None
    if wants_sums:
        wide = x.double()
        sums = torch.maximum(wide.clamp(min=0).sum(1), -wide.clamp(max=0).sum(1)).float().cpu().numpy()
    nonzero = (x != 0).sum(1).to(torch.int32).cpu().numpy()
    return Statistics(x.abs().amax(1).cpu().numpy(), x.amax(1).cpu().numpy(), sums, nonzero)


class _Noise:
    """Draws the random numbers of one pass, (vectors, lines); ``half`` tells the parts of an input apart, be it one
    number, or one for each of ``vectors`` (vectors, 1)."""

    def __init__(self, stream: tuple[int, ...], vectors: NDArray[np.int64], round_number: int, device: torch.device):
        self._stream, self._vectors, self._round, self._device = stream, vectors, round_number, device

    def _bits(self, purpose: Purpose, lines: int, half: Tensor | int) -> Tensor:
        words = rng.torch_words(rng.key(*self._stream, purpose), self._vectors, self._device)[:, None]
        return rng.bits(words, self._round, torch.arange(lines, device=self._device), half)

    def normal(self, purpose: Purpose, lines: int, half: Tensor | int = 0) -> Tensor:
        return rng.normal(self._bits(purpose, lines, half))

    def uniform(self, purpose: Purpose, lines: int, half: Tensor | int = 0) -> Tensor:
        return rng.uniform(self._bits(purpose, lines, half))


def one_pass(
    weights: Tensor,
    x: Tensor,
    y: Tensor,
    todo: NDArray[np.int64],
    factor: NDArray[np.float32],
    io: IOParameters,
    lines: Lines,
    stream: tuple[int, ...],
    first: int,
    round_number: int,
    cells: SlicedCells | None = None,
    set_bits: NDArray[np.int64] | None = None,
) -> NDArray[np.bool_]:
    """Make one analog pass of some vectors, and fill their rows of ``y``.

    weights: (outputs, inputs). x: (vectors, inputs). y: (vectors, outputs). todo: numbers of the vectors. factor:
    (len(todo),), what their inputs are divided by. io, lines, stream, first, cells: as for
    `rpusim.kernels.mvm.multiply`. round_number: how many passes they had before. set_bits: (vectors,), to which the
    bits of this pass are added that are set; None: inputs are whole.
    Returns which of them clipped at the output: (len(todo),).
    """
    if io.in_conversions:
        given = io, lines, stream, first, round_number, set_bits
        return in_blocks(_conversions, lines_of(weights, io, cells), x, y, todo, factor, *given)
    noise = _Noise(stream, first + todo, round_number, x.device)
    place = torch.from_numpy(todo).to(x.device)
    of_factor = torch.from_numpy(factor).to(x.device)[:, None]
    converted = _convert(x[place] * (1.0 / of_factor), io.inp_step, io.inp_bound, noise, io.inp_sto_round)[0]
    if io.mv_type.by_bits:
        out, clipped = _by_bits(weights, converted, io, lines, noise)
        y[place] = out * (of_factor * io.out_scale)
        return clipped.cpu().numpy()

    prepared = _driven(converted, io, noise, 0)
    if io.mv_type is MVType.ONE_PASS:
        out, clipped = _read_out(_array(weights, prepared, io, lines, noise, 0), io, lines, noise, 0)
    else:
        of_negative = weights if lines.negative_weights is None else weights * lines.negative_weights.to(weights.device)
        low = _array(of_negative, prepared.clamp(max=0.0), io, lines, noise, 0)
        high = _array(weights, prepared.clamp(min=0.0), io, lines, noise, 1)
        if io.mv_type is MVType.POS_NEG_SEPARATE:
            out, clipped = _read_out(low + high, io, lines, noise, 0)
        else:
            out, clipped = _read_out(low, io, lines, noise, 0)
            out_high, clipped_high = _read_out(high, io, lines, noise, 1)
            out, clipped = out + out_high, clipped | clipped_high
    y[place] = out * (of_factor * io.out_scale)
    return clipped.cpu().numpy()


def _driven(u: Tensor, io: IOParameters, noise: _Noise, part: Tensor | int) -> Tensor:
    """Turn converted inputs u (vectors, inputs) into what drives the lines: with noise, and less where negative."""
    if io.inp_noise > 0.0:
        u = u + noise.normal(Purpose.INPUT_NOISE, u.shape[1], part) * io.inp_noise
    return torch.where(u < 0, u * (1.0 - io.inp_asymmetry), u)


def _by_bits(weights: Tensor, u: Tensor, io: IOParameters, lines: Lines, noise: _Noise) -> tuple[Tensor, Tensor]:
    """Apply equation 7 to converted inputs u: (outputs, which vectors clipped in any part)."""
    level = torch.round(u.abs() / io.inp_step).to(torch.int64).clamp(max=io.inp_levels)
    out = torch.zeros(u.shape[0], weights.shape[0], device=u.device)
    clipped = torch.zeros(u.shape[0], dtype=torch.bool, device=u.device)
    for part, (low, largest) in enumerate(io.parts):
        step = io.inp_bound / largest if io.full_scale_parts else io.inp_step
        pulses = (level >> low & (1 << largest.bit_length()) - 1).to(u.dtype) * step
        driven = _driven(torch.copysign(pulses, u), io, noise, part)
        of_part, clips = _read_out(_array(weights, driven, io, lines, noise, part), io, lines, noise, part)
        out, clipped = out + of_part * (2.0**low * io.inp_step / step), clipped | clips
    return out, clipped


def _conversions(
    read: LinesRead,
    x: Tensor,
    y: Tensor,
    todo: NDArray[np.int64],
    factor: NDArray[np.float32],
    io: IOParameters,
    lines: Lines,
    stream: tuple[int, ...],
    first: int,
    round_number: int,
    set_bits: NDArray[np.int64] | None,
) -> NDArray[np.bool_]:
    """Do `one_pass` by equations 8 and 9; ``read``: what the lines hold, and how their read-outs are put together."""
    serial, places = io.mv_type is MVType.BIT_SERIAL, io.places
    voltage = 0.5**round_number if serial else 1.0
    place, device = torch.from_numpy(todo).to(x.device), x.device
    of_factor = torch.from_numpy(factor).to(device)[:, None]
    noise = _Noise(stream, first + todo, round_number, device)
    u = x[place] * (1.0 / (of_factor * voltage))
    if serial:
        if io.inp_sto_round:
            u = u / io.inp_step + (noise.uniform(Purpose.INPUT_ROUNDING, u.shape[1]) - 0.5)
        else:
            u = u / io.inp_step
        lost = torch.isnan(u).any(1)
        level = torch.round(u).nan_to_num(0.0).to(torch.float64).clamp(-io.inp_levels, io.inp_levels).to(torch.int64)
        lowest = torch.arange(len(places), device=device)[:, None] * io.digit_bits
        digits = level[:, None, :] >> lowest
        if io.last_digit_is_driven_with_its_sign:
            digits[:, :-1] &= io.top_digit
        else:
            digits &= io.top_digit
            digits[:, -1] &= 1  # of the sign, a driver knows only on and off
        if set_bits is not None:
            set_bits[todo] += (digits != 0).sum((1, 2)).cpu().numpy()
        u = digits.to(x.dtype).flatten(0, 1) * (voltage / io.top_digit)
    else:
        u = _convert(u, io.inp_step, io.inp_bound, noise, io.inp_sto_round)[0]
        lost = torch.zeros(len(todo), dtype=torch.bool, device=device)
    noise = _Noise(stream, np.repeat(first + todo, len(places)), round_number, device)
    part = torch.arange(len(places), device=device).repeat(len(todo))[:, None]
    driven = _driven(u, io, noise, part)
    raw, clipped = _read_out(_array(read.matrix, driven, io, lines, noise, part), io, lines, noise, part)
    wide = raw.double().reshape(len(todo), len(places), -1)
    total = torch.zeros_like(wide[:, 0])
    for number, worth in enumerate(places):
        total = total + wide[:, number] * worth
    out = read.put_together(total).float()
    out[lost] = float("nan")
    y[place] = out * (of_factor * io.out_scale)
    of_vectors: NDArray[np.bool_] = clipped.reshape(len(todo), len(places)).any(1).cpu().numpy()
    return of_vectors


def _convert(
    signal: Tensor,
    step: float,
    bound: float,
    noise: _Noise,
    stochastic: bool,
    output: bool = False,
    half: Tensor | int = 0,
) -> tuple[Tensor, Tensor, Tensor]:
    """Round to the converter's step, then clip: (signal, above the bound, below it)."""
    if step > 0.0:
        signal = signal / step
        if stochastic:
            purpose = Purpose.OUTPUT_ROUNDING if output else Purpose.INPUT_ROUNDING
            signal = signal + (noise.uniform(purpose, signal.shape[1], half) - 0.5)
        signal = torch.round(signal) * step
    if bound <= 0.0:
        nothing = torch.zeros_like(signal, dtype=torch.bool)
        return signal, nothing, nothing
    # The bound itself is a level: compare with its float32 value.
    limit = float(np.float32(bound))
    return signal.clamp(-limit, limit), signal > limit, signal < -limit


def _array(weights: Tensor, u: Tensor, io: IOParameters, lines: Lines, noise: _Noise, half: Tensor | int) -> Tensor:
    """Apply equations 2 to 4 to inputs u (vectors, inputs): (vectors, outputs)."""
    u = u if io.wires is None else at_the_cells(u, io.wires)
    y = product(u, weights)
    y = y if io.wires is None else at_the_end(y, io.wires, *io.lines_of_a_weight)
    inputs = u.shape[1]
    if io.ir_drop > 0.0:
        load = product(u.abs(), weights.abs()) * (inputs / io.ir_drop_g_ratio)
        drop = load * (load * (0.05 * load - 0.2) + 0.5)
        place = torch.arange(inputs, device=u.device, dtype=torch.float32) / inputs
        y = y - io.ir_drop * drop * product(u * (1.0 - (1.0 - place) ** 2), weights)
    if io.v_offset_std > 0.0 or io.r_series > 0.0:
        offset: Tensor | float = 0.0 if lines.offset is None else lines.offset.to(u.device)
        series = io.r_series
        if io.v_offset_w_min == 0.0:
            y = (1.0 - offset) * y / (1.0 + series * y.abs())
        else:
            reference = -io.v_offset_w_min * u.sum(1, keepdim=True)
            raised = y + reference
            y = (1.0 - offset) * raised / (1.0 + series * raised.abs())
            y = y - (1.0 + offset) * reference / (1.0 + series * reference.abs())
    if io.w_noise > 0.0 and io.w_noise_type is not WeightNoise.NONE:
        if io.w_noise_type is WeightNoise.ADDITIVE_CONSTANT:
            deviation = (u * u).sum(1, keepdim=True).sqrt()
        else:
            deviation = product(u * u, weights.abs()).sqrt()
        y = y + io.w_noise * deviation * noise.normal(Purpose.WEIGHT_READ_NOISE, y.shape[1], half)
    return y


def _read_out(y: Tensor, io: IOParameters, lines: Lines, noise: _Noise, half: Tensor | int) -> tuple[Tensor, Tensor]:
    """Apply equations 5 and 6 to y (vectors, outputs): (outputs, which vectors clipped)."""
    if io.out_nonlinearity > 0.0 or io.r_series > 0.0:
        curvature = torch.zeros(y.shape[1]) if lines.curvature is None else lines.curvature
        correction = 1.0
        if io.slope_calibration > 0.0:
            correction = 1.0 + (float(curvature.mean()) + io.r_series) * io.slope_calibration * io.out_bound
        y = correction**2 * y / (1.0 + (curvature.to(y.device) * y).abs())
    if io.out_asymmetry != 0.0:
        y = torch.where(y < 0, y * (1.0 - io.out_asymmetry), y)
    if io.out_noise > 0.0:
        deviation: Tensor | float = io.out_noise if lines.noise is None else lines.noise.to(y.device)
        y = y + noise.normal(Purpose.OUTPUT_NOISE, y.shape[1], half) * deviation
    y, above, below = _convert(y, io.out_step, io.out_bound, noise, io.out_sto_round, output=True, half=half)
    if io.unsigned and io.out_bound > 0.0:  # a sum below the range is noise, and no overload
        return y.clamp(min=0.0), above.any(1)
    return y, (above | below if io.bm_test_negative_bound else above).any(1)
