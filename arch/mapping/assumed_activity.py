"""Activity without a numeric kernel: what a network is assumed to do when only its shape is known.

Used by `rpusim time`. Stated assumptions: every vector takes one pass (no retries, nothing skipped); every line is
active; an update uses a full pulse train; in each slot every line fires with probability `FIRING_PROBABILITY`, lines
independently, and half of the coincidences raise a weight. What unit cells do between updates comes at its fixed
periods (`PeriodicWork`). What the data would decide there is assumed as well: full trains are sent every time; where a
threshold has to be passed, each position of a slice has with probability `CROSSING_PROBABILITY`, independently, and
takes one pulse. No cell is reset.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import ArrayLike, NDArray

from rpusim.arch.contract.activity import EMPTY, Activity, ActivityLog, Phase, work_columns
from rpusim.arch.contract.cell_layout import Crossings, FullTrains, PeriodicWork
from rpusim.arch.contract.digital_work import NOTHING, Work
from rpusim.arch.mapping.fit.turns import turns, writing
from rpusim.arch.mapping.placement import Block, Placement

FIRING_PROBABILITY = 0.25
"""That a line fires in a pulse slot. A guess: half the lines active, half the slots of an active line."""

CROSSING_PROBABILITY = 0.1
"""That a position of a slice that is read passes its threshold. A guess: on the digits it is 0.45 in a fully connected
network and 0.04 in a convolutional one (chopped-ttv2-reram-sb, mini-batch 1)."""

STATEMENT = (
    "assumed, not computed: one pass per vector, all lines active, full pulse trains, lines firing with probability "
    f"{FIRING_PROBABILITY}"
)


@dataclass(frozen=True)
class Learning:
    """What unit cells are assumed to do with a vector's gradient, and between updates.

    bl:          pulse slots of an update; None: as many as the chip's own train has.
    arrays:      how many arrays take every coincidence of an update.
    work:        digital operations by class of an update, by rows and columns of the block.
    between:     what is done between updates, by rows and columns of the block and its vectors in a mini-batch.
    """

    bl: int | None = None
    arrays: int = 1
    work: Callable[[int, int], Work] = lambda rows, columns: NOTHING
    between: Callable[[int, int, int], Iterable[PeriodicWork]] = lambda rows, columns, vectors: ()


PLAIN = Learning()


def trains(slots: int, rows: int, columns: int, arrays: int = 1, slices: int = 1) -> dict[str, int]:
    """Assume what a pulse train does.

    slots: its pulse slots. rows, columns: lines of weights that take part on either side. arrays: how many take each
    coincidence. slices: cells of a weight, on rows of their own.
    Returns the columns of `Activity` that it fills, by name.
    """
    rows = rows * slices
    met = arrays * round(slots * FIRING_PROBABILITY**2 * rows * columns)
    return {
        "slots": slots,
        "coincidences_up": met // 2,
        "coincidences_down": met - met // 2,
        "row_pulses": round(FIRING_PROBABILITY * slots * rows),
        "column_pulses": round(FIRING_PROBABILITY * slots * columns),
    }


def pulses(written: FullTrains | Crossings | None, slices: int = 1) -> tuple[float, dict[str, int]]:
    """Say what share of the slices is written, and the columns of `Activity` that the pulses of one of them fill."""
    if written is None:
        return 0.0, {}
    if isinstance(written, FullTrains):
        return 1.0, trains(written.slots, written.rows, written.columns, slices=slices)
    share = 1.0 - (1.0 - CROSSING_PROBABILITY) ** written.positions
    crossed = max(round(CROSSING_PROBABILITY * written.positions / share), 1)
    up, down = crossed // 2, crossed - crossed // 2
    return share, {
        "slots": 1,
        "coincidences_up": written.arrays * up,
        "coincidences_down": written.arrays * down,
        "row_pulses": 1 if written.along_row else crossed,
        "column_pulses": crossed if written.along_row else 1,
    }


def assumed_activity(
    placement: Placement,
    samples: int,
    training: bool,
    batch: int = 1,
    learning: Learning = PLAIN,
    layer: int | None = None,
) -> Activity:
    """Assume the activity of a placed network.

    placement: where its layers lie.
    samples: how many go through it.
    training: whether they train in mini-batches of ``batch``, or are inferred in one batch.
    learning: what the unit cells do with gradients.
    layer: which layer's rows are wanted; None: all.
    Returns rows in program order, block by block. Where blocks take turns on arrays every sample is a step of its own,
    in which they are written.

    The vectors of a mini-batch take turns among the replicas of a layer.
    """
    return _logged(placement, samples, training, batch, learning, layer).take()


def assumed_rows(placement: Placement, samples: int, training: bool, batch: int = 1, learning: Learning = PLAIN) -> int:
    """Count the rows that `assumed_activity` would have of the same arguments, without filling their columns."""
    if not training and not placement.reloads:
        return samples * sum(placed.layer.vectors * placed.grid for placed in placement.layers)
    return len(_logged(placement, samples, training, batch, learning))


def _logged(
    placement: Placement, samples: int, training: bool, batch: int, learning: Learning, layer: int | None = None
) -> ActivityLog:
    log, written = ActivityLog(), turns(placement)
    for block in placement.blocks() if layer is None else placement.layers[layer].blocks:
        placed = placement.layers[block.layer]
        per_step = placed.layer.vectors * (batch if training or placement.reloads else samples)
        step, vector = np.divmod(np.arange(samples * placed.layer.vectors), per_step)
        mine = vector % placed.replicas == block.tile // placed.grid
        where = _Where(block, step[mine], vector[mine])
        if block.tile in written.get(block.layer, ()):
            lying = block if block.turned is None else replace(block.turned, layer=block.layer, tile=block.tile)
            columns = writing(placement.chip.tiles[block.kind], lying, placement.chip.name)
            log.append(samples, step=np.arange(samples), **columns)
        where.write(log, phase=Phase.FORWARD, passes=1)
        pulses = placement.chip.tiles[block.kind].pulses
        if training and pulses is not None:
            if placement.network.goes_back(block.layer):
                back = vector[mine] % placed.layer.vectors >= placed.layer.unread
                _Where(block, step[mine][back], vector[mine][back]).write(log, phase=Phase.BACKWARD, passes=1)
            if placed.layer.frozen:
                continue
            bl = (learning.bl or pulses.bl) if placement.cell.learning else 0
            part = block.lines[0] // block.joined, block.lines[1] // block.joined  # joined groups learn in turn
            work = work_columns(learning.work(*part) * block.joined)
            slices = placement.chip.tiles[block.kind].array.cells_per_weight
            sent = trains(bl, *part, learning.arrays, slices)
            where.write(log, phase=Phase.UPDATE, **work, **{name: n * block.joined for name, n in sent.items()})
            due = learning.between(*block.lines, -(-per_step // placed.replicas))
            after = where.between(due, slices)
            log.append(len(after), **vars(after))
    return log


@dataclass(frozen=True)
class _Where:
    """Vectors of one block, in order, by the mini-batch and the number within it."""

    block: Block
    step: NDArray[np.int64]
    vector: NDArray[np.int64]

    def write(self, log: ActivityLog, **columns: int) -> None:
        lines = dict(zip(("active_rows", "active_columns"), self.block.lines, strict=True))
        place = {"layer": self.block.layer, "tile": self.block.tile}
        log.append(len(self.step), step=self.step, vector=self.vector, **place, **lines, **columns)

    def between(self, each: Iterable[PeriodicWork], slices: int) -> Activity:
        """What is done between updates, after the vectors at which it falls due; slices: cells of a weight."""
        rows = Activity.concatenate(self._every(one, slices) for one in each)
        return rows.select(np.lexsort((rows.vector, rows.step)))

    def _every(self, work: PeriodicWork, slices: int) -> Activity:
        due = np.arange(work.period - 1, len(self.step), work.period).repeat(work.slices)
        if not len(due):
            return EMPTY
        number = np.arange(len(due))
        share, written = pulses(work.pulses, slices)
        writes = np.floor((number + 1) * share) > np.floor(number * share)
        columns: dict[str, ArrayLike] = {name: writes * value for name, value in written.items()}
        columns |= {"passes": work.passes, "phase": work.phase, "array": work.array, **work_columns(work.work)}
        columns |= {"step": self.step[due], "vector": self.vector[due]}
        return Activity.rows(**columns, layer=self.block.layer, tile=self.block.tile)
