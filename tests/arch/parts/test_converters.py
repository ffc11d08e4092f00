"""The resolution of converters and the time that inputs take: what numbers and clock read from the same part."""

from __future__ import annotations

import pytest

from rpusim.arch.chips.chip import Chip
from rpusim.arch.chips.description import TileKind

KIND = Chip.load("rpu-2016").tiles[0]


def inputs(**changes: object) -> TileKind:
    return KIND.model_copy(update={"inputs": KIND.inputs.model_copy(update=changes)})


@pytest.mark.parametrize(("bits", "longest", "steps"), [(2, 1, 2), (5, 15, 30), (7, 63, 126), (8, 127, 254)])
def test_signed_levels_lie_evenly_about_zero(bits: int, longest: int, steps: int) -> None:
    part = inputs(bits=bits).inputs
    assert (part.longest_pulse, part.steps) == (longest, steps)
    assert KIND.adc.model_copy(update={"bits": bits}).steps == steps


class TestHowLongOnePassHoldsTheArray:
    def test_a_pulse_longer_than_the_integration_sets_it(self) -> None:
        kind = inputs(kind="pwm", bits=5, clock=3e-9)
        assert kind.inputs.drive_seconds(40e-9) == pytest.approx(45e-9)
        assert kind.inputs.drive_seconds(50e-9) == 50e-9

    def test_a_bit_serial_input_takes_a_clock_per_cycle(self) -> None:
        kind = inputs(kind="bit-serial", bits=5, clock=3e-9)
        assert (kind.inputs.drive_seconds(1e-9), kind.inputs.drive_seconds(4e-9)) == (3e-9, 4e-9)
        assert kind.inputs.cycles == 5

    def test_a_converter_settles_before_the_outputs_integrate(self) -> None:
        kind = inputs(kind="parallel-dac", bits=5, clock=3e-9)
        assert kind.inputs.drive_seconds(4e-9) == pytest.approx(7e-9)
        assert kind.inputs.cycles == 1
