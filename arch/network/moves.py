"""Where values come from, and what an operation waits for: what its outputs read of each thing that it is given.

A *move* (a transposition, a slice, a concatenation, a padding ...) computes nothing: it only says where each value is
found afterwards. So one array of places stands for all of them, whatever they are called.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from itertools import accumulate, pairwise
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from rpusim.arch.network.index_maps import IndexMap, folded, highest, joined, viewed

MOST_PIECES = 64
"""Pieces of a result, along an axis, that are told apart."""
_LATER = np.iinfo(np.int32).max


class Piece(NamedTuple):
    """Places that grow evenly along each axis of a part of a result.

    offset: the place of the first value; -1: the values come from nowhere. strides: from one place to the next along
    each axis. shape: of the part.
    """

    offset: int
    strides: tuple[int, ...]
    shape: tuple[int, ...]


_Pieces = tuple[int, tuple[Piece, ...]]
"""An axis, and the pieces along it."""


@dataclass(frozen=True, eq=False)
class Moves:
    """Say where each value of a result comes from.

    places:  int32, in the shape of the result: the place of each value among those of all sources, laid one behind
             another; -1: it comes from none of them, such as the zeros of a padding.

    >>> (Moves(np.array([[1, 0]], np.int32)) == Moves(np.array([[1, 0]], np.int32)))
    True
    """

    places: IndexMap
    _pieces: dict[tuple[int, ...], _Pieces | None] = field(default_factory=dict, init=False, repr=False)

    def __eq__(self, other: object) -> bool:
        same = isinstance(other, Moves) and self.places is other.places
        return same or (isinstance(other, Moves) and np.array_equal(self.places, other.places))

    def __hash__(self) -> int:
        return hash(self.places.shape)

    def pieces(self, sizes: Sequence[int]) -> _Pieces | None:
        """Describe the places by few numbers, where they grow evenly, or do so piece by piece along one axis.

        sizes: values of every source. Returns the axis, and the pieces along it; None where that cannot be said.
        """
        if (given := tuple(sizes)) not in self._pieces:
            self._pieces[given] = self._found(given)
        return self._pieces[given]

    def _found(self, sizes: tuple[int, ...]) -> _Pieces | None:
        bounds = np.array([0, *accumulate(sizes)])
        for axis in range(self.places.ndim):
            line = self.places[tuple(slice(None) if at == axis else 0 for at in range(self.places.ndim))]
            ends = _ends(line, np.searchsorted(bounds, line, side="right"))
            if axis and len(ends) == 2:
                continue
            if len(ends) - 1 > MOST_PIECES:
                continue
            parts = [self.places.take(range(start, stop), axis) for start, stop in pairwise(ends)]
            found = [_evenly(part, bounds) for part in parts]
            if all(each is not None for each in found):
                return axis, tuple(each for each in found if each is not None)
        return None

    @cached_property
    def stays(self) -> bool:
        """Whether every value stays in its place, in raster order."""
        return np.array_equal(self.places.reshape(-1), np.arange(self.places.size))

    def latest(self, given: IndexMap, sizes: Sequence[int], number: int) -> IndexMap:
        """Return for each value of the result the number of what it comes from; -1: from another source, or none.

        given: numbers of a source. sizes: values of every source. number: of this one.
        """
        if (known := self.pieces(sizes)) is None:
            own, place = self.within(sizes, number)
            return np.where(own, given.reshape(-1)[place], np.int32(-1)).astype(np.int32)
        axis, pieces = known
        start = [0, *accumulate(sizes)][number]
        found = []
        for each in pieces:
            if start <= each.offset < start + sizes[number]:
                found.append(viewed(given, each.offset - start, each.strides, each.shape))
            else:
                found.append(np.broadcast_to(np.int32(-1), each.shape))
        return joined(found, axis)

    def within(self, sizes: Sequence[int], number: int) -> tuple[NDArray[np.bool_], IndexMap]:
        """Find what comes from one source.

        sizes: values of every source. number: of the source. Returns, in the shape of the result, whether each value
        comes from it, and its place there (0 where it does not).
        """
        start = [0, *accumulate(sizes)][number]
        own = (self.places >= start) & (self.places < start + sizes[number])
        return own, np.where(own, self.places - start, 0)


@dataclass(frozen=True)
class Reading:
    """Say what an operation's outputs read of one of its sources.

    moves:   where they find it; None: where it is.
    sizes:   values of all its sources.
    number:  of this source among them.
    axes:    of the source, along which every output reads all of it.
    """

    moves: Moves | None
    sizes: tuple[int, ...]
    number: int
    axes: tuple[int, ...]

    def latest(self, given: IndexMap, shape: Sequence[int]) -> IndexMap:
        """Return, in the shape of the outputs, the largest of the numbers that each reads of a source's; -1: none."""
        if self.moves is not None:
            return self.moves.latest(given, self.sizes, self.number)
        return _spread(highest(given, self.axes, True) if self.axes else given, shape, self.axes)

    def oldest(self, given: IndexMap, shape: Sequence[int]) -> IndexMap:
        """Return the same of the smallest numbers, values that are there from the start (-1) aside."""
        if not self.axes:
            return self.latest(given, shape)
        (small,) = folded(given)
        smallest = np.where(small < 0, _LATER, small).min(axis=self.axes, keepdims=True)
        found = np.where(smallest == _LATER, -1, smallest).astype(np.int32)
        sizes = [1 if axis in self.axes else size for axis, size in enumerate(given.shape)]
        return _spread(np.broadcast_to(found, sizes), shape, self.axes)

    def taken(self, turn: NDArray[np.bool_], shape: Sequence[int]) -> NDArray[np.bool_] | None:
        """Find which values of a source are read; None: whatever a broadcast tells.

        turn: (turns, *outputs) which outputs are asked about. shape: of the source. Where outputs read all along an
        axis, every value is taken to be read by the outputs of every turn.
        """
        if self.moves is not None:
            own, place = self.moves.within(self.sizes, self.number)
            read = np.zeros((len(turn), math.prod(shape)), np.bool_)
            for number, asked in enumerate(turn):
                read[number, place[own & asked]] = True
            return read.reshape(len(turn), *shape)
        return np.ones((len(turn), *[1] * len(shape)), np.bool_) if self.axes else None


def _spread(numbers: IndexMap, shape: Sequence[int], axes: Sequence[int]) -> IndexMap:
    """Bring numbers, whose ``axes`` have become 1, to the shape of the outputs, which may be without these axes."""
    if numbers.ndim > len(shape):
        numbers = numbers.reshape([n for axis, n in enumerate(numbers.shape) if axis not in axes])
    if math.prod(numbers.shape) == math.prod(shape):
        return numbers.reshape(tuple(shape))
    return np.broadcast_to(numbers, tuple(shape))


def _ends(line: IndexMap, source: NDArray[np.int64]) -> list[int]:
    """Cut a line of places where they cease to grow evenly; returns where parts begin, and the end.

    source: of each place, by number.
    """
    ends, at, steps = [0], 0, np.diff(line)
    changes = np.flatnonzero(np.diff(steps)) + 1
    others = np.flatnonzero(np.diff(source)) + 1
    while at < len(line):
        later = changes[np.searchsorted(changes, at, side="right") :]
        other = others[np.searchsorted(others, at, side="right") :]
        at = min([int(n) for n in other[:1]] + [int(n) + 1 for n in later[:1]] + [len(line)])
        ends.append(at)
        if len(ends) > MOST_PIECES + 1:
            break
    return ends


def _evenly(places: IndexMap, bounds: NDArray[np.int64]) -> Piece | None:
    """Describe places that grow evenly along each axis; None if they do not, or are not all of one source.

    bounds: where the values of each source begin, and the end.
    """
    offset, shape = int(places.flat[0]), places.shape
    first = [tuple(int(at == axis) for at in range(places.ndim)) for axis in range(places.ndim)]
    strides = tuple(int(places[at]) - offset if size > 1 else 0 for at, size in zip(first, shape, strict=True))
    expected = np.full((1,) * places.ndim, offset, np.int32)
    for axis, (step, size) in enumerate(zip(strides, shape, strict=True)):
        line = step * np.arange(size, dtype=np.int32)
        expected = expected + line.reshape([-1 if at == axis else 1 for at in range(places.ndim)])
    if not np.array_equal(places, expected):
        return None
    ends = [
        offset + sum(way(step * (size - 1), 0) for step, size in zip(strides, shape, strict=True)) for way in (min, max)
    ]
    first, last = np.searchsorted(bounds, ends, side="right")
    if first != last:
        return None
    return Piece(offset, strides, shape)
