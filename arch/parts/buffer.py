"""The buffer of a tile: inputs wait here for their array, outputs are written here.

Modelled: one port of ``bandwidth`` for reads (a vector is fetched before it is driven) and the energy of every bit read
and written. Not modelled yet: occupancy, bank conflicts, time to write (it overlaps the link transfer that brings the
bits).
"""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from rpusim.arch.parts.part import Card, Part, Sourced
from rpusim.arch.quantity import Bits, BitsPerSecond


class Buffer(Sourced):
    """``banks`` equal banks that together hold ``capacity`` and read ``bandwidth``."""

    capacity: Bits
    bandwidth: BitsPerSecond
    banks: Annotated[int, Field(ge=1)]
    card: str

    def build(self, card: Card) -> Part:
        per_bit = self.banks / self.bandwidth
        actions = {name: card.action(name, per_bit) for name in ("read", "write")}
        return Part("buffer", self.banks, card, actions, busy_units=self.banks)
