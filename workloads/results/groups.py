"""Runs that differ in the seed alone, put together: a figure with its interval, and which groups nothing beats."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from rpusim.workloads.results import intervals


def figure(name: str, values: Sequence[float], samples: int) -> dict[str, Any]:
    """Average a figure over seeds, with its 95 % interval.

    name:     of the figure; errors are shares.
    values:   at least one.
    samples:  in which an error of one seed was counted; 0: it was not, or that is not known.

    Returns mean, low, high, and the number of seeds n.
    """
    mean, low, high = intervals.of_mean(values)
    if name.startswith("error"):
        if len(values) == 1 and samples:
            low, high = intervals.of_share(mean, samples)
        low, high = max(low, 0.0), min(high, 1.0)
    return {"mean": mean, "low": low, "high": high, "n": len(values)}


def unbeaten(vectors: Sequence[Sequence[float]]) -> list[bool]:
    """Tell of each vector of goals (less is better) whether no other is as good in every goal and better in one."""
    return [
        not any(w != v and all(a <= b for a, b in zip(w, v, strict=True)) for w in map(tuple, vectors))
        for v in map(tuple, vectors)
    ]
