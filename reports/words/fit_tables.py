"""What the terminal shows of a fit."""

from __future__ import annotations

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from rpusim.reports.words import fit
from rpusim.reports.words.fit import Document


def fitted(document: Document) -> RenderableType:
    """Show a fit: what was measured, which model and why, its parameters, and all models."""
    parts: list[RenderableType] = [
        Text(fit.title(document), style="bold"),
        Text(fit.subtitle(document), style="dim"),
        "",
        Text(document["why"], style="bold"),
        Text(fit.mapping(document)),
        "",
    ]
    table = _table("parameter", "value", "95 % interval")
    for row in fit.parameters(document):
        table.add_row(*row)
    facts = Table(box=None, show_header=False, pad_edge=False, padding=(0, 2, 0, 0))
    for label, value, note in fit.headlines(document):
        facts.add_row(Text(label, style="dim"), value, Text(note, style="dim"))
    models = fit.models(document)
    of_models = _table("model", "fitted", "BIC", "AICc", "left", "corr.", "states", "sym. point")
    for row in models["rows"]:
        of_models.add_row(*row)
    parts += [facts, "", table, "", of_models, ""]
    return Group(*parts, *(Text(note, style="dim") for note in fit.notes(document)))


def _table(*headings: str) -> Table:
    table = Table(box=None, pad_edge=False, header_style="dim", padding=(0, 2, 0, 0))
    for number, heading in enumerate(headings):
        table.add_column(heading, justify="right" if number else "left", no_wrap=True)
    return table
