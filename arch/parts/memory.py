"""Off-chip DRAM: what does not fit into the buffers waits here, such as the activations that an update still needs.

Modelled: one port of ``bandwidth``, a fixed ``latency`` by which each burst is there later than its bits have passed,
others using the port meanwhile, how many bursts may be on their way, energy per bit read and written, and the standby
power of every device for the whole run. Not modelled: banks, rows, refresh as events, occupancy; ``capacity`` is stated
only. It takes no chip area; its card says so.
"""

from __future__ import annotations

from typing import ClassVar

from rpusim.arch.contract.quantity import Bits, BitsPerSecond, SecondsOrZero, transfer_picoseconds
from rpusim.arch.contract.sourced import Count, Sourced
from rpusim.arch.parts.part import Card, Part


class Memory(Sourced):
    """Equal DRAM devices, or stacks of them.

    capacity:   bits, of all devices together.
    bandwidth:  bits per second, of all devices together.
    latency:    seconds by which a burst is later than its bits take; the port is free meanwhile.
    in_flight:  how many bursts may be asked for and not yet be there; the next one waits for the first of them.
    devices:    how many of what the card describes there are.
    card:       name of the cost card of one device.
    """

    capacity: Bits
    bandwidth: BitsPerSecond
    latency: SecondsOrZero
    in_flight: Count = 128
    devices: Count
    card: str

    assumed: ClassVar[dict[str, str]] = {
        "in_flight": "assumption: 128 bursts, as DRAMsim3 queues them for HBM2 (8 channels, trans_queue_size 16)"
    }

    def transfer_ps(self, bits: int) -> int:
        """How long one burst of ``bits`` holds the port, in picoseconds."""
        return transfer_picoseconds(bits, self.bandwidth)

    def build(self, card: Card) -> Part:
        """Price the devices: one ``read`` or ``write`` per bit.

        Raises `InputError` if so many devices of the card do not carry the bandwidth.
        """
        card.check_bandwidth(self.devices, self.bandwidth)
        actions = {name: card.action(name, self.devices / self.bandwidth) for name in ("read", "write")}
        return Part("DRAM", self.devices, card, actions, busy_units=self.devices)
