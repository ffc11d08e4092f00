"""The page of a study: one self-contained HTML file from its document (study.json).

What was asked, the answer and the front come first; then every setting and goal at once, what matters, what each
setting does, and a table of all combinations. All of it is there without a script; the script lets one choose axes,
sort, filter, and save figures as SVG and CSV, and asks nothing of any network.
"""

from __future__ import annotations

import re
from functools import cache
from pathlib import Path
from typing import Any

from markupsafe import Markup

from rpusim.reports.page import filling
from rpusim.reports.page.filling import TEMPLATES
from rpusim.reports.study_page import curves
from rpusim.reports.study_page.axes import Axis, axes
from rpusim.reports.study_page.claims import pictured
from rpusim.reports.study_page.data import data
from rpusim.reports.study_page.energy import energy
from rpusim.reports.study_page.front import front, listed
from rpusim.reports.study_page.importance import importance
from rpusim.reports.study_page.parallel import MOST_AXES, parallel
from rpusim.reports.study_page.sensitivity import sensitivity
from rpusim.reports.study_page.table import links, table
from rpusim.reports.words import claims, study
from rpusim.reports.words.study import Document

FOLDER = Path(__file__).parent / "templates"
MOST_GROUPS = 1500
"""A page shows no more combinations than these, the front first, and says how many it leaves out."""


def page(document: Document) -> str:
    """Write the report of a study.

    document: what study.json holds, of schema ``rpusim-study-1``. Links lead to the points' own pages, which lie in
              folders beside the page.

    Returns the HTML document.
    """
    subtitle = study.subtitle(document)
    left_out = max(len(document["groups"]) - MOST_GROUPS, 0)
    if left_out:
        shown = study.ordered(document)[:MOST_GROUPS]
        document = document | {"groups": [document["groups"][index] for index in sorted(shown)]}
    known = axes(document)
    settings = [axis for axis in known if axis.key in {each["path"] for each in document["settings"]}]
    values = [axis for axis in known if axis not in settings]
    goals = [axis for axis in values if axis.better]
    chosen = compared(document, known)
    together = [*settings, *(axis for axis in values if axis.several)]
    return render(
        "study.html",
        document,
        known,
        chosen,
        title=document.get("title") or document["name"],
        subtitle=subtitle,
        question=study.question(document),
        answer=document["answer"],
        front=first_figure(document, settings, values),
        intervals=study.intervals(document),
        work=study.work(document),
        constraints=study.constraints(document),
        parallel=Markup(parallel(document, together)) if len(together) > 1 else "",
        axes_left_out=[axis.label for axis in together[MOST_AXES:]],
        importance=Markup(importance(document)),
        sensitivity=[
            (f"sensitivity-{number}", goal.title, Markup(sensitivity(document, goal, settings)))
            for number, goal in enumerate(goals, 1)
            if settings
        ],
        **learned(document, chosen),
        energy=Markup(energy(document, chosen)),
        table=table(document),
        table_note=f"{left_out:,} more combinations are in study.json alone." if left_out else "",
        failures=study.failures(document),
        paper=document.get("paper"),
        claims=claims.rows(document),
        claims_counted=claims.counted(document),
        claimed=Markup(pictured(document)),
        varied=study.varied(document),
        command=document.get("command"),
    )


def render(template: str, document: Document, known: list[Axis], chosen: list[int], **words: Any) -> str:
    """Fill a template of this room with words, the style, the script, and the data that the script works with."""
    style = "\n".join((_text(TEMPLATES / "report.css"), _text(FOLDER / "figures.css"), _text(FOLDER / "study.css")))
    return filling.template(template, FOLDER).render(
        style=Markup(style),
        figure_style=Markup(figure_style()),
        script=Markup(_text(FOLDER / "study.js")),
        data=Markup(data(document, known, chosen)),
        **words,
    )


def first_figure(document: Document, settings: list[Axis], values: list[Axis]) -> dict[str, Any]:
    """Give the template the front: its drawing, the axes to choose from, and the best combinations with their figures.

    settings, values: axes of settings, and of metrics with the goals first.

    Returns nothing where there are no two axes.
    """
    choices = [*values, *settings]
    if not values or len(choices) < 2:
        return {}
    up, across = values[0], choices[1]
    goals = study.metrics(document)[: len(document["goals"])]
    best = [
        {
            "index": index,
            "name": study.name(document, document["groups"][index]),
            "figures": [goal.text(mean) for goal in goals if (mean := _mean(document, index, goal.name)) is not None],
        }
        for index in listed(document, across, up)
    ]
    more = sum(bool(group.get("front")) for group in document["groups"]) - len(best)
    kinds = [
        ("front", "on the front: no other one is better in every goal"),
        ("rest", "another one is at least as good in every goal"),
    ]
    if not all(group.get("feasible", True) for group in document["groups"]):
        kinds.append(("hollow", "beyond a constraint"))
    return {
        "axes": [(axis.key, axis.label) for axis in choices],
        "across": across.key,
        "up": up.key,
        "drawing": Markup(front(document, across, up, links(document))),
        "best": best,
        "more": more,
        "kinds": kinds,
    }


def compared(document: Document, known: list[Axis]) -> list[int]:
    """Choose the groups whose curves and energies are drawn: all if they are few, else some of the front's list."""
    if len(document["groups"]) <= curves.MOST:
        return list(range(len(document["groups"])))
    values = [axis for axis in known if axis.better]
    found = listed(document, *values[1::-1]) if len(values) > 1 else study.ordered(document)[: curves.MOST]
    if len(found) <= curves.MOST:
        return found
    return [found[round(number * (len(found) - 1) / (curves.MOST - 1))] for number in range(curves.MOST)]


def learned(document: Document, chosen: list[int]) -> dict[str, Any]:
    """Give the template the learning curves, one drawing for each choice of what they are drawn against."""
    drawings = [
        (key, words, Markup(f'<div class="scroll" data-against="{key}"{hidden}>{drawn}</div>'))
        for (key, words, _), hidden in zip(curves.ABSCISSAE, ("", " hidden", " hidden"), strict=True)
        if (drawn := curves.curves(document, chosen, key))
    ]
    points = study.by_id(document)
    every = [index for index, group in enumerate(document["groups"]) if curves.moments(points, group)]
    shown = [index for index in chosen if index in every]
    several = any(document["groups"][index].get("seeds", 1) > 1 for index in shown)
    note = "Test error of some combinations of the front." if len(every) > len(shown) else "Test error."
    if several:
        note += " The line is the mean over seeds, the band goes from the lowest to the highest."
    return {"curves": drawings, "curves_note": note, "curves_left_out": len(every) - len(shown)}


def _mean(document: Document, index: int, goal: str) -> float | None:
    """Return the mean of a group's metric; None if it has none."""
    return study.number(document["groups"][index]["metrics"].get(goal, {}).get("mean"))


@cache
def figure_style() -> str:
    """Return the style that goes into a saved drawing: that of the page, with the colours of its light scheme."""
    light = re.search(r":root \{([^}]*)\}", _text(TEMPLATES / "report.css"))
    assert light is not None
    colours = dict(re.findall(r"(--[\w-]+): *([^;]+);", light[1]))
    return re.sub(r"var\((--[\w-]+)\)", lambda found: colours[found[1]], _text(FOLDER / "figures.css"))


def _text(path: Path) -> str:
    return path.read_text(encoding="utf-8")
