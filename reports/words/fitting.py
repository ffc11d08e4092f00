"""How every network fits on every chip, as a table: networks down, chips across. Formatting only."""

from __future__ import annotations

from typing import Any

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from rpusim.reports.words.readable import count, percent, significant

Document = dict[str, Any]
LEGEND = (
    "as-is 34: each of 34 blocks has an array of its own. pack 12: there are too few arrays for that, but blocks share "
    "12. reload 90: blocks take turns, and 90 are written for every sample of inference. grow 158: the chip would need "
    "158 tiles. Behind as-is and pack: cells with a weight, of the arrays used."
)
_BESIDE = 3
"""Chips in one table: as many as a narrow terminal shows."""


def matrix(document: Document) -> RenderableType:
    """Tabulate the document of `rpusim.workloads.runs.overview.map_all`, a few chips beside one another."""
    rows = {(row["network"], row["chip"]): row for row in document["rows"]}
    names, networks, parts = document["chips"], document["networks"], list[RenderableType]()
    for start in range(0, len(names), _BESIDE):
        table = Table(box=None, pad_edge=False, header_style="dim", padding=(0, 2, 0, 0))
        table.add_column("network", no_wrap=True)
        chips = names[start : start + _BESIDE]
        for chip in chips:
            table.add_column(f"{chip}\n{count(rows[networks[0]['name'], chip]['there'])} arrays", no_wrap=True)
        for network in networks:
            table.add_row(network["name"], *(cell(rows[network["name"], chip]) for chip in chips))
        parts += [table, ""]
    refused = dict.fromkeys(row["refused"] for row in document["rows"] if row["refused"])
    return Group(*parts, *(Text(sentence) for sentence in refused), Text(LEGEND, style="dim"))


def cell(row: Document) -> str:
    """Say in a few words how one network fits on one chip."""
    number = {"as-is": "needed", "pack": "packed", "reload": "written", "grow": "tiles"}
    if not row["way"]:
        return "no"
    used = f" {percent(row['utilisation'])}" if row["way"] in ("as-is", "pack") else ""
    return f"{row['way']} {count(row[number[row['way']]])}{used}"


def reloading(document: Document) -> str:
    """Tell what it takes that blocks take turns on arrays; empty if none do."""
    found = document.get("reload")
    if not found:
        return ""
    sentence = (
        f"{count(found['written_blocks'])} of {count(found['blocks'])} blocks take turns: "
        f"{count(found['written_weights'])} weights are written for a sample, a cell at most "
        f"{count(found['writes_per_cell']['most'])} times with {significant(found['pulses_per_write'])} pulses each"
    )
    if "time_share" in found:
        shares = f"{percent(found['time_share'])} of the time and {percent(found['energy_share'])} of the energy"
        sentence += f"; without it {shares} would be saved"
    return f"{sentence}."
