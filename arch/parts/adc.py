"""The output side: sample-and-hold, and analog-to-digital converters that take turns over the lines of an array.

Each converter serves ``lines_per_adc`` adjacent lines, one after the other ("rounds"); ``shared_between_sides`` means
the same converters read rows in the forward and columns in the backward pass. With a sample-and-hold the array is
free for the next vector as soon as its outputs are sampled; without one it is held until the last round. The numeric
side of the same circuit is here too, so that it cannot disagree with the cost: ``bits`` and ``bound`` set the
quantisation (2^bits - 2 steps over +-bound, in units of weight x full-scale input) and ``noise`` its Gaussian noise.

With a ``pool`` neighbouring tiles share banks of converters instead of having their own: an array whose outputs are
ready takes any bank that is free, first come, first served, whatever layer it belongs to.

``card`` names a cost card, or asks for one estimated from a survey of converters (see `adc_survey`).
"""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, model_validator

from rpusim.arch.contract.quantity import SamplesPerSecond
from rpusim.arch.contract.sourced import Sourced
from rpusim.arch.parts.adc_survey import CardOrEstimate
from rpusim.arch.parts.part import Card, Part
from rpusim.errors import InputError


class SampleAndHold(Sourced):
    """One per output line."""

    card: str

    def build(self, card: Card, lines: int, busy_lines: int, hold_seconds: float) -> Part:
        return Part("sample-and-hold", lines, card, {"hold": card.action("hold", hold_seconds)}, busy_units=busy_lines)


class Pool(Sourced):
    """Converters that ``tiles`` neighbouring tiles share; each bank of them converts a side of one array at a time."""

    tiles: Annotated[int, Field(ge=1)]
    banks: Annotated[int, Field(ge=1)]


class Adcs(Sourced):
    """The converters of one array side, or of a pool that tiles share."""

    kind: Literal["sar", "ramp", "cco", "flash"]
    bits: Annotated[int, Field(ge=1, le=24)]
    rate: SamplesPerSecond
    lines_per_adc: Annotated[int, Field(ge=1)]
    shared_between_sides: bool
    bound: Annotated[float, Field(gt=0)]
    noise: Annotated[float, Field(ge=0)]
    card: CardOrEstimate
    pool: Pool | None = None

    @model_validator(mode="after")
    def _any_side(self) -> Adcs:
        if self.pool and not self.shared_between_sides:
            raise ValueError("pool: its banks convert any side of an array; set shared_between_sides to true")
        return self

    @property
    def found_or_estimated(self) -> str | Card:
        """The name of a card, or the card that was estimated for these bits and this rate."""
        return self.card if isinstance(self.card, str) else self.card.card(self.bits, self.rate)

    def count(self, lines: int) -> int:
        """Converters needed for a side of ``lines`` lines."""
        return -(-lines // self.lines_per_adc)

    def build(self, card: Card, sides: tuple[int, ...], arrays: int) -> Part:
        """The converters of a tile, or of a pool; ``sides`` are the line counts of the sides that are read."""
        if card.rated_bits != self.bits or card.rated_rate != self.rate:
            raise InputError(
                f"adc: {self.bits} bits at {self.rate:g} S/s, but its card {card.name} is rated for {card.rated_bits} "
                f"bits at {card.rated_rate or 0:g} S/s; a card's cost holds only for the converter it was taken from"
            )
        per_side = [self.count(lines) * (self.pool.banks if self.pool else arrays) for lines in sides]
        units = max(per_side) if self.shared_between_sides else sum(per_side)
        return Part("ADC", units, card, {"convert": card.action("convert", 1 / self.rate)}, busy_units=max(per_side))
