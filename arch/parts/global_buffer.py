"""The global buffer: on-chip memory that all tiles share, between them and the DRAM.

Modelled like a tile's buffer (see `buffer`): one port of ``bandwidth`` that is held by every read and write, and the
energy of every bit. What it holds is settled before a run (see `storage`). Not modelled: bank conflicts, and the wires
to the tiles (those are the mesh's).
"""

from __future__ import annotations

from dataclasses import replace

from rpusim.arch.contract.quantity import transfer_picoseconds
from rpusim.arch.parts.buffer import Buffer
from rpusim.arch.parts.part import Card, Part


class GlobalBuffer(Buffer):
    """``banks`` equal banks that together hold ``capacity`` and read ``bandwidth``, once on the chip."""

    def transfer_ps(self, bits: int) -> int:
        """How long reading or writing ``bits`` holds the port."""
        return transfer_picoseconds(bits, self.bandwidth)

    def build(self, card: Card) -> Part:
        return replace(super().build(card), name="global buffer")
