"""The multiplexers between the lines of an array and the converters they share.

One analog switch per line; a converter's turn comes to a line when its switch is on. Modelled: the energy of turning a
switch on, once for every conversion, the area of all of them and their leakage. That they settle is part of a
conversion's time. Not modelled: the decoder that chooses, noise, and charge that a switch injects.
"""

from __future__ import annotations

from rpusim.arch.contract.sourced import Sourced
from rpusim.arch.parts.part import Card, Part


class Mux(Sourced):
    """One switch per output line."""

    card: str

    def build(self, card: Card, lines: int, converters: int, rate: float) -> Part:
        """``lines`` of a tile that are read, by so many ``converters`` at a time at their ``rate`` (S/s)."""
        return Part("multiplexer", lines, card, {"select": card.action("select", 1 / rate)}, busy_units=converters)
