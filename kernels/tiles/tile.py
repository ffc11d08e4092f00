"""Tiles: cross-points with their periphery on both sides, the unit that a chip is made of.

The same cells multiply forwards (y = W x) and backwards (z = W^T d). Those of an `AnalogTile` also learn in place from
pulses on rows and columns; how, and from how many devices, is the unit cell's affair (`rpusim.kernels.cells`).
A tile counts the vectors of each kind that it has seen; these counters and its name (seed, layer, tile) fix all its
random numbers, so that a tile restored from its state continues bit for bit. What it did it writes to an activity log.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass, field, replace
from typing import Any, NamedTuple

import numpy as np
import torch

from rpusim.arch.contract import checks
from rpusim.arch.contract.activity import ActivityLog, Phase
from rpusim.arch.contract.digital_work import NOTHING, Work
from rpusim.errors import InputError
from rpusim.kernels.base.paths import checked_path, path_at
from rpusim.kernels.mvm.input_range import InputRange
from rpusim.kernels.mvm.multiply import BoundManagement, IOParameters, Lines, NoiseManagement, Product, multiply
from rpusim.kernels.mvm.periphery import product
from rpusim.kernels.mvm.slices import SlicedCells
from rpusim.kernels.mvm.whole.multiplier import Multiplier

Tensor = torch.Tensor
_ALMOST = 1.0 - 1e-6  # of the converters' bound counts as the bound


class Step(NamedTuple):
    """Place the vectors of a call, one of every sample, in a sequence that is fed to the tile step by step.

    number:  which step they are, from 0.
    steps:   how many steps the sequence has.
    """

    number: int
    steps: int


ALONE = Step(0, 1)
"""No sequence: the vectors of a call are all there are."""


@dataclass(frozen=True, kw_only=True)
class LayerConfig(ABC):
    """Configure the periphery of a layer's arrays, and how its weights lie on them.

    forward, backward:  periphery in the two directions; bound management is always off in backward.
    analog_bias:        keep the bias as a last column of the array, fed with 1; else it is digital, and trained so.
    max_rows, max_columns:      the largest tile; a larger layer is cut into balanced blocks. None: no limit.
    weight_scaling_omega:       if > 0, weights are stored divided by s = max|W| / omega, and s is applied digitally.
    weight_scaling_columnwise:  an s of its own for every output (a column of the array as chips are drawn).
    learn_out_scaling:          a digital factor of the outputs, 1 at first and learned.
    out_scaling_columnwise:     such a factor for every output.
    input_range:                inputs are clipped to a range, which may be learned, and divided by it; the bias has to
                                be digital. None: the converters' range is fixed.

    InputError: a field is out of its range, or two exclude each other. Names are those of AIHWKit (Rasch et al. 2021).
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
        self._check_slices()
        for name in ("analog_bias", "weight_scaling_columnwise", "learn_out_scaling", "out_scaling_columnwise"):
            checks.flag(name, getattr(self, name))
        for name in ("max_rows", "max_columns"):
            if getattr(self, name) is not None:
                checks.integer(name, getattr(self, name), low=1)
        checks.number("weight_scaling_omega", self.weight_scaling_omega, low=0.0)
        if self.input_range is not None:
            checks.instance("input_range", self.input_range, InputRange)
            if self.input_range.manage_output_clipping and self.forward.in_conversions:
                raise InputError(
                    "manage_output_clipping: True was given with a periphery that converts bits or slices one by one; "
                    "accepted is False, as no output stands at the converters' bound as a whole"
                )
            if self.analog_bias:
                raise InputError("input_range: it was given with analog_bias=True; accepted is a digital bias, False")
            managed = (self.forward.noise_management, self.forward.bound_management)
            if self.input_range.manage_output_clipping and managed != (NoiseManagement.NONE, BoundManagement.NONE):
                raise InputError(
                    f"manage_output_clipping: True was given with noise_management {managed[0].value!r} and "
                    f"bound_management {managed[1].value!r}; accepted are 'none' and 'none' of the forward periphery"
                )

    def _check_slices(self) -> None:
        """Refuse slices that the arrays cannot have; by default those that are read backwards."""
        if self.backward.slices is not None and not self.backward.is_perfect:
            raise InputError("backward.slices: slices were given; accepted is None, as slices are read forwards only")

    @abstractmethod
    def tile(self, rows: int, columns: int, **options: Any) -> Tile:
        """Make a tile of this kind, with ``rows`` outputs and ``columns`` inputs; options as for `Tile`."""


class Tile(torch.nn.Module, ABC):
    """Multiply vectors by the cells of one array, through its periphery.

    rows, columns:  size of the array; rows are outputs, columns inputs.
    config:         the periphery, see `LayerConfig`.
    seed, layer, tile:  name of the array for random numbers; layer and tile also stand in the activity log.
    place:          of the tile's first row and column in the layer's matrix.
    path:           how numbers are computed, see `rpusim.kernels.base.paths`.
    log:            receives one row per vector and phase, and rows of what was done besides; None: nothing is written.
    exact_reads:    whether the weights are digital, and read exactly whatever the periphery.

    Attributes:
    forward_lines, backward_lines:  what differs between the lines of the periphery in the two directions.
    weight:   the parameter that torch trains; None if the tile learns by pulses.
    clipped:  which outputs (vectors, rows) of the last `forward` stood at the converters' bound, where the input range
              is to manage that; else None.
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
        self.rows, self.columns, self.place, self.path, self.log = rows, columns, place, checked_path(path), log
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
        """Write weights (rows, columns), limited to each cell's bounds; a stuck cell keeps its value.

        InputError: the shape is another one.
        """
        if weights.shape != (self.rows, self.columns):
            shape = tuple(weights.shape)
            raise InputError(
                f"layer {self.layer}: weights of shape {shape} were given; accepted is {(self.rows, self.columns)}"
            )
        self._set_weights(weights)

    def set_mapping(self, scale: Tensor) -> None:
        """Take the layer's mapping scale of every row (rows,), if the tile's own parameter is in the layer's units."""

    @abstractmethod
    def _set_weights(self, weights: Tensor) -> None:
        """Write weights that have the right shape."""

    def get_weights(self) -> Tensor:
        """Copy the stored weights (rows, columns)."""
        return self.weights.clone()

    @property
    def sliced_cells(self) -> SlicedCells | None:
        """What the cells of sliced weights hold; None: exactly what the weights are cut into, or nothing is cut."""
        return None

    @property
    def path_now(self) -> str:
        """The path that multiplications take where the weights lie now, see `rpusim.kernels.base.paths`."""
        return path_at(self.path, self.weights)

    def forward(self, x: Tensor, step: Step = ALONE, phase: Phase = Phase.FORWARD) -> Tensor:
        """Multiply vectors: x (vectors, columns) -> y (vectors, rows), through the forward periphery.

        step: which step of a sequence the vectors are. phase: for the log; BACKWARD where the weights are used
        transposed and x are errors. InputError: x has another shape.
        """
        x, weights, first = self._vectors("x", x, self.columns), self.weights, self._counters["forward"]
        if self._prepared[0] is not None and self.path == "numba" and weights.is_cpu:
            done = self._prepared[0](weights, x, first)
        else:
            of_side = self._forward_io, self.forward_lines, self._forward_stream, first, self._buffers["average"]
            done = multiply(weights, x, *of_side, path_at(self.path, weights), cells=self.sliced_cells)
        self._counters["forward"] += x.shape[0]
        self._write(phase, done, step, active_columns=done.active, active_rows=self.rows)
        if self._manages_clipping:
            self.clipped = self._at_bound(done.y)
        return done.y

    def _at_bound(self, y: Tensor) -> Tensor:
        """Tell which outputs (vectors, rows) of a multiplication stand at the converters' bound."""
        return y.abs() >= self._forward_io.out_bound * abs(self._forward_io.out_scale) * _ALMOST

    def backward(self, d: Tensor, step: Step = ALONE, phase: Phase = Phase.BACKWARD) -> Tensor:
        """Multiply errors by the transposed array: d (vectors, rows) -> (vectors, columns), without bound management.

        step: which step of a sequence the vectors are. phase: for the log; FORWARD where the weights are used
        transposed and d are no errors. InputError: d has another shape.
        """
        d, weights, first = self._vectors("d", d, self.rows), self.weights, self._counters["backward"]
        if self._prepared[1] is not None and self.path == "numba" and weights.is_cpu:
            done = self._prepared[1](weights.t(), d, first)
        else:
            cells = self.sliced_cells
            turned = None if cells is None or self._backward_io.slices is None else cells.turned
            of_side = self._backward_io, self.backward_lines, self._backward_stream, first, self._buffers["average"]
            path = path_at(self.path, weights)
            done = multiply(weights.t(), d, *of_side, path, backward=True, cells=turned)
        self._counters["backward"] += d.shape[0]
        self._write(phase, done, step, active_rows=done.active, active_columns=self.columns)
        return done.y

    def update(self, x: Tensor, d: Tensor, learning_rate: float, work: Work = NOTHING) -> None:
        """Learn from pairs in order, if the tile learns by pulses; see `rpusim.kernels.tiles.analog.AnalogTile`."""

    def gradient(self, x: Tensor, d: Tensor) -> Tensor:
        """Sum up the gradient d x^T of pairs x (vectors, columns), d (vectors, rows): (rows, columns)."""
        return product(d.t(), x.t())

    def end_mini_batch(self) -> None:
        """Do what happens once per mini-batch whether or not there was an update."""

    @property
    def volatile(self) -> bool:
        """Whether time alone moves its weights."""
        return False

    def elapse(self, seconds: float) -> None:
        """Let ``seconds`` pass: what the cells hold leaks away and drifts."""

    def _vectors(self, name: str, given: Tensor, lines: int) -> Tensor:
        """Bring vectors into the form that the stages want: (vectors, lines), contiguous float32."""
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
                set_bits=0 if done.set_bits is None else done.set_bits,
                **active,
            )

    @property
    def forward_io(self) -> IOParameters:
        """The periphery that multiplications go through forwards."""
        return self._forward_io

    def read_through(self, io: IOParameters) -> None:
        """Multiply forwards through another periphery from now on, with the lines that the tile's name draws for it."""
        self._forward_io = io
        self._named_anew(self._stream)

    def begin_anew(self, seed: int) -> None:
        """Draw lines and noise of another seed from now on, as if the tile had not been used yet."""
        self._counters = dict.fromkeys(self._counters, 0)
        self._named_anew((seed, *self._stream[1:]))

    def _numbers(self) -> tuple[int, int]:
        return self.layer, self.tile

    def _named_anew(self, stream: tuple[int, int, int]) -> None:
        """Take a name for random numbers; the log goes on to know the tile by its number on the chip."""
        numbers = self._numbers()
        self._name(*stream)
        self.layer, self.tile = numbers

    def get_extra_state(self) -> dict[str, Any]:
        """Give the counters and the name, which travel with `state_dict`."""
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
        forward, backward = self._forward_io, self._backward_io
        self._prepared = (
            Multiplier(forward, self.forward_lines, self._forward_stream) if Multiplier.fits(forward) else None,
            Multiplier(backward, self.backward_lines, self._backward_stream, True)
            if Multiplier.fits(backward)
            else None,
        )
