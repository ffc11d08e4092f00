"""Write how room in buffers is reserved for results on their way, so that a full buffer stalls those that fill it.

Done where nothing has to be kept (`layer-pipelined`): before a vector is driven, it reserves room in the buffers of all
that will read its result; the last vector that reads a result gives the room back. Where layers use one weight, and so
the same tiles, each has an equal part of their buffers: what waits for one of them must not keep out what it waits for.
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
        self._tenants: dict[int, set[int]] = {}
        """By station of a buffer: the layers that have a part of it, -1 for all others together."""
        for layer in writer.plan.layers:
            for block in layer.blocks:
                self._tenants.setdefault(block.buffer, set()).add(self._tenant(layer.index))

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
            [(message, consumer, work.bits(message)) for consumer, message in self._results(layer, home)]
            for home in range(len(layer.placed.row_homes))
        ]
        if not writer.streams or not any(wanted):
            return start
        reserved = writer.gates(work)
        for home, block in enumerate(layer.placed.row_homes):
            with writer.task(work, layer.blocks[block.tile], None) as task:
                task.wait_for(start)
                for message, consumer, bits in sorted(wanted[home], key=lambda each: each[0].buffer):
                    with task.unless_zero(bits) as done:
                        if done:
                            task.take(self._space(message, consumer), bits)
                task.raise_(reserved)
        return [reserved]

    def freed(self, work: Work) -> list[tuple[Message, Integers]]:
        """Return (message, (vectors,) bits) of the results that each vector is the last to read."""
        layer, freed = work.layer, []
        for _, frees in layer.frees if self._writer.streams and work.phase == Phase.FORWARD else ():
            given = self._writer.plan.giver(layer.index)
            assert given is not None, "a layer that frees what it reads reads something"
            for messages in given[1] if self._counts(given[0], layer.index) else ():
                for message in messages:
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
                        task.give(self._space(message, work.layer.index), bits)

    def _results(self, layer: LayerPlan, home: int) -> list[tuple[int, Message]]:
        """Return (reader, message) of one home of a layer, and of its sums, for all for which room is reserved.

        Parts on their way to a sum wait at its home; room for them is not counted.
        """
        network, found = self._writer.plan.placement.network, []
        stages = [(layer.index, layer.outputs), *((each.number, each.outputs) for each in layer.sums)]
        for stage, outputs in stages:
            for consumer, messages in zip(network.successors(stage), outputs, strict=True):
                if self._counts(layer, consumer):
                    found += [(consumer, message) for message in messages[home]]
        return found

    def _counts(self, layer: LayerPlan, consumer: int) -> bool:
        """Tell whether room is reserved for what goes from a layer's homes to a stage: a layer, both without replicas.

        layer: that sends. consumer: number of the stage.
        """
        layers = self._writer.plan.layers
        return consumer < len(layers) and layer.placed.replicas == layers[consumer].placed.replicas == 1

    def _tenant(self, layer: int) -> int:
        """Return the layer itself if another one uses the same weight, and so the same buffers; -1 if none does."""
        return layer if len(self._writer.plan.placement.network.uses(layer)) > 1 else -1

    def _space(self, message: Message, reader: int) -> int:
        """Return the station that stands for room in the buffer at a message's end, in bits, less that of the input.

        reader: the layer that the message is for.
        """
        plan, tenants = self._writer.plan, self._tenants[message.buffer]
        capacity = int(plan.placement.chip.tiles[message.kind].buffer.capacity)
        room = (capacity - self._movement.input_room[message.buffer]) // len(tenants)
        name = f"room in {plan.stations[message.buffer]}"
        if (tenant := self._tenant(reader)) >= 0:
            name += f" for layer {plan.layers[tenant].placed.layer.name!r}"
        return self._writer.builder.pool(name, room)
