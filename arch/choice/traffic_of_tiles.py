"""How many bits of a sample go from tile to tile, and over how many links: what placing blocks well saves.

Counted are the messages of a sample that moves through the network: its input, partial sums, results; in training
gradients and errors, too. Overflow of buffers, transfers and caches are not.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from rpusim.arch.contract.columns import Integers
from rpusim.arch.mapping.messages import Message, trees
from rpusim.arch.mapping.placement import Block
from rpusim.arch.schedule.plan import LayerPlan, Plan

EDGE = -1
"""In place of a tile: the edge of the mesh, where DRAM, global buffer and host link are."""


@dataclass(frozen=True)
class Flow:
    """Messages that one tile sends.

    source:    number of the tile, or `EDGE`.
    messages:  as planned.
    vectors:   whose numbers within the first sample send them.
    """

    source: int
    messages: Sequence[Message]
    vectors: Integers

    def bits(self, message: Message) -> int:
        """Count what a sample's vectors send by a message."""
        return int(message.sent(np.zeros_like(self.vectors), self.vectors).sum())


def flows(plan: Plan, training: bool) -> Iterator[Flow]:
    """Yield what is sent for the first sample of a mini-batch; ``training``: also on the way back."""
    for layer in plan.layers:
        placed, rows, columns = layer.placed, layer.placed.row_homes, layer.placed.column_homes
        yield Flow(EDGE, layer.inputs, np.zeros(1, np.int64))
        for block in layer.blocks:
            ways = [block.partial_forward, block.partial_backward if training else None]
            yield Flow(block.block.chip_tile, [way for way in ways if way], _of(layer, block.block.tile // placed.grid))
        for made in layer.sums:
            yield Flow(EDGE, made.inputs, np.zeros(1, np.int64))
        forward = [
            *layer.outputs,
            *(way for made in layer.sums for way in made.outputs),
            *([layer.echo] * bool(layer.echo)),
        ]
        yield from _from_homes(layer, rows, forward)
        if training:
            errors = [layer.errors, *(way for made in layer.sums for _, way in made.errors)]
            yield from _from_homes(layer, rows, errors)
            yield from _from_homes(layer, columns, [layer.gradients])


def _from_homes(
    layer: LayerPlan, homes: Sequence[Block], ways: Sequence[Sequence[Sequence[Message]]]
) -> Iterator[Flow]:
    """Yield what each home sends on several ways together."""
    for number, home in enumerate(homes):
        messages = [message for way in ways for message in way[number]]
        yield Flow(home.chip_tile, messages, _of(layer, number * layer.placed.replicas // len(homes)))


def _of(layer: LayerPlan, replica: int) -> Integers:
    """Return the vectors of the first sample that a replica does, if replicas take turns."""
    return np.arange(replica, layer.placed.layer.vectors, layer.placed.replicas)


def between_tiles(plan: Plan, training: bool) -> dict[tuple[int, int], int]:
    """Sum up bits of a sample by the tiles between which they go (`EDGE` for the edge), each message for itself."""
    tiles = {block.buffer: block.block.chip_tile for layer in plan.layers for block in layer.blocks}
    found: dict[tuple[int, int], int] = {}
    for flow in flows(plan, training):
        for message in flow.messages:
            if message.route and (bits := flow.bits(message)):
                pair = flow.source, tiles[message.buffer]
                found[pair] = found.get(pair, 0) + bits
    return found


def over_stations(plan: Plan, training: bool) -> Integers:
    """Sum up bits of a sample by station: what passes each port and link; copies of a message count where they go."""
    found = np.zeros(len(plan.stations), np.int64)
    for flow in flows(plan, training):
        for tree in trees(flow.messages):
            for hop, message in tree.links():
                found[hop.station] += flow.bits(message)
    return found


def bits_times_hops(plan: Plan, training: bool) -> int:
    """Sum up bits of a sample over all links that they pass, those between chips counted alike."""
    links = np.isin(np.array(plan.station_parts), ("link", "chip link"))
    return int(over_stations(plan, training)[links].sum())
