"""How every network fits on every chip, as a table: networks down, chips across. Formatting only."""

from __future__ import annotations

from typing import Any

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from rpusim.reports.words.readable import count, percent, significant

Document = dict[str, Any]
LEGEND = (
    "as-is 34/64: 34 of the chip's 64 arrays, one for each block. pack 12/64: as-is it has too few, but blocks share "
    "12 of them. grow 158: the chip would need 158 tiles. Then how full the arrays are."
)


def matrix(document: Document) -> RenderableType:
    """Tabulate the document of `rpusim.workloads.runs.overview.map_all`, a few chips beside one another."""
    cells = {(row["network"], row["chip"]): cell(row) for row in document["rows"]}
    names, parts = document["chips"], list[RenderableType]()
    for start in range(0, len(names), 5):
        table = Table(box=None, pad_edge=False, header_style="dim", padding=(0, 2, 0, 0))
        for name in ("network", "weights", *names[start : start + 5]):
            table.add_column(name, justify="right" if name == "weights" else "left", no_wrap=True)
        for network in document["networks"]:
            of_chips = [cells[network["name"], chip] for chip in names[start : start + 5]]
            table.add_row(network["name"], count(network["weights"]), *of_chips)
        parts += [table, ""]
    refused = dict.fromkeys(row["refused"] for row in document["rows"] if row["refused"])
    return Group(*parts, *(Text(sentence) for sentence in refused), Text(LEGEND, style="dim"))


def cell(row: Document) -> str:
    """Say in a few words how one network fits on one chip."""
    used = "" if row["utilisation"] is None else f" {percent(row['utilisation'])}"
    if row["way"] == "as-is":
        return f"as-is {count(row['needed'])}/{count(row['there'])}{used}"
    if row["way"] == "pack":
        return f"pack {count(row['packed'])}/{count(row['there'])}{used}"
    return f"grow {count(row['tiles'])}" if row["way"] else "no"


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
