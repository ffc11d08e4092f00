"""The global buffer: on-chip memory that all tiles share, between them and the DRAM.

Modelled like a tile's buffer (see `buffer`): one port of ``bandwidth`` that is held by every read and write, and the
energy of every bit. What it holds is settled before a run (see `rpusim.arch.schedule.storage`). Not modelled: bank
conflicts, and the wires to the tiles (those are the mesh's).
"""

from __future__ import annotations

from dataclasses import replace

from rpusim.arch.contract.quantity import transfer_picoseconds
from rpusim.arch.parts.buffer import Buffer
from rpusim.arch.parts.part import Card, Part


class GlobalBuffer(Buffer):
    """A buffer that the chip has once; its fields are those of a tile's `Buffer`."""

    def transfer_ps(self, bits: int) -> int:
        """How long reading or writing ``bits`` holds the port, in picoseconds."""
        return transfer_picoseconds(bits, self.bandwidth)

    def build(self, card: Card) -> Part:
        """Price it as a buffer of its own name; its card is one of the part "buffer"."""
        return replace(super().build(card), name="global buffer")
