"""PowStepReference: the power-law response of `PowStep` on the state v = w + reference, see `reference`.

As only distances to the bounds enter, the response to pulses in terms of w is `PowStep`'s with shifted bounds. The
symmetry point that may be subtracted is the root of the two step sizes, found by bisection to float precision.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch

from rpusim.kernels.devices.models.pow_step import PowStep
from rpusim.kernels.devices.reference import Referenced

Tensor = torch.Tensor


@dataclass(frozen=True)
class PowStepReference(Referenced, PowStep):
    """A device with a power-law response and a reference; parameters as for `PowStep` and `Referenced`."""

    kind = "pow-step-reference"

    def shifted(self, parameters: list[Tensor], reference: Tensor) -> list[Tensor]:
        size, edge, slope, exponent = parameters
        return [size, edge - reference, slope, exponent]
