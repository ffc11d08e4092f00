"""How likely readings are, given a law and its noise, each predicted from those before it.

A cell is at x; a pulse moves it by its step with noise, and a reading sees it with the noise of writing and reading:

    x_k = x_(k-1) + sign (f(x_(k-1)) (1 + sigma xi))           y_k = x_k + tau eta + rounding                     (1)

The noise of pulses stays in the cell, so that a curve departs from its mean like a random walk: residuals of a fitted
curve are strongly correlated, and errors computed as if they were not would be far too small. So every reading is
compared with what the ones before it lead to (the Kalman filter, linearised in every step: Jazwinski, Stochastic
Processes and Filtering Theory, 1970). What is left, the innovations e_k with variances S_k, is independent if the law
is right, and

    log L = -1/2 sum (log 2 pi S_k + e_k^2 / S_k)                                                                 (2)

is the likelihood. With the derivatives of e and S its gradient and Fisher information are

    g_i = -sum (e e_i / S + S_i (1 - e^2 / S) / 2 S),      I_ij = sum (e_i e_j / S + S_i S_j / 2 S^2)              (3)

A bound b that stops a cell makes some readings say nothing of its noise: one that is at b, within what reading and
rounding add, is compared with b alone, and counts log P(x > b) besides; one below was not stopped. Where nothing was
read, mean and variance are those of min(x, b) for normal x.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from scipy.special import log_ndtr, ndtr

from rpusim.workloads.fit.laws import Array, Law, Whole

_SMALLEST = 1e-14
_REACH = 4.0
"""A reading is at a bound within so many standard deviations of what reading and rounding add."""
_LEAP = 1e-6
"""Relative to the parameter, the leap over which a derivative is taken."""


@dataclass(frozen=True)
class Curves:
    """All traces side by side, each in its device's own coordinates; shorter ones end early.

    y:       readings (pulses + 1, traces); nan: not read, or past the end.
    signs:   of pulses (pulses, traces): 1, -1; 0 past the end.
    device:  of every trace, by number (traces,).
    rounding: variance of what the file's last digit leaves out (traces,).
    """

    y: Array
    signs: Whole
    device: Whole
    rounding: Array


@dataclass(frozen=True)
class Likelihood:
    """What `evaluate` finds for every device: log L (devices,), gradient (devices, n), information (devices, n, n).

    innovations: e / sqrt(S) of the parameters themselves (pulses, traces); nan where nothing was read.
    """

    value: Array
    gradient: Array
    information: Array
    innovations: Array


def evaluate(law: Law, curves: Curves, parameters: Array) -> Likelihood:
    """Evaluate equations (2) and (3).

    law:         of the steps. curves: what was read.
    parameters:  (devices, law.size): up, down, ln sigma, ln tau.
    """
    devices, number = parameters.shape
    leaps = _LEAP * np.maximum(1.0, np.abs(parameters))  # (devices, n)
    columns = np.repeat(parameters[None], number + 1, axis=0)  # (n + 1, devices, n)
    for j in range(number):
        columns[j + 1, :, j] += leaps[:, j]
    with np.errstate(all="ignore"):
        e, s, at_bound = _filtered(law, curves, columns[:, curves.device])
        seen = ~np.isnan(e[:, 0])
        e, s = np.where(seen[:, None], e, 0.0), np.where(seen[:, None], s, 1.0)
        leap = leaps[curves.device].T[None]  # (1, n, traces)
        e0, s0 = e[:, 0], s[:, 0]
        de, ds = (e[:, 1:] - e0[:, None]) / leap, (s[:, 1:] - s0[:, None]) / leap
        each = np.where(seen, -0.5 * (math.log(2 * math.pi) + np.log(s0) + e0**2 / s0), 0.0).sum(0) + at_bound
        a, b = de / np.sqrt(s0)[:, None], ds / (math.sqrt(2.0) * s0[:, None])
        gradient = -(a * (e0 / np.sqrt(s0))[:, None] + b * ((1 - e0**2 / s0) / math.sqrt(2.0))[:, None]).sum(0)
        information = np.einsum("kit,kjt->tij", a, a) + np.einsum("kit,kjt->tij", b, b)
    found = Likelihood(
        _by_device(each, curves.device, devices),
        _by_device(gradient.T, curves.device, devices),
        _by_device(information, curves.device, devices),
        np.where(seen, e0 / np.sqrt(s0), np.nan),
    )
    return found


def _by_device(of_traces: Array, device: Whole, devices: int) -> Array:
    total = np.zeros((devices, *of_traces.shape[1:]))
    np.add.at(total, device, of_traces)
    return total


def _filtered(law: Law, curves: Curves, columns: Array) -> tuple[Array, Array, Array]:
    """Run the filter. columns: (n + 1, traces, n).

    Returns innovations and variances (pulses, n + 1, traces), and sums of log P(x > b) of stopped cells (traces,).
    """
    each = len(law.names)
    p = np.moveaxis(columns, 2, 0)
    up, down = p[:each], p[each : 2 * each]
    if law.kind == "piecewise-step":
        down = down[::-1]  # nodes are from the lower to the upper end; u goes the other way
    sigma2, tau2 = np.exp(2 * p[-2]), np.exp(2 * p[-1])
    noise = tau2 + curves.rounding
    x = np.broadcast_to(curves.y[0], sigma2.shape).copy()
    v = noise.copy()
    e, s = (np.full((len(curves.signs), *sigma2.shape), np.nan) for _ in range(2))
    constant = bool(np.all(curves.signs == curves.signs[0]) or np.all((curves.signs == 0) | (curves.signs > 0)))
    always, at_bound = None, np.zeros(curves.y.shape[1])
    for k, sign in enumerate(curves.signs):
        if always is None or not constant:
            always = np.where(sign >= 0, up, down)
        u = x * sign
        size, slope = law.step(u, always)
        scale = np.exp(always[0]) if law.additive else size
        mean, var = u + size, v * (1.0 + slope) ** 2 + sigma2 * scale**2
        moved, y = sign != 0, curves.y[k + 1]
        read = moved & ~np.isnan(y)
        if law.ends:
            bound = always[1]
            stopped = read & (y * sign >= bound[0] - _REACH * np.sqrt(noise[0]))
            past = (mean[0] - bound[0]) / np.sqrt(np.maximum(var[0], _SMALLEST))
            at_bound += np.where(stopped, np.maximum(log_ndtr(past), -1e3), 0.0)
            there = _stopped(mean, var, bound)
            mean = np.where(stopped, bound, np.where(read, mean, there[0]))
            var = np.where(stopped, 0.0, np.where(read, var, there[1]))
        x = np.where(moved, mean * sign, x)
        v = np.where(moved, var, v)
        total = v + noise
        error = np.where(read, y - x, 0.0)
        e[k], s[k] = np.where(read, error, np.nan), total
        gain = v / total
        x = np.where(read, x + gain * error, x)
        v = np.where(read, np.maximum(v * noise / total, 0.0), v)
    return e, s, at_bound


def _stopped(mean: Array, var: Array, bound: Array) -> tuple[Array, Array]:
    """Return mean and variance of min(x, bound) for normal x."""
    deviation = np.sqrt(np.maximum(var, _SMALLEST))
    past = (mean - bound) / deviation
    share, density = ndtr(-past), np.exp(-0.5 * past**2) / math.sqrt(2 * math.pi)
    first = deviation * (past * share - density)
    second = deviation**2 * ((past**2 + 1) * share - past * density)
    return bound + first, np.maximum(second - first**2, _SMALLEST)
