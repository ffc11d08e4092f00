"""Arrays that learn in place: `AnalogConfig`, everything that they are made of, and `AnalogTile`, one of them.

How pulses on rows and columns change the cells, and how many devices stand at a cross-point, is the unit cell's affair
(`rpusim.kernels.cells`); the tile brings the vectors to it, and writes what it did to the activity log.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import torch

from rpusim.arch.contract import checks
from rpusim.arch.contract.activity import Phase, work_columns
from rpusim.arch.contract.digital_work import NOTHING, Work
from rpusim.errors import InputError
from rpusim.kernels.arrays.array import DeviceArray
from rpusim.kernels.arrays.reads import Reader
from rpusim.kernels.cells.base import CellParameters, Extra, Name, Site, changed
from rpusim.kernels.cells.bit_sliced import BitSliced, BitSlicedCell
from rpusim.kernels.cells.single import Single, SingleCell
from rpusim.kernels.devices import Cells, ConstantStep, Device, PulsedDevice
from rpusim.kernels.mvm.slices import SlicedCells
from rpusim.kernels.mvm.wires import Wires
from rpusim.kernels.pulses.trains import UpdateParameters
from rpusim.kernels.tiles.tile import LayerConfig, Tile

Tensor = torch.Tensor
BEFORE = -1
"""Stands for the vector of work that is done before a mini-batch."""


@dataclass(frozen=True)
class AnalogConfig(LayerConfig):
    """Configure the arrays of a layer that learns by pulses, and their periphery.

    device:   what a cross-point is made of.
    update:   how updates are pulsed.
    cell:     how many devices stand at a cross-point and how they learn together (`rpusim.kernels.cells`).
    pulse_wires:  the wires on which pulses of updates lose voltage, so that steps far from the drivers are smaller;
              None: they are whole everywhere.
    half_select:  what of its step a pulse on one of its lines alone moves a cell, from 0 (not at all) to 1; an
              assumption (`rpusim.kernels.pulses.half_select`).
    Everything else: as for `LayerConfig`.
    """

    device: Device = field(default_factory=ConstantStep)
    update: UpdateParameters = field(default_factory=UpdateParameters)
    cell: CellParameters = field(default_factory=Single)
    pulse_wires: Wires | None = None
    half_select: float = 0.0

    def __post_init__(self) -> None:
        super().__post_init__()
        checks.instance("device", self.device, Device)
        checks.instance("cell", self.cell, CellParameters)
        self._check_slices()
        checks.instance("update", self.update, UpdateParameters)
        checks.number("half_select", self.half_select, low=0.0, high=1.0)
        if self.pulse_wires is not None:
            checks.instance("pulse_wires", self.pulse_wires, Wires)

    def _check_slices(self) -> None:
        """Refuse peripheries that cut weights otherwise than cells do."""
        wanted = self.cell.slices if isinstance(self.cell, BitSliced) else None
        for name, io in (("forward", self.forward), ("backward", self.backward)):
            if io.slices == wanted or io.is_perfect or self.device.perfect_reads:
                continue
            if wanted is None:
                raise InputError(
                    f"{name}.slices: slices were given for cells of kind {self.cell.kind}; accepted is None, or cells "
                    "of kind bit-sliced, as a pulse of others moves one cell and not the slices of a weight"
                )
            raise InputError(f"{name}.slices: {io.slices} was given; accepted is that of the cells, {wanted}")
        if wanted is not None and self.backward.wires is not None:
            raise InputError(
                "backward.wires: wires were given for weights that are cut over cells; accepted is None, as it is not "
                "modelled what drops where slices are driven one after the other"
            )

    @property
    def averages(self) -> bool:
        """Whether columns can be read and pulsed as those of one array: single devices that are pulsed."""
        return isinstance(self.cell, Single) and isinstance(self.device, PulsedDevice)

    def tile(self, rows: int, columns: int, **options: Any) -> AnalogTile:
        return AnalogTile(rows, columns, self, **options)


class AnalogTile(Tile):
    """Multiply by cells that also learn in place; arguments as for `Tile`.

    Attributes:
    config:   what it was made by.
    cell:     the devices and how they learn.
    history:  a list in which the arguments of updates are noted, for whoever wants to repeat them; None: they are not.
    """

    def __init__(self, rows: int, columns: int, config: AnalogConfig, **options: Any) -> None:
        super().__init__(rows, columns, config, exact_reads=config.device.perfect_reads, **options)
        self.config = config
        lines = rows * config.cell.cells_per_weight
        reach = None if config.pulse_wires is None else config.pulse_wires.reach(lines, columns)
        site = Site(rows, columns, config.device, config.update, self._stream, self.path, reach, config.half_select)
        self.cell = config.cell.build(site)
        self.__dict__["cell"] = self.cell  # found without the detour that torch makes for submodules
        self._counters["refreshed"] = 0
        self.history: list[tuple[Tensor, Tensor, float, Work]] | None = None

    @property
    def weights(self) -> Tensor:
        """The visible weights of the cells (rows, columns), not a copy."""
        return self.cell.weights

    @property
    def sliced_cells(self) -> SlicedCells | None:
        return self.cell.sliced_cells if isinstance(self.cell, BitSlicedCell) else None

    @property
    def array(self) -> DeviceArray:
        """The array that takes the pulses: the only one of a single device, the first one of other cells."""
        array: DeviceArray = self.cell.arrays[0]  # type: ignore[assignment]
        return array

    @property
    def cells(self) -> Cells:
        """The frozen per-cell parameters of `array`."""
        return self.array.cells

    def _set_weights(self, weights: Tensor) -> None:
        self.cell.set_weights(weights)

    def update(self, x: Tensor, d: Tensor, learning_rate: float, work: Work = NOTHING) -> None:
        """Learn from the pairs of a mini-batch in order: on average W <- W - learning_rate d x^T, the cell's own way.

        x, d:        (vectors, columns) and (vectors, rows).
        work:        digital operations by class that were done for each pair before, for the log.

        InputError: shapes do not fit, or numbers are not finite.
        """
        x, d = self._vectors("x", x, self.columns), self._vectors("d", d, self.rows)
        if x.shape[0] != d.shape[0]:
            raise InputError(
                f"layer {self.layer}: {x.shape[0]} vectors x and {d.shape[0]} vectors d were given; accepted are pairs"
            )
        if self.history is not None:
            self.history.append((x, d, learning_rate, work))
        try:
            done = self.cell.update(x, d, learning_rate)
        except InputError as error:
            raise InputError(f"layer {self.layer}: {error}") from None
        if self.log is not None:
            some = work is not NOTHING or done.work is not NOTHING
            self.log.append(
                x.shape[0],
                layer=self.layer,
                tile=self.tile,
                phase=Phase.UPDATE,
                vector=np.arange(x.shape[0], dtype=np.int32),
                **done.update.columns(),
                **(work_columns(done.work + work) if some else {}),
            )
            if len(done.extra):
                self.log.append(len(done.extra), layer=self.layer, tile=self.tile, **done.extra.columns())

    def end_mini_batch(self) -> None:
        """Let the cells diffuse, then decay, as happens once per mini-batch whether or not there was an update."""
        self.cell.end_mini_batch()

    @property
    def volatile(self) -> bool:
        return self.cell.volatile

    def elapse(self, seconds: float) -> None:
        self.cell.elapse(seconds)

    @property
    def can_refresh(self) -> bool:
        """Whether its cells are single devices that leak."""
        return isinstance(self.cell, SingleCell) and self.array.cells.retention is not None

    def refresh(self, seconds: float) -> None:
        """Bring back what the mean cell has lost in ``seconds``: read column by column, and write the difference.

        Only where `can_refresh`. The log gets a row of maintenance for every column.
        """
        assert self.can_refresh and isinstance(self.array.device, PulsedDevice), "nothing that leaks"
        seen = self.read_columns()
        self.move_columns(seen * math.expm1(seconds / self.array.device.retention), adds=1, multiplies=1)

    def read_columns(self) -> Tensor:
        """Read all columns of a single device's array through its converters: (columns, rows)."""
        io = replace(self._backward_io, wires=self._forward_io.wires)
        reader = Reader(io, self.rows, self.columns, (*self._stream, Name.READ), by_columns=True)
        seen = reader.read(self.weights, list(range(self.columns)), self._counters["refreshed"], self.path_now)
        self._counters["refreshed"] += self.columns
        return seen

    def move_columns(self, missing: Tensor, adds: int, multiplies: int) -> None:
        """Pulse every column of a single device's array, one train each, by what its weights lack.

        missing: (columns, rows), found from what `read_columns` saw. adds, multiplies: for each weight, to find it.
        The log gets a row of maintenance for every column: the read, this work, and the pulses.
        """
        columns, before = list(range(self.columns)), self.weights.clone()
        # No column touches another's cells, so all are read before the first is written.
        trains = UpdateParameters().executed_as(self.config.update)
        counts = self.array.pulse(torch.eye(self.columns, device=missing.device), missing, -1.0, trains)
        done = Extra()
        for column in columns:
            writes = changed(before[:, column], self.weights[:, column])
            pulsed: dict[str, Any] = {"counts": counts, "entry": column, "phase": Phase.MAINTENANCE}
            work = Work(add=adds * self.rows, multiply=multiplies * self.rows)
            done.add(BEFORE, passes=1, writes=writes, work=work, **pulsed)
        if self.log is not None:
            self.log.append(len(done), layer=self.layer, tile=self.tile, **done.columns())
