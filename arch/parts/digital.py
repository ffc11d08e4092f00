"""The digital unit beside the arrays: scale and bias of every converted output, partial sums, activations, pooling.

Modelled as ``lanes`` equal lanes that together do ``rate`` element operations per second; every operation costs the
same energy. Not modelled: instruction fetch, and that a sigmoid needs more than an addition (operation counts carry
that).
"""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from rpusim.arch.contract.quantity import OperationsPerSecond
from rpusim.arch.contract.sourced import MOST, Count, Sourced
from rpusim.arch.parts.part import Card, Part


class Digital(Sourced):
    """A digital unit, of one tile or of several neighbouring ones.

    rate:                   element operations per second, of all lanes together.
    lanes:                  equal lanes that share the work.
    tiles_per_unit:         neighbouring tiles that share one unit.
    operations_per_output:  operations on every output: its scale and its bias.
    shift_adds:             who puts an output together from the conversions of its bits and slices: the
                            ``digital unit``, one operation for each conversion but the first, or ``other circuits``,
                            which the chip lists under support.
    word_bits:              width of a result wherever it is stored or sent.
    card:                   name of the cost card of one lane.
    """

    rate: OperationsPerSecond
    lanes: Count
    tiles_per_unit: Count
    operations_per_output: Annotated[int, Field(ge=0, le=MOST)]
    word_bits: Annotated[int, Field(ge=1, le=64)]
    card: str
    shift_adds: Literal["digital unit", "other circuits"] = "digital unit"

    def build(self, card: Card) -> Part:
        """Price the lanes of one unit: one ``operation`` per element operation."""
        return Part(
            "digital unit",
            self.lanes,
            card,
            {"operation": card.action("operation", self.lanes / self.rate)},
            busy_units=self.lanes,
        )
