"""How far a figure may be off: 95 % intervals of a mean over seeds, and of a share that was counted.

The mean of n values from a normal distribution lies within

    t(n - 1) s / sqrt(n)                                                                                        (1)

of the true one (Student, Biometrika 6:1, 1908); s is their standard deviation with n - 1, t the 97.5 % quantile. The
share p of n samples lies, after Wilson (J. Am. Stat. Assoc. 22:209, 1927), with z the 97.5 % quantile of the normal
distribution, within

    (p + z^2 / 2n +- z sqrt(p (1 - p) / n + z^2 / 4n^2)) / (1 + z^2 / n)                                        (2)

which stays between 0 and 1 and has a width also where no sample was wrong.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import cache

NORMAL = 1.959963984540054
"""The 97.5 % quantile of the normal distribution."""
_QUANTILE = 0.975


def of_mean(values: Sequence[float]) -> tuple[float, float, float]:
    """Average values of different seeds.

    values: at least one.

    Returns the mean and the ends of its interval, by equation (1); of a single value three times the value.
    """
    mean = math.fsum(values) / len(values)
    if len(values) == 1 or min(values) == max(values):
        return values[0], values[0], values[0]
    spread = math.sqrt(math.fsum((value - mean) ** 2 for value in values) / (len(values) - 1))
    half = student(len(values) - 1) * spread / math.sqrt(len(values))
    return mean, mean - half, mean + half


def of_share(share: float, samples: int) -> tuple[float, float]:
    """Find the interval of a share that was counted, such as a test error, by equation (2).

    share: between 0 and 1. samples: of how many; at least 1.

    Returns the lower and the upper end.
    """
    square = NORMAL**2 / samples
    middle = share + square / 2
    half = NORMAL * math.sqrt(share * (1 - share) / samples + square / samples / 4)
    return max((middle - half) / (1 + square), 0.0), min((middle + half) / (1 + square), 1.0)


@cache
def student(freedom: int) -> float:
    """Find the 97.5 % quantile of Student's distribution by halving; freedom: n - 1 of n values, at least 1."""
    low, high = 0.0, 20.0
    while high - low > 1e-12 * high:
        middle = (low + high) / 2
        low, high = (middle, high) if _distribution(middle, freedom) < _QUANTILE else (low, middle)
    return (low + high) / 2


def _distribution(t: float, freedom: int) -> float:
    """Compute the probability of less than t >= 0: the finite sums of Abramowitz & Stegun 26.7.3 and 26.7.4."""
    angle = math.atan(t / math.sqrt(freedom))
    cosine = math.cos(angle)
    odd = freedom % 2
    term = cosine if odd else 1.0
    total = 0.0 if freedom == 1 else term
    for k in range(3 + odd, freedom, 2):
        term *= cosine**2 * (k - 2) / (k - 1)
        total += term
    between = 2 / math.pi * (angle + math.sin(angle) * total) if odd else math.sin(angle) * total
    return (1 + between) / 2
