"""The link to the host computer, by which inputs come to the chip and results leave it.

Modelled: ``links`` equal links that together carry ``bandwidth``, a fixed ``latency`` per transfer, energy per bit,
leakage. Not modelled: protocol overhead, directions (one transfer at a time). A card with power is that of a link that
is busy; a bit then costs that power over the bandwidth.
"""

from __future__ import annotations

from rpusim.arch.contract.quantity import BitsPerSecond, SecondsOrZero, picoseconds, transfer_picoseconds
from rpusim.arch.contract.sourced import Count, Sourced
from rpusim.arch.parts.part import Card, Part


class Host(Sourced):
    """The host link, seen from the chip.

    bandwidth:  bits per second, of all links together.
    latency:    seconds before every transfer.
    links:      how many of what the card describes work side by side.
    card:       name of the cost card of one link.
    """

    bandwidth: BitsPerSecond
    latency: SecondsOrZero
    links: Count
    card: str

    def transfer_ps(self, bits: int) -> int:
        """How long one transfer of ``bits`` holds the link, in picoseconds."""
        return picoseconds(self.latency) + transfer_picoseconds(bits, self.bandwidth)

    def build(self, card: Card) -> Part:
        """Price the links: one ``bit`` per bit that comes or goes.

        Raises `InputError` if so many links of the card do not carry the bandwidth.
        """
        card.check_bandwidth(self.links, self.bandwidth)
        return Part("host link", self.links, card, {"bit": card.action("bit", self.links / self.bandwidth)}, self.links)
