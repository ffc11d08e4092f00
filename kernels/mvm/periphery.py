"""The periphery of an array: what its converters and lines do to signals, as parameters and as frozen variations.

Also what the two kinds of stages of `mvm.multiply` share: its result, and the one matrix product in the middle.
Noise, bound and update management: Gokmen, Onen & Haensch, Front. Neurosci. 11:538 (2017).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch.nn import functional

from rpusim.arch.contract import checks
from rpusim.errors import InputError
from rpusim.kernels.base import rng
from rpusim.kernels.base.precision import casts, exactly
from rpusim.kernels.base.rng import Purpose
from rpusim.kernels.base.threads import on_one_thread, part_by_part
from rpusim.kernels.mvm.slices import Slices
from rpusim.kernels.mvm.whole import products
from rpusim.kernels.mvm.wires import Wires

Tensor = torch.Tensor

# Multiplications of a part of a matrix product: one thread takes it as a whole, and a second one may take the next.
_PART = 30_000_000
# A part has a multiple of so many vectors, for which the bits are those of a product that is not divided.
_VECTORS = 48


class MVType(StrEnum):
    """How inputs are applied.

    ONE_PASS: signed, all at once. POS_NEG_SEPARATE, POS_NEG_SEPARATE_DIGITAL_SUM: negative and positive parts one after
    the other, summed before or after the ADC. SPLIT_MODE: the DAC's integer in two parts, the lower bits and the upper
    ones; BIT_WISE: bit by bit. Both carry the sign, and each part goes through read-out and ADC before they are summed
    digitally with their powers of two. These parts count as one pass. BIT_SERIAL: bit by bit in two's complement, by
    drivers that know only on and off: the lowest bit first, at last the sign, which is subtracted; every bit is applied
    at the DAC's whole range. Or digit by digit, where drivers are DACs of several bits (`IOParameters.digit_bits`).
    """

    ONE_PASS = "one_pass"
    POS_NEG_SEPARATE = "pos_neg_separate"
    POS_NEG_SEPARATE_DIGITAL_SUM = "pos_neg_separate_digital_sum"
    SPLIT_MODE = "split_mode"
    BIT_WISE = "bit_wise"
    BIT_SERIAL = "bit_serial"

    @property
    def by_sign(self) -> bool:
        """Whether negative and positive inputs take passes of their own."""
        return self in (MVType.POS_NEG_SEPARATE, MVType.POS_NEG_SEPARATE_DIGITAL_SUM)

    @property
    def by_bits(self) -> bool:
        """Whether parts of the DAC's integer take passes of their own."""
        return self in (MVType.SPLIT_MODE, MVType.BIT_WISE)


class NoiseManagement(StrEnum):
    """The factor alpha that the inputs x of a vector are divided by.

    NONE: 1. ABS_MAX: max |x|. MAX: max x. CONSTANT: the threshold. AVERAGE_ABS_MAX: a running average of max |x|.
    ABS_MAX_NP_SUM: max |x|, enlarged where the sum of the inputs could saturate the output.
    """

    NONE = "none"
    ABS_MAX = "abs_max"
    MAX = "max"
    CONSTANT = "constant"
    AVERAGE_ABS_MAX = "average_abs_max"
    ABS_MAX_NP_SUM = "abs_max_np_sum"


class BoundManagement(StrEnum):
    """What happens when an output of a vector clips.

    NONE: nothing. ITERATIVE: halve the inputs and repeat the vector, until nothing clips or `IOParameters` sets an end.
    ITERATIVE_WORST_CASE: the same, after a repetition with the alpha of ABS_MAX_NP_SUM.
    """

    NONE = "none"
    ITERATIVE = "iterative"
    ITERATIVE_WORST_CASE = "iterative_worst_case"


class WeightNoise(StrEnum):
    """Read noise of the weights W, seen at the output for inputs u.

    NONE: none. ADDITIVE_CONSTANT: standard deviation w_noise |u|. PCM_READ: w_noise sqrt(sum |W| u^2).
    """

    NONE = "none"
    ADDITIVE_CONSTANT = "additive_constant"
    PCM_READ = "pcm_read"


@dataclass(frozen=True)
class IOParameters:
    """The periphery of one side of an array. Signals and weights have no unit: inputs of 1 are full scale.

    is_perfect:     y = out_scale W x, nothing else.
    mv_type:        how inputs are applied, see `MVType`.
    inp_bound, out_bound: clipping of DAC and ADC; <= 0: none.
    inp_res, out_res: step as a fraction of the full range 2 x bound; > 1: the number of steps; <= 0: continuous.
    inp_noise, out_noise: standard deviation of additive noise; out_noise_std: its relative spread over output lines.
    inp_sto_round, out_sto_round: round up or down at random instead of to the nearest.
    inp_asymmetry, out_asymmetry: relative loss of negative signals.
    out_scale:      digital factor.
    split_mode_bit_shift: how many bits are the lower part in split mode.
    digit_bits:     in BIT_SERIAL, how many bits of an input are applied and converted at a time; the highest digit of a
    full driver, 2^digit_bits - 1, takes the whole range. The last digit has what bits are left: if that is the sign
    alone, it is driven like the others and subtracted, else it is driven with its sign.
    full_scale_parts: in split mode and bit by bit, the largest value of a part takes the DAC's whole range, as voltages
    do; otherwise a part keeps the DAC's step, as a short pulse does, and the noise of the upper bits weighs more.
    w_noise, w_noise_type: read noise of the weights. w_read_asymmetry_dtod: weight spread seen by negative inputs
    (two-pass).
    ir_drop, ir_drop_g_ratio: strength of the voltage drop on the lines; line over maximal cell conductance. This is
    AIHWKit's approximation for one vector after the other; what chips have is ``wires``.
    wires: the drop on driven and on read lines, see `rpusim.kernels.mvm.wires`; None: there is none.
    out_nonlinearity, out_nonlinearity_std, slope_calibration: S-shaped read-out, its spread, its digital correction.
    v_offset_std, v_offset_w_min, r_series: voltage offset of the outputs, weight of zero conductance, series
    resistance.
    noise_management, nm_thres, nm_assumed_wmax, nm_decay: see `NoiseManagement`; threshold <= 0: none.
    bound_management, max_bm_factor, max_bm_res: see `BoundManagement`; inputs are halved until `last_reduction`.
    bm_test_negative_bound: whether outputs at the lower bound count as clipped.
    slices: how a weight is cut over cells, see `Slices`; None: it is not. With slices, or bit by bit in two's
    complement, bound, resolution and noise of the output are those of one conversion: of one bit at full-scale input,
    and of one slice, whose highest level counts as 1. Bit by bit in two's complement a vector that clips is repeated at
    half the read voltage, as often as elsewhere at half the input: half a number has the same bits, one place lower.
    """

    is_perfect: bool = False
    mv_type: MVType = MVType.ONE_PASS
    split_mode_bit_shift: int = 3
    digit_bits: int = 1
    full_scale_parts: bool = False
    inp_bound: float = 1.0
    inp_res: float = 1 / 126
    inp_noise: float = 0.0
    inp_sto_round: bool = False
    inp_asymmetry: float = 0.0
    out_bound: float = 12.0
    out_res: float = 1 / 510
    out_noise: float = 0.06
    out_noise_std: float = 0.0
    out_sto_round: bool = False
    out_scale: float = 1.0
    out_asymmetry: float = 0.0
    bound_management: BoundManagement = BoundManagement.ITERATIVE
    noise_management: NoiseManagement = NoiseManagement.ABS_MAX
    w_noise: float = 0.0
    w_noise_type: WeightNoise = WeightNoise.NONE
    w_read_asymmetry_dtod: float = 0.0
    ir_drop: float = 0.0
    ir_drop_g_ratio: float = 1 / 0.35 / 5e-6
    wires: Wires | None = None
    out_nonlinearity: float = 0.0
    out_nonlinearity_std: float = 0.0
    slope_calibration: float = 0.0
    v_offset_std: float = 0.0
    v_offset_w_min: float = -1.0
    r_series: float = 0.0
    max_bm_factor: int = 1000
    max_bm_res: float = 0.25
    bm_test_negative_bound: bool = True
    nm_thres: float = 0.0
    nm_assumed_wmax: float = 0.6
    nm_decay: float = 1e-3
    slices: Slices | None = None

    def __post_init__(self) -> None:
        for field, kind in (
            ("mv_type", MVType),
            ("bound_management", BoundManagement),
            ("noise_management", NoiseManagement),
            ("w_noise_type", WeightNoise),
        ):
            object.__setattr__(self, field, checks.choose(kind, field, getattr(self, field)))
        for field in ("is_perfect", "inp_sto_round", "out_sto_round", "bm_test_negative_bound", "full_scale_parts"):
            checks.flag(field, getattr(self, field))
        for field in ("inp_bound", "inp_res", "out_bound", "out_res", "out_scale", "v_offset_w_min", "nm_thres"):
            checks.number(field, getattr(self, field))
        for field in (
            "inp_noise",
            "out_noise",
            "out_noise_std",
            "w_noise",
            "w_read_asymmetry_dtod",
            "ir_drop",
            "r_series",
        ):
            checks.number(field, getattr(self, field), low=0.0)
        for field in ("out_nonlinearity", "out_nonlinearity_std", "slope_calibration", "v_offset_std", "max_bm_res"):
            checks.number(field, getattr(self, field), low=0.0)
        for field in ("inp_asymmetry", "out_asymmetry"):
            checks.number(field, getattr(self, field), low=-1.0, high=1.0)
        checks.number("ir_drop_g_ratio", self.ir_drop_g_ratio, above=0.0)
        checks.number("nm_decay", self.nm_decay, low=0.0, high=1.0)
        checks.number("nm_assumed_wmax", self.nm_assumed_wmax, low=0.0)
        checks.integer("split_mode_bit_shift", self.split_mode_bit_shift, low=1)
        checks.integer("digit_bits", self.digit_bits, low=1, high=16)
        if self.digit_bits > 1 and self.mv_type is not MVType.BIT_SERIAL:
            raise InputError(
                f"digit_bits: {self.digit_bits} was given with mv_type {str(self.mv_type)!r}; accepted is 1, or any "
                "with 'bit_serial'"
            )
        checks.integer("max_bm_factor", self.max_bm_factor, low=0)
        if self.noise_management is not NoiseManagement.NONE and self.inp_bound != 1.0 and not self.is_perfect:
            raise InputError(
                f"inp_bound: {self.inp_bound!r} was given with noise_management {str(self.noise_management)!r}; "
                "accepted is 1, or any bound with noise_management 'none'"
            )
        in_bits = self.mv_type.by_bits or self.mv_type is MVType.BIT_SERIAL
        if in_bits and self.inp_step == 0.0 and not self.is_perfect:
            raise InputError(
                f"mv_type: {str(self.mv_type)!r} was given with a continuous input; accepted are inp_res > 0 and "
                "inp_bound > 0"
            )
        if self.out_nonlinearity > 0.0 and self.out_bound <= 0.0:
            raise InputError(f"out_bound: {self.out_bound!r} was given; accepted is a number > 0 with out_nonlinearity")
        if self.slices is not None:
            checks.instance("slices", self.slices, Slices)
        if self.wires is not None:
            checks.instance("wires", self.wires, Wires)
        if self.in_conversions and not self.is_perfect:
            self._check_conversions()

    def _check_conversions(self) -> None:
        """Refuse what bits and slices have no meaning for."""
        with_what = f"mv_type {str(self.mv_type)!r}" + (" and slices" if self.slices is not None else "")
        if self.mv_type not in (MVType.ONE_PASS, MVType.BIT_SERIAL):
            raise InputError(
                f"mv_type: {str(self.mv_type)!r} was given with slices; accepted are 'one_pass' and 'bit_serial'"
            )
        if self.noise_management is NoiseManagement.ABS_MAX_NP_SUM:
            raise InputError(
                f"noise_management: 'abs_max_np_sum' was given with {with_what}; accepted are the others, as no factor "
                "of the whole input bounds the sum of one conversion"
            )
        if self.bound_management is BoundManagement.ITERATIVE_WORST_CASE:
            raise InputError(
                f"bound_management: 'iterative_worst_case' was given with {with_what}; accepted are 'none' and "
                "'iterative', as no factor of the whole input bounds the sum of one conversion"
            )

    @property
    def in_conversions(self) -> bool:
        """Whether a product is put together digitally from conversions of bits in two's complement, or of slices."""
        return self.mv_type is MVType.BIT_SERIAL or self.slices is not None

    @property
    def unsigned(self) -> bool:
        """Whether analog sums are never negative, so that the converter's range begins at 0."""
        serial = self.mv_type is MVType.BIT_SERIAL and not self.last_digit_is_driven_with_its_sign
        return serial and self.slices is not None and self.slices.has_unit_line

    @property
    def last_digit_is_driven_with_its_sign(self) -> bool:
        """Whether the last digit has more than the sign, in BIT_SERIAL."""
        return self.inp_levels.bit_length() % self.digit_bits > 0

    @property
    def top_digit(self) -> int:
        """The highest digit of a driver, in BIT_SERIAL, which takes the whole range."""
        return (1 << self.digit_bits) - 1

    @property
    def places(self) -> list[float]:
        """What an output of each part of an input is worth.

        In two's complement these are the digits, the lowest first; the last one counts negative if it is the sign.
        """
        if self.mv_type is not MVType.BIT_SERIAL:
            return [1.0]
        bits = self.inp_levels.bit_length()
        worth = [self.inp_step * self.top_digit * 2.0**bit for bit in range(0, bits + 1, self.digit_bits)]
        return worth if self.last_digit_is_driven_with_its_sign else [*worth[:-1], -worth[-1]]

    def lines_read(self, outputs: int) -> int:
        """Count the lines that hold ``outputs`` outputs: one for each slice, and the unit line."""
        return outputs if self.slices is None else outputs * self.slices.number + self.slices.has_unit_line

    @property
    def lines_of_a_weight(self) -> tuple[int, bool]:
        """How many lines hold the slices of a weight, and whether there is a unit line besides."""
        return (1, False) if self.slices is None else (self.slices.number, self.slices.has_unit_line)

    @property
    def inp_step(self) -> float:
        """The DAC's step; 0: continuous."""
        return _step(self.inp_res, self.inp_bound)

    @property
    def out_step(self) -> float:
        """The ADC's step; 0: continuous."""
        return _step(self.out_res, self.out_bound)

    @property
    def inp_levels(self) -> int:
        """The DAC's largest integer: steps from 0 to the bound."""
        return int(self.inp_bound / self.inp_step + 1e-6)

    @property
    def last_reduction(self) -> float:
        """The factor that inputs are divided by in the last pass of a vector, whatever clips: a power of two.

        Bound management halves the inputs and repeats a vector until this. It is the first factor above
        ``max_bm_factor``, or the first at which ``max_bm_res`` of full scale is below one step of the DAC. 1: no vector
        is repeated.
        """
        finest = self.max_bm_res / self.inp_step if self.inp_step > 0.0 else np.inf
        last = 1.0
        while self.bound_management is not BoundManagement.NONE and int(last) <= self.max_bm_factor and last <= finest:
            last *= 2.0
        return last

    @property
    def parts(self) -> list[tuple[int, int]]:
        """The parts of an input whose integer the DAC takes in pieces: (lowest bit, largest value) of each."""
        largest = self.inp_levels
        bits = largest.bit_length()
        starts = range(bits) if self.mv_type is MVType.BIT_WISE else sorted({0, min(self.split_mode_bit_shift, bits)})
        ends = [*starts[1:], bits]
        return [
            (low, (1 << high - low) - 1 if high < bits else largest >> low)
            for low, high in zip(starts, ends, strict=True)
            if high > low
        ]


def _step(resolution: float, bound: float) -> float:
    """Compute a converter's step from its resolution, as `IOParameters` defines it; 0: continuous."""
    if resolution <= 0.0 or bound <= 0.0:
        return 0.0
    return (1.0 / resolution if resolution > 1.0 else resolution) * 2.0 * bound


@dataclass(frozen=True)
class Lines:
    """Frozen variations of one side's read-out, drawn once per array, without unit; None: no such variation.

    noise: standard deviation of the output noise per line (out,). offset: voltage offset (out,). curvature: S-shape
    (out,). negative_weights: factor on the weights as seen by negative inputs (out, in).
    """

    noise: Tensor | None = None
    offset: Tensor | None = None
    curvature: Tensor | None = None
    negative_weights: Tensor | None = None

    @staticmethod
    def sample(io: IOParameters, outputs: int, inputs: int, stream: tuple[int, ...]) -> Lines:
        """Draw the lines of an array with ``outputs`` x ``inputs`` weights; each slice of an output is a line.

        io: the periphery. stream: integers that name array and direction to the random numbers.
        """
        base, outputs = rng.key(*stream, Purpose.LINES), io.lines_read(outputs)
        noise = offset = curvature = negative = None
        if io.out_noise > 0.0 and io.out_noise_std > 0.0:
            noise = (io.out_noise * (1.0 + io.out_noise_std * rng.normal_matrix(base, 0, 1, outputs)[0])).abs()
        if io.v_offset_std > 0.0:
            offset = (io.v_offset_std * rng.normal_matrix(base, 1, 1, outputs)[0]).clamp(min=0.0)
        if io.out_nonlinearity > 0.0:
            spread = 1.0 + io.out_nonlinearity_std * rng.normal_matrix(base, 2, 1, outputs)[0]
            curvature = (io.out_nonlinearity / io.out_bound * spread).abs()
        if io.w_read_asymmetry_dtod > 0.0 and io.mv_type.by_sign:
            negative = 1.0 + io.w_read_asymmetry_dtod * rng.normal_matrix(base, 3, outputs, inputs)
        return Lines(noise, offset, curvature, negative)


class Product(NamedTuple):
    """The result of a multiplication.

    y: outputs (vectors, outputs). passes: analog passes of each vector (vectors,); 0: it was skipped. active: inputs of
    each vector that are not zero (vectors,). set_bits: in two's complement, how often a bit of a vector that is set, or
    a digit that is not 0, drives a line, over all passes (vectors,); None: inputs are whole.
    """

    y: Tensor
    passes: NDArray[np.int32]
    active: NDArray[np.int32]
    set_bits: NDArray[np.int64] | None = None

    @staticmethod
    def joined(parts: Sequence[Product]) -> Product:
        """Put the results of vectors that were multiplied apart together, in their order."""
        bits = [part.set_bits for part in parts if part.set_bits is not None]
        return Product(
            torch.cat([part.y for part in parts]),
            np.concatenate([part.passes for part in parts]),
            np.concatenate([part.active for part in parts]),
            np.concatenate(bits) if bits else None,
        )


@dataclass(frozen=True)
class Statistics:
    """What noise management looks at; all fields are (vectors,).

    largest_magnitude: max |x|. largest: max x. sum_of_side: the larger of the sums of positive and of negative inputs,
    as a magnitude; None unless asked for. nonzero: how many inputs are not zero.
    """

    largest_magnitude: NDArray[np.float32]
    largest: NDArray[np.float32]
    sum_of_side: NDArray[np.float32] | None
    nonzero: NDArray[np.int32]


def _of_one(u: Tensor, weights: Tensor) -> Tensor | None:
    """Multiply a single vector by a matrix that lies in rows or in columns; None: it does not, or autograd looks."""
    if torch.is_grad_enabled() and (u.requires_grad or weights.requires_grad):
        return None
    if not (u.is_contiguous() and u.dtype is torch.float32 and weights.dtype is torch.float32):
        return None
    back = not weights.is_contiguous()
    matrix = weights.t() if back else weights
    if not matrix.is_contiguous():
        return None
    y = np.empty((1, weights.size(0)), np.float32)
    (products.BACKWARD if back else products.FORWARD)(u.detach().numpy(), matrix.detach().numpy(), y)
    return torch.from_numpy(y)


def product(u: Tensor, weights: Tensor) -> Tensor:
    """Multiply u (vectors, inputs) by weights (outputs, inputs) transposed, exactly: (vectors, outputs).

    This is the one matrix product of both paths, so that they agree to the bit. Its bits do not depend on torch's
    number of threads, nor on how vectors are put together, if they are at least 32: a large product is divided into
    parts, each of them computed on one thread, and several at a time if torch has several threads. A single vector is
    multiplied in compiled loops, which whole multiplications call as well (`whole`). Arrays multiply in single
    precision, also where torch.autocast has digital layers multiply in half.
    """
    if casts():
        with exactly(u.device):
            return product(u, weights)
    if not u.is_cpu:
        return functional.linear(u, weights)
    number = u.size(0)  # len() of a tensor takes several times as long
    if number == 1 and (found := _of_one(u, weights)) is not None:
        return found
    if number > 1 and weights.size(0) == 1:  # a product with one vector is summed in another order
        return product(u, weights.expand(2, -1))[:, :1].contiguous()
    vectors = max(_VECTORS, _PART // max(1, weights.numel()) // _VECTORS * _VECTORS)
    if number <= vectors:
        return on_one_thread(functional.linear, u, weights)
    return torch.cat(list(part_by_part(lambda part: functional.linear(part, weights), torch.split(u, vectors))))
