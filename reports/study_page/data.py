"""What the page's script works with: positions on all axes, and every figure's numbers as columns for CSV files."""

from __future__ import annotations

import json
from typing import Any

from rpusim.reports.study_page import curves, energy
from rpusim.reports.study_page.axes import Axis
from rpusim.reports.study_page.front import best_pairs, spots
from rpusim.reports.words import study
from rpusim.reports.words.study import Document, metrics

Table = dict[str, list[Any]]
_ENDS = ("mean", "low", "high")


def data(document: Document, axes: list[Axis], chosen: list[int]) -> str:
    """Write the data of the page as JSON that can stand inside a script element.

    axes: of all settings and metrics. chosen: the groups whose curves and energies are drawn.
    """
    goals = [axis for axis in axes if axis.better]
    found = {
        "name": document["name"],
        "axes": [
            {
                "key": axis.key,
                "title": axis.title,
                "ticks": [[round(at, 4), words] for at, words in axis.ticks],
                "bounds": [round(at, 4) for at, _ in axis.bounds],
                "at": [None if spot is None else _packed(spot) for spot in spots(document, axis)],
            }
            for axis in axes
        ],
        "fronts": {
            f"{across.key} {up.key}": best_pairs(document, across, up)
            for across in goals
            for up in goals
            if across is not up
        },
        "tables": tables(document, chosen),
    }
    written = json.dumps(found, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
    return written.replace("<", "\\u003c").replace("\u2028", "\\u2028").replace("\u2029", "\\u2029")


def _packed(spot: tuple[float, float, float]) -> float | list[float]:
    """Write a place without an interval as one number."""
    at, low, high = (round(end, 4) for end in spot)
    return at if at == low == high else [at, low, high]


def tables(document: Document, chosen: list[int]) -> dict[str, Table]:
    """Make the numbers behind the figures: groups, and shares, curves and energies where there are any.

    Returns for each a list of ``columns`` and a list of ``rows``; quantities are SI.
    """
    found = {"groups": groups(document)}
    if rows := document.get("importance"):
        found["importance"] = {
            "columns": ["goal", "setting", "share of variance"],
            "rows": [[row["goal"], row["path"], row["share"]] for row in rows],
        }
    if rows := [row for row in document.get("claims", []) if "simulated" in row]:
        columns = ["case", "published", "unit", "simulated", "low", "high", "seeds", "tolerance", "verdict"]
        found["claims"] = {"columns": columns, "rows": [[row[column] for column in columns] for row in rows]}
    points = study.by_id(document)
    lines = [
        [study.name(document, document["groups"][index]), m.epoch, m.mean, m.low, m.high, m.seconds, m.joules]
        for index in chosen
        for m in curves.moments(points, document["groups"][index])
    ]
    if lines:
        columns = ["combination", "epoch", "error", "lowest seed", "highest seed", "seconds", "joules"]
        found["curves"] = {"columns": columns, "rows": lines}
    if shares := energy.by_part(document, chosen):
        names = energy.parts(shares)
        found["energy"] = {
            "columns": ["combination", *(f"{name} (J)" for name in names)],
            "rows": [
                [study.name(document, document["groups"][index]), *(of.get(n, 0.0) for n in names)]
                for index, of in shares
            ],
        }
    return found


def groups(document: Document) -> Table:
    """Make the table of all groups: settings, then mean, low, high and number of each metric, seeds, front, ids.

    Beside ``columns`` and ``rows`` it has ``metrics``: for each column the metric that it belongs to, or nothing.
    """
    paths = [each["path"] for each in document["settings"]]
    known = metrics(document)
    columns = ["combination", *paths]
    of = [""] * len(columns)
    for metric in known:
        name = f"{metric.name} ({metric.unit})" if metric.unit not in ("", "1") else metric.name
        columns += [name, f"{metric.name} low", f"{metric.name} high", f"{metric.name} n"]
        of += [metric.name] * 4
    of += [""] * 4
    columns += ["seeds", "feasible", "front", "points"]
    rows = []
    for group in document["groups"]:
        row: list[Any] = [study.name(document, group)]
        row += [_cell(group["settings"].get(path)) for path in paths]
        for metric in known:
            value = group["metrics"].get(metric.name) or {}
            row += [value.get(key) for key in (*_ENDS, "n")]
        row += [group.get("seeds", 1), group.get("feasible", True), bool(group.get("front")), " ".join(group["points"])]
        rows.append(row)
    return {"columns": columns, "rows": rows, "metrics": of}


def _cell(value: object) -> object:
    """Write a setting's value as one cell: what is no number or word as JSON."""
    return value if isinstance(value, str | int | float | None) else json.dumps(value, ensure_ascii=False)
