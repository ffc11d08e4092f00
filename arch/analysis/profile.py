"""Describe a quantity over time that is constant between changes: power, bits in a buffer, converters in use."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rpusim.arch.contract.columns import Integers


@dataclass(frozen=True)
class Profile:
    """Hold a quantity that is ``values[i]`` from ``times[i]`` up to ``times[i + 1]``.

    times:   (n + 1,) ps, ascending; the last one is the end.
    values:  (n,).
    """

    times: Integers
    values: NDArray[Any]

    @staticmethod
    def of_intervals(start: Integers, end: Integers, value: NDArray[Any], until: int, base: float = 0) -> Profile:
        """Sum up values that each last for an interval.

        Args:
            start: (intervals,) ps.
            end: (intervals,) ps.
            value: (intervals,); if one is below 0, the sum with ``base`` is not.
            until: ps at which the profile ends; it begins at 0.
            base: value that is always there besides.
        """
        times = np.concatenate([[0, until], start, end])
        change = np.concatenate([np.zeros(2, value.dtype), value, -value])
        profile = Profile.of_changes(times, change, until)
        least = base if np.all(value >= 0) else 0  # floats that cancel leave a residue
        return Profile(profile.times, np.maximum(profile.values + base, least))

    @staticmethod
    def of_changes(times: Integers, change: NDArray[Any], until: int) -> Profile:
        """Sum up changes.

        Args:
            times: (changes,) ps, in any order.
            change: (changes,) by how much the quantity changes then.
            until: ps at which the profile ends; it begins at 0, with the value 0.
        """
        times = np.concatenate([[0, until], times])
        edges, place = np.unique(times, return_inverse=True)
        changes = np.zeros(len(edges), change.dtype)
        np.add.at(changes, place[2:], change)
        inside = edges <= until
        return Profile(edges[inside], np.cumsum(changes)[inside][:-1])

    @property
    def integral(self) -> float:
        """The sum of value times picoseconds."""
        return float((self.values * np.diff(self.times)).sum())

    @property
    def peak(self) -> tuple[int, float]:
        """Time (ps) at which the value is first largest, and that value."""
        if not len(self.values):
            return 0, 0.0
        at = int(np.argmax(self.values))
        return int(self.times[at]), self.values[at].item()

    def binned(self, bins: int) -> NDArray[np.float64]:
        """Average over equal parts of the time, which keeps the integral.

        Args:
            bins: how many parts.

        Returns:
            (bins,) mean value in each.
        """
        if not len(self.values):
            return np.zeros(0)
        reached = np.concatenate([[0.0], np.cumsum(self.values * np.diff(self.times).astype(np.float64))])
        edges = np.linspace(self.times[0], self.times[-1], bins + 1)
        means: NDArray[np.float64] = np.diff(np.interp(edges, self.times, reached)) / np.diff(edges)
        return means
