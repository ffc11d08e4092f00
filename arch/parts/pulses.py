"""Update pulses: on every line a stochastic pulse generator and a driver, rows and columns at once (Gokmen & Vlasov
2016).

An update of one vector takes BL slots of (width + gap), once per polarity phase: up and down pulses need opposite
polarities and are sent one after the other. ``bl`` is the length of a train where a recipe does not set its own.
Energy: ``slot`` per line and slot (the generator compares a random number), ``pulse`` per line and pulse that fires
(driver logic); what the pulse charges and dissipates in the array is priced by the crossbar.
"""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from rpusim.arch.parts.part import Card, Part, Sourced
from rpusim.arch.quantity import Seconds, SecondsOrZero, picoseconds


class Pulses(Sourced):
    """Pulse drivers and generators of both sides of an array."""

    width: Seconds
    gap: SecondsOrZero
    polarity_phases: Annotated[int, Field(ge=1, le=4)]
    bl: Annotated[int, Field(ge=1)]
    card: str

    @property
    def slot_ps(self) -> int:
        """Simulated time of one pulse slot, all polarity phases included."""
        return (picoseconds(self.width) + picoseconds(self.gap)) * self.polarity_phases

    def build(self, card: Card, lines: int) -> Part:
        actions = {name: card.action(name, self.width) for name in ("slot", "pulse")}
        return Part("pulse drivers", lines, card, actions, busy_units=lines)
