"""What the arrays did, as sums over a whole run: vectors, passes, pulse slots, coincidences, transfers."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from rpusim.arch.contract.activity import Activity, Phase


@dataclass(frozen=True)
class Slices:
    """What unit cells did between updates in one phase, transfer or maintenance.

    slices_read:     rows or columns of an array that were read.
    slices_written:  rows or columns that were written by pulses, in so many ``slots`` with so many ``coincidences``.
    cells_changed:   cells that were reset or programmed.
    """

    slices_read: int = 0
    slices_written: int = 0
    slots: int = 0
    coincidences: int = 0
    cells_changed: int = 0

    def plus(self, activity: Activity, phase: Phase) -> Slices:
        """Add what rows of activity did in a phase."""
        rows = activity.select(activity.phase == phase)
        return Slices(
            self.slices_read + _total(rows, rows.passes),
            self.slices_written + _total(rows, rows.slots > 0),
            self.slots + _total(rows, rows.slots),
            self.coincidences + _total(rows, rows.coincidences_up + rows.coincidences_down),
            self.cells_changed + _total(rows, rows.writes),
        )


@dataclass(frozen=True)
class Counts:
    """What the arrays did, summed over every mini-batch, timed or not.

    vectors:       multiplied, forward and backward, once per array.
    passes:        analog passes of them, retries of bound management included.
    skipped:       vectors without a pass, as they were all zero.
    updates:       vectors that an array learned from.
    slots:         pulse slots of these updates, in which so many ``coincidences`` moved a weight.
    digital_ops:   operations that management and the algorithm asked of the digital units.
    transfer, maintenance: what unit cells did between updates.
    """

    vectors: int = 0
    passes: int = 0
    skipped: int = 0
    updates: int = 0
    slots: int = 0
    coincidences: int = 0
    digital_ops: int = 0
    transfer: Slices = Slices()
    maintenance: Slices = Slices()

    def plus(self, activity: Activity) -> Counts:
        """Add what rows of activity did."""
        reads, updates = activity.select(activity.phase < Phase.UPDATE), activity.select(activity.phase == Phase.UPDATE)
        return Counts(
            self.vectors + int(reads.count.sum()),
            self.passes + _total(reads, reads.passes),
            self.skipped + _total(reads, reads.passes == 0),
            self.updates + int(updates.count.sum()),
            self.slots + _total(updates, updates.slots),
            self.coincidences + _total(updates, updates.coincidences_up + updates.coincidences_down),
            self.digital_ops + _total(activity, activity.digital_ops),
            self.transfer.plus(activity, Phase.TRANSFER),
            self.maintenance.plus(activity, Phase.MAINTENANCE),
        )

    def grown(self, before: Counts, times: int) -> Counts:
        """Extrapolate to ``times`` more mini-batches, each of which adds what the last one added to ``before``."""
        return Counts(**{name: _grown(value, getattr(before, name), times) for name, value in vars(self).items()})

    @staticmethod
    def of(numbers: dict[str, Any]) -> Counts:
        """Restore counts from the numbers that `dataclasses.asdict` made of them."""
        slices: dict[str, Any] = {n: Slices(**value) for n, value in numbers.items() if isinstance(value, dict)}
        return Counts(**numbers | slices)

    def document(self) -> dict[str, Any]:
        """List the counts by name; transfer and maintenance only where there were any."""
        between = {name: vars(value) for name, value in vars(self).items() if isinstance(value, Slices)}
        numbers = {name: value for name, value in vars(self).items() if name not in between}
        return numbers | {name: counts for name, counts in between.items() if any(counts.values())}


def _total(rows: Activity, column: np.ndarray) -> int:
    """Sum a column, each row as often as it stands for a vector."""
    return int((column * rows.count).sum())


def _grown(value: Any, before: Any, times: int) -> Any:
    if isinstance(value, Slices):
        return Slices(**{name: _grown(count, getattr(before, name), times) for name, count in vars(value).items()})
    return value + times * (value - before)
