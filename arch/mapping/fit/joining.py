"""Rows of activity of joined groups: what the groups of a convolution did for themselves, as what their array did.

Groups that lie on the diagonal of one array are computed each for itself, as they are where each has an array of its
own, and so the numbers are the same. On the chip one read drives the columns of all of them and converts all their
rows; it is repeated as often as the group that has most retries. Updates go group by group, as pulses on the lines of
several at once would also step the cells beside the diagonal, so their slots add up. Everything else adds up as well.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from rpusim.arch.contract.activity import COLUMNS, Activity, Phase
from rpusim.arch.mapping.placement import Placement

_KEYS = ("step", "layer", "tile", "phase", "array", "vector", "count")
"""What rows that are put together have in common."""


def joined(activity: Activity, placement: Placement) -> tuple[Activity, NDArray[np.intp]]:
    """Put the rows together that groups on one array have written for one vector and phase.

    activity: rows, of which ``tile`` numbers the groups. placement: where they lie.

    Returns the rows, of which ``tile`` numbers the blocks, in the order in which the first group of each came; and for
    each the index of that row. Maintenance is done group by group and stays row by row.
    """
    each = np.array([placed.joined for placed in placement.layers], np.int32)[activity.layer]
    everything = np.arange(len(activity))
    if each.max(initial=1) == 1:
        return activity, everything
    tile = activity.tile // each
    multiplies = (each > 1) & (activity.phase <= Phase.UPDATE)
    rows = np.flatnonzero(multiplies)
    keys = np.stack([tile, *(getattr(activity, name) for name in ("vector", "phase", "layer", "step"))])[:, rows]
    sort = np.lexsort(keys)
    order, sorted_keys = rows[sort], keys[:, sort]
    starts = np.flatnonzero(np.r_[True, np.any(np.diff(sorted_keys, axis=1), axis=0)]) if len(order) else order
    assert np.array_equal(np.diff(np.r_[starts, len(order)]), each[order[starts]]), "groups that did not do a vector"
    first = np.minimum.reduceat(order, starts) if len(starts) else order
    others = everything[~multiplies]
    kept = np.r_[others, first]
    back = np.argsort(kept, kind="stable")
    columns: dict[str, Any] = {}
    for name in COLUMNS:
        values = tile if name == "tile" else getattr(activity, name)
        if name in _KEYS:
            together = values[first]
        elif len(starts):
            together = (np.maximum if name == "passes" else np.add).reduceat(values[order], starts)
        else:
            together = values[:0]
        columns[name] = np.concatenate([values[others], together])[back].astype(COLUMNS[name])
    return Activity(**columns), kept[back]
