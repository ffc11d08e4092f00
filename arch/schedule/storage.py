"""Settle where a layer's inputs and errors wait from the forward pass until the update that needs both.

This is done before a run, as a compiler would do it. A tile holds what its blocks need: of a sample's inputs those that
arrive there, of its errors those of its rows. So blocks of the same columns hold copies of the same inputs, blocks of
the same rows copies of the same errors, and every replica its share. In a tile's buffer the digital words of its unit
cells come first (or go to DRAM, if the buffer is too small for them); its arrays in use share the rest equally. Of a
mini-batch a layer keeps as many samples as each of its tiles has room for, less one if these are not all, for the
samples on their way. In the same room the homes of a layer keep what their digital work needs on the way back (the
result of an activation, the factors of a product), and what waits there to be summed with other branches has its place
before all that. One copy of the others goes to the global buffer while there is
room, then to DRAM, and comes back when it is needed, to all tiles that hold it.
Inference that goes layer by layer keeps one sample's inputs in the same way.
A chip that has neither global buffer nor DRAM is taken to find room, and the account says how much it lacked.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from rpusim.arch.contract.columns import Integers
from rpusim.arch.contract.quantity import picoseconds, transfer_picoseconds
from rpusim.arch.mapping.messages import Message
from rpusim.arch.mapping.placement import Block, PlacedLayer, Placement
from rpusim.arch.schedule.plan import LayerPlan, Plan
from rpusim.arch.schedule.work import Todo


@dataclass(frozen=True)
class Held:
    """Say what a tile holds of one sample for one replica of a layer, in bits, as if that replica did all its vectors.

    block:           the first block of that replica on the tile.
    share:           bits of the tile's buffer that the whole layer may use.
    input_bits:      of the sample's inputs.
    error_bits:      of the sample's errors.
    waiting_bits:    of what the digital work at the tile's homes needs on the way back, and of sums that wait between
                     the rounds of a layer.
    part_bits:       of the parts of sums that wait at the tile's homes until they are summed.
    own_input_bits:  of these inputs, what no tile of the replica before this one holds: this tile puts it away.
    own_error_bits:  the same of the errors.
    """

    block: int
    share: int
    input_bits: int
    error_bits: int
    own_input_bits: int
    own_error_bits: int
    waiting_bits: int = 0
    part_bits: int = 0

    @property
    def bits(self) -> int:
        """Bits of inputs and errors together."""
        return self.input_bits + self.error_bits


@dataclass(frozen=True)
class Kept:
    """Say what one layer keeps, and where.

    input_bits:  of a sample's inputs, every number once.
    error_bits:  of a sample's errors, every number once; 0 in inference.
    waiting_bits: of what its digital work needs on the way back, in training, and of sums between rounds.
    held:        of every replica, what each of its tiles holds.
    samples:     how many samples of a mini-batch stay in the buffers.
    ahead:       how many samples of the network's input may come in besides these, see `early_samples`.
    overflow:    where the other samples go: "global buffer" or "DRAM"; empty if all stay, or have nowhere to go.
    reread:      whether inputs need not go there, as they came from there.
    lacking:     bits of samples that have nowhere to go.
    """

    input_bits: int
    error_bits: int
    held: tuple[tuple[Held, ...], ...]
    samples: int
    ahead: int
    overflow: str
    reread: bool = False
    lacking: int = 0
    waiting_bits: int = 0

    @property
    def bits(self) -> int:
        """Bits of a sample's inputs and errors together."""
        return self.input_bits + self.error_bits


def settle(plan: Plan, samples: int, training: bool) -> tuple[Kept, ...]:
    """Settle what every layer keeps.

    Args:
        plan: of the chip and network.
        samples: of a mini-batch; 1 for inference.
        training: whether errors are kept as well, and unit cells need their digital words.

    Returns:
        One entry for each layer, in order.
    """
    which = "kept", samples, training
    if which not in plan.worked_out:
        plan.worked_out[which] = _settled(plan, samples, training)
    found: tuple[Kept, ...] = plan.worked_out[which]
    return found


def _settled(plan: Plan, samples: int, training: bool) -> tuple[Kept, ...]:
    """Settle what every layer keeps, as `settle` does, which keeps it."""
    placement, settled = plan.placement, []
    early = early_samples(plan, max(_vector_ps(plan, layer) for layer in plan.layers))
    chip, room = placement.chip, (_left_by_words if training else _capacities)(placement)
    used = Counter(tile for block in placement.blocks() for tile, _ in block.slots)
    left = int(chip.global_buffer.capacity) if chip.global_buffer else 0
    for layer in plan.layers:
        placed = layer.placed
        word = chip.tiles[placed.blocks[0].kind].digital.word_bits
        mine = Counter(tile for block in placed.blocks for tile, _ in block.slots)
        share = {tile: max(room[tile], 0) * slots // used[tile] for tile, slots in mine.items()}
        held = tuple(_held(plan, layer, share, word, training))
        by_tile = Counter[int]()
        for of_replica in held:
            for one in of_replica:
                by_tile[placed.blocks[one.block].chip_tile] += -(
                    -(one.bits + one.waiting_bits + one.part_bits) // placed.replicas
                )
        room_for = min((share[tile] // bits for tile, bits in by_tile.items() if bits), default=samples)
        inputs = layer.reads * word
        errors = placed.layer.rows * placed.layer.vectors * word if training else 0
        fitting = samples if room_for >= samples else max(room_for - 1, 0)
        waiting = sum(layer.waiting) * training + sum(between_rounds(placed, home, word) for home in placed.row_homes)
        over = (samples - fitting) * (inputs + errors + waiting)
        where, lacking = "", 0
        if over and over <= left:
            where, left = "global buffer", left - over
        elif over and chip.memory:
            where = "DRAM"
        elif over:
            lacking = sum(max(samples * bits - share[tile], 0) for tile, bits in by_tile.items())
        ahead = min(room_for - fitting * training, placed.index + 1 + early)
        settled.append(
            Kept(
                input_bits=inputs,
                error_bits=errors,
                held=held,
                samples=fitting,
                ahead=ahead if training and fitting == samples else max(ahead, 1),
                overflow=where,
                reread=where == "DRAM" and plan.giver(placed.index) is None,
                lacking=lacking,
                waiting_bits=waiting,
            )
        )
    return tuple(settled)


def early_samples(plan: Plan, beside_ps: int = 0) -> int:
    """Count how many samples before its turn the network's input is asked for, at least one.

    So many that the slowest layer need not wait: the time of a sample's way, from outside the chip to all tiles that
    read it, over the time that its vectors hold that layer, in one pass each. No more than may be on the way.

    Args:
        plan: of the chip and network.
        beside_ps: for how long (ps) a sample takes up room beside that.
    """
    chip, readers = plan.placement.chip, [layer for layer in plan.layers if layer.inputs]
    source = chip.memory or chip.host
    if source is None or not readers:
        return 1
    word = chip.tiles[readers[0].placed.blocks[0].kind].digital.word_bits
    way = picoseconds(source.latency) + source.transfer_ps(max(layer.reads for layer in readers) * word)
    first = np.zeros(1, np.int64)
    for message in (message for layer in readers for message in layer.inputs):
        bits = int(message.sent(first, first)[0])
        link = transfer_picoseconds(bits + chip.mesh.header_bits, chip.mesh.bandwidth)
        way += sum(plan.station_latency[hop.station] + link for hop in message.route)
        way += transfer_picoseconds(bits, chip.tiles[message.kind].buffer.bandwidth)
    pace = max(_sample_ps(layer) for layer in plan.layers)
    return max(1, min(-(-(way + beside_ps) // pace), source.in_flight))


def _sample_ps(layer: LayerPlan) -> int:
    """Compute for how long (ps) the vectors of a sample hold an array of the layer, in one pass each."""
    one = layer.blocks[0].forward
    held = one.lead_ps + one.overlap_ps + (0 if layer.blocks[0].sample_and_hold else one.tail_ps)
    return max(-(-layer.placed.layer.vectors // layer.placed.replicas) * held, 1)


def _vector_ps(plan: Plan, layer: LayerPlan) -> int:
    """Compute how long (ps) a block of the layer takes for a vector: to fetch, multiply and scale it."""
    block = layer.blocks[0]
    digital, one = block.kind.digital, block.forward
    scaled = digital.picoseconds((digital.of_an_output * one.outputs).counts, plan.cycles[block.block.kind])
    return transfer_picoseconds(one.fetch_bits, block.kind.buffer.bandwidth) + one.pass_ps + scaled


def _held(plan: Plan, layer: LayerPlan, share: dict[int, int], word: int, training: bool) -> Iterator[tuple[Held, ...]]:
    """Yield for every replica what each tile with one of its blocks holds of a sample.

    What arrives at a tile for several replicas is divided among them. share: by tile, bits of its buffer that the layer
    may use. word: bits of a number.
    """
    placed = layer.placed
    arrived = sent([layer.inputs], 1, 1)
    if giver := plan.giver(layer.index):
        arrived += sent(giver[1], giver[0].placed.replicas, giver[0].placed.layer.vectors)
    on = Counter(tile for tile, _ in {(block.chip_tile, block.tile // placed.grid) for block in placed.blocks})
    inputs, of_row = layer.reads * word, placed.layer.vectors * word if training else 0
    for replica in range(placed.replicas):
        there: dict[int, list[Block]] = {}
        for block in placed.blocks[replica * placed.grid : (replica + 1) * placed.grid]:
            there.setdefault(block.chip_tile, []).append(block)
        yield tuple(
            Held(
                block=mine[0].tile,
                share=share[tile],
                input_bits=arrived[layer.blocks[mine[0].tile].buffer] * placed.replicas // on[tile],
                error_bits=of_row * sum({block.row_start: block.rows for block in mine}.values()),
                own_input_bits=sum(_read_by(b, inputs, placed) for b in mine if placed.column_home(b) is b),
                own_error_bits=of_row * sum(block.rows for block in mine if placed.row_home(block) is block),
                waiting_bits=sum(_waiting(layer, b) for b in mine if training and placed.row_home(b) is b)
                + sum(between_rounds(placed, b, word) for b in mine if placed.row_home(b) is b),
                part_bits=sum(_parts(layer, b) for b in mine if placed.row_home(b) is b),
            )
            for tile, mine in there.items()
        )


def sent(messages: Sequence[Sequence[Message]], replicas: int, vectors: int) -> Counter[int]:
    """Add up the bits that homes send with the first sample of a mini-batch, by the station of the receiving buffer.

    Args:
        messages: of each home, of one replica after the other.
        replicas: of the sending layer.
        vectors: of a sample of the sending layer.
    """
    bits = Counter[int]()
    for number, of_home in enumerate(messages):
        own = np.arange(number * replicas // len(messages), vectors, replicas)
        for message in of_home:
            bits[message.buffer] += int(message.sent(own * 0, own).sum())
    return bits


Arrived = dict[int, int | Integers]
"""Bits by the buffer that they come to: of every sample, or (samples,) of each."""


def arrived(source: LayerPlan, ways: Sequence[Sequence[Sequence[Message]]], todo: Todo | None) -> Arrived:
    """Add up what a layer's homes send in several ways, by the buffer that it comes to.

    Args:
        source: the layer.
        ways: in each, the messages of every home, of one replica after the other.
        todo: tells which replica does which vector; None: they take turns, and every sample brings as much.
    """
    replicas, vectors = source.placed.replicas, source.placed.layer.vectors
    if todo is None or todo.shares is None:
        first, *others = (sent(messages, replicas, vectors) for messages in ways)
        return {buffer: bits + sum((other[buffer] for other in others), 0) for buffer, bits in first.items()}
    samples = len(todo.number)
    sample, position = np.repeat(np.arange(samples), vectors), np.tile(np.arange(vectors), samples)
    replica = todo.shares.of(source.index, vectors).ravel()
    found: Arrived = {}
    for messages in ways:
        for number, of_home in enumerate(messages):
            mine = np.flatnonzero(replica == number * replicas // len(messages))
            for message in of_home:
                bits = message.sent_among(todo.shares, sample[mine], todo.number[sample[mine]], position[mine])
                each = np.bincount(sample[mine], bits, samples).astype(np.int64)
                found[message.buffer] = found.get(message.buffer, 0) + each
    return found


def _read_by(block: Block, total: int, placed: PlacedLayer) -> int:
    """Return how much of ``total`` the columns of a block read: each an equal share, the bias column nothing.

    The shares of a row of blocks, of all groups, add up to ``total`` exactly.
    """
    columns = placed.layer.columns
    before, everything = placed.group(block) * columns, columns * placed.layer.groups
    start, stop = (before + min(at, columns) for at in (block.column_start, block.column_stop))
    return total * stop // everything - total * start // everything


def _waiting(layer: LayerPlan, home: Block) -> int:
    """Return the bits of a sample that wait at a row home for the way back: its share of all homes' bits."""
    each = [block.tile for block in layer.placed.row_homes[: len(layer.placed.row_splits)]]
    before = each.index(home.tile % layer.placed.grid)
    return sum(bits * (before + 1) // len(each) - bits * before // len(each) for bits in layer.waiting)


def between_rounds(placed: PlacedLayer, home: Block, word: int) -> int:
    """Return the bits of a sample that wait at a row home from one round of a layer to the next; word: of a number."""
    waits = len(placed.rounds) > 1 and placed.rounds_before_the_last(home)
    return placed.layer.vectors * home.rows * word if waits else 0


def _parts(layer: LayerPlan, home: Block) -> int:
    """Return the bits of a sample that wait at a row home to be summed, as if its replica did all vectors."""
    number = home.tile // len(layer.placed.column_splits)
    return sum(int(made.taken[number][0].sum()) for made in layer.sums)


def _capacities(placement: Placement) -> dict[int, int]:
    """Return the bits of the buffers of all tiles in use, by tile."""
    kinds = placement.chip.tiles
    return {tile: int(kinds[block.kind].buffer.capacity) for block in placement.blocks() for tile, _ in block.slots}


def _words(placement: Placement) -> Counter[int]:
    """Return the bits of the digital words of the unit cells on each tile's arrays, by tile."""
    held = Counter[int]()
    for block in (block for placed in placement.holders for block in placed.blocks):
        word = placement.chip.tiles[block.kind].digital.word_bits
        held[block.chip_tile] += placement.cell.words * block.rows * block.columns * word
    return held


def too_small(placement: Placement) -> set[int]:
    """Return the tiles whose buffers are too small for the digital words of the unit cells on their arrays."""
    room = _capacities(placement)
    return {tile for tile, bits in _words(placement).items() if bits > room[tile]}


def _left_by_words(placement: Placement) -> dict[int, int]:
    """Return the bits of each tile's buffer that these words leave, by tile.

    Words that do not fit go to DRAM; on a chip without DRAM they stay, and the bits are negative.
    """
    elsewhere = too_small(placement) if placement.chip.memory else set()
    words = _words(placement)
    return {tile: bits - words[tile] * (tile not in elsewhere) for tile, bits in _capacities(placement).items()}


def lacking(plan: Plan, samples: int, training: bool) -> int:
    """Count the bits for which the chip has no place, be it for what layers keep or for digital words of unit cells.

    Args:
        plan: of the chip and network.
        samples: of a mini-batch; 1 for inference.
        training: as for `settle`.
    """
    short = (-bits for bits in _left_by_words(plan.placement).values() if bits < 0) if training else ()
    return sum(short) + sum(kept.lacking for kept in settle(plan, samples, training))
