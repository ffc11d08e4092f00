"""Every pulse of a training run with its time: what arrays noted of themselves meets what the engine found.

The recorders of arrays (`rpusim.kernels.pulses.recorder`) hold the trains of each array in order. Activity has a row
for each train, in the order in which the cell did its work: updates vector by vector, each followed by the transfers
and the maintenance that it made due. The engine has an event for each of these rows. So the k-th slot of a train lies

    start + (turn slots + k) width of a slot

where the turn is 0, or on tiles that are written row by row the number of the row. Trains must have as many pulses up
and down as their row counts, or it is our mistake.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

from rpusim.arch.contract.activity import Activity, Phase
from rpusim.arch.contract.cell_layout import CellLayout
from rpusim.arch.contract.columns import Integers
from rpusim.arch.engine.events import Events, Op
from rpusim.arch.schedule.plan import Plan
from rpusim.kernels import AnalogTile
from rpusim.kernels.cells.base import CellParameters
from rpusim.kernels.cells.mixed_precision import MixedPrecision
from rpusim.kernels.cells.residual.multi_tile import MultiTile
from rpusim.kernels.cells.vector import Policy, Vector
from rpusim.kernels.pulses.recorder import Recorder, Train

COLUMNS = (
    *("time_ps", "mini_batch", "layer", "tile", "array", "row", "column"),
    *("up", "cause", "sample", "vector", "slot", "activity"),
)
"""Columns of a table of pulses, all int64.

time_ps:       at which the slot of the pulse begins, since the run began.
mini_batch:    counted from 0, as steps of activity are.
layer, tile:   index of the layer, and of the block within it.
array:         of the unit cell. row, column: of the array.
up:            1 for a pulse that raises the weight, 0 for one that lowers it.
cause:         a `Phase`: update, transfer or maintenance.
sample:        of the mini-batch; -1 of maintenance between mini-batches.
vector:        of the sample, of the layer's vectors, that the pulse comes from, or which made its transfer due.
slot:          of its train.
activity:      its row of activity, among those that were timed together.
"""


class Listener:
    """Listen to the arrays of one tile, whose pulses are from now on sent by the specification.

    tile: as its numbers in activity say. trains: by step, those of each array of the unit cell, in order.
    """

    def __init__(self, tile: AnalogTile) -> None:
        self.tile = tile
        self.trains: dict[int, list[list[Train]]] = {}
        self._recorders = []
        for array in tile.cell._arrays:
            holder = getattr(array, "array", array)  # a reference of zero-shifting stands around the array itself
            holder.recorder = Recorder()
            self._recorders.append(holder.recorder)

    def end(self, step: int) -> int:
        """Keep what was noted as that of a step; returns how many pulses that were."""
        self.trains[step] = [recorder.take() for recorder in self._recorders]
        return sum(len(train.up) for trains in self.trains[step] for train in trains)


def takes_turns(cell: CellParameters) -> bool:
    """Whether one array after the other takes the pulses of an update, so that the layout names one for all."""
    if isinstance(cell, MixedPrecision):
        return takes_turns(cell.inner)
    return isinstance(cell, MultiTile) or (isinstance(cell, Vector) and cell.policy is not Policy.ALL)


def table_of(
    activity: Activity, events: Events, plan: Plan, listeners: Sequence[Listener], begun_ps: int
) -> NDArray[np.int64]:
    """Give every pulse of some mini-batches its time.

    activity, events: of mini-batches that were timed together. plan: by which. listeners: of all tiles. begun_ps: when
    they began.

    Returns a table (`COLUMNS`, pulses), tile by tile in program order.
    """
    pulsed = np.flatnonzero((events.op == Op.PULSE) & (events.amount > 0))
    start = np.full(len(activity), -1, np.int64)
    start[events.row[pulsed]] = events.start[pulsed]
    parts = [np.zeros((len(COLUMNS), 0), np.int64)]
    for listener in listeners:
        tile = listener.tile
        layer = plan.layers[tile.layer]
        block, vectors = layer.blocks[tile.tile], layer.placed.layer.vectors
        pulses = block.kind.pulses
        assert pulses is not None, "activity of a chip that does not train"
        for row, array, train in _trains(activity, listener, plan.placement.cell):
            alone = activity.phase[row] == Phase.TRANSFER and plan.placement.cell.slices == "row"
            in_turn = not alone and int(pulses.turns(2)) > 1
            turn = train.row if in_turn else np.zeros_like(train.row)
            step, vector, phase = (int(getattr(activity, name)[row]) for name in ("step", "vector", "phase"))
            sample, within = (vector // vectors, vector % vectors) if vector >= 0 else (-1, -1)
            columns = dict.fromkeys(COLUMNS, np.zeros_like(train.row))
            columns |= {"row": train.row, "column": train.column, "up": train.up.astype(np.int64), "slot": train.slot}
            columns["time_ps"] = begun_ps + start[row] + (turn * train.slots + train.slot) * block.slot_ps
            for name, number in (
                *(("mini_batch", step), ("layer", tile.layer), ("tile", tile.tile), ("array", array)),
                *(("cause", phase), ("sample", sample), ("vector", within), ("activity", row)),
            ):
                columns[name] = np.full_like(train.row, number)
            parts.append(np.stack(list(columns.values())))
    return np.concatenate(parts, axis=1)


def in_order(tables: Iterable[NDArray[np.int64]]) -> dict[str, NDArray[np.int64]]:
    """Join tables of `table_of`: the columns by name, in the order of time and place."""
    table = np.concatenate([np.zeros((len(COLUMNS), 0), np.int64), *tables], axis=1)
    by = [table[COLUMNS.index(name)] for name in ("slot", "column", "row", "array", "tile", "layer", "time_ps")]
    return dict(zip(COLUMNS, table[:, np.lexsort(by)], strict=True))


def _trains(activity: Activity, listener: Listener, cell: CellLayout) -> Iterator[tuple[int, int, Train]]:
    """Give every train of a tile with its row of activity and its array, in program order."""
    tile = listener.tile
    mine = (activity.layer == tile.layer) & (activity.tile == tile.tile) & (activity.phase >= Phase.UPDATE)
    rows = np.flatnonzero(mine & (activity.slots > 0))
    rows = rows[np.argsort(activity.vector[rows], kind="stable")]  # each update before what it made due
    for step in np.unique(activity.step):
        of_step = rows[activity.step[rows] == step]
        yield from _of_step(activity, of_step, listener.trains.get(int(step), []), cell, takes_turns(tile.config.cell))


def _of_step(
    activity: Activity, rows: Integers, left: list[list[Train]], cell: CellLayout, turns: bool
) -> Iterator[tuple[int, int, Train]]:
    """Give the trains of one step. rows: of activity, in program order. left: trains of each array, in order."""
    heads = [0] * len(left)
    for row in rows.tolist():
        phase, array = Phase(activity.phase[row]), int(activity.array[row])
        if phase == Phase.MAINTENANCE:
            arrays: tuple[int, ...] = (array,)
        elif turns:
            arrays = tuple(range(len(left)))
        else:
            arrays = cell.learning if phase == Phase.UPDATE else cell.targets[array]
        arrays = tuple(k for k in arrays if heads[k] < len(left[k]))
        if turns and phase != Phase.MAINTENANCE:
            arrays = (min(arrays, key=lambda k: left[k][heads[k]].place),)
        found = [(k, left[k][heads[k]]) for k in arrays]
        ups = sum(int(train.up.sum()) for _, train in found)
        downs = sum(len(train.up) for _, train in found) - ups
        assert (ups, downs) == (activity.coincidences_up[row], activity.coincidences_down[row]), "other pulses"
        assert all(train.slots == activity.slots[row] for _, train in found), "trains of another length"
        for k, train in found:
            heads[k] += 1
            yield row, k, train
    assert heads == [len(trains) for trains in left], "trains that no row of activity counts"
