"""The page of a fit: one self-contained HTML file from its document (fit.json)."""

from __future__ import annotations

from pathlib import Path

from markupsafe import Markup

from rpusim.reports.fit_page import drawings
from rpusim.reports.fit_page.drawings import Document
from rpusim.reports.page.filling import TEMPLATES, template
from rpusim.reports.words import fit

FOLDER = Path(__file__).parent / "templates"


def page(document: Document) -> str:
    """Write the page of a fit. document: of schema ``rpusim-fit-1``. Returns the HTML document."""
    style = "\n".join(path.read_text(encoding="utf-8") for path in (TEMPLATES / "report.css", FOLDER / "fit.css"))
    return template("fit.html", FOLDER).render(
        style=Markup(style),
        title=fit.title(document),
        subtitle=fit.subtitle(document),
        why=document["why"],
        mapping=fit.mapping(document),
        headlines=fit.headlines(document),
        curves=Markup(drawings.curves(document)),
        steps=Markup(drawings.steps(document)),
        residuals=Markup(drawings.residuals(document)),
        parameters=fit.parameters(document),
        models=fit.models(document),
        cells=fit.cells(document),
        notes=fit.notes(document),
        command=document.get("command"),
        versions=", ".join(f"{name} {version}" for name, version in document["versions"].items()),
    )
