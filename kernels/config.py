"""AnalogConfig: everything that turns a layer into analog hardware that learns, in one frozen value.

`LayerConfig` is what it shares with the configuration of arrays that only infer (`rpusim.kernels.inference`).
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass, field
from typing import Any

from rpusim.kernels import checks
from rpusim.kernels.cells.base import CellParameters
from rpusim.kernels.cells.single import Single
from rpusim.kernels.devices import ConstantStep, Device
from rpusim.kernels.mvm import IOParameters
from rpusim.kernels.pulses import UpdateParameters
from rpusim.kernels.tile import AnalogTile, Tile


@dataclass(frozen=True, kw_only=True)
class LayerConfig(ABC):
    """The periphery of a layer's arrays, and how its weights lie on them.

    forward, backward: the periphery in the two directions; bound management is always off in backward.
    analog_bias: keep the bias as a last column of the array, fed with 1 (else digital, and trained digitally).
    weight_scaling_omega: if > 0, weights are stored divided by s = max|W| / omega, and s is applied digitally.
    """

    forward: IOParameters = field(default_factory=IOParameters)
    backward: IOParameters = field(default_factory=IOParameters)
    analog_bias: bool = True
    weight_scaling_omega: float = 0.0

    def __post_init__(self) -> None:
        checks.instance("forward", self.forward, IOParameters)
        checks.instance("backward", self.backward, IOParameters)
        checks.flag("analog_bias", self.analog_bias)
        checks.number("weight_scaling_omega", self.weight_scaling_omega, low=0.0)

    @abstractmethod
    def tile(self, rows: int, columns: int, **options: Any) -> Tile:
        """A tile of this kind; options as for `Tile`."""


@dataclass(frozen=True)
class AnalogConfig(LayerConfig):
    """The arrays of a layer that learns by pulses, and their periphery.

    device:   what a cross-point is made of.
    cell:     how many devices stand at a cross-point and how they learn together (`rpusim.kernels.cells`).
    update:   how updates are pulsed.
    forward, backward, analog_bias, weight_scaling_omega: as for `LayerConfig`.
    """

    device: Device = field(default_factory=ConstantStep)
    update: UpdateParameters = field(default_factory=UpdateParameters)
    cell: CellParameters = field(default_factory=Single)

    def __post_init__(self) -> None:
        super().__post_init__()
        checks.instance("device", self.device, Device)
        checks.instance("cell", self.cell, CellParameters)
        checks.instance("update", self.update, UpdateParameters)

    def tile(self, rows: int, columns: int, **options: Any) -> AnalogTile:
        return AnalogTile(rows, columns, self, **options)
