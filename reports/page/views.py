"""How a result shows itself: printed, summed up, drawn, and in a notebook.

Importing this module is enough: results then have these views (`rpusim.workloads.results.result.VIEWS`).
"""

from __future__ import annotations

from html import escape
from io import StringIO

from rich.console import Console

from rpusim.reports.page import waterfall
from rpusim.reports.page.alone import alone, plot
from rpusim.reports.words import figures, losses, tables
from rpusim.reports.words.figures import Document
from rpusim.workloads.results.result import VIEWS

_QUIET = "opacity: 0.65"
_CELL = "text-align: left; padding: 2px 16px 2px 0; border: 0; background: none"


def table(document: Document) -> str:
    """Show a result as a fragment of HTML in the colours of the page around it."""
    rows = "".join(
        f'<tr><th scope="row" style="{_CELL}; font-weight: normal; {_QUIET}">{escape(figure.label)}</th>'
        f'<td style="{_CELL}; text-align: right; font-weight: 600; white-space: nowrap">{escape(figure.text)}</td>'
        f'<td style="{_CELL}; {_QUIET}">{escape(figure.note)}</td></tr>'
        for figure in figures.headlines(document)
    )
    return (
        f'<div><div style="font-weight: 600">{escape(figures.title(document))}</div>'
        f'<table style="border-collapse: collapse; margin: 6px 0"><tbody>{rows}</tbody></table>'
        f"<div>{escape(document['bottleneck']['sentence'])}</div>"
        f'<div style="{_QUIET}">{escape(figures.what_was_timed(document))}</div>{plot(document)}</div>'
    )


def _printed(*parts: object) -> str:
    """Write what the terminal would show, without colours, 100 characters wide."""
    written = StringIO()
    Console(file=written, width=100, highlight=False, color_system=None).print(*parts, sep="\n")
    return "\n".join(line.rstrip() for line in written.getvalue().rstrip().splitlines())


def _headlines(document: Document) -> str:
    return _printed(figures.title(document), tables.headlines(document), document["bottleneck"]["sentence"])


def _screen(document: Document) -> str:
    return _printed(tables.result(document))


def _lost(found: Document) -> str:
    return _printed(losses.shown(found))


def _causes(found: Document) -> str:
    return alone(waterfall.waterfall(found))


def _layers(found: Document) -> str:
    return alone(waterfall.signal_to_noise(found))


def _lost_html(found: Document) -> str:
    """Show where accuracy is lost as a fragment of HTML: sentence, drawings and tables."""
    said = (*losses.notes(found), losses.RATIO_WORDS)
    notes = "".join(f'<div style="{_QUIET}">{escape(note)}</div>' for note in said)
    return (
        f'<div><div style="font-weight: 600">{escape(losses.title(found))}</div>'
        f"<div>{escape(losses.sentence(found))}</div>"
        f"{_causes(found)}{_cells(losses.CAUSES_HEAD, losses.cause_rows(found))}"
        f"{_layers(found)}{_cells(losses.LAYERS_HEAD, losses.layer_rows(found))}{notes}</div>"
    )


def _cells(head: tuple[str, ...], rows: list[list[str]]) -> str:
    """Write a table of texts."""
    lines = [("th", head), *(("td", row) for row in rows)]
    inside = ""
    for tag, cells in lines:
        inside += "<tr>" + "".join(f'<{tag} style="{_CELL}">{escape(cell)}</{tag}>' for cell in cells) + "</tr>"
    return f'<table style="border-collapse: collapse; margin: 6px 0"><tbody>{inside}</tbody></table>'


VIEWS |= {
    "text/html": table,
    "text/plain": _headlines,
    "screen": _screen,
    "image/svg+xml": plot,
    "waterfall text/plain": _lost,
    "waterfall text/html": _lost_html,
    "waterfall image/svg+xml causes": _causes,
    "waterfall image/svg+xml layers": _layers,
}
