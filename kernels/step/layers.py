"""Layers and tiles as rows of tables for the step's loop: sizes, addresses of their tensors, and what they ask for."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from rpusim.arch.contract.activity import ActivityLog
from rpusim.kernels.arrays.array import DeviceArray
from rpusim.kernels.base import rng
from rpusim.kernels.base.loops import Integers
from rpusim.kernels.base.rng import Purpose
from rpusim.kernels.cells.single import SingleCell
from rpusim.kernels.cells.tiki_taka.chopped import ChoppedTransferCell
from rpusim.kernels.cells.tiki_taka.compiled import MERGED_SLOTS, covers
from rpusim.kernels.cells.tiki_taka.dynamic import DynamicTransferCell
from rpusim.kernels.cells.tiki_taka.transfer import TransferCell
from rpusim.kernels.devices import ExactDevice, PulsedDevice
from rpusim.kernels.devices.variation import parameters_per_step
from rpusim.kernels.layers import patches
from rpusim.kernels.layers.base import AnalogLayer
from rpusim.kernels.layers.convolution import AnalogConvolution
from rpusim.kernels.layers.linear import AnalogLinear
from rpusim.kernels.layers.patches import Window
from rpusim.kernels.mvm import wires
from rpusim.kernels.mvm.compiled import OUT_SCALE, constants_of, keys_of, simple
from rpusim.kernels.pulses.compiled import chunking, pulse_keys
from rpusim.kernels.pulses.execution import way_of
from rpusim.kernels.pulses.trains import Execution, PulseType, UpdateParameters
from rpusim.kernels.step import col
from rpusim.kernels.step.loop import Kinds
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
            module,
            window,
            tuple(source),
            Layer(positions, columns, rows, window is not None or bias, window is not None),
        )

    @property
    def tiles(self) -> list[AnalogTile]:
        """The tiles of an analog layer; none of a torch layer."""
        grid: list[Any] = self.module._grid if isinstance(self.module, AnalogLayer) else []
        return grid


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
            if not (io.is_perfect or simple(io)):
                raise Unsuitable("a periphery that is not computed in one compiled pass")


class Rows:
    """Tables of all layers, in the order of the program.

    placed: the layers.

    Attributes:
    kinds:  of the devices, as they are numbered in the arrays' column KIND.
    whole:  whether all tiles learn in the loop; if not, none does.
    """

    def __init__(self, placed: Sequence[Placed]) -> None:
        self.placed = placed
        tiles = sum(max(1, len(each.tiles)) for each in placed)
        arrays = sum(max(1, sum(len(tile.cell.arrays) for tile in each.tiles)) for each in placed)
        self.layers = np.zeros((len(placed), col.LAYER_COLUMNS), np.int64)
        self.tiles = np.zeros((tiles, col.TILE_COLUMNS), np.int64)
        self.numbers = np.zeros((2, tiles, 10), np.float32)
        self.tile_numbers = np.zeros((tiles, col.TILE_NUMBERS), np.float64)
        self.tile_keys = np.zeros((tiles, col.TILE_KEYS), np.uint64)
        self.arrays = np.zeros((arrays, col.ARRAY_COLUMNS), np.int64)
        self.array_numbers = np.zeros((arrays, col.ARRAY_NUMBERS), np.float64)
        self.array_keys = np.zeros((arrays, col.ARRAY_KEYS), np.uint64)
        self.transfers = np.zeros((tiles, col.TRANSFER_COLUMNS), np.int64)
        self.transfer_numbers = np.zeros((tiles, col.TRANSFER_NUMBERS), np.float64)
        self.transfer_keys = np.zeros((tiles, col.TRANSFER_KEYS), np.uint64)
        self._kinds: tuple[list[Any], list[Any], list[Any]] = [], [], []
        self._kept: list[Any] = []
        index, array = 0, 0
        for each, row in zip(placed, self.layers, strict=True):
            self._layer(each, row, index, array)
            for tile in each.tiles:
                self.tiles[index, col.FIRST_ARRAY] = array
                self._tile(tile, index)
                index, array = index + 1, array + len(tile.cell.arrays)
            if not each.tiles:
                index, array = index + 1, array + 1
        if any(len(kinds) > col.KINDS for kinds in self._kinds):
            raise Unsuitable(f"devices of more than {col.KINDS} kinds")
        self.whole = bool((self.tiles[:, col.CELL] != col.ELSEWHERE).all())
        self._cells = self.tiles[:, col.CELL].copy()

    @property
    def kinds(self) -> Kinds:
        """The devices that the loop has to know."""
        return Kinds(*map(tuple, self._kinds if self.whole else ([], [], [])))

    def learn(self, here: bool) -> None:
        """Say whether tiles learn in the loop."""
        self.tiles[:, col.CELL] = self._cells if here else col.ELSEWHERE

    def _layer(self, each: Placed, row: NDArray[np.int64], index: int, array: int) -> None:
        layer, module = each.layer, each.module
        row[[col.FIRST_TILE, col.ROW_BLOCKS, col.COLUMN_BLOCKS]] = index, 1, 1
        row[[col.ROWS, col.COLUMNS, col.POSITIONS]] = layer.rows, layer.columns, layer.positions
        if isinstance(module, AnalogLayer):
            row[[col.ROW_BLOCKS, col.COLUMN_BLOCKS]] = len(module.row_splits), len(module.column_splits)
            row[[col.BIAS_COLUMN, col.SCALES]] = module.bias_column, module.scale.numel() * module._scaled
        else:
            tile = self.tiles[index]
            tile[[col.TALL, col.WIDE, col.CELL, col.FIRST_ARRAY]] = (
                layer.rows,
                layer.columns,
                col.EXACT,
                array,
            )
            tile[[col.PERIPHERY + col.PERFECT, col.PERIPHERY + col.SIDE + col.PERFECT]] = 1
            self.numbers[:, index, OUT_SCALE] = 1.0
        if each.window is not None:
            starts, offsets = patches._places(each.window, *each.image)
            self._kept += [starts, offsets]
            row[[col.CHANNELS, col.IS_WINDOW]] = each.image[0], 1
            row[[col.DEPTH, col.HEIGHT, col.WIDTH]] = patches._three(each.image[1:], 1)
            row[[col.FRONT, col.TOP, col.LEFT]] = patches._three(each.window.padding, 0)
            row[[col.STARTS, col.OFFSETS, col.PLACES]] = starts.ctypes.data, offsets.ctypes.data, len(offsets)

    def _tile(self, tile: AnalogTile, index: int) -> None:
        row, keys = self.tiles[index], self.tile_keys[index]
        row[[col.NUMBER_OF_LAYER, col.NUMBER, col.TALL, col.WIDE]] = (
            tile.layer,
            tile.tile,
            tile.rows,
            tile.columns,
        )
        row[col.WRITES_ROWS] = tile.log is not None
        sides = (tile._forward_io, tile._forward_stream), (tile._backward_io, tile._backward_stream)
        for side, (io, stream) in enumerate(sides):
            asked, constants = col.PERIPHERY + side * col.SIDE, constants_of(io)
            flags = io.is_perfect, *constants.first_flags, *constants.last_flags
            row[asked : asked + len(flags)] = flags
            self.numbers[side, index] = constants.numbers
            self.tile_numbers[index, col.LAST_REDUCTION + side] = constants.last_reduction
            if io.wires is not None:
                inputs, outputs = (tile.rows, tile.columns) if side else (tile.columns, tile.rows)
                spread, reaching = wires.spread_of(io.wires, inputs), wires.arriving(io.wires, outputs)
                self._kept += [spread, reaching]
                self.tile_numbers[index, col.LOAD + side] = spread.load
                along = spread.gains, spread.share, reaching
                row[asked + col.GAINS : asked + col.REACHING + 1] = [each.ctypes.data for each in along]
            keys[4 * side : 4 * side + 4] = keys_of(stream)
        row[col.CELL] = self._cell(tile, index, int(row[col.FIRST_ARRAY]))

    def _cell(self, tile: AnalogTile, index: int, first: int) -> int:
        """Fill in the tables of a tile's arrays; returns how it learns."""
        cell, update = tile.cell, tile.config.update
        if isinstance(cell, SingleCell):
            device = tile.array.device
            self._array(tile.array, first)
            if isinstance(device, ExactDevice) or update.pulse_type is PulseType.NONE:
                return col.EXACT
            if isinstance(device, PulsedDevice) and update.pulse_type.random:
                merging = self._trains(tile.array, first, update, device.granularity)
                self.arrays[first, col.KIND] = self._kind(0, (device.step, _parameters(tile.array), merging))
                return col.PULSED
        if isinstance(cell, TransferCell) and _transfers_here(cell):
            fast, slow = cell._arrays
            for number, array in enumerate((fast, slow), first):
                self._array(array, number)
            merging = self._trains(fast, first, update, cell.granularity, MERGED_SLOTS)
            self.arrays[first, col.KIND] = self._kind(1, (fast.device.step, _parameters(fast), merging))
            self.arrays[first + 1, col.KIND] = self._kind(2, (slow.device.step, _parameters(slow)))
            self.array_numbers[first, [col.RATE_FACTOR, col.OWN_RATE]] = _fast_rate(cell)
            self._transfer(cell, index)
            return col.TRANSFERRED
        return col.ELSEWHERE

    def _kind(self, way: int, kind: Any) -> int:
        if kind not in self._kinds[way]:
            self._kinds[way].append(kind)
        return self._kinds[way].index(kind)

    def _array(self, array: DeviceArray, number: int) -> None:
        """Fill in what every array has."""
        row, numbers, keys = self.arrays[number], self.array_numbers[number], self.array_keys[number]
        row[col.CELL_NUMBERS] = array.cells.pulse[0].numel()
        keys[col.PULSE_KEYS : col.REDRAW_KEY] = pulse_keys(array.stream, array.stream)
        keys[col.REDRAW_KEY] = rng.key(*array.stream, Purpose.WRITE_NOISE)
        keys[col.DIFFUSION_KEY] = rng.key(*array.stream, Purpose.DIFFUSION)
        keys[col.PART_KEYS :] = [
            rng.key(*array.stream, Purpose.MERGED_NOISE, part) for part in range(1, col.ARRAY_KEYS - col.PART_KEYS + 1)
        ]
        if isinstance(array.device, PulsedDevice):
            numbers[[col.SIGMA, col.WRITE_NOISE]] = array.device.dw_min_std, array.device.write_noise

    def _trains(
        self, array: DeviceArray, number: int, update: UpdateParameters, granularity: float, *most: int
    ) -> bool:
        """Fill in how an array takes the pulses of an update; returns whether they are merged."""
        row, numbers, device = self.arrays[number], self.array_numbers[number], array.device
        assert isinstance(device, PulsedDevice)
        way = way_of(device, update)
        merging = way is not None and way.execution is Execution.MERGED
        row[[col.LIMIT, col.ALONE]] = chunking(merging, device, max(array.weights.shape), *most)
        row[[col.BL, col.MANAGED, col.BL_MANAGED, col.FIXED_BL]] = update.rule[:4]
        row[[col.ROUNDED, col.SEPARATE]] = update.sto_round, update.pulse_type is PulseType.STOCHASTIC
        numbers[[col.GRANULARITY, col.GRAD_SCALE, col.STEP_D, col.STEP_X]] = (
            granularity,
            update.rule[4],
            *update.steps,
        )
        return merging

    def _transfer(self, cell: TransferCell, index: int) -> None:
        """Fill in what comes between the arrays of a transfer cell."""
        row, numbers, keys = self.transfers[index], self.transfer_numbers[index], self.transfer_keys[index]
        reading, how, write = cell.readers[0].reading, cell.collecting, cell.transfer_update
        row[col.SLICES] = cell.slices
        row[col.ADDS : col.RANDOMS + 1] = how[:5]
        row[[col.BUFFERED, col.KEPT, col.FORGET, col.REFERRED]] = (
            how.buffered,
            how.kept,
            how.forget,
            how.referred,
        )
        row[col.SLOW_BL : col.SLOW_FIXED_BL + 1] = write.rule[:4]
        numbers[col.LEVEL : col.READ_SCALE + 1] = (
            reading.level,
            reading.step,
            reading.bound,
            reading.sigma,
            reading.scale,
        )
        keys[col.READ_KEY] = reading.key
        if len(reading.levels):
            self._kept += [reading.levels, reading.share]
            row[[col.LEVELS, col.LEVEL_SHARE]] = reading.levels.ctypes.data, reading.share.ctypes.data
        numbers[col.RATE : col.NEW + 1] = (
            *(how.rate, how.threshold, how.most, how.momentum, how.spent, how.limit, how.old, how.new),
        )
        numbers[[col.SLOW_GRANULARITY, col.SLOW_GRAD_SCALE]] = cell._arrays[1].device.granularity, write.rule[4]
        numbers[[col.OF_FAST, col.OF_SLOW]] = cell.gamma
        if isinstance(cell, ChoppedTransferCell):
            row[col.FLIPS_EVERY], (numbers[col.CHANCE], numbers[col.ROW_CHANCE]), chops = cell.chopping
            keys[[col.CHOP_KEY, col.ROW_CHOP_KEY]] = chops
            if cell.c.auto_scale:
                scaled = cell.c.fast_lr * cell.site.update.desired_bl * cell._arrays[0].device.granularity
                numbers[[col.SHARE, col.SCALED_RATE]] = 1.0 - cell.c.auto_momentum, scaled

    def look_up(self) -> None:
        """Write where the tensors lie now, and how far the counters have come."""
        self._held: list[Any] = []
        for each, row in zip(self.placed, self.layers, strict=True):
            module, first = each.module, int(row[col.FIRST_TILE])
            bias = module.bias if not (isinstance(module, AnalogLayer) and module.bias_column) else None
            row[col.DIGITAL_BIAS] = self._address(bias)
            if isinstance(module, AnalogLayer):
                row[col.SCALE] = self._address(module.scale if module._scaled else None)
                for index, tile in enumerate(each.tiles, first):
                    self._look_up(tile, index)
            else:
                address = self._address(module.weight)
                self.tiles[first, col.WEIGHTS] = self.arrays[self.tiles[first, col.FIRST_ARRAY], col.STORED] = address

    def _look_up(self, tile: AnalogTile, index: int) -> None:
        row = self.tiles[index]
        row[col.WEIGHTS] = self._address(tile.weights)
        for side, (io, lines) in enumerate(
            ((tile._forward_io, tile.forward_lines), (tile._backward_io, tile.backward_lines))
        ):
            noise = torch.from_numpy(constants_of(io).noise) if lines.noise is None else lines.noise
            at = col.PERIPHERY + side * col.SIDE
            row[at + col.NOISE], row[at + col.NOISES] = self._address(noise), len(noise)
        row[col.FORWARDS], row[col.BACKWARDS] = tile._counters["forward"], tile._counters["backward"]
        if not self.whole:
            return
        for array, of_array in zip(tile.cell._arrays, self.arrays[row[col.FIRST_ARRAY] :], strict=False):
            self._look_up_array(array, of_array)
        if row[col.CELL] == col.TRANSFERRED:
            cell, of_cell = tile.cell, self.transfers[index]
            assert isinstance(cell, TransferCell)
            memories = [*cell.memories, None, None, None]
            of_cell[[col.BUFFER, col.MEAN, col.PAST, col.VISIBLE]] = [
                *map(self._address, memories[:3]),
                self._address(cell.visible),
            ]
            for place, tensor in zip((col.ON_COLUMNS, col.ON_ROWS), cell.choppers or (None, None), strict=True):
                of_cell[place] = self._address(tensor)
            of_cell[col.FRESH] = self._address(cell.fresh if isinstance(cell, DynamicTransferCell) else None)
            counters = cell.counters
            of_cell[col.TURN] = counters.get("cycle", 0) * cell.slices + counters["slice 0"]
            largest = counters.get("largest x", 0.0), counters.get("largest d", 0.0)
            self.transfer_numbers[index, [col.LARGEST_X, col.LARGEST_D]] = largest

    def _look_up_array(self, array: DeviceArray, row: NDArray[np.int64]) -> None:
        counters, cells, before = array.counters, array.cells, array.before
        row[[col.STORED, col.APPARENT]] = self._address(array.stored), self._address(array.weights)
        row[[col.CELLS, col.TAKEN]] = self._address(cells.pulse), self._address(array.taken)
        row[col.BEFORE] = self._address(None if before is None else before.weights)
        row[col.FIRED] = 0 if before is None else before.rows.ctypes.data
        row[[col.DIFFUSION, col.DECAY, col.TARGET]] = [
            *map(self._address, (cells.diffusion, cells.decay, cells.target))
        ]
        retention, residue = cells.retention, array._buffers["residue"]
        row[[col.RETENTION, col.RESIDUE]] = (self._address(retention), self._address(residue)) if leaks(array) else 0
        row[[col.UPDATES, col.STEPS, col.REDRAWS]] = (
            counters["updates"],
            counters["steps"],
            counters["redraws"],
        )

    def _address(self, tensor: Tensor | None) -> int:
        """Return where a tensor lies, which is kept until the next time; 0 for none."""
        if tensor is None:
            return 0
        tensor = tensor.detach()
        assert tensor.is_contiguous() and tensor.is_cpu, "numbers in a row, which loops can read"
        self._held.append(tensor)
        return tensor.data_ptr()

    def due(self, batch: int, mini_batches: int, rate: float) -> tuple[Integers, NDArray[np.float64]]:
        """List the transfers of all tiles in a piece, and what their read-outs are multiplied by.

        batch, mini_batches: samples of each, and how many. rate: learning rate. The tables say which transfers are
        whose.
        """
        events, gains, at = [np.zeros((0, 5), np.int64)], [np.zeros(0, np.float64)], 0
        for each, row in zip(self.placed, self.layers, strict=True):
            vectors = batch * each.layer.positions
            for index, tile in enumerate(each.tiles, int(row[col.FIRST_TILE])):
                if self.tiles[index, col.CELL] == col.TRANSFERRED:
                    cell = tile.cell
                    assert isinstance(cell, TransferCell)
                    rates = np.full(vectors * mini_batches, cell.fast_rate(rate))
                    found, gain = cell.schedule(rates, rate, vectors)
                    events.append(found)
                    gains.append(np.full(len(found), gain, np.float64))
                    self.transfers[index, [col.FIRST_EVENT, col.NEXT_EVENT]] = at
                    at += len(found)
                    self.transfers[index, col.AFTER_EVENT] = at
        return np.concatenate(events), np.concatenate(gains)

    @property
    def volatile(self) -> list[AnalogTile]:
        """The tiles whose weights time alone moves."""
        return [tile for each in self.placed for tile in each.tiles if tile.volatile]

    def rests(self, seconds: float) -> bool:
        """Whether the loop can let so many seconds pass in all tiles that notice it."""
        return self.whole and all(
            isinstance(tile.cell, SingleCell) and leaks(tile.array) and abs(seconds) <= tile.array.soon
            for tile in self.volatile
        )

    def let_pass(self, seconds: float, times: int) -> None:
        """Put the clocks of arrays on by so many seconds, so many times; what leaks has leaked in the loop."""
        for tile in self.volatile:
            for _ in range(times):
                tile.array.clock += seconds

    def fits(self, batch: int) -> bool:
        """Whether tiles can learn in the loop from mini-batches of ``batch`` samples."""
        for each, row in zip(self.placed, self.layers, strict=True):
            vectors = batch * each.layer.positions
            for index, tile in enumerate(each.tiles, int(row[col.FIRST_TILE])):
                cell = tile.cell
                if self._cells[index] != col.TRANSFERRED or not isinstance(cell, TransferCell):
                    continue
                period = cell.periods(vectors)[0]
                parts = vectors // period // cell.slices + 2 if period else 1
                exact_noise = cell._arrays[0].persistent is not None and cell.site.update.execution is Execution.EXACT
                if parts > col.ARRAY_KEYS - col.PART_KEYS or (exact_noise and vectors > 1):
                    return False
        return self.whole

    def put_back(self, mini_batches: int, batch: int) -> None:
        """Tell layers, tiles and cells how far their counters have come, after so many mini-batches of a size."""
        for each, row in zip(self.placed, self.layers, strict=True):
            if isinstance(each.module, AnalogLayer):
                each.module.calls += mini_batches
            for index, tile in enumerate(each.tiles, int(row[col.FIRST_TILE])):
                of_tile = self.tiles[index]
                tile._counters["forward"] = int(of_tile[col.FORWARDS])
                tile._counters["backward"] = int(of_tile[col.BACKWARDS])
                if of_tile[col.CELL] == col.ELSEWHERE:
                    continue
                for array, counted in zip(tile.cell._arrays, self.arrays[of_tile[col.FIRST_ARRAY] :], strict=False):
                    names = (("updates", col.UPDATES), ("steps", col.STEPS), ("redraws", col.REDRAWS))
                    array.counters.update({name: int(counted[place]) for name, place in names})
                if isinstance(tile.cell, TransferCell):
                    moved = self.transfers[index, col.NEXT_EVENT] - self.transfers[index, col.FIRST_EVENT]
                    tile.cell.skip(mini_batches * batch * each.layer.positions, int(moved))
                    if "largest x" in tile.cell.counters:
                        largest = self.transfer_numbers[index, [col.LARGEST_X, col.LARGEST_D]].tolist()
                        tile.cell.counters |= dict(zip(("largest x", "largest d"), largest, strict=True))


def leaks(array: DeviceArray) -> bool:
    """Whether all that time does to an array is that its cells leak, which the loop can do."""
    return array.cells.retention is not None and array.cells.drift is None and array.before is None


def _parameters(array: DeviceArray) -> int:
    return parameters_per_step(array.cells.pulse)


def _fast_rate(cell: TransferCell) -> tuple[float, float]:
    """What the learning rate of A is: a factor of the optimizer's, and a number that is added."""
    p = cell.p
    if isinstance(cell, ChoppedTransferCell) and cell.c.auto_scale:
        return (1.0, 0.0) if p.scale_fast_lr else (0.0, 1.0)
    if p.fast_lr <= 0.0:
        return 1.0, 0.0
    return (p.fast_lr, 0.0) if p.scale_fast_lr else (0.0, p.fast_lr)


def _transfers_here(cell: TransferCell) -> bool:
    """Whether the loop does all that a transfer cell does, in mini-batches of some size."""
    if isinstance(cell, ChoppedTransferCell) and cell.c.auto_scale and cell.c.correct_gradient_magnitudes:
        return False  # then gains depend on the vectors
    return covers(cell, 1)
