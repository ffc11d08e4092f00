"""Blocks that take turns on arrays: each is programmed anew for every sample, and read so long after that as it is.

A *load* is one programming of a block. The clock says for which uses of a weight a block is loaded, and how long after
that its first vector is read (`rpusim.workloads.clock.loads`); here stands what a tile has to know of it. A load has
its own random numbers, named by its number, so a sample gets the same weights however samples are put together in
calls. Between the vectors of one use in one sample the cells stay as they are.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray


class Called(Protocol):
    """A layer that counts its calls; ``at_work``: the call whose vectors its tiles multiply."""

    at_work: int | NDArray[np.int64]


@dataclass(frozen=True)
class Loads:
    """When the block of a tile is loaded, and for how many vectors.

    layer:     whose calls say which use of the weight is at work.
    vectors:   of a sample, by use of the weight.
    together:  of them that follow one another in a call, by use; 0: all.
    written:   whether the block is loaded for a use; else it lies there since the use before, or the sample before.
    seconds:   since the load when a use reads, by use.
    ages:      the same as the noise model counts it; None: before anything was measured of such cells, so that they
               hold what programming leaves.
    """

    layer: Called
    vectors: tuple[int, ...]
    together: tuple[int, ...]
    written: tuple[bool, ...]
    seconds: tuple[float, ...]
    ages: tuple[float | None, ...]

    @property
    def use(self) -> int:
        """Number of the use at work."""
        call = self.layer.at_work
        assert isinstance(call, int), "a multiplication belongs to one call"
        return call % len(self.vectors)

    def number(self, sample: int, use: int) -> int:
        """Return the number of the load that a use of a sample reads; below 0: one before the first sample."""
        return sample * sum(self.written) + sum(self.written[: use + 1]) - 1

    def samples(self, vectors: int, use: int, steps: int) -> int:
        """Count the samples of a call of so many vectors; ``steps``: of the sequence that is fed step by step."""
        return vectors if steps > 1 else -(-vectors // self.vectors[use])

    def runs(self, vectors: int, use: int, steps: int) -> Iterator[tuple[slice, int]]:
        """Yield the vectors of a call that follow one another and are of one sample, and that sample's number in it."""
        samples = self.samples(vectors, use, steps)
        length = 1 if steps > 1 else self.together[use] or self.vectors[use]
        for number, start in enumerate(range(0, vectors, length)):
            yield slice(start, min(start + length, vectors)), number % samples
