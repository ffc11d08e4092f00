"""The drawing that a study is made for: one metric against another, the front on top, intervals as bands.

Groups are boxes from end to end of their intervals with the mean marked in them. Those on the front of all goals are
filled; those in the list beside the drawing have their number in it. A line goes through the best pairs of the two
metrics shown.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from rpusim.reports.page.svg import drawing, element, text, tip
from rpusim.reports.study_page.axes import Axis
from rpusim.reports.words import study
from rpusim.reports.words.study import Document, number

Spot = tuple[float, float, float]
"""Positions of a mean, and of the lower and the upper end of its interval."""

_WIDTH, _HEIGHT = 600.0, 430.0
_LEFT, _TOP, _RIGHT, _BOTTOM = 78.0, 34.0, 34.0, 62.0
_LEAST = 3.0
LISTED = 8
"""How many groups of the front are listed beside the drawing, and have their number in it."""
_MANY = 60


@dataclass(frozen=True)
class Frame:
    """Where in a drawing the axes stretch: left and top edge, width and height."""

    left: float
    top: float
    width: float
    height: float

    def x(self, at: float) -> float:
        """Return the place of a position on the axis across."""
        return self.left + at * self.width

    def y(self, at: float) -> float:
        """Return the place of a position on the axis upward."""
        return self.top + (1 - at) * self.height


FRAME = Frame(_LEFT, _TOP, _WIDTH - _LEFT - _RIGHT, _HEIGHT - _TOP - _BOTTOM)


def spots(document: Document, axis: Axis) -> list[Spot | None]:
    """Find where every group lies on an axis; None for groups that have no value on it."""
    found: list[Spot | None] = []
    for group in document["groups"]:
        if axis.key in group["settings"]:
            at = axis(group["settings"][axis.key])
            found.append(None if at is None else (at, at, at))
            continue
        value = group["metrics"].get(axis.key) or {}
        middle = axis(value.get("mean"))
        low, high = (axis(value.get(end)) for end in ("low", "high"))
        found.append(
            None if middle is None else (middle, middle if low is None else low, middle if high is None else high)
        )
    return found


def best_pairs(document: Document, across: Axis, up: Axis) -> list[int]:
    """Find the groups that no other one beats in both of two goals, from the best across to the worst.

    Groups beyond a constraint do not count. Empty unless both axes are goals.
    """
    if not (across.better and up.better) or across.key == up.key:
        return []
    there: list[tuple[float, float, int]] = []
    for index, group in enumerate(document["groups"]):
        values = [number(group["metrics"].get(axis.key, {}).get("mean")) for axis in (across, up)]
        if group.get("feasible", True) and None not in values:
            one, other = (
                -value if axis.better == "higher" else value
                for value, axis in zip(values, (across, up), strict=True)
                if value is not None
            )
            there.append((one, other, index))
    found, least = [], float("inf")
    for _, other, index in sorted(there):
        if other < least:
            found.append(index)
            least = other
    return found


def listed(document: Document, across: Axis, up: Axis) -> list[int]:
    """Choose the groups of the front that are listed: all, or evenly among the best pairs of two goals.

    Returns at most `LISTED` of them, the best in the first goal first.
    """
    front = [index for index in study.ordered(document) if document["groups"][index].get("front")]
    if len(front) <= LISTED:
        return front
    pairs = set(best_pairs(document, across, up))
    best = [index for index in front if index in pairs]
    best = best if len(best) >= LISTED else front
    return [best[round(number * (len(best) - 1) / (LISTED - 1))] for number in range(LISTED)]


def front(document: Document, across: Axis, up: Axis, links: list[str]) -> str:
    """Draw every group by two axes.

    links: for each group where a click on it leads.

    Returns the SVG element.
    """
    places = list(zip(spots(document, across), spots(document, up), strict=True))
    parts = [
        element("g", *_ticks(across, True), class_="ticks across"),
        element("g", *_ticks(up, False), class_="ticks up"),
        element("path", d=stairs(best_pairs(document, across, up), places), class_="stairs", fill="none"),
    ]
    rank = {index: number for number, index in enumerate(listed(document, across, up), 1)}
    small = len(places) > _MANY
    marks = [
        _mark(document, index, places[index], links[index], rank.get(index, 0), small)
        for index in reversed(study.ordered(document))
    ]
    best = sum(bool(group.get("front")) for group in document["groups"])
    label = f"{up.label} against {across.label} of {len(marks)} combinations, {best} of them on the front"
    frame = f"{FRAME.left:g} {FRAME.top:g} {FRAME.width:g} {FRAME.height:g}"
    return drawing(
        *parts, element("g", *marks, class_="marks"), width=_WIDTH, height=_HEIGHT, label=label, class_="chart fits"
    ).replace("<svg ", f'<svg data-frame="{frame}" ', 1)


def stairs(indices: list[int], places: list[tuple[Spot | None, Spot | None]]) -> str:
    """Write the ``d`` of the line through the best pairs: level until the next one is reached."""
    steps: list[str] = []
    for index in indices:
        across, up = places[index]
        if across is not None and up is not None:
            x, y = f"{FRAME.x(across[0]):.1f}", f"{FRAME.y(up[0]):.1f}"
            steps.append(f"H{x}V{y}" if steps else f"M{x},{y}")
    return "".join(steps) or "M0,0"


def kind(group: dict[str, Any]) -> str:
    """Return the class of a group's marks: front, rest, or beyond a constraint."""
    return "front" if group.get("front") else "rest" if group.get("feasible", True) else "beyond"


def _mark(
    document: Document, index: int, place: tuple[Spot | None, Spot | None], link: str, rank: int, small: bool
) -> str:
    """Draw one group: its box, its mean, and its number in the list (0: none).

    A group without a place on one of the axes is there, but not shown: it may have one on others.
    """
    hidden = {"style": "display: none"} if None in place else {}
    across, up = (spot or (0.0, 0.0, 0.0) for spot in place)
    group = document["groups"][index]
    best = bool(group.get("front"))
    left, right = FRAME.x(across[1]), FRAME.x(across[2])
    bottom, top = FRAME.y(up[1]), FRAME.y(up[2])
    wide, high = max(right - left, _LEAST), max(bottom - top, _LEAST)
    box = {"x": (left + right - wide) / 2, "y": (top + bottom - high) / 2, "width": wide, "height": high}
    x, y = FRAME.x(across[0]), FRAME.y(up[0])
    inside = [
        tip(study.name(document, group)),
        element("rect", class_="band", **box),
        element("circle", cx=x, cy=y, r=(3.5 if small else 5.0) if best else (2.5 if small else 3.5)),
    ]
    if rank:
        inside.append(text(str(rank), x + 8, y - 7, class_="rank"))
    focus = {} if best else {"tabindex": -1}
    return element("a", *inside, href=link, class_=f"group {kind(group)}", data_g=index, **focus, **hidden)


def _ticks(axis: Axis, across: bool) -> list[str]:
    """Draw the marks of an axis with their lines, its constraints and its title."""
    right, bottom = FRAME.left + FRAME.width, FRAME.top + FRAME.height
    parts = []
    for at, words in axis.ticks:
        if across:
            x = FRAME.x(at)
            parts.append(element("line", x1=x, x2=x, y1=FRAME.top, y2=bottom, class_="grid"))
            parts.append(text(words, x, bottom + 20, text_anchor="middle"))
        else:
            y = FRAME.y(at)
            parts.append(element("line", x1=FRAME.left, x2=right, y1=y, y2=y, class_="grid"))
            parts.append(text(words, FRAME.left - 8, y + 4, text_anchor="end"))
    for at, words in axis.bounds:
        ends = (
            {"x1": FRAME.x(at), "x2": FRAME.x(at), "y1": FRAME.top, "y2": bottom}
            if across
            else {"x1": FRAME.left, "x2": right, "y1": FRAME.y(at), "y2": FRAME.y(at)}
        )
        parts.append(element("line", tip(f"{axis.label} {words}"), class_="bound", **ends))
    if across:
        parts.append(text(axis.title, right, bottom + 48, text_anchor="end", class_="axis-title"))
    else:
        parts.append(text(axis.title, 4, FRAME.top - 14, class_="axis-title"))
    return parts
