"""Write what is done where the partial sums of a layer's blocks meet: its *homes*.

A matrix that is cut over several arrays gives partial sums. Each row of blocks has a home for the forward pass, each
column of blocks one for the backward pass: the block at which the sums are added up, and from which results are sent.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from rpusim.arch.contract.columns import Integers, Operand, pick
from rpusim.arch.engine.program import Task
from rpusim.arch.mapping.placement import Block
from rpusim.arch.mapping.replicas import share
from rpusim.arch.mapping.traffic import Message
from rpusim.arch.schedule.plan import BlockPlan
from rpusim.arch.schedule.work import Done, Work
from rpusim.arch.schedule.writer import NO_ROW, Writer


@dataclass(frozen=True)
class Homes:
    """Say what is done at the homes of one phase of a layer, once the partial sums are there.

    blocks:      the homes, of one replica after the other.
    operations:  digital operations of each vector, shared among the homes of its replica; or a tuple, of each home.
    sends:       messages of each home.
    merges:      gates of other branches that have to be there first, for their sum.
    fed:         gates to open when the messages have arrived: those of ``echo`` if there are any.
    echo:        of a recurrent layer, messages of each home that feed its next step; they are sent first.
    added:       gates to open when a home has added what it was given, and its buffer need not keep that; None: none.
    """

    blocks: tuple[BlockPlan, ...]
    operations: Operand | tuple[int, ...]
    sends: Sequence[Sequence[Message]]
    merges: Sequence[Operand]
    fed: Integers | None
    echo: Sequence[Sequence[Message]]
    added: Integers | None = None

    @staticmethod
    def of(
        work: Work,
        homes: Sequence[Block],
        operations: Operand | tuple[int, ...],
        sends: Sequence[Sequence[Message]] = (),
        merges: Sequence[Operand] = (),
        fed: Integers | None = None,
        echo: Sequence[Sequence[Message]] = (),
    ) -> Homes:
        """Make them from the placed blocks; see the class for the other arguments."""
        blocks = tuple(work.layer.blocks[home.tile] for home in homes)
        return Homes(blocks, operations, sends, merges, fed, echo)


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
    if isinstance(homes.operations, tuple):
        writer.units.compute(task, block, homes.operations[number])
    else:
        writer.units.compute(task, block, share(pick(homes.operations, chosen), number % each, each))
    if homes.added is not None:
        task.raise_(pick(homes.added, chosen))
    first, after = (homes.echo, homes.sends) if homes.echo else (homes.sends, ())
    for message in first[number] if first else ():
        writer.units.deliver(task, message, work.bits(message, chosen))
    if homes.fed is not None:
        task.raise_(pick(homes.fed, chosen))
    for message in after[number] if after else ():
        writer.units.deliver(task, message, work.bits(message, chosen))
    writer.in_order(task, done, chosen, len(work))
