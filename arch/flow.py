"""What one vector does, phase by phase, as tasks of a program: the order of operations on the units of a chip.

    forward    manage, fetch, drive, convert, scale; partial sums to their home; what follows the layer; results sent
    error      what arrived as gradient becomes the layer's error: derivatives, sums of branches
    backward   as forward on the other side; overlapping windows summed; gradients sent
    update     both sides' registers loaded, all pulse slots at once over the array; a digital bias by arithmetic
    transfer   one slice of an array of the unit cell read, digital memory read and written, another array pulsed

Each function takes the vectors of one phase of one layer (`Work`), and what has to be there before each (`Wait`), and
returns what others can wait for (`Done`). Which waits for which is decided in `schedule`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from rpusim.arch.activity import Activity, Phase
from rpusim.arch.events import Op
from rpusim.arch.plan import ArrayPlan, BlockPlan, LayerPlan, Message, Multiply, Plan
from rpusim.arch.program import ALWAYS, Builder, Integers, Operand, Task
from rpusim.arch.quantity import PICOSECONDS_PER_SECOND, transfer_picoseconds

NO_ROW = -1
"""Stands in the row column of events that do not come from one row of activity."""


@dataclass(frozen=True)
class Wait:
    """Until ``counter`` was raised ``count`` times; numbers, or one for each vector of the work that waits."""

    counter: Operand
    count: Operand = 1

    def of(self, chosen: Integers | None) -> Wait:
        """That of some of the vectors; None: all."""
        return Wait(pick(self.counter, chosen), pick(self.count, chosen))


@dataclass(frozen=True)
class Done:
    """Vector i and all before it are done when counter ``first`` + i has been raised ``full`` times."""

    first: int
    full: int

    def by(self, vectors: Integers) -> Wait:
        """Wait for these vectors; those below 0 are not waited for."""
        there = vectors >= 0
        return Wait(np.where(there, self.first + vectors, ALWAYS), np.where(there, self.full, 0))


@dataclass(frozen=True)
class Work:
    """The vectors of one phase of one layer, over all mini-batches, in order; each array has one entry per vector.

    step, sample: counted from the first of the program. vector: within its mini-batch. rows: (vectors, blocks of a
    replica) rows of activity; None where nothing is recorded.
    """

    layer: LayerPlan
    phase: Phase
    step: Integers
    sample: Integers
    vector: Integers
    rows: Integers | None

    def __len__(self) -> int:
        return len(self.vector)

    @property
    def position(self) -> Integers:
        """Within its sample."""
        return self.vector % self.layer.placed.layer.vectors

    def of_replica(self, number: int) -> Integers | None:
        """Which vectors a replica does: they take turns. None: all."""
        replicas = self.layer.placed.replicas
        return None if replicas == 1 else np.flatnonzero(self.vector % replicas == number)


@dataclass(frozen=True)
class Extras:
    """Transfers and maintenance of one layer in program order: (step, vector) they follow, tile, row of activity."""

    step: Integers
    vector: Integers
    tile: Integers
    row: Integers
    phase: Integers


class Flow:
    """Adds tasks to ``builder`` for vectors of ``activity`` on the chip of ``plan``."""

    def __init__(self, plan: Plan, activity: Activity) -> None:
        self.plan = plan
        self.builder = Builder([1] * len(plan.stations))
        self._passes = activity.passes.astype(np.int64)
        self._slots = activity.slots.astype(np.int64)
        self._algorithm_ops = activity.digital_ops
        self._rates = [round(kind.digital.rate) for kind in plan.placement.chip.tiles]

    # --- phases -------------------------------------------------------------------------------------------------------

    def forward(self, work: Work, start: Sequence[Wait], merges: Sequence[Wait] = ()) -> Done:
        """Vectors through a layer; ``merges``: other branches that have to be there before what follows (their sum)."""
        layer, sends = work.layer, []
        if layer.input_ops:
            start = [self._at_homes(work, layer.placed.row_homes, start, self._shared(work, layer.input_ops)).all]
        multiplied = self._multiplications(work, start)
        for home in range(len(layer.placed.row_homes)):
            of_home = [
                (replica, len(to), message, np.array(emits, np.int64)[work.position])
                for way, emits in zip(layer.outputs, layer.emits, strict=True)
                for to in [way[home]]
                for replica, messages in enumerate(to)
                for message in messages
            ]
            sends.append(of_home)
        operations = self._shared(work, layer.forward_ops)
        return self._at_homes(work, layer.placed.row_homes, [multiplied, *merges], operations, sends).done

    def error(self, work: Work, start: Sequence[Wait]) -> Done:
        operations = self._shared(work, work.layer.derivative_ops)
        return self._at_homes(work, work.layer.placed.row_homes, start, operations).done

    def backward(self, work: Work, start: Sequence[Wait]) -> Done:
        layer = work.layer
        multiplied = self._multiplications(work, start)
        sends = []
        for of_home in layer.gradients:
            replicas = 1 + max((replica for replica, *_ in of_home), default=0)
            sends.append(
                [
                    (replica, replicas, message, self._shared(work, positions))
                    for replica, positions, messages in of_home
                    for message in messages
                ]
            )
        return self._at_homes(work, layer.placed.column_homes, [multiplied], layer.overlap_ops, sends).done

    def update(self, work: Work, start: Sequence[Wait], extras: Extras | None = None) -> Done:
        layer, grid = work.layer, work.layer.placed.grid
        pulsed = self.builder.count(len(work))
        done: list[Wait] = [Wait(pulsed + np.arange(len(work)), grid)]
        for block in layer.blocks:
            chosen = work.of_replica(block.block.tile // grid)
            assert work.rows is not None
            rows = pick(work.rows[:, block.block.tile % grid], chosen)
            order = self._order(work, block, extras, chosen)
            with self._task(work, block, chosen, rows) as task:
                self._wait(task, start, chosen)
                if order:
                    task.wait(order.read, order.read_before)
                self._compute(task, block, self._algorithm_ops[rows])
                arrays = [block.arrays[k] for k in self.plan.placement.cell.learning]
                self._pulse(task, block, arrays, self._slots[rows], block.update_fetch_bits, block.update_fetch_ps)
                if order:
                    task.wait(order.pulsed, np.arange(len(rows)))
                    task.raise_(order.pulsed)
                task.raise_(pick(done[0].counter, chosen))
            if order:
                self._transfers(block, order)
                after = np.zeros(len(work), np.int64)
                after[slice(None) if chosen is None else chosen] = order.transferred_after
                done.append(Wait(order.written, np.maximum.accumulate(after)))
        return self._at_homes(work, layer.placed.row_homes, done, layer.bias_ops).done

    # --- pieces of phases ---------------------------------------------------------------------------------------------

    def _multiplications(self, work: Work, start: Sequence[Wait]) -> Wait:
        """One vector through all blocks of its replica, partial sums added up at their homes."""
        backward = work.phase == Phase.BACKWARD
        counters = self.builder.count(len(work)) + np.arange(len(work))
        grid = work.layer.placed.grid
        for block in work.layer.blocks:
            chosen = work.of_replica(block.block.tile // grid)
            assert work.rows is not None
            rows = pick(work.rows[:, block.block.tile % grid], chosen)
            way, partial, home = block.forward, block.partial_forward, block.row_home
            if backward:
                assert block.backward is not None, "activity of a chip that does not train"
                way, partial, home = block.backward, block.partial_backward, block.column_home
            with self._task(work, block, chosen, rows) as task:
                self._wait(task, start, chosen)
                self._compute(task, block, self._algorithm_ops[rows])
                passes = self._passes[rows]
                with task.unless_zero(passes) as done:
                    if done:
                        task.use(block.buffer, Op.FETCH, way.fetch_ps, way.fetch_bits)
                        visible = [block.arrays[k] for k in self.plan.placement.cell.visible]
                        self._read(task, block, visible, way, passes, backward)
                self._compute(task, block, way.outputs * block.kind.digital.operations_per_output)
                if partial is not None:
                    self._deliver(task, partial, partial.bits)
                    self._compute(task, work.layer.blocks[home], way.outputs)
                task.raise_(pick(counters, chosen))
        return Wait(counters, grid)

    def _read(
        self, task: Task, block: BlockPlan, arrays: Sequence[ArrayPlan], way: Multiply, passes: Operand, backward: bool
    ) -> None:
        """Drive arrays that hang on the same converters (those of the last), and convert."""
        adcs = arrays[-1].adcs(backward)
        drivers = [array.drivers(backward) for array in arrays]
        for array in arrays:
            task.take(array.array)
            task.take(array.drivers(backward))
        task.note(0)
        task.hold(way.lead_ps)
        task.take(adcs)
        task.note(1)
        task.hold((passes - 1) * way.pass_ps + way.overlap_ps + (0 if block.sample_and_hold else way.tail_ps))
        for array in arrays:
            task.give(array.array)
            task.give(array.drivers(backward))
        for array in arrays:
            task.log(Op.DRIVE, array.array, passes, 0)
        for station in drivers:
            task.log(Op.DRIVE, station, 0, 0)
        if block.sample_and_hold:
            task.hold(way.tail_ps)
        task.give(adcs)
        task.log(Op.CONVERT, adcs, passes * way.conversions, 1)

    def _pulse(
        self,
        task: Task,
        block: BlockPlan,
        arrays: Sequence[ArrayPlan],
        slots: Integers,
        fetch_bits: int,
        fetch_ps: int,
    ) -> None:
        """Trains for both sides from the buffer, then all slots at once; arrays that learn together share them."""
        with task.unless_zero(slots) as done:
            if not done:
                return
            task.use(block.buffer, Op.FETCH, fetch_ps, fetch_bits)
            held = [station for a in arrays for station in (a.array, a.row_drivers, a.column_drivers)]
            for station in held:
                task.take(station)
            task.note()
            task.hold(slots * block.slot_ps)
            for station in held:
                task.give(station)
            for number, station in enumerate(held):
                task.log(Op.PULSE, station, slots if number == 0 else 0)

    @dataclass(frozen=True)
    class _Order:
        """Who waits for whom on one block whose unit cells transfer. Counters: pulsed, read, written."""

        pulsed: int
        read: int
        written: int
        after: Integers
        """Of each transfer: the update that made it due, by its place among the updates of this block."""
        extras: Extras
        read_before: Integers
        """Of each update: how many transfers must have been read before it."""
        transferred_after: Integers
        """Of each update: how many transfers there are up to and including its own."""

    def _order(self, work: Work, block: BlockPlan, extras: Extras | None, chosen: Integers | None) -> _Order | None:
        if extras is None:
            return None
        mine = extras.tile == block.block.tile
        if not mine.any():
            return None
        extras = Extras(*(getattr(extras, name)[mine] for name in ("step", "vector", "tile", "row", "phase")))
        width = 1 + max(int(work.vector.max()), int(extras.vector.max()))
        updates = pick(work.step, chosen) * width + pick(work.vector, chosen)
        after = np.searchsorted(updates, extras.step * width + extras.vector)
        assert np.array_equal(updates[np.minimum(after, len(updates) - 1)], extras.step * width + extras.vector), (
            "a transfer without the update that made it due"
        )
        numbers = np.arange(len(updates))
        before, up_to = (np.searchsorted(after, numbers, side=side) for side in ("left", "right"))
        return self._Order(*(self.builder.count(1) for _ in range(3)), after, extras, before, up_to)

    def _transfers(self, block: BlockPlan, order: _Order) -> None:
        """Slices of one array of the unit cell read and accumulated, another one written, in program order."""
        cell, extras, numbers = self.plan.placement.cell, order.extras, np.arange(len(order.after))
        source, target = block.arrays[cell.source], block.arrays[cell.target]
        rows, way = extras.row, block.forward
        passes, slots = self._passes[rows], self._slots[rows]
        kept = cell.words * way.outputs * block.kind.digital.word_bits
        kept_ps = transfer_picoseconds(kept, block.kind.buffer.bandwidth) if kept else 0
        load = way.outputs * block.kind.inputs.bits
        layer, tile = block.block.layer, block.block.tile
        with self.builder.task(len(rows), Phase.TRANSFER, layer, tile, extras.vector, rows) as task:
            task.wait(order.pulsed, order.after + 1)
            task.wait(order.read, numbers)
            with task.unless_zero(passes) as done:
                if done:
                    self._read(task, block, [source], way, passes, backward=False)
            task.raise_(order.read)
            with task.unless_zero(passes) as done:
                if done and kept:
                    task.use(block.buffer, Op.FETCH, kept_ps, kept)
            self._compute(task, block, self._algorithm_ops[rows])
            with task.unless_zero(passes) as done:
                if done and kept:
                    task.use(block.buffer, Op.STORE, kept_ps, kept)
            task.wait(order.written, numbers)
            self._pulse(task, block, [target], slots, load, transfer_picoseconds(load, block.kind.buffer.bandwidth))
            task.raise_(order.written)

    @dataclass(frozen=True)
    class _Finished:
        """all: every vector by itself; done: in order."""

        all: Wait
        done: Done

    def _at_homes(
        self,
        work: Work,
        homes: Sequence[object],
        start: Sequence[Wait],
        operations: Operand | Sequence[int],
        sends: Sequence[Sequence[tuple[int, int, Message, Operand]]] = (),
    ) -> _Finished:
        """Digital operations of every vector, shared among the homes of its replica; then each home's messages.

        operations: of a vector, to be shared; or of each home, a sequence. sends: (replica that gets it, of how many,
        message, how many positions).
        """
        layer = work.layer
        each = len(homes) // layer.placed.replicas
        finished = self.builder.count(len(work)) + np.arange(len(work))
        done = Done(self.builder.count(len(work)), each)
        before = done.by(np.arange(len(work)) - 1)
        for h, home in enumerate(homes):
            block = layer.blocks[home.tile]  # type: ignore[attr-defined]
            chosen = work.of_replica(h // each)
            with self._task(work, block, chosen) as task:
                self._wait(task, start, chosen)
                if isinstance(operations, tuple):
                    self._compute(task, block, operations[h])
                else:
                    self._compute(task, block, share(pick(operations, chosen), h % each, each))
                for replica, replicas, message, positions in sends[h] if sends else ():
                    bits = message.bits * np.broadcast_to(positions, len(work))
                    if replicas > 1:
                        bits = np.where(work.vector % replicas == replica, bits, 0)
                    self._deliver(task, message, pick(bits, chosen))
                task.raise_(pick(finished, chosen))
                self._wait(task, [before], chosen)
                task.raise_(pick(done.first + np.arange(len(work)), chosen))
        return self._Finished(Wait(finished, each), done)

    def _shared(self, work: Work, total: int) -> Operand:
        """Of ``total`` per sample, each vector's share."""
        vectors = work.layer.placed.layer.vectors
        return 0 if total == 0 else share(total, work.position, vectors)

    def _task(self, work: Work, block: BlockPlan, chosen: Integers | None, rows: Operand = NO_ROW):  # type: ignore[no-untyped-def]
        vector = pick(work.vector, chosen)
        return self.builder.task(len(vector), work.phase, work.layer.index, block.block.tile, vector, rows)

    @staticmethod
    def _wait(task: Task, waits: Sequence[Wait], chosen: Integers | None) -> None:
        for wait in waits:
            task.wait(*vars(wait.of(chosen)).values())

    def _compute(self, task: Task, block: BlockPlan, operations: Operand) -> None:
        """Element operations in the block's digital unit."""
        rate = self._rates[block.block.kind]
        duration = _each(operations, lambda n: -(-n * PICOSECONDS_PER_SECOND // rate))
        task.use(block.digital, Op.DIGITAL, duration, operations)

    def _deliver(self, task: Task, message: Message, bits: Operand) -> None:
        """A message over each link of its route in turn, then into the buffer at its end."""
        on_link = _each(bits, lambda n: transfer_picoseconds(n, self.plan.link_bandwidth))
        to_store = _each(bits, lambda n: transfer_picoseconds(n, self.plan.bandwidth[message.kind]))
        with task.unless_zero(bits) as done:
            if done:
                for hop in message.route:
                    task.use(hop.station, Op.SEND, on_link + hop.latency_ps, bits)
                task.use(message.buffer, Op.STORE, to_store, bits)


def share(total: Operand, index: Operand, parts: int) -> Operand:
    """The ``index``-th of ``parts`` integer shares of ``total``; the shares add up to it exactly."""
    return total * (index + 1) // parts - total * index // parts


def pick(values: Operand, chosen: Integers | None) -> Operand:
    """Entries of a column; a number stays as it is."""
    return values if chosen is None or isinstance(values, int) else values[chosen]


def _each(values: Operand, function) -> Operand:  # type: ignore[no-untyped-def]
    """An exact function of integers, applied to a number or to every entry."""
    if isinstance(values, int):
        return int(function(values)) if values else 0
    different, places = np.unique(values, return_inverse=True)
    return np.array([function(int(v)) if v else 0 for v in different], np.int64)[places]
