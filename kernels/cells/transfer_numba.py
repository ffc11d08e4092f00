"""A mini-batch of a transfer cell at once: what `TransferCell.step_by_step` does vector by vector, in compiled loops.

Nothing that is read decides when which column is read, and random numbers belong to places, not to the order in which
they are drawn. So all transfers of a call are known beforehand, and pulses on different columns of A may be applied in
any order, if only every column gets those of the vectors before its read first. The call is cut into rounds in which no
column is read twice:

    1. every column of A gets its pulses up to its read, and all others theirs up to the end of the call;
    2. the columns are read, collected and written to C, in order;

and what was left out comes with the next round. A mini-batch costs little more than one update of a single array. With
exact execution the result is that of `step_by_step` to the bit. With merged execution (`pulses_merged`) it is the same
in distribution; write noise of A is then drawn anew once a round, not with every vector.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache, lru_cache
from typing import TYPE_CHECKING, Any

import numba
import numpy as np
import torch
from numpy.typing import NDArray

from rpusim.kernels import pulses_lines, pulses_merged, pulses_numba, rng
from rpusim.kernels.array import DeviceArray
from rpusim.kernels.cells import reads, transfer_loops
from rpusim.kernels.cells.base import CellActivity, Extra
from rpusim.kernels.cells.transfer_loops import COLUMN, VECTOR, Collecting, Writing
from rpusim.kernels.compiled import Loop, compile_loop
from rpusim.kernels.devices import PulsedDevice
from rpusim.kernels.pulses import Execution, PulseType, UpdateCounts, UpdateParameters
from rpusim.kernels.rng import Purpose
from rpusim.kernels.trains import not_finite, train_gains

if TYPE_CHECKING:
    from rpusim.kernels.cells.transfer import TransferCell

Tensor = torch.Tensor

_SPLIT, _ONES = Loop(transfer_loops.split), Loop(transfer_loops.ones)


def covers(cell: TransferCell, vectors: int) -> bool:
    """Whether `update` can do what the cell's parameters ask for in a mini-batch of ``vectors``."""
    p, parameters, arrays = cell.p, cell.site.update, cell.arrays
    by_columns = p.number == 2 and p.transfer_columns and p.n_reads_per_transfer == 1
    in_turn = p.no_self_transfer and not p.random_selection and p.with_reset_prob == 0.0
    pulsed = all(isinstance(a, DeviceArray) and isinstance(a.device, PulsedDevice) for a in arrays)
    compressed = all(u.pulse_type is PulseType.STOCHASTIC_COMPRESSED for u in (parameters, p.transfer_update))
    simple = p.transfer_update.res <= 0.0 and cell.readers[0].simple and cell.path_now == "numba"
    if not (vectors and by_columns and in_turn and pulsed and compressed and simple):
        return False
    # Exact write noise is drawn anew whenever A has been pulsed, so that it needs A in between.
    return arrays[0].persistent is None or parameters.execution is Execution.MERGED or cell.pulses_at_once(vectors)


def update(cell: TransferCell, x: Tensor, d: Tensor, learning_rate: float) -> CellActivity:
    """As `TransferCell.step_by_step`, for cells that `covers` knows."""
    plan = _Plan(cell, x, d, learning_rate)
    trains, transfers = _Trains(cell, plan), _Transfers(cell)
    log = np.zeros((len(plan.events), len(Extra.COLUMNS)), np.int64)
    for start in range(0, max(len(plan.events), 1), cell.slices):
        part = slice(start, start + cell.slices)
        trains.send(plan.events[part])
        transfers.run(plan.events[part], plan.gains[part], plan.signs[part], log[part])
    trains.finish()
    cell.show()
    return CellActivity(trains.counts, extra=_Log(log))


class _Log(Extra):
    """Rows of the activity log that were made as a table."""

    def __init__(self, table: NDArray[np.int64]) -> None:
        super().__init__()
        self._table = table

    def __len__(self) -> int:
        return len(self._table)

    def columns(self) -> dict[str, NDArray[np.int64]]:
        return dict(zip(self.COLUMNS, self._table.T, strict=True))


class _Plan:
    """What a mini-batch will do, as far as it is known before anything is read.

    x, d: the vectors with their choppers. rates: learning rate of A per vector. events: per transfer the columns of
    `transfer_loops`; gains, signs (transfers, rows): what its read-out is multiplied by.
    """

    def __init__(self, cell: TransferCell, x: Tensor, d: Tensor, learning_rate: float) -> None:
        self.x, self.d = x.numpy(), d.numpy()
        rates = cell.fast_rates(x, d, learning_rate, len(x))
        self.rates = np.array(rates)
        signs = cell.choppers
        if signs is not None:
            on_columns, on_rows = (s.numpy() for s in signs)
            given, (self.x, self.d) = (self.x, self.d), (np.empty_like(self.x), np.empty_like(self.d))
        events, gains, of_events, start = [], [], [], 0
        for vector, turn in cell.turns(rates, learning_rate):
            column = turn.slices[0]
            events.append((vector, column, turn.count, turn.fresh, turn.writes))
            gains.append(turn.gain)
            if signs is not None:
                of_events.append(on_rows * on_columns[column])
                self._chop(given, on_columns, on_rows, start, vector + 1)
                start = vector + 1
        if signs is not None:
            self._chop(given, on_columns, on_rows, start, len(x))
        self.events, self.gains = np.array(events, np.int64).reshape(-1, 5), np.array(gains)
        plain = np.ones((len(events), cell.length), np.float32)
        self.signs = np.array(of_events, np.float32) if of_events else plain

    def _chop(self, given: Any, on_columns: Any, on_rows: Any, start: int, stop: int) -> None:
        for values, signs, made in zip(given, (on_columns, on_rows), (self.x, self.d), strict=True):
            np.multiply(values[start:stop], signs, out=made[start:stop])


@lru_cache(maxsize=4096)
def _keys(stream: tuple[int, ...]) -> NDArray[np.uint64]:
    """Of the bits and noises of an array, as `pulses_lines.draw` takes them; then that of write noise."""
    lines = Purpose.ROW_ROUNDING, Purpose.COLUMN_ROUNDING, Purpose.ROW_PULSES, Purpose.COLUMN_PULSES
    purposes = *lines, Purpose.PULSE_NOISE, Purpose.MERGED_NOISE, Purpose.WRITE_NOISE
    return np.array([rng.key(*stream, purpose) for purpose in purposes], np.uint64)


def _of_device(array: DeviceArray) -> tuple[Any, int]:
    """The step function and the number of its parameters."""
    assert isinstance(array.device, PulsedDevice)
    return array.device.step, (array.cells.pulse.shape[2] - 2) // 2


class _Trains:
    """The pulses of a mini-batch on array A, which are sent in parts. counts: as of any update."""

    def __init__(self, cell: TransferCell, plan: _Plan) -> None:
        self.array: DeviceArray = cell.arrays[0]  # type: ignore[assignment]
        device, parameters, vectors = self.array.device, cell.site.update, len(plan.x)
        assert isinstance(device, PulsedDevice)
        self.sigma = np.float32(device.dw_min_std)
        rates = plan.rates * (device.granularity / cell.granularity)
        self.merging = parameters.execution is Execution.MERGED and pulses_merged.covers(device)
        size = self.array.weights.numel()
        limit = (
            pulses_numba._MERGED_SLOTS
            if self.merging
            else max(1, pulses_numba._EXACT_BITS // max(cell.site.rows, cell.site.columns))
        )
        work = size * (4 if self.merging else min(limit, parameters.desired_bl * vectors))
        self.parallel = work > pulses_numba._PARALLEL_WORK and numba.get_num_threads() > 1
        wide, self.narrow = np.zeros((2, vectors), np.int64), np.zeros((6, vectors), np.int32)
        self.counts = UpdateCounts.of(wide, self.narrow, np.zeros(vectors, np.bool_))
        self.first = self.array._counters["updates"]
        steps = parameters.steps
        total, self.chunks, self.rows, self.columns, self.words, self.numbers = pulses_lines.DRAW(
            plan.x, plan.d, np.abs(rates) / device.granularity, parameters.rule, np.float32(steps[0]),
            np.float32(steps[1]), parameters.sto_round, _keys(self.array.stream), self.first, bool(rates[0] < 0),
            limit, wide, self.narrow,
        )  # fmt: skip
        if total < 0:
            raise not_finite("input x" if total == -1 else "error d")
        self.array._counters["updates"] += vectors
        self.part = 0
        self.pulses = self.chunks[:, 4].copy()
        self.ones = _ONES(self.columns, self.chunks, plan.x.shape[1])
        self.left = True

    def send(self, events: NDArray[np.int64]) -> None:
        """All that is left, but to the columns of ``events`` only that of the vectors up to the event."""
        later = np.zeros_like(self.columns)
        self.left = bool((events[:, VECTOR] < len(self.narrow[0]) - 1).any())
        if self.left:
            _SPLIT(self.columns, later, self.narrow[0], self.chunks, events)
        width = self.array.weights.shape[1]
        found = _ONES(self.columns, self.chunks, width)
        self.chunks[:, 4] = -(-self.pulses * found // np.maximum(self.ones, 1))
        before = None if self.array.persistent is None else self.array.persistent.clone()
        if len(self.chunks):
            cells = self.array.cells.pulse.numpy().reshape(len(self.array.weights), -1)
            loop = pulses_numba.loop_of(*_of_device(self.array), False, self.merging, self.parallel)
            key = np.uint64(rng.key(*self.array.stream, Purpose.MERGED_NOISE, *((self.part,) if self.part else ())))
            more = (key, self.first, self.counts.merged, self.counts.fallbacks) if self.merging else ()
            loop(
                self.array.stored.numpy(),
                cells,
                self.sigma,
                self.chunks,
                self.rows,
                self.columns,
                self.words,
                self.numbers,
                *more,
            )
        if before is not None:
            self.array._show(before)
        self.columns = later
        self.part += 1

    def finish(self) -> None:
        """All that is left."""
        if self.left:
            self.send(np.zeros((0, 5), np.int64))


@cache
def _transfer_loop(device_step: Any, parameters: int) -> Any:
    names: dict[str, Any] = {"step": device_step, "read": pulses_numba.reader(parameters), "PARAMETERS": parameters}
    return compile_loop(
        transfer_loops.transfers,
        sources=(reads.__file__, rng.__file__),
        read_slice=compile_loop(reads._slice),
        collect=compile_loop(transfer_loops._collect),
        send=compile_loop(transfer_loops._send, gains=train_gains, **names),
        redraw=compile_loop(transfer_loops._redraw),
        **names,
    )


class _Transfers:
    """The way from A through the buffer to C."""

    def __init__(self, cell: TransferCell) -> None:
        self.cell = cell

    def run(self, events, gains, signs, log) -> None:
        source, target = self.cell.arrays
        memories = [m.numpy() for m in self.cell.memories]
        held = memories + [np.zeros((0, 0), np.float32)] * (3 - len(memories))
        u = self.cell.p.transfer_update
        d = target.device
        writing = Writing(d.granularity, *u.rule, np.float32(d.dw_min_std), np.float32(d.write_noise))
        sent = _transfer_loop(*_of_device(target))(
            events,
            gains,
            signs,
            source.weights.numpy(),
            self.cell.readers[0].reading,
            self.cell.collecting,
            *held,
            writing,
            target.stored.numpy(),
            target.weights.numpy(),
            target.cells.pulse.numpy().reshape(len(target.weights), -1),
            _keys(target.stream),
            target._counters["updates"],
            target._counters["redraws"],
            log,
        )
        target._counters["updates"] += sent
        if target.persistent is not None:
            target._counters["redraws"] += sent
