"""Write what one vector does, phase by phase, as tasks of a program: the order of operations on the units of a chip.

    forward    manage, fetch, drive, convert, scale; partial sums to their home; what follows the layer; results sent
    sum        branches added up at the homes of the latest, results sent; backward its error sent to every branch
    error      what arrived as gradient becomes the layer's error (derivatives, sums of gradients); sent to its blocks
    backward   as forward on the other side; overlapping windows summed; gradients sent
    update     both sides' registers loaded, all pulse slots at once over the array; a digital bias by arithmetic
    transfer   one slice of an array of the unit cell read, digital memory read and written, another array pulsed

Each function takes the vectors of one phase of one layer (`Work`), and the gates that have to be open before each, and
returns what others can wait for (`Done`). Which waits for which is decided in `schedules`; what a single unit does is
in `units`. Around the phases stand: what is done where partial sums meet (`homes`), transfers and maintenance
(`transfers`), samples that come in and what buffers cannot keep (`movement`), and the room that is reserved in buffers
where nothing has to be kept (`room`).
"""

from __future__ import annotations

import math
from collections.abc import Collection, Sequence
from dataclasses import replace

import numpy as np

from rpusim.arch.contract.activity import Activity, Phase
from rpusim.arch.contract.columns import Integers, Operand, pick, plain
from rpusim.arch.engine.program import Task, only
from rpusim.arch.mapping.messages import Message
from rpusim.arch.schedule.digital import DigitalStages
from rpusim.arch.schedule.homes import Homes, at_home, at_homes
from rpusim.arch.schedule.movement import Movement
from rpusim.arch.schedule.plan import BlockPlan, Plan, SumPlan
from rpusim.arch.schedule.room import Room
from rpusim.arch.schedule.rounds import Rounds
from rpusim.arch.schedule.storage import Kept
from rpusim.arch.schedule.transfers import Order, Transfers
from rpusim.arch.schedule.work import Done, Extras, Work
from rpusim.arch.schedule.writer import Writer

_Sends = Sequence[Sequence[Message]]
"""The messages of each home."""


class Flow:
    """Add tasks for the phases of a layer to a program.

    Args:
        plan: of the chip and network.
        activity: the rows that are to be done.
        kept: for every layer, what it keeps from forward pass to update (in inference: to multiplication).
        with_error: numbers of the stages that have an error, see `Todo.with_errors`.
        streams: whether nothing has to be kept, and room in buffers is reserved for results on their way instead.

    Attributes:
        plan: as given.
        builder: puts the program together.
        movement: brings samples in.
        transfers: writes what is done before a mini-batch.
        rounds: by layer larger than the chip, those in which its blocks are there; made by `in_rounds`.

    In all methods ``start`` holds gates to wait for, each entry one gate for all vectors of the work, or (vectors,).
    """

    def __init__(
        self, plan: Plan, activity: Activity, kept: tuple[Kept, ...], with_error: Collection[int], streams: bool
    ) -> None:
        self.plan = plan
        self._writer = Writer(plan, activity, kept, streams)
        self._units, self.builder = self._writer.units, self._writer.builder
        self.movement, self.transfers = Movement(self._writer), Transfers(self._writer)
        self._room = Room(self._writer, self.movement)
        self._through_time: dict[int, tuple[Integers, Integers]] = {}
        """By recurrent layer: (vectors that go back,) gates of when its error is known, and of when it went back."""
        self._through: dict[int, Done] = {}
        """By layer: when its vectors have gone forward through it."""
        self._stages = DigitalStages(self._writer, self.movement, with_error)
        self.rounds: dict[int, Rounds] = {}

    @property
    def trains(self) -> bool:
        """Whether anything goes back or learns."""
        return self._writer.trains

    def in_rounds(self, work: Work) -> Rounds | None:
        """Begin the rounds of a layer's forward work, so that others can wait for them; None: it is done at once."""
        if len(work.layer.placed.rounds) == 1:
            return None
        found = self.rounds[work.layer.index] = Rounds(self._writer, self.movement, work)
        return found

    # --- phases -------------------------------------------------------------------------------------------------------

    def forward(self, work: Work, start: Sequence[Operand], merges: Sequence[Operand] = ()) -> Done:
        """Send vectors through a layer.

        Args:
            work: of the forward phase.
            start: see the class.
            merges: gates of what a recurrent layer is given, which has to be there before the operations that follow.

        Returns:
            When each vector's results have arrived.
        """
        layer, movement = work.layer, self.movement
        movement.put_away(work, start)
        rounds = self.rounds.get(layer.index)
        if not self._writer.trains and len(movement.overflowing(work)) and not rounds:
            start = [movement.bring_back(work, start)]
        if layer.before.forward:
            start = [self._inputs_prepared(work, start)]
        fed = None
        if layer.echo:  # each vector after the output of the step before
            fed = self._writer.gates(work)
            start = [*start, only(work.position > 0, fed - 1)]
        begun = self._writer.gates(work)
        if not rounds:
            start = self._room.reserve(work, [*start, self._turn(work, begun)])
        sends, parts = self._sends(work, layer.index, layer.outputs)
        stages, later = self._stages.forward(work)
        homes = Homes.of(work, layer.placed.row_homes, stages, sends, merges, fed, layer.echo, later, parts)
        done = rounds.write(start, homes, self._multiply) if rounds else self._multiplied(work, start, homes, begun)
        self._through[layer.index] = done
        return done

    def sum(self, work: Work, made: SumPlan, start: Sequence[Operand]) -> Done:
        """Make a sum of branches at the homes of its layer, once for all that read it.

        Args:
            work: of the forward phase of the home layer.
            made: the sum.
            start: see the class; among them the gates of all its parts.

        Returns:
            When each vector's results have arrived where they are read.
        """
        sends, parts = self._sends(work, made.number, made.outputs)
        stages = self._stages.sum(work, made)
        homes = Homes.of(work, work.layer.placed.row_homes, stages, sends, parts=parts)
        if freed := self._room.freed_by_sum(work, made):
            homes = replace(homes, added=self._writer.gates(work))
        done = at_homes(self._writer, work, homes, start)
        if homes.added is not None:
            multiplied = self._through[work.layer.index].by(np.arange(len(work)))
            self._room.release(work, [homes.added, multiplied], freed)
        return done

    def share_error(self, work: Work, made: SumPlan, parts: Collection[int], start: Sequence[Operand]) -> Done:
        """Make the error of a sum, once for all its parts, and send it to the homes of those that have errors.

        Args:
            work: the vectors of the home layer that the sum has errors for.
            made: the sum.
            parts: numbers of the stages that have errors.
            start: see the class.

        Returns:
            When each vector's error has arrived.
        """
        chosen = [messages for part, messages in made.errors if part in parts]
        sends = [[m for way in chosen for m in way[home]] for home in range(len(work.layer.placed.row_homes))]
        homes = Homes.of(work, work.layer.placed.row_homes, self._stages.error(work, made), sends)
        return at_homes(self._writer, work, homes, start)

    def error(self, work: Work, start: Sequence[Operand]) -> Done:
        """Make what arrived as gradient the layer's error, and send it to all blocks that need it.

        The errors of a recurrent layer go back through time: each is known after the error of the step after it was
        multiplied (by `backward`, as soon as it was known). That of the first step is the last one.

        Args:
            work: the vectors that have an error.
            start: see the class.

        Returns:
            When each vector's error has arrived.
        """
        stages, known = self._stages.error(work), None
        if work.layer.echo:
            known, back = self._writer.gates(work), self._writer.gates(work)
            goes = work.position >= work.layer.placed.layer.unread
            self._through_time[work.layer.index] = known[goes], back[goes]
            start = [*start, only(work.position < work.layer.placed.layer.vectors - 1, back + 1)]
        homes = Homes.of(work, work.layer.placed.row_homes, stages, work.layer.errors, (), known)
        done = at_homes(self._writer, work, homes, start)
        self.movement.put_away(work, [done.by(np.arange(len(work)))])
        return done

    def backward(self, work: Work, start: Sequence[Operand]) -> Done:
        """Send errors back through a layer.

        Args:
            work: of the backward phase.
            start: see the class; a recurrent layer's errors go back as soon as they are known, whatever this says.

        Returns:
            When each vector's gradients have arrived.
        """
        layer = work.layer
        begun, back = self._writer.gates(work), None
        if layer.echo:
            known, back = self._through_time[layer.index]
            start = [known]  # errors take turns already, the last step first
            assert len(known) == len(work), "a step of a recurrent layer that does not go back"
        else:
            start = [*start, self._turn(work, begun)]
        homes = Homes.of(work, layer.placed.column_homes, self._stages.overlap(work), layer.gradients, (), back)
        return self._multiplied(work, start, homes, begun)

    def update(self, work: Work, start: Sequence[Operand], extras: Extras | None = None) -> Done:
        """Let a layer learn from vectors and their errors.

        Args:
            work: of the update phase.
            start: see the class.
            extras: transfers and maintenance that follow these updates; None: there are none.

        Returns:
            When each vector's update is done, with the transfers that it made due.
        """
        layer, grid, writer = work.layer, work.layer.placed.grid, self._writer
        if len(self.movement.overflowing(work)):
            start = [*start, self.movement.bring_back(work, start)]
        arithmetic = bool(layer.bias) or extras is not None
        done, pulsed = writer.ordered(work), writer.gates(work) if arithmetic else np.empty(0, np.int64)
        waits: list[Operand] = [pulsed]
        start = [*start, self._turn(work, pulsed if arithmetic else done.first + np.arange(len(work)))]
        for block in layer.blocks:
            chosen = work.of_replica(block.block.tile // grid)
            assert work.rows is not None
            rows = pick(work.rows[:, block.block.tile % grid], chosen)
            order = self.transfers.order(work, block, extras, chosen)
            with writer.task(work, block, chosen, rows) as task:
                task.wait_for(start, chosen)
                self._learn(task, work, block, chosen, rows, order)
                if arithmetic:
                    task.raise_(pick(pulsed, chosen))
                else:
                    writer.in_order(task, done, chosen, len(work))
            if order:
                self.transfers.follow(block, order)
                after = np.zeros(len(work), np.int64)
                after[slice(None) if chosen is None else chosen] = order.transferred_after
                waits.append(order.written.before(np.maximum.accumulate(after)))
        if not arithmetic:
            return done
        return at_homes(writer, work, Homes.of(work, layer.placed.row_homes, self._stages.bias(work)), waits, done)

    def _sends(self, work: Work, stage: int, outputs: Sequence[Sequence[Sequence[Message]]]) -> tuple[_Sends, _Sends]:
        """Return the messages of a stage to each home's readers: to layers, and to where they are parts of a sum."""
        readers, homes = self.plan.placement.network.successors(stage), range(len(work.layer.placed.row_homes))
        last = len(self.plan.layers) - 1
        to_layers = [way for way, reader in zip(outputs, readers, strict=True) if reader <= last]
        to_sums = [way for way, reader in zip(outputs, readers, strict=True) if reader > last]
        sends, parts = ([[m for way in ways for m in way[home]] for home in homes] for ways in (to_layers, to_sums))
        return sends, parts

    # --- pieces of phases ---------------------------------------------------------------------------------------------

    def _learn(
        self, task: Task, work: Work, block: BlockPlan, chosen: Integers | None, rows: Integers, order: Order | None
    ) -> None:
        """Pulse the arrays of a block; or where the gradient is collected digitally, add a product to it."""
        cell = self.plan.placement.cell
        if order:
            task.wait(order.read.before(order.read_before))
        asked = plain(self._writer.asked[rows])
        if cell.learning:
            self._units.compute(task, block, asked)
            arrays = [block.arrays[k] for k in cell.learning]
            slots, rows_at_once = plain(self._writer.slots[rows]), block.block.lines[0] // block.block.joined
            self._units.pulse(task, block, arrays, slots, block.update_fetch_bits, rows_at_once)
        else:  # products are summed up vector by vector; the sum is kept once per mini-batch
            self._units.recall(task, block, block.update_fetch_bits, reading=True)
            last, words = np.append(np.diff(work.step), 1), cell.words * math.prod(block.block.lines)
            self._units.remember(task, block, pick(last, chosen) * words, asked)
        if order:
            numbers = np.arange(len(rows))
            task.wait(order.pulsed.before(numbers))
            task.raise_(order.pulsed.first + numbers)

    def _turn(self, work: Work, begun: Integers) -> Integers:
        """Return the gates that keep a vector from being fetched long before it can be driven.

        Registers hold one vector while another is driven, so the vector before the last one on the same replica must
        have begun; ``begun``: (vectors,) gates that open when it has.
        """
        before = work.before_last
        return only(before >= 0, begun[before])

    def _multiplied(self, work: Work, start: Sequence[Operand], homes: Homes, begun: Integers) -> Done:
        """Send vectors through all blocks of their replica, add up partial sums at the homes, and go on from there.

        A block that is the only one of its replica goes on as its own home. begun: gates to open on the way.
        """
        writer, grid = self._writer, work.layer.placed.grid
        freed, done = self._room.freed(work), writer.ordered(work)
        if freed and work.layer.echo:  # what a recurrent layer is given waits at its homes, beyond the multiplication
            homes = replace(homes, added=writer.gates(work))
        alone = grid == 1
        multiplied = np.empty(0, np.int64) if alone and (not freed or work.layer.echo) else writer.gates(work)
        read = self.movement.read.get(work.layer.index) if work.phase == Phase.FORWARD else None
        for number, block in enumerate(work.layer.blocks):
            chosen = work.of_replica(number // grid)
            assert work.rows is not None
            rows = pick(work.rows[:, number % grid], chosen)
            with writer.task(work, block, chosen, rows) as task:
                task.wait_for(start, chosen)
                self._multiply(task, block, rows, work, pick(begun, chosen))
                if len(multiplied):
                    task.raise_(pick(multiplied, chosen))
                if read is not None:
                    task.raise_(read[pick(work.sample, chosen)])
                if alone:
                    at_home(writer, task, work, homes, number, chosen, done)
        if freed:
            self._room.release(work, [multiplied if homes.added is None else homes.added], freed)
        return done if alone else at_homes(writer, work, homes, [multiplied], done)

    def _multiply(self, task: Task, block: BlockPlan, rows: Integers, work: Work, begun: Integers) -> None:
        """Fetch, drive, convert and scale; a partial sum goes to its home and is added there."""
        backward = work.phase == Phase.BACKWARD
        way, partial, home = block.forward, block.partial_forward, block.row_home
        if backward:
            assert block.backward is not None, "activity of a chip that does not train"
            way, partial, home = block.backward, block.partial_backward, block.column_home
        self._units.compute(task, block, plain(self._writer.asked[rows]))
        passes = plain(self._writer.passes[rows])
        with task.unless_zero(passes) as done:
            if done:
                self._units.recall(task, block, way.fetch_bits, reading=True)
                visible = [block.arrays[k] for k in self.plan.placement.cell.visible]
                by_rows = backward == (block.block.turned is None)
                self._units.read(task, block, visible, way, passes, by_rows, begun)
        with task.unless_zero((passes == 0) * 1) as skipped:
            if skipped:
                task.raise_(begun)
        self._units.compute(task, block, self._stages.scaled(work.layer, block, way, passes))
        if partial is not None:
            self._units.deliver(task, partial, partial.bits)
            self._units.compute(task, work.layer.blocks[home], self._stages.added(way.outputs))

    def _inputs_prepared(self, work: Work, start: Sequence[Operand]) -> Integers:
        """Do the digital operations on the network's input, at the homes of the layer that reads it first.

        Returns (vectors,) gates that open when they are done.
        """
        homes, ready = work.layer.placed.row_homes, self._writer.gates(work)
        stages, each = self._stages.inputs(work), len(homes) // work.layer.placed.replicas
        for number, home in enumerate(homes):
            chosen, block = work.of_replica(number // each), work.layer.blocks[home.tile]
            with self._writer.task(work, block, chosen) as task:
                task.wait_for(start, chosen)
                stages[number % each].write(self._writer, task, work, block, chosen)
                task.raise_(pick(ready, chosen))
        return ready
