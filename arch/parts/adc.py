"""The output side: sample-and-hold, and analog-to-digital converters that take turns over the lines of an array.

Each converter serves ``lines_per_adc`` adjacent lines, one after the other ("rounds"); ``shared_between_sides`` means
the same converters read rows in the forward and columns in the backward pass. With a sample-and-hold the array is
free for the next vector as soon as its outputs are sampled; without one it is held until the last round. The numeric
side of the same circuit is here too, so that it cannot disagree with the cost: ``bits`` and ``bound`` set the
quantisation (`Adcs.steps` over +-bound) and ``noise`` its Gaussian noise. Every conversion is rounded, clipped and
noisy by itself: of one bit, if inputs are bit-serial, and of one slice, if weights are cut over cells (`conversion`).
Not modelled: offsets and non-linearity.

With a ``pool`` neighbouring tiles share banks of converters instead of having their own: an array whose outputs are
ready takes any bank that is free, first come, first served, whatever layer it belongs to.

``card`` names a cost card, or asks for one that is estimated from a survey of converters, or scaled by it from a card
of a converter with other bits or another rate (see `adc_survey`).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated, Literal

from pydantic import Field, model_validator

from rpusim.arch.contract.quantity import SamplesPerSecond
from rpusim.arch.contract.sourced import Count, Sourced
from rpusim.arch.parts.adc_survey import CardOrEstimate, Scaled
from rpusim.arch.parts.part import Card, Part
from rpusim.errors import InputError


class SampleAndHold(Sourced):
    """One capacitor and switch per output line.

    card: the cost card of one line's circuit.
    """

    card: str

    def build(self, card: Card, lines: int, busy_lines: int, hold_seconds: float) -> Part:
        """Price the sample-and-holds of a tile: one ``hold`` per line that is read.

        card: cost of one line's circuit.
        lines: output lines of the tile.
        busy_lines: how many of them hold a value at the same time.
        hold_seconds: how long one value is held for.
        Raises `InputError` if the card does not price a hold.
        """
        return Part("sample-and-hold", lines, card, {"hold": card.action("hold", hold_seconds)}, busy_units=busy_lines)


class Pool(Sourced):
    """Converters that neighbouring tiles share.

    tiles: how many tiles share them.
    banks: sets of converters; each converts a side of one array at a time.
    """

    tiles: Count
    banks: Count


class Adcs(Sourced):
    """The converters of the sides of an array, or of a pool that tiles share.

    kind:                  what the converter is, for people; its costs come from the card.
    bits:                  resolution, see `steps`.
    rate:                  conversions per second of one converter.
    lines_per_adc:         adjacent lines that take turns on one converter.
    shared_between_sides:  whether the same converters read rows (forward) and columns (backward).
    bound:                 full scale of a conversion of whole weights, in units of weight x full-scale input; larger
                           read-outs saturate. A tile that cuts weights over cells has no use for it.
    noise:                 standard deviation of the Gaussian noise of every conversion, in the unit of ``bound``; where
                           weights are cut over cells, in highest levels of a cell x full-scale input.
    card:                  name of a cost card, an estimate from the survey of converters, or a card that it scales.
    pool:                  what tiles share; None: every array has converters of its own.
    slice_bound:           full scale of a conversion of one slice, in highest levels of a cell x full-scale input;
                           None: by the rule of `conversion`.
    """

    kind: Literal["sar", "ramp", "cco", "flash"]
    bits: Annotated[int, Field(ge=2, le=24)]
    rate: SamplesPerSecond
    lines_per_adc: Count
    shared_between_sides: bool
    bound: Annotated[float, Field(gt=0, le=1e6)] | None = None
    noise: Annotated[float, Field(ge=0, le=1e6)]
    card: CardOrEstimate
    pool: Pool | None = None
    slice_bound: Annotated[float, Field(gt=0, le=1e6)] | None = None

    @model_validator(mode="after")
    def _any_side(self) -> Adcs:
        if self.pool and not self.shared_between_sides:
            raise ValueError("pool: its banks convert any side of an array; set shared_between_sides to true")
        return self

    @property
    def steps(self) -> int:
        """Steps between the lowest and the highest output over +-``bound``: 2^bits - 2.

        The codes of a signed converter lie evenly about zero, from -(2^(bits - 1) - 1) to 2^(bits - 1) - 1, so one of
        the 2^bits is never used. It is the resolution of IBM's aihwkit, whose 7 bits are 126 steps.
        """
        return (1 << self.bits) - 2

    def converter(self, find: Callable[[str], Card]) -> Card:
        """Return the card of one converter: found by its name, estimated, or scaled from that of another converter.

        find: finds a card by its name.
        Raises `InputError` if there is no card of that name, or the survey has no such converters.
        """
        if isinstance(self.card, str):
            return find(self.card)
        if isinstance(self.card, Scaled):
            return self.card.card(self.bits, self.rate, find(self.card.scaled))
        return self.card.card(self.bits, self.rate)

    def count(self, lines: int) -> int:
        """Converters needed for a side of ``lines`` lines."""
        return -(-lines // self.lines_per_adc)

    def per_side(self, sides: tuple[int, ...], arrays: int) -> list[int]:
        """Converters that work at the same time for each side of all ``arrays`` of a tile, or of all banks of a pool.

        sides: number of lines of every array side that is read.
        """
        return [self.count(lines) * (self.pool.banks if self.pool else arrays) for lines in sides]

    def build(self, card: Card, sides: tuple[int, ...], arrays: int) -> Part:
        """Price the converters of a tile, or of a pool: one ``convert`` per output.

        card: cost of one converter.
        sides: number of lines of every array side that is read.
        arrays: arrays of the tile; each has converters of its own unless they are pooled.
        Raises `InputError` if the card is that of a converter with other bits or another rate.
        """
        if card.rated_bits != self.bits or card.rated_rate != self.rate:
            raise InputError(
                f"adc: {self.bits} bits at {self.rate:g} S/s, but its card {card.name} is rated for {card.rated_bits} "
                f"bits at {card.rated_rate or 0:g} S/s, and its cost holds for no other converter; accepted: the card "
                f"of such a one, or card: {{scaled: {card.name}}}"
            )
        per_side = self.per_side(sides, arrays)
        units = max(per_side) if self.shared_between_sides else sum(per_side)
        return Part("ADC", units, card, {"convert": card.action("convert", 1 / self.rate)}, busy_units=max(per_side))
