"""What the page draws: mean curves of the readings over those of the laws, and steps against the weight."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rpusim.workloads.fit.devices import Scale
from rpusim.workloads.fit.innovations import Curves
from rpusim.workloads.fit.laws import Array, Whole
from rpusim.workloads.fit.scoring import Scored

MOST, BINS = 300, 24


def curves(measured: Curves, scale: Scale, fits: list[Scored]) -> dict[str, Any]:
    """Average curves of one direction over all traces, pulse by pulse, beside what each law makes of the same starts.

    Returns for "up" and "down" (where there are such curves) ``pulses``, ``mean`` and ``spread`` of the readings, in
    weight, and ``fits`` by model; and ``steps`` and ``laws``: mean steps against the weight, and the laws'.
    """
    document: dict[str, Any] = {}
    for way, sign in (("up", 1), ("down", -1)):
        chosen = ((measured.signs == sign) | (measured.signs == 0)).all(0) & (measured.signs[0] != 0)
        of = measured.device[chosen]
        if chosen.any():
            weights = _weights(measured.y[:, chosen], scale, of)
            whole = np.isfinite(weights).sum(1)
            places = np.flatnonzero(whole == whole[0])
            places = places[:: max(1, math.ceil(len(places) / MOST))]
            paths = {fit.law.kind: _weights(_path(fit, measured, chosen), scale, of) for fit in fits}
            document[way] = {
                "traces": int(chosen.sum()),
                "pulses": [int(place) for place in places],
                "mean": _list(weights[places].mean(1)),
                "spread": _list(weights[places].std(1, ddof=1)) if chosen.sum() > 1 else [0.0] * len(places),
                "fits": {kind: _list(path[places].mean(1)) for kind, path in paths.items()},
            }
    document["steps"] = {way: _steps(measured, scale, sign) for way, sign in (("up", 1), ("down", -1))}
    at = np.linspace(-1.0, 1.0, 41)
    document["laws"] = {"weights": _list(at)}
    for fit in fits:
        rows = [step_at(fit, scale, np.full(len(scale.half), w)) for w in at]
        document["laws"][fit.law.kind] = {
            "up": _list(np.array([np.nanmean(up) for up, _ in rows])),
            "down": _list(np.array([np.nanmean(down) for _, down in rows])),
        }
    return document


def step_at(fit: Scored, scale: Scale, weights: Array) -> tuple[Array, Array]:
    """Compute every device's up and down step, in weight, at a weight of its own (devices,)."""
    each = len(fit.law.names)
    p = fit.parameters.T
    x = weights / scale.factor + scale.origin
    found = []
    for sign, of_way in ((1, p[:each]), (-1, p[each : 2 * each])):
        of_way = of_way[::sign] if fit.law.kind == "piecewise-step" else of_way
        size = fit.law.step(sign * x[None], of_way[:, None])[0][0]
        found.append(np.maximum(size, 0.0) * scale.factor)
    return found[0], found[1]


def residual(measured: Curves, scale: Scale, fit: Scored) -> dict[str, float]:
    """Measure what a law leaves: of mean curves (root of the mean square, in weight) and of single steps, in sigmas."""
    squares = []
    for sign in (1, -1):
        chosen = ((measured.signs == sign) | (measured.signs == 0)).all(0) & (measured.signs[0] != 0)
        if chosen.any():
            of = measured.device[chosen]
            left = _weights(measured.y[:, chosen], scale, of) - _weights(_path(fit, measured, chosen), scale, of)
            whole = np.isfinite(left).sum(1)
            squares.append(left[whole == whole[0]].mean(1) ** 2)
    found = {"innovations": float(np.sqrt(np.nanmean(fit.innovations**2)))}
    if squares:
        found["curve"] = float(np.sqrt(np.concatenate(squares).mean()))
    return found


def _path(fit: Scored, measured: Curves, chosen: NDArray[np.bool_]) -> Array:
    """Follow the law without noise from the beginning of some traces (pulses + 1, traces)."""
    each, law = len(fit.law.names), fit.law
    p = fit.parameters[measured.device[chosen]].T
    down = p[each : 2 * each][:: -1 if law.kind == "piecewise-step" else 1]
    x = measured.y[0, chosen]
    found = [x]
    for sign in measured.signs[:, chosen]:
        of_way = np.where(sign >= 0, p[:each], down)
        u = x * sign
        then = u + law.step(u[None], of_way[:, None])[0][0]
        then = np.minimum(then, np.maximum(of_way[1], u)) if law.ends else then
        x = np.where(sign != 0, then * sign, np.nan)
        found.append(x)
    return np.array(found)


def _steps(measured: Curves, scale: Scale, sign: int) -> dict[str, list[float]]:
    """Average steps of a direction by where they begin: weight, step and its standard error, in up to `BINS` bins."""
    moved = (measured.signs == sign) & np.isfinite(measured.y[1:]) & np.isfinite(measured.y[:-1])
    k, traces = np.nonzero(moved)
    of = measured.device[traces]
    begin = (measured.y[k, traces] - scale.origin[of]) * scale.factor[of]
    step = sign * (measured.y[k + 1, traces] - measured.y[k, traces]) * scale.factor[of]
    bins = np.clip(((begin + 1.2) / 2.4 * BINS).astype(int), 0, BINS - 1)
    rows = []
    for each in range(BINS):
        inside = bins == each
        if inside.sum() > 2:
            error = step[inside].std(ddof=1) / math.sqrt(inside.sum())
            rows.append((float(begin[inside].mean()), float(step[inside].mean()), float(error)))
    return {name: [row[j] for row in rows] for j, name in enumerate(("weights", "steps", "errors"))}


def _weights(x: Array, scale: Scale, of: Whole) -> Array:
    """Turn places in devices' own coordinates (.., traces) into weights. of: devices of the traces."""
    return np.asarray((x - scale.origin[of]) * scale.factor[of], np.float64)


def _list(values: Array) -> list[float]:
    return [float(value) for value in values]
