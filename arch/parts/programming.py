"""Writing weights into an array: row after row, by pulses of one width and voltage, checked by reading if need be.

One row is addressed at a time (its access transistors conduct, those of the others do not), so no other cell is
half-selected. Its cells are pulsed together, ``iterations`` times in the mean. With ``verify`` the array is read,
column by column, after every round of pulses: driven and converted like every other read, and priced there.

Modelled per written cell and pulse: V^2 / R * width in the cell (R the mean resistance of its card), or V I * width
where the ``current`` of a pulse is given, as for phase-change memory, which takes more current to melt than R says;
C V^2 for the column line, C V^2 for the row line once per row and pulse, and a ``pulse`` of the driver at the end of
each of those lines. Not modelled: that the worst cell of a row sets the number of its pulses, voltages that rise from
pulse to pulse.
"""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from rpusim.arch.contract.quantity import Amperes, Seconds, Volts, picoseconds
from rpusim.arch.contract.sourced import Sourced
from rpusim.arch.parts.part import Card, Part


class Programming(Sourced):
    """How cells are written.

    width:       seconds of one write pulse.
    voltage:     volts across a cell that is written.
    current:     amperes through it, where the resistance that is read does not tell; None: it does.
    verify:      whether the array is read after every round of pulses.
    iterations:  pulses per cell in the mean.
    card:        name of the cost card of the drivers; None in a tile with ``pulses``, whose drivers write.
    """

    width: Seconds
    voltage: Volts
    current: Amperes | None = None
    verify: bool
    iterations: Annotated[float, Field(ge=1, le=1e6)]
    card: str | None = None

    @property
    def pulse_ps(self) -> int:
        """Simulated time (ps) of one write pulse, which holds the array and the drivers of both its sides."""
        return picoseconds(self.width)

    def drivers(self, card: Card, lines: int) -> Part:
        """Price the drivers of a tile that has none for updates: one ``write`` per line and pulse.

        card: cost of one driver.
        lines: lines of both sides of all arrays of the tile.
        """
        return Part("pulse drivers", lines, card, {"write": card.action("pulse", self.width)}, busy_units=lines)
