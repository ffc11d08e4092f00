"""The curves of test error in a report: over the epochs of a training, and over the time since programming."""

from __future__ import annotations

import math
from typing import Any

from rpusim.reports.page.svg import WIDTH, drawing, element, path, text, tip
from rpusim.reports.words.readable import age, percent, si

_HEIGHT, _LEFT, _RIGHT, _TOP, _BOTTOM = 330.0, 58.0, 178.0, 70.0, 40.0
_SCALES = (("chip time", "seconds", "s"), ("chip energy", "joules", "J"), ("pulses per cell", "pulses_per_cell", ""))
"""What a learning curve is drawn against besides epochs, each with a scale of its own along the top."""


def learning_curve(curve: list[dict[str, Any]]) -> str:
    """Draw test error against epochs, on the chip and in floating point; along the top what training cost until then.

    curve: ``accuracy.curve`` of a result, a point for each epoch.

    Returns the SVG element.
    """
    series = [
        ("on the chip", "analog", [point["test_error"] for point in curve]),
        ("floating point", "reference", [point["test_error_floating_point"] for point in curve]),
    ]
    height_of = _ErrorAxis([error for _, _, errors in series for error in errors])
    last: int = curve[-1]["epoch"]
    right = WIDTH - _RIGHT
    scales = [scale for scale in _SCALES if scale[1] in curve[0]]

    def x(epoch: float) -> float:
        return _LEFT + (right - _LEFT) * (epoch / last)

    parts = [
        element("line", x1=_LEFT, x2=right, y1=y, y2=y, class_="grid")
        + text(f"{tick * 100:g}%", _LEFT - 8, y + 4, text_anchor="end")
        for tick, y in height_of.ticks
    ]
    base = _HEIGHT - _BOTTOM
    every = next(m * 10**e for e in range(9) for m in (1, 2, 5) if last / (m * 10**e) <= 10)
    for point in curve:
        if point["epoch"] % every:
            continue
        at = x(point["epoch"])
        parts.append(text(str(point["epoch"]), at, base + 18, text_anchor="middle"))
        for scale, (_, quantity, unit) in enumerate(scales):
            parts.append(text(si(point[quantity], unit), at, _TOP - 12 - 15 * scale, text_anchor="middle"))
        parts.append(element("line", x1=at, x2=at, y1=_TOP - 6, y2=_TOP, class_="axis"))
        parts.append(element("line", x1=at, x2=at, y1=base, y2=base + 5, class_="axis"))
    parts.append(text("epochs", _LEFT - 8, base + 18, text_anchor="end", class_="axis-name"))
    for scale, (name, _, _) in enumerate(scales):
        parts.append(text(name, right + 36, _TOP - 12 - 15 * scale, class_="axis-name"))

    ends = [height_of(errors[-1]) for _, _, errors in series]
    labels = apart(ends, 17.0)
    for (name, tone, errors), label in reversed(list(zip(series, labels, strict=True))):
        points = [(x(point["epoch"]), height_of(error)) for point, error in zip(curve, errors, strict=True)]
        parts.append(element("path", d=path(points), class_=f"line {tone}", fill="none"))
        for point, (at, y), error in zip(curve, points, errors, strict=True):
            words = f"epoch {point['epoch']}, {name}: {percent(error)} test error"
            if tone == "analog":
                words += f" after {si(point['seconds'], 's')} and {si(point['joules'], 'J')}"
            parts.append(element("circle", tip(words), cx=at, cy=y, r=4.0 if tone == "analog" else 3.0, class_=tone))
        parts.append(text(f"{name} {percent(errors[-1])}", right + 12, label + 4, class_=f"label {tone}"))
    final = ", ".join(f"{name} {percent(errors[-1])}" for name, _, errors in series)
    return drawing(*parts, width=WIDTH, height=_HEIGHT, label=f"Test error over {last} epochs; at the end: {final}")


def aging_curve(points: list[dict[str, Any]], floating_point: float) -> str:
    """Draw test error against the logarithm of the time since programming, beside that of floating point.

    points:          ``accuracy.aging`` of a result; the error without compensation of drift is drawn if they have it.
    floating_point:  the test error of the network in software.

    Returns the SVG element.
    """
    times = [point["seconds_since_programming"] for point in points]
    errors = [point["test_error"] for point in points]
    series = [("on the chip", "analog", errors)]
    if "test_error_uncompensated" in points[0]:
        plain = [point["test_error_uncompensated"] for point in points]
        series = [("compensated", "analog", errors), ("uncompensated", "uncompensated", plain)]
    height_of = _ErrorAxis([*(error for _, _, drawn in series for error in drawn), floating_point])
    right, base = WIDTH - _RIGHT, _HEIGHT - _BOTTOM
    first = min((time for time in times if time > 0), default=1.0) / 10  # where a time of 0 is drawn
    last = max(*times, 10 * first)

    def x(time: float) -> float:
        return _LEFT + (right - _LEFT) * math.log(max(time, first) / first) / math.log(last / first)

    parts = [
        element("line", x1=_LEFT, x2=right, y1=y, y2=y, class_="grid")
        + text(f"{tick * 100:g}%", _LEFT - 8, y + 4, text_anchor="end")
        for tick, y in height_of.ticks
    ]
    level = height_of(floating_point)
    parts.append(element("path", d=path([(_LEFT, level), (right, level)]), class_="line reference", fill="none"))
    for name, tone, drawn in reversed(series):
        places = [(x(time), height_of(error)) for time, error in zip(times, drawn, strict=True)]
        parts.append(element("path", d=path(places), class_=f"line {tone}", fill="none"))
        for time, error, (at, y) in zip(times, drawn, places, strict=True):
            words = f"{age(time)} after programming, {name}: {percent(error)} test error"
            parts.append(element("circle", tip(words), cx=at, cy=y, r=4.0, class_=tone))
    written = -math.inf
    for time in sorted(set(times)):
        if x(time) > written + 60.0:
            written = x(time)
            parts.append(text(age(time), written, base + 18, text_anchor="middle"))
    ends = [(name, tone, drawn[-1]) for name, tone, drawn in series] + [("floating point", "reference", floating_point)]
    labels = apart([height_of(error) for _, _, error in ends], 17.0)
    for (name, tone, error), label in zip(ends, labels, strict=True):
        parts.append(text(f"{name} {percent(error)}", right + 12, label + 4, class_=f"label {tone}"))
    final = ", ".join(f"{name} {percent(error)}" for name, _, error in ends)
    said = f"Test error over time since programming; after {age(times[-1])}: {final}"
    return drawing(*parts, width=WIDTH, height=_HEIGHT, label=said)


class _ErrorAxis:
    """The axis of test errors: logarithmic where they span a wide range and none is zero, else linear from zero.

    Called with an error it gives its height in the drawing; ``ticks`` are round errors with their heights.
    """

    _NICE = [m * 10.0**e for e in range(-6, 1) for m in (1, 2, 5)]

    def __init__(self, errors: list[float]) -> None:
        top, low = max(max(errors), 1e-6), min(errors)
        self._logarithmic = low > 0 and top / low > 4
        if self._logarithmic:
            self._low = max(n for n in self._NICE if n <= low * (1 + 1e-9))
            self._high = min([n for n in self._NICE if n >= top * (1 - 1e-9)], default=1.0)
            self._high = min(self._high, 1.0)
            ticks = [n for n in self._NICE if self._low <= n <= self._high]
        else:
            step = min(n for n in self._NICE if top / n <= 5.000001)
            self._low, self._high = 0.0, step * math.ceil(top / step - 1e-9)
            ticks = [step * i for i in range(round(self._high / step) + 1)]
        self.ticks = [(tick, self(tick)) for tick in ticks]

    def __call__(self, error: float) -> float:
        scale = math.log if self._logarithmic else float
        share = (scale(error) - scale(self._low)) / (scale(self._high) - scale(self._low))
        return _HEIGHT - _BOTTOM - share * (_HEIGHT - _BOTTOM - _TOP)


def apart(heights: list[float], least: float) -> list[float]:
    """Move the heights of labels so that no two are closer than ``least``.

    Labels that would overlap form a group, evenly spaced about the mean of their own heights.
    """

    def first(group: list[int]) -> float:
        return sum(heights[n] for n in group) / len(group) - least * (len(group) - 1) / 2

    groups: list[list[int]] = []
    for number in sorted(range(len(heights)), key=lambda n: heights[n]):
        groups.append([number])
        while len(groups) > 1 and first(groups[-1]) < first(groups[-2]) + least * len(groups[-2]):
            last = groups.pop()
            groups[-1] += last
    placed = {number: first(group) + least * position for group in groups for position, number in enumerate(group)}
    return [placed[number] for number in range(len(heights))]
