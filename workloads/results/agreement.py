"""Whether a figure of ours agrees with a published one: what counts as agreement, and what an interval lets one say."""

from __future__ import annotations

from math import inf
from typing import Literal

Verdict = Literal["holds", "holds in the mean", "misses in the mean", "does not hold"]
PASSING: tuple[Verdict, ...] = ("holds", "holds in the mean")
"""Verdicts on a figure that agrees."""


def accepted(published: float, tolerance: str) -> tuple[float, float]:
    """Find the lowest and the highest figure that agree with a published one.

    published:  the figure; positive where the tolerance is a factor.
    tolerance:  "2 %" of the published figure, "factor 2" in either direction, "+- 2" in its unit, "exact", or a
                direction: "at least", "at most".
    Raises `ValueError` for a tolerance in other words.

    >>> accepted(10.0, "factor 2"), accepted(10.0, "5 %"), accepted(10.0, "at least")
    ((5.0, 20.0), (9.5, 10.5), (10.0, inf))
    """
    if tolerance == "exact":
        return published, published
    if tolerance == "at least":
        return published, inf
    if tolerance == "at most":
        return -inf, published
    words = tolerance.split()
    try:
        if len(words) == 2 and words[1] == "%":
            away = float(words[0]) / 100 * abs(published)
            return published - away, published + away
        if len(words) == 2 and words[0] == "+-":
            return published - float(words[1]), published + float(words[1])
        if len(words) == 2 and words[0] == "factor" and float(words[1]) >= 1:
            return published / float(words[1]), published * float(words[1])
    except ValueError:
        pass
    raise ValueError(
        f"got {tolerance!r}, but a tolerance is 'exact', 'at least', 'at most', or like '2 %', 'factor 2' or '+- 2'"
    )


def verdict(mean: float, low: float, high: float, published: float, tolerance: str) -> Verdict:
    """Say whether a figure with an interval agrees, in words that follow the interval.

    mean, low, high:       the figure, and the ends of its interval.
    published, tolerance:  as of `accepted`.

    Returns "holds" if the whole interval agrees, "holds in the mean" if the mean does, "misses in the mean" if only
    some of the interval does, and "does not hold" if none of it does.

    >>> verdict(0.2, 0.1, 0.25, 0.3, "at most"), verdict(0.2, 0.0, 0.4, 0.3, "at most")
    ('holds', 'holds in the mean')
    """
    lowest, highest = accepted(published, tolerance)
    if lowest <= low and high <= highest:
        return "holds"
    if lowest <= mean <= highest:
        return "holds in the mean"
    return "misses in the mean" if low <= highest and high >= lowest else "does not hold"
