"""Layers and tiles as rows of tables for the step's loop: sizes, addresses of their tensors, and what they ask for."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from rpusim.arch.contract.activity import ActivityLog
from rpusim.kernels.base import rng
from rpusim.kernels.base.rng import Purpose
from rpusim.kernels.cells.single import SingleCell
from rpusim.kernels.devices import ExactDevice, PulsedDevice
from rpusim.kernels.devices.variation import parameters_per_step
from rpusim.kernels.layers import patches
from rpusim.kernels.layers.base import AnalogLayer
from rpusim.kernels.layers.convolution import AnalogConvolution
from rpusim.kernels.layers.linear import AnalogLinear
from rpusim.kernels.layers.patches import Window
from rpusim.kernels.mvm import compiled as reads
from rpusim.kernels.pulses import compiled, merged
from rpusim.kernels.pulses.trains import Execution, PulseType
from rpusim.kernels.step import loop
from rpusim.kernels.step.loop import Kind
from rpusim.kernels.step.program import Layer, Unsuitable
from rpusim.kernels.tiles.analog import AnalogTile

Tensor = torch.Tensor
Convolution = nn.Conv1d | nn.Conv2d | nn.Conv3d


@dataclass(frozen=True)
class Placed:
    """A weight layer of the program, with what it is made of.

    module:    an analog layer, or a torch layer that computes in floating point.
    window:    of a convolution; None: linear.
    image:     (channels, sizes...) of what it reads, of a convolution.
    layer:     what the program needs to know.
    """

    module: Any
    window: Window | None
    image: tuple[int, ...]
    layer: Layer

    @staticmethod
    def of(module: nn.Module, source: Sequence[int], positions: int) -> Placed:
        """Describe a module that reads samples of the shape ``source`` and makes ``positions`` vectors of each.

        Raises Unsuitable if the step cannot compute it.
        """
        window = _window(module)
        if isinstance(module, AnalogLayer):
            _check(module)
            columns, rows, bias = module.columns, module.rows, module.bias_column
        elif isinstance(module, nn.Linear | Convolution):
            if not all(each.requires_grad for each in module.parameters()):
                raise Unsuitable("a layer that is frozen")
            rows, columns, bias = module.weight.shape[0], module.weight[0].numel(), False
        else:
            raise Unsuitable(f"a {type(module).__name__}")
        return Placed(
            module, window, tuple(source), Layer(positions, columns, rows, window is not None or bias, window is not None)
        )

    @property
    def tiles(self) -> list[AnalogTile]:
        """The tiles of an analog layer; none of a torch layer."""
        return self.module._grid if isinstance(self.module, AnalogLayer) else []


def _window(module: nn.Module) -> Window | None:
    """Find the window of a convolution whose padding is zeros, and the same at both ends; None: it is none."""
    if isinstance(module, AnalogConvolution):
        if module._frame or module.groups > 1:
            raise Unsuitable("a convolution in groups, or padded with other than zeros")
        return module._window
    if not isinstance(module, Convolution):
        return None
    if module.groups > 1 or module.padding_mode != "zeros" or isinstance(module.padding, str):
        raise Unsuitable("a convolution in groups, or padded with other than zeros")
    return Window(module.kernel_size, module.stride, module.padding, module.dilation)


def _check(layer: AnalogLayer) -> None:
    """Raise Unsuitable for what the step does not compute of an analog layer."""
    if not isinstance(layer, AnalogLinear | AnalogConvolution):
        raise Unsuitable(f"a {type(layer).__name__}")
    if layer.out_scale is not None or layer.input_range is not None:
        raise Unsuitable("factors of inputs or outputs that are learned")
    if not all(part.requires_grad for part in layer.parameters()) or not layer.learns:
        raise Unsuitable("a layer that is frozen, or whose weights torch trains")
    if layer.log is not None and type(layer.log) is not ActivityLog:
        raise Unsuitable("a weight that is used more than once")
    for tile in layer._grid:
        if not isinstance(tile, AnalogTile) or tile.path_now != "numba" or tile.history is not None:
            raise Unsuitable("tiles that are not computed in compiled loops")
        for io in (tile._forward_io, tile._backward_io):
            if not (io.is_perfect or reads.simple(io)):
                raise Unsuitable("a periphery that is not computed in one compiled pass")


@dataclass
class Rows:
    """Tables of all layers, in the order of the program.

    kinds: of the devices, as they are numbered in the tiles' column KIND. whole: whether all tiles learn in the loop.
    kept: arrays whose addresses stand in the tables.
    """

    placed: Sequence[Placed]
    kinds: list[Kind] = field(default_factory=list)
    whole: bool = True
    kept: list[Any] = field(default_factory=list)

    def __post_init__(self) -> None:
        number = sum(max(1, len(each.tiles)) for each in self.placed)
        self.layers = np.zeros((len(self.placed), loop.LAYER_COLUMNS), np.int64)
        self.tiles = np.zeros((number, loop.TILE_COLUMNS), np.int64)
        self.tiles[:, [loop.FORWARD_ROW, loop.BACKWARD_ROW, loop.UPDATE_ROW]] = -1
        self.numbers = np.zeros((2, number, 10), np.float32)
        self.scales = np.zeros((number, loop.TILE_NUMBERS), np.float64)
        self.keys = np.zeros((number, loop.KEYS), np.uint64)
        first = 0
        for each, row in zip(self.placed, self.layers, strict=True):
            self._layer(each, row, first)
            for index, tile in enumerate(each.tiles, first):
                self._tile(tile, index)
            first += max(1, len(each.tiles))
        if len(self.kinds) > loop.KINDS:
            raise Unsuitable(f"devices of more than {loop.KINDS} kinds")

    def _layer(self, each: Placed, row: NDArray[np.int64], first: int) -> None:
        layer, module = each.layer, each.module
        row[[loop.FIRST_TILE, loop.ROW_BLOCKS, loop.COLUMN_BLOCKS]] = first, 1, 1
        row[[loop.ROWS, loop.COLUMNS, loop.POSITIONS]] = layer.rows, layer.columns, layer.positions
        if isinstance(module, AnalogLayer):
            row[[loop.ROW_BLOCKS, loop.COLUMN_BLOCKS]] = len(module.row_splits), len(module.column_splits)
            row[loop.BIAS_COLUMN] = module.bias_column
            row[loop.SCALES] = module.scale.numel()
        else:
            tile = self.tiles[first]
            tile[[loop.TALL, loop.WIDE, loop.STRIDE]] = layer.rows, layer.columns, 0
            tile[loop.KIND] = loop.EXACT
            tile[[loop.PERIPHERY + loop.PERFECT, loop.PERIPHERY + loop.SIDE + loop.PERFECT]] = 1
            self.numbers[:, first, reads.OUT_SCALE] = 1.0
        if each.window is not None:
            starts, offsets = patches._places(each.window, *each.image)
            self.kept += [starts, offsets]
            row[[loop.CHANNELS, loop.IS_WINDOW]] = each.image[0], 1
            row[[loop.DEPTH, loop.HEIGHT, loop.WIDTH]] = patches._three(each.image[1:], 1)
            row[[loop.FRONT, loop.TOP, loop.LEFT]] = patches._three(each.window.padding, 0)
            row[[loop.STARTS, loop.OFFSETS, loop.PLACES]] = starts.ctypes.data, offsets.ctypes.data, len(offsets)

    def _tile(self, tile: AnalogTile, index: int) -> None:
        row, keys = self.tiles[index], self.keys[index]
        row[[loop.NUMBER_OF_LAYER, loop.NUMBER, loop.TALL, loop.WIDE]] = tile.layer, tile.tile, tile.rows, tile.columns
        sides = (tile._forward_io, tile._forward_stream), (tile._backward_io, tile._backward_stream)
        for side, (io, stream) in enumerate(sides):
            asked, constants = loop.PERIPHERY + side * loop.SIDE, reads.constants_of(io)
            flags = io.is_perfect, *constants.first_flags, *constants.last_flags
            row[asked : asked + len(flags)] = flags
            self.numbers[side, index] = constants.numbers
            self.scales[index, loop.LAST_REDUCTION + side] = constants.last_reduction
            keys[4 * side : 4 * side + 4] = reads.keys_of(stream)
        self._pulses(tile, row, self.scales[index], keys)

    def _pulses(
        self, tile: AnalogTile, row: NDArray[np.int64], scales: NDArray[np.float64], keys: NDArray[np.uint64]
    ) -> None:
        update, row[loop.KIND] = tile.config.update, loop.ELSEWHERE
        if not isinstance(tile.cell, SingleCell):
            self.whole = False
            return
        array, device = tile.array, tile.array.device
        row[loop.STRIDE] = array.cells.pulse[0].numel()
        keys[loop.REDRAW_KEY] = rng.key(*array.stream, Purpose.WRITE_NOISE)
        keys[loop.DIFFUSION_KEY] = rng.key(*array.stream, Purpose.DIFFUSION)
        if isinstance(device, ExactDevice) or update.pulse_type is PulseType.NONE:
            row[loop.KIND] = loop.EXACT
        elif isinstance(device, PulsedDevice) and update.pulse_type.random:
            merging = update.execution is Execution.MERGED and merged.covers(device)
            kind = Kind(device.step, parameters_per_step(array.cells.pulse), False, merging)
            if kind not in self.kinds:
                self.kinds.append(kind)
            row[loop.KIND] = self.kinds.index(kind)
            row[[loop.LIMIT, loop.ALONE]] = compiled.chunking(merging, device, max(tile.rows, tile.columns))
            rule = update.rule
            row[[loop.BL, loop.MANAGED, loop.BL_MANAGED, loop.FIXED_BL]] = rule[:4]
            row[[loop.ROUNDED, loop.SEPARATE]] = update.sto_round, update.pulse_type is PulseType.STOCHASTIC
            scales[[loop.SIGMA, loop.GRANULARITY, loop.GRAD_SCALE]] = device.dw_min_std, device.granularity, rule[4]
            scales[[loop.STEP_D, loop.STEP_X, loop.WRITE_NOISE]] = *update.steps, device.write_noise
            keys[loop.PULSE_KEYS : loop.REDRAW_KEY] = compiled.keys_of(array.stream, array.stream)
        else:
            self.whole = False

    def look_up(self) -> None:
        """Write where the tensors lie now, and how far the counters have come."""
        self._held: list[Any] = []
        for each, row in zip(self.placed, self.layers, strict=True):
            module = each.module
            bias = module.bias if not (isinstance(module, AnalogLayer) and module.bias_column) else None
            row[loop.DIGITAL_BIAS] = self._address(bias)
            if isinstance(module, AnalogLayer):
                row[loop.SCALE] = self._address(module.scale if module._scaled else None)
                for index, tile in enumerate(each.tiles, row[loop.FIRST_TILE]):
                    self._look_up(tile, self.tiles[index])
            else:
                tile_row = self.tiles[row[loop.FIRST_TILE]]
                tile_row[[loop.WEIGHTS, loop.STORED]] = self._address(module.weight)

    def _look_up(self, tile: AnalogTile, row: NDArray[np.int64]) -> None:
        row[loop.WEIGHTS] = self._address(tile.weights)
        for side, lines in enumerate((tile.forward_lines, tile.backward_lines)):
            noise = lines.noise
            if noise is None:
                noise = torch.from_numpy(reads.constants_of((tile._forward_io, tile._backward_io)[side]).noise)
            at = loop.PERIPHERY + side * loop.SIDE
            row[at + loop.NOISE], row[at + loop.NOISES] = self._address(noise), len(noise)
        row[loop.FORWARDS], row[loop.BACKWARDS] = tile._counters["forward"], tile._counters["backward"]
        if row[loop.KIND] == loop.ELSEWHERE:
            return
        array, counters = tile.array, tile.array.counters
        cells, before = array.cells, array.before
        row[[loop.STORED, loop.CELLS]] = self._address(array.stored), self._address(cells.pulse)
        row[loop.TAKEN] = self._address(array.taken)
        row[loop.BEFORE] = self._address(None if before is None else before.weights)
        row[loop.FIRED] = 0 if before is None else before.rows.ctypes.data
        row[loop.DIFFUSION], row[loop.DECAY] = self._address(cells.diffusion), self._address(cells.decay)
        row[loop.TARGET] = self._address(cells.target)
        row[[loop.UPDATES, loop.STEPS, loop.REDRAWS]] = counters["updates"], counters["steps"], counters["redraws"]

    def _address(self, tensor: Tensor | None) -> int:
        """Return where a tensor lies, which is kept until the next time; 0 for none."""
        if tensor is None:
            return 0
        tensor = tensor.detach()
        assert tensor.is_contiguous() and tensor.is_cpu, "numbers in a row, which loops can read"
        self._held.append(tensor)
        return tensor.data_ptr()

    def put_back(self, mini_batches: int) -> None:
        """Tell layers and tiles how far their counters have come. mini_batches: how many each layer was called for."""
        for each, row in zip(self.placed, self.layers, strict=True):
            if isinstance(each.module, AnalogLayer):
                each.module.calls += mini_batches
            for index, tile in enumerate(each.tiles, row[loop.FIRST_TILE]):
                of_tile = self.tiles[index]
                tile._counters["forward"] = int(of_tile[loop.FORWARDS])
                tile._counters["backward"] = int(of_tile[loop.BACKWARDS])
                if of_tile[loop.KIND] != loop.ELSEWHERE and self.whole:
                    counters = tile.array.counters
                    names = (("updates", loop.UPDATES), ("steps", loop.STEPS), ("redraws", loop.REDRAWS))
                    counters.update({name: int(of_tile[column]) for name, column in names})
