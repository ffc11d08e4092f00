"""What one conversion covers: its full scale and its step, where bits of inputs or slices of weights are read apart.

Signals are in units of weight x full-scale input. A converter reads whole weights, whether a vector comes at once or
bit by bit (a bit that is set drives its line with the full-scale input, a digit of several bits with its part of it),
over +-``adc.bound``. Of weights that are cut over cells it reads one slice, whose highest level counts as 1:

    S = columns of the array; half of them if slices may be flipped     the largest sum of one conversion            (1)
    c = 2^bits - 1 codes above 0 if sums are never negative, else 2^(bits - 1) - 1                                   (2)
    step = max(q, S / c),  full scale = c step                                                                       (3)

where q is the smallest difference that there is, one level of a cell times one step of the input (of a bit: all of it;
of a digit of d bits, 1 / (2^d - 1) of it). So a converter with bits to spare gives every sum a code of its own, and one
with too few is spread over the largest sum. ``adc.slice_bound`` says another full scale, and the step is this over c.
Sums are never negative where cells hold no signs and inputs come bit by bit, or in digits of which the highest is the
sign alone. The rule is ours; of ISAAC's 128 lines of 2-bit cells it makes what its paper says, every sum exact with 9
bits, or with 8 where slices may be flipped (Shafiee et al., ISCA 2016).
"""

from __future__ import annotations

from dataclasses import dataclass

from rpusim.arch.parts.adc import Adcs
from rpusim.arch.parts.crossbar import Crossbar
from rpusim.arch.parts.inputs import Inputs


@dataclass(frozen=True)
class Conversion:
    """Say what one conversion of a slice covers, in highest levels of a cell x full-scale inputs.

    full_scale:  the largest sum that has a code.
    step:        between two codes.
    """

    full_scale: float
    step: float


def of_a_slice(inputs: Inputs, array: Crossbar, adc: Adcs) -> Conversion:
    """Find what a conversion of one slice covers, see the module."""
    unsigned = inputs.never_negative and array.encoding != "signed"
    codes = (1 << adc.bits) - 1 if unsigned else adc.steps // 2
    if adc.slice_bound is not None:
        return Conversion(adc.slice_bound, adc.slice_bound / codes)
    largest = array.columns / (2 if array.encoding == "flipped" else 1)
    smallest = 1 / (array.top_level * inputs.levels)
    step = max(smallest, largest / codes)
    return Conversion(step * codes, step)
