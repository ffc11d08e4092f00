"""Keep account of time and energy: by part, phase and layer, in integers, so that every sum is exact.

`pricing` writes ledgers from events; ledgers of pieces of work are added up to those of whole runs.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from fractions import Fraction
from typing import Any

STANDBY = "standby"
"""Stands in the place of a phase for energy that is drawn whatever the chip does: leakage, and circuits always on."""
IDLE = "idle"
"""Stands in the place of a phase for what parts draw that are on and do not work; see `rest`."""
RESTING = (STANDBY, IDLE)
"""What stands in the place of a phase where nothing was done."""
CHIP = "chip"
"""Stands in the place of a layer for energy that belongs to none."""


@dataclass
class Ledger:
    """Hold what a piece of work took.

    energy:       zJ by (part, phase, layer); `RESTING` and `CHIP` stand for phase and layer where there are none.
    time_ps:      how long the work took.
    busy_ps:      busy time of each station, by its name.
    occupied_ps:  by kind of unit, the time during which at least one such unit is busy.
    peak_w:       the most power drawn at any time, standby and idle parts included; where parts are gated, as if all
                  of them were waking then.
    """

    energy: dict[tuple[str, str, str], int] = field(default_factory=dict)
    time_ps: int = 0
    busy_ps: dict[str, int] = field(default_factory=dict)
    occupied_ps: dict[str, int] = field(default_factory=dict)
    peak_w: float = 0.0

    def add(self, part: str, phase: str, layer: str, zeptojoules: int) -> None:
        """Book energy to a part, phase and layer."""
        key = (part, phase, layer)
        self.energy[key] = self.energy.get(key, 0) + zeptojoules

    @property
    def total_zj(self) -> int:
        """The sum of all energy (zJ)."""
        return sum(self.energy.values())

    def by(self, column: int) -> dict[str, int]:
        """Sum the energy (zJ) by part (``column`` 0), phase (1) or layer (2), largest first."""
        totals: dict[str, int] = {}
        for key, value in self.energy.items():
            totals[key[column]] = totals.get(key[column], 0) + value
        return dict(sorted(totals.items(), key=lambda item: -item[1]))

    @staticmethod
    def total(parts: Iterable[tuple[int | Fraction, Ledger]]) -> Ledger:
        """Add up accounts of work that is done one after the other.

        Args:
            parts: (times, ledger) pairs: each account counts so many times; a negative number takes it away.

        Returns:
            One account. Fractions are added up exactly, and each sum is rounded to a whole unit at the end.
        """
        sums: dict[str, dict[Any, int | Fraction]] = {"energy": {}, "busy_ps": {}, "occupied_ps": {}}
        time_ps: int | Fraction = 0
        peak_w = 0.0
        for times, ledger in parts:
            for name, total in sums.items():
                for key, value in getattr(ledger, name).items():
                    total[key] = total.get(key, 0) + times * value
            time_ps += times * ledger.time_ps
            peak_w = max(peak_w, ledger.peak_w)
        whole = {name: {key: round(value) for key, value in total.items()} for name, total in sums.items()}
        return Ledger(time_ps=round(time_ps), peak_w=peak_w, **whole)

    def merge(self, later: Ledger) -> None:
        """Append work that began when this ledger's work had ended."""
        both = Ledger.total([(1, self), (1, later)])
        for name, value in vars(both).items():
            setattr(self, name, value)
