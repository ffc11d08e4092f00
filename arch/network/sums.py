"""Sums of branches: values that several layers, or a layer and the sample, give parts of.

A sum (or product) of branches is a *stage* of its own, as a layer is: it is made once, at the homes of the latest layer
that it reads, and what reads it reads that one result, however deep the network below it is. So a chain of residual
blocks has as many dependences as it has blocks, not as many as it has pairs of blocks.

Its positions are counted as those of that layer: the sum is complete at a position with the vector of the layer that
completes the last part that the layer itself gives, once the parts of the others have arrived. An operation that merges
branches of one and the same stage, such as x * sigmoid(x), is no sum in this sense: it is done where that stage is.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from rpusim.arch.network.index_maps import IndexMap, folded, largest
from rpusim.arch.network.moves import Reading


class Signal(NamedTuple):
    """Values somewhere in the network.

    stage:      number of the stage that makes them: a layer, a sum, or -1 for the sample.
    completes:  for every value the vector that completes it, counted as those of the layer at whose homes it is made.
    """

    stage: int
    completes: IndexMap


@dataclass(frozen=True, eq=False)
class Sum:
    """Values that are made of several stages.

    name:       of the operation that merges them.
    number:     of the stage: sums are counted on after the layers.
    home:       index of the layer at whose homes it is made, the latest of those that it reads.
    parts:      the signals that are merged, each in its own shape, before it is broadcast.
    given_by:   names of the operations that give them.
    reads:      what it reads of each of them.
    completes:  for every value the vector of the home layer with which it is made.
    """

    name: str
    number: int
    home: int
    parts: tuple[Signal, ...]
    given_by: tuple[str, ...]
    reads: tuple[Reading, ...]
    completes: IndexMap

    @staticmethod
    def of(
        name: str,
        number: int,
        home: int,
        parts: Mapping[str, Signal],
        reads: Sequence[Reading],
        own: Sequence[bool],
        shape: Sequence[int],
    ) -> Sum:
        """Make a sum.

        parts: by the names of the operations that give them. own: for each of them, whether the home layer makes it.
        shape: of the sum. The rest as in the class.
        """
        each = zip(parts.values(), reads, own, strict=True)
        mine = [read.latest(part.completes, shape) for part, read, local in each if local]
        # what only padding gives is there from the start, and is added with the first vector
        mine.append(np.broadcast_to(np.int32(0), tuple(shape)))
        return Sum(name, number, home, tuple(parts.values()), tuple(parts), tuple(reads), largest(mine, shape))

    @property
    def sources(self) -> tuple[int, ...]:
        """Numbers of the stages that it reads, each once, in order."""
        return tuple(sorted({part.stage for part in self.parts}))

    def taken(self, source: int, turns: int = 1) -> tuple[IndexMap, NDArray[np.bool_]]:
        """Find the values of a stage that it takes, and with which of the home layer's vectors.

        source: number of the stage. turns: these vectors are told apart by their number modulo this.
        Returns the vectors that complete the values, and (turns, *values), in a shape that is broadcast to that,
        whether they are taken in that turn. Values of several parts of one stage stand behind one another.
        """
        found = [
            (part.completes, self._turns(part.completes.shape, reads, turns))
            for part, reads in zip(self.parts, self.reads, strict=True)
            if part.stage == source
        ]
        if len(found) == 1:
            return found[0]
        read = [np.broadcast_to(chosen, (turns, *completes.shape)).reshape(turns, -1) for completes, chosen in found]
        return np.concatenate([completes.ravel() for completes, _ in found]), np.concatenate(read, axis=1)

    def _turns(self, shape: Sequence[int], reads: Reading, turns: int) -> NDArray[np.bool_]:
        """Return (turns, *shape) whether each value of a part is added in some vector of that turn."""
        if turns == 1 and reads.moves is None:
            return np.ones((1,) * (len(shape) + 1), np.bool_)
        turn = self.completes % turns == np.arange(turns).reshape(-1, *[1] * self.completes.ndim)
        if (taken := reads.taken(turn, shape)) is not None:
            return taken
        missing = self.completes.ndim - len(shape)
        spread = [axis + 1 + missing for axis, size in enumerate(shape) if size == 1]
        read = np.logical_or.reduce(turn, axis=(*range(1, 1 + missing), *spread), keepdims=True)
        return np.asarray(read.reshape(turns, *read.shape[1 + missing :]), np.bool_)

    def needs(self, source: int, vectors: int) -> IndexMap:
        """Find for each of the home layer's ``vectors`` the last vector of a stage that has to be there; -1: none."""
        needed = np.full(vectors, -1, np.int32)
        for at, latest, _ in self._pairs(source):
            np.maximum.at(needed, at, latest)
        return np.maximum.accumulate(needed)

    def frees(self, source: int, vectors: int, emits: IndexMap) -> IndexMap:
        """Count for each of the home layer's ``vectors`` the positions of a stage that no later one takes.

        emits: how many positions are complete with each vector of that stage; empty if that is the sample.
        """
        oldest = np.full(vectors, len(emits), np.int32)
        for at, _, first in self._pairs(source):
            np.minimum.at(oldest, at[first >= 0], first[first >= 0])
        return freed(oldest, emits)

    def _pairs(self, source: int) -> list[tuple[IndexMap, IndexMap, IndexMap]]:
        """Return, for all values of each part of a stage, the home's vector that takes it and what it needs for that.

        What it needs are the last and the first of the stage's vectors that gave something.
        """
        found, shape = [], self.completes.shape
        for part, reads in zip(self.parts, self.reads, strict=True):
            if part.stage == source:
                latest, first = reads.latest(part.completes, shape), reads.oldest(part.completes, shape)
                latest, first = np.broadcast_to(latest, shape), np.broadcast_to(first, shape)
                at = self.completes
                at, latest, first = folded(at, latest, first)
                found.append((at.ravel(), latest.ravel(), first.ravel()))
        return found


def freed(oldest: IndexMap, emits: IndexMap) -> IndexMap:
    """Count for each vector that reads a stage the positions that no vector after it reads.

    oldest: for each of them the first vector of the stage of which it reads something.
    emits: positions that are complete with each vector of the stage; empty if that is the sample.
    """
    if not len(emits):
        return np.zeros(len(oldest), np.int32)
    needed_later = np.minimum.accumulate(oldest[::-1])[::-1]
    needed_later = np.append(needed_later[1:], len(emits)).clip(0, len(emits))
    complete = np.append(0, np.cumsum(emits))[needed_later]
    return np.diff(complete, prepend=0).astype(np.int32)
