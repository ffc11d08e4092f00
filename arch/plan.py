"""The schedule's fixed part, worked out once: stations, durations, routes and messages, as plain integers.

A *station* is a unit that serves one request at a time: an array, the drivers of one of its sides, a pool of ADCs, a
digital unit, a buffer port, a directed link. What depends on the data (pulse slots, retries, skipped vectors) is not
here; it comes with each Activity row.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property

from rpusim.arch.chip import TileKind
from rpusim.arch.mapping import Block, PlacedLayer, Placement
from rpusim.arch.network import INPUT
from rpusim.arch.quantity import picoseconds, transfer_picoseconds


@dataclass(frozen=True)
class Multiply:
    """One pass of one vector through a block, in one direction.

    The array is held for ``lead``, then also waits for its ADCs, then for ``overlap`` more (bit-serial inputs: later
    bits are driven while earlier ones are converted); ``tail`` is the last conversion. A retry repeats all of it.
    """

    drivers: int
    adcs: int
    fetch_bits: int
    fetch_ps: int
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
class BlockPlan:
    """Everything the engine needs to know of one block."""

    block: Block
    kind: TileKind
    array: int
    row_drivers: int
    column_drivers: int
    buffer: int
    digital: int
    forward: Multiply
    backward: Multiply | None
    update_fetch_bits: int
    update_fetch_ps: int
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
    outputs: tuple[tuple[tuple[Message, ...], ...], ...]
    """outputs[e][h]: messages of row home h along the e-th edge to a later layer."""
    emits: tuple[tuple[int, ...], ...]
    """emits[e][v]: positions completed by vector v along that edge."""
    gradients: tuple[tuple[Message, ...], ...]
    """gradients[h]: messages of column home h to the earlier layers, per vector."""
    forward_ops: int
    """Digital operations per sample after the layer; backward does as many for the layers before."""
    backward_ops: int
    needs: tuple[tuple[int, tuple[int, ...]], ...]
    """(producer, last vector needed by each vector), for every producing layer."""

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
    """The kind of unit each station is: array, row drivers, column drivers, ADC, digital unit, buffer, link."""

    @property
    def bandwidth(self) -> tuple[int, ...]:
        """Buffer bandwidth of each tile kind (b/s)."""
        return tuple(round(kind.buffer.bandwidth) for kind in self.placement.chip.tiles)

    @cached_property
    def link_bandwidth(self) -> int:
        return round(self.placement.chip.mesh.bandwidth)


@dataclass
class _Stations:
    """Hands out station numbers by name while a plan is made."""

    names: dict[str, int] = field(default_factory=dict)
    parts: list[str] = field(default_factory=list)

    def number(self, part: str, name: str) -> int:
        if name not in self.names:
            self.names[name] = len(self.parts)
            self.parts.append(part)
        return self.names[name]


def make_plan(placement: Placement) -> Plan:
    """Work out stations, durations and routes for a placement."""
    stations = _Stations()
    layers = []
    edges = placement.network.edges
    for placed in placement.layers:
        later = [e for e in edges if e.producer == placed.index]
        earlier = [e for e in edges if e.consumer == placed.index and e.producer != INPUT]
        outputs, emits = [], []
        for edge in later:
            outputs.append(_output_messages(stations, placement, placed, edge.consumer))
            emits.append(tuple(int(n) for n in edge.emits))
        gradients = tuple(
            tuple(m for e in earlier for m in _gradient_messages(stations, placement, placed, home, e.producer))
            for home in placed.column_homes
        )
        producers = [e.producer for e in earlier]
        layers.append(
            LayerPlan(
                placed,
                tuple(_block_plan(stations, placement, placed, block) for block in placed.blocks),
                tuple(outputs),
                tuple(emits),
                gradients,
                placement.network.digital_ops(placed.index),
                sum(placement.network.digital_ops(p) for p in set(producers)),
                tuple((e.producer, tuple(int(n) for n in e.needs)) for e in earlier),
            )
        )
    return Plan(placement, tuple(layers), tuple(stations.names), tuple(stations.parts))


def _block_plan(stations: _Stations, placement: Placement, placed: PlacedLayer, block: Block) -> BlockPlan:
    kind = placement.chip.tiles[block.kind]
    tile = f"tile {block.chip_tile}"
    where = f"{tile} array {block.array}"
    row_drivers = stations.number("row drivers", f"{where} row drivers")
    column_drivers = stations.number("column drivers", f"{where} column drivers")
    shared = kind.adc.shared_between_sides
    row_adcs = stations.number("ADC", f"{where} ADCs" if shared else f"{where} row ADCs")
    column_adcs = row_adcs if shared else stations.number("ADC", f"{where} column ADCs")
    physical_rows = block.rows * kind.array.cells_per_weight
    row_home, column_home = placed.row_home(block), placed.column_home(block)
    both = block.rows + block.columns
    return BlockPlan(
        block=block,
        kind=kind,
        array=stations.number("array", where),
        row_drivers=row_drivers,
        column_drivers=column_drivers,
        buffer=stations.number("buffer", f"{tile} buffer"),
        digital=stations.number("digital unit", f"digital unit {_digital_unit(placement, block)}"),
        forward=_multiply(kind, column_drivers, row_adcs, block.columns, physical_rows, block.rows),
        backward=_multiply(kind, row_drivers, column_adcs, block.rows, block.columns, block.columns)
        if kind.trains
        else None,
        update_fetch_bits=both * kind.inputs.bits,
        update_fetch_ps=transfer_picoseconds(both * kind.inputs.bits, kind.buffer.bandwidth),
        slot_ps=kind.pulses.slot_ps if kind.pulses else 0,
        sample_and_hold=kind.sample_and_hold is not None,
        row_home=row_home.tile,
        column_home=column_home.tile,
        partial_forward=None
        if block is row_home
        else _message(stations, placement, block, row_home, block.rows * kind.adc.bits),
        partial_backward=None
        if block is column_home
        else _message(stations, placement, block, column_home, block.columns * kind.adc.bits),
    )


def _multiply(kind: TileKind, drivers: int, adcs: int, driven: int, read: int, outputs: int) -> Multiply:
    """Durations of one pass: ``driven`` input lines, ``read`` lines to convert, ``outputs`` results."""
    rounds = min(kind.adc.lines_per_adc, read)
    convert = picoseconds(rounds / kind.adc.rate)
    drive = picoseconds(kind.read_seconds)
    cycles = kind.inputs.cycles
    step = max(drive, convert) if kind.sample_and_hold else drive + convert
    bits = driven * kind.inputs.bits
    return Multiply(
        drivers=drivers,
        adcs=adcs,
        fetch_bits=bits,
        fetch_ps=transfer_picoseconds(bits, kind.buffer.bandwidth),
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
        stations.number("buffer", f"tile {target.chip_tile} buffer"),
        target.kind,
    )


def _route(stations: _Stations, placement: Placement, source: int, target: int) -> tuple[Hop, ...]:
    """Links from one tile to another: first along the row of routers, then along the column."""
    mesh = placement.chip.mesh
    row, column = divmod(source // mesh.tiles_per_router, mesh.columns)
    goal_row, goal_column = divmod(target // mesh.tiles_per_router, mesh.columns)
    latency = picoseconds(mesh.hop_latency)
    route = []
    while (row, column) != (goal_row, goal_column):
        if column != goal_column:
            following = (row, column + (1 if goal_column > column else -1))
        else:
            following = (row + (1 if goal_row > row else -1), column)
        name = f"link ({row},{column})-({following[0]},{following[1]})"
        route.append(Hop(stations.number("link", name), latency))
        row, column = following
    return tuple(route)


def _overlap(rows: Block, column_start: int, column_stop: int, producer_rows: int, consumer_columns: int) -> int:
    """How many of the producer's ``rows`` lie behind the consumer's columns [column_start, column_stop).

    Each producer row (a channel, or an element) stands behind consumer_columns / producer_rows adjacent columns; where
    that does not divide (the positions were rearranged in between) every column is taken to need every row.
    """
    each, remainder = divmod(consumer_columns, producer_rows)
    if remainder or not each:
        return rows.rows
    first, last = column_start // each, -(-column_stop // each)
    return max(0, min(last, rows.row_stop) - max(first, rows.row_start))


def _output_messages(
    stations: _Stations, placement: Placement, producer: PlacedLayer, consumer_index: int
) -> tuple[tuple[Message, ...], ...]:
    """Per row home of the producer: the messages towards one consumer, in bits per completed position.

    Where several branches are summed before the consumer, the latest producer does the sum: the earlier ones send their
    results to its homes, and only it sends to the consumer's tiles.
    """
    consumer = placement.layers[consumer_index]
    merging = max(placement.network.predecessors(consumer_index))
    targets = consumer.blocks if merging == producer.index else placement.layers[merging].row_homes
    messages = []
    for home in producer.row_homes:
        sent: dict[int, Message] = {}
        for target in targets:
            if merging == producer.index:
                columns = consumer.layer.columns
                rows = _overlap(home, target.column_start, target.column_stop, producer.layer.rows, columns)
            else:
                rows = max(0, min(home.row_stop, target.row_stop) - max(home.row_start, target.row_start))
            bits = rows * placement.chip.tiles[target.kind].inputs.bits
            if bits and (target.chip_tile not in sent or sent[target.chip_tile].bits < bits):
                sent[target.chip_tile] = _message(stations, placement, home, target, bits)
        messages.append(tuple(sent.values()))
    return tuple(messages)


def _gradient_messages(
    stations: _Stations, placement: Placement, consumer: PlacedLayer, home: Block, producer: int
) -> list[Message]:
    """Input gradients of one column home of the consumer, to the tiles of the producer that hold those outputs."""
    earlier = placement.layers[producer]
    bits = placement.chip.tiles[home.kind].adc.bits
    each = max(1, consumer.layer.columns // earlier.layer.rows)
    messages = []
    for target in earlier.row_homes:
        rows = _overlap(target, home.column_start, home.column_stop, earlier.layer.rows, consumer.layer.columns)
        if rows:
            columns = min(rows * each, home.columns)
            messages.append(_message(stations, placement, home, target, columns * bits))
    return messages
