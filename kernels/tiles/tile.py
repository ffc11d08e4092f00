"""Tiles: cross-points with their periphery on both sides, the unit that a chip is made of.

The same cells multiply forwards (y = W x) and backwards (z = W^T d). Those of an `AnalogTile` also learn in place from
pulses on rows and columns; how, and from how many devices, is the unit cell's affair (`rpusim.kernels.cells`).
A tile counts the vectors of each kind that it has seen; these counters and its name (seed, layer, tile) fix all its
random numbers, so that a tile restored from its state continues bit for bit. What it did it writes to an activity log.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from dataclasses import replace
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import torch

from rpusim.arch.contract.activity import ActivityLog, Phase
from rpusim.errors import InputError
from rpusim.kernels.arrays.array import DeviceArray
from rpusim.kernels.arrays.reads import Reader
from rpusim.kernels.cells.base import Extra, Name, Site, changed
from rpusim.kernels.cells.single import SingleCell
from rpusim.kernels.devices import Cells, PulsedDevice
from rpusim.kernels.mvm.multiply import BoundManagement, Lines, Product, multiply
from rpusim.kernels.mvm.periphery import product
from rpusim.kernels.pulses.trains import UpdateParameters

if TYPE_CHECKING:
    from rpusim.kernels.tiles.config import AnalogConfig, LayerConfig

Tensor = torch.Tensor
PATHS = ("numba", "torch")
_ALMOST = 1.0 - 1e-6  # of the converters' bound counts as the bound
BEFORE = -1
"""Stands for the vector of work that is done before a mini-batch."""


class Step(NamedTuple):
    """Which step of a sequence the vectors of a call are, one of every sample, and of how many."""

    number: int
    steps: int


ALONE = Step(0, 1)
"""The vectors of a call are all there are."""


class Tile(torch.nn.Module, ABC):
    """``rows`` x ``columns`` cells with their periphery; rows are outputs, columns inputs.

    seed, layer, tile: name the array to the random numbers; layer and tile also stand in the activity log.
    place: of the tile's first row and column in the layer's matrix.
    path: "numba" (compiled, on the CPU) or "torch" (the specification; any device).
    log:  receives one row per vector and phase, and rows of what was done besides; None: nothing is written.
    exact_reads: the weights are digital, and read exactly whatever the periphery.
    Attributes: forward_lines, backward_lines; weight, the parameter that torch trains, or None if the tile learns by
    pulses; clipped, which outputs (vectors, rows) of the last `forward` stood at the converters' bound, where the
    input range is to manage that (else None).
    """

    clipped: Tensor | None = None
    average: Tensor
    weight: torch.nn.Parameter | None

    def __init__(
        self,
        rows: int,
        columns: int,
        config: LayerConfig,
        *,
        seed: int = 0,
        layer: int = 0,
        tile: int = 0,
        place: tuple[int, int] = (0, 0),
        path: str = "numba",
        log: ActivityLog | None = None,
        exact_reads: bool = False,
    ) -> None:
        super().__init__()
        if path not in PATHS:
            raise InputError(f"path: {path!r} was given; accepted are {', '.join(PATHS)}")
        self.rows, self.columns, self.place, self.path, self.log = rows, columns, place, path, log
        exactly: dict[str, Any] = {"is_perfect": True} if exact_reads else {}
        self._forward_io = replace(config.forward, **exactly)
        managed = config.input_range is not None and config.input_range.manage_output_clipping
        self._manages_clipping = managed and not self._forward_io.is_perfect and self._forward_io.out_bound > 0.0
        self._backward_io = replace(config.backward, bound_management=BoundManagement.NONE, **exactly)
        self._name(seed, layer, tile)
        self._counters = {"forward": 0, "backward": 0}
        self.register_parameter("weight", None)
        self.register_buffer("average", torch.full((1,), float("nan")))

    @property
    @abstractmethod
    def weights(self) -> Tensor:
        """The weights (rows, columns) that a multiplication sees, not a copy."""

    def set_weights(self, weights: Tensor) -> None:
        """Write weights (rows, columns), limited to each cell's bounds (a stuck cell keeps its value)."""
        if weights.shape != (self.rows, self.columns):
            shape = tuple(weights.shape)
            raise InputError(
                f"layer {self.layer}: weights of shape {shape} were given; accepted is {(self.rows, self.columns)}"
            )
        self._set_weights(weights)

    @abstractmethod
    def _set_weights(self, weights: Tensor) -> None:
        """`set_weights` with weights of the right shape."""

    def get_weights(self) -> Tensor:
        """A copy of the stored weights (rows, columns)."""
        return self.weights.clone()

    @property
    def path_now(self) -> str:
        """The compiled path needs the CPU."""
        return self.path if self.weights.is_cpu else "torch"

    def forward(self, x: Tensor, step: Step = ALONE) -> Tensor:
        """Multiply vectors: x (vectors, columns) -> y (vectors, rows)."""
        x, weights = self._vectors("x", x, self.columns), self.weights
        done = multiply(
            weights,
            x,
            self._forward_io,
            self.forward_lines,
            self._forward_stream,
            self._counters["forward"],
            self._buffers["average"],
            self.path if weights.is_cpu else "torch",
        )
        self._counters["forward"] += x.shape[0]
        self._write(Phase.FORWARD, done, step, active_columns=done.active, active_rows=self.rows)
        if self._manages_clipping:
            at_bound = self._forward_io.out_bound * abs(self._forward_io.out_scale) * _ALMOST
            self.clipped = done.y.abs() >= at_bound
        return done.y

    def backward(self, d: Tensor, step: Step = ALONE) -> Tensor:
        """Multiply errors by the transposed array: d (vectors, rows) -> (vectors, columns). No bound management."""
        d, weights = self._vectors("d", d, self.rows), self.weights
        done = multiply(
            weights.t(),
            d,
            self._backward_io,
            self.backward_lines,
            self._backward_stream,
            self._counters["backward"],
            self._buffers["average"],
            self.path if weights.is_cpu else "torch",
        )
        self._counters["backward"] += d.shape[0]
        self._write(Phase.BACKWARD, done, step, active_rows=done.active, active_columns=self.columns)
        return done.y

    def update(self, x: Tensor, d: Tensor, learning_rate: float, operations: int = 0) -> None:
        """Learn from pairs in order, if the tile learns by pulses; shapes as for `forward` and `backward`."""

    def gradient(self, x: Tensor, d: Tensor) -> Tensor:
        """That of ``weight`` (rows, columns), if torch trains it; shapes as for `forward` and `backward`."""
        return product(d.t(), x.t())

    def end_mini_batch(self) -> None:
        """What happens once per mini-batch whether or not there was an update."""

    @property
    def volatile(self) -> bool:
        """Whether time alone moves its weights."""
        return False

    def elapse(self, seconds: float) -> None:
        """Let ``seconds`` pass: what the cells hold leaks away and drifts."""

    def _vectors(self, name: str, given: Tensor, lines: int) -> Tensor:
        """The vectors as the stages want them: (vectors, lines), contiguous float32."""
        if given.dim() != 2 or given.shape[1] != lines:
            shape = tuple(given.shape)
            raise InputError(f"layer {self.layer}: {name} of shape {shape} was given; accepted is (vectors, {lines})")
        if given.dtype is torch.float32 and not given.requires_grad and given.is_contiguous():
            return given
        return given.detach().to(torch.float32).contiguous()

    def _write(self, phase: Phase, done: Product, step: Step, **active: Any) -> None:
        if self.log is not None:
            vectors = len(done.passes)
            self.log.append(
                vectors,
                layer=self.layer,
                tile=self.tile,
                phase=phase,
                vector=np.arange(step.number, vectors * step.steps, step.steps, dtype=np.int32),
                passes=done.passes,
                **active,
            )

    def get_extra_state(self) -> dict[str, Any]:
        """The counters and the name, which travel with `state_dict`."""
        return {"counters": dict(self._counters), "stream": self._stream}

    def set_extra_state(self, state: dict[str, Any]) -> None:
        self._counters = dict(state["counters"])
        if tuple(state["stream"]) != self._stream:
            self._name(*state["stream"])

    def _name(self, seed: int, layer: int, tile: int) -> None:
        """Take a name, and draw the lines that belong to it."""
        self._stream, self.layer, self.tile = (seed, layer, tile), layer, tile
        self._forward_stream = (*self._stream, int(Phase.FORWARD))
        self._backward_stream = (*self._stream, int(Phase.BACKWARD))
        self.forward_lines = Lines.sample(self._forward_io, self.rows, self.columns, self._forward_stream)
        self.backward_lines = Lines.sample(self._backward_io, self.columns, self.rows, self._backward_stream)


class AnalogTile(Tile):
    """A tile whose cells learn in place; parameters as for `Tile`. Attributes: config; cell (the devices and how they
    learn); history: a list in which the arguments of updates are noted, for who wants to repeat them, or None."""

    def __init__(self, rows: int, columns: int, config: AnalogConfig, **options: Any) -> None:
        super().__init__(rows, columns, config, exact_reads=config.device.perfect_reads, **options)
        self.config = config
        self.cell = config.cell.build(Site(rows, columns, config.device, config.update, self._stream, self.path))
        self.__dict__["cell"] = self.cell  # found without the detour that torch makes for submodules
        self._counters["refreshed"] = 0
        self.history: list[tuple[Tensor, Tensor, float, int]] | None = None

    @property
    def weights(self) -> Tensor:
        """The visible weights (rows, columns), not a copy."""
        return self.cell.weights

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

    def update(self, x: Tensor, d: Tensor, learning_rate: float, operations: int = 0) -> None:
        """Learn from pairs in order: W <- W - learning_rate d x^T, the way of the cell; shapes as for `forward` and
        `backward`. The pairs are one mini-batch. operations: digital ones that were done for each before."""
        x, d = self._vectors("x", x, self.columns), self._vectors("d", d, self.rows)
        if x.shape[0] != d.shape[0]:
            raise InputError(
                f"layer {self.layer}: {x.shape[0]} vectors x and {d.shape[0]} vectors d were given; accepted are pairs"
            )
        if self.history is not None:
            self.history.append((x, d, learning_rate, operations))
        try:
            done = self.cell.update(x, d, learning_rate)
        except InputError as error:
            raise InputError(f"layer {self.layer}: {error}") from None
        if self.log is not None:
            counts = done.update
            self.log.append(
                x.shape[0],
                layer=self.layer,
                tile=self.tile,
                phase=Phase.UPDATE,
                vector=np.arange(x.shape[0], dtype=np.int32),
                slots=counts.slots,
                coincidences_up=counts.coincidences_up,
                coincidences_down=counts.coincidences_down,
                active_rows=counts.active_rows,
                active_columns=counts.active_columns,
                row_pulses=counts.row_pulses,
                column_pulses=counts.column_pulses,
                digital_ops=done.digital_ops + operations,
            )
            if len(done.extra):
                self.log.append(len(done.extra), layer=self.layer, tile=self.tile, **done.extra.columns())

    def end_mini_batch(self) -> None:
        """What happens once per mini-batch whether or not there was an update: diffusion, then decay."""
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
        """Bring back what the mean cell has lost in ``seconds``: read column by column, and write the difference."""
        assert self.can_refresh and isinstance(self.array.device, PulsedDevice), "nothing that leaks"
        reader = Reader(self._backward_io, self.rows, self.columns, (*self._stream, Name.READ), by_columns=True)
        columns, before = list(range(self.columns)), self.weights.clone()
        seen = reader.read(self.weights, columns, self._counters["refreshed"], self.path_now)
        self._counters["refreshed"] += self.columns
        missing = seen * math.expm1(seconds / self.array.device.retention)
        # No column touches another's cells, so all are read before the first is written.
        counts = self.array.pulse(reader.one_hot(columns, missing.device), missing, -1.0, UpdateParameters())
        done = Extra()
        for column in columns:
            writes = changed(before[:, column], self.weights[:, column])
            pulsed: dict[str, Any] = {"counts": counts, "entry": column, "phase": Phase.MAINTENANCE}
            done.add(BEFORE, passes=1, writes=writes, digital_ops=2 * self.rows, **pulsed)
        if self.log is not None:
            self.log.append(len(done), layer=self.layer, tile=self.tile, **done.columns())
