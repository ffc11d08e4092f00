"""Parallel coordinates: a line for each combination through all its settings and metrics, side by side."""

from __future__ import annotations

from rpusim.reports.page.svg import WIDTH, drawing, element, path, text, tip
from rpusim.reports.study_page.axes import Axis
from rpusim.reports.study_page.front import kind, spots
from rpusim.reports.words import study
from rpusim.reports.words.study import Document

_TOP, _HEIGHT, _BOTTOM, _SIDE = 52.0, 240.0, 14.0, 70.0
MOST_AXES = 9
_MOST_TICKS, _MANY = 9, 30


def parallel(document: Document, axes: list[Axis]) -> str:
    """Draw all groups over their settings and metrics; intervals of the front are bands around their lines.

    axes: of settings, then of metrics; at most `MOST_AXES` are drawn, settings before metrics.

    Returns the SVG element.
    """
    shown = axes[:MOST_AXES]
    step = (WIDTH - 2 * _SIDE) / max(len(shown) - 1, 1)
    across = [_SIDE + number * step for number in range(len(shown))]
    places = [spots(document, axis) for axis in shown]
    parts = []
    for index in reversed(study.ordered(document)):
        group = document["groups"][index]
        there = [(x, spot) for x, column in zip(across, places, strict=True) if (spot := column[index]) is not None]
        if len(there) < 2:
            continue
        inside = [tip(study.name(document, group))]
        if group.get("front") and any(low != high for _, (_, low, high) in there):
            edge = [(x, _y(high)) for x, (_, _, high) in there] + [(x, _y(low)) for x, (_, low, _) in reversed(there)]
            inside.append(element("path", d=path(edge) + "Z", class_="band"))
        inside.append(element("path", d=path([(x, _y(at)) for x, (at, _, _) in there]), class_="thread", fill="none"))
        parts.append(element("g", *inside, class_=f"group {kind(group)}", data_g=index))
    for number, (x, axis) in enumerate(zip(across, shown, strict=True)):
        parts += _axis(x, axis, raised=bool(number % 2) and len(shown) > 5)
    crowd = "chart many" if sum(bool(group.get("front")) for group in document["groups"]) > _MANY else "chart"
    label = f"{len(document['groups'])} combinations over {', '.join(axis.label for axis in shown)}"
    return drawing(*parts, width=WIDTH, height=_TOP + _HEIGHT + _BOTTOM, label=label, class_=crowd)


def _y(at: float) -> float:
    return _TOP + (1 - at) * _HEIGHT


def _anchor(x: float, label: str) -> str:
    """Choose the side on which a long title of an outer axis begins, so that it stays in the drawing."""
    half = 4.0 * len(label)
    return "end" if x + half > WIDTH else "start" if x < half else "middle"


def _axis(x: float, axis: Axis, raised: bool) -> list[str]:
    """Draw one axis: its line, its title above it (in the upper row if raised), and its marks."""
    anchor = _anchor(x, axis.label)
    parts = [
        element("line", x1=x, x2=x, y1=_TOP, y2=_TOP + _HEIGHT, class_="axis"),
        text(
            axis.label,
            {"end": WIDTH - 2, "start": 2.0, "middle": x}[anchor],
            _TOP - (32 if raised else 14),
            text_anchor=anchor,
            class_="axis-title",
        ),
    ]
    every = -(-len(axis.ticks) // _MOST_TICKS)
    parts += [text(words, x + 6, _y(at) + 4, class_="mark") for at, words in axis.ticks[::every]]
    return parts
