"""The page of a comparison: what differs between runs, and their figures, curves and energies, in one HTML file."""

from __future__ import annotations

from typing import Any

from markupsafe import Markup

from rpusim.reports.study_page import curves
from rpusim.reports.study_page.axes import axes
from rpusim.reports.study_page.energy import energy
from rpusim.reports.study_page.parallel import parallel
from rpusim.reports.study_page.report import compared, first_figure, learned, render
from rpusim.reports.study_page.table import address, table
from rpusim.reports.words import compare, study
from rpusim.reports.words.study import Document

MOST_COLUMNS = 8
"""More groups than these are listed in rows only."""


def page(document: Document) -> str:
    """Write the page of a comparison.

    document: of schema ``rpusim-compare-1``, as `rpusim compare --json` prints it. Links lead to the runs' own pages,
              if it was made for a page beside which they lie.

    Returns the HTML document.
    """
    known = axes(document)
    paths = {each["path"] for each in document["settings"]}
    settings = [axis for axis in known if axis.key in paths]
    values = [axis for axis in known if axis not in settings]
    together = [*settings, *(axis for axis in values if axis.several)]
    chosen = compared(document, known)
    few = len(document["groups"]) <= MOST_COLUMNS
    sections = _sections(document) if few else []
    return render(
        "compare.html",
        document,
        known,
        chosen,
        title=compare.title(document),
        subtitle=compare.subtitle(document),
        answer=compare.answer(document),
        names=[study.name(document, group) for group in document["groups"]],
        coloured=len(document["groups"]) <= curves.MOST,
        sections=sections,
        numbers=compare.numbers(document),
        few=few,
        front=first_figure(document, settings, values) if len(document["groups"]) > 2 else {},
        parallel="" if few or len(together) < 2 else Markup(parallel(document, together)),
        **learned(document, chosen),
        energy=Markup(energy(document, chosen)),
        energy_rows=compare.energy(document) if few else [],
        table=table(document),
        intervals=compare.intervals(document),
        same=[(path, study.setting(value)) for path, value in document["same"].items()],
        runs=[
            run | {"page": address(run["page"]), "seed": study.setting(run["seed"])} for run in compare.runs(document)
        ],
    )


def _sections(document: Document) -> list[tuple[str, list[dict[str, Any]]]]:
    """Make the parts of the table side by side: what differs, the figures, and these as multiples of the first."""
    names = [study.name(document, group) for group in document["groups"]]
    found = [
        ("what differs", [*compare.settings(document), compare.seeds(document)]),
        ("figures", compare.figures(document)),
        (f"as multiples of {names[0]}", compare.ratios(document)),
    ]
    return [
        (heading, [{"label": r.label, "full": r.full, "cells": r.cells, "alike": len(set(r.cells)) == 1} for r in rows])
        for heading, rows in found
        if rows
    ]
