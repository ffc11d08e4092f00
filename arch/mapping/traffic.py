"""Which tiles send what to which others, and the way there: results, errors, gradients, the network's input.

A tile gets what several of its blocks need only once, also if the blocks belong to different replicas of a layer;
`replicas` counts the positions. What several tiles read alike is one message where the routers of the mesh copy
messages, see `messages`.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Hashable, Iterable
from dataclasses import replace
from functools import cache, partial

import numpy as np

from rpusim.arch.contract.columns import Integers
from rpusim.arch.mapping.drawn import DrawnExchange, DrawnInputs, Joins
from rpusim.arch.mapping.messages import Cast, Message
from rpusim.arch.mapping.placement import Block, PlacedLayer, Placement
from rpusim.arch.mapping.reach import behind, overlap, summed, there, wanted
from rpusim.arch.mapping.replicas import ONE, Amount, Inputs, exchange, in_turn
from rpusim.arch.mapping.routes import Routes, Stations
from rpusim.arch.network.network import INPUT


class Traffic:
    """Find the messages of one placement, and the stations on their ways.

    stations:   gets the ports, links and buffers that are met.
    placement:  where the layers lie.
    """

    def __init__(self, stations: Stations, placement: Placement) -> None:
        self._stations, self._placement = stations, placement
        self._network, self._layers = placement.network, placement.layers
        self.route = Routes(stations, placement).route
        self._casts: dict[Hashable, Cast] = {}
        self._replicas = tuple(layer.replicas for layer in placement.layers)
        self._beside = cache(
            lambda number: self._network.read_beside(number, self._replicas[self._network.home(number)])
        )
        make = DrawnExchange if placement.drawn else exchange
        self._exchange = cache(lambda producer, consumer: make(self._network, producer, consumer, self._replicas))

    # --- ways ---------------------------------------------------------------------------------------------------------

    def message(self, source: Block | None, target: Block, bits: int, positions: Amount = ONE) -> Message:
        """Make the message between two blocks' tiles.

        source: None: from the edge of the mesh, where DRAM, global buffer and host link are.
        bits: of one position. positions: how many each vector sends.
        """
        buffer = self._stations.number("buffer", f"tile {target.chip_tile} buffer", target.kind)
        return Message(self.route(source, target), bits, buffer, target.kind, positions)

    def _of_cast(
        self, message: Message, key: Hashable, readers: frozenset[int], count: Callable[[frozenset[int]], Amount]
    ) -> Message:
        """Make a message part of the cast of this key, if routers copy messages; see `Cast` for the rest."""
        if not self._placement.chip.mesh.multicast:
            return message
        return replace(message, cast=self._casts.setdefault(key, Cast(count)), readers=readers)

    # --- messages -----------------------------------------------------------------------------------------------------

    def results(self, producer: int, consumer: int) -> tuple[tuple[Message, ...], ...]:
        """Find the messages with which a stage's results reach another one, in bits per completed position.

        They go from the homes of one to the tiles of a layer, or to the homes of a recurrent layer or of a sum. What is
        summed where it is made stays there, and what a sum takes of what comes to its tile for the layer at the same
        homes comes only once.

        producer, consumer: numbers of the stages.
        Returns for every row home of the producer's home layer the messages that it sends.
        """
        giver, receiver = self._home(producer), self._home(consumer)
        if consumer >= len(self._layers) and giver is receiver:
            return ((),) * len(giver.row_homes)
        between = self._exchange(producer, consumer)
        at_homes = consumer >= len(self._layers) or receiver.layer.is_recurrent
        targets = receiver.row_homes if at_homes else receiver.blocks

        def needed(home: Block, target: Block) -> Iterable[int]:
            if consumer >= len(self._layers):
                return self._summed(home, target, producer, consumer)[0]
            if receiver.layer.is_recurrent:
                return overlap(home.row_start, home.row_stop, target.row_start, target.row_stop)
            return behind(home, target, giver, receiver)

        def message(home: Block, target: Block, replicas: frozenset[int], rows: tuple[int, ...]) -> Message:
            found = self.message(home, target, len(rows) * self._word(home), between.sent(replicas))
            key: tuple[Hashable, ...] = producer, home.tile, rows, source or consumer
            if source:
                return self._of_cast(found, key, frozenset({consumer}), partial(self._alike, producer))
            return self._of_cast(found, key, replicas, between.sent)

        source = self._network.given_by(producer, consumer) if receiver.replicas == 1 else None
        each = len(giver.row_splits)
        every = [list(wanted(home, targets, receiver.grid, needed)) for home in giver.row_homes[:each]]
        return tuple(
            tuple(
                message(home, target, replicas, rows)
                for target, replicas, rows in every[number % each]
                if between.pairs[list(replicas), number // each].any()
            )
            for number, home in enumerate(giver.row_homes)
        )

    def _alike(self, producer: int, consumers: frozenset[int]) -> Amount:
        """Count what goes to stages that read what one operation makes of a stage; each is made without replicas."""
        first, *others = (self._exchange(producer, consumer) for consumer in sorted(consumers))
        return first.beside(others)

    def _home(self, stage: int) -> PlacedLayer:
        """Return the layer at whose homes a stage is made."""
        return self._layers[self._network.home(stage)]

    def errors(self, placed: PlacedLayer) -> tuple[tuple[Message, ...], ...]:
        """Find the messages from every row home, where the layer's error is computed, to the other tiles of its row.

        The error of a recurrent layer is also that of what it is given, and goes to the homes of the layer that gives.

        Returns for every row home the messages that it sends.
        """
        found, giving = [], [self._home(p) for p in self._network.predecessors(placed.index) if p != INPUT]
        for home in placed.row_homes:
            row = placed.blocks[home.tile : home.tile + len(placed.column_splits)]
            tiles = {block.chip_tile: block for block in reversed(row) if block.chip_tile != home.chip_tile}
            own = [self.message(home, tile, home.rows * self._word(home)) for tile in reversed(tiles.values())]
            key = "error", placed.index, home.tile
            found.append([self._of_cast(each, key, frozenset({0}), lambda readers: ONE) for each in own])
            for giver in giving if placed.layer.is_recurrent else ():
                for target in giver.row_homes:
                    rows = overlap(home.row_start, home.row_stop, target.row_start, target.row_stop)
                    if rows:
                        found[-1].append(self.message(home, target, len(rows) * self._word(home)))
        return tuple(map(tuple, found))

    def echo(self, placed: PlacedLayer) -> tuple[tuple[Message, ...], ...]:
        """Find the messages that bring a recurrent layer's output to its own tiles for the next step.

        Returns for every row home the messages that it sends; nothing for other layers.
        """
        if not placed.layer.is_recurrent:
            return ()
        steps = Amount((np.arange(placed.layer.vectors) < placed.layer.vectors - 1)[None].astype(np.int32))

        def needed(home: Block, target: Block) -> range:
            return behind(home, target, placed, placed)

        def message(home: Block, target: Block, rows: tuple[int, ...]) -> Message:
            found = self.message(home, target, len(rows) * self._word(home), steps)
            return self._of_cast(found, ("echo", placed.index, home.tile, rows), frozenset({0}), lambda readers: steps)

        return tuple(
            tuple(message(home, target, rows) for target, _, rows in wanted(home, placed.blocks, placed.grid, needed))
            for home in placed.row_homes
        )

    def gradients(self, consumer: PlacedLayer, producer: int) -> tuple[tuple[Message, ...], ...]:
        """Find the messages with which gradients go back to the homes of the stage before, in bits per position.

        producer: number of the stage that the consumer reads; `INPUT` gets none.
        Returns for every column home of the consumer the messages that it sends.

        A replica adds up the overlaps of its own windows before it sends anything, evenly over its vectors; parts of a
        position that come from several replicas are added up where they arrive.
        """
        found: list[list[Message]] = [[] for _ in consumer.column_homes]
        if consumer.layer.is_recurrent:  # of the step before
            steps = Amount((np.arange(consumer.layer.vectors) > 0)[None].astype(np.int32))
            for number, home in enumerate(consumer.column_homes):
                for target in consumer.row_homes:
                    if rows := behind(target, home, consumer, consumer):
                        found[number].append(self.message(home, target, len(rows) * self._word(home), steps))
        elif producer != INPUT:
            giver, between = self._home(producer), self._exchange(producer, consumer.index)
            for number, home in enumerate(consumer.column_homes):
                own = number * consumer.replicas // len(consumer.column_homes)
                for place, target in enumerate(giver.row_homes):
                    replica, rows = place // len(giver.row_splits), behind(target, home, giver, consumer)
                    if rows and between.pairs[own, replica]:
                        bits = len(rows) * self._word(home)
                        found[number].append(self.message(home, target, bits, between.sent_back(replica)))
        return tuple(map(tuple, found))

    def shared_errors(self, number: int, part: int) -> tuple[tuple[Message, ...], ...]:
        """Find the messages with which the error of a sum goes to the homes of a stage that it is made of.

        number: of the sum. part: number of the stage; what is made at the sum's own homes has its error there.
        Returns for every row home of the sum's home layer the messages that it sends, in bits per position.
        """
        home_layer, giver = self._home(number), self._home(part)
        found: list[list[Message]] = [[] for _ in home_layer.row_homes]
        if giver is not home_layer:
            between = self._exchange(part, number)
            for place, home in enumerate(home_layer.row_homes):
                own = place // len(home_layer.row_splits)
                for other, target in enumerate(giver.row_homes):
                    replica, rows = other // len(giver.row_splits), summed(target, home, giver, home_layer)
                    if rows and between.pairs[own, replica]:
                        bits = len(rows) * self._word(home)
                        found[place].append(self.message(home, target, bits, between.sent_back(replica)))
        return tuple(map(tuple, found))

    def gradient_sums(self, producer: int) -> int:
        """Count the additions per sample that join gradients where they arrive.

        They come from several stages, from several replicas of one, and in a recurrent layer from the step after.

        producer: number of the stage at whose homes they arrive.
        """
        placed, edges = self._home(producer), [e for e in self._network.edges if e.producer == producer]
        layer, whole = placed.layer, max((int(e.emits.sum()) for e in edges), default=0)
        parts = sum(int(self._exchange(producer, edge.consumer).between.sum()) for edge in edges)
        own = layer.outputs * (layer.vectors - 1) * (layer.is_recurrent and producer == placed.index)
        return own + max(parts - whole, 0) * layer.outputs

    def joins(self, producer: int) -> Joins | None:
        """Find the same additions of each sample of a program whose replicas' shares are drawn; None: they are not."""
        placed, edges = self._home(producer), [e for e in self._network.edges if e.producer == producer]
        every = (self._exchange(producer, edge.consumer) for edge in edges)
        exchanges = tuple(each for each in every if isinstance(each, DrawnExchange))
        if not any(each.drawn for each in exchanges):
            return None
        whole = max(int(e.emits.sum()) for e in edges)
        own = (
            placed.layer.outputs * (placed.layer.vectors - 1) * (placed.layer.is_recurrent and producer == placed.index)
        )
        return Joins(exchanges, whole, placed.layer.outputs, own)

    def _inputs(self, consumer: int, placed: PlacedLayer) -> Inputs:
        """Count what of the network's input a stage reads, which is a layer or is made at a layer's homes."""
        if self._placement.drawn:
            return DrawnInputs(self._network, consumer, placed.index, placed.replicas)
        return Inputs(self._network, consumer, placed.replicas)

    def inputs(self, placed: PlacedLayer) -> tuple[Message, ...]:
        """Find the messages of a sample of the network's input, from the edge of the mesh to every tile that reads it.

        Their positions are elements of the input.
        """
        columns: dict[int, dict[tuple[int, int, int], set[int]]] = {}
        for block in placed.blocks:
            own = columns.setdefault(block.chip_tile, {})
            part = placed.group(block), block.column_start, block.columns
            own.setdefault(part, set()).add(block.tile // placed.grid)
        inputs, messages = self._inputs(placed.index, placed), []
        whole = placed.layer.columns * placed.layer.groups
        first = {block.chip_tile: block for block in reversed(placed.blocks)}
        for tile, own in columns.items():
            together, parts = Counter[frozenset[int]](), dict[frozenset[int], list[tuple[int, int, int]]]()
            for part, replicas in own.items():
                together[frozenset(replicas)] += min(part[2], placed.layer.columns)
                parts.setdefault(frozenset(replicas), []).append(part)
            for sharing, number in together.items():
                amount = inputs.needed(sharing, number, whole)
                message = self.message(None, first[tile], self._word(first[tile]), amount)
                key = "input", placed.index, tuple(sorted(parts[sharing]))
                messages.append(self._of_cast(message, key, sharing, partial(inputs.needed, part=number, whole=whole)))
        return tuple(messages)

    def inputs_of_sum(self, number: int) -> tuple[Message, ...]:
        """Find the messages of a sample of the network's input to the homes of a sum that it is a part of.

        number: of the sum. Returns messages whose positions are elements of the input, one for each home.
        """
        if INPUT not in self._network.predecessors(number):
            return ()
        placed = self._home(number)
        inputs, each = self._inputs(number, placed), len(placed.row_splits)
        found = []
        for place, home in enumerate(placed.row_homes):
            rows = len(self._summed(home, home, INPUT, number)[0])
            amount = inputs.needed([place // each], rows, placed.layer.rows)
            found.append(self.message(None, home, self._word(home), amount))
        return tuple(found)

    def shared(self, number: int) -> tuple[tuple[Message, ...], ...]:
        """Find what messages bring to the layer at a sum's homes that the sum takes from there, too.

        number: of the sum. Returns for every row home of the stage that both read, in bits per position, what is shared
        of the message to each tile; nothing if there is no such stage, or if it is the network's input.
        """
        stage, receiver = self._beside(number), self._home(number)
        if stage is None or stage == INPUT:
            return ()
        giver, between = self._home(stage), self._exchange(stage, number)

        def both(home: Block, target: Block) -> Iterable[int]:
            return self._summed(home, target, stage, number)[1]

        return tuple(
            tuple(
                self.message(home, target, len(rows) * self._word(home), between.sent(replicas))
                for target, replicas, rows in wanted(home, receiver.row_homes, receiver.grid, both)
            )
            for home in giver.row_homes
        )

    def taken(self, number: int) -> tuple[tuple[Integers, Integers], ...]:
        """Count what the vectors of a sum take out of the buffers at its homes; what is made there is at hand.

        number: of the sum. Returns for every row home, as if its replica did all vectors, (vectors,) bits that waited
        there for the sum, and (vectors,) bits of what the layer at these homes reads, too, or of samples that are there
        from the start.
        """
        placed, chip = self._home(number), self._placement.chip
        found = []
        for home in placed.row_homes:
            alone, beside = np.zeros((2, placed.layer.vectors), np.int64)
            for source in self._network.predecessors(number):
                if source == INPUT:
                    mine, theirs = (len(rows) for rows in self._summed(home, home, INPUT, number))
                    inputs = Inputs(self._network, number, placed.replicas)
                    of_turn = [inputs.needed([0], rows, placed.layer.rows).table[:, 0] for rows in (mine, theirs)]
                    bits = [self._word(home) * in_turn(each.astype(np.int64), placed.layer.vectors) for each in of_turn]
                    bits = bits if chip.memory or chip.host else [bits[0] * 0, bits[0] + bits[1]]
                elif self._home(source) is placed:
                    continue
                else:
                    giver = self._home(source)
                    positions = in_turn(self._exchange(source, number).between.sum(1), placed.layer.vectors)
                    words = np.zeros(2, np.int64)
                    for other in giver.row_homes[: len(giver.row_splits)]:
                        rows = self._summed(other, home, source, number)
                        words += np.array([len(each) for each in rows]) * self._word(other)
                    bits = [words[0] * positions, words[1] * positions]
                alone, beside = alone + bits[0], beside + bits[1]
            found.append((alone, beside))
        return tuple(found)

    def _summed(self, home: Block, target: Block, producer: int, number: int) -> tuple[list[int], list[int]]:
        """Find the outputs of a home of a stage that are summed at a home of a sum.

        home: of the producer; the target itself if that is the sample. target: of the sum.
        Returns those that come for the sum alone, and those that come to this tile for the layer at the same homes.
        """
        receiver = self._home(number)
        giver = receiver if producer == INPUT else self._home(producer)
        rows = summed(home, target, giver, receiver)
        come = there(home, target, giver, receiver) if self._beside(number) == producer else frozenset[int]()
        return [row for row in rows if row not in come], [row for row in rows if row in come]

    def read(self, placed: PlacedLayer) -> int:
        """Count the numbers of a sample that a layer reads.

        A recurrent layer reads what it is given, and its own outputs.
        """
        everyone, (producer,) = range(placed.replicas), self._network.predecessors(placed.index)
        own = placed.layer.columns * placed.layer.vectors if placed.layer.is_recurrent else 0
        if producer == INPUT:
            whole = placed.layer.columns * placed.layer.groups
            inputs = Inputs(self._network, placed.index, placed.replicas)
            return own + int(inputs.needed(everyone, whole, whole).table.sum())
        positions = self._exchange(producer, placed.index).sent(everyone).table.sum()
        return own + int(positions) * self._home(producer).layer.outputs

    def _word(self, block: Block) -> int:
        return self._placement.chip.tiles[block.kind].digital.word_bits
