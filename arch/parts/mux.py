"""The multiplexers between the lines of an array and the converters they share.

One analog switch per line; a converter's turn comes to a line when its switch is on. Modelled: the energy of turning a
switch on, once for every conversion, the area of all of them and their leakage. That they settle is part of a
conversion's time. Not modelled: the decoder that chooses, noise, and charge that a switch injects.
"""

from __future__ import annotations

from rpusim.arch.contract.sourced import Sourced
from rpusim.arch.parts.part import Card, Part


class Mux(Sourced):
    """One switch per output line.

    card: the cost card of one line's switch.
    """

    card: str

    def build(self, card: Card, lines: int, converters: int, rate: float) -> Part:
        """Price the switches of a tile: one ``select`` per conversion.

        card: cost of one line's switch.
        lines: lines of the tile that are read.
        converters: how many of them are converted at the same time.
        rate: conversions per second of one converter.
        """
        return Part("multiplexer", lines, card, {"select": card.action("select", 1 / rate)}, busy_units=converters)
