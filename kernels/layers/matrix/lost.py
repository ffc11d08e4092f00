"""What of the weights that are written to arrays cells cannot hold."""

from __future__ import annotations

from typing import NamedTuple

from torch import Tensor


class Lost(NamedTuple):
    """What of the weights that were written the cells could not hold.

    clipped: how many weights are beyond their cell's bounds. excess, worst: these over what their cells hold, the
    median and the largest (a single cell may have a bound near zero, so the largest alone says little).
    share: norm of what is missing over the norm of the weights.
    """

    clipped: int = 0
    excess: float = 1.0
    worst: float = 1.0
    share: float = 0.0

    @classmethod
    def of(cls, given: Tensor, held: Tensor) -> Lost:
        """Compare weights with what the cells hold of them, both (rows, columns)."""
        clipped = held.abs() < given.abs() * (1.0 - 1e-3) - 1e-6
        if not bool(clipped.any()):
            return cls()
        ratios = given[clipped].abs() / held[clipped].abs().clamp(min=1e-6)
        missing = (given - held)[clipped].norm() / given.norm()
        return cls(int(clipped.sum()), float(ratios.median()), float(ratios.max()), float(missing))
