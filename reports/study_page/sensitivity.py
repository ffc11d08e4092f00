"""How each goal answers to each setting: intervals as bands, with all other settings held, and the mean over them."""

from __future__ import annotations

import json
from collections import defaultdict

from rpusim.reports.page.svg import WIDTH, drawing, element, path, text, tip
from rpusim.reports.study_page.axes import Axis
from rpusim.reports.study_page.front import Spot, spots
from rpusim.reports.words.study import Document

_TOP, _PANEL, _BOTTOM, _LEFT, _GAP = 30.0, 150.0, 46.0, 66.0, 16.0
_ACROSS, _LEAST = 4, 1.5
_MOST_VALUES = 12
"""A line of means is drawn where a setting has at most so many values."""


def sensitivity(document: Document, goal: Axis, settings: list[Axis]) -> str:
    """Draw a goal against each setting, a panel for each.

    goal: axis of a metric. settings: axes of settings; at least one.

    Returns the SVG element.
    """
    rows = -(-len(settings) // _ACROSS)
    columns = min(len(settings), _ACROSS)
    width = min((WIDTH - _LEFT) / columns, 320.0)
    up = spots(document, goal)
    parts = []
    for number, axis in enumerate(settings):
        left = _LEFT + (number % _ACROSS) * width
        top = _TOP + (number // _ACROSS) * (_TOP + _PANEL + _BOTTOM)
        parts += _panel(document, axis, goal, up, left, top, width - _GAP, first=number % _ACROSS == 0)
    height = rows * (_TOP + _PANEL + _BOTTOM)
    label = f"{goal.label} against {', '.join(axis.label for axis in settings)}"
    return drawing(*parts, width=WIDTH, height=height, label=label)


def _panel(
    document: Document,
    setting: Axis,
    goal: Axis,
    up: list[Spot | None],
    left: float,
    top: float,
    width: float,
    first: bool,
) -> list[str]:
    """Draw one panel; up: where groups lie on the goal's axis. first: it begins a row, so that marks are written."""
    across = spots(document, setting)
    bottom = top + _PANEL

    def x(at: float) -> float:
        return left + at * width

    def y(at: float) -> float:
        return bottom - at * _PANEL

    parts = []
    for at, words in goal.ticks:
        parts.append(element("line", x1=left, x2=left + width, y1=y(at), y2=y(at), class_="grid"))
        if first:
            parts.append(text(words, left - 8, y(at) + 4, text_anchor="end"))
    room = max(34.0, 7.0 * max((len(words) for _, words in setting.ticks), default=1))
    written = -1e9
    for at, words in setting.ticks:
        if x(at) - written >= room:
            parts.append(text(words, x(at), bottom + 17, text_anchor="middle"))
            written = x(at)
    parts.append(text(setting.label, left + width / 2, bottom + 35, text_anchor="middle", class_="axis-title"))
    lone: list[str] = []
    for line in _slices(document, setting, across, up):
        if len(line) == 1:
            at, (_, low, high) = line[0]
            tall = max(y(low) - y(high), _LEAST)
            lone.append(f"M{x(at):.1f},{(y(low) + y(high) + tall) / 2:.1f}v{-tall:.1f}")
            continue
        edge = [(x(at), y(high)) for at, (_, _, high) in line] + [(x(at), y(low)) for at, (_, low, _) in reversed(line)]
        parts.append(element("path", d=path(edge) + "Z", class_="band"))
        parts.append(element("path", d=path([(x(at), y(spot[0])) for at, spot in line]), class_="thread", fill="none"))
    if lone:
        parts.append(element("path", d="".join(lone), class_="whiskers"))
    means = _means(across, up)
    if 2 <= len(means) <= _MOST_VALUES:
        line_of_means = path([(x(at), y(value)) for at, value in means])
        parts.append(element("path", tip("mean"), d=line_of_means, class_="line mean", fill="none"))
    return [element("g", *parts, class_="panel")]


def _slices(
    document: Document, setting: Axis, across: list[Spot | None], up: list[Spot | None]
) -> list[list[tuple[float, Spot]]]:
    """Divide groups into lines on which nothing but one setting changes, each from left to right."""
    lines: dict[str, list[tuple[float, Spot]]] = defaultdict(list)
    for group, one, other in zip(document["groups"], across, up, strict=True):
        if one is not None and other is not None:
            held = {path: value for path, value in group["settings"].items() if path != setting.key}
            lines[json.dumps(held, sort_keys=True)].append((one[0], other))
    return [sorted(line) for line in lines.values()]


def _means(across: list[Spot | None], up: list[Spot | None]) -> list[tuple[float, float]]:
    """Average positions over all groups with the same value of a setting, from left to right."""
    by_value: dict[float, list[float]] = defaultdict(list)
    for one, other in zip(across, up, strict=True):
        if one is not None and other is not None:
            by_value[one[0]].append(other[0])
    return [(at, sum(values) / len(values)) for at, values in sorted(by_value.items())]
