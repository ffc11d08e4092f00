"""What one vector does, phase by phase, as tasks of a program: the order of operations on the units of a chip.

    forward    manage, fetch, drive, convert, scale; partial sums to their home; what follows the layer; results sent
    error      what arrived as gradient becomes the layer's error (derivatives, sums of branches); sent to its blocks
    backward   as forward on the other side; overlapping windows summed; gradients sent
    update     both sides' registers loaded, all pulse slots at once over the array; a digital bias by arithmetic
    transfer   one slice of an array of the unit cell read, digital memory read and written, another array pulsed

Beside them, where the chip has what it takes: samples come in from DRAM or over the host link when there is room for
them; what an update needs and the buffers cannot keep is put away and comes back (`storage`); and where nothing has to
be kept, space in the buffers of those that read a result is reserved before the vector that makes it is driven, so that
a full buffer stalls its producer.

Each function takes the vectors of one phase of one layer (`Work`), and the gates that have to be open before each, and
returns what others can wait for (`Done`). Which waits for which is decided in `schedule`; what a single unit does is in
`units`.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass

import numpy as np

from rpusim.arch.contract.activity import Activity, Phase
from rpusim.arch.contract.columns import Integers, Operand, pick, plain
from rpusim.arch.engine.program import Builder, Task, only
from rpusim.arch.mapping.placement import Block
from rpusim.arch.mapping.replicas import share
from rpusim.arch.mapping.traffic import Message
from rpusim.arch.schedule.plan import BlockPlan, LayerPlan, Plan
from rpusim.arch.schedule.storage import Held, Kept, sent
from rpusim.arch.schedule.units import Units
from rpusim.arch.schedule.work import Done, Extras, Work

NO_ROW = -1
"""Stands in the row column of events that do not come from one row of activity."""


class Flow:
    """Adds tasks to ``builder`` for vectors of ``activity`` on the chip of ``plan``.

    kept: what each layer keeps from forward pass to update (to multiplication, in inference). streams: nothing has to
    be kept, and space is reserved for what is on its way instead.
    """

    def __init__(self, plan: Plan, activity: Activity, kept: tuple[Kept, ...], streams: bool) -> None:
        self.plan, self.kept, self._streams = plan, kept, streams
        self._trains = activity.trains
        self._away: dict[int, list[int]] = {}
        self._through_time: dict[int, tuple[Integers, Integers]] = {}
        self._read: dict[int, Integers] = {}
        """Of layers that read the network's input: a gate per sample, open when they have read it."""
        self._input_room = Counter[int]()
        """Bits of buffers (by station) that it takes."""
        self._units = Units(plan)
        self.builder = Builder(plan.stations, plan.station_capacity)
        self._passes = activity.passes.astype(np.int64)
        self._slots = activity.slots.astype(np.int64)
        self._activity = activity
        self._algorithm_ops = activity.digital_ops

    # --- phases -------------------------------------------------------------------------------------------------------

    def forward(self, work: Work, start: Sequence[Operand], merges: Sequence[Operand] = ()) -> Done:
        """Vectors through a layer; ``merges``: other branches that have to be there before what follows (their sum)."""
        layer = work.layer
        self._put_away(work, start)
        if not self._trains and len(self._overflowing(work)):
            start = [self._bring_back(work, start)]
        if layer.input_ops:
            start = [self._inputs_prepared(work, start)]
        fed = None
        if layer.echo:  # each vector after the output of the step before
            fed = self._gates(work)
            start = [*start, only(work.position > 0, fed - 1)]
        begun = self._gates(work)
        start = self._reserved(work, [*start, self._turn(work, begun)])
        sends = [[m for way in layer.outputs for m in way[home]] for home in range(len(layer.placed.row_homes))]
        homes = self._homes(
            work, layer.placed.row_homes, work.shared(layer.forward_ops), sends, merges, fed, layer.echo
        )
        return self._multiplied(work, start, homes, begun)

    def error(self, work: Work, start: Sequence[Operand]) -> Done:
        """Make what arrived as gradient the layer's error, and send it to all blocks that need it.

        Of a recurrent layer, errors go back through time: each after the multiplication of the one of the step after,
        which `backward` does as soon as there is that error, whatever else it is told to wait for. That of the first
        step is the last one.
        """
        operations, known = work.shared(work.layer.derivative_ops), None
        if work.layer.echo:
            known, back = self._gates(work), self._gates(work)
            goes = work.position >= work.layer.placed.layer.unread
            self._through_time[work.layer.index] = known[goes], back[goes]
            start = [*start, only(work.position < work.layer.placed.layer.vectors - 1, back + 1)]
        homes = self._homes(work, work.layer.placed.row_homes, operations, work.layer.errors, (), known)
        done = self._at_homes(work, homes, start)
        self._put_away(work, [done.by(np.arange(len(work)))])
        return done

    def backward(self, work: Work, start: Sequence[Operand]) -> Done:
        layer = work.layer
        begun, back = self._gates(work), None
        if layer.echo:
            known, back = self._through_time[layer.index]
            start = [known]  # errors take turns already, the last step first
            assert len(known) == len(work), "a step of a recurrent layer that does not go back"
        else:
            start = [*start, self._turn(work, begun)]
        homes = self._homes(work, layer.placed.column_homes, layer.overlap_ops, layer.gradients, (), back)
        return self._multiplied(work, start, homes, begun)

    def update(self, work: Work, start: Sequence[Operand], extras: Extras | None = None) -> Done:
        layer, grid = work.layer, work.layer.placed.grid
        if len(self._overflowing(work)):
            start = [*start, self._bring_back(work, start)]
        cell, last = self.plan.placement.cell, np.append(np.diff(work.step), 1)
        arithmetic = bool(layer.bias_ops) or extras is not None
        done, pulsed = self._ordered(work), self._gates(work) if arithmetic else np.empty(0, np.int64)
        waits: list[Operand] = [pulsed]
        start = [*start, self._turn(work, pulsed if arithmetic else done.first + np.arange(len(work)))]
        for block in layer.blocks:
            chosen = work.of_replica(block.block.tile // grid)
            assert work.rows is not None
            rows = pick(work.rows[:, block.block.tile % grid], chosen)
            order = self._order(work, block, extras, chosen)
            with self._task(work, block, chosen, rows) as task:
                task.wait_for(start, chosen)
                if order:
                    task.wait(order.read.before(order.read_before))
                if cell.learning:
                    self._units.compute(task, block, plain(self._algorithm_ops[rows]))
                    arrays = [block.arrays[k] for k in cell.learning]
                    self._units.pulse(
                        task, block, arrays, plain(self._slots[rows]), block.update_fetch_bits, block.block.rows
                    )
                else:  # products are summed up vector by vector; the sum is kept once per mini-batch
                    self._units.recall(task, block, block.update_fetch_bits, reading=True)
                    words = cell.words * block.block.rows * block.block.columns
                    self._units.remember(task, block, pick(last, chosen) * words, plain(self._algorithm_ops[rows]))
                if order:
                    numbers = np.arange(len(rows))
                    task.wait(order.pulsed.before(numbers))
                    task.raise_(order.pulsed.first + numbers)
                if arithmetic:
                    task.raise_(pick(pulsed, chosen))
                else:
                    self._in_order(task, done, chosen, len(work))
            if order:
                self._extra_work(block, order)
                after = np.zeros(len(work), np.int64)
                after[slice(None) if chosen is None else chosen] = order.transferred_after
                waits.append(order.written.before(np.maximum.accumulate(after)))
        if not arithmetic:
            return done
        return self._at_homes(work, self._homes(work, layer.placed.row_homes, layer.bias_ops), waits, done)

    def prepare(self, layer: LayerPlan, extras: Extras, start: Integers) -> Done:
        """Maintenance before mini-batches; ``start`` and what is returned have one gate per mini-batch, in order."""
        steps = np.unique(extras.step)
        done = Done(self.builder.gates(int(steps.max()) + 1))
        for block in layer.blocks:
            mine = extras.of(extras.tile == block.block.tile)
            if mine is None:
                continue
            none = np.zeros(0, np.int64)
            pulsed, read, written = (self._serial(len(mine.step)) for _ in range(3))
            order = self._Order(mine, start[mine.step], pulsed, read, written, none, none)
            self._extra_work(block, order)
            until = np.searchsorted(mine.step, steps, side="right")
            with self.builder.task(len(steps), Phase.MAINTENANCE, layer.index, block.block.tile, 0) as task:
                task.wait(order.written.before(until))
                task.raise_(done.first + steps)
        return done

    # --- beside the phases --------------------------------------------------------------------------------------------

    def bring_in(
        self, works: Sequence[Work], number: Integers, start: Sequence[Operand], left: Sequence[Integers]
    ) -> Integers | None:
        """Samples of the network's input from DRAM, else from the host, to the tiles that read them; None if there is
        neither, so that they are taken to be there. One gate per sample. What comes from DRAM is read there once, for
        all tiles.

        works: forward, of the layers that read the input. number: of every sample within its mini-batch. start: of
        every sample. left: for each of these layers, until what it kept of the mini-batch before is out of its buffers.
        Beside the samples that stay until their update, as many come in as there is room for (`Kept.ahead`).
        """
        readers = [(work, gone) for work, gone in zip(works, left, strict=True) if not self._as_needed(work.layer)]
        part = next((part for part in ("DRAM", "host link") if part in self.plan.outside), None)
        if not readers or part is None:
            return None
        samples, waits = np.arange(len(number)), list(start)
        for work, gone in readers:
            layer, kept = work.layer, self.kept[work.layer.index]
            stays = self._trains & (number >= kept.ahead) & (number < kept.samples)
            read = self._read[layer.index] = self.builder.gates(len(samples)) + samples
            waits += [only(stays, gone), only(~stays & (samples >= kept.ahead), read - kept.ahead)]
            if self._streams:
                share = {layer.blocks[one.block].buffer: one.share for of_replica in kept.held for one in of_replica}
                for buffer, bits in sent([layer.inputs], 1, 1).items():
                    self._input_room[buffer] += min(kept.ahead * bits, share[buffer])
        there, first = self.builder.gates(len(samples)) + samples, readers[0][0].layer
        total = max(self.kept[work.layer.index].input_bits for work, _ in readers)
        with self.builder.task(len(samples), Phase.FORWARD, first.index, 0, samples) as task:
            task.wait_for(waits)
            self._units.outside(task, part, total, reading=True)
            for message in (message for work, _ in readers for message in work.layer.inputs):
                self._units.deliver(task, message, message.sent(number, number * 0))
            task.raise_(there)
        return there

    def _as_needed(self, layer: LayerPlan) -> bool:
        """Whether the network's input is read from DRAM vector by vector, as there is no room for a whole sample."""
        return self.kept[layer.index].reread and not self._trains and not self._streams

    def _put_away(self, work: Work, start: Sequence[Operand]) -> None:
        """Take inputs, or errors, of samples that do not stay to where they go, from the first tiles that hold them."""
        layer, kept = work.layer, self.kept[work.layer.index]
        forward = work.phase == Phase.FORWARD
        overflowing = self._overflowing(work)
        if not len(overflowing) or (forward and kept.reread):
            return
        away = self.builder.gates(int(work.sample.max()) + 1)
        self._away.setdefault(layer.index, []).append(away)
        for held, chosen in self._by_replica(work, overflowing):
            total: Operand = 0
            with self._task(work, layer.blocks[held[0].block], chosen) as task:
                task.wait_for(start, chosen)
                for one in held:
                    bits = pick(work.shared(one.own_input_bits if forward else one.own_error_bits), chosen)
                    self._units.recall(task, layer.blocks[one.block], bits, reading=True)
                    self._units.send(task, layer.to_edge[one.block], bits)
                    total = total + bits
                self._units.outside(task, kept.overflow, total, reading=False)
                task.raise_(away + work.sample[chosen])

    def _bring_back(self, work: Work, start: Sequence[Operand]) -> Integers:
        """Take one copy of what was put away to all tiles that hold it; what each vector of ``work`` waits for."""
        layer, kept = work.layer, self.kept[work.layer.index]
        back = self._gates(work)
        for held, chosen in self._by_replica(work, self._overflowing(work)):
            with self._task(work, layer.blocks[held[0].block], chosen) as task:
                task.wait_for(start, chosen)
                for away in self._away.get(layer.index, ()):
                    task.wait(away + work.sample[chosen])
                self._units.outside(task, kept.overflow, pick(work.shared(kept.bits), chosen), reading=True)
                for one in held:
                    self._units.deliver(task, layer.from_edge[one.block], pick(work.shared(one.bits), chosen))
                task.raise_(back[chosen])
        return back  # of the others nobody raises the gates: they are open

    def _overflowing(self, work: Work) -> Integers:
        """Vectors of samples that do not stay, of a layer that has somewhere to put them."""
        kept = self.kept[work.layer.index]
        sample = work.vector // work.layer.placed.layer.vectors * self._trains  # else each sample is kept for itself
        return np.flatnonzero((sample >= kept.samples) & bool(kept.overflow) & (not self._streams))

    def _by_replica(self, work: Work, chosen: Integers) -> Iterator[tuple[tuple[Held, ...], Integers]]:
        """What the tiles of each replica hold, and those of the chosen vectors that are its turn."""
        placed = work.layer.placed
        for replica, held in enumerate(self.kept[work.layer.index].held):
            turn = chosen[work.vector[chosen] % placed.replicas == replica]
            if len(turn):
                yield held, turn

    def _turn(self, work: Work, begun: Integers) -> Integers:
        """What a vector waits for so that it is not fetched long before it can be driven: registers hold one vector
        while another is driven, so the one before the last on the same replica must have begun."""
        lag, numbers = 2 * work.layer.placed.replicas, np.arange(len(work))
        return only(numbers >= lag, begun - lag)

    def _reserved(self, work: Work, start: Sequence[Operand]) -> Sequence[Operand]:
        """Reserve room for the results of every vector, at its homes' targets, before it is driven."""
        layer = work.layer
        wanted = [
            [(message, work.bits(message)) for _, message in self._results(layer, home)]
            for home in range(len(layer.placed.row_homes))
        ]
        if not self._streams or not any(wanted):
            return start
        reserved = self._gates(work)
        for home, block in enumerate(layer.placed.row_homes):
            with self._task(work, layer.blocks[block.tile], None) as task:
                task.wait_for(start)
                for message, bits in sorted(wanted[home], key=lambda each: each[0].buffer):
                    with task.unless_zero(bits) as done:
                        if done:
                            task.take(self._space(message), bits)
                task.raise_(reserved)
        return [reserved]

    def _freed(self, work: Work) -> list[tuple[Message, Integers]]:
        """The room of what each vector is the last to read."""
        layer, freed = work.layer, []
        for producer, frees in layer.frees if self._streams and work.phase == Phase.FORWARD else ():
            theirs = self.plan.layers[producer]
            for home in range(len(theirs.placed.row_homes)):
                for e, message in self._results(theirs, home):
                    if self._consumers(theirs)[e] == layer.index:
                        freed.append((message, message.bits * np.array(frees, np.int64)[work.position]))
        return freed

    def _release(self, work: Work, multiplied: Integers, freed: Sequence[tuple[Message, Integers]]) -> None:
        """Give it back as soon as the vector is multiplied."""
        with self._task(work, work.layer.blocks[0], None) as task:
            task.wait(multiplied)
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
            if merging == layer.index and layer.placed.replicas == self.plan.layers[consumer].placed.replicas == 1:
                found += [(e, message) for message in layer.outputs[e][home]]
        return found

    def _consumers(self, layer: LayerPlan) -> list[int]:
        return [e.consumer for e in self.plan.placement.network.edges if e.producer == layer.index]

    def _space(self, message: Message) -> int:
        """The station that stands for the room in the buffer at a message's end, in bits; the input's is not in it."""
        capacity = int(self.plan.placement.chip.tiles[message.kind].buffer.capacity)
        room = capacity - self._input_room[message.buffer]
        return self.builder.pool(f"room in {self.plan.stations[message.buffer]}", room)

    # --- pieces of phases ---------------------------------------------------------------------------------------------

    @dataclass(frozen=True)
    class _Homes:
        """What is done where partial sums meet, once they are there.

        blocks: the homes, of one replica after the other. operations: digital ones, of a vector, to be shared among the
        homes of its replica; or of each home, a tuple. sends: messages of each home. merges: other branches that have
        to be there first (for their sum). fed: gates to open when the messages have arrived; those of ``echo``, if
        there are any, which then are the first.
        """

        blocks: tuple[BlockPlan, ...]
        operations: Operand | tuple[int, ...]
        sends: Sequence[Sequence[Message]]
        merges: Sequence[Operand]
        fed: Integers | None
        echo: Sequence[Sequence[Message]]

    def _homes(
        self,
        work: Work,
        homes: Sequence[Block],
        operations: Operand | tuple[int, ...],
        sends: Sequence[Sequence[Message]] = (),
        merges: Sequence[Operand] = (),
        fed: Integers | None = None,
        echo: Sequence[Sequence[Message]] = (),
    ) -> _Homes:
        blocks = tuple(work.layer.blocks[home.tile] for home in homes)
        return self._Homes(blocks, operations, sends, merges, fed, echo)

    def _multiplied(self, work: Work, start: Sequence[Operand], homes: _Homes, begun: Integers) -> Done:
        """One vector through all blocks of its replica, partial sums added up at their homes, and what is done there.

        A block that is the only one of its replica goes on as its own home. begun: gates to open on the way.
        """
        grid, freed, done = work.layer.placed.grid, self._freed(work), self._ordered(work)
        alone = grid == 1
        multiplied = np.empty(0, np.int64) if alone and not freed else self._gates(work)
        read = self._read.get(work.layer.index) if work.phase == Phase.FORWARD else None
        for number, block in enumerate(work.layer.blocks):
            chosen = work.of_replica(number // grid)
            assert work.rows is not None
            rows = pick(work.rows[:, number % grid], chosen)
            with self._task(work, block, chosen, rows) as task:
                task.wait_for(start, chosen)
                self._multiply(task, block, rows, work, pick(begun, chosen))
                if len(multiplied):
                    task.raise_(pick(multiplied, chosen))
                if read is not None:
                    task.raise_(read[pick(work.sample, chosen)])
                if alone:
                    self._at_home(task, work, homes, number, chosen, done)
        if freed:
            self._release(work, multiplied, freed)
        return done if alone else self._at_homes(work, homes, [multiplied], done)

    def _multiply(self, task: Task, block: BlockPlan, rows: Integers, work: Work, begun: Integers) -> None:
        """Fetch, drive, convert and scale; a partial sum goes to its home and is added there."""
        backward = work.phase == Phase.BACKWARD
        way, partial, home = block.forward, block.partial_forward, block.row_home
        if backward:
            assert block.backward is not None, "activity of a chip that does not train"
            way, partial, home = block.backward, block.partial_backward, block.column_home
        self._units.compute(task, block, plain(self._algorithm_ops[rows]))
        passes = plain(self._passes[rows])
        with task.unless_zero(passes) as done:
            if done:
                self._units.recall(task, block, way.fetch_bits, reading=True)
                visible = [block.arrays[k] for k in self.plan.placement.cell.visible]
                self._units.read(task, block, visible, way, passes, backward, begun)
        with task.unless_zero((passes == 0) * 1) as skipped:
            if skipped:
                task.raise_(begun)
        self._units.compute(task, block, way.outputs * block.kind.digital.operations_per_output)
        if partial is not None:
            self._units.deliver(task, partial, partial.bits)
            self._units.compute(task, work.layer.blocks[home], way.outputs)

    @dataclass(frozen=True)
    class _Serial:
        """Gates that open one after the other: number n (from ``first`` on) as the last of n + 1."""

        first: int

        def before(self, numbers: Integers) -> Integers:
            """Open when so many are: all before that number."""
            return only(numbers > 0, self.first + numbers - 1)

    def _serial(self, number: int) -> _Serial:
        return self._Serial(self.builder.gates(number))

    @dataclass(frozen=True)
    class _Order:
        """Who waits for whom on one block whose unit cells transfer. Pulsed, read and written one after the other."""

        extras: Extras
        ready: Integers
        """What each transfer waits for: the update that made it due, and all before it."""
        pulsed: Flow._Serial
        read: Flow._Serial
        written: Flow._Serial
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
        pulsed, read, written = (self._serial(number) for number in (len(updates), len(after), len(after)))
        return self._Order(extras, pulsed.first + after, pulsed, read, written, before, up_to)

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
        passes, slots = plain(self._passes[rows]), plain(self._slots[rows])
        with self.builder.task(len(rows), phase, layer, tile, vector, rows) as task:
            task.wait(order.ready[chosen])
            task.wait(order.read.before(chosen))
            with task.unless_zero(passes) as done:
                if done:
                    self._units.read(task, block, [block.arrays[a] for a in cell.read_for(k)], way, passes, by_row)
            task.raise_(order.read.first + chosen)
            self._units.remember(task, block, cell.words * way.outputs * transfer, plain(self._algorithm_ops[rows]))
            task.wait(order.written.before(chosen))
            reset = np.where(slots == 0, self._activity.writes[rows], 0)  # without the pulses of a train
            self._units.write(task, block, block.arrays[k], reset, self._activity.active_rows[rows].astype(np.int64))
            self._units.pulse(task, block, targets, slots, load, 1 if by_row else block.block.rows)
            task.raise_(order.written.first + chosen)

    def _inputs_prepared(self, work: Work, start: Sequence[Operand]) -> Integers:
        """Digital operations on the network's input, at the homes of the layer that reads it first."""
        homes, ready = work.layer.placed.row_homes, self._gates(work)
        operations, each = work.shared(work.layer.input_ops), len(homes) // work.layer.placed.replicas
        for number, home in enumerate(homes):
            chosen, block = work.of_replica(number // each), work.layer.blocks[home.tile]
            with self._task(work, block, chosen) as task:
                task.wait_for(start, chosen)
                self._units.compute(task, block, share(pick(operations, chosen), number % each, each))
                task.raise_(pick(ready, chosen))
        return ready

    def _at_homes(self, work: Work, homes: _Homes, start: Sequence[Operand], done: Done | None = None) -> Done:
        """A task of its own for every home."""
        done = done or self._ordered(work)
        each = len(homes.blocks) // work.layer.placed.replicas
        for number, block in enumerate(homes.blocks):
            chosen = work.of_replica(number // each)
            with self._task(work, block, chosen) as task:
                task.wait_for(start, chosen)
                self._at_home(task, work, homes, number, chosen, done)
        return done

    def _at_home(self, task: Task, work: Work, homes: _Homes, number: int, chosen: Integers | None, done: Done) -> None:
        """Digital operations of every vector, then messages."""
        block, each = homes.blocks[number], len(homes.blocks) // work.layer.placed.replicas
        task.of(NO_ROW)
        task.wait_for(homes.merges, chosen)
        if isinstance(homes.operations, tuple):
            self._units.compute(task, block, homes.operations[number])
        else:
            self._units.compute(task, block, share(pick(homes.operations, chosen), number % each, each))
        first, after = (homes.echo, homes.sends) if homes.echo else (homes.sends, ())
        for message in first[number] if first else ():
            self._units.deliver(task, message, work.bits(message, chosen))
        if homes.fed is not None:
            task.raise_(pick(homes.fed, chosen))
        for message in after[number] if after else ():
            self._units.deliver(task, message, work.bits(message, chosen))
        self._in_order(task, done, chosen, len(work))

    @staticmethod
    def _in_order(task: Task, done: Done, chosen: Integers | None, vectors: int) -> None:
        """Say that a vector is done when all before it are."""
        gates = pick(done.first + np.arange(vectors), chosen)
        task.wait(gates - 1)
        task.raise_(gates)

    def _ordered(self, work: Work) -> Done:
        """Of every vector; the gate before the first is open."""
        return Done(self.builder.gates(len(work) + 1) + 1)

    def _gates(self, work: Work) -> Integers:
        """One for every vector."""
        return self.builder.gates(len(work)) + np.arange(len(work))

    def _task(
        self, work: Work, block: BlockPlan, chosen: Integers | None, rows: Operand = NO_ROW
    ) -> AbstractContextManager[Task]:
        """One process for each chosen vector of the work, on a block."""
        vector = pick(work.vector, chosen)
        return self.builder.task(len(vector), work.phase, work.layer.index, block.block.tile, vector, rows)
