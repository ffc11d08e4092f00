"""Which tiles send what to which others, and the way there: results, errors, gradients, the network's input.

Routes run from the source's router along the row of routers, then the column. A tile gets what several of its blocks
need only once, also if the blocks belong to different replicas of a layer; `replicas` counts the positions.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from functools import cache, partial

import numpy as np

from rpusim.arch.chips.bill_of_parts import bill_of_parts
from rpusim.arch.contract.columns import Integers
from rpusim.arch.contract.quantity import picoseconds
from rpusim.arch.mapping.placement import Block, PlacedLayer, Placement
from rpusim.arch.mapping.replicas import ONE, Amount, Inputs, exchange, to_sum
from rpusim.arch.network.network import INPUT, Edge


@dataclass(frozen=True)
class Hop:
    """One port or link of a route.

    station:  number of the station that the message holds there, for the time of its bits.
    """

    station: int


@dataclass(frozen=True, eq=False)
class Message:
    """What a tile gets from another one, or from the edge of the mesh, with every vector of a layer.

    route:      ports and links on the way; none if it stays on its tile, or if the chip has nothing at the edge.
    bits:       of one position.
    buffer:     number of the station that takes it: the port of the receiving tile's buffer.
    kind:       kind of the receiving tile, whose buffer has a bandwidth.
    positions:  how many positions each vector sends.
    """

    route: tuple[Hop, ...]
    bits: int
    buffer: int
    kind: int
    positions: Amount = ONE

    def sent(self, sample: Integers, position: Integers) -> Integers:
        """Count the bits that vectors send.

        sample: for each vector, its sample's number within the mini-batch.
        position: its own number within the sample.
        """
        return self.bits * self.positions.of(sample, position)


@dataclass
class Stations:
    """Number the stations (what a process can hold or wait for) while a plan is made.

    names:     number of every station, by its unique name.
    parts:     by number: the part of the chip that a station is, such as "link".
    kinds:     by number: the kind of tile that it belongs to; -1: to none.
    capacity:  by number: how many processes can hold it at the same time.
    latency:   by number: ps for which what left it is on its way.
    in_flight: by number: how many may hold it and be on their way together, if it has a latency.
    """

    names: dict[str, int] = field(default_factory=dict)
    parts: list[str] = field(default_factory=list)
    kinds: list[int] = field(default_factory=list)
    capacity: list[int] = field(default_factory=list)
    latency: list[int] = field(default_factory=list)
    in_flight: list[int] = field(default_factory=list)

    def number(
        self, part: str, name: str, kind: int = -1, capacity: int = 1, latency: float = 0.0, in_flight: int = 1
    ) -> int:
        """Return the number of the station of this name, which is added with the rest if it is new."""
        if name not in self.names:
            self.names[name] = len(self.parts)
            self.parts.append(part)
            self.kinds.append(kind)
            self.capacity.append(capacity)
            self.latency.append(picoseconds(latency))
            self.in_flight.append(in_flight)
        return self.names[name]


class Traffic:
    """Find the messages of one placement, and the stations on their ways.

    stations:   gets the ports, links and buffers that are met.
    placement:  where the layers lie.
    """

    def __init__(self, stations: Stations, placement: Placement) -> None:
        self._stations, self._placement = stations, placement
        self._network, self._layers = placement.network, placement.layers
        chip = placement.chip
        self._hop = bill_of_parts(chip).hop_seconds if chip.mesh.hop_latency is None else chip.mesh.hop_latency
        self._edge = bool(chip.global_buffer or chip.memory or chip.host)
        self._replicas = tuple(layer.replicas for layer in placement.layers)
        self._exchange = cache(lambda producer, consumer: exchange(self._network, producer, consumer, self._replicas))

    # --- ways ---------------------------------------------------------------------------------------------------------

    def message(self, source: Block | None, target: Block, bits: int, positions: Amount = ONE) -> Message:
        """Make the message between two blocks' tiles.

        source: None: from the edge of the mesh, where DRAM, global buffer and host link are.
        bits: of one position. positions: how many each vector sends.
        """
        buffer = self._stations.number("buffer", f"tile {target.chip_tile} buffer", target.kind)
        return Message(self.route(source, target), bits, buffer, target.kind, positions)

    def route(self, source: Block | None, target: Block | None) -> tuple[Hop, ...]:
        """Find the way: into the source's router, then links along the row of routers, then along the column.

        source, target: blocks on the first and the last tile; None: the edge of the mesh, at its first router.
        Returns nothing if both are the same tile, or if one is an edge at which the chip has nothing.
        """
        start, goal = (block and block.chip_tile for block in (source, target))
        if start == goal or (None in (start, goal) and not self._edge):
            return ()
        mesh = self._placement.chip.mesh
        row, column = divmod((start or 0) // mesh.tiles_per_router, mesh.columns)
        goal_row, goal_column = divmod((goal or 0) // mesh.tiles_per_router, mesh.columns)
        number = partial(self._stations.number, latency=self._hop, in_flight=mesh.in_flight)
        entry = "port of the edge" if start is None else f"port of tile {start}"
        route = [Hop(number("port", entry))]
        while (row, column) != (goal_row, goal_column):
            if column != goal_column:
                following = (row, column + (1 if goal_column > column else -1))
            else:
                following = (row + (1 if goal_row > row else -1), column)
            name = f"link ({row},{column})-({following[0]},{following[1]})"
            route.append(Hop(number("link", name)))
            row, column = following
        return tuple(route)

    # --- messages -----------------------------------------------------------------------------------------------------

    def results(self, producer: PlacedLayer, consumer: int) -> tuple[tuple[Message, ...], ...]:
        """Find the messages with which a layer's results reach a later layer, in bits per completed position.

        Where several branches are summed before the consumer, the latest producer does the sum: the earlier ones send
        their results to its homes, and only it sends to the consumer.

        producer: the layer that sends. consumer: index of the layer that reads the results.
        Returns for every row home of the producer the messages that it sends.
        """
        merging = max(self._network.predecessors(consumer))
        if self._layers[consumer].layer.is_recurrent:
            receiver = self._layers[consumer]
            merging, between = consumer, self._exchange(producer.index, consumer)
            targets = receiver.row_homes
        elif merging == producer.index:
            receiver, between = self._layers[consumer], self._exchange(producer.index, consumer)
            targets = receiver.blocks
        else:
            receiver = self._layers[merging]
            between = to_sum(self._network, producer.index, merging, consumer, self._replicas)
            targets = receiver.row_homes

        def needed(home: Block, target: Block) -> range:
            if self._layers[consumer].layer.is_recurrent:
                return _overlap(home.row_start, home.row_stop, target.row_start, target.row_stop)
            if receiver.index == merging:
                own, theirs = _outputs(home, producer), _outputs(target, receiver)
                return _overlap(own.start, own.stop, theirs.start, theirs.stop)
            return behind(home, target, producer, receiver)

        each = len(producer.row_splits)
        wanted = [list(_wanted(home, targets, receiver.grid, needed)) for home in producer.row_homes[:each]]
        return tuple(
            tuple(
                self.message(home, target, rows * self._word(home), between.sent(replicas))
                for target, replicas, rows in wanted[number % each]
                if between.pairs[list(replicas), number // each].any()
            )
            for number, home in enumerate(producer.row_homes)
        )

    def errors(self, placed: PlacedLayer) -> tuple[tuple[Message, ...], ...]:
        """Find the messages from every row home, where the layer's error is computed, to the other tiles of its row.

        The error of a recurrent layer is also that of what it is given, and goes to the homes of the layer that gives.

        Returns for every row home the messages that it sends.
        """
        found, giving = [], [self._layers[p] for p in self._network.predecessors(placed.index) if p >= 0]
        for home in placed.row_homes:
            row = placed.blocks[home.tile : home.tile + len(placed.column_splits)]
            tiles = {block.chip_tile: block for block in reversed(row) if block.chip_tile != home.chip_tile}
            found.append([self.message(home, tile, home.rows * self._word(home)) for tile in reversed(tiles.values())])
            for giver in giving if placed.layer.is_recurrent else ():
                for target in giver.row_homes:
                    rows = _overlap(home.row_start, home.row_stop, target.row_start, target.row_stop)
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

        return tuple(
            tuple(
                self.message(home, target, number * self._word(home), steps)
                for target, _, number in _wanted(home, placed.blocks, placed.grid, needed)
            )
            for home in placed.row_homes
        )

    def gradients(self, consumer: PlacedLayer, earlier: Iterable[int]) -> tuple[tuple[Message, ...], ...]:
        """Find the messages with which gradients go back to the homes of earlier layers, in bits per position.

        earlier: indices of the layers that the consumer reads.
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
            return tuple(map(tuple, found))
        for number, home in enumerate(consumer.column_homes):
            own = number * consumer.replicas // len(consumer.column_homes)
            for producer in (self._layers[index] for index in earlier):
                between, each = self._exchange(producer.index, consumer.index), len(producer.row_splits)
                for place, target in enumerate(producer.row_homes):
                    rows = behind(target, home, producer, consumer)
                    if rows and between.pairs[own, place // each]:
                        bits = len(rows) * self._word(home)
                        found[number].append(self.message(home, target, bits, between.sent_back(place // each)))
        return tuple(map(tuple, found))

    def gradient_sums(self, producer: PlacedLayer, later: Iterable[Edge]) -> int:
        """Count the additions per sample that join gradients where they arrive.

        They come from several layers, from several replicas of one, and in a recurrent layer from the step after.

        producer: the layer at whose homes they arrive. later: the edges from it to the layers that read it.
        """
        edges = list(later)
        parts = sum(int(self._exchange(producer.index, edge.consumer).between.sum()) for edge in edges)
        own = producer.layer.outputs * (producer.layer.vectors - 1) * producer.layer.is_recurrent
        return own + ((parts - int(edges[0].emits.sum())) * producer.layer.outputs if edges else 0)

    def inputs(self, placed: PlacedLayer) -> tuple[Message, ...]:
        """Find the messages of a sample of the network's input, from the edge of the mesh to every tile that reads it.

        Their positions are elements of the input.
        """
        columns: dict[int, dict[tuple[int, int, int], set[int]]] = {}
        for block in placed.blocks:
            own = columns.setdefault(block.chip_tile, {})
            part = placed.group(block), block.column_start, block.columns
            own.setdefault(part, set()).add(block.tile // placed.grid)
        inputs, messages = Inputs(self._network, placed.index, placed.replicas), []
        first = {block.chip_tile: block for block in reversed(placed.blocks)}
        for tile, own in columns.items():
            together = Counter[frozenset[int]]()
            for (_, _, number), replicas in own.items():
                together[frozenset(replicas)] += min(number, placed.layer.columns)
            for sharing, number in together.items():
                amount = inputs.needed(sharing, number)
                messages.append(self.message(None, first[tile], self._word(first[tile]), amount))
        return tuple(messages)

    def read(self, placed: PlacedLayer) -> int:
        """Count the numbers of a sample that a layer reads; where it reads a sum, those of its largest part.

        A recurrent layer reads what it is given, and its own outputs.
        """
        found, everyone = [], range(placed.replicas)
        for producer in self._network.predecessors(placed.index):
            if producer == INPUT:
                inputs = Inputs(self._network, placed.index, placed.replicas)
                found.append(int(inputs.needed(everyone, placed.layer.columns * placed.layer.groups).table.sum()))
            else:
                positions = self._exchange(producer, placed.index).sent(everyone).table.sum()
                found.append(int(positions) * self._layers[producer].layer.outputs)
        own = placed.layer.columns * placed.layer.vectors if placed.layer.is_recurrent else 0
        return max(found) + own

    def _word(self, block: Block) -> int:
        return self._placement.chip.tiles[block.kind].digital.word_bits


def behind(rows: Block, columns: Block, producer: PlacedLayer, consumer: PlacedLayer) -> range:
    """Find which of a producer's outputs are read through the columns of a consumer's block.

    rows: a block of the producer, of whose outputs is asked. columns: a block of the consumer.
    Returns their range among all outputs of the producer.

    Each output (a channel, or an element) stands behind a number of adjacent columns, of all groups together; where
    that is no whole number (the positions were rearranged in between) every column is taken to need every output.
    """
    layer, own = consumer.layer, _outputs(rows, producer)
    each, remainder = divmod(layer.columns * layer.groups, producer.layer.outputs)
    if remainder or not each:
        return own
    before = consumer.group(columns) * layer.columns
    start, stop = before + columns.column_start, before + min(columns.column_stop, layer.columns)
    return range(max(start // each, own.start), min(-(-stop // each), own.stop))


def _outputs(rows: Block, layer: PlacedLayer) -> range:
    """Which of a layer's outputs a block of its rows makes."""
    return range(rows.row_start // layer.layer.gates, -(-rows.row_stop // layer.layer.gates))


def _overlap(start: int, stop: int, other_start: int, other_stop: int) -> range:
    return range(max(start, other_start), min(stop, other_stop))


def _wanted(
    home: Block, targets: Iterable[Block], grid: int, needed: Callable[[Block, Block], range]
) -> Iterator[tuple[Block, frozenset[int], int]]:
    """Group the rows of a home by the tiles that need them, and on each tile by the replicas that do.

    targets: blocks that may need rows, of all replicas. grid: blocks of one replica. needed: which rows a target needs.
    Yields (a block on the tile, replicas that share the rows, how many rows).
    """
    rows: dict[int, dict[int, set[int]]] = {}
    first: dict[int, Block] = {}
    for target in targets:
        first.setdefault(target.chip_tile, target)
        of_tile = rows.setdefault(target.chip_tile, {})
        of_tile.setdefault(target.tile // grid, set()).update(needed(home, target))
    for tile, by_replica in rows.items():
        sharing = Counter[frozenset[int]]()
        if len(by_replica) == 1:
            sharing.update({frozenset(by_replica): len(next(iter(by_replica.values())))})
        else:
            for row in sorted(set().union(*by_replica.values())):
                sharing[frozenset(replica for replica, its in by_replica.items() if row in its)] += 1
        yield from ((first[tile], replicas, number) for replicas, number in sharing.items() if number)
