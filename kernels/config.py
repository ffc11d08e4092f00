"""AnalogConfig: everything that turns a layer into analog hardware, in one frozen value."""

from __future__ import annotations

from dataclasses import dataclass, field

from rpusim.kernels import checks
from rpusim.kernels.cells.base import CellParameters
from rpusim.kernels.cells.single import Single
from rpusim.kernels.devices import ConstantStep, Device
from rpusim.kernels.mvm import IOParameters
from rpusim.kernels.pulses import UpdateParameters


@dataclass(frozen=True)
class AnalogConfig:
    """The arrays of a layer and their periphery.

    device:   what a cross-point is made of.
    cell:     how many devices stand at a cross-point and how they learn together (`rpusim.kernels.cells`).
    forward, backward: the periphery in the two directions; bound management is always off in backward.
    update:   how updates are pulsed.
    analog_bias: keep the bias as a last column of the array, fed with 1 (else digital, and trained digitally).
    weight_scaling_omega: if > 0, weights are stored divided by s = max|W| / omega, and s is applied digitally.
    """

    device: Device = field(default_factory=ConstantStep)
    forward: IOParameters = field(default_factory=IOParameters)
    backward: IOParameters = field(default_factory=IOParameters)
    update: UpdateParameters = field(default_factory=UpdateParameters)
    analog_bias: bool = True
    weight_scaling_omega: float = 0.0
    cell: CellParameters = field(default_factory=Single)

    def __post_init__(self) -> None:
        checks.instance("device", self.device, Device)
        checks.instance("cell", self.cell, CellParameters)
        checks.instance("forward", self.forward, IOParameters)
        checks.instance("backward", self.backward, IOParameters)
        checks.instance("update", self.update, UpdateParameters)
        checks.flag("analog_bias", self.analog_bias)
        checks.number("weight_scaling_omega", self.weight_scaling_omega, low=0.0)
