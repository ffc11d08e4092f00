"""Send numbers of vectors through operations: for each value behind one, the vector that completes it.

Elementwise operations keep the numbers, windows take the largest number that they see (padding waits for nothing), what
moves takes each number along, and what reads all along an axis takes the largest of it.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from rpusim.arch.network.computed import shares
from rpusim.arch.network.index_maps import IndexMap, highest
from rpusim.arch.network.moves import Reading
from rpusim.arch.network.operations import GENERAL, Operation, WeightLayer, Window
from rpusim.arch.network.sums import Signal


def numbered(layer: WeightLayer) -> IndexMap:
    """The layer's own vectors in its output shape: all rows of a position are complete together."""
    numbers = np.arange(layer.vectors, dtype=np.int32)
    if layer.window is not None:
        return np.broadcast_to(numbers.reshape(1, *layer.shape[1:]), layer.shape)
    return np.broadcast_to(numbers.reshape(*layer.shape[:-1], 1), layer.shape)


def seen_by(layer: WeightLayer, index_map: IndexMap) -> IndexMap:
    """For each vector of the layer the largest number among the inputs that it reads."""
    if layer.window is None:
        return highest(index_map, -1).reshape(-1)
    return _slide(highest(index_map, 0), layer.window, layer.shape[1:]).reshape(-1)


def readings(operation: Operation, arriving: Sequence[Signal]) -> tuple[Reading, ...]:
    """Say what an operation that merges others, or is of the kinds `GENERAL`, reads of each of them."""
    sizes = tuple(signal.completes.size for signal in arriving)
    waits = (*operation.waits, *[()] * len(sizes))
    return tuple(Reading(operation.moves, sizes, number, waits[number]) for number in range(len(sizes)))


def passed(operation: Operation, arriving: Sequence[Signal]) -> list[IndexMap]:
    """Return, for each thing that a digital operation reads, the numbers that reach its outputs."""
    if operation.kind in GENERAL:
        reads = zip(readings(operation, arriving), arriving, strict=True)
        return [reading.latest(signal.completes, operation.shape) for reading, signal in reads]
    return [_pass_through(operation, signal.completes) for signal in arriving]


def _pass_through(operation: Operation, index_map: IndexMap) -> IndexMap:
    """The numbers behind a digital operation: the largest one among the inputs of each output."""
    if operation.kind == "flatten":
        return index_map.reshape(operation.shape)
    if operation.kind == "select":
        start, stop, step = operation.taken
        before = (slice(None),) * (operation.axes[0] % index_map.ndim)
        return index_map[(*before, slice(start, stop, step))].reshape(operation.shape)
    if operation.kind == "softmax":
        return np.broadcast_to(highest(index_map, operation.axes, True), operation.shape)
    if operation.kind == "pool" and operation.axes:
        return highest(index_map, operation.axes).reshape(operation.shape)
    if operation.kind == "pool":
        axes = operation.pooled
        same = index_map.ndim > axes and index_map.strides[0] == 0  # all channels alike: look at one
        slid = _slide(index_map[:1] if same else index_map, operation.window, operation.shape[-axes:])
        return np.broadcast_to(slid, operation.shape)
    return np.broadcast_to(index_map, operation.shape)


def _slide(index_map: IndexMap, window: Window | None, outputs: Sequence[int]) -> IndexMap:
    """Maximum over windows on the last axes, adaptive ones if none is given; -1 where one sees only padding."""
    for axis, count in enumerate(outputs):
        along = axis - len(outputs)
        length = index_map.shape[along]
        places = shares(length, count) if window is None else window.reach(axis, length, count)
        columns = [index_map.take(place, axis=along).max(axis=along, initial=-1) for place in places]
        index_map = np.stack(columns, axis=along)
    return index_map
