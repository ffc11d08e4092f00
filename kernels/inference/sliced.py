"""Cells of sliced weights that are programmed and drift: every cell has its own conductance, error and drift.

A level from 0 to 1 (`rpusim.kernels.mvm.slices`) is a conductance on an even scale over the range of the converter. A
cell of signed digits is what the converter makes of a weight between -1 and 1, such as a pair; a cell of digits that
are never negative is one device, from the lowest to the highest conductance. So are those of the unit line, whose error
weighs most: its read-out times half the range of the weights is taken off every output.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch

from rpusim.kernels.inference.converters import Converter
from rpusim.kernels.inference.draw import CellDraw
from rpusim.kernels.inference.noise import NoiseModel
from rpusim.kernels.mvm.slices import SlicedCells, Slices, cut, merged

Tensor = torch.Tensor
Draw = Callable[[int, bool], CellDraw]
"""Gives the random numbers of one device of every cross-point, by its number, or of the cells of the unit line."""


class SlicedDevices(torch.nn.Module):
    """Hold the devices of a tile whose weights are cut over cells.

    rows, columns:  size of the tile. slices: how weights are cut. converter, noise: as for `InferenceConfig`.
    """

    left: Tensor
    frozen: Tensor
    levels: Tensor
    flipped: Tensor
    of_unit: Tensor
    largest: Tensor

    def __init__(self, rows: int, columns: int, slices: Slices, converter: Converter, noise: NoiseModel) -> None:
        super().__init__()
        self._slices, self._converter, self._noise = slices, converter, noise
        self._each = 1 if slices.has_unit_line else converter.devices
        devices = slices.number * self._each
        self.register_buffer("left", torch.zeros(devices, rows, columns))  # siemens, by programming
        self.register_buffer("frozen", torch.zeros(devices, rows, columns))
        self.register_buffer("levels", torch.zeros(slices.number, rows, columns))  # now
        self.register_buffer("flipped", torch.zeros(slices.number, rows, dtype=torch.bool))
        self.register_buffer("of_unit", torch.zeros(3, columns))  # left and frozen, as above, and the level now
        self.register_buffer("largest", torch.ones((), dtype=torch.float64))

    @property
    def cells(self) -> SlicedCells:
        """What the cells hold now."""
        unit = self.of_unit[2] if self._slices.has_unit_line else None
        return SlicedCells(self.levels, self.flipped, unit, float(self.largest))

    @property
    def weights(self) -> Tensor:
        """The weights that the cells hold together (rows, columns)."""
        return merged(self.cells, self._slices)

    def program(self, weights: Tensor, bound: float, programming: Draw, frozen: Draw) -> None:
        """Write weights (rows, columns), as well as programming can.

        bound: full scale of a conversion, see `rpusim.kernels.mvm.slices.cut`. programming, frozen: random numbers.
        """
        exact = cut(weights, self._slices, bound)
        targets = [target for levels in exact.levels for target in self._conductances(levels)]
        for device, target in enumerate(targets):
            self.left[device] = self._noise.programmed(target, programming(device, False))
            self.frozen[device] = self._noise.frozen(target, frozen(device, False))
        if exact.unit is not None:
            target = self._conductances(exact.unit[None])[0]
            self.of_unit[0] = self._noise.programmed(target, programming(len(targets), True))[0]
            self.of_unit[1] = self._noise.frozen(target, frozen(len(targets), True))[0]
        self.flipped.copy_(exact.flipped)
        self.largest.fill_(exact.largest)
        self._hold(list(self.left), self.of_unit[:1])

    def drift(self, seconds: float, ageing: Draw) -> None:
        """Let the cells be as they are ``seconds`` after programming; ``ageing``: random numbers."""
        now = [
            self._noise.after(conductance, self.frozen[device], seconds, ageing(device, False))
            for device, conductance in enumerate(self.left)
        ]
        unit = self.of_unit[:1]
        if self._slices.has_unit_line:
            unit = self._noise.after(unit, self.of_unit[1:2], seconds, ageing(len(now), True))
        self._hold(now, unit)

    def _hold(self, conductances: Sequence[Tensor], unit: Tensor) -> None:
        """Turn conductances in siemens into levels."""
        for number in range(self._slices.number):
            self.levels[number] = self._levels(conductances[number * self._each : (number + 1) * self._each])
        if self._slices.has_unit_line:
            self.of_unit[2] = self._levels([unit])[0]

    def _conductances(self, levels: Tensor) -> list[Tensor]:
        if self._slices.has_unit_line:
            low, high = self._converter.conductance_range
            return [low + levels * (high - low)]
        return self._converter.conductances(levels, self._converter.fit(torch.ones(1, 1)))

    def _levels(self, conductances: Sequence[Tensor]) -> Tensor:
        if self._slices.has_unit_line:
            low, high = self._converter.conductance_range
            return (conductances[0] - low) / (high - low)
        return self._converter.weights(conductances, self._converter.fit(torch.ones(1, 1)))
