"""What is proven, and what is not: the rows of a validation as a page of Markdown.

`rpusim validate --all --out docs/validated.md` writes it, with `--known` from studies that were run before.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from rpusim.reports.words.readable import significant

Document = dict[str, Any]

_KINDS = {
    "prediction": "Predictions: the figure follows from inputs that do not contain it",
    "consistency": "Consistency: mapping, events or equations reproduce what the authors get from the same inputs",
    "arithmetic": "Arithmetic: the figure comes back because it was put in",
}
_SEEN = {
    "seen": "read in the paper, its abstract or the authors' code",
    "secondary": "in a text about the paper",
    "memory": "recalled",
    "derived": "from other figures of the paper",
}


def markdown(rows: list[Document], counts: dict[str, dict[str, int]], version: str, not_run: Sequence[str] = ()) -> str:
    """Write the rows as tables, predictions first, with the accounts of known misses below.

    rows, counts: of `rpusim validate --json`. version: of rpusim. not_run: papers whose studies were not run for it.
    """
    parts = [
        "# What is proven, and what is not",
        "",
        f"Written by `rpusim validate --known --out` of version {version}, or with `--all`; not edited. "
        "Without `--all`, rows that take minutes each are left out. [Published figures beside ours](validation.md) "
        "says what kinds, tolerances and verdicts mean. An interval is of 95 %, over seeds.",
        "",
    ]
    if not_run:
        parts += [f"Not run for this page, and so without rows: {', '.join(f'`{name}`' for name in not_run)}.", ""]
    for kind, heading in _KINDS.items():
        chosen = [row for row in rows if row["kind"] == kind]
        if not chosen:
            continue
        said = ", ".join(f"{verdict}: {number}" for verdict, number in list(counts[kind].items())[1:] if number)
        parts += [f"## {heading}", "", f"{counts[kind]['rows']} rows; {said}.", ""]
        parts += ["| figure | published | simulated | accepted | verdict | who saw the published one |"]
        parts += ["|---|---:|---:|---|---|---|"]
        parts += [_line(row) for row in chosen]
        parts.append("")
    missing = [row for row in rows if row["known_miss"]]
    if missing:
        parts += ["## Known misses, and why", ""]
        parts += [f"* **{_cell(row['case'])}** ({row['source']}): {_cell(row['known_miss'])}" for row in missing]
        parts.append("")
    return "\n".join(parts)


def _line(row: Document) -> str:
    unit = "" if row["unit"] in ("", "1") else f" {row['unit']}"
    ours = f"{significant(row['simulated'])}{unit}"
    if "low" in row and row["low"] != row["high"]:
        ours += f" ({significant(row['low'])} to {significant(row['high'])})"
    seen = f"{_SEEN[row['provenance']]}: {row['source']}"
    cells = (row["case"], f"{significant(row['published'])}{unit}", ours, row["tolerance"], row["verdict"], seen)
    return f"| {' | '.join(_cell(cell) for cell in cells)} |"


def _cell(words: str) -> str:
    return words.replace("|", "\\|").replace("\n", " ")
