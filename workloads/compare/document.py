"""The document of a comparison: what differs, and each group's figures; groups are runs that differ in the seed alone.

It has the parts of a study's document, so that the same drawings show both.
"""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from rpusim.workloads.compare.run import METRICS, Run, is_number
from rpusim.workloads.results.document import package_version
from rpusim.workloads.results.groups import figure, unbeaten
from rpusim.workloads.results.measures import MEASURES

SCHEMA = "rpusim-compare-1"
"""The version of a comparison's keys; `rpusim schema compare` prints them."""
PAGE = "report.html"
_GOALS = ("error", "time", "energy", "area")
_FEW, _FEW_OF_A_POINT = 3, 6


def comparison(runs: Sequence[Run], beside: Path | None = None) -> dict[str, Any]:
    """Put runs side by side.

    runs:    at least two, with names of their own.
    beside:  the folder of the page that will show them, from which it can lead to their own pages; None: it does not.

    Returns the document: ``settings`` and ``numbers`` that differ, with a value for each group, the settings that are
    the ``same``, and ``groups`` and ``points`` as in a study's document.
    """
    together = _together(runs)
    settings, same = _settings([group[0] for group in together])
    varying = [each["path"] for each in settings]
    goals = [
        {"name": name, "label": MEASURES[name].label, "unit": MEASURES[name].unit, "better": MEASURES[name].better}
        for name in _GOALS
        if all(name in run.metrics for run in runs)
    ]
    groups = [_group(group, varying) for group in together]
    for group, name in zip(groups, _names(together, groups), strict=True):
        if name:
            group["name"] = name
    kept = unbeaten([[group["metrics"][goal["name"]]["mean"] for goal in goals] for group in groups])
    for group, on_front in zip(groups, kept, strict=True):
        group["front"] = bool(goals) and on_front
    return {
        "schema": SCHEMA,
        "name": "comparison",
        "kind": "run" if any("error" in run.metrics for run in runs) else "time",
        "version": package_version(),
        "settings": settings,
        "same": same,
        "numbers": _numbers([group[0] for group in together]),
        "goals": goals,
        "constraints": [],
        "groups": groups,
        "points": [_point(run, varying, beside) for run in runs],
    }


def _together(runs: Sequence[Run]) -> list[list[Run]]:
    """Put runs together that differ in the seed alone; the same run twice is two groups."""
    found: dict[str, list[Run]] = {}
    for run in runs:
        key = json.dumps([run.settings, run.numbers], sort_keys=True)
        number = 0
        while any(other.seed == run.seed for other in found.get(f"{number} {key}", [])):
            number += 1
        found.setdefault(f"{number} {key}", []).append(run)
    return list(found.values())


def _settings(runs: list[Run]) -> tuple[list[dict[str, Any]], dict[str, Any]]:
    """Divide settings into those that differ between runs, with their values, and those that are the same."""
    paths = list(dict.fromkeys(path for run in runs for path in run.settings))
    differ: list[dict[str, Any]] = []
    same: dict[str, Any] = {}
    for path in paths:
        values = {json.dumps(run.settings.get(path), sort_keys=True): run.settings.get(path) for run in runs}
        if len(values) == 1:
            same[path] = next(iter(values.values()))
            continue
        given = [value for value in values.values() if value is not None]
        kind = "number" if all(is_number(value) for value in given) else "word"
        differ.append({"path": path, "values": sorted(given) if kind == "number" else given, "kind": kind})
    return differ, same


def _numbers(runs: list[Run]) -> list[dict[str, Any]]:
    """List the numbers that went in and differ: field, unit, and a value for each run; None where it has no such."""
    known = [run for run in runs if run.numbers]  # points of a study without a run folder tell none
    fields = list(dict.fromkeys(name for run in known for name in run.numbers))
    found = []
    for name in fields:
        if len({json.dumps(run.numbers.get(name)) for run in known}) > 1:
            unit = next(run.numbers[name][1] for run in known if name in run.numbers)
            values = [run.numbers[name][0] if name in run.numbers else None for run in runs]
            found.append({"field": name, "unit": unit, "values": values})
    return found


def _group(runs: list[Run], varying: list[str]) -> dict[str, Any]:
    """Describe runs that differ in the seed alone; varying: paths of the settings that differ between groups."""
    metrics = {}
    for name in dict.fromkeys(name for run in runs for name in run.metrics):
        values = [run.metrics[name] for run in runs if name in run.metrics]
        metrics[name] = figure(name, values, runs[0].test_samples)
    known = sorted(metrics, key=lambda name: METRICS.index(name) if name in METRICS else len(METRICS))
    return {
        "settings": {path: runs[0].settings.get(path) for path in varying},
        "points": [run.name for run in runs],
        "seeds": len(runs),
        "metrics": {name: metrics[name] for name in known},
        "feasible": True,
    }


def _names(together: list[list[Run]], groups: list[dict[str, Any]]) -> list[str]:
    """Name groups by their only run, or by the first of several and how many more there are.

    Points of a study, and several seeds that a few settings tell from all others, get no name: their settings say more.
    """
    settings = [json.dumps(group["settings"], sort_keys=True) for group in groups]
    found = []
    for runs, group, own in zip(together, groups, settings, strict=True):
        more = f" and {len(runs) - 1} more seed{'s' if len(runs) > 2 else ''}" if len(runs) > 1 else ""
        most = _FEW_OF_A_POINT if runs[0].is_point else _FEW if len(runs) > 1 else 0
        by_settings = settings.count(own) == 1 and 0 < len(group["settings"]) <= most
        found.append("" if by_settings else runs[0].name + more)
    return found


def _point(run: Run, varying: list[str], beside: Path | None) -> dict[str, Any]:
    """Describe one run as a point of a study; beside: the folder of the page that may lead to the run's own."""
    page = Path(run.folder) / PAGE if run.folder else None
    linked = beside is not None and page is not None and page.is_file()
    return {
        "id": run.name,
        "folder": run.folder,
        "settings": {path: run.settings.get(path) for path in varying},
        "seed": run.seed,
        "state": "done",
        "metrics": run.metrics,
        "energy_by_part": run.energy_by_part,
        "curve": run.curve,
        "page": Path(os.path.relpath(page, beside)).as_posix() if linked and page and beside else None,
    }
