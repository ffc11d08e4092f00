"""Support circuits that are busy whenever something else is: shift-and-add, registers, a bus, a host link.

They have no queue of their own. ``busy_during`` names the operation of the tile that keeps them busy; their energy is
the card's power times the time that operation itself takes (waiting not counted). ``always`` is for what runs as long
as the tile is in use, or the chip; on the chip there is nothing else.
"""

from __future__ import annotations

from typing import Literal

from rpusim.arch.contract.sourced import Count, Sourced
from rpusim.arch.parts.part import Card, Part
from rpusim.errors import InputError


class Support(Sourced):
    """Equal circuits of one name, per tile.

    name:         by which results refer to them; no other part of the tile has it.
    count:        how many there are.
    busy_during:  the operation of the tile that keeps them busy, or ``always``.
    card:         name of the cost card of one of them, which gives a power.
    """

    name: str
    count: Count
    busy_during: Literal["fetch", "drive", "convert", "digital", "send", "pulse", "always"]
    card: str

    def build(self, card: Card) -> Part:
        """Make the part, which has a power and no actions of its own.

        Raises `InputError` if the card gives no power.
        """
        if card.power is None:
            raise InputError(f"card {card.name}: a support circuit ({self.name}) needs a card with power")
        return Part(self.name, self.count, card, {}, busy_units=self.count)


class ChipSupport(Support):
    """A support circuit that the chip has once, such as its host link."""

    busy_during: Literal["always"]
