"""Draw the prediction of `rpusim.workloads.studies.twin`: a panel for each case, error against updates.

    python -m rpusim.reports.curves.twin prediction.csv > twin.svg

A line is the median of the weights' mean squared error over the runs, the band around it reaches from 10 to 90 %.
"""

from __future__ import annotations

import csv
import math
import sys
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from rpusim.reports.curves.learning import STYLE
from rpusim.reports.page.svg import element, figure, path, text

COLUMNS = 4
_WIDTH, _HEIGHT, _LEFT, _TOP, _GAP_X, _GAP_Y = 190.0, 130.0, 44.0, 30.0, 16.0, 52.0
_LOWEST, _HIGHEST, _TICKS = 0.003, 1.0, (0.01, 0.03, 0.1, 0.3, 1.0)
Row = Mapping[str, str]


def draw(rows: Iterable[Row]) -> str:
    """Draw a prediction. rows: of prediction.csv, in the order of the panels. Returns the SVG document."""
    cases: dict[str, list[Row]] = {}
    for row in rows:
        cases.setdefault(row["case"], []).append(row)
    panels = [_panel(name, of, n % COLUMNS, n // COLUMNS) for n, (name, of) in enumerate(cases.items())]
    width = _LEFT + COLUMNS * (_WIDTH + _GAP_X)
    height = _TOP + math.ceil(len(cases) / COLUMNS) * (_HEIGHT + _GAP_Y)
    label = "Predicted mean squared error against updates: " + "; ".join(
        f"{name} ends at {of[-1]['weights 50 %']}" for name, of in cases.items()
    )
    return figure(
        label,
        STYLE,
        width,
        height,
        *panels,
    )


def _panel(name: str, rows: Sequence[Row], column: int, line: int) -> str:
    left, top = _LEFT + column * (_WIDTH + _GAP_X), _TOP + line * (_HEIGHT + _GAP_Y)
    last = int(rows[-1]["update"])

    def at(update: int, error: float) -> tuple[float, float]:
        share = math.log(max(error, _LOWEST) / _LOWEST) / math.log(_HIGHEST / _LOWEST)
        return left + _WIDTH * update / last, top + _HEIGHT * (1.0 - share)

    def along(share: str) -> list[tuple[float, float]]:
        return [at(int(row["update"]), float(row[f"weights {share}"])) for row in rows]

    parts = [text(name, left, top - 8, class_="name")]
    for tick in _TICKS:
        y = at(0, tick)[1]
        parts.append(element("line", x1=left, x2=left + _WIDTH, y1=y, y2=y, class_="grid"))
        if column == 0:
            parts.append(text(f"{tick:g}", left - 6, y + 4, text_anchor="end"))
    parts.append(text("0", left, top + _HEIGHT + 16, text_anchor="start"))
    parts.append(text(f"{last} updates", left + _WIDTH, top + _HEIGHT + 16, text_anchor="end"))
    parts.append(element("path", d=path(along("90 %") + along("10 %")[::-1]) + "Z", class_="band"))
    parts.append(element("path", d=path(along("50 %")), class_="line"))
    return "".join(parts)


if __name__ == "__main__":
    with open(Path(sys.argv[1]), encoding="utf-8") as stream:
        print(draw(csv.DictReader(stream)))
