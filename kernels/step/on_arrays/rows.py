"""Layers and tiles as rows of tables for the step's loop: sizes, addresses of their tensors, and what they ask for."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from rpusim.errors import InputError
from rpusim.kernels.arrays.array import DeviceArray
from rpusim.kernels.base import rng
from rpusim.kernels.base.loops import Integers
from rpusim.kernels.base.rng import Purpose
from rpusim.kernels.cells.single import SingleCell
from rpusim.kernels.cells.tiki_taka.compiled import MERGED_SLOTS
from rpusim.kernels.cells.tiki_taka.transfer import TransferCell
from rpusim.kernels.devices import ExactDevice, PulsedDevice
from rpusim.kernels.devices.variation import parameters_per_step
from rpusim.kernels.layers import patches
from rpusim.kernels.layers.base import AnalogLayer
from rpusim.kernels.mvm import wires
from rpusim.kernels.mvm.compiled import OUT_SCALE, constants_of, keys_of
from rpusim.kernels.pulses.compiled import chunking, pulse_keys
from rpusim.kernels.pulses.execution import way_of
from rpusim.kernels.pulses.trains import Execution, PulseType, UpdateParameters
from rpusim.kernels.step import col
from rpusim.kernels.step.loop import Kinds
from rpusim.kernels.step.on_arrays import converted
from rpusim.kernels.step.on_arrays.decay import Edges
from rpusim.kernels.step.on_arrays.placed import Placed
from rpusim.kernels.step.on_arrays.transfer_rows import TransferRows, fast_rate, fits, transfers_here
from rpusim.kernels.step.program import Unsuitable
from rpusim.kernels.tiles.analog import AnalogTile

Tensor = torch.Tensor


class Rows:
    """Tables of all layers, in the order of the program.

    placed: the layers.

    Attributes:
    kinds:  of the devices, as they are numbered in the arrays' column KIND.
    whole:  whether all tiles learn in the loop; if not, none does.
    """

    def __init__(self, placed: Sequence[Placed]) -> None:
        self.placed = placed
        tiles = sum(each.blocks for each in placed)
        arrays = sum(sum(len(tile.cell.arrays) for tile in each.tiles) or each.blocks for each in placed)
        self.layers = np.zeros((len(placed), col.LAYER_COLUMNS), np.int64)
        self.tiles = np.zeros((tiles, col.TILE_COLUMNS), np.int64)
        self.numbers = np.zeros((2, tiles, 10), np.float32)
        self.tile_numbers = np.zeros((tiles, col.TILE_NUMBERS), np.float64)
        self.tile_keys = np.zeros((tiles, col.TILE_KEYS), np.uint64)
        self.arrays = np.zeros((arrays, col.ARRAY_COLUMNS), np.int64)
        self.array_numbers = np.zeros((arrays, col.ARRAY_NUMBERS), np.float64)
        self.array_keys = np.zeros((arrays, col.ARRAY_KEYS), np.uint64)
        self.moving, self._edges = TransferRows(tiles), Edges()
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
                index, array = index + each.blocks, array + each.blocks
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
        row[[col.GROUPS, col.LEARNS]] = each.groups, each.learns
        if isinstance(module, AnalogLayer):
            row[[col.ROW_BLOCKS, col.COLUMN_BLOCKS]] = len(module.row_splits), len(module.column_splits)
            row[[col.BIAS_COLUMN, col.SCALES]] = module.bias_column, module.scale.numel() * module._scaled
        else:
            row[col.ROW_BLOCKS], size = each.groups, (layer.rows // each.groups, layer.columns // each.groups)
            for number in range(each.groups):
                tile = self.tiles[index + number]
                tile[[col.TALL, col.WIDE, col.CELL, col.FIRST_ARRAY]] = *size, col.EXACT, array + number
                tile[[col.PERIPHERY + col.PERFECT, col.PERIPHERY + col.SIDE + col.PERFECT]] = 1
                self.numbers[:, index + number, OUT_SCALE] = 1.0
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
            converted.fill_in(tile, side, row[asked:], self._kept)
            if io.wires is not None:
                inputs, outputs = (tile.rows, tile.columns) if side else (tile.columns, tile.rows)
                spread = wires.spread_of(io.wires, inputs)
                reaching = wires.arriving(io.wires, io.lines_read(outputs), *io.lines_of_a_weight)
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
        if isinstance(cell, TransferCell) and transfers_here(cell):
            fast, slow = cell._arrays
            for number, array in enumerate((fast, slow), first):
                self._array(array, number)
            merging = self._trains(fast, first, update, cell.granularity, MERGED_SLOTS)
            self.arrays[first, col.KIND] = self._kind(1, (fast.device.step, _parameters(fast), merging))
            self.arrays[first + 1, col.KIND] = self._kind(2, (slow.device.step, _parameters(slow)))
            self.array_numbers[first, [col.RATE_FACTOR, col.OWN_RATE]] = fast_rate(cell)
            self.moving.fill_in(cell, index)
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

    def look_up(self) -> None:
        """Write where the tensors lie now, and how far the counters have come."""
        self._held: list[Any] = []
        for each, row in zip(self.placed, self.layers, strict=True):
            module, first = each.module, int(row[col.FIRST_TILE])
            bias = module.bias if not (isinstance(module, AnalogLayer) and module.bias_column) else None
            row[col.DIGITAL_BIAS] = self._address(bias)
            (weights, biases), digital = each.free, bias is not None and bias.requires_grad
            if (weights or biases or digital) != each.layer.learns:
                raise InputError(
                    f"{type(module).__name__}: its parameters were frozen, or set free, after its training was "
                    "compiled; accepted: requires_grad_ before it begins"
                )
            row[[col.LEARNS, col.BIAS_LEARNS]] = each.learns, digital and each.layer.reached
            row[col.STILL] = col.NOTHING_STILL
            if weights != biases:
                row[col.STILL] = col.BIASES_STILL if weights else col.WEIGHTS_STILL
            if isinstance(module, AnalogLayer):
                row[col.SCALE] = self._address(module.scale if module._scaled else None)
                for index, tile in enumerate(each.tiles, first):
                    self._look_up(tile, index)
            else:
                address, each_size = self._address(module.weight), 4 * module.weight.numel() // each.groups
                for number in range(each.groups):
                    at = address + number * each_size
                    of_array = self.arrays[self.tiles[first + number, col.FIRST_ARRAY]]
                    self.tiles[first + number, col.WEIGHTS] = of_array[col.STORED] = at

    def _look_up(self, tile: AnalogTile, index: int) -> None:
        row = self.tiles[index]
        row[col.WEIGHTS] = self._address(tile.weights)
        for side, (io, lines) in enumerate(
            ((tile._forward_io, tile.forward_lines), (tile._backward_io, tile.backward_lines))
        ):
            noise = torch.from_numpy(constants_of(io).noise) if lines.noise is None else lines.noise
            at = col.PERIPHERY + side * col.SIDE
            row[at + col.NOISE], row[at + col.NOISES] = self._address(noise), len(noise)
            if row[at + col.SLICED]:
                row[at + col.LINES] = self._address(converted.lines_of(tile, side))
        row[col.FORWARDS], row[col.BACKWARDS] = tile._counters["forward"], tile._counters["backward"]
        if not self.whole:
            return
        for number, array in enumerate(tile.cell._arrays, int(row[col.FIRST_ARRAY])):
            self._look_up_array(array, number)
        if row[col.CELL] == col.TRANSFERRED:
            assert isinstance(tile.cell, TransferCell)
            self.moving.look_up(tile.cell, index, self._address)

    def _look_up_array(self, array: DeviceArray, index: int) -> None:
        row, counters, cells, before = self.arrays[index], array.counters, array.cells, array.before
        row[[col.STORED, col.APPARENT]] = self._address(array.stored), self._address(array.weights)
        row[[col.CELLS, col.TAKEN]] = self._address(cells.pulse), self._address(array.taken)
        row[col.BEFORE] = self._address(None if before is None else before.weights)
        row[col.FIRED] = 0 if before is None else before.rows.ctypes.data
        row[[col.DIFFUSION, col.DECAY, col.TARGET]] = [
            *map(self._address, (cells.diffusion, cells.decay, cells.target))
        ]
        if cells.decay is not None:
            found = self._edges.of(index, cells)
            row[[col.EDGES, col.EDGES_NUMBER, col.GOALS]] = found.edges.ctypes.data, len(found.edges), found.goals
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
            vectors = batch * each.layer.vectors
            for index, tile in enumerate(each.tiles, int(row[col.FIRST_TILE])):
                if self.tiles[index, col.CELL] == col.TRANSFERRED and each.learns:
                    assert isinstance(tile.cell, TransferCell)
                    found, gain = self.moving.due(tile.cell, index, vectors, mini_batches, rate, at)
                    events.append(found)
                    gains.append(gain)
                    at += len(found)
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
            vectors = batch * each.layer.vectors
            for index, tile in enumerate(each.tiles, int(row[col.FIRST_TILE])):
                transferred = self._cells[index] == col.TRANSFERRED
                if transferred and isinstance(tile.cell, TransferCell) and not fits(tile.cell, vectors):
                    return False
        return self.whole

    def put_back(self, mini_batches: int, batch: int) -> None:
        """Tell layers, tiles and cells how far their counters have come, after so many mini-batches of a size."""
        for each, row in zip(self.placed, self.layers, strict=True):
            if isinstance(each.module, AnalogLayer):
                every = max(1, len(each.uses))  # where uses are told apart, the first one is a multiple of them
                each.module.calls = -(-each.module.calls // every) * every + mini_batches * each.layer.uses
            for index, tile in enumerate(each.tiles, int(row[col.FIRST_TILE])):
                of_tile = self.tiles[index]
                tile._counters["forward"] = int(of_tile[col.FORWARDS])
                tile._counters["backward"] = int(of_tile[col.BACKWARDS])
                if of_tile[col.CELL] == col.ELSEWHERE:
                    continue
                for array, counted in zip(tile.cell._arrays, self.arrays[of_tile[col.FIRST_ARRAY] :], strict=False):
                    names = (("updates", col.UPDATES), ("steps", col.STEPS), ("redraws", col.REDRAWS))
                    array.counters.update({name: int(counted[place]) for name, place in names})
                if isinstance(tile.cell, TransferCell) and each.learns:
                    self.moving.put_back(tile.cell, index, mini_batches * batch * each.layer.vectors)


def leaks(array: DeviceArray) -> bool:
    """Whether all that time does to an array is that its cells leak, which the loop can do."""
    return array.cells.retention is not None and array.cells.drift is None and array.before is None


def _parameters(array: DeviceArray) -> int:
    return parameters_per_step(array.cells.pulse)
