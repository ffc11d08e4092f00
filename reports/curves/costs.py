"""Test error against what it takes, as one SVG file: of `rpusim.workloads.studies.retention` or `learning_cost`.

    python -m rpusim.reports.curves.costs retention.json > retention.svg

Both axes are logarithmic, but for time and energy of a training, which are linear.
"""

from __future__ import annotations

import json
import math
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rpusim.reports.page.svg import element, figure, path, text
from rpusim.reports.words.readable import si

Point = tuple[float, float]
Lines = dict[str, list[Point]]
_WIDTH, _HEIGHT, _LEFT, _TOP, _GAP, _BELOW = 320.0, 190.0, 44.0, 30.0, 40.0, 58.0
_LOWEST, _TICKS = 0.01, (0.01, 0.03, 0.1, 0.3, 1.0)
_COLOURS = ("#2b6cb0", "#c05621", "#2f855a", "#805ad5", "#9aa1ab")
_STYLE = """
text { font: 12px system-ui, "Segoe UI", Roboto, "Liberation Sans", Arial, sans-serif; fill: #5f6670; }
.name { font-weight: 600; fill: #1d2126; }
.grid { stroke: #dfe1dd; }
.line { stroke-width: 2; fill: none; }
.paper { fill: #ffffff; }
@media (prefers-color-scheme: dark) {
  text { fill: #9ba3ad; } .name { fill: #e6e8ea; } .grid { stroke: #30363e; } .paper { fill: #14171b; }
}
"""


@dataclass(frozen=True)
class Panel:
    """One panel of the drawing.

    title:        what is along its axis.
    lines:        points of (value on the axis, test error) by name.
    unit:         of what is along the axis; empty for a plain number.
    logarithmic:  whether the axis is.
    """

    title: str
    lines: Lines
    unit: str
    logarithmic: bool


def panels(rows: Sequence[dict[str, Any]]) -> list[Panel]:
    """Make panels of the JSON of either study."""
    if "speed" in rows[0]:
        return [_of_retention(rows, "retention_s", "retention", "s"), _of_retention(rows, "updates", "updates", "")]
    return [
        Panel(title, {r["algorithm"]: [(e[key], e["test_error"]) for e in r["curve"]] for r in rows}, unit, False)
        for key, title, unit in (("seconds", "simulated time", "s"), ("joules", "energy", "J"))
    ]


def _of_retention(rows: Sequence[dict[str, Any]], key: str, name: str, unit: str) -> Panel:
    """Make a panel of the retention study: a line for each speed of the chip, and one for cells that do not leak.

    key: what is along the axis, a key of the rows. name, unit: of it.
    """
    lines: Lines = {}
    for row in rows:
        if row["speed"] != "any":
            lines.setdefault(f"{row['speed']} chip", []).append((row[key], row["test_error"]))
    ends = [point[0] for line in lines.values() for point in line]
    (kept,) = (row["test_error"] for row in rows if row["speed"] == "any")
    lines = {name: sorted(line) for name, line in lines.items()} | {
        "no leakage": [(min(ends), kept), (max(ends), kept)]
    }
    title = "retention time" if unit else f"{name} within one retention time"
    return Panel(title, lines, unit, True)


def draw(shown: Sequence[Panel]) -> str:
    """Draw panels side by side.

    Returns the SVG document.
    """
    width, height = _LEFT + len(shown) * (_WIDTH + _GAP), _TOP + _HEIGHT + _BELOW
    names = list(shown[0].lines)
    ends = "; ".join(f"{name} {shown[0].lines[name][-1][1]:.1%}" for name in names)
    label = f"Test error against {' and '.join(panel.title for panel in shown)}; at the end {ends}"
    return figure(
        label,
        _STYLE,
        width,
        height,
        *(_panel(panel, number) for number, panel in enumerate(shown)),
        *(_legend(name, number, height - 8) for number, name in enumerate(names)),
    )


def _panel(panel: Panel, column: int) -> str:
    """Draw one panel; ``column`` is its place from the left."""
    left = _LEFT + column * (_WIDTH + _GAP)
    ends = [x for line in panel.lines.values() for x, _ in line]
    low, high = (min(ends), max(ends)) if panel.logarithmic else (0.0, max(ends))

    def across(x: float) -> float:
        share = math.log(x / low) / math.log(high / low) if panel.logarithmic else x / high
        return left + _WIDTH * share

    def down(error: float) -> float:
        return _TOP + _HEIGHT * (1.0 - math.log(max(error, _LOWEST) / _LOWEST) / math.log(1.0 / _LOWEST))

    parts = [text(panel.title, left, _TOP - 8, class_="name")]
    for tick in _TICKS:
        parts.append(element("line", x1=left, x2=left + _WIDTH, y1=down(tick), y2=down(tick), class_="grid"))
        if column == 0:
            parts.append(text(f"{tick:.0%}", left - 6, down(tick) + 4, text_anchor="end"))
    for x in _ticks(low, high, panel.logarithmic):
        words = si(x, panel.unit, 2) if panel.unit else f"{x:.0e}".replace("e+0", "e")
        parts.append(text(words, across(x), _TOP + _HEIGHT + 16, text_anchor="middle"))
    for number, line in enumerate(panel.lines.values()):
        points = [(across(x), down(error)) for x, error in line]
        parts.append(element("path", d=path(points), class_="line", stroke=_COLOURS[number % len(_COLOURS)]))
    return "".join(parts)


def _ticks(low: float, high: float, logarithmic: bool) -> list[float]:
    """Choose round values from ``low`` to ``high``: powers of ten, or quarters."""
    if logarithmic:
        first, last = math.ceil(math.log10(low) - 1e-9), math.floor(math.log10(high) + 1e-9)
        return [10.0**power for power in range(first, last + 1)]
    return [high * share / 4 for share in (0, 2, 4)]


def _legend(name: str, number: int, y: float) -> str:
    """Name a line; ``number`` is its place among them, ``y`` the base line of the words."""
    x = _LEFT + 120.0 * number
    line = element("path", d=path([(x, y - 4), (x + 22, y - 4)]), class_="line", stroke=_COLOURS[number])
    return line + text(name, x + 28, y)


if __name__ == "__main__":
    print(draw(panels(json.loads(Path(sys.argv[1]).read_text()))))
