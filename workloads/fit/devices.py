"""From fitted laws to the parameters of a device of rpusim.

A conductance G becomes the weight w = (G - reference) / unit: one reference and one unit for all devices. By default
the mean range of the devices becomes -1 to 1. What the models of `rpusim.kernels.devices.models` are told in:

    every model     steps s_up, s_down at w = 0 (pow-step: at the far bound; exp-step: without the saturation), bounds
    dw_min          the larger mean step;  up_down: how much smaller the other one is
    dw_min_dtod     spread of (s_up + s_down) / 2 over dw_min;  up_down_dtod: that of (s_up - s_down) / 2
    w_max, w_min    mean bounds;  their _dtod relative to them

Spreads are taken as independent of each other, as the models have them.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, fields
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import brentq

from rpusim.errors import InputError
from rpusim.kernels.devices import PULSED, PulsedDevice
from rpusim.workloads.fit import population
from rpusim.workloads.fit.laws import NODES, Array, Law
from rpusim.workloads.fit.population import Figure
from rpusim.workloads.fit.scoring import LOWEST, Scored

_NEVER = 0.25
"""Standard error of a bound, in half ranges, above which curves are said not to reach it."""


@dataclass(frozen=True)
class Scale:
    """How conductances become weights.

    reference, unit: in siemens. middle, half: of every device's own range, in siemens (devices,).
    """

    reference: float
    unit: float
    middle: Array
    half: Array

    @property
    def origin(self) -> Array:
        """Where w = 0 lies in every device's own coordinates (devices,)."""
        return (self.reference - self.middle) / self.half

    @property
    def factor(self) -> Array:
        """Weights of one unit of a device's own coordinates (devices,)."""
        return self.half / self.unit


@dataclass(frozen=True)
class Fitted:
    """A device as rpusim has it, found from data.

    device:   with all its parameters.
    figures:  by parameter, each with its interval.
    points:   of every device, its symmetry point in weight, and the standard error (devices, 2); nan: none.
    unseen:   what the data do not show, as sentences.
    """

    device: PulsedDevice
    figures: dict[str, Figure]
    points: Array
    unseen: tuple[str, ...]


def natural(law: Law, p: Array, origin: float, factor: float) -> Array:
    """Write one device's parameters as the model has them: s_up, s_down, w_max, w_min, and the shapes.

    p: of the law (law.size,). origin, factor: of the device, see `Scale`.
    """
    each = len(law.names)
    if law.kind == "piecewise-step":
        up, down = p[:each], p[each : 2 * each]
        whole = (up.mean() + down.mean()) / 2
        ends = factor * (1.0 - origin), factor * (-1.0 - origin)
        return np.array([factor * up.mean(), factor * down.mean(), *ends, *up / whole, *down / whole])
    sides, shapes = [], []
    bounds = p[1], p[each + 1]
    for way, offset in ((1, 0), (-1, each)):
        u, (size, bound) = way * origin, (math.exp(p[offset]), p[offset + 1])
        if law.kind == "constant-step":
            sides.append(factor * size)
        elif law.kind == "linear-step":
            sides.append(factor * size * (1.0 - p[offset + 2] * u))
            shapes.append(size * p[offset + 2] / max(sides[-1], 1e-12))
        elif law.kind == "pow-step":
            power = math.exp(p[offset + 2])
            sides.append(factor * size * (sum(bounds) / bound) ** power)
            shapes.append(power)
        elif law.kind == "exp-step":
            rate = math.exp(p[offset + 2])
            sides.append(factor * size / -math.expm1(-rate * bound))
            shapes += [rate * (u - bound), rate * sum(bounds) / 2]
        else:
            sides.append(factor * size * (1.0 - u / bound))
    return np.array([*sides, factor * (bounds[0] - origin), factor * (-bounds[1] - origin), *shapes])


def symmetry_point(law: Law, p: Array, origin: float, factor: float) -> float:
    """Find the weight at which a device's up and down steps are equal; nan where they are nowhere."""
    each = len(law.names)
    up, down = p[:each, None], p[each : 2 * each, None]
    if law.kind == "piecewise-step":
        low, high, down = -1.0, 1.0, down[::-1]
    else:
        low, high = -float(p[each + 1]), float(p[1])

    def excess(x: float) -> float:
        at = np.array([x])
        return float(law.step(at, up)[0][0] - law.step(-at, down)[0][0])

    if law.kind == "constant-step" or excess(low) * excess(high) >= 0:
        return math.nan
    return factor * (float(brentq(excess, low, high, xtol=1e-9)) - origin)


def made(scored: Scored, scale: Scale, readings: Array) -> Fitted:
    """Make the device of a law that was fitted to devices.

    scored: the fit. scale: of the weights. readings: how many every device has (devices,).
    """
    law, p = scored.law, scored.parameters
    values, errors = _with_errors(scored, scale)
    variances = np.einsum("dii->di", scored.covariance)
    reached = _reached(law, variances)
    bound = tuple(population.mean(values[reached[:, k], 2 + k], errors[reached[:, k], 2 + k, 2 + k]) for k in (0, 1))
    if not bound[1].value < 0.0 < bound[0].value:
        raise InputError(
            f"--reference: the devices' bounds come out at {bound[1].value:.3g} and {bound[0].value:.3g} in weight; "
            "accepted: a reference between them"
        )
    figures = _pair(("dw_min", "dw_min_dtod", "up_down", "up_down_dtod"), values[:, :2], errors[:, :2, :2])
    figures |= {"w_max": bound[0], "w_min": bound[1]}
    for name, column in (("w_max", 2), ("w_min", 3)):
        rows = reached[:, column - 2]
        of_bound = population.spread(values[rows, column], errors[rows, column, column])
        figures[f"{name}_dtod"] = of_bound.times(1.0 / abs(figures[name].value))
    figures |= _shapes(law, values, errors, figures)
    unseen: list[str] = []
    figures["dw_min_std"] = population.pooled_noise(p[:, -2], variances[:, -2], readings)
    in_weights = p[:, -1] + np.log(scale.factor)
    write = population.pooled_noise(in_weights, variances[:, -1], readings)
    figures["write_noise_std"] = _over(write, figures["dw_min"])
    for name, column, words in (("dw_min_std", -2, "noise of pulses"), ("write_noise_std", -1, "noise of writes")):
        if (variances[:, column] > 1.0).all() or (p[:, column] <= LOWEST + 1.0).all():
            unseen.append(f"{words} is too small beside the other noise to be told from none: 0 is written")
            known = (variances[:, column] < 1.0).all()
            figures[name] = Figure(0.0, 0.0, figures[name].high if known else math.inf)
    unseen += _unreached(law, reached, variances, figures)
    if len(p) == 1:
        unseen.append("one device was measured, which says nothing of the spread between devices: 0 is written")
    device = _device(law, figures)
    return Fitted(device, figures, _points(scored, scale), tuple(unseen))


def _loose(law: Law, variances: Array) -> NDArray[np.bool_]:
    """Tell of which devices the curves say little of the upper and the lower bound (devices, 2)."""
    if "bound" not in law.names:
        return np.zeros((len(variances), 2), bool)
    found: NDArray[np.bool_] = variances[:, [1, len(law.names) + 1]] > _NEVER**2
    return found


def _reached(law: Law, variances: Array) -> NDArray[np.bool_]:
    """Choose the devices whose bounds count (devices, 2): those that were seen, or all where most were not."""
    seen = ~_loose(law, variances)
    return np.where(seen.mean(0) >= 0.5, seen, True)


def _unreached(law: Law, reached: NDArray[np.bool_], variances: Array, figures: dict[str, Figure]) -> list[str]:
    """Say which bounds were not seen, and open the intervals of what hangs on them."""
    said, loose = [], _loose(law, variances)
    for k, (name, word, way) in enumerate((("w_max", "upper", "up"), ("w_min", "lower", "down"))):
        missed = int(loose[:, k].sum())
        if not missed:
            continue
        devices = f"{missed} of {len(loose)} devices"
        if not reached[:, k].all():
            said.append(f"the curves of {devices} do not come near the {word} bound, and are left out of it")
            continue
        said.append(
            f"the curves of {devices} do not come near the {word} bound, "
            + ("so that it may lie farther out" if law.ends else "which is extrapolated")
        )
        for each in (name, f"gamma_{way}") if law.ends else ():
            if (figure := figures.get(each)) is not None:
                outwards = figure.value > 0
                low, high = (figure.low, math.inf) if outwards else (-math.inf, figure.high)
                figures[each] = Figure(figure.value, low, high)
        for each in (f"{name}_dtod", f"gamma_{way}_dtod") if law.ends else ():
            if each in figures:
                figures[each] = Figure(figures[each].value, 0.0, math.inf)
    return said


def _over(this: Figure, other: Figure) -> Figure:
    """Divide a number by another one, their errors being independent of each other."""
    value = this.value / other.value
    ends = []
    for sign in (-1.0, 1.0):
        of_this = (this.high - this.value) if sign > 0 else (this.value - this.low)
        of_other = value * (other.high - other.low) / 2 / other.value
        ends.append(value + sign * math.hypot(of_this / other.value, of_other))
    return Figure(value, max(ends[0], 0.0), ends[1])


def _device(law: Law, figures: dict[str, Figure]) -> PulsedDevice:
    """Make the device of the figures that are parameters of its model."""
    if law.kind == "exp-step" and figures["dw_min"].value > figures["w_max"].value - figures["w_min"].value:
        raise InputError("its curvature comes out too small to be told from a straight line, which is soft-bounds")
    kind = PULSED[law.kind]
    given: dict[str, Any] = {field.name: 0.0 for field in fields(kind) if field.init and field.name.endswith("_dtod")}
    given |= {name: figure.value for name, figure in figures.items() if "[" not in name}
    for name in ("piecewise_up", "piecewise_down") if law.kind == "piecewise-step" else ():
        given[name] = tuple(figures[f"{name}[{k}]"].value for k in range(NODES))
    if law.kind == "exp-step":
        given |= {"a": 1.0, "b": 0.0}
    if law.kind == "linear-step" and any(
        figures[f"gamma_{way}"].value < 2 * figures[f"gamma_{way}_dtod"].value for way in ("up", "down")
    ):
        given["allow_increasing"] = True
    if law.kind == "soft-bounds-reference":
        given |= {"mult_noise": False}
    return kind(**given)


def _with_errors(scored: Scored, scale: Scale) -> tuple[Array, Array]:
    """Write all devices' parameters as the model has them, with the covariances of their errors (linearised)."""
    values, errors = [], []
    for p, covariance, origin, factor in zip(
        scored.parameters, scored.covariance, scale.origin, scale.factor, strict=True
    ):
        here = natural(scored.law, p, origin, factor)
        slopes = np.empty((len(here), len(p)))
        for j in range(len(p)):
            leap = np.zeros_like(p)
            leap[j] = 1e-5 * max(1.0, abs(p[j]))
            ahead, behind = (natural(scored.law, p + sign * leap, origin, factor) for sign in (1, -1))
            slopes[:, j] = (ahead - behind) / (2 * leap[j])
        values.append(here)
        errors.append(slopes @ covariance @ slopes.T)
    return np.array(values), np.array(errors)


def _points(scored: Scored, scale: Scale) -> Array:
    """Find every device's symmetry point and its standard error (devices, 2)."""
    found = []
    for p, covariance, origin, factor in zip(
        scored.parameters, scored.covariance, scale.origin, scale.factor, strict=True
    ):
        here = symmetry_point(scored.law, p, origin, factor)
        slopes = np.zeros(len(p))
        for j in range(len(p) if not math.isnan(here) else 0):
            leap = np.zeros_like(p)
            leap[j] = 1e-5 * max(1.0, abs(p[j]))
            ahead, behind = (symmetry_point(scored.law, p + sign * leap, origin, factor) for sign in (1, -1))
            slopes[j] = (ahead - behind) / (2 * leap[j]) if math.isfinite(ahead - behind) else 0.0
        found.append((here, math.sqrt(max(float(slopes @ covariance @ slopes), 0.0))))
    return np.array(found)


def _pair(names: tuple[str, str, str, str], values: Array, errors: Array) -> dict[str, Figure]:
    """Write two columns, up and down, as a mean, its spread, an asymmetry and its spread, as `PulsedDevice` has them.

    values: (devices, 2). errors: covariances of their errors (devices, 2, 2).
    """
    up, down = (population.mean(values[:, k], errors[:, k, k]) for k in (0, 1))
    larger, smaller = (up, down) if up.value >= down.value else (down, up)
    sign = 1.0 if up.value >= down.value else -1.0
    across = np.cov(values.T) / len(values) if len(values) > 1 else errors[0]
    ratio = smaller.value / larger.value
    order = [0, 1] if sign > 0 else [1, 0]
    slopes = np.array([-ratio, 1.0]) / larger.value
    half = (larger.high - larger.value) / max(math.sqrt(across[order[0], order[0]]), 1e-300)
    half *= math.sqrt(max(float(slopes @ across[np.ix_(order, order)] @ slopes), 0.0))
    asymmetry = sign * (1.0 - ratio)
    common, opposite = (values[:, 0] + values[:, 1]) / 2, (values[:, 0] - values[:, 1]) / 2
    of_sum = (errors[:, 0, 0] + errors[:, 1, 1] + 2 * errors[:, 0, 1]) / 4
    of_difference = (errors[:, 0, 0] + errors[:, 1, 1] - 2 * errors[:, 0, 1]) / 4
    return {
        names[0]: larger,
        names[1]: population.spread(common, of_sum).times(1.0 / larger.value),
        names[2]: Figure(asymmetry, asymmetry - half, asymmetry + half),
        names[3]: population.spread(opposite, of_difference).times(1.0 / larger.value),
    }


def _shapes(law: Law, values: Array, errors: Array, found: dict[str, Figure]) -> dict[str, Figure]:
    """Find the parameters that only some models have."""
    figures: dict[str, Figure] = {}
    if law.kind == "linear-step":
        for way, column, bound in (("up", 4, "w_max"), ("down", 5, "w_min")):
            scale = abs(found[bound].value)
            variances = errors[:, column, column]
            figures[f"gamma_{way}"] = population.mean(values[:, column], variances).times(scale)
            figures[f"gamma_{way}_dtod"] = population.spread(values[:, column], variances).times(scale)
    elif law.kind == "pow-step":
        names = "pow_gamma", "pow_gamma_dtod", "pow_up_down", "pow_up_down_dtod"
        figures = _pair(names, values[:, 4:6], errors[:, 4:6, 4:6])
    elif law.kind == "exp-step":
        for way, column in (("up", 4), ("down", 6)):
            log = population.mean(values[:, column], errors[:, column, column])
            figures[f"A_{way}"] = Figure(*(math.exp(each) for each in (log.value, log.low, log.high)))
            figures[f"gamma_{way}"] = population.mean(values[:, column + 1], errors[:, column + 1, column + 1])
    elif law.kind == "piecewise-step":
        whole = values[:, :2].mean()
        for offset, way in ((4, "up"), (4 + NODES, "down")):
            for k in range(NODES):
                node = population.mean(values[:, offset + k], errors[:, offset + k, offset + k])
                figures[f"piecewise_{way}[{k}]"] = node
        found["dw_min"] = found["dw_min"].times(whole / found["dw_min"].value)
        found["up_down"] = Figure(0.0, 0.0, 0.0)
    elif law.kind == "soft-bounds-reference" and len(values) > 1:
        shared = population.covariance(values[:, 2], values[:, 3], errors[:, 2, 3])
        own = {name: (found[f"{name}_dtod"].value * abs(found[name].value)) ** 2 for name in ("w_max", "w_min")}
        shared = min(max(shared, 0.0), *own.values())
        figures["reference_std"] = Figure(math.sqrt(shared), 0.0, math.inf)
        for name, square in own.items():
            before = found[f"{name}_dtod"]
            value = math.sqrt(max(square - shared, 0.0)) / abs(found[name].value)
            found[f"{name}_dtod"] = Figure(value, min(before.low, value), before.high)
        pull = shared / (found["w_max"].value * -found["w_min"].value)
        opposite = found["up_down_dtod"]
        value = math.sqrt(max(opposite.value**2 - pull, 0.0))
        found["up_down_dtod"] = Figure(value, min(opposite.low, value), opposite.high)
    return figures
