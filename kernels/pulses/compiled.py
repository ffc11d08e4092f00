"""The pulsed update in compiled loops: the same pulses and the same numbers as `pulses.update`, fast on a CPU.

`drivers` makes the bits of rows and columns for all vectors; then, chunk by chunk, `one_by_one` applies the
coincidences one by one, or `merged` many of a cell at once where that is the same.
"""

from __future__ import annotations

from functools import cache, lru_cache
from typing import Any

import numba
import numpy as np
import torch
from numba import njit
from numpy.typing import NDArray

from rpusim.kernels.base import rng
from rpusim.kernels.base.loops import Loop, by_identity, compile_loop
from rpusim.kernels.base.rng import Purpose
from rpusim.kernels.devices.base import Cells, Device, PulsedDevice
from rpusim.kernels.devices.models.constant_step import constant_step
from rpusim.kernels.pulses import drivers, merged, merged_vector, one_by_one, trains, wear
from rpusim.kernels.pulses.drivers import Drive
from rpusim.kernels.pulses.specification import both_signs, coincidences, floating_point
from rpusim.kernels.pulses.trains import Execution, PulseType, UpdateCounts, UpdateParameters, not_finite
from rpusim.kernels.pulses.write_noise import Before

# Instead of a `Before`, if nobody asks.
_NOTHING = np.zeros((0, 0), np.float32), np.zeros(0, np.bool_)
# Injected by `compile_loop`; named here for the reader and for type checkers.
draw: Any = None
apply: Any = None
tally: Any = None
MERGING = 0
ONLY_UP = 0

_UNCOUNTED = np.zeros((0, 0), np.int32)

# Bits of a chunk whose pulses go one by one: lists and words stay in the cache.
_EXACT_BITS = 1 << 20
# Slots of a merged chunk, so that few cells must fall back. Slots of a vector from which it is merged alone: of
# constant steps, whose order is nothing; of linear ones; of others, which merge in no other way.
_MERGED_SLOTS, _ALONE_CONSTANT, _ALONE, _ALONE_SMOOTH = 160, 128, 40, 3
# Work (cells x slots, about 1 ns each) above which a parallel launch pays even if another process has a core.
PARALLEL_WORK = 16_000_000


@cache
def reader(number: int) -> Any:
    """A compiled function that reads ``number`` consecutive values as a tuple: (values, at) -> (values[at], ...)."""
    if number == 0:
        return njit(lambda values, at: ())
    others = reader(number - 1)
    return njit(lambda values, at: (values[at], *others(values, at + 1)))


@cache
def loop_of(device_step: Any, parameters: int, only_up: bool, merging: bool, parallel: bool) -> Any:
    """`all_chunks` of `merged` or `one_by_one` for one step function; ``parallel``: rows on all threads."""
    names: dict[str, Any] = {"step": device_step, "read": reader(parameters), "PARAMETERS": parameters}
    if only_up:
        names["ONLY_UP"] = 1
    stages = {"coincide": compile_loop(one_by_one.coincide, parallel, **names)}
    if merging:
        names["SMOOTH"] = int(device_step in merged_vector.SMOOTH_STEPS)
        names["RELATIVE"] = int(device_step in merged_vector.RELATIVE_STEPS)
        stages |= merged.stages(parallel, **names)
    outer, sources = merged.all_chunks if merging else one_by_one.all_chunks, (one_by_one.__file__,)
    return compile_loop(outer, False, (*sources, merged_vector.__file__), PARALLEL=int(parallel), **stages, **names)


def send(
    weights, cells, sigma, x, d, strength, rule, step_d, step_x, sto_round, keys, first, flip, limit, alone, wide,
    narrow, merged, taken, before, fired,
):  # fmt: skip
    """Draw the bits of a mini-batch and apply them; arguments and result as of `drivers.draw` and `all_chunks`.

    taken: pulses of every cell, or empty if nobody counts them.
    before, fired: receive the weights of rows that fire, and which these are; empty if nobody asks.
    """
    each = np.full(len(x), strength)
    total, chunks, rows, columns, words, numbers_ = draw(
        x, d, each, rule, step_d, step_x, sto_round, keys, first, flip, limit, alone, wide, narrow
    )
    for i in range(len(fired)):
        bits = np.uint32(0)
        for word in range(rows.shape[1]):
            bits = np.uint32(bits | rows[0, word, i] | rows[1, word, i])
        fired[i] = bits != 0
        if fired[i]:
            before[i] = weights[i]
    if total > 0:
        if MERGING:
            apply(
                weights, cells, sigma, chunks, rows, columns, words, numbers_, narrow[0], alone, keys[5], first, merged,
                narrow[5],
            )  # fmt: skip
        else:
            apply(weights, cells, sigma, chunks, rows, columns, words, numbers_)
        if len(taken):
            tally(taken, rows, columns, ONLY_UP)
    return total


@cache
def send_loop(device_step: Any, parameters: int, only_up: bool, merging: bool, parallel: bool) -> Any:
    """`send` for one step function, as `loop_of`."""
    made = loop_of(device_step, parameters, only_up, merging, parallel)
    names: dict[str, Any] = {"step": device_step, "PARAMETERS": parameters, "ONLY_UP": int(only_up)}
    sources = [str(m.__file__) for m in (drivers, trains, one_by_one, merged, merged_vector, wear)]
    return compile_loop(
        send, False, tuple(sources), draw=drivers.DRAW.variant(0), apply=made,
        tally=compile_loop(wear.tally, parallel), MERGING=int(merging), PARALLEL=int(parallel), **names,
    )  # fmt: skip


def chunking(merging: bool, device: PulsedDevice, lines: int, most: int = _MERGED_SLOTS) -> tuple[int, int]:
    """Most slots of a chunk, and slots of a vector that is a chunk by itself.

    lines: the longer side of the array. most: slots of a merged chunk.
    """
    if not merging:
        return max(1, _EXACT_BITS // lines), 1 << 30
    if device.step in merged_vector.SMOOTH_STEPS:
        return most, _ALONE_SMOOTH
    return most, _ALONE_CONSTANT if device.step is constant_step else _ALONE


@cache
def _count_loop(device_step: Any, parameters: int, only_up: bool) -> Loop:
    names = {"step": device_step, "read": reader(parameters), "PARAMETERS": parameters}
    return Loop(one_by_one.count, PARALLEL_WORK, **names, **({"ONLY_UP": 1} if only_up else {}))


@lru_cache(maxsize=4096)
def _keys(drivers: tuple[int, ...], stream: tuple[int, ...]) -> NDArray[np.uint64]:
    of_lines = Purpose.ROW_ROUNDING, Purpose.COLUMN_ROUNDING, Purpose.ROW_PULSES, Purpose.COLUMN_PULSES
    of_cells = Purpose.PULSE_NOISE, Purpose.MERGED_NOISE
    return np.array([rng.key(*drivers, p) for p in of_lines] + [rng.key(*stream, p) for p in of_cells], np.uint64)


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
    """As `pulses.update`: apply the pairs in order to ``weights``, in place; contiguous float32 tensors on the CPU.

    before: receives the weights as they were, of the rows that fire.
    """
    if not parameters.pulse_type.random:
        if before is not None:
            before.keep(weights)
        return _counted(weights, cells, device, x, d, learning_rate, parameters, stream, first, lines, only_up, taken)
    assert isinstance(device, PulsedDevice), "only an update in floating point needs no pulses"
    merging, sigma, rule, steps = _plan(device, parameters)
    w, cell, vectors = weights.numpy(), cells.pulse.numpy(), x.shape[0]
    limit, alone = chunking(merging, device, max(w.shape))
    # To merge a chunk costs about as much as four slots one by one.
    work = w.size * (4 if merging else min(limit, parameters.desired_bl * vectors))
    parallel = work > PARALLEL_WORK and numba.get_num_threads() > 1
    wide, narrow, merged = np.zeros((2, vectors), np.int64), np.zeros((6, vectors), np.int32), np.zeros(vectors, bool)
    send = send_loop(device.step, (cell.shape[2] - 2) // 2, only_up, merging, parallel)
    strength, flip = abs(learning_rate) / device.granularity, learning_rate < 0
    of_lines = strength, rule, *steps, parameters.sto_round, _keys(lines or stream, stream), first, flip, limit, alone
    counted = _UNCOUNTED if taken is None else taken.numpy()
    kept = (counted, *_NOTHING) if before is None else (counted, before.weights.numpy(), before.rows)
    total = send(w, cell.reshape(len(w), -1), sigma, x.numpy(), d.numpy(), *of_lines, wide, narrow, merged, *kept)
    if total < 0:
        raise not_finite("input x" if total == -1 else "error d")
    counts = UpdateCounts.of(wide, narrow, merged)
    if only_up:
        wide[1] = 0
    if parameters.pulse_type is PulseType.STOCHASTIC:
        counts.separate_trains(both_signs(x).numpy())
    return counts


@by_identity
def _plan(device: PulsedDevice, parameters: UpdateParameters) -> tuple[bool, np.float32, Any, tuple[np.float32, ...]]:
    """What of an update follows from its configuration: (whether pulses merge, noise of one, rule, rounding steps)."""
    merging = parameters.execution is Execution.MERGED and merged.covers(device)
    return merging, np.float32(device.dw_min_std), parameters.rule, tuple(map(np.float32, parameters.steps))


def _counted(
    weights: torch.Tensor,
    cells: Cells,
    device: Device,
    x: torch.Tensor,
    d: torch.Tensor,
    learning_rate: float,
    parameters: UpdateParameters,
    stream: tuple[int, ...],
    first: int,
    lines: tuple[int, ...] | None,
    only_up: bool,
    taken: torch.Tensor | None,
) -> UpdateCounts:
    """`update` by the pulse types that leave nothing to chance: a number of coincidences per cell, or none at all."""
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
        loop = _count_loop(device.step, (cells.pulse.shape[2] - 2) // 2, only_up)
        w, cell, flip = weights.numpy(), cells.pulse.numpy().reshape(len(weights), -1), learning_rate < 0
        _count(loop, w, cell, np.float32(device.dw_min_std), drive, mean, noise_key, first, flip, counts)
    if taken is not None:
        for vector, slots in enumerate(drive.slots.tolist()):
            chance_d, chance_x = (torch.from_numpy(of[vector]) for of in (drive.chances_d, drive.chances_x))
            met = coincidences(chance_d, chance_x, slots, pulse_type)
            taken += (met * ((d[vector][:, None] * x[vector] * learning_rate < 0) if only_up else 1)).int()
    return counts


def _count(
    loop: Loop,
    weights: NDArray[np.float32],
    cells: NDArray[np.float32],
    sigma: Any,
    drive: Drive,
    mean: bool,
    noise_key: Any,
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
