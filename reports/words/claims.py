"""What a study of a paper says of the paper's figures, as texts for its tables and its page."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from rpusim.reports.words.readable import significant

Document = dict[str, Any]


@dataclass(frozen=True)
class Row:
    """One published figure beside ours, in words.

    case:       what it is of.
    published:  the paper's, with what counts as agreement.
    ours:       the mean over seeds with its interval; "–" without one.
    verdict:    whether they agree.
    more:       provenance, notes, and the account of a miss.
    """

    case: str
    published: str
    ours: str
    verdict: str
    more: str


def rows(document: Document) -> list[Row]:
    """Put the claims of a study into words; none where it is of no paper."""
    return [_row(claim) for claim in document.get("claims", [])]


def counted(document: Document) -> str:
    """Count verdicts: "4 of 6 published figures hold, 1 is a known miss"."""
    claims = document.get("claims", [])
    if not claims:
        return ""
    graded = [claim for claim in claims if claim["verdict"] not in ("not run", "needs full data")]
    hold = sum(claim["verdict"] in ("holds", "holds in the mean") for claim in graded)
    misses = sum(claim["verdict"] == "known miss" for claim in graded)
    said = f"{hold} of {len(graded)} published figures {'holds' if hold == 1 else 'hold'}"
    said += f", {misses} {'is a known miss' if misses == 1 else 'are known misses'}" if misses else ""
    left = len(claims) - len(graded)
    return said + (f"; {left} {'is' if left == 1 else 'are'} not graded" if left else "") + "."


def _row(claim: Document) -> Row:
    unit = f" {claim['unit']}" if claim["unit"] else ""
    agrees = {"at most": "at most ", "at least": "at least "}
    tolerance = claim["tolerance"]
    published = f"{agrees.get(tolerance, '')}{significant(claim['published'])}{unit}"
    if tolerance not in (*agrees, "exact"):
        published += f" ({tolerance})"
    ours = "–"
    if "simulated" in claim:
        ours = f"{significant(claim['simulated'])}{unit}"
        if claim["low"] != claim["high"]:
            ours += f" ({significant(claim['low'])} to {significant(claim['high'])})"
        elif claim["seeds"] == 1:
            ours += " (one seed)"
    known = {"seen": "read in the paper", "secondary": "from a text about the paper", "memory": "recalled"}
    more = [known.get(claim["provenance"], "follows from the paper's other figures"), claim["note"], claim["miss"]]
    return Row(claim["case"], published, ours, claim["verdict"], "; ".join(each for each in more if each))
