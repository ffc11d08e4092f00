"""Normalisation in compiled loops: over a mini-batch (BatchNorm), over a sample or groups of its channels (LayerNorm,
GroupNorm).

y = (x - mean) / sqrt(variance + epsilon) * factor + offset; the variance is that of all numbers, not of a sample of
them. Means are added up in double precision, as torch's are. Numbers of a sample lie group by group; the factor of the
n-th one is that at n // spread modulo their number.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from rpusim.kernels.base.loops import Floats, Integers

_F = np.float32
OVER_BATCH, GROUPS, EACH, SPREAD, COUNT, STATISTICS, OF_FACTORS, OF_OFFSETS, OWN = range(9)
"""What an instruction says: whether groups run over the mini-batch; groups of a sample, and numbers of each; how many
numbers in a row have one factor, and how many factors there are; places of the statistics, and of the gradients."""
FACTORS, OFFSETS, RUNNING_MEAN, RUNNING_VARIANCE, TRACKED, FROM_BATCH, FACTORS_LEARN, OFFSETS_LEARN, NORM_COLUMNS = (
    range(9)
)
"""Of a norm: addresses of its tensors, or 0; whether it takes its statistics from the mini-batch, keeps them, and what
of it learns. Its one number: the momentum of the running statistics; below 0: they are means of all mini-batches."""


def groups_of(sizes: tuple[int, ...]) -> int:
    """How many groups of a sample have statistics of their own."""
    return sizes[GROUPS]


def moments(x: Floats, over_batch: bool, groups: int, epsilon: np.float32, mean: Floats, inverse: Floats) -> None:
    """Compute the means, and one over the standard deviations, of every group.

    x: (samples, groups, numbers). mean, inverse: (groups,) if groups run over the mini-batch, else (samples x groups,).
    """
    samples, each = x.shape[0], x.shape[2]
    for g in range(len(mean)):
        first, last = (0, samples) if over_batch else (g // groups, g // groups + 1)
        total, spread = np.float64(0), np.float64(0)
        for b in range(first, last):
            for k in range(each):
                total += np.float64(x[b, g % groups, k])
        middle = total / ((last - first) * each)
        for b in range(first, last):
            for k in range(each):
                off = np.float64(x[b, g % groups, k]) - middle
                spread += off * off
        mean[g] = _F(middle)
        inverse[g] = _F(1.0 / np.sqrt(spread / ((last - first) * each) + np.float64(epsilon)))


def keep(
    mean: Floats,
    inverse: Floats,
    epsilon: np.float32,
    number: int,
    momentum: float,
    tracked: NDArray[np.uint64],
    running_mean: Floats,
    running_variance: Floats,
) -> None:
    """Let running statistics follow those of a mini-batch. number: of numbers in a group. tracked: mini-batches."""
    tracked[0] += np.uint64(1)
    share = momentum if momentum >= 0.0 else 1.0 / np.float64(tracked[0])
    for g in range(len(mean)):
        variance = 1.0 / (np.float64(inverse[g]) * np.float64(inverse[g])) - np.float64(epsilon)
        fresh = variance * number / (number - 1)
        running_mean[g] = _F(share * mean[g] + (1.0 - share) * running_mean[g])
        running_variance[g] = _F(share * fresh + (1.0 - share) * running_variance[g])


def normalise(
    x: Floats, sizes: Integers, mean: Floats, inverse: Floats, factors: Floats, offsets: Floats, y: Floats
) -> None:
    """Compute y; x, y: (samples, groups, numbers). factors, offsets: (COUNT,), or empty for 1 and 0."""
    each, spread, count = sizes[EACH], sizes[SPREAD], sizes[COUNT]
    for b in range(len(x)):
        for g in range(x.shape[1]):
            at = g if sizes[OVER_BATCH] else b * x.shape[1] + g
            first = g * each // spread % count
            for r in range(each // spread):
                factor = factors[first + r] if len(factors) else _F(1)
                offset = offsets[first + r] if len(offsets) else _F(0)
                for k in range(r * spread, (r + 1) * spread):
                    y[b, g, k] = (x[b, g, k] - mean[at]) * inverse[at] * factor + offset


def normalise_back(
    x: Floats,
    sizes: Integers,
    mean: Floats,
    inverse: Floats,
    fixed: bool,
    factors: Floats,
    of_y: Floats,
    of_factors: Floats,
    of_offsets: Floats,
    wanted: bool,
    adds: bool,
    of_x: Floats,
) -> None:
    """Compute the gradients of x, of factors and of offsets; the latter are added to what is there.

    fixed: the statistics are given, and do not follow x. wanted: whether that of x is; adds: to what is there.
    """
    samples, groups, each = x.shape
    spread, count, over_batch = sizes[SPREAD], sizes[COUNT], sizes[OVER_BATCH] != 0
    for at in range(len(mean)):
        g = at % groups
        low, high = (0, samples) if over_batch else (at // groups, at // groups + 1)
        total, along, first = np.float64(0), np.float64(0), g * each // spread % count
        for b in range(low, high):
            for r in range(each // spread):
                factor = factors[first + r] if len(factors) else _F(1)
                of_factor, of_offset = _F(0), _F(0)
                for k in range(r * spread, (r + 1) * spread):
                    part = of_y[b, g, k] * ((x[b, g, k] - mean[at]) * inverse[at])
                    of_factor += part
                    of_offset += of_y[b, g, k]
                of_factors[first + r] += of_factor
                of_offsets[first + r] += of_offset
                total += np.float64(of_offset * factor)
                along += np.float64(of_factor * factor)
        if not wanted:
            continue
        number = np.float64((high - low) * each)
        shift, tilt = (_F(0), _F(0)) if fixed else (_F(total / number), _F(along / number))
        for b in range(low, high):
            for r in range(each // spread):
                factor = factors[first + r] if len(factors) else _F(1)
                for k in range(r * spread, (r + 1) * spread):
                    normal = (x[b, g, k] - mean[at]) * inverse[at]
                    found = (of_y[b, g, k] * factor - shift - normal * tilt) * inverse[at]
                    of_x[b, g, k] = of_x[b, g, k] + found if adds else found


def learn(values: Floats, gradient: Floats, rate: np.float32) -> None:
    """Take a step of gradient descent, after which the gradient is 0."""
    for k in range(len(values)):
        values[k] -= rate * gradient[k]
        gradient[k] = _F(0)
