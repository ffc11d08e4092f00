"""What the terminal shows of `rpusim learn`."""

from __future__ import annotations

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from rpusim.reports.words import learn
from rpusim.reports.words.learn import Document

_SHORT = 6
"""So many columns of the page's table fit on a terminal; those of the calibration have lines of their own."""


def ranking(document: Document) -> RenderableType:
    """Show which algorithms learn: the sentence, and a table with the best one first."""
    table = Table(box=None, pad_edge=False, header_style="dim", padding=(0, 2, 0, 0))
    found = learn.table(document)
    for number, heading in enumerate((*found["headings"][:_SHORT], "calibrated", "")):
        left = number in (0, _SHORT + 1)
        table.add_column(heading, justify="left" if left else "right", no_wrap=True)
    for row, of in zip(found["rows"], document["algorithms"], strict=True):
        table.add_row(*row[:_SHORT], row[_SHORT], of["verdict"] if "error" in of else "")
    lines = [Text(f"{row['title']}: {row['why']}", style="dim") for row in document["algorithms"] if "why" in row]
    return Group(
        Text(learn.title(document), style="bold"),
        Text(learn.subtitle(document), style="dim"),
        "",
        Text(document["sentence"], style="bold"),
        "",
        table,
        *([Text("")] if lines else []),
        *lines,
        "",
        *(Text(note, style="dim") for note in learn.notes(document)),
    )
