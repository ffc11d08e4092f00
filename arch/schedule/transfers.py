"""Write what unit cells do between updates (transfers, refreshes), and what is done before a mini-batch begins.

A transfer reads a slice of one array of the unit cell, works on digital memory, and pulses another array. Maintenance
reads or writes an array itself.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from rpusim.arch.contract.activity import Phase
from rpusim.arch.contract.columns import Integers, pick, plain
from rpusim.arch.engine.program import Task, only
from rpusim.arch.schedule.plan import BlockPlan, LayerPlan
from rpusim.arch.schedule.work import Done, Extras, Work
from rpusim.arch.schedule.writer import Writer


@dataclass(frozen=True)
class Serial:
    """Name the gates of what is done in a row: gate ``first`` + n opens when number n is done, and so all before it."""

    first: int

    def before(self, numbers: Integers) -> Integers:
        """Return the gates that open when so many are done; nothing is waited for where that is 0."""
        return only(numbers > 0, self.first + numbers - 1)


@dataclass(frozen=True)
class Order:
    """Say which updates and transfers of one block wait for each other.

    extras:             the block's transfers and maintenance.
    ready:              (extras,) gate that each waits for: of the update that made it due, and all before it.
    pulsed:             gates of the block's updates.
    read:               gates of the extras' reads.
    written:            gates of the extras' writes.
    read_before:        (updates,) how many extras must have been read before each update.
    transferred_after:  (updates,) how many extras there are up to and including those that each update makes due.
    """

    extras: Extras
    ready: Integers
    pulsed: Serial
    read: Serial
    written: Serial
    read_before: Integers
    transferred_after: Integers


class Transfers:
    """Add tasks for transfers and maintenance to the program of a writer."""

    def __init__(self, writer: Writer) -> None:
        self._writer = writer

    def prepare(
        self, layer: LayerPlan, extras: Extras, start: Integers, free: Mapping[int, Integers] | None = None
    ) -> Done:
        """Write the maintenance that comes before mini-batches.

        Args:
            layer: whose arrays are maintained.
            extras: the maintenance, of all its blocks.
            start: (mini-batches,) gates to wait for.
            free: by tile, gates to wait for in place of these: of blocks that take turns, that of who was there before.

        Returns:
            One gate for each mini-batch, in order, that opens when its maintenance is done.
        """
        builder, steps = self._writer.builder, np.unique(extras.step)
        done = Done(builder.gates(int(steps.max()) + 1))
        for tile, mine in extras.sorted_by(extras.tile):
            block = layer.blocks[tile]
            none = np.zeros(0, np.int64)
            pulsed, read, written = (self._serial(len(mine.step)) for _ in range(3))
            begin = (free or {}).get(block.block.tile, start)
            order = Order(mine, begin[mine.step], pulsed, read, written, none, none)
            self.follow(block, order)
            until = np.searchsorted(mine.step, steps, side="right")
            with builder.task(len(steps), Phase.MAINTENANCE, layer.index, block.block.tile, 0) as task:
                task.wait(order.written.before(until))
                task.raise_(done.first + steps)
        return done

    def order(self, work: Work, block: BlockPlan, extras: Extras | None, chosen: Integers | None) -> Order | None:
        """Find which updates and transfers of one block wait for each other.

        Args:
            work: the updates of the layer.
            block: of the layer.
            extras: transfers of the layer; None: it has none.
            chosen: indices of the updates of the block's replica; None: all.

        Returns:
            The order; None if the block has no transfers.
        """
        if extras is None:
            return None
        extras = extras.of(extras.tile == block.block.tile)
        if extras is None:
            return None
        width = 1 + max(int(work.vector.max()), int(extras.vector.max()))
        updates = pick(work.step, chosen) * width + pick(work.vector, chosen)
        after = np.searchsorted(updates, extras.step * width + extras.vector)
        assert np.array_equal(updates[np.minimum(after, len(updates) - 1)], extras.step * width + extras.vector), (
            "a transfer without the update that made it due"
        )
        numbers = np.arange(len(updates))
        before, up_to = (np.searchsorted(after, numbers, side=side) for side in ("left", "right"))
        pulsed, read, written = (self._serial(number) for number in (len(updates), len(after), len(after)))
        return Order(extras, pulsed.first + after, pulsed, read, written, before, up_to)

    def follow(self, block: BlockPlan, order: Order) -> None:
        """Write the transfers or maintenance of a block in program order: one task for each phase and array."""
        phase, array = order.extras.phase, self._writer.activity.array[order.extras.row]
        for number, k in np.unique(np.stack([phase, array]), axis=1).T.tolist():
            self._transfer(block, order, Phase(number), k, np.flatnonzero((phase == number) & (array == k)))

    def _serial(self, number: int) -> Serial:
        return Serial(self._writer.builder.gates(number))

    def _transfer(self, block: BlockPlan, order: Order, phase: Phase, k: int, chosen: Integers) -> None:
        """Read and accumulate slices of array ``k`` and pulse its targets; in maintenance, the array itself.

        chosen: indices of the extras that do so.
        """
        writer, units = self._writer, self._writer.units
        cell, rows = writer.plan.placement.cell, order.extras.row[chosen]
        transfer = phase == Phase.TRANSFER
        by_row = transfer and cell.slices == "row"
        way, (lines, columns) = block.way(drives_rows=by_row), block.block.lines
        targets = [block.arrays[target] for target in (cell.targets[k] if transfer else (k,))]
        load = (way.outputs + (columns if cell.slices == "all" else 0)) * block.kind.digital.word_bits
        layer, tile, vector = block.block.layer, block.block.tile, order.extras.vector[chosen]
        passes, slots = plain(writer.passes[rows]), plain(writer.slots[rows])
        with writer.builder.task(len(rows), phase, layer, tile, vector, rows) as task:
            task.wait(order.ready[chosen])
            task.wait(order.read.before(chosen))
            with task.unless_zero(passes) as done:
                if done:
                    units.read(task, block, [block.arrays[a] for a in cell.read_for(k)], way, passes, by_row)
            task.raise_(order.read.first + chosen)
            units.remember(task, block, cell.words * way.outputs * transfer, plain(writer.asked[rows]))
            task.wait(order.written.before(chosen))
            if block.block.reloaded:
                self._bring(task, block, writer.activity.writes[rows])
            reset = np.where(slots == 0, writer.activity.writes[rows], 0)  # without the pulses of a train
            units.write(task, block, block.arrays[k], reset, writer.activity.active_rows[rows].astype(np.int64))
            units.pulse(task, block, targets, slots, load, 1 if by_row else lines)
            task.raise_(order.written.first + chosen)

    def _bring(self, task: Task, block: BlockPlan, weights: Integers) -> None:
        """Bring weights to a tile that is to hold them, from DRAM or the host, one word each, and out of its buffer.

        On a chip with neither nothing is counted of what lies outside, as of its inputs.
        """
        writer, bits = self._writer, weights * block.kind.digital.word_bits
        part = next((name for name in ("DRAM", "host link") if name in writer.plan.outside), None)
        if part is None:
            return
        writer.units.outside(task, part, bits, reading=True)
        writer.units.deliver(task, writer.plan.layers[block.block.layer].from_edge[block.block.tile], bits)
        writer.units.recall(task, block, bits, reading=True)
