"""Learning curves of several groups in one drawing, with bands from the lowest seed to the highest."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

from rpusim.reports.page.error_curves import apart
from rpusim.reports.page.svg import drawing, element, path, text, tip
from rpusim.reports.study_page.axes import Axis, metric_axis
from rpusim.reports.study_page.front import Frame
from rpusim.reports.words import study
from rpusim.reports.words.readable import percent, si
from rpusim.reports.words.study import Document, Group, Metric, number

MOST = 6
"""So many curves are told apart by their colours."""
_WIDTH, _HEIGHT = 960.0, 340.0
_FRAME = Frame(66.0, 20.0, 960.0 - 66.0 - 270.0, 340.0 - 20.0 - 60.0)
_SPREAD = 8.0
"""Cost is drawn linearly where no curve ends at more than so many times the cost of another."""
_ERROR = Metric("error", "test error", "1", "lower")


@dataclass(frozen=True)
class Moment:
    """What the seeds of a group have in common after an epoch: mean cost, and mean, lowest and highest error."""

    epoch: float
    seconds: float
    joules: float
    mean: float
    low: float
    high: float


def moments(points: dict[str, dict[str, Any]], group: Group) -> list[Moment]:
    """Put the curves of a group's seeds together, epoch by epoch, as far as all of them go.

    points: of the study, by their ids.

    Returns nothing for a group that learned nothing.
    """
    found = [points[name] for name in group["points"] if name in points]
    curves = [point["curve"] for point in found if point.get("curve") and point["state"] == "done"]
    if not curves:
        return []
    together = []
    for rows in zip(*curves, strict=False):
        epoch, errors = rows[0][0], [value for row in rows if (value := number(row[1])) is not None]
        seconds, joules = ([number(row[column]) or 0.0 for row in rows] for column in (2, 3))
        if errors:
            mean = sum(errors) / len(errors)
            costs = (sum(seconds) / len(seconds), sum(joules) / len(joules))
            together.append(Moment(float(epoch), *costs, mean, min(errors), max(errors)))
    return together


ABSCISSAE = (
    ("epoch", "epochs", "epochs"),
    ("seconds", "chip time", "simulated time on the chip"),
    ("joules", "chip energy", "energy of the chip"),
)
"""What error is drawn against: field of `Moment`, the choice, and the title of the axis."""


def curves(document: Document, chosen: list[int], against: str) -> str:
    """Draw the test error of several groups, a line and a band each.

    chosen: their numbers; at most `MOST`. against: "epoch", "seconds" or "joules".

    Returns the SVG element; nothing where nothing was learned.
    """
    points = study.by_id(document)
    drawn = [(index, line) for index in chosen if (line := moments(points, document["groups"][index]))]
    if not drawn:
        return ""
    up = metric_axis(_ERROR, [end for _, line in drawn for m in line for end in (m.low, m.high)])
    unit = {"epoch": "", "seconds": "s", "joules": "J"}[against]
    costs = [getattr(m, against) for _, line in drawn for m in line]
    last = [getattr(line[-1], against) for _, line in drawn]
    linear = min(last) <= 0 or max(last) / min(last) <= _SPREAD
    across = metric_axis(Metric(against, against, unit), costs, linear=linear)
    if against == "epoch":
        across = replace(across, ticks=[(at, words) for at, words in across.ticks if "." not in words])
    title = next(title for name, _, title in ABSCISSAE if name == against)
    parts = _marks(across, up, title)
    ends = []
    for tone, (index, line) in enumerate(drawn):
        places = [(_FRAME.x(across(getattr(m, against)) or 0.0), m) for m in line]
        if any(m.low != m.high for m in line):
            edge = [(x, _FRAME.y(up(m.high) or 0.0)) for x, m in places]
            edge += [(x, _FRAME.y(up(m.low) or 0.0)) for x, m in reversed(places)]
            parts.append(element("path", d=path(edge) + "Z", class_=f"spread tone{tone}"))
        spots = [(x, _FRAME.y(up(m.mean) or 0.0)) for x, m in places]
        end = line[-1]
        name = study.name(document, document["groups"][index])
        words = f"{name}: {percent(end.mean)} after {si(end.seconds, 's')} and {si(end.joules, 'J')}"
        if len(spots) == 1:  # one epoch is no line: a level across the drawing
            spots = [(_FRAME.left, spots[0][1]), (_FRAME.left + _FRAME.width, spots[0][1])]
        parts.append(element("path", tip(words), d=path(spots), class_=f"line tone{tone}", fill="none"))
        ends.append((spots[-1][1], tone, f"{percent(end.mean)} {name}"))
    heights = apart([y for y, _, _ in ends], 17.0)
    beyond = max([0.0, *(at - _FRAME.top - _FRAME.height for at in heights)])
    for at, (_, tone, words) in zip(heights, ends, strict=True):
        cut = words if len(words) <= 31 else words[:30] + "…"
        parts.append(text(cut, _FRAME.left + _FRAME.width + 10, at - beyond + 4, class_=f"label tone{tone}"))
    label = f"Test error against {title}: " + "; ".join(words for _, _, words in sorted(ends))
    return drawing(*parts, width=_WIDTH, height=_HEIGHT, label=label)


def _marks(across: Axis, up: Axis, title: str) -> list[str]:
    """Draw the marks of both axes, and their titles."""
    right, bottom = _FRAME.left + _FRAME.width, _FRAME.top + _FRAME.height
    parts = []
    for at, words in up.ticks:
        y = _FRAME.y(at)
        parts.append(element("line", x1=_FRAME.left, x2=right, y1=y, y2=y, class_="grid"))
        parts.append(text(words, _FRAME.left - 8, y + 4, text_anchor="end"))
    parts += [text(words, _FRAME.x(at), bottom + 18, text_anchor="middle") for at, words in across.ticks]
    parts.append(text(title, right, bottom + 42, text_anchor="end", class_="axis-title"))
    return parts
