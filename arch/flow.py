"""What one vector does, phase by phase, as tasks of a program: the order of operations on the units of a chip.

    forward    manage, fetch, drive, convert, scale; partial sums to their home; what follows the layer; results sent
    error      what arrived as gradient becomes the layer's error: derivatives, sums of branches
    backward   as forward on the other side; overlapping windows summed; gradients sent
    update     both sides' registers loaded, all pulse slots at once over the array; a digital bias by arithmetic
    transfer   one slice of an array of the unit cell read, digital memory read and written, another array pulsed

Beside them, where the chip has what it takes: samples come in from DRAM or over the host link; what an update needs and
the buffers cannot keep is put away and comes back (`storage`); and space in the buffers of those that read a result is
reserved before the vector that makes it is driven, so that a full buffer stalls its producer.

Each function takes the vectors of one phase of one layer (`Work`), and what has to be there before each (`Wait`), and
returns what others can wait for (`Done`). Which waits for which is decided in `schedule`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import overload

import numpy as np
from numpy.typing import NDArray

from rpusim.arch.activity import Activity, Phase
from rpusim.arch.events import Op
from rpusim.arch.mapping import Block
from rpusim.arch.plan import ArrayPlan, BlockPlan, LayerPlan, Message, Multiply, Plan
from rpusim.arch.program import ALWAYS, Builder, Integers, Operand, Task
from rpusim.arch.quantity import PICOSECONDS_PER_SECOND, transfer_picoseconds
from rpusim.arch.storage import Kept, too_small

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
    """Transfers and maintenance of one layer in program order: (step, vector) they follow, tile, row of activity.

    vector -1: before the mini-batch begins (programming, calibration, reads that measure drift).
    """

    step: Integers
    vector: Integers
    tile: Integers
    row: Integers
    phase: Integers

    def of(self, chosen: NDArray[np.bool_]) -> Extras | None:
        """Some of them; None if there are none."""
        return Extras(*(column[chosen] for column in vars(self).values())) if chosen.any() else None


class Flow:
    """Adds tasks to ``builder`` for vectors of ``activity`` on the chip of ``plan``.

    kept: what each layer keeps from forward pass to update (to multiplication, in inference); None: all of it streams
    through, and space is reserved instead.
    """

    def __init__(self, plan: Plan, activity: Activity, kept: tuple[Kept, ...] | None) -> None:
        self.plan, self.kept = plan, kept
        self._trains = activity.trains
        self._away: dict[int, list[int]] = {}
        self._forgetful = too_small(plan.placement)
        self.builder = Builder(plan.stations)
        self._passes = activity.passes.astype(np.int64)
        self._slots = activity.slots.astype(np.int64)
        self._activity = activity
        self._algorithm_ops = activity.digital_ops
        self._rates = [round(kind.digital.rate) for kind in plan.placement.chip.tiles]

    # --- phases -------------------------------------------------------------------------------------------------------

    def forward(self, work: Work, start: Sequence[Wait], merges: Sequence[Wait] = ()) -> Done:
        """Vectors through a layer; ``merges``: other branches that have to be there before what follows (their sum)."""
        layer, sends = work.layer, []
        if self.kept and self._put_away(work, start, self.kept[layer.index].input_bits) and not self._trains:
            start = [self._bring_back(work, start)]
        if layer.input_ops:
            start = [self._at_homes(work, layer.placed.row_homes, start, self._shared(work, layer.input_ops)).all]
        multiplied = self._multiplications(work, self._reserved(work, start))
        self._release(work, multiplied)
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
        done = self._at_homes(work, work.layer.placed.row_homes, start, operations).done
        if self.kept:
            self._put_away(work, [done.by(np.arange(len(work)))], self.kept[work.layer.index].error_bits)
        return done

    def backward(self, work: Work, start: Sequence[Wait]) -> Done:
        layer = work.layer
        multiplied = self._multiplications(work, start)
        sends = []
        for of_home in layer.gradients:
            sends.append(
                [
                    (replica, replicas, message, self._shared(work, positions))
                    for replica, replicas, positions, messages in of_home
                    for message in messages
                ]
            )
        return self._at_homes(work, layer.placed.column_homes, [multiplied], layer.overlap_ops, sends).done

    def update(self, work: Work, start: Sequence[Wait], extras: Extras | None = None) -> Done:
        layer, grid = work.layer, work.layer.placed.grid
        if self._away.get(layer.index):
            start = [*start, self._bring_back(work, start)]
        cell, last = self.plan.placement.cell, np.append(np.diff(work.step), 1)
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
                load = block.update_fetch_bits, block.update_fetch_ps
                if cell.learning:
                    self._compute(task, block, self._algorithm_ops[rows])
                    arrays = [block.arrays[k] for k in cell.learning]
                    self._pulse(task, block, arrays, self._slots[rows], *load, block.block.rows)
                else:  # products are summed up vector by vector; the sum is kept once per mini-batch
                    task.use(block.buffer, Op.FETCH, load[1], load[0])
                    words = cell.words * block.block.rows * block.block.columns
                    self._remember(task, block, pick(last, chosen) * words, self._algorithm_ops[rows])
                if order:
                    task.wait(order.pulsed, np.arange(len(rows)))
                    task.raise_(order.pulsed)
                task.raise_(pick(done[0].counter, chosen))
            if order:
                self._extra_work(block, order)
                after = np.zeros(len(work), np.int64)
                after[slice(None) if chosen is None else chosen] = order.transferred_after
                done.append(Wait(order.written, np.maximum.accumulate(after)))
        return self._at_homes(work, layer.placed.row_homes, done, layer.bias_ops).done

    def prepare(self, layer: LayerPlan, extras: Extras, start: Wait) -> Done:
        """Maintenance before mini-batches; ``start`` and what is returned have one entry per mini-batch, in order."""
        steps = np.unique(extras.step)
        done = Done(self.builder.count(int(steps.max()) + 1), len(np.unique(extras.tile)))
        for block in layer.blocks:
            mine = extras.of(extras.tile == block.block.tile)
            if mine is None:
                continue
            none = np.zeros(0, np.int64)
            pulsed, read, written = (self.builder.count(1) for _ in range(3))
            order = self._Order(mine, start.of(mine.step), pulsed, read, written, none, none)
            self._extra_work(block, order)
            until = np.searchsorted(mine.step, steps, side="right")
            with self.builder.task(len(steps), Phase.MAINTENANCE, layer.index, block.block.tile, 0) as task:
                task.wait(order.written, until)
                task.raise_(done.first + steps)
        return done

    # --- beside the phases --------------------------------------------------------------------------------------------

    def bring_in(self, layers: Sequence[LayerPlan], samples: int, start: Sequence[Wait]) -> Wait | None:
        """Samples of the network's input from DRAM, else from the host, to the tiles that read them; None if there is
        neither, so that they are taken to be there. One counter per sample."""
        messages = [(layer, message) for layer in layers for message in layer.inputs]
        if not messages:
            return None
        part = "DRAM" if "DRAM" in self.plan.outside else "host link"
        there, total = self.builder.count(samples), sum(m.bits for _, m in messages)
        with self.builder.task(samples, Phase.FORWARD, messages[0][0].index, 0, np.arange(samples)) as task:
            self._wait(task, start, None)
            self._outside(task, part, total, reading=True)
            for _, message in messages:
                self._deliver(task, message, message.bits)
            task.raise_(there + np.arange(samples))
        return Wait(there + np.arange(samples))

    def _outside(self, task: Task, part: str, bits: Operand, reading: bool) -> None:
        """Bits to or from the global buffer, DRAM or the host."""
        chip = self.plan.placement.chip
        unit = {"global buffer": chip.global_buffer, "DRAM": chip.memory, "host link": chip.host}[part]
        assert unit is not None
        of_buffer = Op.FETCH if reading else Op.STORE
        op = {"global buffer": of_buffer, "DRAM": Op.MEMORY, "host link": Op.HOST}[part]
        task.use(self.plan.outside[part], op, _each(bits, unit.transfer_ps), bits)

    def _put_away(self, work: Work, start: Sequence[Wait], total: int) -> bool:
        """Take what belongs to samples that the buffers cannot keep to where they go; whether there are any."""
        chosen = self._overflowing(work)
        if not len(chosen) or not total:
            return False
        layer, bits = work.layer, np.broadcast_to(self._shared(work, total), len(work))[chosen]
        counters = self.builder.count(int(work.sample.max()) + 1)
        self._away.setdefault(layer.index, []).append(counters)
        with self._task(work, layer.blocks[0], chosen) as task:
            self._wait(task, start, chosen)
            for hop in layer.to_edge:
                on_link = _each(bits, lambda n: transfer_picoseconds(n, self.plan.link_bandwidth))
                task.use(hop.station, Op.SEND, on_link + hop.latency_ps, bits)
            self._outside(task, self._kept(layer).overflow, bits, reading=False)
            task.raise_(counters + work.sample[chosen])
        return True

    def _bring_back(self, work: Work, start: Sequence[Wait]) -> Wait:
        """Take what was put away back into the layer's buffer; what each vector of ``work`` has to wait for."""
        chosen, layer = self._overflowing(work), work.layer
        total = self._kept(layer).bits if self._trains else self._kept(layer).input_bits
        bits = np.broadcast_to(self._shared(work, total), len(work))[chosen]
        back = self.builder.count(1) if not len(chosen) else self.builder.count(len(work))
        with self._task(work, layer.blocks[0], chosen) as task:
            self._wait(task, start, chosen)
            for counters in self._away[layer.index]:
                task.wait(counters + work.sample[chosen], layer.placed.layer.vectors)
            self._outside(task, self._kept(layer).overflow, bits, reading=True)
            assert layer.from_edge is not None
            self._deliver(task, layer.from_edge, bits)
            task.raise_(back + chosen)
        away = np.zeros(len(work), np.bool_)
        away[chosen] = True
        return Wait(np.where(away, back + np.arange(len(work)), ALWAYS), np.where(away, 1, 0))

    def _kept(self, layer: LayerPlan) -> Kept:
        assert self.kept is not None
        return self.kept[layer.index]

    def _overflowing(self, work: Work) -> Integers:
        """Vectors of samples that do not fit, of a layer that has somewhere to put them."""
        kept = self._kept(work.layer)
        sample = work.vector // work.layer.placed.layer.vectors * self._trains  # else each sample is kept for itself
        return np.flatnonzero((sample >= kept.samples) & bool(kept.overflow))

    def _reserved(self, work: Work, start: Sequence[Wait]) -> Sequence[Wait]:
        """Reserve room for the results of every vector, at its homes' targets, before it is driven."""
        layer = work.layer
        wanted = [
            [(m, m.bits * np.array(layer.emits[e], np.int64)[work.position]) for e, m in self._results(layer, home)]
            for home in range(len(layer.placed.row_homes))
        ]
        if self.kept is not None or not any(wanted):
            return start
        reserved = self.builder.count(len(work)) + np.arange(len(work))
        for home, block in enumerate(layer.placed.row_homes):
            with self._task(work, layer.blocks[block.tile], None) as task:
                self._wait(task, start, None)
                for message, bits in sorted(wanted[home], key=lambda each: each[0].buffer):
                    with task.unless_zero(bits) as done:
                        if done:
                            task.take(self._space(message), bits)
                task.raise_(reserved)
        return [Wait(reserved, len(layer.placed.row_homes))]

    def _release(self, work: Work, multiplied: Wait) -> None:
        """Give back the room of what a vector was the last to read, as soon as it is multiplied."""
        if self.kept is not None:
            return
        layer, freed = work.layer, []
        for producer, frees in layer.frees:
            theirs = self.plan.layers[producer]
            for home in range(len(theirs.placed.row_homes)):
                for e, message in self._results(theirs, home):
                    if self._consumers(theirs)[e] == layer.index:
                        freed.append((message, message.bits * np.array(frees, np.int64)[work.position]))
        if not freed:
            return
        with self._task(work, layer.blocks[0], None) as task:
            self._wait(task, [multiplied], None)
            for message, bits in freed:
                with task.unless_zero(bits) as done:
                    if done:
                        task.give(self._space(message), bits)

    def _results(self, layer: LayerPlan, home: int) -> list[tuple[int, Message]]:
        """(edge, message) of results for which room is reserved: those of a layer without replicas for another one.

        Partial results on their way to a sum of branches wait at its home; room for them is not counted.
        """
        found = []
        for e, consumer in enumerate(self._consumers(layer)):
            merging = max(self.plan.placement.network.predecessors(consumer))
            if merging == layer.index and layer.placed.replicas == len(layer.outputs[e][home]) == 1:
                found += [(e, message) for message in layer.outputs[e][home][0]]
        return found

    def _consumers(self, layer: LayerPlan) -> list[int]:
        return [e.consumer for e in self.plan.placement.network.edges if e.producer == layer.index]

    def _space(self, message: Message) -> int:
        """The station that stands for the room in the buffer at a message's end, in bits."""
        capacity = int(self.plan.placement.chip.tiles[message.kind].buffer.capacity)
        return self.builder.pool(f"room in {self.plan.stations[message.buffer]}", capacity)

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
        rows: int,
    ) -> None:
        """Trains for both sides from the buffer, then all slots at once; arrays that learn together share them.

        rows: how many of the array take part, which is how often the slots pass where that is done row by row.
        """
        with task.unless_zero(slots) as done:
            if not done:
                return
            assert block.kind.pulses is not None, "activity of a chip that does not train"
            task.use(block.buffer, Op.FETCH, fetch_ps, fetch_bits)
            held = [station for a in arrays for station in (a.array, a.row_drivers, a.column_drivers)]
            for station in held:
                task.take(station)
            task.note()
            task.hold(slots * block.slot_ps * block.kind.pulses.turns(rows))
            for station in held:
                task.give(station)
            for number, station in enumerate(held):
                task.log(Op.PULSE, station, slots if number == 0 else 0)

    @dataclass(frozen=True)
    class _Order:
        """Who waits for whom on one block whose unit cells transfer. Counters: pulsed, read, written."""

        extras: Extras
        ready: Wait
        """What each transfer waits for: the update that made it due, and all before it."""
        pulsed: int
        read: int
        written: int
        read_before: Integers
        """Of each update: how many transfers must have been read before it."""
        transferred_after: Integers
        """Of each update: how many transfers there are up to and including its own."""

    def _order(self, work: Work, block: BlockPlan, extras: Extras | None, chosen: Integers | None) -> _Order | None:
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
        pulsed, read, written = (self.builder.count(1) for _ in range(3))
        return self._Order(extras, Wait(pulsed, after + 1), pulsed, read, written, before, up_to)

    def _extra_work(self, block: BlockPlan, order: _Order) -> None:
        """What unit cells do between updates, in program order: one task for each phase and array."""
        phase, array = order.extras.phase, self._activity.array[order.extras.row]
        for number, k in np.unique(np.stack([phase, array]), axis=1).T.tolist():
            self._transfer(block, order, Phase(number), k, np.flatnonzero((phase == number) & (array == k)))

    def _transfer(self, block: BlockPlan, order: _Order, phase: Phase, k: int, chosen: Integers) -> None:
        """Slices of array ``k`` read and accumulated, the arrays after it written; in maintenance, itself."""
        cell, rows = self.plan.placement.cell, order.extras.row[chosen]
        transfer = phase == Phase.TRANSFER
        by_row = transfer and cell.slices == "row"
        way = block.backward if by_row else block.forward
        assert way is not None, "activity of a chip that does not train"
        targets = [block.arrays[target] for target in (cell.targets[k] if transfer else (k,))]
        load = (way.outputs + (block.block.columns if cell.slices == "all" else 0)) * block.kind.inputs.bits
        layer, tile, vector = block.block.layer, block.block.tile, order.extras.vector[chosen]
        passes, slots = self._passes[rows], self._slots[rows]
        with self.builder.task(len(rows), phase, layer, tile, vector, rows) as task:
            self._wait(task, [order.ready], chosen)
            task.wait(order.read, chosen)
            with task.unless_zero(passes) as done:
                if done:
                    self._read(task, block, [block.arrays[a] for a in cell.read_for(k)], way, passes, by_row)
            task.raise_(order.read)
            self._remember(task, block, cell.words * way.outputs * transfer, self._algorithm_ops[rows])
            task.wait(order.written, chosen)
            self._erase(task, block, block.arrays[k], rows)
            load_ps = transfer_picoseconds(load, block.kind.buffer.bandwidth)
            self._pulse(task, block, targets, slots, load, load_ps, 1 if by_row else block.block.rows)
            task.raise_(order.written)

    def _remember(self, task: Task, block: BlockPlan, words: Operand, operations: Operand) -> None:
        """Digital memory of the unit cells read, worked on, and written."""
        bits = words * block.kind.digital.word_bits
        self._recall(task, block, bits, reading=True)
        self._compute(task, block, operations)
        self._recall(task, block, bits, reading=False)

    def _recall(self, task: Task, block: BlockPlan, bits: Operand, reading: bool) -> None:
        """It is in the tile's buffer, or in DRAM if it does not fit there and the chip has some."""
        if block.block.chip_tile in self._forgetful and "DRAM" in self.plan.outside:
            self._outside(task, "DRAM", bits, reading)
        else:
            duration = _each(bits, lambda n: transfer_picoseconds(n, self.plan.bandwidth[block.block.kind]))
            task.use(block.buffer, Op.FETCH if reading else Op.STORE, duration, bits)

    def _erase(self, task: Task, block: BlockPlan, array: ArrayPlan, rows: Integers) -> None:
        """Cells reset without pulses of trains: programmed row by row, unverified."""
        written = np.where(self._slots[rows] == 0, self._activity.writes[rows], 0)
        programming = block.kind.programming
        if programming is None or not written.any():
            return
        pulses = np.ceil(self._activity.active_rows[rows] * programming.iterations).astype(np.int64)
        held = (array.array, array.row_drivers, array.column_drivers)
        with task.unless_zero(written):
            for station in held:
                task.take(station)
            task.note()
            task.hold(pulses * programming.pulse_ps)
            for station in held:
                task.give(station)
            for station in held:
                task.log(Op.WRITE, station, pulses)

    @dataclass(frozen=True)
    class _Finished:
        """all: every vector by itself; done: in order."""

        all: Wait
        done: Done

    def _at_homes(
        self,
        work: Work,
        homes: Sequence[Block],
        start: Sequence[Wait],
        operations: Operand | tuple[int, ...],
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
            block = layer.blocks[home.tile]
            chosen = work.of_replica(h // each)
            with self._task(work, block, chosen) as task:
                self._wait(task, start, chosen)
                if isinstance(operations, tuple):
                    self._compute(task, block, operations[h])
                else:
                    self._compute(task, block, share(pick(operations, chosen), h % each, each))
                for replica, replicas, message, positions in sends[h] if sends else ():
                    bits = message.bits * pick(np.broadcast_to(positions, len(work)), chosen)
                    if replicas > 1:
                        bits = np.where(pick(work.vector, chosen) % replicas == replica, bits, 0)
                    self._deliver(task, message, bits)
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


@overload
def pick(values: Integers, chosen: Integers | None) -> Integers: ...
@overload
def pick(values: Operand, chosen: Integers | None) -> Operand: ...
def pick(values: Operand, chosen: Integers | None) -> Operand:
    """Entries of a column; a number stays as it is."""
    return values if chosen is None or isinstance(values, int) else values[chosen]


def _each(values: Operand, function) -> Operand:  # type: ignore[no-untyped-def]
    """An exact function of integers, applied to a number or to every entry."""
    if isinstance(values, int):
        return int(function(values)) if values else 0
    different, places = np.unique(values, return_inverse=True)
    return np.array([function(int(v)) if v else 0 for v in different], np.int64)[places]
