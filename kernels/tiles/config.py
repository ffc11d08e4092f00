"""AnalogConfig: everything that turns a layer into analog hardware that learns, in one frozen value.

`LayerConfig` is what it shares with the configuration of arrays that only infer (`rpusim.kernels.inference`).
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass, field
from typing import Any

from rpusim.arch.contract import checks
from rpusim.errors import InputError
from rpusim.kernels.cells.base import CellParameters
from rpusim.kernels.cells.single import Single
from rpusim.kernels.devices import ConstantStep, Device
from rpusim.kernels.mvm.input_range import InputRange
from rpusim.kernels.mvm.multiply import BoundManagement, IOParameters, NoiseManagement
from rpusim.kernels.pulses.specification import UpdateParameters
from rpusim.kernels.tiles.tile import AnalogTile, Tile


@dataclass(frozen=True, kw_only=True)
class LayerConfig(ABC):
    """The periphery of a layer's arrays, and how its weights lie on them.

    forward, backward: the periphery in the two directions; bound management is always off in backward.
    analog_bias: keep the bias as a last column of the array, fed with 1 (else digital, and trained digitally).
    max_rows, max_columns: the largest tile; a larger layer is cut into balanced blocks. None: no limit.
    weight_scaling_omega: if > 0, weights are stored divided by s = max|W| / omega, and s is applied digitally;
    weight_scaling_columnwise: an s of its own for every output (a column of the array as chips are drawn).
    learn_out_scaling: a digital factor of the outputs, 1 at first and learned; out_scaling_columnwise: one per output.
    input_range: inputs are clipped to a range, which may be learned, and divided by it; the bias has to be digital.
    """

    forward: IOParameters = field(default_factory=IOParameters)
    backward: IOParameters = field(default_factory=IOParameters)
    analog_bias: bool = True
    max_rows: int | None = None
    max_columns: int | None = None
    weight_scaling_omega: float = 0.0
    weight_scaling_columnwise: bool = False
    learn_out_scaling: bool = False
    out_scaling_columnwise: bool = False
    input_range: InputRange | None = None

    def __post_init__(self) -> None:
        checks.instance("forward", self.forward, IOParameters)
        checks.instance("backward", self.backward, IOParameters)
        for name in ("analog_bias", "weight_scaling_columnwise", "learn_out_scaling", "out_scaling_columnwise"):
            checks.flag(name, getattr(self, name))
        for name in ("max_rows", "max_columns"):
            if getattr(self, name) is not None:
                checks.integer(name, getattr(self, name), low=1)
        checks.number("weight_scaling_omega", self.weight_scaling_omega, low=0.0)
        if self.input_range is not None:
            checks.instance("input_range", self.input_range, InputRange)
            if self.analog_bias:
                raise InputError("input_range: it was given with analog_bias=True; accepted is a digital bias, False")
            managed = (self.forward.noise_management, self.forward.bound_management)
            if self.input_range.manage_output_clipping and managed != (NoiseManagement.NONE, BoundManagement.NONE):
                raise InputError(
                    f"manage_output_clipping: True was given with noise_management {managed[0].value!r} and "
                    f"bound_management {managed[1].value!r}; accepted are 'none' and 'none' of the forward periphery"
                )

    @abstractmethod
    def tile(self, rows: int, columns: int, **options: Any) -> Tile:
        """A tile of this kind; options as for `Tile`."""


@dataclass(frozen=True)
class AnalogConfig(LayerConfig):
    """The arrays of a layer that learns by pulses, and their periphery.

    device:   what a cross-point is made of.
    cell:     how many devices stand at a cross-point and how they learn together (`rpusim.kernels.cells`).
    update:   how updates are pulsed.
    Everything else: as for `LayerConfig`.
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
