"""From single devices to their mean and the spread between them, without bias, with 95 % intervals.

Every device's value p_d comes with a variance v_d of its own, which would add to the spread. Without it, and without
weights (those of small steps would be larger, as noise grows with steps, and pull the mean down):

    mean = sum p_d / D,    spread^2 = s^2 - sum v_d / D,    s^2 = sum (p_d - mean)^2 / (D - 1)                    (1)

(Hedges & Olkin, Statistical Methods for Meta-Analysis, 1985: both unbiased). The root of the second is divided by the
mean of chi / sqrt(D - 1), which makes it right on average for normal spreads. Intervals: Student's for the mean, with
s / sqrt(D); for the spread that of s^2 by chi squared, less the mean of v_d. One device has no spread that could be
known, and its mean the interval of its own errors.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from scipy import stats
from scipy.special import gammaln

from rpusim.workloads.fit.laws import Array

NORMAL = 1.959963984540054


@dataclass(frozen=True)
class Figure:
    """A number that was found, with the ends of its 95 % interval; infinite ends where nothing is known."""

    value: float
    low: float
    high: float

    def times(self, factor: float) -> Figure:
        """Scale it."""
        ends = sorted((self.low * factor, self.high * factor))
        return Figure(self.value * factor, *ends)


def mean(values: Array, variances: Array) -> Figure:
    """Find the mean of devices. values, variances: of every device and of its error (devices,)."""
    count = len(values)
    middle = float(np.mean(values))
    if count == 1:
        half = NORMAL * math.sqrt(max(float(variances[0]), 0.0))
    else:
        half = float(stats.t.ppf(0.975, count - 1)) * math.sqrt(float(np.var(values, ddof=1)) / count)
    return Figure(middle, middle - half, middle + half)


def spread(values: Array, variances: Array) -> Figure:
    """Find the standard deviation between devices; 0, with no upper end, for a single one."""
    count = len(values)
    if count == 1:
        return Figure(0.0, 0.0, math.inf)
    of_errors, total = float(np.mean(variances)), float(np.var(values, ddof=1))
    free = count - 1
    ends = [free * total / float(stats.chi2.ppf(share, free)) - of_errors for share in (0.975, 0.025)]
    low, high = (math.sqrt(max(end, 0.0)) for end in ends)
    return Figure(math.sqrt(max(total - of_errors, 0.0)) / _chi(free), low, high)


def covariance(a: Array, b: Array, errors: Array) -> float:
    """Find the covariance between devices of two values; errors: their covariances within each device (devices,)."""
    return float(np.cov(a, b)[0, 1] - np.mean(errors)) if len(a) > 1 else 0.0


def pooled_noise(logarithms: Array, variances: Array, readings: Array) -> Figure:
    """Pool the noise of devices, which is the same in all: a mean of squares, weighted by how often each was read.

    logarithms, variances: of the standard deviations, and of their errors. readings: of every device.
    """
    weight = readings / readings.sum()
    squares = np.exp(2 * logarithms)
    value = math.sqrt(float((weight * squares).sum()))
    half = NORMAL * math.sqrt(float((weight**2 * variances).sum()))
    return Figure(value, value * math.exp(-half), value * math.exp(half))


def _chi(free: int) -> float:
    """Average the standard deviation of ``free`` + 1 normal numbers over that of the distribution."""
    return math.sqrt(2.0 / free) * math.exp(float(gammaln((free + 1) / 2) - gammaln(free / 2)))
