"""What the terminal shows of `rpusim learn` and `rpusim arena`."""

from __future__ import annotations

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from rpusim.reports.words import arena, learn
from rpusim.reports.words.learn import Document

_SHORT = "algorithm", "error", "95 %", "pulses", "time", "energy"
"""Headings of the page's first columns, as short as a terminal needs them."""


def ranking(document: Document) -> RenderableType:
    """Show which algorithms learn: the sentence, and a table with the best one first."""
    table = Table(box=None, pad_edge=False, header_style="dim", padding=(0, 1, 0, 0))
    found = learn.table(document)
    for number, heading in enumerate((*_SHORT, "")):
        left = number in (0, len(_SHORT))
        table.add_column(heading, justify="left" if left else "right", no_wrap=True)
    for row, of in zip(found["rows"], document["algorithms"], strict=True):
        table.add_row(
            *(cell.replace(" to ", "-") for cell in row[: len(_SHORT)]), of["verdict"] if "error" in of else ""
        )
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


def league(document: Document) -> RenderableType:
    """Show the league: the sentence, and the rows with their mean ranks and the range of their test errors."""
    table = Table(box=None, pad_edge=False, header_style="dim", padding=(0, 1, 0, 0))
    for number, heading in enumerate(("algorithm", "rank", "learns on", "errors", "by energy", "calibrated")):
        table.add_column(heading, justify="right" if number else "left", no_wrap=True)
    for row, cells in zip(document["league"], arena.table(document)["rows"], strict=True):
        places = [place for place in document["places"] if place["row"] == row["row"] and "error" in place]
        means = [place["error"]["mean"] for place in places]
        span = f"{100 * min(means):.1f} to {100 * max(means):.1f} %" if means else ""
        table.add_row(*cells[:3], span, *cells[3:5])
    return Group(
        Text(arena.TITLE, style="bold"),
        Text(arena.subtitle(document), style="dim"),
        "",
        Text(arena.sentence(document), style="bold"),
        "",
        table,
        "",
        *(Text(note, style="dim") for note in arena.notes(document)),
    )
