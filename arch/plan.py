"""The schedule's fixed part, worked out once: stations, durations, routes and messages, as plain integers.

A *station* is a unit that serves one request at a time: an array, the drivers of one of its sides, a pool of ADCs, a
digital unit, a buffer port, a directed link. What depends on the data (pulse slots, retries, skipped vectors) is not
here; it comes with each Activity row.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from rpusim.arch.chip import TileKind
from rpusim.arch.mapping import Block, PlacedLayer, Placement
from rpusim.arch.network import INPUT, Edge
from rpusim.arch.quantity import picoseconds


@dataclass(frozen=True)
class Multiply:
    """One pass of one vector through a block, in one direction.

    The array is held for ``lead``, then also waits for its ADCs, then for ``overlap`` more (bit-serial inputs: later
    bits are driven while earlier ones are converted); ``tail`` is the last conversion. A retry repeats all of it.
    """

    fetch_bits: int
    lead_ps: int
    overlap_ps: int
    tail_ps: int
    conversions: int
    """ADC conversions of one pass."""
    outputs: int

    @property
    def pass_ps(self) -> int:
        return self.lead_ps + self.overlap_ps + self.tail_ps


@dataclass(frozen=True)
class Hop:
    station: int
    latency_ps: int


@dataclass(frozen=True)
class Message:
    """Results from one block's tile to another tile: ``bits`` for every position that is complete."""

    route: tuple[Hop, ...]
    bits: int
    buffer: int
    """Station of the buffer port that takes it."""
    kind: int
    """Tile kind of that buffer (for its bandwidth)."""


@dataclass(frozen=True)
class ArrayPlan:
    """The stations of one array. The forward pass drives columns and reads rows, the backward pass the other way."""

    array: int
    row_drivers: int
    column_drivers: int
    row_adcs: int
    column_adcs: int

    @property
    def sides(self) -> tuple[int, int, int]:
        """What is held to pulse or write it: the array and the drivers of both its sides."""
        return self.array, self.row_drivers, self.column_drivers

    def drivers(self, backward: bool) -> int:
        return self.row_drivers if backward else self.column_drivers

    def adcs(self, backward: bool) -> int:
        return self.column_adcs if backward else self.row_adcs


@dataclass(frozen=True)
class BlockPlan:
    """Everything the engine needs to know of one block."""

    block: Block
    kind: TileKind
    arrays: tuple[ArrayPlan, ...]
    """Of its unit cells, see `mapping.CellLayout`."""
    buffer: int
    digital: int
    forward: Multiply
    backward: Multiply | None
    update_fetch_bits: int
    slot_ps: int
    sample_and_hold: bool
    row_home: int
    """Block (of the layer) in which forward partial sums of this block's rows are added up."""
    column_home: int
    partial_forward: Message | None
    """Partial sums to the row home; None if this block is the home itself."""
    partial_backward: Message | None


@dataclass(frozen=True)
class LayerPlan:
    """Everything the engine needs to know of one layer."""

    placed: PlacedLayer
    blocks: tuple[BlockPlan, ...]
    outputs: tuple[tuple[tuple[tuple[Message, ...], ...], ...], ...]
    """outputs[e][h][r]: messages of row home h along the e-th edge to replica r of a later layer, in bits per
    position."""
    emits: tuple[tuple[int, ...], ...]
    """emits[e][v]: positions completed by vector v along that edge."""
    gradients: tuple[tuple[tuple[int, int, int, tuple[Message, ...]], ...], ...]
    """gradients[h]: of column home h to earlier layers (replica of that layer, of how many, positions per sample,
    messages in bits per position)."""
    input_ops: int
    """Digital operations per sample on the network's input, done before this layer (the first that reads it)."""
    forward_ops: int
    """Digital operations per sample that follow the layer."""
    derivative_ops: int
    """Digital operations per sample that turn what arrives as gradient into the layer's error: the derivative of what
    follows the layer (as many operations as forward), and the sums of gradients from several branches."""
    errors: tuple[tuple[Message, ...], ...]
    """errors[h]: of row home h to the other tiles of its row of blocks, which need the layer's error to go back and to
    learn: messages in bits per vector."""
    overlap_ops: tuple[int, ...]
    """Per column home: additions per backward vector, where the windows of a convolution overlap."""
    bias_ops: int
    """Digital operations per update vector: a digital bias learns by arithmetic."""
    needs: tuple[tuple[int, tuple[int, ...]], ...]
    """(producer, last vector needed by each vector), for every producing layer."""
    frees: tuple[tuple[int, tuple[int, ...]], ...]
    """(producer, positions that each vector is the last to read), for every producing layer."""
    to_edge: tuple[Hop, ...]
    """From the layer's first tile to the edge of the mesh, where DRAM, global buffer and host link are."""
    from_edge: Message | None
    """To that tile; its bits are 0, as they depend on what is sent. None if the chip has nothing at its edge."""
    inputs: tuple[Message, ...]
    """Of the network's input, to every tile that reads it: bits per sample."""
    merges: tuple[tuple[int, tuple[int, ...]], ...]
    """Where this layer sums other branches after its own: (other producer, its last vector needed before what follows
    each vector of this layer can be done)."""

    @property
    def index(self) -> int:
        return self.placed.index


@dataclass(frozen=True)
class Plan:
    """A placement ready to run."""

    placement: Placement
    layers: tuple[LayerPlan, ...]
    stations: tuple[str, ...]
    """Names, such as "tile 3 array 0" or "link (0,1)-(1,1)"."""
    station_parts: tuple[str, ...]
    """The kind of unit each station is: array, row drivers, column drivers, ADC, digital unit, buffer, port, link."""
    station_kinds: tuple[int, ...]
    """The kind of tile each station belongs to; -1 for ports and links."""
    outside: dict[str, int]
    """Stations of the global buffer, DRAM and host link, where the chip has them."""

    @cached_property
    def bandwidth(self) -> tuple[int, ...]:
        """Buffer bandwidth of each tile kind (b/s)."""
        return tuple(round(kind.buffer.bandwidth) for kind in self.placement.chip.tiles)

    @cached_property
    def first_block(self) -> NDArray[np.int64]:
        """Of every layer, the place of its first block among all blocks, and how many there are."""
        return np.cumsum([0, *(len(layer.blocks) for layer in self.layers)])

    @cached_property
    def block_sizes(self) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Rows and columns (weights) of all blocks."""
        blocks = list(self.placement.blocks())
        return np.array([block.rows for block in blocks]), np.array([block.columns for block in blocks])

    @cached_property
    def link_bandwidth(self) -> int:
        return round(self.placement.chip.mesh.bandwidth)


@dataclass
class _Stations:
    """Hands out station numbers by name while a plan is made."""

    names: dict[str, int] = field(default_factory=dict)
    parts: list[str] = field(default_factory=list)
    kinds: list[int] = field(default_factory=list)

    def number(self, part: str, name: str, kind: int = -1) -> int:
        if name not in self.names:
            self.names[name] = len(self.parts)
            self.parts.append(part)
            self.kinds.append(kind)
        return self.names[name]


def make_plan(placement: Placement) -> Plan:
    """Work out stations, durations and routes for a placement."""
    stations = _Stations()
    layers = []
    edges = placement.network.edges
    network = placement.network
    reads_input = next((e.consumer for e in edges if e.producer == INPUT), None)
    for placed in placement.layers:
        layer = placed.layer
        later = [e for e in edges if e.producer == placed.index]
        earlier = [e for e in edges if e.consumer == placed.index and e.producer != INPUT]
        branch_sums = sum(int(e.emits.sum()) * layer.rows for e in later[1:])
        overlapping = layer.window is not None and layer.window.kernel != (1, 1)
        layers.append(
            LayerPlan(
                placed,
                tuple(_block_plan(stations, placement, placed, block) for block in placed.blocks),
                tuple(_output_messages(stations, placement, placed, edge.consumer) for edge in later),
                tuple(tuple(int(n) for n in edge.emits) for edge in later),
                tuple(
                    tuple(
                        (
                            replica,
                            placement.layers[e.producer].replicas,
                            int(e.emits.sum()),
                            _gradient_messages(stations, placement, placed, home, homes),
                        )
                        for e in earlier
                        for replica, homes in enumerate(_homes_by_replica(placement.layers[e.producer]))
                        if _share_a_vector(placed, home, replica, placement.layers[e.producer].replicas)
                    )
                    for home in placed.column_homes
                ),
                network.digital_ops(INPUT) if placed.index == reads_input else 0,
                network.digital_ops(placed.index),
                network.digital_ops(placed.index) + branch_sums,
                tuple(_error_messages(stations, placement, placed, home) for home in placed.row_homes),
                tuple(home.columns if overlapping and earlier else 0 for home in placed.column_homes),
                layer.rows if layer.bias and placement.bias == "digital" else 0,
                tuple((e.producer, tuple(int(n) for n in e.needs)) for e in earlier),
                tuple((e.producer, tuple(int(n) for n in e.frees)) for e in earlier),
                *_edge_traffic(stations, placement, placed),
                tuple(_merges(edges, placed.index)),
            )
        )
    chip = placement.chip
    outside = {
        part: stations.number(part, part)
        for part, there in (("global buffer", chip.global_buffer), ("DRAM", chip.memory), ("host link", chip.host))
        if there
    }
    names, parts, kinds = tuple(stations.names), tuple(stations.parts), tuple(stations.kinds)
    return Plan(placement, tuple(layers), names, parts, kinds, outside)


def _merges(edges: tuple[Edge, ...], producer: int) -> Iterator[tuple[int, tuple[int, ...]]]:
    """For a layer that does the sum of branches: which vectors of the others each of its own vectors waits for."""
    for edge in edges:
        others = [e for e in edges if e.consumer == edge.consumer and INPUT < e.producer < producer]
        if edge.producer == producer and all(e.producer <= producer for e in edges if e.consumer == edge.consumer):
            for other in others:
                needed = np.full(len(edge.emits), -1)
                np.maximum.at(needed, edge.needs[edge.needs >= 0], other.needs[edge.needs >= 0])
                yield other.producer, tuple(np.maximum.accumulate(needed).tolist())


def _block_plan(stations: _Stations, placement: Placement, placed: PlacedLayer, block: Block) -> BlockPlan:
    kind = placement.chip.tiles[block.kind]
    tile = f"tile {block.chip_tile}"
    physical_rows = block.rows * kind.array.cells_per_weight
    row_home, column_home = placed.row_home(block), placed.column_home(block)
    both = block.rows + block.columns
    return BlockPlan(
        block=block,
        kind=kind,
        arrays=tuple(_array_plan(stations, kind, block.kind, *slot) for slot in block.slots),
        buffer=stations.number("buffer", f"{tile} buffer", block.kind),
        digital=stations.number("digital unit", f"digital unit {_digital_unit(placement, block)}", block.kind),
        forward=_multiply(kind, block.columns, physical_rows, block.rows),
        backward=_multiply(kind, block.rows, block.columns, block.columns) if kind.trains else None,
        update_fetch_bits=both * kind.inputs.bits,
        slot_ps=kind.pulses.slot_ps if kind.pulses else 0,
        sample_and_hold=kind.sample_and_hold is not None,
        row_home=row_home.tile,
        column_home=column_home.tile,
        partial_forward=None
        if block is row_home
        else _message(stations, placement, block, row_home, block.rows * kind.digital.word_bits),
        partial_backward=None
        if block is column_home
        else _message(stations, placement, block, column_home, block.columns * kind.digital.word_bits),
    )


def _array_plan(stations: _Stations, kind: TileKind, number: int, tile: int, array: int) -> ArrayPlan:
    where = f"tile {tile} array {array}"
    row_drivers = stations.number("row drivers", f"{where} row drivers", number)
    column_drivers = stations.number("column drivers", f"{where} column drivers", number)
    shared = kind.adc.shared_between_sides
    row_adcs = stations.number("ADC", f"{where} ADCs" if shared else f"{where} row ADCs", number)
    column_adcs = row_adcs if shared else stations.number("ADC", f"{where} column ADCs", number)
    return ArrayPlan(stations.number("array", where, number), row_drivers, column_drivers, row_adcs, column_adcs)


def _homes_by_replica(placed: PlacedLayer) -> list[tuple[Block, ...]]:
    """The row homes of each replica."""
    homes, each = placed.row_homes, len(placed.row_splits)
    return [homes[r * each : (r + 1) * each] for r in range(placed.replicas)]


def _share_a_vector(placed: PlacedLayer, home: Block, replica: int, replicas: int) -> bool:
    """Whether some vector's turn comes at the replica of ``home`` and at one of so many of another layer."""
    return (home.tile // placed.grid - replica) % math.gcd(placed.replicas, replicas) == 0


def _multiply(kind: TileKind, driven: int, read: int, outputs: int) -> Multiply:
    """Durations of one pass: ``driven`` input lines, ``read`` lines to convert, ``outputs`` results."""
    rounds = min(kind.adc.lines_per_adc, read)
    convert = picoseconds(rounds / kind.adc.rate)
    drive = picoseconds(kind.read_seconds)
    cycles = kind.inputs.cycles
    step = max(drive, convert) if kind.sample_and_hold else drive + convert
    bits = driven * kind.inputs.bits
    return Multiply(
        fetch_bits=bits,
        lead_ps=drive,
        overlap_ps=(cycles - 1) * step,
        tail_ps=convert,
        conversions=cycles * read,
        outputs=outputs,
    )


def _digital_unit(placement: Placement, block: Block) -> str:
    kinds = placement.chip.tiles
    first = sum(kind.count for kind in kinds[: block.kind])
    kind = kinds[block.kind]
    return f"{kind.name} {(block.chip_tile - first) // kind.digital.tiles_per_unit}"


def _message(stations: _Stations, placement: Placement, source: Block, target: Block, bits: int) -> Message:
    return Message(
        _route(stations, placement, source.chip_tile, target.chip_tile),
        bits,
        stations.number("buffer", f"tile {target.chip_tile} buffer", target.kind),
        target.kind,
    )


def _edge_traffic(
    stations: _Stations, placement: Placement, placed: PlacedLayer
) -> tuple[tuple[Hop, ...], Message | None, tuple[Message, ...]]:
    """Ways between a layer and the edge, and the network's input to it, if the chip has anything at its edge."""
    chip = placement.chip
    if not (chip.global_buffer or chip.memory or chip.host):
        return (), None, ()
    first, reads = placed.blocks[0], INPUT in placement.network.predecessors(placed.index)
    return (
        _route(stations, placement, first.chip_tile, None),
        _from_edge(stations, placement, first, 0),
        _input_messages(stations, placement, placed) if reads and (chip.memory or chip.host) else (),
    )


def _from_edge(stations: _Stations, placement: Placement, target: Block, bits: int) -> Message:
    """To a tile from the edge of the mesh, at its first router."""
    route = _route(stations, placement, None, target.chip_tile)
    return Message(route, bits, stations.number("buffer", f"tile {target.chip_tile} buffer", target.kind), target.kind)


def _input_messages(stations: _Stations, placement: Placement, placed: PlacedLayer) -> tuple[Message, ...]:
    """A sample of the network's input to every tile that reads it; replicas get their shares, rounded up."""
    elements, columns = math.prod(placement.network.input_shape), placed.layer.columns
    messages: dict[int, Message] = {}
    for block in placed.blocks:
        read = -(-elements * min(block.columns, columns) // (columns * placed.replicas))
        bits = read * placement.chip.tiles[block.kind].digital.word_bits
        earlier = messages.get(block.chip_tile)
        shared = earlier is not None and any(
            b.chip_tile == block.chip_tile and b.column_start == block.column_start and b.tile < block.tile
            for b in placed.blocks
            if b.tile // placed.grid == block.tile // placed.grid
        )
        if earlier is None:
            messages[block.chip_tile] = _from_edge(stations, placement, block, bits)
        elif not shared:
            messages[block.chip_tile] = replace(earlier, bits=earlier.bits + bits)
    return tuple(messages.values())


def _route(stations: _Stations, placement: Placement, source: int | None, target: int | None) -> tuple[Hop, ...]:
    """From one tile to another: into the source's router, then links along the row of routers, then the column.

    None: the edge of the mesh, which is at its first router.
    """
    if source == target:
        return ()
    mesh = placement.chip.mesh
    row, column = divmod((source or 0) // mesh.tiles_per_router, mesh.columns)
    goal_row, goal_column = divmod((target or 0) // mesh.tiles_per_router, mesh.columns)
    latency = picoseconds(mesh.hop_latency)
    entry = "port of the edge" if source is None else f"port of tile {source}"
    route = [Hop(stations.number("port", entry), latency)]
    while (row, column) != (goal_row, goal_column):
        if column != goal_column:
            following = (row, column + (1 if goal_column > column else -1))
        else:
            following = (row + (1 if goal_row > row else -1), column)
        name = f"link ({row},{column})-({following[0]},{following[1]})"
        route.append(Hop(stations.number("link", name), latency))
        row, column = following
    return tuple(route)


def _behind(rows: Block, column_start: int, column_stop: int, producer_rows: int, consumer_columns: int) -> range:
    """Which of the producer's ``rows`` lie behind the consumer's columns [column_start, column_stop).

    Each producer row (a channel, or an element) stands behind consumer_columns / producer_rows adjacent columns; where
    that does not divide (the positions were rearranged in between) every column is taken to need every row.
    """
    each, remainder = divmod(consumer_columns, producer_rows)
    if remainder or not each:
        return range(rows.row_start, rows.row_stop)
    first, last = column_start // each, -(-column_stop // each)
    return range(max(first, rows.row_start), min(last, rows.row_stop))


def _output_messages(
    stations: _Stations, placement: Placement, producer: PlacedLayer, consumer_index: int
) -> tuple[tuple[tuple[Message, ...], ...], ...]:
    """Per row home of the producer and replica at the other end: messages in bits per completed position.

    A tile gets every row that any of its blocks needs, once. Where several branches are summed before the consumer, the
    latest producer does the sum: the earlier ones send their results to its homes, and only it sends to the consumer.
    """
    consumer = placement.layers[consumer_index]
    merging = max(placement.network.predecessors(consumer_index))
    sums = merging == producer.index
    if sums:
        grids = [consumer.blocks[r * consumer.grid : (r + 1) * consumer.grid] for r in range(consumer.replicas)]
    else:
        grids = _homes_by_replica(placement.layers[merging])
    columns = consumer.layer.columns
    messages = []
    for home in producer.row_homes:
        word = placement.chip.tiles[home.kind].digital.word_bits
        to_replicas: list[tuple[Message, ...]] = []
        for replica, targets in enumerate(grids):
            if not _share_a_vector(producer, home, replica, len(grids)):
                to_replicas.append(())
                continue
            needed: dict[int, set[int]] = {}
            target_of: dict[int, Block] = {}
            for target in targets:
                if sums:
                    rows = _behind(home, target.column_start, target.column_stop, producer.layer.rows, columns)
                else:
                    rows = range(max(home.row_start, target.row_start), min(home.row_stop, target.row_stop))
                needed.setdefault(target.chip_tile, set()).update(rows)
                target_of.setdefault(target.chip_tile, target)
            sent = (
                _message(stations, placement, home, target_of[tile], len(rows) * word)
                for tile, rows in needed.items()
                if rows
            )
            to_replicas.append(tuple(sent))
        messages.append(tuple(to_replicas))
    return tuple(messages)


def _error_messages(stations: _Stations, placement: Placement, placed: PlacedLayer, home: Block) -> tuple[Message, ...]:
    """The layer's error from a row home, where it is computed, to the other tiles of its row of blocks, once each."""
    bits = home.rows * placement.chip.tiles[home.kind].digital.word_bits
    row = placed.blocks[home.tile : home.tile + len(placed.column_splits)]
    tiles = {block.chip_tile: block for block in reversed(row) if block.chip_tile != home.chip_tile}
    return tuple(_message(stations, placement, home, block, bits) for block in reversed(tiles.values()))


def _gradient_messages(
    stations: _Stations, placement: Placement, consumer: PlacedLayer, home: Block, targets: tuple[Block, ...]
) -> tuple[Message, ...]:
    """Input gradients of one column home of the consumer, to the tiles of one replica of the producer.

    In bits per position: overlaps of a convolution's windows are added up before anything is sent.
    """
    producer = placement.layers[targets[0].layer]
    word = placement.chip.tiles[home.kind].digital.word_bits
    messages = []
    for target in targets:
        rows = _behind(target, home.column_start, home.column_stop, producer.layer.rows, consumer.layer.columns)
        if rows:
            messages.append(_message(stations, placement, home, target, len(rows) * word))
    return tuple(messages)
