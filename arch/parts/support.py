"""Support circuits that are busy whenever something else is: shift-and-add, registers, a bus, a host link.

They have no queue of their own. ``busy_during`` names the operation that keeps them busy; their energy is the card's
power times that operation's time. ``always`` is for what runs as long as the chip does.
"""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from rpusim.arch.parts.part import Card, Part, Sourced
from rpusim.errors import InputError


class Support(Sourced):
    """``count`` units ``per`` tile or chip."""

    name: str
    count: Annotated[int, Field(ge=1)]
    per: Literal["tile", "chip"]
    busy_during: Literal["fetch", "drive", "convert", "digital", "send", "pulse", "always"]
    card: str

    def build(self, card: Card) -> Part:
        if card.power is None:
            raise InputError(
                f"card {card.name}: a support circuit ({self.name}) needs a card with power, not with energy"
            )
        return Part(self.name, self.count, card, {}, busy_units=self.count)
