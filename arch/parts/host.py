"""The link to the host computer, by which inputs come to the chip and results leave it.

Modelled: ``links`` equal links that together carry ``bandwidth``, a fixed ``latency`` by which each transfer arrives
later than its bits have passed, others using the link meanwhile, how many transfers may be on their way, energy per
bit, leakage. Not modelled: protocol overhead, directions (one transfer at a time). A card with power is that of a link
that is busy; a bit then costs that power over the bandwidth.
"""

from __future__ import annotations

from typing import ClassVar

from rpusim.arch.contract.quantity import BitsPerSecond, SecondsOrZero, transfer_picoseconds
from rpusim.arch.contract.sourced import Count, Sourced
from rpusim.arch.parts.part import Card, Part


class Host(Sourced):
    """The host link, seen from the chip.

    bandwidth:  bits per second, of all links together.
    latency:    seconds by which a transfer arrives later than its bits take; the link is free meanwhile.
    in_flight:  how many transfers may be asked for and not yet be there; the next one waits for the first of them.
    links:      how many of what the card describes work side by side.
    card:       name of the cost card of one link.
    """

    bandwidth: BitsPerSecond
    latency: SecondsOrZero
    in_flight: Count = 128
    links: Count
    card: str

    assumed: ClassVar[dict[str, str]] = {
        "in_flight": "assumption: 128 transfers; the tags of HyperTransport tell 32 apart, those of PCI Express 256"
    }

    def transfer_ps(self, bits: int) -> int:
        """How long one transfer of ``bits`` holds the link, in picoseconds."""
        return transfer_picoseconds(bits, self.bandwidth)

    def build(self, card: Card) -> Part:
        """Price the links: one ``bit`` per bit that comes or goes.

        Raises `InputError` if so many links of the card do not carry the bandwidth.
        """
        card.check_bandwidth(self.links, self.bandwidth)
        return Part("host link", self.links, card, {"bit": card.action("bit", self.links / self.bandwidth)}, self.links)
