"""The buffer of a tile: inputs wait here for their array, outputs are written here.

Modelled: one port of ``bandwidth`` that is held by every read (a vector is fetched before it is driven) and every write
(of results), the energy of every bit, and that it holds no more than its ``capacity`` (see `rpusim.arch.schedule`). Not
modelled: bank conflicts.
"""

from __future__ import annotations

from rpusim.arch.contract.quantity import Bits, BitsPerSecond
from rpusim.arch.contract.sourced import Count, Sourced
from rpusim.arch.parts.part import Card, Part


class Buffer(Sourced):
    """On-chip memory in equal banks.

    capacity:   bits, of all banks together.
    bandwidth:  bits per second of its one port, of all banks together.
    banks:      how many of what the card describes make it up.
    card:       name of the cost card of one bank.
    """

    capacity: Bits
    bandwidth: BitsPerSecond
    banks: Count
    card: str

    def build(self, card: Card) -> Part:
        """Price the banks: one ``read`` or ``write`` per bit.

        Raises `InputError` if so many banks of the card do not carry the bandwidth.
        """
        card.check_bandwidth(self.banks, self.bandwidth)
        per_bit = self.banks / self.bandwidth
        actions = {name: card.action(name, per_bit) for name in ("read", "write")}
        return Part("buffer", self.banks, card, actions, busy_units=self.banks)
