"""One published figure beside ours: what kind of agreement it is, how close is close enough, and the verdict.

Three kinds of rows. *Arithmetic* comes back because it was put in: a sum of a table's own entries, a rate that a chip
file was given. *Consistency* is a figure that mapping, events or cell equations have to reproduce from the same inputs
that its authors used, such as 242 us for 3025 vectors of 80 ns. A *prediction* follows from inputs that do not contain
it. Its tolerance is in `figures`, and stands there from before it was simulated; where ours was known by then, the
note says so. A prediction that misses may be listed, with its account, in ``figures/known_misses.yaml``; one that is
listed there and holds is a failure as well, so that the list stays true.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from math import inf
from typing import Any, Literal

from pydantic import Field, field_validator, model_validator

from rpusim.arch.contract.sourced import Frozen
from rpusim.workloads.results.agreement import accepted

Kind = Literal["arithmetic", "consistency", "prediction"]
Verdict = Literal["holds", "does not hold", "known miss", "known miss that holds"]
Simulated = dict[str, Callable[[], float]]
"""By the name of a row, "group/row", what finds ours in the unit of the published figure."""
PASSING: tuple[Verdict, ...] = ("holds", "known miss")
"""Verdicts that let a validation pass."""


class Figure(Frozen):
    """What was published, and what counts as agreement.

    case:        what the figure is of.
    kind:        see this module.
    seed:        the preset or cards that it belongs to, in words.
    source:      where it was published.
    provenance:  how well it is known: read in the paper, its abstract or the authors' own code ("seen"), in a text
                 about the paper ("secondary"), from "memory", or "derived" from other figures of the same source. A
                 prediction is never of a derived figure.
    published:   the figure, in ``unit``.
    tolerance:   as `rpusim.workloads.results.agreement.accepted` reads it.
    note:        what else is to be said.
    slow:        whether finding ours takes longer than some seconds.
    """

    case: str = Field(min_length=3)
    kind: Kind
    seed: str = Field(min_length=3)
    source: str = Field(min_length=3)
    provenance: Literal["seen", "secondary", "memory", "derived"]
    published: float
    unit: str
    tolerance: str
    note: str = ""
    slow: bool = False

    @field_validator("tolerance")
    @classmethod
    def _understood(cls, tolerance: str) -> str:
        accepted(1.0, tolerance)
        return tolerance

    @model_validator(mode="after")
    def _of_a_printed_figure(self) -> Figure:
        if self.kind == "prediction" and self.provenance == "derived":
            raise ValueError("a prediction is of a figure that was printed; provenance is seen, secondary or memory")
        return self


@dataclass(frozen=True)
class Case:
    """One published figure, and how ours is found.

    name:        by which data files refer to it, "group/row".
    figure:      what was published.
    simulated:   finds ours, in the same unit.
    known_miss:  why ours is known not to agree; None: it has to.
    """

    name: str
    figure: Figure
    simulated: Callable[[], float]
    known_miss: str | None = None

    def verdict(self, ok: bool) -> Verdict:
        """Say what agreement, or the lack of it, means for this row."""
        if self.known_miss is None:
            return "holds" if ok else "does not hold"
        return "known miss that holds" if ok else "known miss"

    def row(self) -> dict[str, Any]:
        """Compare: the figure's fields, ours, the accepted range, whether ours lies in it, and the verdict.

        ``lowest`` and ``highest`` are None where there is no such end. ``passes`` tells whether the row lets a
        validation pass: it holds, or is a known miss that misses.
        """
        simulated, published = self.simulated(), self.figure.published
        lowest, highest = accepted(published, self.figure.tolerance)
        ok = lowest <= simulated <= highest
        return {
            "name": self.name,
            **self.figure.model_dump(),
            "simulated": simulated,
            "difference": simulated / published - 1,
            "lowest": None if lowest == -inf else lowest,
            "highest": None if highest == inf else highest,
            "ok": ok,
            "known_miss": self.known_miss,
            "verdict": self.verdict(ok),
            "passes": self.verdict(ok) in PASSING,
        }


def counted(rows: list[dict[str, Any]]) -> dict[str, dict[str, int]]:
    """Count rows by kind, all and by verdict; rows: of `Case.row`."""
    kinds: tuple[Kind, ...] = ("arithmetic", "consistency", "prediction")
    known = ("holds", "does not hold", "known miss", "known miss that holds")
    verdicts = [*known, *dict.fromkeys(row["verdict"] for row in rows if row["verdict"] not in known)]
    return {
        kind: {
            "rows": sum(row["kind"] == kind for row in rows),
            **{one: sum(row["kind"] == kind and row["verdict"] == one for row in rows) for one in verdicts},
        }
        for kind in kinds
    }
