"""What happened when: one row per operation of a unit, in integer columns, never a Python object each."""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum

import numpy as np
from numpy.typing import NDArray


class Op(IntEnum):
    """What a unit did.

    FETCH: bits read from a buffer, the global buffer or DRAM. DRIVE: lines driven, array held. CONVERT: ADC rounds.
    DIGITAL: element operations. STORE: bits written to one of these memories. SEND: a message over one link. PULSE: an
    update. WRITE: rows of an array programmed, one after the other. HOST: a transfer over the host link.
    """

    FETCH = 0
    DRIVE = 1
    CONVERT = 2
    DIGITAL = 3
    STORE = 4
    SEND = 5
    PULSE = 6
    WRITE = 7
    HOST = 8


COLUMNS = ("op", "station", "row", "layer", "tile", "phase", "vector", "start", "end", "amount")
"""Columns of an event log.

op: an `Op`. station: the unit (index into `Plan.stations`). row: the Activity row it comes from, -1 if none.
layer, tile: the block that caused it. phase, vector: of that block's work. start, end: ps. amount: bits or operations.
"""


@dataclass(frozen=True)
class Events:
    """Columns of equal length (int64); see `COLUMNS`."""

    op: NDArray[np.int64]
    station: NDArray[np.int64]
    row: NDArray[np.int64]
    layer: NDArray[np.int64]
    tile: NDArray[np.int64]
    phase: NDArray[np.int64]
    vector: NDArray[np.int64]
    start: NDArray[np.int64]
    end: NDArray[np.int64]
    amount: NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.op)

    @property
    def duration(self) -> NDArray[np.int64]:
        return self.end - self.start

    @property
    def makespan_ps(self) -> int:
        return int(self.end.max()) if len(self) else 0

    def busy_ps(self, stations: int) -> NDArray[np.int64]:
        """Busy time of each station."""
        busy = np.zeros(stations, np.int64)
        np.add.at(busy, self.station, self.duration)
        return busy

    def columns(self) -> dict[str, NDArray[np.int64]]:
        return {name: getattr(self, name) for name in COLUMNS}


def covered_ps(start: NDArray[np.int64], end: NDArray[np.int64]) -> int:
    """Total time covered by intervals, overlaps counted once."""
    if not len(start):
        return 0
    order = np.argsort(start, kind="stable")
    start, end = start[order], np.maximum.accumulate(end[order])
    before = np.concatenate([start[:1], end[:-1]])
    return int(np.maximum(end - np.maximum(start, before), 0).sum())
