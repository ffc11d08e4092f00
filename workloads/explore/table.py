"""A study as a pandas table, a row for each point."""

from __future__ import annotations

import io
from csv import writer
from typing import TYPE_CHECKING, Any

from rpusim.arch.contract.configuration import shown
from rpusim.errors import InputError, nearest
from rpusim.workloads.explore.workers import missing
from rpusim.workloads.results.measures import MEASURES

if TYPE_CHECKING:
    import pandas


def rows(document: dict[str, Any]) -> list[dict[str, Any]]:
    """List the points of a study's document, a flat mapping each: id, settings, seed, state, why, figures."""
    paths = [setting["path"] for setting in document["settings"]]
    names = [measure["name"] for measure in document["measures"]]
    front = {name for group in document["groups"] if group["front"] for name in group["points"]}
    return [
        {"id": point["id"]}
        | {path: point["settings"].get(path) for path in paths}
        | {"seed": point["seed"], "state": point["state"], "front": point["id"] in front}
        | {name: point.get("metrics", {}).get(name) for name in names}
        | {"why": point.get("why", "")}
        for point in document["points"]
    ]


def csv(document: dict[str, Any]) -> str:
    """Write the points of a study's document as comma-separated values, figures in SI units."""
    written, whole = io.StringIO(), rows(document)
    sheet = writer(written, lineterminator="\n")
    sheet.writerow(whole[0] if whole else ())
    sheet.writerows(row.values() for row in whole)
    return written.getvalue()


def table(document: dict[str, Any]) -> pandas.DataFrame:
    """Make a table of a study's document, a row for each point."""
    try:
        import pandas
    except ImportError:
        raise missing("study", "pandas") from None
    made = pandas.DataFrame(rows(document))
    made.attrs["study"] = document
    return made


def best(points: pandas.DataFrame, goal: str, **most: float) -> pandas.Series[Any]:
    """Return the row of a study's table that is best in a figure, means over seeds.

    points:  what `rpusim.study` returned.
    goal:    name of the figure, such as "energy".
    most:    limits on other figures, in SI units: ``error=0.02`` for what is to be low, at least so much for what is to
             be high.

    Raises InputError if there is no such figure, or no point within the limits.
    """
    for name in (goal, *most):
        if name not in MEASURES or name not in points:
            known = [measure for measure in MEASURES if measure in points]
            raise InputError(f"{shown(name)} is no figure of this study{nearest(name, known)}")
    paths = [setting["path"] for setting in points.attrs["study"]["settings"]]
    done = points[points["state"] == "done"].copy()
    keys = done[paths].map(str).agg("|".join, axis=1)
    means = done.groupby(keys)[[goal, *most]].transform("mean")
    for name, limit in most.items():
        within = means[name] <= limit if MEASURES[name].better == "lower" else means[name] >= limit
        means = means[within]
    if means.empty:
        raise InputError(f"no point keeps {', '.join(f'{name} {limit:g}' for name, limit in most.items())}")
    at = means[goal].idxmin() if MEASURES[goal].better == "lower" else means[goal].idxmax()
    return done.loc[at]
