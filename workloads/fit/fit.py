"""The main flow of `rpusim fit`: read, fit every model to every device, choose, and say what was found."""

from __future__ import annotations

import math
import platform
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import scipy

from rpusim.errors import InputError, nearest
from rpusim.workloads.cells import own_devices
from rpusim.workloads.fit import drawn, patterns, readings
from rpusim.workloads.fit.choice import Choice, Judged, choose
from rpusim.workloads.fit.devices import Fitted, Scale, made
from rpusim.workloads.fit.innovations import Curves
from rpusim.workloads.fit.laws import LAWS
from rpusim.workloads.fit.population import mean, spread
from rpusim.workloads.fit.readings import LONG_RUN, UNITS, Measured, Trace
from rpusim.workloads.fit.scoring import Scored, score
from rpusim.workloads.results.document import package_version

SCHEMA = "rpusim-fit-1"
MIDDLE, POINT = "middle", "symmetry-point"
"""What a reference may be, besides a conductance."""
Watch = Callable[[str, int, int], None]


def fit(
    path: str | Path,
    *,
    unit: str | None = None,
    pattern: Sequence[str] = (),
    reference: str = MIDDLE,
    per_weight: str | None = None,
    model: str | None = None,
    watch: Watch = lambda what, done, whole: None,
) -> dict[str, Any]:
    """Fit devices to measured conductances, and find the model that these justify.

    path:       of a CSV file (see `rpusim.workloads.fit.readings` for what its columns may be).
    unit:       of its conductances, such as "uS"; None: as the names of its columns say.
    pattern:    which pulses go up and down where the file does not say: "up:200,down:200", "W11=up:100,down:100".
    reference:  the conductance that is weight 0: "middle" of the mean range, the mean "symmetry-point", or a value in
                the file's unit ("25" or "25 uS").
    per_weight: the conductance that a weight of 1 is more than the reference, as a value like that; None: so much that
                the farther end of the mean range is 1.
    model:      the model to take; None: the one that is justified.
    watch:      told what is fitted, how much is done, and of how much.

    Returns the document (schema ``rpusim-fit-1``), of which `rpusim.workloads.fit.file` makes the device's file. Raises
    InputError on what cannot be used.
    """
    if model is not None and model not in LAWS:
        raise InputError(f"--model: {model!r} cannot be fitted{nearest(model, LAWS)}")
    measured = readings.load(Path(path), unit, patterns.read(tuple(pattern)) or None)
    curves, scale = put_together(measured)
    fits = []
    for number, law in enumerate(LAWS.values()):
        watch(law.kind, number, len(LAWS))
        fits.append(score(law, curves, len(measured.devices)))
    choice = choose(fits)
    wanted = model or choice.kind
    scale = _referred(scale, reference, measured, next(each for each in fits if each.law.kind == wanted))
    if per_weight is not None:
        one = _conductance("--per-weight", per_weight, measured.unit)
        if one <= 0:
            raise InputError(f"--per-weight: got {per_weight!r}, accepted: a conductance above 0")
        scale = replace(scale, unit=one)
    counts = fits[0].readings(curves)
    found: dict[str, Fitted] = {}
    failed: dict[str, str] = {}
    for each in fits:
        try:
            found[each.law.kind] = made(each, scale, counts)
        except InputError as error:
            failed[each.law.kind] = str(error)
    if wanted not in found:
        raise InputError(failed[wanted])
    watch("", len(LAWS), len(LAWS))
    return _document(measured, curves, scale, choice, fits, found, failed, wanted)


def put_together(measured: Measured) -> tuple[Curves, Scale]:
    """Put all traces side by side, each in units of half its device's range from the middle of it."""
    devices = measured.devices
    ends = np.array([_range([t for t in measured.traces if t.device == device]) for device in devices])
    middle, half = ends.mean(1), (ends[:, 1] - ends[:, 0]) / 2
    for device, width in zip(devices, half, strict=True):
        if width <= 0:
            raise InputError(
                f"{measured.name}: device {device} ends its curves up below those down; accepted: conductances that up "
                "pulses raise"
            )
    longest = max(len(trace.signs) for trace in measured.traces)
    y = np.full((longest + 1, len(measured.traces)), np.nan)
    signs = np.zeros((longest, len(measured.traces)), np.int64)
    of = np.array([devices.index(trace.device) for trace in measured.traces])
    for k, trace in enumerate(measured.traces):
        y[: len(trace.readings), k] = (trace.readings - middle[of[k]]) / half[of[k]]
        signs[: len(trace.signs), k] = trace.signs
    rounding = np.maximum((measured.resolution / half[of]) ** 2 / 12.0, 1e-14)
    mean_ends = ends.mean(0)
    scale = Scale(float(mean_ends.mean()), float(mean_ends[1] - mean_ends[0]) / 2, middle, half)
    return Curves(y, signs, of, rounding), scale


def _range(traces: list[Trace]) -> tuple[float, float]:
    """Find where a device's curves end: the means of what is read at their lower and at their upper ends."""
    low: list[float] = []
    high: list[float] = []
    for trace in traces:
        turns = np.flatnonzero(np.diff(trace.signs)) + 1
        for begin, end in zip([0, *turns], [*turns, len(trace.signs)], strict=True):
            part = trace.readings[begin : end + 1]
            part = part[~np.isnan(part)]
            if len(part) > LONG_RUN:
                (low if trace.signs[begin] > 0 else high).append(float(part[0]))
                (high if trace.signs[begin] > 0 else low).append(float(part[-1]))
    if not low:
        everything = np.concatenate([trace.readings for trace in traces])
        return float(np.nanmin(everything)), float(np.nanmax(everything))
    return float(np.mean(low)), float(np.mean(high))


def _conductance(option: str, given: str, unit: str, words: str = "") -> float:
    """Read a conductance with its unit, or in the file's own."""
    number, _, said = given.strip().partition(" ")
    if said and said not in UNITS:
        raise InputError(f"{option}: {said!r} is no unit of conductance{nearest(said, UNITS)}")
    try:
        return float(number) * UNITS[said or unit]
    except ValueError:
        raise InputError(f"{option}: got {given!r}, accepted: {words}a conductance such as '25 uS'") from None


def _referred(scale: Scale, reference: str, measured: Measured, scored: Scored) -> Scale:
    """Return the scale with the reference that the user wants; its unit makes the farther end of the range 1."""
    if reference == MIDDLE:
        return scale
    if reference == POINT:
        points = made(scored, scale, np.ones(len(scale.middle))).points[:, 0]
        if np.isnan(points).all():
            raise InputError(
                f"--reference: {scored.law.kind} has no symmetry point; accepted: middle, or a conductance"
            )
        at = scale.reference + scale.unit * float(np.nanmean(points))
    else:
        at = _conductance("--reference", reference, measured.unit, f"{MIDDLE}, {POINT} or ")
    low, high = scale.reference - scale.unit, scale.reference + scale.unit
    if not low < at < high:
        raise InputError(
            f"--reference: got {at:.4g} S, accepted: between the ends of the mean range, {low:.4g} and {high:.4g} S"
        )
    return Scale(at, max(high - at, at - low), scale.middle, scale.half)


def _document(
    measured: Measured,
    curves: Curves,
    scale: Scale,
    choice: Choice,
    fits: list[Scored],
    found: dict[str, Fitted],
    failed: dict[str, str],
    wanted: str,
) -> dict[str, Any]:
    """Say everything that was found."""
    by_kind = {each.law.kind: each for each in fits}
    models = [
        _model(judged, found[judged.kind], by_kind[judged.kind], curves, scale)
        for judged in choice.models
        if judged.kind in found
    ]
    document = {
        "schema": SCHEMA,
        "name": Path(measured.name).stem,
        "file": {
            "name": measured.name,
            "sha256": measured.digest,
            "rows": measured.rows,
            "unit": measured.unit,
            "layout": measured.layout,
            "resolution_S": measured.resolution,
            "columns_left_out": list(measured.left_out),
        },
        "devices": len(measured.devices),
        "traces": len(measured.traces),
        "pulses": int((curves.signs != 0).sum()),
        "readings": int(np.isfinite(curves.y).sum()),
        "mapping": {
            "reference_S": scale.reference,
            "unit_S": scale.unit,
            "sentence": f"weight = (conductance - {scale.reference:.4g} S) / {scale.unit:.4g} S",
        },
        "model": wanted,
        "justified": choice.kind,
        "why": choice.why,
        "readings_worth": choice.worth,
        "models": models,
        "failed": failed,
        "cells": _cells(measured, found[wanted], scale),
        "curves": drawn.curves(curves, scale, [by_kind[row["model"]] for row in models]),
        "versions": {
            "rpusim": package_version(),
            "numpy": np.__version__,
            "scipy": scipy.__version__,
            "python": platform.python_version(),
        },
    }
    return document


def _model(judged: Judged, fitted: Fitted, scored: Scored, curves: Curves, scale: Scale) -> dict[str, Any]:
    device = fitted.device
    points, errors = fitted.points[:, 0], fitted.points[:, 1]
    seen = ~np.isnan(points)
    row: dict[str, Any] = {
        "model": judged.kind,
        "formula": scored.law.formula,
        "log_likelihood": judged.likelihood,
        "fitted_parameters": judged.number,
        "bic": judged.bic,
        "aicc": _finite(judged.aicc),
        "correlation": judged.correlation,
        "parameters": {name: _figure(figure) for name, figure in fitted.figures.items()},
        "residual": drawn.residual(curves, scale, scored),
        "states": device.num_states,
        "asymmetry": _asymmetry(scored, scale),
        "unseen": list(fitted.unseen),
        "fixed": _fixed(fitted),
    }
    if seen.any():
        point, wide = mean(points[seen], errors[seen] ** 2), spread(points[seen], errors[seen] ** 2)
        row["symmetry_point"] = _figure(point) | {"spread": _figure(wide), "devices": int(seen.sum())}
    return row


def _fixed(fitted: Fitted) -> dict[str, Any]:
    """List the parameters that no fit found, but that make the model what was fitted."""
    given = own_devices.described(fitted.device)
    assert isinstance(given, dict)
    found = {name.partition("[")[0] for name in fitted.figures}
    return {name: value for name, value in given.items() if name not in found | {"model"}}


def _asymmetry(scored: Scored, scale: Scale) -> float:
    """Average (up - down) / (up + down) at weight 0 over the devices."""
    up, down = drawn.step_at(scored, scale, np.zeros(len(scale.half)))
    return float(np.mean((up - down) / (up + down)))


def _cells(measured: Measured, fitted: Fitted, scale: Scale) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = []
    for number, device in enumerate(measured.devices):
        of_device = [trace for trace in measured.traces if trace.device == device]
        point, error = fitted.points[number]
        row: dict[str, Any] = {
            "device": device,
            "traces": len(of_device),
            "pulses": sum(len(trace.signs) for trace in of_device),
            "middle_S": float(scale.middle[number]),
            "half_range_S": float(scale.half[number]),
        }
        if not math.isnan(point):
            row["symmetry_point"] = point
            row["symmetry_point_error"] = error
            row["symmetry_point_S"] = scale.reference + scale.unit * point
        rows.append(row)
    return rows


def _figure(figure: Any) -> dict[str, float | None]:
    return {"value": figure.value, "low": _finite(figure.low), "high": _finite(figure.high)}


def _finite(value: float) -> float | None:
    return value if math.isfinite(value) else None
