"""DualPair: two pairs of devices with different significance; an `NPair` of two.

By default both weigh the same, as in the four-device unit cells of the HERMES core (Khaddam-Aljameh et al., IEEE J.
Solid-State Circuits 57:1027, 2022).
"""

from __future__ import annotations

from dataclasses import dataclass

from rpusim.errors import InputError
from rpusim.kernels.inference.converters.n_pair import NPair


@dataclass(frozen=True)
class DualPair(NPair):
    """Let two pairs of devices stand for a weight; parameters as for `NPair`."""

    significances: tuple[float, ...] = (1.0, 1.0)

    kind = "dual-pair"

    def __post_init__(self) -> None:
        super().__post_init__()
        if len(self.significances) != 2:
            raise InputError(f"significances: {len(self.significances)} were given; accepted are 2, one for each pair")
