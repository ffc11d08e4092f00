"""Links between chips: several chips stand in a row, each joined to the next by one link in either direction.

Modelled: bandwidth in each direction, a fixed latency by which a message arrives later than its bits have passed,
others using the link meanwhile, how many messages may be on their way, energy per bit, area and leakage of both ends.
A message leaves a chip at the edge of its mesh and enters the next one there. Not modelled: flits, retries, states of
lower power.
"""

from __future__ import annotations

from typing import ClassVar

from rpusim.arch.contract.quantity import BitsPerSecond, SecondsOrZero, transfer_picoseconds
from rpusim.arch.contract.sourced import Count, Sourced
from rpusim.arch.parts.part import Card, Part


class ChipLink(Sourced):
    """What joins a chip to the next one.

    bandwidth:  bits per second in one direction, of all modules together.
    latency:    seconds by which a message arrives later than its bits take; the link is free meanwhile.
    in_flight:  how many messages may be on one link together, and on their way from it.
    modules:    how many of what the card describes work side by side.
    card:       name of the cost card of one module, both ends and both directions.
    """

    bandwidth: BitsPerSecond
    latency: SecondsOrZero
    in_flight: Count = 128
    modules: Count
    card: str

    assumed: ClassVar[dict[str, str]] = {"in_flight": "assumption: 128 messages, as of the mesh"}

    def transfer_ps(self, bits: int) -> int:
        """How long ``bits`` hold the link in their direction, in picoseconds."""
        return transfer_picoseconds(bits, self.bandwidth)

    def build(self, card: Card, chips: int) -> Part:
        """Price the links of so many chips in a row: one ``bit`` per bit and link.

        Raises `InputError` if so many modules of the card do not carry the bandwidth.
        """
        card.check_bandwidth(self.modules, self.bandwidth)
        links = self.modules * (chips - 1)
        return Part("chip link", links, card, {"bit": card.action("bit", self.modules / self.bandwidth)}, links)


UCIE = ChipLink.model_validate(
    {
        "bandwidth": "64 GB/s",
        "latency": "2 ns",
        "modules": 1,
        "card": "ucie-2022/standard-package",
        "source": "assumption: one UCIe module of 16 lanes at 32 GT/s in a standard package (Das Sharma et al., IEEE "
        "Trans. CPMT 12:1423, 2022), as the chip's file names no link",
    }
)
"""What joins chips whose file does not say how they are joined."""
