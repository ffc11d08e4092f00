"""Where a layer's inputs and errors wait from the forward pass until the update that needs both.

It is settled before a run, as a compiler would: of the samples of a mini-batch, each layer keeps as many as its share
of its tiles' buffers holds (a tile's buffer is shared equally among its arrays in use); those of the others go to the
global buffer while that lasts, then to DRAM, and come back for the update. Inference that goes layer by layer keeps one
sample's inputs in the same way. A chip without either is taken to find room, and the account says how much it lacked.
"""

from __future__ import annotations

import math
from collections import Counter
from dataclasses import dataclass

from rpusim.arch.mapping import PlacedLayer, Placement
from rpusim.arch.network import INPUT


@dataclass(frozen=True)
class Kept:
    """What one layer keeps. ``input_bits`` and ``error_bits`` per sample (errors only in training); ``capacity`` of its
    share of the buffers in bits; ``samples`` of a mini-batch that fit; ``overflow`` names where the others go: "global
    buffer", "DRAM", or nothing if all fit, or if there is nowhere to go (``lacking`` bits then).
    """

    input_bits: int
    error_bits: int
    capacity: int
    samples: int
    overflow: str
    lacking: int = 0

    @property
    def bits(self) -> int:
        return self.input_bits + self.error_bits


def settle(placement: Placement, samples: int, training: bool) -> tuple[Kept, ...]:
    """For every layer; ``samples``: of a mini-batch (1 for inference)."""
    chip, settled = placement.chip, []
    used = Counter(tile for block in placement.blocks() for tile, _ in block.slots)
    left = int(chip.global_buffer.capacity) if chip.global_buffer else 0
    for placed in placement.layers:
        word = chip.tiles[placed.blocks[0].kind].digital.word_bits
        inputs = input_elements(placement, placed) * word
        errors = placed.layer.rows * placed.layer.vectors * word if training else 0
        shares = (
            chip.tiles[block.kind].buffer.capacity / used[tile] for block in placed.blocks for tile, _ in block.slots
        )
        capacity = int(sum(shares))
        fitting = min(samples, capacity // (inputs + errors))
        over = (samples - fitting) * (inputs + errors)
        where, lacking = "", 0
        if over and over <= left:
            where, left = "global buffer", left - over
        elif over and chip.memory:
            where = "DRAM"
        elif over:
            lacking = over
        settled.append(Kept(inputs, errors, capacity, fitting, where, lacking))
    return tuple(settled)


def too_small(placement: Placement) -> set[int]:
    """Tiles whose buffers are too small for the digital words of the unit cells on their arrays."""
    kinds, held, room = placement.chip.tiles, Counter[int](), {}
    for block in placement.blocks():
        kind = kinds[block.kind]
        held[block.chip_tile] += placement.cell.words * block.rows * block.columns * kind.digital.word_bits
        room[block.chip_tile] = kind.buffer.capacity
    return {tile for tile, bits in held.items() if bits > room[tile]}


def input_elements(placement: Placement, placed: PlacedLayer) -> int:
    """Numbers that a layer reads per sample, each counted once, however many windows see it."""
    sizes = [
        math.prod(placement.network.input_shape)
        if edge.producer == INPUT
        else int(edge.emits.sum()) * placement.layers[edge.producer].layer.rows
        for edge in placement.network.edges
        if edge.consumer == placed.index
    ]
    return max(sizes)
