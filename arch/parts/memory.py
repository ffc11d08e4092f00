"""Off-chip DRAM: what does not fit into the buffers waits here, such as the activations that an update still needs.

Modelled: one port of ``bandwidth``, a fixed ``latency`` before each burst, energy per bit read and written, and the
standby power of every device for the whole run. Not modelled: banks, rows, refresh as events, occupancy; ``capacity``
is stated only. It takes no chip area; its card says so.
"""

from __future__ import annotations

from rpusim.arch.contract.quantity import Bits, BitsPerSecond, SecondsOrZero, picoseconds, transfer_picoseconds
from rpusim.arch.contract.sourced import Count, Sourced
from rpusim.arch.parts.part import Card, Part


class Memory(Sourced):
    """Equal DRAM devices, or stacks of them.

    capacity:   bits, of all devices together.
    bandwidth:  bits per second, of all devices together.
    latency:    seconds before every burst.
    devices:    how many of what the card describes there are.
    card:       name of the cost card of one device.
    """

    capacity: Bits
    bandwidth: BitsPerSecond
    latency: SecondsOrZero
    devices: Count
    card: str

    def transfer_ps(self, bits: int) -> int:
        """How long one burst of ``bits`` holds the memory, in picoseconds."""
        return picoseconds(self.latency) + transfer_picoseconds(bits, self.bandwidth)

    def build(self, card: Card) -> Part:
        """Price the devices: one ``read`` or ``write`` per bit.

        Raises `InputError` if so many devices of the card do not carry the bandwidth.
        """
        card.check_bandwidth(self.devices, self.bandwidth)
        actions = {name: card.action(name, self.devices / self.bandwidth) for name in ("read", "write")}
        return Part("DRAM", self.devices, card, actions, busy_units=self.devices)
