"""Write how room in buffers is reserved for results on their way, so that a full buffer stalls those that fill it.

Done where nothing has to be kept (`layer-pipelined`): before a vector is driven, it reserves room in the buffers of all
that will read its result; the last vector that reads a result gives the room back.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from rpusim.arch.contract.activity import Phase
from rpusim.arch.contract.columns import Integers, Operand
from rpusim.arch.mapping.traffic import Message
from rpusim.arch.schedule.movement import Movement
from rpusim.arch.schedule.plan import LayerPlan
from rpusim.arch.schedule.work import Work
from rpusim.arch.schedule.writer import Writer


class Room:
    """Add tasks that reserve and release room to the program of a writer.

    Args:
        writer: of the program.
        movement: knows how much of each buffer the network's input takes.
    """

    def __init__(self, writer: Writer, movement: Movement) -> None:
        self._writer, self._movement = writer, movement

    def reserve(self, work: Work, start: Sequence[Operand]) -> Sequence[Operand]:
        """Reserve room for the results of every vector, where its homes send them.

        Args:
            work: forward.
            start: gates to wait for before, each one for all vectors or (vectors,).

        Returns:
            The gates to wait for before a vector is driven; ``start`` if there is nothing to reserve.
        """
        writer, layer = self._writer, work.layer
        wanted = [
            [(message, work.bits(message)) for _, message in self._results(layer, home)]
            for home in range(len(layer.placed.row_homes))
        ]
        if not writer.streams or not any(wanted):
            return start
        reserved = writer.gates(work)
        for home, block in enumerate(layer.placed.row_homes):
            with writer.task(work, layer.blocks[block.tile], None) as task:
                task.wait_for(start)
                for message, bits in sorted(wanted[home], key=lambda each: each[0].buffer):
                    with task.unless_zero(bits) as done:
                        if done:
                            task.take(self._space(message), bits)
                task.raise_(reserved)
        return [reserved]

    def freed(self, work: Work) -> list[tuple[Message, Integers]]:
        """Return (message, (vectors,) bits) of the results that each vector is the last to read."""
        layer, freed = work.layer, []
        for producer, frees in layer.frees if self._writer.streams and work.phase == Phase.FORWARD else ():
            theirs = self._writer.plan.layers[producer]
            for home in range(len(theirs.placed.row_homes)):
                for e, message in self._results(theirs, home):
                    if self._consumers(theirs)[e] == layer.index:
                        freed.append((message, message.bits * np.array(frees, np.int64)[work.position]))
        return freed

    def release(self, work: Work, read: Integers, freed: Sequence[tuple[Message, Integers]]) -> None:
        """Give room back as soon as the vector that reads it last has done so.

        Args:
            work: that reads the results.
            read: (vectors,) gates that open when a vector is multiplied; in a recurrent layer, which adds at its homes
                what it is given, when that is added.
            freed: what `freed` returned.
        """
        with self._writer.task(work, work.layer.blocks[0], None) as task:
            task.wait(read)
            for message, bits in freed:
                with task.unless_zero(bits) as done:
                    if done:
                        task.give(self._space(message), bits)

    def _results(self, layer: LayerPlan, home: int) -> list[tuple[int, Message]]:
        """Return (edge, message) of results for which room is reserved: from one layer without replicas to another.

        Partial results on their way to a sum of branches wait at its home; room for them is not counted.
        """
        found = []
        for e, consumer in enumerate(self._consumers(layer)):
            merging = max(self._writer.plan.placement.network.predecessors(consumer))
            replicas = layer.placed.replicas, self._writer.plan.layers[consumer].placed.replicas
            if merging == layer.index and replicas == (1, 1):
                found += [(e, message) for message in layer.outputs[e][home]]
        return found

    def _consumers(self, layer: LayerPlan) -> list[int]:
        """Return the layers that read a layer's results, in the order of its edges."""
        return [e.consumer for e in self._writer.plan.placement.network.edges if e.producer == layer.index]

    def _space(self, message: Message) -> int:
        """Return the station that stands for the room in the buffer at a message's end, in bits, less the input's."""
        capacity = int(self._writer.plan.placement.chip.tiles[message.kind].buffer.capacity)
        room = capacity - self._movement.input_room[message.buffer]
        return self._writer.builder.pool(f"room in {self._writer.plan.stations[message.buffer]}", room)
