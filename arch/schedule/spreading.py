"""Write how messages of a home spread over the mesh: by themselves one after the other, or as a tree of links.

Where ways part, a router sends copies on at once. The first goes on in the task that sends; each other one has a task
of its own, which starts when the message is there. The sender goes on when all readers have it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import partial

import numpy as np

from rpusim.arch.contract.activity import Phase
from rpusim.arch.contract.columns import Integers, Operand, pick
from rpusim.arch.engine.events import NO_ROW, PART
from rpusim.arch.engine.program import Task
from rpusim.arch.mapping.messages import Branch, Message, trees
from rpusim.arch.schedule.writer import Writer


def spread(
    writer: Writer,
    task: Task,
    messages: Iterable[Message],
    bits: Callable[[Message], Operand],
    parts: Iterable[Message] = (),
    row: int = NO_ROW,
) -> None:
    """Add the messages of one home to its task.

    Args:
        writer: of the program.
        task: one process for each vector.
        messages: in the order in which they are sent.
        bits: of a message, one number for all processes or (processes,).
        parts: messages that wait where they arrive, to be summed with others; they are sent last.
        row: of the events of the others, see `rpusim.arch.engine.events`.
    """
    parts = tuple(parts)
    sending = _Sending(writer, bits, frozenset(map(id, parts)), row)
    for tree in trees((*messages, *parts)):
        arrived = writer.builder.gates(task.processes) + np.arange(task.processes) if _parts(tree) else None
        sending.go(task, tree, None, arrived)
        if arrived is not None:
            task.wait(arrived)


def _parts(tree: Branch) -> bool:
    """Tell whether ways part somewhere, or readers share the last router."""
    return len(tree.ends) + len(tree.branches) > 1 or any(map(_parts, tree.branches))


@dataclass(frozen=True)
class _Sending:
    """Send what a home sends.

    writer: of the program. bits: of a message, for all processes of the home's task. summed: ids of messages that wait
    where they arrive. row: of the events of all others.

    In its methods ``own`` are the processes of the home's task that a task is for (None: all), and ``arrived`` gates
    that a task for a copy raises at its end, one for each process of the home's task.
    """

    writer: Writer
    bits: Callable[[Message], Operand]
    summed: frozenset[int]
    row: int

    def go(self, task: Task, tree: Branch, own: Integers | None, arrived: Integers | None) -> None:
        """Add a tree, from its first link on, to a task."""
        task.of(self._row(tree))
        self.writer.units.send(task, tree.hops, pick(self.bits(tree.sent), own))
        onward: list[Callable[[Task, Integers | None], None]] = [
            partial(self._end, message=message) for message in tree.ends
        ]
        onward += [partial(self._branch, tree=branch, arrived=arrived) for branch in tree.branches]
        sent = [*tree.ends, *(branch.sent for branch in tree.branches)]
        if len(onward) > 1:
            assert arrived is not None, "ways part, and nobody waits for the copies"
            there = self.writer.builder.gates(task.processes) + np.arange(task.processes)
            task.raise_(there)
            for message, way in zip(sent[1:], onward[1:], strict=True):
                self.writer.afterwards(partial(self._copy, task.about, message, way, own, there, arrived))
        onward[0](task, own)

    def _copy(
        self,
        about: tuple[Phase, int, int, Operand],
        message: Message,
        way: Callable[[Task, Integers | None], None],
        own: Integers | None,
        there: Integers,
        arrived: Integers,
    ) -> None:
        """Write the task of a copy, for the vectors that send something that way.

        about: of the task that sends it: phase, layer, tile, and its vectors. there: gates of when it can start.
        """
        phase, layer, tile, vector = about
        bits = pick(self.bits(message), own)
        some = np.arange(len(there)) if isinstance(bits, int) else np.flatnonzero(bits)
        if not len(some) or (isinstance(bits, int) and not bits):
            return
        mine = some if own is None else own[some]
        with self.writer.builder.task(len(some), phase, layer, tile, pick(vector, some)) as task:
            task.wait(there[some])
            way(task, mine)
            task.raise_(arrived[mine])

    def _branch(self, task: Task, own: Integers | None, tree: Branch, arrived: Integers | None) -> None:
        self.go(task, tree, own, arrived)

    def _end(self, task: Task, own: Integers | None, message: Message) -> None:
        """Write what has come into the buffer of its reader."""
        task.of(PART if id(message) in self.summed else self.row)
        self.writer.units.keep(task, message, pick(self.bits(message), own))

    def _row(self, tree: Branch) -> int:
        """Say of which row the events of a tree's first links are: `PART` if nobody reads it but for a sum."""
        waits = [id(message) in self.summed for message in tree.ends]
        return PART if all(waits) and all(self._row(branch) == PART for branch in tree.branches) else self.row
