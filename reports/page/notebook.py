"""What a notebook shows of a result: its headline figures in a small table, and what sets the pace.

Importing this module is enough: results then have the view (`rpusim.workloads.results.result.VIEWS`).
"""

from __future__ import annotations

from html import escape

from rpusim.reports.words import figures
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
        f'<div style="{_QUIET}">{escape(figures.what_was_timed(document))}</div></div>'
    )


VIEWS["text/html"] = table
