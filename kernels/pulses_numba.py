"""The pulsed update in compiled loops: the same pulses and the same numbers as `pulses.update`, fast on a CPU.

`pulses_lines` makes the bits of rows and columns for a chunk of vectors; `pulses_exact` applies the coincidences one by
one, `pulses_merged` many of a cell at once where that is the same. This file plans the chunks and chooses.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import cache
from typing import Any

import numpy as np
import torch
from numba import njit
from numpy.typing import NDArray

from rpusim.kernels import pulses_exact, rng
from rpusim.kernels.compiled import Loop
from rpusim.kernels.devices.base import Cells, PulsedDevice
from rpusim.kernels.pulses import both_signs, floating_point
from rpusim.kernels.pulses_lines import Drive, Trains
from rpusim.kernels.rng import Purpose
from rpusim.kernels.trains import PulseType, UpdateCounts, UpdateParameters

# Bits are drawn for vectors of about this many slots x lines at a time, so that lists and words stay in the cache.
_CHUNK_BITS = 1 << 20
# Work (cells x slots, about 1 ns each) above which a parallel launch pays even if another process has a core.
_PARALLEL_WORK = 16_000_000


@cache
def reader(number: int) -> Any:
    """A compiled function that reads ``number`` consecutive values as a tuple: (values, at) -> (values[at], ...)."""
    if number == 0:
        return njit(lambda values, at: ())
    others = reader(number - 1)
    return njit(lambda values, at: (values[at], *others(values, at + 1)))


@cache
def _of_device(template: Callable[..., Any], step: Callable[..., Any], parameters: int, only_up: bool = False) -> Loop:
    names = {"step": step, "read": reader(parameters), "PARAMETERS": parameters}
    return Loop(template, _PARALLEL_WORK, **names, **({"ONLY_UP": 1} if only_up else {}))


def update(
    weights: torch.Tensor,
    cells: Cells,
    device: PulsedDevice,
    x: torch.Tensor,
    d: torch.Tensor,
    learning_rate: float,
    parameters: UpdateParameters,
    stream: tuple[int, ...],
    first: int,
    lines: tuple[int, ...] | None = None,
    only_up: bool = False,
) -> UpdateCounts:
    """As `pulses.update`: apply the pairs in order to ``weights``, in place; contiguous float32 tensors on the CPU."""
    drivers, pulse_type = lines or stream, parameters.pulse_type
    drive = Drive.plan(x.numpy(), d.numpy(), abs(learning_rate) / device.granularity, parameters, drivers, first)
    counts = UpdateCounts.zeros(len(x))
    if not pulse_type.pulsed:
        bounds = cells if pulse_type is PulseType.NONE_WITH_DEVICE else None
        return floating_point(weights, bounds, x, d, learning_rate, only_up, counts)
    counts.slots[:] = drive.slots
    if drive.total == 0:
        return counts
    w, cell = weights.numpy(), cells.pulse.numpy().reshape(len(weights), -1)
    of_device = device.step, (cells.pulse.shape[2] - 2) // 2, *((True,) if only_up else ())
    sigma, flip = np.float32(device.dw_min_std), learning_rate < 0
    noise_key = np.uint64(rng.key(*stream, Purpose.PULSE_NOISE))
    if not pulse_type.random:
        mean = pulse_type is PulseType.MEAN_COUNT
        _counted(
            _of_device(pulses_exact._count, *of_device), w, cell, sigma, drive, mean, noise_key, first, flip, counts
        )
        return counts

    coincide = _of_device(pulses_exact._coincide, *of_device)
    for part in _chunks(drive.slots, _CHUNK_BITS // max(w.shape)):
        trains = Trains.draw(drive, part, drivers, first + part.start, flip, counts)
        pulses_exact.coincide(coincide, w, cell, sigma, trains, noise_key, flip)
    if only_up:
        counts.coincidences_down[:] = 0
    if pulse_type is PulseType.STOCHASTIC:
        counts.separate_trains(both_signs(x).numpy())
    return counts


def _chunks(slots: NDArray[np.int32], limit: int) -> Iterator[slice]:
    """Consecutive vectors that have at most ``limit`` slots together, but always at least one vector."""
    ends = np.cumsum(slots, dtype=np.int64)
    start, before = 0, 0
    while start < len(slots):
        stop = max(start + 1, int(np.searchsorted(ends, before + limit, side="right")))
        yield slice(start, stop)
        start, before = stop, int(ends[stop - 1])


def _counted(
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
    """The pulse types that fix the number of coincidences of a cell."""
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
