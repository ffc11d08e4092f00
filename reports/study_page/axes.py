"""Axes that drawings share: where a value lies between 0 and 1, and at which values an axis is marked.

An axis is worked out once, here. The script of the page only stretches its positions to the drawing at hand, so that
what one sees after choosing another axis comes from the same arithmetic as what is there without a script.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from rpusim.reports.words.study import Document, Metric, metrics, number, setting, short_names

_SPREAD = 8.0
"""An axis is logarithmic where its largest value is more than this many times the smallest."""
_EDGE = 0.04
_LEAST = 1e-300
_SAME = 1e-9
"""Values that differ by less, relatively, are one value: the mean of three equal numbers need not be that number."""


@dataclass(frozen=True)
class Axis:
    """One axis: what it is called, its marks as (position, text), and how a value gets its position.

    key:     name of the metric or path of the setting.
    better:  "lower" or "higher" for a goal, else empty.
    bounds:  positions of constraints, with their words.
    several: whether values differ, so that the axis tells anything.
    """

    key: str
    label: str
    ticks: list[tuple[float, str]]
    place: Callable[[object], float | None]
    better: str = ""
    bounds: list[tuple[float, str]] = field(default_factory=list)
    several: bool = True

    def __call__(self, value: object) -> float | None:
        """Return the position of a value between 0 and 1; None for what is not on the axis."""
        return self.place(value)

    @property
    def title(self) -> str:
        """The label, with which way is better."""
        return f"{self.label} ({'less' if self.better == 'lower' else 'more'} is better)" if self.better else self.label


def axes(document: Document) -> list[Axis]:
    """Make the axes of a study: one for each setting that varies, then one for each metric that has a value.

    Returns them in that order, the goals first among the metrics.
    """
    names = short_names([each["path"] for each in document["settings"]])
    found = []
    for each in document["settings"]:
        there = [group["settings"].get(each["path"]) for group in document["groups"]]
        found.append(setting_axis(each["path"], names[each["path"]], each["values"], there))
    for metric in metrics(document):
        ends = _ends([group["metrics"].get(metric.name) or {} for group in document["groups"]])
        limits = [
            (float(each[bound]), words)
            for each in document.get("constraints", [])
            for bound, words in (("most", "at most"), ("least", "at least"))
            if each["metric"] == metric.name and bound in each
        ]
        if ends:
            found.append(metric_axis(metric, ends, limits))
    return found


def _ends(values: list[dict[str, Any]]) -> list[float]:
    """Find what has to fit on the axis of a metric: means, and ends of intervals.

    Where all means are positive, ends far below them (an interval may reach below 0) do not count: they are drawn to
    the edge.
    """
    means = [mean for value in values if (mean := number(value.get("mean"))) is not None]
    ends = [end for value in values for key in ("low", "high") if (end := number(value.get(key))) is not None]
    if means and min(means) > 0:
        ends = [end for end in ends if end > min(means) / 4]
    return [*means, *ends] if means else []


def metric_axis(
    metric: Metric, ends: list[float], limits: list[tuple[float, str]] | None = None, *, linear: bool = False
) -> Axis:
    """Make the axis of a metric: logarithmic where its values are positive and far apart, unless it has to be linear.

    ends: every value that has to find its place; at least one. limits: constraints, and whether at most or at least.
    """
    place, marks = _scale([*ends, *(value for value, _ in limits or [])], linear)
    ticks = [(at, _short(metric.text(value))) for value in marks if (at := place(value)) is not None]
    bounds = [(at, f"{words} {metric.text(v)}") for v, words in limits or [] if (at := place(v)) is not None]
    several = max(ends) - min(ends) > _SAME * max(abs(end) for end in ends)
    return Axis(metric.name, metric.label, ticks, place, metric.better, bounds, several)


def _short(text: str) -> str:
    """Leave out zeros that a mark does not need: "50.0%" is "50%"."""
    return re.sub(r"(\.\d*?)0+(?!\d)", lambda found: found[1].rstrip("."), text)


def setting_axis(path: str, label: str, given: list[Any], there: list[Any]) -> Axis:
    """Make the axis of a setting: of numbers a scale with the values as marks, else the values side by side.

    given: the values as the study lists them, in its order. there: those that groups have.
    """
    values = {json.dumps(value, sort_keys=True): value for value in [*given, *there] if value is not None}
    numbers = [n for value in values.values() if (n := number(value)) is not None]
    if len(numbers) < len(values) or not numbers:
        order = {key: index for index, key in enumerate(values)}

        def category(value: object) -> float | None:
            index = order.get(json.dumps(value, sort_keys=True))
            return None if index is None else (index + 0.5) / len(order)

        ticks = [((index + 0.5) / len(order), setting(values[key])) for key, index in order.items()]
        return Axis(path, label, ticks, category)
    place, marks = _scale(numbers)
    shown = sorted(set(numbers)) if len(set(numbers)) <= 8 else marks
    ticks = [(at, f"{value:,.12g}") for value in shown if (at := place(value)) is not None]
    return Axis(path, label, ticks, place)


def _scale(values: list[float], linear: bool = False) -> tuple[Callable[[object], float | None], list[float]]:
    """Choose how values are placed, with a little room at both ends, and the round values to mark.

    Returns the function of a value's position, and the marks.
    """
    low, high = min(values), max(values)
    logarithmic = not linear and low > _LEAST and high / low > _SPREAD
    change = math.log if logarithmic else float
    first, last = change(low), change(high)
    if last - first <= _SAME * max(abs(first), abs(last)):
        first, last = (first - abs(first) / 2, last + abs(last) / 2) if first else (0.0, 1.0)
    room = _EDGE * (last - first)
    first, last = first - room, last + room

    def place(value: object) -> float | None:
        found = number(value)
        if found is None:
            return None
        if logarithmic and found <= 0:
            return 0.0
        return min(max((change(found) - first) / (last - first), 0.0), 1.0)

    back = math.exp if logarithmic else float
    marks = _decades(back(first), back(last)) if logarithmic else _steps(first, last)
    return place, marks


def _decades(low: float, high: float) -> list[float]:
    """Choose round values between two positive ones: powers of ten, with 2 and 5 where they are few; at most seven."""
    start, stop = math.floor(math.log10(low)), math.ceil(math.log10(high))
    for factors in ((1, 2, 5), (1, 3), (1,)):
        marks = [m * 10.0**e for e in range(start, stop + 1) for m in factors if low <= m * 10.0**e <= high]
        if len(marks) <= 7:
            return marks
    return marks[:: -(-len(marks) // 7)]


def _steps(low: float, high: float) -> list[float]:
    """Choose round values between two others, at equal distances; at most six."""
    size = 10.0 ** math.floor(math.log10((high - low) / 5))
    step = next(m * size for m in (1, 2, 5, 10, 20) if (high - low) / (m * size) <= 6)
    first = math.ceil(low / step - 1e-9)
    return [_rounded(step * i, step) for i in range(first, math.floor(high / step + 1e-9) + 1)]


def _rounded(value: float, step: float) -> float:
    """Round away what is far smaller than a step: 0.30000000000000004 is 0.3."""
    digits = max(0, 2 - math.floor(math.log10(step)))
    return round(value, digits)
