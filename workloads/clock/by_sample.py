"""Rows of activity sample by sample, where blocks that take turns on arrays are written for every sample."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

from rpusim.arch.contract.activity import Activity, Phase
from rpusim.arch.mapping.placement import Placement


def by_sample(activity: Activity, placement: Placement, first: int) -> Activity:
    """Make every sample a step of its own, as blocks are written for it.

    activity: of inference, as the numbers wrote it; rows of a load name the first vector that reads it.
    placement: that reloads. first: number of the first step.
    """
    each = np.array([placed.layer.vectors for placed in placement.layers])[activity.layer]
    sample, vector = np.divmod(np.maximum(activity.vector, 0), each)
    steps, number = np.unique(activity.step, return_inverse=True)
    samples = np.zeros(len(steps), np.int64)
    np.maximum.at(samples, number, sample + 1)
    before = first + np.cumsum(samples) - samples
    before_it = (activity.vector < 0) | (activity.phase == Phase.MAINTENANCE)
    columns: dict[str, Any] = {"step": before[number] + sample, "vector": np.where(before_it, -1, vector)}
    return replace(activity, **{name: column.astype(getattr(activity, name).dtype) for name, column in columns.items()})


def is_load(rows: Activity) -> Any:
    """Tell which rows, as the numbers wrote them, are of loads: (rows,) booleans."""
    return (rows.phase == Phase.MAINTENANCE) & (rows.vector >= 0)
