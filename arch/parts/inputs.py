"""The input side: what turns a digital number into a voltage on a line, for one vector at a time.

Three kinds: ``pwm`` encodes the number as a pulse of up to `Inputs.longest_pulse` clock periods (sign by polarity)
while the array integrates; ``bit-serial`` applies one digit of two's complement per clock period, the sign last, and
converts after each (ISAAC); ``parallel-dac`` settles to one of its levels and then integrates. All three round numbers
to the same `Inputs.steps`. One driver per line; a training chip has them on both sides. Not modelled: errors of the
drivers.

A digit is a bit, or ``digit_bits`` of them, of which a driver is a DAC: digit d is d / (2^digit_bits - 1) of the full
voltage. The highest digit has what bits are left. If that is the sign alone, it is driven like the others and taken off
digitally; if not, it is driven with its sign, down to -2^(its bits - 1), as a pulse of ``pwm`` is.
"""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, model_validator

from rpusim.arch.contract.quantity import Seconds
from rpusim.arch.contract.sourced import Sourced
from rpusim.arch.parts.part import Card, Part
from rpusim.errors import InputError


class Inputs(Sourced):
    """Input drivers, one per line.

    kind:   how a number becomes a voltage.
    bits:   resolution of the number, its sign included, see `steps`.
    clock:  seconds: the PWM period, the time per digit, or the settling time of a DAC.
    card:   name of the cost card of one driver.
    digit_bits:  bits that a driver applies at a time if bit-serial: 1, or those of its DAC.
    """

    kind: Literal["pwm", "bit-serial", "parallel-dac"]
    bits: Annotated[int, Field(ge=1, le=32)]
    clock: Seconds
    card: str
    digit_bits: Annotated[int, Field(ge=1, le=16)] = 1

    @model_validator(mode="after")
    def _signed(self) -> Inputs:
        if self.bits < 2:
            raise ValueError("bits is 1, but a signed input needs a sign and at least one bit of size (2 or more)")
        return self

    @model_validator(mode="after")
    def _digits_of_a_number(self) -> Inputs:
        if self.digit_bits > 1 and self.kind != "bit-serial":
            raise ValueError(
                f"digit_bits: got {self.digit_bits}, but kind is {self.kind!r}, which applies a number at once; leave "
                "it out, or use bit-serial"
            )
        if self.digit_bits >= self.bits:
            raise ValueError(
                f"digit_bits: got {self.digit_bits}, but an input of {self.bits} bits is applied in two digits at "
                f"least; accepted are 1 to {self.bits - 1}, or kind parallel-dac"
            )
        return self

    @property
    def longest_pulse(self) -> int:
        """Clock periods of the longest PWM pulse, and the largest of the signed levels: 2^(bits - 1) - 1."""
        return (1 << self.bits - 1) - 1

    @property
    def steps(self) -> int:
        """Steps from the most negative to the most positive input: 2^bits - 2, twice the `longest_pulse`.

        Levels lie evenly about zero, so one of the 2^bits codes is never used, as in IBM's aihwkit (7 bits: 126 steps).
        """
        return 2 * self.longest_pulse

    def drive_seconds(self, integration: float) -> float:
        """How long the array and its drivers are held for one pass (of one digit, if bit-serial).

        integration: seconds for which the outputs integrate at least.
        """
        if self.kind == "pwm":
            return max(self.longest_pulse * self.clock, integration)
        if self.kind == "bit-serial":
            return max(self.clock, integration)
        return self.clock + integration

    @property
    def cycles(self) -> int:
        """Drive-and-convert cycles per pass: one per digit if bit-serial, else one."""
        return -(-self.bits // self.digit_bits) if self.kind == "bit-serial" else 1

    @property
    def levels(self) -> int:
        """Steps of a driver from nothing to its full voltage, or its longest pulse."""
        return int((1 << self.digit_bits) - 1) if self.kind == "bit-serial" else self.longest_pulse

    @property
    def never_negative(self) -> bool:
        """Whether lines are only driven up: if bit-serial, where the highest digit is the sign alone."""
        return self.kind == "bit-serial" and (self.bits - 1) % self.digit_bits == 0

    def build(self, card: Card, lines: int, busy_lines: int, drive_seconds: float) -> Part:
        """Price the drivers of a tile: one ``drive`` per line and cycle.

        card: cost of one driver.
        lines: driven lines of the tile, of all sides and arrays.
        busy_lines: how many of them are driven at the same time.
        drive_seconds: how long one drive takes, see `drive_seconds`.
        Raises `InputError` if the card does not price a drive, or is that of a driver of other digits.
        """
        rated = 1 if card.rated_bits is None else card.rated_bits
        if self.kind == "bit-serial" and rated != self.digit_bits:
            raise InputError(
                f"digits of {self.digit_bits} bits (digit_bits), but the card {card.name} is that of a driver "
                f"of {rated} (rated_bits; 1 if it does not say); a card's cost holds only for the DAC it was taken from"
            )
        actions = {"drive": card.action("drive", drive_seconds)}
        return Part("input drivers", lines, card, actions, busy_units=busy_lines)
