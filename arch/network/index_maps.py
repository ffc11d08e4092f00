"""Index maps without what is repeated in them: work on what is different, however often it stands there.

An index map says for each value which vector completes it. All channels of an image, and all features of a token, are
complete together, so a map is mostly the same numbers along an axis. Such an axis has stride 0 in memory (as
`numpy.broadcast_to` makes it), and takes no room; the functions here keep it so.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.lib.stride_tricks import as_strided
from numpy.typing import NDArray

IndexMap = NDArray[np.int32]
"""In the shape of an operation's output, for every value the number of the vector that completes it; -1: it is there
from the start."""


def folded(*maps: NDArray[Any]) -> list[NDArray[Any]]:
    """Cut the axes along which each of several maps of one shape repeats itself to their first place."""
    shape = maps[0].shape
    alike = [all(each.strides[axis] == 0 or each.shape[axis] == 1 for each in maps) for axis in range(len(shape))]
    first = tuple(slice(0, 1) if same else slice(None) for same in alike)
    return [each[first] for each in maps]


def highest(index_map: IndexMap, axes: Sequence[int] | int, keepdims: bool = False) -> IndexMap:
    """Take the largest number along some axes; what is repeated along others stays so."""
    along = (axes,) if isinstance(axes, int) else tuple(axes)
    along = tuple(axis % index_map.ndim for axis in along)
    (small,) = folded(index_map)
    found: IndexMap = small.max(axis=along, keepdims=True)
    shape = [1 if axis in along else size for axis, size in enumerate(index_map.shape)]
    found = np.broadcast_to(found, shape)
    if keepdims:
        return found
    return found[tuple(0 if axis in along else slice(None) for axis in range(found.ndim))]


def largest(maps: Sequence[IndexMap], shape: Sequence[int]) -> IndexMap:
    """Take for every value the largest of the numbers in several maps.

    maps: that are broadcast to ``shape``.
    """
    small = folded(*(np.broadcast_to(each, tuple(shape)) for each in maps))
    found = small[0]
    for each in small[1:]:
        found = np.maximum(found, each)
    return np.broadcast_to(found, tuple(shape))


def counted(index_map: IndexMap, there: NDArray[np.bool_], numbers: int) -> NDArray[np.int64]:
    """Count how many values each number has.

    index_map: numbers below ``numbers``; those below 0 are not counted. there: which values count, in a shape that is
    broadcast to the map's. Returns (numbers,).
    """
    small, read = folded(index_map, np.broadcast_to(there, index_map.shape))
    times = math.prod(index_map.shape) // max(small.size, 1)
    found: NDArray[np.int64] = times * np.bincount(small[(small >= 0) & read], minlength=numbers)
    return found


def joined(pieces: Sequence[IndexMap], axis: int) -> IndexMap:
    """Put maps one behind another along an axis; what all of them repeat along an axis stays repeated."""
    if len(pieces) == 1:
        return pieces[0]
    shape = list(pieces[0].shape)
    shape[axis] = sum(each.shape[axis] for each in pieces)
    lines = [np.moveaxis(each, axis, 0) for each in pieces]
    first = [folded(each[:1])[0] for each in lines if each.strides[0] == 0 or each.shape[0] == 1]
    if len(first) == len(lines) and all(np.array_equal(each, first[0]) for each in first[1:]):
        return np.moveaxis(np.broadcast_to(first[0], [shape[axis], *lines[0].shape[1:]]), 0, axis)
    small = folded(*(each[:1] for each in lines))
    cut = tuple(slice(0, size) for size in small[0].shape[1:])
    found = np.concatenate([each[(slice(None), *cut)] for each in lines])
    return np.moveaxis(np.broadcast_to(found, [shape[axis], *lines[0].shape[1:]]), 0, axis)


def viewed(given: IndexMap, offset: int, strides: Sequence[int], shape: Sequence[int]) -> IndexMap:
    """Find numbers at places that grow evenly along each axis of a result.

    given: a map. offset: place of the first value among its values in raster order. strides: from one place to the next
    along each axis of the result. shape: of the result.
    Returns the numbers; what the map repeats takes no room in the result, either, where its axes allow that.
    """
    small = [_steps(given.shape, step, size) for step, size in zip(strides, shape, strict=True)]
    start = np.unravel_index(offset, given.shape)
    reach = list(start)
    for steps in small:
        for axis, each, size in steps or ():
            reach[axis] += each * (size - 1)
    if any(steps is None for steps in small) or any(end >= n for end, n in zip(reach, given.shape, strict=True)):
        places = np.full((1,) * len(shape), offset)
        for axis, (step, size) in enumerate(zip(strides, shape, strict=True)):
            places = places + step * np.arange(size).reshape([-1 if axis == at else 1 for at in range(len(shape))])
        gathered: IndexMap = given.reshape(-1)[places]
        return gathered
    parts = [part for steps in small for part in steps or ()]
    sizes, jumps = [size for _, _, size in parts], [each * given.strides[axis] for axis, each, _ in parts]
    origin = given[tuple(slice(int(at), None) for at in start)]
    found: IndexMap = as_strided(origin, sizes, jumps, writeable=False).reshape(tuple(shape))
    return found


def _steps(source: Sequence[int], step: int, size: int) -> list[tuple[int, int, int]] | None:
    """Say how places move along the axes of a source: for each part (axis, by how much, how often), outer parts first.

    step: from one place to the next in raster order. size: how many places. Returns None if they cross axes unevenly.
    """
    if size == 1 or step == 0:
        return [(0, 0, size)]
    if step < 0:
        return None
    inner, axis = 1, len(source) - 1
    while axis >= 0 and (source[axis] == 1 or step % (inner * source[axis]) == 0):
        inner *= source[axis]
        axis -= 1
    if axis < 0 or step % inner:
        return None
    each = step // inner
    within = -(-source[axis] // each)
    if size <= within:
        return [(axis, each, size)]
    if source[axis] % each or size % within:
        return None
    outer = _steps(source, step * within, size // within)
    return None if outer is None else [*outer, (axis, each, within)]
