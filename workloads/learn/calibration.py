"""How many pulses find the symmetry points of a device, before the first sample.

A pair of pulses brings a cell closer to its symmetry point by the difference of the slopes of its steps there,

    (w - w*) <- (w - w*) (1 - r),    r = d(down - up)/dw at w*                                                    (1)

so that ln(100) / r pairs leave a hundredth of the way (Kim et al., arXiv:1907.10228, 2019). What they take is in the
results of the runs (`rpusim.workloads.clock.calibration`): pulses of all cells of array A at once, its reading column
by column, and the writing of the reference.
"""

from __future__ import annotations

import math

import torch

from rpusim.kernels.cells.base import MOST_PAIRS
from rpusim.kernels.devices import PulsedDevice
from rpusim.kernels.devices.response import mean_device

LEFT = 0.01
"""What is left of the way to the symmetry point."""
FEWEST, MOST = 20, min(20_000, MOST_PAIRS)


def pairs_of(device: PulsedDevice) -> int:
    """Find how many pairs of pulses leave `LEFT` of the way, by equation (1) for the mean cell, within limits.

    A device whose steps do not depend on the weight has no symmetry point, and gets `MOST`; fewer than `FEWEST` are
    never sent.
    """
    mean = mean_device(device)
    cells = mean.sample(1, 1, (0,))
    point = mean.symmetry_point(cells)
    leap = 0.01 * float(cells.bound_max - cells.bound_min)
    none = torch.zeros(1, 1)

    def excess(weight: torch.Tensor) -> float:
        up, down = (mean.step(cells.clip(weight), none, *cells.parameters(way)) for way in (True, False))
        return float(down - up)

    slope = (excess(point + leap) - excess(point - leap)) / (2 * leap)
    return MOST if slope <= 0 else min(max(math.ceil(-math.log(LEFT) / slope), FEWEST), MOST)
