"""Causes: what stands between floating point and a network in cells, one after the other, and how each is turned on.

The order is that of a signal that goes through a chip, and then of the cells' life:

    floating point   weights as they are, products exact
    converters       inputs and outputs are rounded, inputs clip at the range of their DACs; weights are cut into slices
                     and inputs come bit by bit where the chip has that
    noise            of inputs, of reads, of outputs
    bounds           outputs clip at the range of their ADCs; bound management repeats such vectors
    device           lines and cells: wires, series resistance, offsets, bent and asymmetric read-outs
    programming      what is left in the cells when weights are written
    drift            conductances after a time, and the noise of reading them then
    compensation     factors that make up for drift, where there are any

Each of them comes on top of all before it, with the same random numbers, so that two steps differ by one cause alone.
A periphery without its bound keeps the step of its converters exactly: range and number of steps grow by the same power
of two.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import Any

from rpusim.kernels.mvm.periphery import BoundManagement, IOParameters, WeightNoise

ROOM, LARGEST = 30, 1e12
"""The range of an ADC that is not to clip grows by 2 to this, but not beyond the largest range that there is."""

NOISES: dict[str, Any] = {
    "inp_noise": 0.0,
    "out_noise": 0.0,
    "out_noise_std": 0.0,
    "w_noise": 0.0,
    "w_noise_type": WeightNoise.NONE,
}
"""Fields of a periphery that are noise, as they are without it."""
LINES: dict[str, Any] = {
    "wires": None,
    "ir_drop": 0.0,
    "r_series": 0.0,
    "v_offset_std": 0.0,
    "out_nonlinearity": 0.0,
    "out_nonlinearity_std": 0.0,
    "slope_calibration": 0.0,
    "inp_asymmetry": 0.0,
    "out_asymmetry": 0.0,
    "w_read_asymmetry_dtod": 0.0,
}
"""Fields that are of lines and cells, as they are without them."""


@dataclass(frozen=True)
class Cause:
    """One step of the waterfall.

    name:       as in a document.
    meaning:    in words.
    programmed, drifted, compensated: what has become of the cells.
    """

    name: str
    meaning: str
    programmed: bool = False
    drifted: bool = False
    compensated: bool = False


FLOATING_POINT = Cause("floating point", "the same weights, multiplied exactly")
CONVERTERS = Cause("converters", "inputs and outputs are rounded; weights in slices, inputs in bits")
NOISE = Cause("noise", "of drivers, reads and outputs")
BOUNDS = Cause("bounds", "outputs clip at their ADCs' range, or are read again")
DEVICE = Cause("device", "wires, offsets, bent and asymmetric read-outs")
PROGRAMMING = Cause("programming", "what writing leaves in the cells", programmed=True)
DRIFT = Cause("drift", "conductances later, and the noise of reading them", programmed=True, drifted=True)
COMPENSATION = Cause("compensation", "factors that make up for drift", programmed=True, drifted=True, compensated=True)
CAUSES = (FLOATING_POINT, CONVERTERS, NOISE, BOUNDS, DEVICE, PROGRAMMING, DRIFT, COMPENSATION)
"""In their order."""


def periphery(io: IOParameters, cause: Cause) -> IOParameters:
    """Return a periphery with what a cause, and all before it, do to it.

    io: of the tile, with everything.
    """
    on = CAUSES.index(cause)
    if io.is_perfect or on >= CAUSES.index(DEVICE):
        return io
    if cause is FLOATING_POINT:
        return IOParameters(is_perfect=True, out_scale=io.out_scale)
    changes = dict(LINES)
    if on < CAUSES.index(NOISE):
        changes |= NOISES
    if on < CAUSES.index(BOUNDS):
        changes |= {"bound_management": BoundManagement.NONE, **_without_bound(io)}
    return replace(io, **changes)


def _without_bound(io: IOParameters) -> dict[str, float]:
    """Return the fields of an ADC with the same step and a range at which nothing clips."""
    if io.out_bound <= 0.0:
        return {}
    resolution = 1.0 / io.out_res if io.out_res > 1.0 else io.out_res
    factor = 2.0 ** min(ROOM, math.floor(math.log2(LARGEST / io.out_bound)))
    return {"out_bound": io.out_bound * factor, "out_res": resolution / factor}
