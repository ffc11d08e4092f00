"""One published figure beside ours."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Case:
    """One published figure.

    case:        what the figure is of.
    seed:        the preset or cards that it belongs to, in words.
    source:      where it was published.
    provenance:  how well it is known: read in the paper or in the authors' own code ("seen"), in a text about the paper
                 ("secondary"), recalled, or derived from other figures of the same source.
    published:   the figure, in ``unit``.
    simulated:   finds ours, in the same unit.
    tolerance:   largest relative difference that holds; None: shown for comparison only.
    note:        where a difference comes from.
    """

    case: str
    seed: str
    source: str
    provenance: str
    published: float
    unit: str
    simulated: Callable[[], float]
    tolerance: float | None
    note: str = ""

    def row(self) -> dict[str, Any]:
        """Compare: the fields, with ``simulated`` as a number, the relative difference, and whether it holds."""
        simulated = self.simulated()
        ok = None if self.tolerance is None else abs(simulated / self.published - 1) <= self.tolerance
        shown = {name: value for name, value in vars(self).items() if name != "simulated"}
        return {**shown, "simulated": simulated, "difference": simulated / self.published - 1, "ok": ok}
