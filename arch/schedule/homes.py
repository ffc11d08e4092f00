"""Write what is done where the partial sums of a layer's blocks meet: its *homes*.

A matrix that is cut over several arrays gives partial sums. Each row of blocks has a home for the forward pass, each
column of blocks one for the backward pass: the block at which the sums are added up, and from which results are sent.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial

from rpusim.arch.contract.columns import Integers, Operand, pick, plain, some
from rpusim.arch.engine.events import NO_ROW, PART, WAITING
from rpusim.arch.engine.program import Task
from rpusim.arch.mapping.messages import Message
from rpusim.arch.mapping.placement import Block
from rpusim.arch.schedule.plan import BlockPlan
from rpusim.arch.schedule.spreading import spread
from rpusim.arch.schedule.work import Done, Work
from rpusim.arch.schedule.writer import Writer


@dataclass(frozen=True)
class Stage:
    """Say what a home does of every vector, in this order; each is one operand for all vectors, or (vectors,).

    start:   gates to wait for; None: none.
    read:    bits read from the buffer of its tile, which stay there.
    fetch:   bits taken out of the buffer.
    parts:   bits taken out of it that waited there to be summed.
    work:    numbers of digital works.
    macs:    multiply-accumulates of a matrix unit, which are done first.
    store:   bits written to the buffer, which wait there.
    raised:  gates to raise then; None: none.
    cached:  bits read out of the cache of keys and values, before products.
    keeps:   bits written into it, then.
    away:    (vectors,) 1 where what is stored or fetched has no room in the buffer, and waits elsewhere; 0: it stays.
    """

    work: Operand
    start: Integers | None = None
    read: Operand = 0
    fetch: Operand = 0
    parts: Operand = 0
    store: Operand = 0
    raised: Integers | None = None
    away: Operand = 0
    macs: Operand = 0
    cached: Operand = 0
    keeps: Operand = 0

    def write(self, writer: Writer, task: Task, work: Work, block: BlockPlan, chosen: Integers | None) -> None:
        """Add it to a task for ``chosen`` vectors of the work (their indices; None: all), at a block of its layer."""
        if self.start is not None:
            task.wait(pick(self.start, chosen))
        self._move(writer, task, work, block, pick(self.fetch, chosen), chosen, reading=True)
        if some(self.parts):
            task.of(PART)
            writer.units.recall(task, block, pick(self.parts, chosen), reading=True)
            task.of(NO_ROW)
        if some(self.read):
            writer.units.recall(task, block, pick(self.read, chosen), reading=True)
        self._use_cache(writer, task, work, block, pick(self.keeps, chosen), reading=False)
        self._use_cache(writer, task, work, block, pick(self.cached, chosen), reading=True)
        writer.units.multiply(task, block, pick(self.macs, chosen))
        writer.units.compute(task, block, plain(pick(self.work, chosen)))
        self._move(writer, task, work, block, pick(self.store, chosen), chosen, reading=False)
        if self.raised is not None:
            task.raise_(pick(self.raised, chosen))

    @staticmethod
    def _use_cache(writer: Writer, task: Task, work: Work, block: BlockPlan, bits: Operand, reading: bool) -> None:
        """Read keys and values out of the cache, or write them there: the tile's buffer, or beside the mesh."""
        if not some(bits):
            return
        where, units = writer.plan.placement.cache, writer.units
        if where == "buffer":
            units.recall(task, block, bits, reading)
        elif reading:
            units.outside(task, where, bits, reading=True)
            units.deliver(task, work.layer.from_edge[block.block.tile], bits)
        else:
            units.recall(task, block, bits, reading=True)
            units.send(task, work.layer.to_edge[block.block.tile], bits)
            units.outside(task, where, bits, reading=False)

    def _move(
        self,
        writer: Writer,
        task: Task,
        work: Work,
        block: BlockPlan,
        bits: Operand,
        chosen: Integers | None,
        reading: bool,
    ) -> None:
        """Put what waits for the way back into the buffer, or where the layer's overflow goes; ``reading``: get it."""
        if not some(bits):
            return
        task.of(WAITING)
        away = bits * pick(self.away, chosen)
        if some(away) and reading:
            writer.units.outside(task, writer.kept[work.layer.index].overflow, away, reading=True)
            writer.units.send(task, work.layer.from_edge[block.block.tile].route, away)
        writer.units.recall(task, block, bits - away, reading)
        if some(away) and not reading:
            writer.units.send(task, work.layer.to_edge[block.block.tile], away)
            writer.units.outside(task, writer.kept[work.layer.index].overflow, away, reading=False)
        task.of(NO_ROW)


@dataclass(frozen=True)
class Homes:
    """Say what is done at the homes of one phase of a layer, once the partial sums are there.

    blocks:      the homes, of one replica after the other.
    stages:      for each home of a replica what it does, one stage after the other, before it sends anything.
    sends:       messages of each home.
    merges:      gates of what has to be there first, as a recurrent layer is given something to add.
    fed:         gates to open when the messages have arrived: those of ``echo`` if there are any.
    echo:        of a recurrent layer, messages of each home that feed its next step; they are sent first.
    later:       as ``stages``, what is done behind the echo.
    parts:       messages of each home that wait for others where they arrive, to be summed with them.
    added:       gates to open when a home has added what it was given, and its buffer need not keep that; None: none.
    """

    blocks: tuple[BlockPlan, ...]
    stages: Sequence[Sequence[Stage]]
    sends: Sequence[Sequence[Message]]
    merges: Sequence[Operand]
    fed: Integers | None
    echo: Sequence[Sequence[Message]]
    later: Sequence[Sequence[Stage]] = ()
    parts: Sequence[Sequence[Message]] = ()
    added: Integers | None = None

    @staticmethod
    def of(
        work: Work,
        homes: Sequence[Block],
        stages: Sequence[Sequence[Stage]],
        sends: Sequence[Sequence[Message]] = (),
        merges: Sequence[Operand] = (),
        fed: Integers | None = None,
        echo: Sequence[Sequence[Message]] = (),
        later: Sequence[Sequence[Stage]] = (),
        parts: Sequence[Sequence[Message]] = (),
    ) -> Homes:
        """Make them from the placed blocks; see the class for the other arguments."""
        blocks = tuple(work.layer.blocks[home.tile] for home in homes)
        return Homes(blocks, stages, sends, merges, fed, echo, later, parts)


def at_homes(writer: Writer, work: Work, homes: Homes, start: Sequence[Operand], done: Done | None = None) -> Done:
    """Write a task of its own for every home.

    Args:
        writer: of the program.
        work: whose vectors are done.
        homes: what is done, and where.
        start: gates to wait for, each one for all vectors or (vectors,).
        done: gates to open when each vector is done; None: new ones.

    Returns:
        The gates that say when each vector is done.
    """
    done = done or writer.ordered(work)
    each = len(homes.blocks) // work.layer.placed.replicas
    for number, block in enumerate(homes.blocks):
        chosen = work.of_replica(number // each)
        with writer.task(work, block, chosen) as task:
            task.wait_for(start, chosen)
            at_home(writer, task, work, homes, number, chosen, done)
    return done


def at_home(
    writer: Writer, task: Task, work: Work, homes: Homes, number: int, chosen: Integers | None, done: Done
) -> None:
    """Add what is done at one home to a task: digital operations of every vector, then messages.

    Args:
        writer: of the program.
        task: with one process for each chosen vector.
        work: whose vectors are done.
        homes: what is done, and where.
        number: of the home within ``homes``.
        chosen: indices of the task's vectors within the work; None: all.
        done: gates to open when each vector is done.
    """
    block, each = homes.blocks[number], len(homes.blocks) // work.layer.placed.replicas
    task.of(NO_ROW)
    task.wait_for(homes.merges, chosen)
    for stage in homes.stages[number % each] if homes.stages else ():
        stage.write(writer, task, work, block, chosen)
    if homes.added is not None:
        task.raise_(pick(homes.added, chosen))
    first, after = (homes.echo, homes.sends) if homes.echo else (homes.sends, ())
    bits, parts = partial(work.bits, chosen=chosen), homes.parts[number] if homes.parts else ()
    at_once = not (homes.echo or homes.later or homes.fed is not None)  # so that routers may copy what both kinds read
    spread(writer, task, first[number] if first else (), bits, parts if at_once else ())
    if homes.fed is not None:
        task.raise_(pick(homes.fed, chosen))
    for stage in homes.later[number % each] if homes.later else ():
        stage.write(writer, task, work, block, chosen)
    spread(writer, task, after[number] if after else (), bits, () if at_once else parts)
    writer.in_order(task, done, chosen, len(work))
