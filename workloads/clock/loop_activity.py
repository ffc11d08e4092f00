"""What a user's own loop did, as the meter takes it; `loop_log` makes it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from rpusim.arch.contract.activity import Activity


@dataclass(frozen=True)
class LoopActivity:
    """What a loop did, in pieces that a schedule can follow.

    rows:       in order; each piece of a mini-batch is a step of its own, see `in_order`.
    unit:       (rows,) number of the mini-batch, or of the call for inference, that each row belongs to.
    evaluated:  (rows,) whether it is of what evaluation does, where training does something else.
    """

    rows: Activity
    unit: NDArray[np.int64]
    evaluated: NDArray[np.bool_]
