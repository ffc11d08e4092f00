"""The parameters of every device at which its readings are most likely, by Fisher scoring with damping.

    p <- p + (I + lambda diag I)^-1 g                                                                             (1)

(Levenberg and Marquardt's damping). All devices are scored side by side, each with a damping of its own. The inverse of
the information is the covariance of the errors. What a fitted curve has taken up of the noise is given back: the
logarithms of the noise move by what the restricted likelihood adds to (1) of them, V g with

    g = -1/2 d log |I of the other parameters| / d log noise                                                      (2)

(Cox & Reid, J. R. Stat. Soc. B 49:1, 1987). Where data say nothing of a parameter (a bound that no curve comes near,
noise below the last digit) a prior keeps it in place: bounds that stop a cell at the ends of the device's own range
within once that range, logarithms of noise within 10.
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from rpusim.workloads.fit.innovations import Curves, Likelihood, evaluate
from rpusim.workloads.fit.laws import NODES, Array, Law, Whole

_ROUNDS = 60
_ENOUGH = 1e-6
_LEAP = 0.05
"""Of the logarithm of noise, over which the slope of equation (2) is taken."""
_LOGS = {"size": 4.0, "power": 2.0, "rate": 2.0}
"""Standard deviations of the priors of logarithms, and how far a round may move them."""
LOWEST, HIGHEST = -12.0, 2.0
"""Logarithms of noise."""


@dataclass(frozen=True)
class Scored:
    """What is found for all devices.

    law:         of the steps.
    parameters:  (devices, law.size); covariance: (devices, law.size, law.size).
    likelihood:  log L of every device at them (devices,), without the priors.
    innovations: standardised (pulses, traces).
    """

    law: Law
    parameters: Array
    covariance: Array
    likelihood: Array
    innovations: Array

    def readings(self, curves: Curves) -> Array:
        """Count the readings of every device that were predicted (devices,)."""
        counts = np.zeros(len(self.parameters))
        np.add.at(counts, curves.device, np.isfinite(self.innovations).sum(0))
        return counts


def score(law: Law, curves: Curves, devices: int) -> Scored:
    """Fit a law to every device: from each first guess, the best of which is taken."""
    best: Scored | None = None
    for shape in law.starts:
        found = _scored(law, curves, _first(law, curves, devices, shape))
        if best is None:
            best = found
            continue
        better = found.likelihood > best.likelihood
        best = Scored(
            law,
            np.where(better[:, None], found.parameters, best.parameters),
            np.where(better[:, None, None], found.covariance, best.covariance),
            np.where(better, found.likelihood, best.likelihood),
            np.where(better[curves.device], found.innovations, best.innovations),
        )
    assert best is not None, "every law has a first guess"
    return best


def _scored(law: Law, curves: Curves, start: Array) -> Scored:
    centre, weight = start.copy(), _priors(law)
    p, devices = start.copy(), len(start)
    now = evaluate(law, curves, p)
    value = _penalised(now.value, p, centre, weight)
    damping, active = np.full(devices, 1e-2), np.ones(devices, bool)
    most = np.minimum(1.0, weight**-0.5)
    for _ in range(_ROUNDS):
        gradient = now.gradient - weight * (p - centre)
        information = now.information + np.diag(weight)
        diagonal = np.einsum("dii->di", information)
        damped = information + np.einsum("d,di,ij->dij", damping, diagonal, np.eye(p.shape[1]))
        step = np.linalg.solve(damped, gradient[..., None])[..., 0]
        step *= np.minimum(1.0, (most / np.maximum(np.abs(step), 1e-300)).min(1))[:, None]
        trial = _within(law, p + np.where(active[:, None], step, 0.0))
        then = evaluate(law, curves, trial)
        reached = _penalised(then.value, trial, centre, weight)
        better = np.nan_to_num(reached, nan=-np.inf) > value
        gained = np.where(better, reached - value, 0.0)
        damping = np.where(better, damping / 5.0, damping * 5.0)
        p = np.where(better[:, None], trial, p)
        value = np.where(better, reached, value)
        active &= ~((better & (gained < _ENOUGH)) | (damping > 1e8))
        now = _merged(better, then, now, curves)
        if not active.any():
            break
    covariance = np.linalg.inv(now.information + np.diag(weight))
    p = _within(law, p + _given_back(law, curves, p, covariance, weight))
    return Scored(law, p, covariance, now.value, now.innovations)


def _given_back(law: Law, curves: Curves, p: Array, covariance: Array, weight: Array) -> Array:
    """Compute V g of equation (2), 0 but for the noise; noise of which nothing is known stays (devices, law.size)."""
    slopes = np.zeros((len(p), 2))
    for k in range(2):
        ends = []
        for sign in (1.0, -1.0):
            shifted = p.copy()
            shifted[:, k - 2] += sign * _LEAP
            inner = evaluate(law, curves, shifted).information[:, :-2, :-2] + np.diag(weight[:-2])
            ends.append(np.linalg.slogdet(inner)[1])
        slopes[:, k] = -0.5 * (ends[0] - ends[1]) / (2 * _LEAP)
    of_noise = covariance[:, -2:, -2:]
    known = np.einsum("dkk->dk", of_noise) < 1.0
    found = np.zeros_like(p)
    found[:, -2:] = np.clip(np.einsum("dij,dj->di", of_noise, slopes), -0.5, 0.5) * known
    return found


def _merged(chosen: NDArray[np.bool_], this: Likelihood, other: Likelihood, curves: Curves) -> Likelihood:
    """Take some devices from one likelihood, and the rest from another."""
    return Likelihood(
        np.where(chosen, this.value, other.value),
        np.where(chosen[:, None], this.gradient, other.gradient),
        np.where(chosen[:, None, None], this.information, other.information),
        np.where(chosen[curves.device], this.innovations, other.innovations),
    )


def _penalised(likelihood: Array, p: Array, centre: Array, weight: Array) -> Array:
    return np.asarray(likelihood - 0.5 * (weight * (p - centre) ** 2).sum(1), np.float64)


def _priors(law: Law) -> Array:
    """Return inverse variances of the priors around the first guess (law.size,)."""
    deviations = [_LOGS.get(name, 2.0) for name in law.names]
    if law.kind == "piecewise-step":
        deviations = [1.0] * NODES
    if not law.ends:  # bounds at which steps vanish may be far beyond what was measured
        deviations = [10.0 if name == "bound" else value for name, value in zip(law.names, deviations, strict=True)]
    return np.asarray(np.array([*deviations, *deviations, 10.0, 10.0]) ** -2.0, np.float64)


def _within(law: Law, p: Array) -> Array:
    """Keep parameters where the law means something."""
    p = p.copy()
    p[:, -2:] = np.clip(p[:, -2:], LOWEST, HIGHEST)
    if "bound" in law.names:
        for offset in (0, len(law.names)):
            p[:, offset + 1] = np.clip(p[:, offset + 1], 0.05, 100.0)
    if len(law.names) == 3 and law.names[2] != "slope":
        for offset in (0, len(law.names)):
            p[:, offset + 2] = np.clip(p[:, offset + 2], -6.0, 3.0)
    return p


def _first(law: Law, curves: Curves, devices: int, shape: float) -> Array:
    """Guess the parameters of every device: a straight line through its steps against where they begin."""
    found = np.zeros((devices, law.size))
    each = len(law.names)
    for device in range(devices):
        chosen = curves.device == device
        y, signs = curves.y[:, chosen], curves.signs[:, chosen]
        sizes, left = [], []
        for way, offset in ((1, 0), (-1, each)):
            u, step = _steps(y, signs, way)
            line = np.polyfit(u, step, 1) if len(u) > 2 and np.ptp(u) > 0 else np.array([0.0, step.mean()])
            middle = max(line[1], 0.1 * abs(step.mean()), 1e-6)
            slope = -line[0] / middle
            left.append(step - np.maximum(np.polyval(line, u), 0.0))
            sizes.append(middle)
            if law.kind == "piecewise-step":
                at = np.linspace(-1.0, 1.0, NODES)
                nodes = np.maximum(middle * (1.0 - slope * at), 0.05 * middle)
                found[device, offset : offset + each] = nodes if way > 0 else nodes[::-1]
                continue
            ahead = max(float(np.nanmax(y * way)), 0.2)
            bound = ahead * shape if law.ends else max(1.0 / slope if slope > 0.05 else 20.0, ahead * 1.02)
            guess = [np.log(middle), bound, slope if law.names[-1] == "slope" else shape]
            found[device, offset : offset + each] = guess[:each]
        residual = np.concatenate(left)
        pairs = np.concatenate([r[1:] * r[:-1] for r in left])
        tau2 = max(-float(pairs.mean()), 1e-4 * residual.var(), 1e-12)
        sigma2 = max(residual.var() - 2 * tau2, 0.05 * residual.var(), 1e-12) / np.mean(sizes) ** 2
        found[device, -2:] = 0.5 * np.log([sigma2, tau2])
    return _within(law, found)


def _steps(y: Array, signs: Whole, way: int) -> tuple[Array, Array]:
    """List where the steps of a direction begin, as u, and how large they are; a gap of readings is shared out."""
    places, sizes = [], []
    for trace in range(y.shape[1]):
        read = np.flatnonzero(~np.isnan(y[:, trace]))
        for a, b in itertools.pairwise(read):
            if (signs[a:b, trace] == way).all():
                places.append(way * y[a, trace])
                sizes.append(way * (y[b, trace] - y[a, trace]) / (b - a))
    return np.array(places), np.array(sizes)
