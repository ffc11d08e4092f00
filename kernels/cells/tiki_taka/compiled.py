"""A mini-batch of a transfer cell at once: what `TransferCell.step_by_step` does vector by vector, in compiled loops.

Nothing that is read decides when which column is read, and random numbers belong to places, not to the order in which
they are drawn. So all transfers of a call are known beforehand, and pulses on different columns of A may be applied in
any order, if only every column gets those of the vectors before its read first. The call is cut into rounds in which no
column is read twice:

    1. every column of A gets its pulses up to its read, and all others theirs up to the end of the call;
    2. the columns are read, collected and written to C, in order;

and what was left out comes with the next round. Where a cell has something else to do between two transfers
(`TransferCell.stops`), the second step is interrupted. A mini-batch costs little more than one update of a single
array. With exact execution the result is that of `step_by_step` to the bit. With merged execution (`merged`) it is the
same in distribution; write noise of A is then drawn anew once a round, not with every vector.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache, lru_cache
from itertools import pairwise
from typing import Any, NamedTuple, Protocol

import numpy as np
import torch
from numpy.typing import NDArray

from rpusim.kernels.arrays import reads
from rpusim.kernels.arrays.array import DeviceArray
from rpusim.kernels.arrays.reads import Reader
from rpusim.kernels.base import rng
from rpusim.kernels.base.loops import Loop, by_identity, compile_loop
from rpusim.kernels.base.rng import Purpose
from rpusim.kernels.base.threads import several_threads
from rpusim.kernels.cells.base import CellActivity, Extra, Site
from rpusim.kernels.cells.tiki_taka import loops
from rpusim.kernels.cells.tiki_taka.loops import VECTOR, Collecting, Numbers, Writing
from rpusim.kernels.devices import PulsedDevice
from rpusim.kernels.devices.variation import parameters_per_step
from rpusim.kernels.pulses import compiled, drivers, wear
from rpusim.kernels.pulses.cell_numbers import names_of, rows_of
from rpusim.kernels.pulses.counts import UpdateCounts
from rpusim.kernels.pulses.drivers import PULSES
from rpusim.kernels.pulses.execution import way_of
from rpusim.kernels.pulses.trains import Execution, PulseType, UpdateParameters, not_finite, train_gains

Tensor = torch.Tensor

# Slots of a merged chunk; more than for a single array, whose pulses are fewer.
MERGED_SLOTS = 512

_SPLIT, _ONES = Loop(loops.split), Loop(loops.ones)


class TransferringCell(Protocol):
    """State what the compiled loops ask of a transfer cell; `transfer.TransferCell` says what each of these is."""

    site: Site
    _arrays: list[Any]
    readers: list[Reader]
    slices: int
    transfer_update: UpdateParameters
    column_by_column: bool

    @property
    def granularity(self) -> float: ...

    @property
    def path_now(self) -> str: ...

    @property
    def collecting(self) -> Collecting: ...

    @property
    def memories(self) -> tuple[Tensor, ...]: ...

    def pulses_at_once(self, vectors: int) -> bool: ...

    def fast_rates(self, x: Tensor, d: Tensor, learning_rate: float, vectors: int) -> NDArray[np.float64]: ...

    def schedule(
        self, rates: NDArray[np.float64], learning_rate: float, mini_batch: int
    ) -> tuple[NDArray[np.int64], Numbers]: ...

    def signed(
        self, x: Tensor, d: Tensor, events: NDArray[np.int64]
    ) -> tuple[NDArray[np.float32], NDArray[np.float32], NDArray[np.float32]]: ...

    def skip(self, vectors: int, transfers: int) -> None: ...

    @property
    def stops(self) -> Sequence[int]: ...

    def at_stop(self, extra: Extra, vector: int) -> None: ...

    def show(self) -> None: ...


def covers(cell: TransferringCell, vectors: int) -> bool:
    """Tell whether `update` can do what the cell's parameters ask for in a mini-batch of ``vectors``."""
    parameters, writes, arrays = cell.site.update, cell.transfer_update, cell._arrays
    pulsed = all(isinstance(a, DeviceArray) and isinstance(a.device, PulsedDevice) for a in arrays)
    compressed = all(u.pulse_type is PulseType.STOCHASTIC_COMPRESSED for u in (parameters, writes))
    simple = writes.res <= 0.0 and cell.readers[0].simple and cell.path_now == "numba"
    undisturbed = not cell.site.half_select
    if not (vectors and cell.column_by_column and pulsed and compressed and simple and undisturbed):
        return False
    # Exact write noise is drawn anew whenever A has been pulsed: also for cells that are not read next.
    return arrays[0].persistent is None or parameters.execution is Execution.MERGED or cell.pulses_at_once(vectors)


def update(cell: TransferringCell, x: Tensor, d: Tensor, learning_rate: float) -> CellActivity:
    """Do what `transfer.TransferCell.step_by_step` does, with the same arguments, for cells that `covers` knows."""
    plan = _plan(cell, x, d, learning_rate)
    trains = _Trains(cell, plan)
    log = np.zeros((len(plan.events), len(Extra.COLUMNS)), np.int64)
    stops, tables = tuple(cell.stops), []
    for start in range(0, max(len(log), 1), cell.slices):
        end = min(start + cell.slices, len(log))
        trains.send(plan.events[start:end])
        for first, after in pairwise((start, *(at for at in stops if start < at < end), end)):
            part = slice(first, after)
            _transfer(cell, plan.events[part], plan.gains[part], plan.signs[part], log[part])
            if after in stops:
                between = Extra()
                cell.at_stop(between, int(plan.events[after - 1, VECTOR]))
                tables += [(after, between.table())]
    if trains.left:
        trains.send(plan.events[:0])
    cell.show()
    for after, table in reversed(tables):
        log = np.insert(log, after, table, 0)
    return CellActivity(trains.counts, extra=_Log(log))


class _Log(Extra):
    """Show rows of the activity log that were made as a table (rows, columns of `Extra.COLUMNS`)."""

    def __init__(self, table: NDArray[np.int64]) -> None:
        super().__init__()
        self._table = table

    def __len__(self) -> int:
        return len(self._table)

    def columns(self) -> dict[str, NDArray[np.int64]]:
        return dict(zip(self.COLUMNS, self._table.T, strict=True))


class _Plan(NamedTuple):
    """Hold what a mini-batch will do, as far as it is known before anything is read.

    x, d:    the vectors with their choppers, (vectors, columns) and (vectors, rows).
    rates:   learning rate of A for each of them (vectors,).
    events:  the transfers, as `loops.due` lists them.
    gains:   what their read-outs are multiplied by (transfers,).
    signs:   signs of the positions that they read (transfers, rows).
    """

    x: NDArray[np.float32]
    d: NDArray[np.float32]
    rates: NDArray[np.float64]
    events: NDArray[np.int64]
    gains: NDArray[np.float64]
    signs: NDArray[np.float32]


def _plan(cell: TransferringCell, x: Tensor, d: Tensor, learning_rate: float) -> _Plan:
    """Plan a mini-batch; the cell's counters and choppers move on to its end."""
    rates = cell.fast_rates(x, d, learning_rate, len(x))
    events, gain = cell.schedule(rates, learning_rate, len(x))
    x_signed, d_signed, signs = cell.signed(x, d, events)
    cell.skip(len(x), len(events))
    return _Plan(x_signed, d_signed, rates, events, np.full(len(events), gain), signs)


@lru_cache(maxsize=4096)
def _keys(stream: tuple[int, ...]) -> NDArray[np.uint64]:
    """Make the keys of the bits and noises of an array, as `drivers.draw` takes them, and last that of write noise."""
    lines = Purpose.ROW_ROUNDING, Purpose.COLUMN_ROUNDING, Purpose.ROW_PULSES, Purpose.COLUMN_PULSES
    purposes = *lines, Purpose.PULSE_NOISE, Purpose.MERGED_NOISE, Purpose.WRITE_NOISE
    return np.array([rng.key(*stream, purpose) for purpose in purposes], np.uint64)


def _numbers(array: DeviceArray) -> tuple[Any, int, NDArray[np.float32]]:
    """Give the step function of the device, how many parameters it takes, and the numbers of all cells."""
    device, cells = array.device, array.get_buffer("cell_pulse")
    assert isinstance(device, PulsedDevice)
    return device.step, parameters_per_step(cells), rows_of(cells)


class _Trains:
    """Send the pulses of a mini-batch on array A in parts.

    counts: what the update counts in all. left: whether there is more to send.
    """

    def __init__(self, cell: TransferringCell, plan: _Plan) -> None:
        self._array: DeviceArray = cell._arrays[0]
        device, parameters, vectors = self._array.device, cell.site.update, len(plan.x)
        assert isinstance(device, PulsedDevice)
        rows, columns = cell.site.rows, cell.site.columns
        way = way_of(device, parameters)
        self._merging = way is not None and way.execution is Execution.MERGED
        limit, self._alone = compiled.chunking(self._merging, device, max(rows, columns), MERGED_SLOTS)
        # As in `pulses.compiled.update`.
        work = rows * columns * (4 if self._merging else min(limit, parameters.desired_bl * vectors))
        self._parallel = work > compiled.PARALLEL_WORK and several_threads()
        self._table = UpdateCounts.table(vectors)
        self.counts = UpdateCounts.of(self._table)
        self._first, self._part, self.left = self._array.counters["updates"], 0, True
        rates = plan.rates * (device.granularity / cell.granularity)
        total, self._chunks, self._rows, self._columns, *self._noise = drivers.DRAW(
            plan.x,
            plan.d,
            np.abs(rates) / device.granularity,
            parameters.rule,
            *(np.float32(step) for step in parameters.steps),
            parameters.sto_round,
            _keys(self._array.stream),
            self._first,
            bool(rates[0] < 0),
            limit,
            self._alone,
            self._table,
        )
        if total < 0:
            raise not_finite("input x" if total == -1 else "error d")
        self._array.counters["updates"] += vectors
        if self._array.taken is not None and total:
            wear.count(self._array.taken.numpy(), self._rows, self._columns)

    def send(self, events: NDArray[np.int64]) -> None:
        """Send all that is left, but to the columns of ``events`` only what belongs to vectors up to the event."""
        array, chunks, now = self._array, self._chunks, self._columns
        self.left = bool((events[:, VECTOR] < len(self.counts.slots) - 1).any())
        if self.left and not self._part:
            self._pulses, self._ones = chunks[:, PULSES].copy(), np.maximum(_ONES(now, chunks), 1)
        if self.left:
            self._columns = np.zeros_like(now)
            _SPLIT(now, self._columns, self.counts.slots, chunks, events)
        if self.left or self._part:
            chunks[:, PULSES] = -(-self._pulses * _ONES(now, chunks) // self._ones)
        before = array.before
        if before is not None:
            before.keep(array.stored)
        if len(chunks):
            step, parameters, cells = _numbers(array)
            loop = compiled.loop_of(step, parameters, False, self._merging, self._parallel)
            sigma, more = np.float32(array.device.dw_min_std), ()  # type: ignore[attr-defined]
            if self._merging:  # each part has noise of its own
                name = (Purpose.MERGED_NOISE, self._part) if self._part else (Purpose.MERGED_NOISE,)
                key = np.uint64(rng.key(*array.stream, *name))
                more = self._alone, key, self._first, self._table  # type: ignore[assignment]
            loop(array.stored.numpy(), cells, sigma, chunks, self._rows, now, *self._noise, *more)
        if before is not None:
            array.show(before)
        self._part += 1


@cache
def transfer_loop(device_step: Any, parameters: int) -> Any:
    names = names_of(device_step, parameters)
    return compile_loop(
        loops.transfers,
        read_slice=compile_loop(reads._slice),
        collect=compile_loop(loops.collect_column),
        send=compile_loop(loops.send_column, gains=train_gains, **names),
        redraw=compile_loop(loops.redraw_column),
        **names,
    )


@by_identity
def _writing(device: PulsedDevice, update: UpdateParameters) -> Writing:
    return Writing(device.granularity, *update.rule, np.float32(device.dw_min_std), np.float32(device.write_noise))


_NONE, _UNCOUNTED = np.zeros((0, 0), np.float32), np.zeros((0, 0), np.int32)


def _transfer(
    cell: TransferringCell, events: NDArray[np.int64], gains: NDArray[np.float64], signs: NDArray[np.float32], log: Any
) -> None:
    """Read the columns of ``events`` and write them to array C; rows of the activity log go to ``log``."""
    if not len(events):
        return
    (source, target), update = cell._arrays[:2], cell.transfer_update
    counters = target.counters
    step, parameters, cells = _numbers(target)
    memories = [memory.numpy() for memory in cell.memories]
    sent = transfer_loop(step, parameters)(
        events,
        gains,
        signs,
        source.weights.numpy(),
        cell.readers[0].reading,
        cell.collecting,
        *memories,
        *[_NONE] * (3 - len(memories)),
        _writing(target.device, update),
        target.stored.numpy(),
        target.weights.numpy(),
        cells,
        _keys(target.stream),
        counters["updates"],
        counters["redraws"],
        _UNCOUNTED if target.taken is None else target.taken.numpy(),
        log,
    )
    counters["updates"] += sent
    counters["redraws"] += sent if target.persistent is not None else 0
