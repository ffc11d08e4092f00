"""The table of all combinations: heads with the columns they sort by, and rows of texts."""

from __future__ import annotations

import re
from typing import Any

from rpusim.reports.study_page.data import groups
from rpusim.reports.study_page.front import kind
from rpusim.reports.words import study
from rpusim.reports.words.study import Document, Group, metrics, setting, short_names

_INSIDE = re.compile(r"(?!/)[\w./ -]+")
"""A link leads to a file beside the page or below: no scheme, no host, no query."""


def table(document: Document) -> dict[str, Any]:
    """Make what the template writes.

    Returns ``heads`` (label, full name, and the column of `data.groups` to sort by), ``rows`` in the order of
    `study.ordered`, and an ``example`` of what the filter takes.
    """
    columns = groups(document)["columns"]
    paths = [each["path"] for each in document["settings"]]
    names = short_names(paths)
    known = metrics(document)
    named = any(group.get("name") for group in document["groups"])
    heads: list[dict[str, Any]] = []
    if named:
        heads.append({"label": "run", "full": "run", "column": 0, "words": True})
    heads += [{"label": names[p], "full": p, "column": columns.index(p), "words": True} for p in paths]
    for metric in known:
        column = next(i for i, name in enumerate(columns) if name.partition(" (")[0] == metric.name and i > len(paths))
        heads.append({"label": metric.label, "full": metric.name, "column": column, "words": False})
    points = study.by_id(document)
    rows = []
    for index in study.ordered(document):
        group = document["groups"][index]
        cells = [{"text": study.name(document, group), "span": "", "words": True}] if named else []
        cells += [{"text": setting(group["settings"].get(p)), "span": "", "words": True} for p in paths]
        for metric in known:
            value = group["metrics"].get(metric.name)
            mean = study.number(value and value.get("mean"))
            shown = "–" if mean is None else metric.text(mean)
            cells.append({"text": shown, "span": metric.span(value), "words": False})
        rows.append(
            {
                "index": index,
                "kind": kind(group),
                "cells": cells,
                "seeds": seeds(points, group),
                "stands": study.states(document, group),
            }
        )
    first = document["goals"][0]["name"] if document["goals"] else "energy"
    word = setting(document["settings"][0]["values"][0]) if document["settings"] else ""
    some = f"{names[paths[0]]}={word}" if paths and " " not in word else ""
    return {"heads": heads, "rows": rows, "example": f"{first}<{'2%' if first == 'error' else '1u'} {some}".strip()}


def seeds(points: dict[str, dict[str, Any]], group: Group) -> list[tuple[str, str]]:
    """List a group's seeds, each with the address of its point's page; empty where it has none.

    points: of the study, by their ids.
    """
    found = [points[name] for name in group["points"] if name in points]
    return [
        ("page" if point["seed"] is None and page else setting(point["seed"]), page)
        for point in found
        for page in [address(point.get("page"))]
    ]


def links(document: Document) -> list[str]:
    """Find where a click on each group leads: to its point's page, or to its row, where each seed has a link."""
    points = study.by_id(document)
    found = []
    for index, group in enumerate(document["groups"]):
        pages = [page for _, page in seeds(points, group) if page]
        found.append(pages[0] if len(pages) == 1 else f"#g{index}")
    return found


def address(page: object) -> str:
    """Return the address of a page if it is a file beside or below; else nothing."""
    return page if isinstance(page, str) and _INSIDE.fullmatch(page) else ""
