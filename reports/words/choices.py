"""What the mapper tried and chose, as a table for a terminal."""

from __future__ import annotations

from typing import Any

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from rpusim.reports.words.readable import area, si


def tried(document: dict[str, Any]) -> RenderableType:
    """Tabulate all combinations, the best first; document: of `rpusim.workloads.runs.optimised.optimise`."""
    table = Table(box=None, pad_edge=False, header_style="dim", padding=(0, 2, 0, 0))
    for name in ("fit", "replicas", "placing"):
        table.add_column(name)
    for name in ("tiles", document["aim"]):
        table.add_column(name, justify="right")
    for each in document["tried"]:
        number = each["value"]
        shown = "-" if number is None else area(number) if document["unit"] == "m²" else si(number, document["unit"])
        table.add_row(each["fit"], each["replicas"], each["placing"], str(each["tiles"] or "-"), shown)
    chosen = document["chosen"]
    words = f"Chosen for {document['aim']} on at most {document['budget']} tiles: {chosen['fit']}, {chosen['placing']}"
    if copies := ", ".join(f"{name}={number}" for name, number in chosen["copies"].items()):
        words += f", replicas {copies}"
    refused = dict.fromkeys(each["why"] for each in document["tried"] if each["value"] is None)
    sentences = [f"{words}.", document["bottleneck"], *(f"Not possible: {why}." for why in refused)]
    return Group(
        Text(f"{document['network']} on {document['chip']}", style="bold"), "", table, "", Text(" ".join(sentences))
    )
