"""Published figures beside ours: for each a line with what counts as agreement, and ours with its interval."""

from __future__ import annotations

from typing import Any

from rpusim.reports.page.svg import WIDTH, drawing, element, text, tip
from rpusim.reports.words import claims
from rpusim.reports.words.study import Document

_ROW, _TOP, _LEFT, _RIGHT = 52.0, 8.0, 16.0, 316.0
_MARGIN = 0.15
"""Of the range that a line shows, on both sides of it."""


def pictured(document: Document) -> str:
    """Draw the claims of a study that have a figure of ours, each on a scale of its own.

    Returns the SVG element; nothing if there are none.
    """
    shown = [(claim, row) for claim, row in zip(document.get("claims", []), claims.rows(document), strict=True)]
    shown = [(claim, row) for claim, row in shown if "simulated" in claim]
    if not shown:
        return ""
    parts = [part for line, (claim, row) in enumerate(shown) for part in _line(claim, row, _TOP + line * _ROW)]
    label = f"Published figures and ours: {claims.counted(document)}"
    return drawing(*parts, width=WIDTH, height=_TOP + _ROW * len(shown), label=label)


def _line(claim: dict[str, Any], row: claims.Row, top: float) -> list[str]:
    """Draw one claim. top: of its line."""
    values = [claim["published"], claim["low"], claim["high"]]
    values += [claim[end] for end in ("lowest", "highest") if claim[end] is not None]
    least, most = min(values), max(values)
    span = (most - least) or abs(most) or 1.0
    least, most = least - _MARGIN * span, most + _MARGIN * span
    width = WIDTH - _LEFT - _RIGHT

    def across(value: float) -> float:
        return _LEFT + width * float((value - least) / (most - least))

    low = across(least if claim["lowest"] is None else claim["lowest"])
    high = across(most if claim["highest"] is None else claim["highest"])
    y, ours = top + 34, "ours off" if "miss" in claim["verdict"] or not claim["passes"] else "ours"
    band = {"x": low, "y": y - 8, "width": max(high - low, 2.0), "height": 16}
    published, found = across(claim["published"]), across(claim["simulated"])
    return [
        text(row.case, _LEFT, top + 14, class_="axis-title"),
        element("rect", tip(f"agrees: {row.published}"), class_="agrees", **band),
        element("line", x1=published, x2=published, y1=y - 11, y2=y + 11, class_="published"),
        element("line", x1=across(claim["low"]), x2=across(claim["high"]), y1=y, y2=y, class_=ours),
        element("circle", tip(f"ours: {row.ours}"), cx=found, cy=y, r=5, class_=ours),
        text(row.ours, WIDTH - _RIGHT + 14, top + 30),
        text(f"published: {row.published} – {row.verdict}", WIDTH - _RIGHT + 14, top + 46),
    ]
