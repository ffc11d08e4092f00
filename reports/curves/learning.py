"""Draw the learning curves of `rpusim.workloads.studies.learning`: an SVG panel per algorithm beside floating point.

    python -m rpusim.workloads.studies.learning --json > learning.json
    python -m rpusim.reports.curves.learning learning.json > learning.svg

A line is the mean over the seeds, the band around it reaches from the best to the worst. Errors are on a logarithmic
scale, the same in all panels.
"""

from __future__ import annotations

import json
import math
import sys
from collections.abc import Sequence
from pathlib import Path
from statistics import fmean
from typing import Any

from rpusim.reports.page.svg import element, figure, path, text

REFERENCE = "floating-point"
COLUMNS = 5
_WIDTH, _HEIGHT = 168.0, 150.0
_LEFT, _TOP, _GAP_X, _GAP_Y = 44.0, 30.0, 16.0, 52.0
_LOWEST, _HIGHEST, _TICKS = 0.01, 1.0, (0.01, 0.03, 0.1, 0.3, 1.0)
STYLE = """
text { font: 12px system-ui, "Segoe UI", Roboto, "Liberation Sans", Arial, sans-serif; fill: #5f6670; }
.name { font-weight: 600; fill: #1d2126; }
.grid { stroke: #dfe1dd; }
.line { stroke: #2b6cb0; stroke-width: 2; fill: none; }
.band { fill: #2b6cb0; opacity: 0.22; }
.reference { stroke: #9aa1ab; stroke-width: 1.5; fill: none; }
.paper { fill: #ffffff; }
@media (prefers-color-scheme: dark) {
  text { fill: #9ba3ad; } .name { fill: #e6e8ea; } .grid { stroke: #30363e; } .paper { fill: #14171b; }
  .line { stroke: #6ea8e6; } .band { fill: #6ea8e6; } .reference { stroke: #79818c; }
}
"""
"""The style of lines and bands, in light and dark."""
Point = tuple[float, float]
Curves = dict[str, list[list[float]]]


def draw(outcomes: Sequence[dict[str, Any]]) -> str:
    """Draw the study, one panel for each algorithm.

    outcomes: the JSON of `rpusim.workloads.studies.learning`, in the order of the panels.

    Returns the SVG document.
    """
    curves: Curves = {}
    for outcome in outcomes:
        curves.setdefault(outcome["algorithm"], []).append(outcome["errors"])
    rows = math.ceil(len(curves) / COLUMNS)
    width = _LEFT + COLUMNS * (_WIDTH + _GAP_X)
    height = _TOP + rows * (_HEIGHT + _GAP_Y)
    panels = [
        _panel(name, errors, curves.get(REFERENCE, []), number % COLUMNS, number // COLUMNS)
        for number, (name, errors) in enumerate(curves.items())
    ]
    label = "Test error against epochs: " + "; ".join(
        f"{name} ends at {fmean(error[-1] for error in errors):.1%}" for name, errors in curves.items()
    )
    return figure(
        label,
        STYLE,
        width,
        height,
        *panels,
    )


def _panel(name: str, errors: list[list[float]], reference: list[list[float]], column: int, row: int) -> str:
    """Draw one panel: mean and band over the seeds, and floating point as a reference."""
    left, top = _LEFT + column * (_WIDTH + _GAP_X), _TOP + row * (_HEIGHT + _GAP_Y)
    last = len(errors[0])

    def at(epoch: int, error: float) -> Point:
        share = math.log(max(error, _LOWEST) / _LOWEST) / math.log(_HIGHEST / _LOWEST)
        return left + _WIDTH * (epoch - 1) / max(last - 1, 1), top + _HEIGHT * (1.0 - share)

    def along(values: Sequence[float]) -> list[Point]:
        return [at(epoch, value) for epoch, value in enumerate(values, 1)]

    parts = [text(name, left, top - 8, class_="name")]
    for tick in _TICKS:
        y = at(1, tick)[1]
        parts.append(element("line", x1=left, x2=left + _WIDTH, y1=y, y2=y, class_="grid"))
        if column == 0:
            parts.append(text(f"{tick:.0%}", left - 6, y + 4, text_anchor="end"))
    for epoch in (1, last):
        words = str(epoch) if epoch == 1 else f"{epoch} epochs"
        anchor = "start" if epoch == 1 else "end"
        parts.append(text(words, at(epoch, 1.0)[0], top + _HEIGHT + 16, text_anchor=anchor))
    by_epoch = list(zip(*errors, strict=True))
    band = along([max(of) for of in by_epoch]) + along([min(of) for of in by_epoch])[::-1]
    parts.append(element("path", d=path(band) + "Z", class_="band"))
    if reference and name != REFERENCE:
        parts.append(
            element("path", d=path(along([fmean(of) for of in zip(*reference, strict=True)])), class_="reference")
        )
    parts.append(element("path", d=path(along([fmean(of) for of in by_epoch])), class_="line"))
    return "".join(parts)


if __name__ == "__main__":
    print(draw(json.loads(Path(sys.argv[1]).read_text())))
