"""The digital unit beside the arrays: scale and bias of every converted output, partial sums, activations, pooling.

Modelled as ``lanes`` equal lanes that together do ``rate`` element operations per second; every operation costs the
same energy. Not modelled: instruction fetch, and that a sigmoid needs more than an addition (operation counts carry
that).
"""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from rpusim.arch.contract.quantity import OperationsPerSecond
from rpusim.arch.contract.sourced import Sourced
from rpusim.arch.parts.part import Card, Part


class Digital(Sourced):
    """One digital unit for every ``tiles_per_unit`` tiles; its results are ``word_bits`` wide wherever they travel."""

    rate: OperationsPerSecond
    lanes: Annotated[int, Field(ge=1)]
    tiles_per_unit: Annotated[int, Field(ge=1)]
    operations_per_output: Annotated[int, Field(ge=0)]
    word_bits: Annotated[int, Field(ge=1, le=64)]
    card: str

    def build(self, card: Card) -> Part:
        return Part(
            "digital unit",
            self.lanes,
            card,
            {"operation": card.action("operation", self.lanes / self.rate)},
            busy_units=self.lanes,
        )
