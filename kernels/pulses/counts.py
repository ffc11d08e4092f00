"""What an update counted: the one record that goes from the compiled loops through cells and tiles to the activity log.

The columns that the activity log has for pulses bear the same names here, so that nothing is renamed on the way:
compiled loops write a table (counts, vectors) whose rows are numbered by the names of this file, `UpdateCounts` shows
these rows by name, and `UpdateCounts.columns` hands those that the log knows on to it.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from rpusim.arch.contract.activity import COLUMNS
from rpusim.kernels.base.loops import Integers
from rpusim.kernels.pulses.trains import Execution


class UpdateCounts(NamedTuple):
    """Count what an update did; every field holds one number per vector.

    slots, coincidences_up, coincidences_down, active_rows, active_columns, row_pulses, column_pulses: the columns of
        these names of an update row of `rpusim.arch.contract.activity.Activity`.
    merged: 1 where pulses were merged, else 0; how it was computed, not what was.
    fallbacks: cells whose pulses could not be merged (an entry holds those of all vectors merged with this one).
    """

    slots: Integers
    coincidences_up: Integers
    coincidences_down: Integers
    active_rows: Integers
    active_columns: Integers
    row_pulses: Integers
    column_pulses: Integers
    merged: Integers
    fallbacks: Integers

    @staticmethod
    def table(vectors: int) -> Integers:
        """Make room for the counts of so many vectors, all 0: (counts, vectors), rows in the order of the fields."""
        return np.zeros((len(UpdateCounts._fields), vectors), np.int64)

    @staticmethod
    def of(table: Integers) -> UpdateCounts:
        """Show the rows of a table by name; they are views of it."""
        return UpdateCounts(*table)

    @staticmethod
    def zeros(vectors: int) -> UpdateCounts:
        """Make counts of so many vectors that did nothing."""
        return UpdateCounts.of(UpdateCounts.table(vectors))

    def columns(self) -> dict[str, Integers]:
        """Give the counts that the activity log has columns for, by the names of these columns."""
        return {name: getattr(self, name) for name in PULSE_COLUMNS}

    @property
    def execution(self) -> Execution:
        """What really ran: merged if pulses of any vector were."""
        return Execution.MERGED if self.merged.any() else Execution.EXACT

    def separate_trains(self, both_signs: NDArray[np.bool_]) -> None:
        """Count for pulse type STOCHASTIC, in place: rows fire in two trains where x has both signs.

        both_signs: (vectors,), whether the inputs of a vector do.
        """
        self.slots[both_signs] *= 2
        self.row_pulses[both_signs] *= 2


PULSE_COLUMNS = tuple(name for name in UpdateCounts._fields if name in COLUMNS)
"""The counts that are columns of the activity log, in order."""

# Rows of the table, as compiled loops write them.
SLOTS = UpdateCounts._fields.index("slots")
COINCIDENCES_UP = UpdateCounts._fields.index("coincidences_up")
COINCIDENCES_DOWN = UpdateCounts._fields.index("coincidences_down")
ACTIVE_ROWS = UpdateCounts._fields.index("active_rows")
ACTIVE_COLUMNS = UpdateCounts._fields.index("active_columns")
ROW_PULSES = UpdateCounts._fields.index("row_pulses")
COLUMN_PULSES = UpdateCounts._fields.index("column_pulses")
MERGED = UpdateCounts._fields.index("merged")
FALLBACKS = UpdateCounts._fields.index("fallbacks")
