"""What the mapper tried and chose, as a table for a terminal."""

from __future__ import annotations

from typing import Any

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from rpusim.reports.words.readable import area, si

MOST_ROWS = 15
"""Rows of the table; the others are in `--json`."""
MOST_LETTERS = 28
"""Letters of its last column, so that a row is a line of 80."""


def tried(document: dict[str, Any]) -> RenderableType:
    """Tabulate combinations, the best first; document: of `rpusim.workloads.runs.optimised`."""
    table = Table(box=None, pad_edge=False, header_style="dim", padding=(0, 2, 0, 0))
    for name in ("fit", "replicas", "placing"):
        table.add_column(name)
    for name in ("tiles", document["aim"]):
        table.add_column(name, justify="right")
    table.add_column("kinds and cuts")
    for each in document["tried"][:MOST_ROWS]:
        number = each["value"]
        shown = "-" if number is None else area(number) if document["unit"] == "m²" else si(number, document["unit"])
        row = each["fit"], each["replicas"], each["placing"], str(each["tiles"] or "-"), shown
        table.add_row(*row, _short("; ".join((*_kinds(each), *_cuts(each)))))
    left = len(document["tried"]) - MOST_ROWS
    rows: list[RenderableType] = [table, *([f"... {left} more, see --json"] if left > 0 else [])]
    sentences = [_chosen(document), document["bottleneck"], *_searched(document["searched"])]
    refused = dict.fromkeys(
        each["why"] for each in document["tried"] if each["value"] is None and not each["kinds"] and not each["cuts"]
    )
    sentences += (f"Not possible: {why}." for why in refused)
    return Group(
        Text(f"{document['network']} on {document['chip']}", style="bold"), "", *rows, "", Text(" ".join(sentences))
    )


def _short(words: str) -> str:
    """Cut words that would not fit in a line of the table."""
    return words if len(words) <= MOST_LETTERS else f"{words[: MOST_LETTERS - 1]}…"


def _chosen(document: dict[str, Any]) -> str:
    """Say what was chosen."""
    chosen = document["chosen"]
    words = f"Chosen for {document['aim']} on at most {document['budget']} tiles: {chosen['fit']}, {chosen['placing']}"
    if copies := ", ".join(f"{name}={number}" for name, number in chosen["copies"].items()):
        words += f", replicas {copies}"
    return "; ".join((words, *_kinds(chosen), *_cuts(chosen))) + "."


def _kinds(each: dict[str, Any]) -> list[str]:
    """Say which layers lie on which kinds of tiles, where that was varied."""
    layers: dict[str, list[str]] = {}
    for name, kind in each["kinds"].items():
        layers.setdefault(kind, []).append(name)
    return [f"{', '.join(names)} on {kind}" for kind, names in layers.items()]


def _cuts(each: dict[str, Any]) -> list[str]:
    """Say which layers are cut into smaller blocks."""
    return [f"{name} cut {rows}x{columns}" for name, (rows, columns) in each["cuts"].items()]


def _searched(searched: dict[str, Any]) -> list[str]:
    """Say how many other kinds of tiles and cuts were timed, and why no more."""
    timed = [f"{searched[what]} with other {words}" for what, words in _VARIED.items() if searched[what]]
    if not timed:
        return []
    *others, last = timed
    end = "which is the bound of the search" if searched["stopped"] else "and no further one helps"
    before = f"{', '.join(others)} and " if others else ""
    return [f"Timed besides: {before}{last}, {end}."]


_VARIED = {"kinds": "kinds of tiles", "cuts": "cuts", "ways": "fits, replicas and places on these"}
