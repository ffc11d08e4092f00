"""Which setting matters for which goal: its share of the variance, as bars."""

from __future__ import annotations

from typing import Any

from rpusim.reports.page.svg import WIDTH, drawing, element, text, tip
from rpusim.reports.words.readable import percent
from rpusim.reports.words.study import Document, number, short_names

_TOP, _ROW, _NAMES, _GAP = 30.0, 26.0, 190.0, 30.0
_SHARE = 62.0


def importance(document: Document) -> str:
    """Draw the share of each setting in the variance of each goal: a row for each setting, a column for each goal.

    Returns the SVG element; nothing if the study does not tell shares.
    """
    rows: list[dict[str, Any]] = document.get("importance") or []
    share = {(row["goal"], row["path"]): value for row in rows if (value := number(row["share"])) is not None}
    goals = [goal for goal in document["goals"] if any((goal["name"], row["path"]) in share for row in rows)]
    if not goals:
        return ""
    names = short_names([each["path"] for each in document["settings"]])
    paths = sorted(names, key=lambda path: -max(share.get((goal["name"], path), 0.0) for goal in goals))
    width = min((WIDTH - _NAMES) / len(goals), 300.0)
    longest = width - _GAP - _SHARE
    parts = []
    for column, goal in enumerate(goals):
        left = _NAMES + column * width
        parts.append(text(goal["label"], left, 16, class_="axis-title"))
        for line, path in enumerate(paths):
            y = _TOP + line * _ROW
            value = share.get((goal["name"], path), 0.0)
            words = f"{names[path]}: {percent(value)} of the variance of {goal['label']}"
            bar = {"x": left, "y": y + 4, "width": max(longest * min(value, 1.0), 1.0), "height": _ROW - 10}
            parts.append(element("rect", tip(words), class_="block", **bar))
            parts.append(text(percent(value), left + bar["width"] + 8, y + 16))
    for line, path in enumerate(paths):
        parts.append(text(names[path], _NAMES - 14, _TOP + line * _ROW + 16, text_anchor="end"))
    label = f"Shares of the variance of {', '.join(goal['label'] for goal in goals)} that settings explain"
    return drawing(*parts, width=WIDTH, height=_TOP + _ROW * len(paths) + 8, label=label)
