"""Write how room in buffers is reserved for results on their way, so that a full buffer stalls those that fill it.

Done where nothing has to be kept (`layer-pipelined`): before a vector is driven, it reserves room in the buffers of all
that will read its result; the last vector that reads a result gives the room back. What both a layer and the sum at its
homes read is there once, and is given back by the sum. Where layers use one weight, and so the same tiles, each has an
equal part of their buffers, and so has every sum whose parts wait there: what waits for one of them must not keep out
what it waits for.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from rpusim.arch.contract.activity import Phase
from rpusim.arch.contract.columns import Integers, Operand
from rpusim.arch.mapping.messages import Message
from rpusim.arch.schedule.movement import Movement
from rpusim.arch.schedule.plan import LayerPlan, SumPlan
from rpusim.arch.schedule.work import Work
from rpusim.arch.schedule.writer import Writer


class Given(NamedTuple):
    """Room that is given back.

    message:  that brought what took it.
    reader:   number of the stage that it was for, a layer or a sum.
    bits:     (vectors,) that each vector of the reader's home layer gives back.
    """

    message: Message
    reader: int
    bits: Integers


class Room:
    """Add tasks that reserve and release room to the program of a writer.

    Args:
        writer: of the program.
        movement: knows how much of each buffer the network's input takes.
    """

    def __init__(self, writer: Writer, movement: Movement) -> None:
        self._writer, self._movement = writer, movement
        self._tenants: dict[int, set[int]] = {}
        """By station of a buffer: the layers and sums that have a part of it, -1 for all other layers together."""
        for layer in writer.plan.layers:
            for block in layer.blocks:
                self._tenants.setdefault(block.buffer, set()).add(self._tenant(layer.index))
        for made in (made for layer in writer.plan.layers for made in layer.sums):
            for message in (message for _, messages in self._parts(made) for message in messages):
                self._tenants[message.buffer].add(made.number)

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
                for message, consumer, bits in sorted(wanted[home], key=self._place):
                    with task.unless_zero(bits) as done:
                        if done:
                            task.take(self._space(message, consumer), bits)
                task.raise_(reserved)
        return [reserved]

    def freed(self, work: Work) -> list[Given]:
        """Return what each vector gives back of the results that it is the last to read."""
        layer, freed = work.layer, list[Given]()
        for _, frees in layer.frees if self._writer.streams and work.phase == Phase.FORWARD else ():
            given = self._writer.plan.giver(layer.index)
            assert given is not None, "a layer that frees what it reads reads something"
            for home, messages in enumerate(given[1]) if self._counts(given[0], layer.index) else ():
                shared = [(m.buffer, m.bits) for made in layer.sums if made.shared for m in made.shared[home]]
                for message in messages:
                    bits = message.bits - sum(bits for buffer, bits in shared if buffer == message.buffer)
                    freed.append(Given(message, layer.index, bits * np.array(frees, np.int64)[work.position]))
        return freed

    def freed_by_sum(self, work: Work, made: SumPlan) -> list[Given]:
        """Return what each vector gives back of a sum's parts, and of what its home layer has read, too."""
        if not self._writer.streams:
            return []
        network, layer, freed = self._writer.plan.placement.network, work.layer, list[Given]()
        frees = dict(made.frees)
        for part, messages in self._parts(made):
            positions = np.array(frees[part], np.int64)[work.position]
            freed += [Given(message, made.number, message.bits * positions) for message in messages]
        beside = network.read_beside(made.number) if made.shared else None
        if beside is not None and self._counts(self._writer.plan.layers[network.home(beside)], layer.index):
            positions = np.array(made.frees_shared, np.int64)[work.position]
            freed += [Given(m, layer.index, m.bits * positions) for messages in made.shared for m in messages]
        return freed

    def release(self, work: Work, read: Sequence[Integers], freed: Sequence[Given]) -> None:
        """Give room back as soon as the vector that reads it last has done so.

        Args:
            work: that reads the results.
            read: gates to wait for, each (vectors,): when a vector is multiplied; in a recurrent layer, which adds at
                its homes what it is given, when that is added; of a sum, when its parts are.
            freed: what `freed` or `freed_by_sum` returned.
        """
        with self._writer.task(work, work.layer.blocks[0], None) as task:
            task.wait_for(read)
            for message, reader, bits in freed:
                with task.unless_zero(bits) as done:
                    if done:
                        task.give(self._space(message, reader), bits)

    def _results(self, layer: LayerPlan, home: int) -> list[tuple[int, Message]]:
        """Return (reader, message) of one home of a layer, and of its sums, for all for which room is reserved."""
        network, found = self._writer.plan.placement.network, []
        stages = [(layer.index, layer.outputs), *((each.number, each.outputs) for each in layer.sums)]
        for stage, outputs in stages:
            for consumer, messages in zip(network.successors(stage), outputs, strict=True):
                if self._counts(layer, consumer):
                    found += [(consumer, message) for message in messages[home]]
        return found

    def _parts(self, made: SumPlan) -> list[tuple[int, list[Message]]]:
        """Return (part, messages) of the stages whose results wait for a sum, for all for which room is reserved."""
        plan, network = self._writer.plan, self._writer.plan.placement.network
        counted = [part for part, _ in made.needs if self._counts(plan.layers[network.home(part)], made.number)]
        return [(part, [m for messages in plan.sent(part, made.number) for m in messages]) for part in counted]

    def _counts(self, layer: LayerPlan, reader: int) -> bool:
        """Tell whether room is reserved for what goes from a layer's homes to a stage, both without replicas.

        layer: that sends. reader: number of the stage.
        """
        plan = self._writer.plan
        return layer.placed.replicas == plan.layers[plan.placement.network.home(reader)].placed.replicas == 1

    def _place(self, wanted: tuple[Message, int, Operand]) -> tuple[int, int]:
        """Return the place of room that is wanted in the one order in which all vectors take it."""
        message, reader, _ = wanted
        return message.buffer, self._tenant(reader)

    def _tenant(self, stage: int) -> int:
        """Return a sum, or the layer itself if another one uses the same weight, and so the same buffers; else -1."""
        sum_or_shared = (
            stage >= len(self._writer.plan.layers) or len(self._writer.plan.placement.network.uses(stage)) > 1
        )
        return stage if sum_or_shared else -1

    def _space(self, message: Message, reader: int) -> int:
        """Return the station that stands for room in the buffer at a message's end, in bits, less that of the input.

        reader: number of the stage that the message is for.
        """
        plan, tenants = self._writer.plan, self._tenants[message.buffer]
        capacity = int(plan.placement.chip.tiles[message.kind].buffer.capacity)
        room = (capacity - self._movement.input_room[message.buffer]) // len(tenants)
        name = f"room in {plan.stations[message.buffer]}"
        if (tenant := self._tenant(reader)) >= len(plan.layers):
            name += f" for sum {plan.placement.network.sums[tenant - len(plan.layers)].name!r}"
        elif tenant >= 0:
            name += f" for layer {plan.layers[tenant].placed.layer.name!r}"
        return self._writer.builder.pool(name, room)
