"""The input side: what turns a digital number into a voltage on a line, for one vector at a time.

Three kinds: ``pwm`` encodes the number as a pulse of up to 2^(bits-1) - 1 clock periods (sign by polarity) while the
array integrates; ``bit-serial`` applies one bit per clock period and converts after each (ISAAC); ``parallel-dac``
settles to one of 2^bits levels and then integrates. One driver per line; a training chip has them on both sides.
"""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, model_validator

from rpusim.arch.contract.quantity import Seconds
from rpusim.arch.contract.sourced import Sourced
from rpusim.arch.parts.part import Card, Part


class Inputs(Sourced):
    """Input drivers; ``clock`` is the PWM period, the time per bit, or the settling time of a DAC."""

    kind: Literal["pwm", "bit-serial", "parallel-dac"]
    bits: Annotated[int, Field(ge=1, le=32)]
    clock: Seconds
    card: str

    @model_validator(mode="after")
    def _signed(self) -> Inputs:
        if self.kind == "pwm" and self.bits < 2:
            raise ValueError(
                "bits is 1, but a signed PWM input needs a sign and at least one bit of duration (2 or more)"
            )
        return self

    def drive_seconds(self, integration: float) -> float:
        """How long the array and its drivers are held for one pass (of one bit, if bit-serial)."""
        if self.kind == "pwm":
            return max((2 ** (self.bits - 1) - 1) * self.clock, integration)
        if self.kind == "bit-serial":
            return max(self.clock, integration)
        return self.clock + integration

    @property
    def cycles(self) -> int:
        """Drive-and-convert cycles per pass: one per bit if bit-serial, else one."""
        return self.bits if self.kind == "bit-serial" else 1

    def build(self, card: Card, lines: int, busy_lines: int, drive_seconds: float) -> Part:
        actions = {"drive": card.action("drive", drive_seconds)}
        return Part("input drivers", lines, card, actions, busy_units=busy_lines)
