"""Where values come from, and what an operation waits for: what its outputs read of each thing that it is given.

A *move* (a transposition, a slice, a concatenation, a padding ...) computes nothing: it only says where each value is
found afterwards. So one array of places stands for all of them, whatever they are called.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import accumulate

import numpy as np
from numpy.typing import NDArray

IndexMap = NDArray[np.int32]
"""In the shape of an operation's output, for every value the number of the vector that completes it; -1: it is there
from the start."""
_LATER = np.iinfo(np.int32).max


@dataclass(frozen=True, eq=False)
class Moves:
    """Say where each value of a result comes from.

    places:  int32, in the shape of the result: the place of each value among those of all sources, laid one behind
             another; -1: it comes from none of them, such as the zeros of a padding.

    >>> (Moves(np.array([[1, 0]], np.int32)) == Moves(np.array([[1, 0]], np.int32)))
    True
    """

    places: IndexMap

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Moves) and np.array_equal(self.places, other.places)

    def __hash__(self) -> int:
        return hash(self.places.shape)

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
            own, place = self.moves.within(self.sizes, self.number)
            return np.where(own, given.reshape(-1)[place], np.int32(-1)).astype(np.int32)
        return _spread(given.max(axis=self.axes, keepdims=True) if self.axes else given, shape, self.axes)

    def oldest(self, given: IndexMap, shape: Sequence[int]) -> IndexMap:
        """Return the same of the smallest numbers, values that are there from the start (-1) aside."""
        if not self.axes:
            return self.latest(given, shape)
        smallest = np.where(given < 0, _LATER, given).min(axis=self.axes, keepdims=True)
        return _spread(np.where(smallest == _LATER, -1, smallest).astype(np.int32), shape, self.axes)

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
        return np.ones((len(turn), *shape), np.bool_) if self.axes else None


def _spread(numbers: IndexMap, shape: Sequence[int], axes: Sequence[int]) -> IndexMap:
    """Bring numbers, whose ``axes`` have become 1, to the shape of the outputs, which may be without these axes."""
    if numbers.ndim > len(shape):
        numbers = numbers.reshape([n for axis, n in enumerate(numbers.shape) if axis not in axes])
    if numbers.size == math.prod(shape):
        return numbers.reshape(tuple(shape))
    return np.broadcast_to(numbers, tuple(shape))
