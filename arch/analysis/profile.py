"""A quantity over time that is constant between changes: power, bits in a buffer, converters in use."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rpusim.arch.contract.columns import Integers


@dataclass(frozen=True)
class Profile:
    """``values[i]`` from ``times[i]`` up to ``times[i + 1]`` (ps); times ascend, and the last one is the end."""

    times: Integers
    values: NDArray[Any]

    @staticmethod
    def of_intervals(start: Integers, end: Integers, value: NDArray[Any], until: int, base: float = 0) -> Profile:
        """``base``, and while each interval lasts its value besides (all of them at least 0), from 0 to ``until``."""
        times = np.concatenate([[0, until], start, end])
        change = np.concatenate([np.zeros(2, value.dtype), value, -value])
        profile = Profile.of_changes(times, change, until)
        return Profile(profile.times, np.maximum(profile.values + base, base))  # floats that cancel leave a residue

    @staticmethod
    def of_changes(times: Integers, change: NDArray[Any], until: int) -> Profile:
        """The sum of all changes so far, from 0 to ``until``; times may come in any order."""
        times = np.concatenate([[0, until], times])
        edges, place = np.unique(times, return_inverse=True)
        changes = np.zeros(len(edges), change.dtype)
        np.add.at(changes, place[2:], change)
        inside = edges <= until
        return Profile(edges[inside], np.cumsum(changes)[inside][:-1])

    @property
    def integral(self) -> float:
        """Value times picoseconds."""
        return float((self.values * np.diff(self.times)).sum())

    @property
    def peak(self) -> tuple[int, float]:
        """(time in ps, value) where the value is largest, for the first time."""
        if not len(self.values):
            return 0, 0.0
        at = int(np.argmax(self.values))
        return int(self.times[at]), self.values[at].item()

    def binned(self, bins: int) -> NDArray[np.float64]:
        """The mean value in each of so many equal parts of the time: the same integral, fewer numbers."""
        if not len(self.values):
            return np.zeros(0)
        reached = np.concatenate([[0.0], np.cumsum(self.values * np.diff(self.times).astype(np.float64))])
        edges = np.linspace(self.times[0], self.times[-1], bins + 1)
        means: NDArray[np.float64] = np.diff(np.interp(edges, self.times, reached)) / np.diff(edges)
        return means
