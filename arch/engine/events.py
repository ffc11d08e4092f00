"""Record what happened when: one row per operation of a unit, in integer columns, never one Python object each."""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum

import numpy as np
from numpy.typing import NDArray


class Op(IntEnum):
    """Say what a unit did.

    FETCH:    read bits from a buffer, the global buffer or DRAM.
    DRIVE:    drive the input lines of an array, which is held meanwhile.
    CONVERT:  convert an array's output lines, in as many rounds as lines share one ADC.
    DIGITAL:  do element operations in a digital unit.
    STORE:    write bits to a buffer, the global buffer or DRAM.
    SEND:     send a message over one port or link.
    PULSE:    send the pulse trains of an update to an array.
    WRITE:    program rows of an array, one after the other.
    HOST:     move bits over the host link.
    MULTIPLY: multiply activations in a matrix unit.
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
    MULTIPLY = 9


COLUMNS = ("op", "station", "row", "layer", "tile", "phase", "vector", "start", "end", "amount")
"""Columns of an event log, all int64.

op:       an `Op`.
station:  index of the unit in `Plan.stations`.
row:      row of activity that the event comes from; below 0: none, see `NO_ROW`.
layer:    index of the layer that caused it.
tile:     index of the block within that layer.
phase:    of the block's work, a `Phase`.
vector:   of the block's work, within its mini-batch.
start:    ps.
end:      ps.
amount:   what was done: bits, passes, conversions, operations, pulse slots or rows written; 0 of a unit that is only
          held together with another one.
"""

NEVER = -1
"""Start time (ps) in a slot of a program whose operation never ran."""

NO_ROW, PART, WAITING, SAMPLE = -1, -2, -3, -4
"""In the column ``row``, of events that do not come from one row of activity: `PART` if what is sent waits where it is
summed with others until they have come, `SAMPLE` if it is the network's input on its way to the tiles, `WAITING` if the
home of a layer or sum stores what its way back needs, or takes it out again; else `NO_ROW`."""


@dataclass(frozen=True)
class Events:
    """Hold events as columns of equal length; see `COLUMNS`. Of digital work two more say what it was:

    work:   (events,) which row of ``works`` was done; 0: none, as of events of other units. None: nobody knows.
    works:  (different works, classes of `rpusim.arch.contract.digital_work.CLASSES`) operations by class.
    """

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
    work: NDArray[np.int64] | None = None
    works: NDArray[np.int64] | None = None

    def __len__(self) -> int:
        return len(self.op)

    def first(self, number: int) -> Events:
        """Return all events, or a copy of the first ones, so that the rest need not be kept in memory."""
        if len(self) <= number:
            return self
        columns = {name: column[:number].copy() for name, column in self.columns().items()}
        return Events(**columns, work=None if self.work is None else self.work[:number].copy(), works=self.works)

    @property
    def duration(self) -> NDArray[np.int64]:
        """(events,) ps that each event lasted."""
        return self.end - self.start

    @property
    def makespan_ps(self) -> int:
        """Time (ps) at which the last event ended; 0 if there are none."""
        return int(self.end.max()) if len(self) else 0

    def busy_ps(self, stations: int) -> NDArray[np.int64]:
        """Sum the durations (ps) of the events of each station; ``stations``: how many there are."""
        busy = np.zeros(stations, np.int64)
        np.add.at(busy, self.station, self.duration)
        return busy

    def columns(self) -> dict[str, NDArray[np.int64]]:
        """Return the columns by name, in the order of `COLUMNS`."""
        return {name: getattr(self, name) for name in COLUMNS}


def covered_ps(start: NDArray[np.int64], end: NDArray[np.int64]) -> int:
    """Measure the time (ps) covered by intervals, overlaps counted once; ``start``, ``end``: (intervals,) ps."""
    if not len(start):
        return 0
    order = np.argsort(start, kind="stable")
    start, end = start[order], np.maximum.accumulate(end[order])
    before = np.concatenate([start[:1], end[:-1]])
    return int(np.maximum(end - np.maximum(start, before), 0).sum())
