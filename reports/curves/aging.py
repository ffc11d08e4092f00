"""The curves of `rpusim.workloads.studies.aging` as one SVG file: error over time, drift as it is and compensated.

    python -m rpusim.workloads.studies.aging --json > inference.json
    python -m rpusim.reports.curves.aging inference.json > inference.svg

A line is the mean over the seeds, the band around it reaches from the best to the worst. Both axes are logarithmic.
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
PANELS = {False: "drift as it is", True: "drift compensated"}
VARIANTS = ("converted", "hardware-aware")
_WIDTH, _HEIGHT, _LEFT, _TOP, _GAP, _BELOW = 320.0, 190.0, 44.0, 30.0, 40.0, 52.0
_LOWEST, _HIGHEST, _TICKS = 0.005, 1.0, (0.01, 0.03, 0.1, 0.3, 1.0)
_NAMED = {1.0: "1 s", 60.0: "1 min", 3600.0: "1 h", 86400.0: "1 day", 31536000.0: "1 year"}
_STYLE = """
text { font: 12px system-ui, "Segoe UI", Roboto, "Liberation Sans", Arial, sans-serif; fill: #5f6670; }
.name { font-weight: 600; fill: #1d2126; }
.grid { stroke: #dfe1dd; }
.converted { stroke: #c05621; stroke-width: 2; fill: none; }
.hardware-aware { stroke: #2b6cb0; stroke-width: 2; fill: none; }
.band.converted { fill: #c05621; stroke: none; opacity: 0.18; }
.band.hardware-aware { fill: #2b6cb0; stroke: none; opacity: 0.18; }
.reference { stroke: #9aa1ab; stroke-width: 1.5; fill: none; }
.paper { fill: #ffffff; }
@media (prefers-color-scheme: dark) {
  text { fill: #9ba3ad; } .name { fill: #e6e8ea; } .grid { stroke: #30363e; } .paper { fill: #14171b; }
  .converted { stroke: #ed9b5f; } .band.converted { fill: #ed9b5f; } .reference { stroke: #79818c; }
  .hardware-aware { stroke: #6ea8e6; } .band.hardware-aware { fill: #6ea8e6; }
}
"""
Point = tuple[float, float]


def draw(outcomes: Sequence[dict[str, Any]]) -> str:
    """Draw the study.

    outcomes: the JSON of `rpusim.workloads.studies.aging`.

    Returns the SVG document.
    """
    width = _LEFT + len(PANELS) * _WIDTH + _GAP * (len(PANELS) + 1)
    height = _TOP + _HEIGHT + _BELOW
    ends = [
        f"{variant}, {words}: {fmean(errors[-1] for errors in _errors(outcomes, variant, compensated)):.1%}"
        for compensated, words in PANELS.items()
        for variant in VARIANTS
    ]
    label = "Test error against time since programming; at the end " + "; ".join(ends)
    return figure(
        label,
        _STYLE,
        width,
        height,
        *(_panel(outcomes, compensated, number) for number, compensated in enumerate(PANELS)),
        _legend(height - 10),
    )


def _errors(outcomes: Sequence[dict[str, Any]], variant: str, compensated: bool) -> list[list[float]]:
    """Choose the test errors of a variant over time, one list for each seed."""
    return [o["errors"] for o in outcomes if (o["variant"], o["compensated"]) == (variant, compensated)]


def _panel(outcomes: Sequence[dict[str, Any]], compensated: bool, column: int) -> str:
    """Draw one panel: a line and a band for each variant, and floating point."""
    left, seconds = _LEFT + column * (_WIDTH + _GAP), outcomes[0]["seconds"]

    def across(time: float) -> float:
        return left + _WIDTH * math.log(time / seconds[0]) / math.log(seconds[-1] / seconds[0])

    def down(error: float) -> float:
        share = math.log(max(error, _LOWEST) / _LOWEST) / math.log(_HIGHEST / _LOWEST)
        return _TOP + _HEIGHT * (1.0 - share)

    def along(errors: Sequence[float]) -> list[Point]:
        return [(across(time), down(error)) for time, error in zip(seconds, errors, strict=True)]

    parts = [text(PANELS[compensated], left, _TOP - 8, class_="name")]
    for tick in _TICKS:
        parts.append(element("line", x1=left, x2=left + _WIDTH, y1=down(tick), y2=down(tick), class_="grid"))
        if column == 0:
            parts.append(text(f"{tick:.0%}", left - 6, down(tick) + 4, text_anchor="end"))
    for time in seconds:
        if time in _NAMED:
            parts.append(text(_NAMED[time], across(time), _TOP + _HEIGHT + 16, text_anchor="middle"))
    digital = [fmean(at) for at in zip(*_errors(outcomes, REFERENCE, False), strict=True)]
    parts.append(element("path", d=path(along(digital)), class_="reference"))
    for variant in VARIANTS:
        by_time = list(zip(*_errors(outcomes, variant, compensated), strict=True))
        band = along([max(at) for at in by_time]) + along([min(at) for at in by_time])[::-1]
        parts.append(element("path", d=path(band) + "Z", class_=f"band {variant}"))
        parts.append(element("path", d=path(along([fmean(at) for at in by_time])), class_=variant))
    return "".join(parts)


def _legend(y: float) -> str:
    """Name the lines; ``y`` is the base line of the words."""
    parts, x = [], _LEFT
    for name, class_ in ((REFERENCE, "reference"), *((variant, variant) for variant in VARIANTS)):
        words = name.replace("floating-point", "floating point").replace("hardware-aware", "trained for it")
        parts += [element("path", d=path([(x, y - 4), (x + 22, y - 4)]), class_=class_), text(words, x + 28, y)]
        x += 140.0
    return "".join(parts)


if __name__ == "__main__":
    print(draw(json.loads(Path(sys.argv[1]).read_text())))
