"""Activity without a numeric kernel: what a network is assumed to do when only its shape is known.

Used by `rpusim time`. Stated assumptions: every vector takes one pass (no retries, nothing skipped); every line is
active; an update uses a full pulse train; in each slot every line fires with probability `FIRING_PROBABILITY`, lines
independently, and half of the coincidences raise a weight. What unit cells do between updates comes at its fixed
periods (`Between`); how many slices are written is assumed as well.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import ArrayLike, NDArray

from rpusim.arch.contract.activity import EMPTY, Activity, ActivityLog, Phase
from rpusim.arch.mapping.placement import Block, Placement

FIRING_PROBABILITY = 0.25
"""Of a line in a pulse slot. A guess: half the lines active, half the slots of an active line."""

STATEMENT = (
    "assumed, not computed: one pass per vector, all lines active, full pulse trains, lines firing with probability "
    f"{FIRING_PROBABILITY}"
)


@dataclass(frozen=True)
class Between:
    """What the cells of one block do between updates: every ``period`` vectors, ``slices`` rows of activity.

    read, write: columns of `Activity` of every row, and of those that write. written: the share of rows that write.
    """

    phase: Phase
    period: int
    slices: int = 1
    array: int = 0
    written: float = 0.0
    read: dict[str, int] = field(default_factory=dict)
    write: dict[str, int] = field(default_factory=dict)


@dataclass(frozen=True)
class Learning:
    """What unit cells are assumed to do with a vector's gradient, and between updates.

    bl: pulse slots of an update; None: as many as the chip's own train has. arrays: how many take every coincidence of
    an update. operations: digital operations of an update, by rows and columns of the block. between: by rows, columns,
    and vectors of the block in a mini-batch.
    """

    bl: int | None = None
    arrays: int = 1
    operations: Callable[[int, int], int] = lambda rows, columns: 0
    between: Callable[[int, int, int], Iterable[Between]] = lambda rows, columns, vectors: ()


PLAIN = Learning()


def trains(slots: int, rows: int, columns: int, arrays: int = 1) -> dict[str, int]:
    """Columns of `Activity` for a pulse train on ``rows`` and ``columns`` lines, of so many arrays together."""
    met = arrays * round(slots * FIRING_PROBABILITY**2 * rows * columns)
    return {
        "slots": slots,
        "coincidences_up": met // 2,
        "coincidences_down": met - met // 2,
        "row_pulses": round(FIRING_PROBABILITY * slots * rows),
        "column_pulses": round(FIRING_PROBABILITY * slots * columns),
    }


def assumed_activity(
    placement: Placement, samples: int, training: bool, batch: int = 1, learning: Learning = PLAIN
) -> Activity:
    """Rows for ``samples`` samples in mini-batches of ``batch`` if ``training``, else in one batch of inference.

    The vectors of a mini-batch take turns among the replicas of a layer.
    """
    log = ActivityLog()
    for block in placement.blocks():
        placed = placement.layers[block.layer]
        per_step = placed.layer.vectors * (batch if training else samples)
        step, vector = np.divmod(np.arange(samples * placed.layer.vectors), per_step)
        mine = vector % placed.replicas == block.tile // placed.grid
        where = _Where(block, step[mine], vector[mine])
        where.write(log, phase=Phase.FORWARD, passes=1)
        pulses = placement.chip.tiles[block.kind].pulses
        if training and pulses is not None:
            if any(producer >= 0 for producer in placement.network.predecessors(block.layer)):
                back = vector[mine] % placed.layer.vectors >= placed.layer.unread
                _Where(block, step[mine][back], vector[mine][back]).write(log, phase=Phase.BACKWARD, passes=1)
            bl = (learning.bl or pulses.bl) if placement.cell.learning else 0
            operations = learning.operations(block.rows, block.columns)
            sent = trains(bl, block.rows, block.columns, learning.arrays)
            where.write(log, phase=Phase.UPDATE, digital_ops=operations, **sent)
            after = where.between(learning.between(block.rows, block.columns, -(-per_step // placed.replicas)))
            log.append(len(after), **vars(after))
    return log.take()


@dataclass(frozen=True)
class _Where:
    """Vectors of one block, in order."""

    block: Block
    step: NDArray[np.int64]
    vector: NDArray[np.int64]

    def write(self, log: ActivityLog, **columns: int) -> None:
        lines = {"active_rows": self.block.rows, "active_columns": self.block.columns}
        place = {"layer": self.block.layer, "tile": self.block.tile}
        log.append(len(self.step), step=self.step, vector=self.vector, **place, **lines, **columns)

    def between(self, each: Iterable[Between]) -> Activity:
        """After the vectors at which they fall due."""
        rows = Activity.concatenate(self._every(one) for one in each)
        return rows.select(np.lexsort((rows.vector, rows.step)))

    def _every(self, one: Between) -> Activity:
        due = np.arange(one.period - 1, len(self.step), one.period).repeat(one.slices)
        if not len(due):
            return EMPTY
        number = np.arange(len(due))
        writes = np.floor((number + 1) * one.written) > np.floor(number * one.written)
        columns: dict[str, ArrayLike] = {name: writes * value for name, value in one.write.items()}
        columns |= {"step": self.step[due], "vector": self.vector[due], "layer": self.block.layer}
        return Activity.rows(**columns, tile=self.block.tile, phase=one.phase, array=one.array, **one.read)
