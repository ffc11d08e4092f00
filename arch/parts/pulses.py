"""Update pulses: on every line a stochastic pulse generator and a driver, rows and columns at once (Gokmen & Vlasov
2016).

An update of one vector takes BL slots of (width + gap), once per polarity phase: up and down pulses need opposite
polarities and are sent one after the other. ``bl`` is the length of a train where a recipe does not set its own.

``access`` says how many rows that goes on in at once. ``parallel``: in all. ``row-by-row``: in one at a time, addressed
by its access transistors, for cells that bear no half-selection; the columns then send their trains again for every
row. A column pulse half-selects only the cell of the addressed row, but is sent as often as there are rows: as many
cells are half-selected as in parallel, and the columns' lines, drivers and generators work rows times as much.
Energy: ``slot`` per line and slot (the generator compares a random number), ``pulse`` per line and pulse that fires
(driver logic); what the pulse charges and dissipates in the array is priced by the crossbar.
"""

from __future__ import annotations

from typing import Annotated, Literal, TypeVar

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from rpusim.arch.contract.quantity import Seconds, SecondsOrZero, picoseconds
from rpusim.arch.contract.sourced import Slots, Sourced
from rpusim.arch.parts.part import Card, Part

Rows = TypeVar("Rows", int, NDArray[np.int64])


class Pulses(Sourced):
    """Pulse drivers and generators of both sides of an array.

    width:            seconds of one pulse.
    gap:              seconds between pulses.
    polarity_phases:  how often the slots are gone through, 2 where up and down pulses cannot be sent together.
    bl:               slots of a train where a recipe does not set its own.
    access:           whether rows learn at the same time or one after the other.
    half_select:      share of its step by which a pulse on one line of a cell alone moves it; null: not at all. An
                      assumption of whoever gives it, see `rpusim.kernels.pulses.half_select`.
    card:             name of the cost card of one line's generator and driver.
    """

    width: Seconds
    gap: SecondsOrZero
    polarity_phases: Annotated[int, Field(ge=1, le=4)]
    bl: Slots
    access: Literal["parallel", "row-by-row"] = "parallel"
    half_select: Annotated[float, Field(ge=0, le=1)] | None = None
    card: str

    @property
    def slot_ps(self) -> int:
        """Simulated time (ps) of one pulse slot, all polarity phases included."""
        return (picoseconds(self.width) + picoseconds(self.gap)) * self.polarity_phases

    def turns(self, rows: Rows) -> Rows | int:
        """How often the slots of one vector are sent: once for each of the ``rows`` that learn, or once for all."""
        return rows if self.access == "row-by-row" else 1

    def build(self, card: Card, lines: int, write_width: float | None) -> Part:
        """Price the lines of a tile: one ``slot`` per line and slot, one ``pulse`` or ``write`` per line that fires.

        card: cost of one line's generator and driver.
        lines: lines of both sides of all arrays of the tile.
        write_width: seconds of the pulses that program the array; None if none do.
        """
        actions = {name: card.action(name, self.width) for name in ("slot", "pulse")}
        if write_width is not None:
            actions["write"] = card.action("pulse", write_width)
        return Part("pulse drivers", lines, card, actions, busy_units=lines)
