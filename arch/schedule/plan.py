"""Work out once what does not depend on data: stations, durations, routes and messages, as plain integers.

A *station* is a unit that serves one request at a time: an array, the drivers of one of its sides, a pool of ADCs, a
digital unit, a buffer port, a directed link. What depends on data (pulse slots, retries, skipped vectors) comes with
each row of activity.
"""

from __future__ import annotations

from collections.abc import Hashable, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rpusim.arch.chips.description import TileKind
from rpusim.arch.contract.columns import Integers
from rpusim.arch.contract.digital_work import NOTHING, Work
from rpusim.arch.contract.quantity import picoseconds
from rpusim.arch.mapping.drawn import Joins
from rpusim.arch.mapping.messages import Message
from rpusim.arch.mapping.placement import Block, PlacedLayer, Placement
from rpusim.arch.mapping.routes import Hop, Stations
from rpusim.arch.mapping.traffic import Traffic
from rpusim.arch.network.network import INPUT, Network
from rpusim.arch.schedule.between import Between
from rpusim.arch.schedule.waking import Waking

_BIAS = Work(multiply=1, add=1)
"""Of a digital bias, per output and update vector: less the rate times the error."""


@dataclass(frozen=True)
class Multiply:
    """Hold the durations of one pass of one vector through a block, in one direction; a retry repeats all of it.

    fetch_bits:   bits of the inputs, read from the buffer as whole words, as wide as they were written.
    lead_ps:      for which the array is held before it also needs its ADCs.
    overlap_ps:   for which both are held after that (bit-serial inputs, and slices that are driven apart: later ones
                  are driven while earlier ones are converted).
    tail_ps:      of the last conversion.
    conversions:  ADC conversions of one pass, of every bit or digit, and slice.
    outputs:      results of the block.
    shift_adds:   operations of the digital unit by which one pass puts them together from their conversions.
    """

    fetch_bits: int
    lead_ps: int
    overlap_ps: int
    tail_ps: int
    conversions: int
    outputs: int
    shift_adds: int

    @property
    def pass_ps(self) -> int:
        """Duration of one pass (ps)."""
        return self.lead_ps + self.overlap_ps + self.tail_ps


@dataclass(frozen=True)
class ArrayPlan:
    """Name the stations of one array; the forward pass drives columns and reads rows, the backward pass the reverse.

    array:           the array itself.
    row_drivers:     drivers of its rows.
    column_drivers:  drivers of its columns.
    row_adcs:        converters of its rows.
    column_adcs:     converters of its columns; the same station as those of the rows where they are shared.
    """

    array: int
    row_drivers: int
    column_drivers: int
    row_adcs: int
    column_adcs: int

    @property
    def sides(self) -> tuple[int, int, int]:
        """The stations held to pulse or write it: the array and the drivers of both its sides."""
        return self.array, self.row_drivers, self.column_drivers

    def drivers(self, backward: bool) -> int:
        """Return the drivers that a pass uses."""
        return self.row_drivers if backward else self.column_drivers

    def adcs(self, backward: bool) -> int:
        """Return the converters that a pass uses."""
        return self.column_adcs if backward else self.row_adcs


@dataclass(frozen=True)
class BlockPlan:
    """Hold everything that tasks on one block need to know.

    block:              as placed.
    kind:               of its tile.
    arrays:             of its unit cells, numbered as in `CellLayout`.
    buffer:             station of its tile's buffer.
    digital:            station of its digital unit.
    matrix:             station of its matrix unit; -1 if its tile has none.
    forward:            one forward pass; where a weight is used transposed, from the array's rows to its columns.
    backward:           one backward pass, the other way; None on tiles that do not train.
    update_fetch_bits:  bits of both sides' numbers, read from the buffer as whole words for an update.
    slot_ps:            duration of one pulse slot, all polarity phases included; 0 on tiles without pulses.
    sample_and_hold:    whether the array is free while its last outputs are converted.
    row_home:           block of the layer in which forward partial sums of this block's rows are added up.
    column_home:        block of the layer in which backward partial sums of this block's columns are added up.
    partial_forward:    partial sums to the row home; None if this block is the home itself.
    partial_backward:   partial sums to the column home; None if this block is the home itself.
    """

    block: Block
    kind: TileKind
    arrays: tuple[ArrayPlan, ...]
    buffer: int
    digital: int
    matrix: int
    forward: Multiply
    backward: Multiply | None
    update_fetch_bits: int
    slot_ps: int
    sample_and_hold: bool
    row_home: int
    column_home: int
    partial_forward: Message | None
    partial_backward: Message | None

    def way(self, drives_rows: bool) -> Multiply:
        """Return one pass that drives the rows of the array and reads its columns, or the other way round."""
        found = self.backward if drives_rows == (self.block.turned is None) else self.forward
        assert found is not None, "activity of a chip that does not train"
        return found


@dataclass(frozen=True)
class SumPlan:
    """Hold everything that tasks of one sum of branches need to know; its vectors are those of its home layer.

    number:         of the stage in the network.
    after:          what is computed: the sum, and what follows it.
    gradient_sums:  additions per sample that join gradients from several readers and replicas.
    joins:          the same, where they depend on which replica does which vector; None: they do not.
    outputs:        outputs[e][h]: messages of row home h along the e-th edge to later stages, in bits per position.
    needs:          (part, last vector of it needed by each vector), for every stage that it is made of; no `INPUT`.
    errors:         (part, messages[h]) for the same stages: messages of row home h with their error, in bits per
                    position.
    inputs:         messages of the network's input to the homes, as far as that is a part; as those of a layer.
    taken:          for every row home, as if its replica did all vectors, (vectors,) bits that each vector takes out of
                    its buffer, where they waited for the sum, and (vectors,) bits that it reads there beside the home
                    layer, see `shared`.
    frees:          (part, positions that each vector is the last to take), for the same stages as `needs`.
    shared:         of every row home of the stage of which the sum takes what its home layer reads, too: messages, with
                    the bits per position that both take; () if there is none.
    frees_shared:   positions of these that each vector is the last to take or read.
    """

    number: int
    after: Between
    gradient_sums: int
    outputs: tuple[tuple[tuple[Message, ...], ...], ...]
    needs: tuple[tuple[int, tuple[int, ...]], ...]
    errors: tuple[tuple[int, tuple[tuple[Message, ...], ...]], ...]
    inputs: tuple[Message, ...]
    taken: tuple[tuple[Integers, Integers], ...]
    frees: tuple[tuple[int, tuple[int, ...]], ...]
    shared: tuple[tuple[Message, ...], ...]
    frees_shared: tuple[int, ...]
    joins: Joins | None = None


@dataclass(frozen=True)
class LayerPlan:
    """Hold everything that tasks of one layer need to know."""

    placed: PlacedLayer
    """The layer, as placed."""
    blocks: tuple[BlockPlan, ...]
    """Its blocks, of one replica after the other."""
    outputs: tuple[tuple[tuple[Message, ...], ...], ...]
    """outputs[e][h]: messages of row home h along the e-th edge to later stages, in bits per position."""
    gradients: tuple[tuple[Message, ...], ...]
    """gradients[h]: messages of column home h to the stage before, in bits per position."""
    echo: tuple[tuple[Message, ...], ...]
    """echo[h]: of a recurrent layer, messages of row home h to its own tiles, for the next step; () of other layers."""
    before: Between
    """What is computed on the network's input, before this layer (the first that reads it)."""
    after: Between
    """What is computed behind the layer, up to the next sums and layers."""
    gradient_sums: int
    """Additions per sample that join gradients from several branches and replicas."""
    errors: tuple[tuple[Message, ...], ...]
    """errors[h]: of row home h to the other tiles of its row of blocks, which need the layer's error to go back and to
    learn: messages in bits per vector."""
    overlap: tuple[int, ...]
    """Per column home: additions per backward vector, where the windows of a convolution overlap."""
    bias: Work
    """Digital work per update vector: a digital bias learns by arithmetic."""
    needs: tuple[tuple[int, tuple[int, ...]], ...]
    """(producer, last vector needed by each vector), for the stage that it reads; () if that is the sample."""
    frees: tuple[tuple[int, tuple[int, ...]], ...]
    """(producer, positions that each vector is the last to read), for that stage."""
    to_edge: tuple[tuple[Hop, ...], ...]
    """Routes from the tile of every block to the edge of the mesh, where DRAM, global buffer and host link are."""
    from_edge: tuple[Message, ...]
    """Messages from there to the tile of every block; their bits are 0, as they depend on what is sent."""
    inputs: tuple[Message, ...]
    """Messages of the network's input, to every tile that reads it; a sample is sent as a vector would be, positions
    are its elements. Not sent on a chip that has neither DRAM nor host link."""
    reads: int
    """How many input numbers of a sample the layer reads, each counted once, however many windows, blocks and replicas
    read it."""
    merges: tuple[tuple[int, tuple[int, ...]], ...]
    """Of a recurrent layer (producer, its last vector needed before what follows each vector can be done): what it is
    given is added to its products at its homes."""
    sums: tuple[SumPlan, ...]
    """The sums of branches that are made at the layer's homes, in order."""
    joins: Joins | None = None
    """As ``gradient_sums``, where these depend on which replica does which vector; None: they do not."""

    @property
    def index(self) -> int:
        """Number of the layer in the network."""
        return self.placed.index

    @property
    def waiting(self) -> tuple[int, ...]:
        """Bits of a sample that wait at the homes for the way back: behind the layer, and behind each of its sums."""
        return self.after.kept, *(made.after.kept for made in self.sums)


@dataclass(frozen=True)
class Plan:
    """Hold a placement that is ready to be scheduled.

    placement:         the network on the chip.
    layers:            of the network, in order.
    stations:          names of the units, such as "tile 3 array 0" or "link (0,1)-(1,1)".
    station_parts:     kind of unit that each station is: array, row drivers, column drivers, ADC, digital unit, buffer,
                       port, link, global buffer, DRAM, host link.
    station_kinds:     kind of tile that each station belongs to; -1 for units outside the tiles.
    station_capacity:  how many vectors each station serves at a time: one, but for pools of converters.
    station_latency:   ps for which what used each station is on its way: from a link, DRAM or the host.
    station_in_flight: how many may be in each station and on their way from it, if it has a latency.
    outside:           stations of "global buffer", "DRAM" and "host link", as far as the chip has them.
    """

    placement: Placement
    layers: tuple[LayerPlan, ...]
    stations: tuple[str, ...]
    station_parts: tuple[str, ...]
    station_kinds: tuple[int, ...]
    station_capacity: tuple[int, ...]
    station_latency: tuple[int, ...]
    station_in_flight: tuple[int, ...]
    outside: dict[str, int]

    @property
    def normalises(self) -> bool:
        """Whether a training needs statistics of a mini-batch, for which its samples wait for each other."""
        between = [made.after for layer in self.layers for made in layer.sums] + [layer.after for layer in self.layers]
        return any(each.normalised for each in between)

    @cached_property
    def worked_out(self) -> dict[Hashable, Any]:
        """What follows from the plan and is needed again and again, kept by what it is and what it depends on."""
        return {}

    @cached_property
    def cycles(self) -> tuple[Mapping[str, int], ...]:
        """Cycles of a lane's operations by class, of the digital unit of each tile kind."""
        return tuple(parts["digital unit"].card.cycles for parts in self.placement.bill.tiles)

    @cached_property
    def waking(self) -> tuple[Waking, ...]:
        """How long before an operation what it needs is woken, by kind of tile."""
        chip = self.placement.chip
        bills = zip(chip.tiles, self.placement.bill.tiles, strict=True)
        return tuple(Waking.of(kind, parts, chip.gating) for kind, parts in bills)

    def giver(self, consumer: int) -> tuple[LayerPlan, tuple[tuple[Message, ...], ...]] | None:
        """Find what a layer is sent: the layer at whose homes that is made, and for each of these homes the messages.

        consumer: index of the layer. Returns None if it reads the sample.
        """
        network = self.placement.network
        (source,) = network.predecessors(consumer)
        if source == INPUT:
            return None
        return self.layers[network.home(source)], self.sent(source, consumer)

    def sent(self, stage: int, reader: int) -> tuple[tuple[Message, ...], ...]:
        """Return what a stage sends to one that reads it: for each of its homes the messages. Both by their numbers."""
        network = self.placement.network
        home, place = self.layers[network.home(stage)], network.successors(stage).index(reader)
        outputs = home.outputs if stage == home.index else next(s for s in home.sums if s.number == stage).outputs
        return outputs[place]

    @cached_property
    def bandwidth(self) -> tuple[int, ...]:
        """Buffer bandwidth of each tile kind (b/s)."""
        return tuple(round(kind.buffer.bandwidth) for kind in self.placement.chip.tiles)

    @cached_property
    def first_block(self) -> NDArray[np.int64]:
        """(layers + 1,) the index of every layer's first block among all blocks; at last the number of blocks."""
        return np.cumsum([0, *(len(layer.blocks) for layer in self.layers)])

    @cached_property
    def block_sizes(self) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """(blocks,) rows and (blocks,) columns of weights on the arrays of all blocks."""
        lines = np.array([block.lines for block in self.placement.blocks()])
        return lines[:, 0], lines[:, 1]

    @cached_property
    def turned(self) -> NDArray[np.bool_]:
        """(blocks,) whether the block is of a use of a weight transposed: its forward pass drives the array's rows."""
        return np.array([block.turned is not None for block in self.placement.blocks()])

    @cached_property
    def joined(self) -> NDArray[np.int64]:
        """(blocks,) groups of a convolution along the diagonal of each block; 1: it has no zeros beside one."""
        return np.array([block.joined for block in self.placement.blocks()])

    @cached_property
    def link_bandwidth(self) -> int:
        """Bandwidth of a link of the mesh (b/s)."""
        return round(self.placement.chip.mesh.bandwidth)


def make_plan(placement: Placement, stations: Stations | None = None) -> Plan:
    """Work out stations, durations, routes and messages for a placement.

    Args:
        placement: the network on the chip.
        stations: of another plan on the same chip, whose numbers hold in this one, too; None: there is none.

    Returns:
        The plan, the same for every run of this placement.
    """
    stations = Stations() if stations is None else stations
    network, chip = placement.network, placement.chip
    traffic, layers = Traffic(stations, placement), []
    reads_input = network.successors(INPUT)
    first = min(reads_input, default=INPUT)
    for placed in placement.layers:
        layer, index = placed.layer, placed.index
        kind = chip.tiles[placed.blocks[0].kind]
        earlier = [e for e in network.edges if e.consumer == index and e.producer != INPUT]
        given = tuple((e.producer, tuple(e.needs.tolist())) for e in earlier)
        overlapping = layer.window is not None and max(layer.window.kernel) > 1
        layers.append(
            LayerPlan(
                placed=placed,
                blocks=tuple(_block_plan(stations, traffic, placement, placed, block) for block in placed.blocks),
                outputs=tuple(traffic.results(index, consumer) for consumer in network.successors(index)),
                gradients=traffic.gradients(placed, *network.predecessors(index)),
                echo=traffic.echo(placed),
                before=Between.of(network.functions(INPUT), kind) if index == first else Between(),
                after=Between.of(network.functions(index), kind, network.late(index)),
                gradient_sums=traffic.gradient_sums(index),
                errors=traffic.errors(placed),
                overlap=tuple(home.columns if overlapping and earlier else 0 for home in placed.column_homes),
                bias=_BIAS * layer.rows if layer.bias and (layer.turned or placement.bias == "digital") else NOTHING,
                needs=() if layer.is_recurrent else given,
                frees=tuple((e.producer, tuple(e.frees.tolist())) for e in earlier),
                to_edge=tuple(traffic.route(block, None) for block in placed.blocks),
                from_edge=tuple(traffic.message(None, block, 0) for block in placed.blocks),
                inputs=traffic.inputs(placed) if index in reads_input else (),
                reads=traffic.read(placed),
                merges=given if layer.is_recurrent else (),
                sums=tuple(
                    _sum_plan(network, traffic, each.number, kind) for each in network.sums if each.home == index
                ),
                joins=traffic.joins(index),
            )
        )
    outside = {"global buffer": stations.number("global buffer", "global buffer")} if chip.global_buffer else {}
    for part, there in (("DRAM", chip.memory), ("host link", chip.host)):
        if there:
            outside[part] = stations.number(part, part, latency=there.latency, in_flight=there.in_flight)
    return Plan(
        placement=placement,
        layers=tuple(layers),
        stations=tuple(stations.names),
        station_parts=tuple(stations.parts),
        station_kinds=tuple(stations.kinds),
        station_capacity=tuple(stations.capacity),
        station_latency=tuple(stations.latency),
        station_in_flight=tuple(stations.in_flight),
        outside=outside,
    )


def _sum_plan(network: Network, traffic: Traffic, number: int, kind: TileKind) -> SumPlan:
    """Plan a sum of branches, by the number of its stage; ``kind``: of the tiles that make it."""
    edges = [e for e in network.edges if e.consumer == number and e.producer != INPUT]
    shared, beside = traffic.shared(number), network.read_beside(number)
    both = [e.frees for e in network.edges if e.producer == beside and e.consumer in (number, network.home(number))]
    frees_shared = np.diff(np.min(np.cumsum(both, 1), 0), prepend=0) if shared else np.zeros(0, np.int64)
    return SumPlan(
        number=number,
        after=Between.of(network.functions(number), kind, network.late(number)),
        gradient_sums=traffic.gradient_sums(number),
        outputs=tuple(traffic.results(number, consumer) for consumer in network.successors(number)),
        needs=tuple((e.producer, tuple(e.needs.tolist())) for e in edges),
        errors=tuple((e.producer, traffic.shared_errors(number, e.producer)) for e in edges),
        inputs=traffic.inputs_of_sum(number),
        taken=traffic.taken(number),
        frees=tuple((e.producer, tuple(e.frees.tolist())) for e in edges),
        shared=shared,
        frees_shared=tuple(frees_shared.tolist()),
        joins=traffic.joins(number),
    )


def _block_plan(
    stations: Stations, traffic: Traffic, placement: Placement, placed: PlacedLayer, block: Block
) -> BlockPlan:
    """Plan one block of a layer."""
    kind = placement.chip.tiles[block.kind]
    tile = f"tile {block.chip_tile}"
    row_home, column_home = placed.row_home(block), placed.column_home(block)
    both = block.rows + block.columns
    return BlockPlan(
        block=block,
        kind=kind,
        arrays=tuple(_array_plan(stations, placement, block.kind, *slot) for slot in block.slots),
        buffer=stations.number("buffer", f"{tile} buffer", block.kind),
        digital=stations.number("digital unit", f"digital unit {_digital_unit(placement, block)}", block.kind),
        matrix=stations.number("matrix unit", f"{tile} matrix unit", block.kind) if kind.matrix else -1,
        forward=(_along_rows if block.turned else _along_columns)(kind, block.columns, block.rows),
        backward=(_along_columns if block.turned else _along_rows)(kind, block.rows, block.columns)
        if kind.trains
        else None,
        update_fetch_bits=both * kind.digital.word_bits,
        slot_ps=kind.pulses.slot_ps if kind.pulses else 0,
        sample_and_hold=kind.sample_and_hold is not None,
        row_home=row_home.tile,
        column_home=column_home.tile,
        partial_forward=None
        if block is row_home
        else traffic.message(block, row_home, block.rows * kind.digital.word_bits),
        partial_backward=None
        if block is column_home
        else traffic.message(block, column_home, block.columns * kind.digital.word_bits),
    )


def _array_plan(stations: Stations, placement: Placement, number: int, tile: int, array: int) -> ArrayPlan:
    """Name the stations of one array, those of its stack; ``number``: of the kind of tile."""
    kind = placement.chip.tiles[number]
    where = f"tile {tile} array {array % kind.array.arrays}"
    row_drivers = stations.number("row drivers", f"{where} row drivers", number)
    column_drivers = stations.number("column drivers", f"{where} column drivers", number)
    shared, pool = kind.adc.shared_between_sides, kind.adc.pool
    if pool:
        name = f"ADC pool {kind.name} {_among(placement, number, tile) // pool.tiles}"
        row_adcs = stations.number("ADC", name, number, pool.banks)
    else:
        row_adcs = stations.number("ADC", f"{where} ADCs" if shared else f"{where} row ADCs", number)
    column_adcs = row_adcs if shared else stations.number("ADC", f"{where} column ADCs", number)
    return ArrayPlan(stations.number("array", where, number), row_drivers, column_drivers, row_adcs, column_adcs)


def _along_columns(kind: TileKind, driven: int, outputs: int) -> Multiply:
    """Work out one pass that drives ``driven`` columns, and reads the rows of all cells of ``outputs`` weights."""
    array = kind.array
    return _multiply(kind, driven, outputs * array.cells_per_weight, outputs, array.unit_lines)


def _along_rows(kind: TileKind, driven: int, outputs: int) -> Multiply:
    """Work out one pass that drives rows, in which every slice of the weights gives conversions of its own."""
    array = kind.array
    return _multiply(kind, driven, outputs * array.lines_of_a_column, outputs, turns=array.slice_turns)


def _multiply(kind: TileKind, driven: int, read: int, outputs: int, unit_lines: int = 0, turns: int = 1) -> Multiply:
    """Work out one pass with ``driven`` input lines, ``read`` lines to convert and ``outputs`` results.

    unit_lines: lines that are converted besides, after the others of their converter, and taken off every output.
    turns: parts of the input lines that are driven and converted one after the other: backwards the rows of each slice.
    """
    rounds = min(kind.adc.lines_per_adc, read) + unit_lines
    convert = picoseconds(rounds / kind.adc.rate)
    drive = picoseconds(kind.read_seconds)
    cycles = kind.inputs.cycles * turns
    step = max(drive, convert) if kind.sample_and_hold else drive + convert
    bits = driven * kind.digital.word_bits
    return Multiply(
        fetch_bits=bits,
        lead_ps=drive,
        overlap_ps=(cycles - 1) * step,
        tail_ps=convert,
        conversions=cycles * (read + unit_lines),
        outputs=outputs,
        shift_adds=_shift_adds(kind, cycles * read, outputs, unit_lines),
    )


def _shift_adds(kind: TileKind, conversions: int, outputs: int, unit_lines: int) -> int:
    """Count the digital unit's operations that put ``outputs`` together from ``conversions``.

    Each but the first of an output is shifted and added, and the unit line is, after its own bits, taken off every
    output; where slices may be flipped, every slice is subtracted from it (an upper bound: only those that are).
    """
    if kind.digital.shift_adds != "digital unit":
        return 0
    turned = conversions // kind.inputs.cycles if kind.array.encoding == "flipped" else 0
    return conversions - outputs + unit_lines * (kind.inputs.cycles - 1 + outputs) + turned


def _digital_unit(placement: Placement, block: Block) -> str:
    """Name the digital unit of a block's tile; several tiles may share one."""
    kind = placement.chip.tiles[block.kind]
    return f"{kind.name} {_among(placement, block.kind, block.chip_tile) // kind.digital.tiles_per_unit}"


def _among(placement: Placement, kind: int, tile: int) -> int:
    """Return the number of a tile among those of its kind."""
    return tile - sum(earlier.count for earlier in placement.chip.tiles[:kind])
