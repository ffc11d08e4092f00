"""The link to the host computer, by which inputs come to the chip and results leave it.

Modelled: ``links`` equal links that together carry ``bandwidth``, a fixed ``latency`` per transfer, energy per bit,
leakage. Not modelled: protocol overhead, directions (one transfer at a time). A card with power is that of a link that
is busy; a bit then costs that power over the bandwidth.
"""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from rpusim.arch.contract.quantity import BitsPerSecond, SecondsOrZero, picoseconds, transfer_picoseconds
from rpusim.arch.contract.sourced import Sourced
from rpusim.arch.parts.part import Card, Part


class Host(Sourced):
    """The host link, seen from the chip."""

    bandwidth: BitsPerSecond
    latency: SecondsOrZero
    links: Annotated[int, Field(ge=1)]
    card: str

    def transfer_ps(self, bits: int) -> int:
        """How long one transfer of ``bits`` holds the link."""
        return picoseconds(self.latency) + transfer_picoseconds(bits, self.bandwidth)

    def build(self, card: Card) -> Part:
        card.check_bandwidth(self.links, self.bandwidth)
        return Part("host link", self.links, card, {"bit": card.action("bit", self.links / self.bandwidth)}, self.links)
