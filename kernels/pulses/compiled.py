"""The pulsed update in compiled loops: the same pulses and the same numbers as `specification`, fast on a CPU.

`drivers` makes the bits of rows and columns for all vectors; then, chunk by chunk, `one_by_one` applies the
coincidences one by one, or `merged` many of a cell at once where that is the same.
"""

from __future__ import annotations

from functools import cache, lru_cache
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from rpusim.kernels.base import rng
from rpusim.kernels.base.loops import Floats, Integers, Loop, compile_loop
from rpusim.kernels.base.rng import Integer, Purpose
from rpusim.kernels.base.threads import several_threads
from rpusim.kernels.devices.base import Cells, Device, PulsedDevice
from rpusim.kernels.devices.models.constant_step import constant_step
from rpusim.kernels.devices.variation import parameters_per_step
from rpusim.kernels.pulses import drivers, merged, merged_vector, one_by_one, wear
from rpusim.kernels.pulses.cell_numbers import names_of, rows_of
from rpusim.kernels.pulses.counts import COINCIDENCES_DOWN, UpdateCounts
from rpusim.kernels.pulses.drivers import Drive
from rpusim.kernels.pulses.execution import way_of
from rpusim.kernels.pulses.specification import both_signs, coincidences, floating_point
from rpusim.kernels.pulses.trains import Execution, PulseType, UpdateParameters, not_finite
from rpusim.kernels.pulses.write_noise import Before

# Injected by `compile_loop`; named here for the reader and for type checkers.
draw: Any = None
apply: Any = None
tally: Any = None
MERGING = ONLY_UP = 0

# Instead of a `Before`, and of the pulses that cells have taken, if nobody asks for them.
_NOTHING = np.zeros((0, 0), np.float32), np.zeros(0, np.bool_)
_UNCOUNTED = np.zeros((0, 0), np.int32)

# Bits of a chunk whose pulses go one by one: lists and words stay in the cache.
_EXACT_BITS = 1 << 20
# Slots of a merged chunk, so that few cells must fall back. Slots of a vector from which it is merged alone: of
# constant steps, whose order is nothing; of linear ones; of others, which merge in no other way.
_MERGED_SLOTS, _ALONE_CONSTANT, _ALONE, _ALONE_SMOOTH = 160, 128, 40, 3
# Work (cells x slots, about 1 ns each) above which a parallel launch pays even if another process has a core.
PARALLEL_WORK = 16_000_000


@cache
def loop_of(device_step: Any, parameters: int, only_up: bool, merging: bool, parallel: bool) -> Any:
    """Compile `all_chunks` of `merged` or of `one_by_one` for one device.

    device_step, parameters, only_up: as for `cell_numbers.names_of`. merging: whether pulses are merged. parallel: rows
    on all threads.
    """
    names = names_of(device_step, parameters, only_up)
    stages = {"coincide": compile_loop(one_by_one.coincide, parallel, **names)}
    if merging:
        names["SMOOTH"] = int(device_step in merged_vector.SMOOTH_STEPS)
        names["RELATIVE"] = int(device_step in merged_vector.RELATIVE_STEPS)
        stages |= merged.stages(parallel, **names)
    return compile_loop(merged.all_chunks if merging else one_by_one.all_chunks, **stages, **names)


def send(
    weights: Floats,
    cells: Floats,
    sigma: np.float32,
    x: Floats,
    d: Floats,
    strength: float,
    rule: tuple[int, bool, bool, bool, float],
    step_d: np.float32,
    step_x: np.float32,
    sto_round: bool,
    keys: NDArray[np.uint64],
    first: Integer,
    flip: bool,
    limit: int,
    alone: int,
    counts: Integers,
    taken: NDArray[np.int32],
    before: Floats,
    fired: NDArray[np.bool_],
) -> int:
    """Draw the bits of a mini-batch and apply them to the weights, in place.

    weights, cells, sigma: as for `one_by_one.coincide`. strength: |learning rate| / granularity. x to counts: as for
    `drivers.draw`; the last of the keys is that of merged noise.
    taken: pulses of every cell (rows, columns), raised here; empty if nobody counts them. before, fired: receive the
    weights of rows that fire, and which rows these are; empty if nobody asks.
    Returns all slots, or -1 if x or -2 if d holds NaN or infinite numbers.
    """
    each = np.full(len(x), strength)
    total, chunks, rows, columns, words, numbers_ = draw(
        x, d, each, rule, step_d, step_x, sto_round, keys, first, flip, limit, alone, counts
    )
    for i in range(len(fired)):
        bits = np.uint32(0)
        for word in range(rows.shape[1]):
            bits = np.uint32(bits | rows[0, word, i] | rows[1, word, i])
        fired[i] = bits != 0
        if fired[i]:
            for j in range(weights.shape[1]):
                before[i, j] = weights[i, j]
    if total > 0:
        if MERGING:
            apply(weights, cells, sigma, chunks, rows, columns, words, numbers_, alone, keys[5], first, counts)
        else:
            apply(weights, cells, sigma, chunks, rows, columns, words, numbers_)
        if len(taken):
            tally(taken, rows, columns, ONLY_UP)
    slots: int = total
    return slots


@cache
def send_loop(device_step: Any, parameters: int, only_up: bool, merging: bool, parallel: bool) -> Any:
    """Compile `send` for one device; arguments as for `loop_of`."""
    return compile_loop(
        send,
        draw=drivers.DRAW.variant(0),
        apply=loop_of(device_step, parameters, only_up, merging, parallel),
        tally=compile_loop(wear.tally, parallel),
        MERGING=int(merging),
        ONLY_UP=int(only_up),
    )


def chunking(merging: bool, device: PulsedDevice, lines: int, most: int = _MERGED_SLOTS) -> tuple[int, int]:
    """Choose the most slots of a chunk, and from how many slots on a vector is a chunk by itself.

    merging: whether pulses are merged. lines: the longer side of the array. most: slots of a merged chunk.
    """
    if not merging:
        return max(1, _EXACT_BITS // lines), 1 << 30
    if device.step in merged_vector.SMOOTH_STEPS:
        return most, _ALONE_SMOOTH
    return most, _ALONE_CONSTANT if device.step is constant_step else _ALONE


@cache
def _count_loop(device_step: Any, parameters: int, only_up: bool) -> Loop:
    return Loop(one_by_one.count, PARALLEL_WORK, **names_of(device_step, parameters, only_up))


@lru_cache(maxsize=4096)
def pulse_keys(drivers: tuple[int, ...], stream: tuple[int, ...]) -> NDArray[np.uint64]:
    of_lines = Purpose.ROW_ROUNDING, Purpose.COLUMN_ROUNDING, Purpose.ROW_PULSES, Purpose.COLUMN_PULSES
    of_cells = Purpose.PULSE_NOISE, Purpose.MERGED_NOISE
    return np.array([rng.key(*drivers, p) for p in of_lines] + [rng.key(*stream, p) for p in of_cells], np.uint64)


class Sender:
    """Send pairs to one array as pulses drawn at random; what does not change from call to call is found out once.

    weights, cells, device: of the array. parameters, stream, lines, only_up: as for `specification.update`.
    """

    def __init__(
        self,
        weights: torch.Tensor,
        cells: Cells,
        device: PulsedDevice,
        parameters: UpdateParameters,
        stream: tuple[int, ...],
        lines: tuple[int, ...] | None,
        only_up: bool,
    ) -> None:
        self.weights, self.cells, self.stream, self._only_up = weights, cells, stream, only_up
        self._parameters = parameters  # kept, so that no other object takes their place in memory
        way = way_of(device, parameters)
        merging = way is not None and way.execution is Execution.MERGED
        self._w, pulse, self._granularity = weights.numpy(), cells.pulse, device.granularity
        limit, alone = chunking(merging, device, max(self._w.shape))
        # To merge a chunk costs about as much as four slots one by one.
        self._most, self._each = (4, 0) if merging else (limit, parameters.desired_bl)
        kind = device.step, parameters_per_step(pulse), only_up, merging
        self._loops = [send_loop(*kind, False)]
        self._kind = kind
        steps = tuple(map(np.float32, parameters.steps))
        self._of_cells = rows_of(pulse), np.float32(device.dw_min_std)
        self._of_lines = parameters.rule, *steps, parameters.sto_round, pulse_keys(lines or stream, stream)
        self._chunks = limit, alone
        self._separate = parameters.pulse_type is PulseType.STOCHASTIC

    def __call__(
        self,
        x: torch.Tensor,
        d: torch.Tensor,
        learning_rate: float,
        first: int,
        taken: torch.Tensor | None = None,
        before: Before | None = None,
    ) -> UpdateCounts:
        """Apply the pairs of a mini-batch in order, in place.

        x: (vectors, columns), d: (vectors, rows), contiguous float32 on the CPU. first: the counter of the first
        vector. taken: pulses of every cell, raised here; None: nobody counts. before: receives the weights as they
        were, of the rows that fire. Returns what was counted. InputError: x or d hold NaN or infinite numbers.
        """
        inputs, w = x.numpy(), self._w
        table = UpdateCounts.table(len(inputs))
        counted = _UNCOUNTED if taken is None else taken.numpy()
        kept = _NOTHING if before is None else (before.weights.numpy(), before.rows)
        total = self._loop(len(inputs))(
            w, *self._of_cells, inputs, d.numpy(), abs(learning_rate) / self._granularity, *self._of_lines, first,
            learning_rate < 0, *self._chunks, table, counted, *kept,
        )  # fmt: skip
        if total < 0:
            raise not_finite("input x" if total == -1 else "error d")
        counts = UpdateCounts.of(table)
        if self._only_up:
            table[COINCIDENCES_DOWN] = 0
        if self._separate:
            counts.separate_trains(both_signs(x).numpy())
        return counts

    def _loop(self, vectors: int) -> Any:
        """Choose the loop on one thread or on several by what there is to do."""
        work = self._w.size * (min(self._most, self._each * vectors) if self._each else self._most)
        if work <= PARALLEL_WORK or not several_threads():
            return self._loops[0]
        if len(self._loops) == 1:
            self._loops.append(send_loop(*self._kind, True))
        return self._loops[1]

    def fits(self, weights: torch.Tensor, cells: Cells, stream: tuple[int, ...]) -> bool:
        """Whether it still is of these weights, cells and random numbers."""
        return self.weights is weights and self.cells is cells and self.stream == stream


class Senders:
    """Remember the `Sender`s of an array by what they send; a copy of the array begins anew."""

    _MOST = 8

    def __init__(self) -> None:
        self._known: dict[tuple[Any, ...], Sender] = {}

    def __reduce__(self) -> tuple[type[Senders], tuple[()]]:
        return Senders, ()

    def of(
        self,
        weights: torch.Tensor,
        cells: Cells,
        device: PulsedDevice,
        parameters: UpdateParameters,
        stream: tuple[int, ...],
        lines: tuple[int, ...] | None,
        only_up: bool,
    ) -> Sender:
        """Find the sender with these arguments, or make it."""
        place = id(parameters), lines, only_up
        found = self._known.get(place)
        if found is None or not found.fits(weights, cells, stream):
            if len(self._known) >= self._MOST:
                self._known.clear()
            found = self._known[place] = Sender(weights, cells, device, parameters, stream, lines, only_up)
        return found


def update(
    weights: torch.Tensor,
    cells: Cells,
    device: Device,
    x: torch.Tensor,
    d: torch.Tensor,
    learning_rate: float,
    parameters: UpdateParameters,
    stream: tuple[int, ...],
    first: int,
    lines: tuple[int, ...] | None = None,
    only_up: bool = False,
    taken: torch.Tensor | None = None,
    before: Before | None = None,
) -> UpdateCounts:
    """Apply the pairs of a mini-batch in order, in place; arguments and result as for `specification.update`.

    All tensors are contiguous float32 on the CPU. before: receives the weights as they were, of the rows that fire.
    """
    if parameters.pulse_type.random:
        assert isinstance(device, PulsedDevice), "only an update in floating point needs no pulses"
        sender = Sender(weights, cells, device, parameters, stream, lines, only_up)
        return sender(x, d, learning_rate, first, taken, before)
    if before is not None:
        before.keep(weights)
    return counted(weights, cells, device, x, d, learning_rate, parameters, stream, first, lines, only_up, taken)


def counted(
    weights: torch.Tensor,
    cells: Cells,
    device: Device,
    x: torch.Tensor,
    d: torch.Tensor,
    learning_rate: float,
    parameters: UpdateParameters,
    stream: tuple[int, ...],
    first: int,
    lines: tuple[int, ...] | None = None,
    only_up: bool = False,
    taken: torch.Tensor | None = None,
) -> UpdateCounts:
    """Update by pulse types that leave nothing to chance: a number of coincidences per cell, or no pulses at all.

    Arguments and result as for `specification.update`; all tensors are contiguous float32 on the CPU.
    """
    pulse_type, counts = parameters.pulse_type, UpdateCounts.zeros(len(x))
    drive = Drive.plan(
        x.numpy(), d.numpy(), abs(learning_rate) / device.granularity, parameters, lines or stream, first
    )
    if not pulse_type.pulsed:
        bounds = cells if pulse_type is PulseType.NONE_WITH_DEVICE else None
        return floating_point(weights, bounds, x, d, learning_rate, only_up, counts)
    assert isinstance(device, PulsedDevice), "only an update in floating point needs no pulses"
    counts.slots[:] = drive.slots
    if drive.total:
        mean, noise_key = pulse_type is PulseType.MEAN_COUNT, np.uint64(rng.key(*stream, Purpose.PULSE_NOISE))
        loop = _count_loop(device.step, parameters_per_step(cells.pulse), only_up)
        w, numbers, flip = weights.numpy(), rows_of(cells.pulse), learning_rate < 0
        _count(loop, w, numbers, np.float32(device.dw_min_std), drive, mean, noise_key, first, flip, counts)
    if taken is not None:
        for vector, slots in enumerate(drive.slots.tolist()):
            chance_d, chance_x = (torch.from_numpy(of[vector]) for of in (drive.chances_d, drive.chances_x))
            met = coincidences(chance_d, chance_x, slots, pulse_type)
            taken += (met * ((d[vector][:, None] * x[vector] * learning_rate < 0) if only_up else 1)).int()
    return counts


def _count(
    loop: Loop,
    weights: Floats,
    cells: Floats,
    sigma: np.float32,
    drive: Drive,
    mean: bool,
    noise_key: np.uint64,
    first: int,
    flip: bool,
    counts: UpdateCounts,
) -> None:
    """Send every cell its number of pulses, and count them."""
    tally = np.zeros((len(drive.x), len(weights), 2), np.int64)
    chances = drive.chances_d, drive.chances_x
    work = weights.size * len(drive.x)
    loop(weights, cells, sigma, drive.x, drive.d, drive.slots, *chances, mean, noise_key, first, flip, tally, work=work)
    counts.coincidences_up[:], counts.coincidences_down[:] = tally.sum(1).T
    bl = drive.slots[:, None].astype(np.float32)
    for chance, active, fired in (
        (drive.chances_x, counts.active_columns, counts.column_pulses),
        (drive.chances_d, counts.active_rows, counts.row_pulses),
    ):
        pulses = np.minimum(np.rint(chance * bl), bl)
        active[:] = (pulses > 0).sum(1)
        fired[:] = pulses.sum(1)
