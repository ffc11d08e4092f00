"""The drawings of a fit: mean curves with their laws, what is left of them, and steps against the weight."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from typing import Any

from rpusim.reports.page.svg import WIDTH, drawing, element, path, text, tip

Document = dict[str, Any]
TONES = "abcdefg"
"""Classes of the models' colours, in the order of the document."""
_HEIGHT, _LEFT, _RIGHT, _TOP, _BOTTOM = 372.0, 70.0, 190.0, 48.0, 46.0


def curves(document: Document) -> str:
    """Draw mean readings of up and down curves, pulse by pulse, over what the models make of them."""
    parts = [(way, document["curves"][way]) for way in ("up", "down") if way in document["curves"]]
    return _panels(
        document,
        parts,
        lambda part: part["mean"],
        lambda part, model: part["fits"][model],
        "weight",
        "Mean weight against pulses, up and down, with the fitted models",
        lambda part: part["spread"],
    )


def residuals(document: Document) -> str:
    """Draw what each model leaves of the mean curves."""
    parts = [(way, document["curves"][way]) for way in ("up", "down") if way in document["curves"]]
    return _panels(
        document,
        parts,
        None,
        lambda part, model: [m - f for m, f in zip(part["mean"], part["fits"][model], strict=True)],
        "reading - model, in weight",
        "What the models leave of the mean curves",
        None,
    )


def _panels(
    document: Document,
    parts: Sequence[tuple[str, Document]],
    points: Callable[[Document], list[float]] | None,
    line: Callable[[Document, str], list[float]],
    axis: str,
    label: str,
    spread: Callable[[Document], list[float]] | None,
) -> str:
    """Draw a panel for each direction: a line for each model, and points with the spread of the traces."""
    models = [row["model"] for row in document["models"]]
    if not parts:
        return ""
    values = [v for _, part in parts for model in models for v in line(part, model)]
    if points is not None:
        values += [v for _, part in parts for v in points(part)]
    low, high = _limits(values)
    width = (WIDTH - _LEFT - _RIGHT - 30.0 * (len(parts) - 1)) / len(parts)
    base = _HEIGHT - _BOTTOM

    def y(value: float) -> float:
        return base - (base - _TOP) * (min(max(value, low), high) - low) / (high - low)

    drawn: list[str] = list(_grid(low, high, y, axis))
    for number, (way, part) in enumerate(parts):
        left = _LEFT + number * (width + 30.0)
        last = max(part["pulses"][-1], 1)

        def x(pulse: float, left: float = left, last: int = last) -> float:
            return left + width * pulse / last

        heading = f"{part['traces']} curve{'s' if part['traces'] > 1 else ''} {way}"
        drawn.append(text(heading, left, _TOP - 12, class_="label"))
        drawn.append(text("0", left, base + 20, text_anchor="middle"))
        drawn.append(text(f"{last} pulses", x(last), base + 20, text_anchor="end"))
        drawn.append(element("line", x1=left, x2=left, y1=_TOP, y2=base, class_="axis"))
        if points is not None and spread is not None:
            for pulse, mean, wide in zip(part["pulses"], points(part), spread(part), strict=True):
                at = x(pulse)
                if wide:
                    drawn.append(element("line", x1=at, x2=at, y1=y(mean - wide), y2=y(mean + wide), class_="spread"))
                drawn.append(element("circle", cx=at, cy=y(mean), r=2.2, class_="reading"))
        for place, model in reversed(list(enumerate(models))):
            along = [(x(pulse), y(value)) for pulse, value in zip(part["pulses"], line(part, model), strict=True)]
            drawn.append(element("path", tip(model), d=path(along), fill="none", class_=_tone(document, model, place)))
    drawn += _legend(document, points is not None)
    return drawing(*drawn, width=WIDTH, height=_HEIGHT, label=label)


def steps(document: Document) -> str:
    """Draw mean steps against the weight at which they begin, with their errors, over the laws of all models."""
    found, laws = document["curves"]["steps"], document["curves"]["laws"]
    models = [row["model"] for row in document["models"]]
    values = [
        sign * value
        for way, sign in (("up", 1), ("down", -1))
        for value in [*found[way]["steps"], *laws[document["model"]][way]]
    ]
    low, high = _limits([*values, 0.0])
    base, right = _HEIGHT - _BOTTOM, WIDTH - _RIGHT

    def x(weight: float) -> float:
        return _LEFT + (right - _LEFT) * (weight + 1.1) / 2.2

    def y(value: float) -> float:
        return base - (base - _TOP) * (min(max(value, low), high) - low) / (high - low)

    drawn = list(_grid(low, high, y, "step, in weight; up above 0, down below"))
    for weight in (-1.0, -0.5, 0.0, 0.5, 1.0):
        drawn.append(text(f"{weight:g}", x(weight), base + 20, text_anchor="middle"))
    drawn.append(text("weight", right, base + 36, text_anchor="end"))
    drawn.append(element("line", x1=_LEFT, x2=right, y1=y(0.0), y2=y(0.0), class_="axis"))
    for way, sign in (("up", 1), ("down", -1)):
        for place, model in reversed(list(enumerate(models))):
            along = [(x(w), y(sign * s)) for w, s in zip(laws["weights"], laws[model][way], strict=True)]
            drawn.append(element("path", tip(model), d=path(along), fill="none", class_=_tone(document, model, place)))
        part = found[way]
        for weight, step, error in zip(part["weights"], part["steps"], part["errors"], strict=True):
            at = x(min(max(weight, -1.1), 1.1))
            ends = y(sign * (step - 2 * error)), y(sign * (step + 2 * error))
            drawn.append(element("line", x1=at, x2=at, y1=ends[0], y2=ends[1], class_="spread"))
            drawn.append(element("circle", cx=at, cy=y(sign * step), r=3.0, class_="reading"))
    point = next((row.get("symmetry_point") for row in document["models"] if row["model"] == document["model"]), None)
    if point is not None and abs(point["value"]) <= 1.1:
        at = x(point["value"])
        drawn.append(element("line", x1=at, x2=at, y1=_TOP, y2=base, class_="point"))
        drawn.append(text(f"symmetry point {point['value']:+.2f}", at + 6, _TOP + 4, class_="point"))
    drawn += _legend(document, True)
    return drawing(*drawn, width=WIDTH, height=_HEIGHT, label="Mean steps against the weight, with the fitted models")


def _tone(document: Document, model: str, place: int) -> str:
    return f"line {TONES[place % len(TONES)]}" + (" chosen" if model == document["model"] else "")


def _legend(document: Document, readings: bool) -> Iterable[str]:
    left = WIDTH - _RIGHT + 16
    rows = [*([("reading", "readings")] if readings else [])]
    for number, (_, words) in enumerate(rows):
        yield element("circle", cx=left + 10, cy=_TOP + 2 + 20 * number, r=3.0, class_="reading")
        yield text(words, left + 28, _TOP + 6 + 20 * number)
    for place, row in enumerate(document["models"]):
        y = _TOP + 2 + 20 * (place + len(rows))
        yield element("line", x1=left, x2=left + 20, y1=y, y2=y, class_=_tone(document, row["model"], place))
        chosen = row["model"] == document["model"]
        yield text(row["model"], left + 28, y + 4, class_="label" if chosen else "other")


def _limits(values: Sequence[float]) -> tuple[float, float]:
    finite = [value for value in values if math.isfinite(value)]
    low, high = min(finite), max(finite)
    margin = 0.05 * (high - low) or 1.0
    return low - margin, high + margin


def _grid(low: float, high: float, y: Callable[[float], float], axis: str) -> Iterable[str]:
    step = next(m * 10.0**e for e in range(-9, 7) for m in (1, 2, 5) if (high - low) / (m * 10.0**e) <= 7)
    for place in range(math.ceil(low / step - 1e-9), math.floor(high / step + 1e-9) + 1):
        yield element("line", x1=_LEFT, x2=WIDTH - _RIGHT, y1=y(place * step), y2=y(place * step), class_="grid")
        yield text(f"{round(place * step, 10):g}", _LEFT - 8, y(place * step) + 4, text_anchor="end")
    yield text(axis, 8, 16)
