"""What the digital units compute between the arrays, per sample of one layer, as a chip's unit computes it.

A layer's homes do the forward work behind it, keep what the way back needs in their tiles' buffers, and on the way back
fetch that and turn what arrives as gradient into the layer's error. Where batch statistics are learned (BatchNorm in
training) each way has a barrier: the sums over all samples of the mini-batch have to be complete before any sample goes
on, and what is normalised waits in the buffer until then. Several normalisations behind one layer share a barrier.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from itertools import pairwise

import numpy as np

from rpusim.arch.chips.description import TileKind
from rpusim.arch.contract.columns import Integers
from rpusim.arch.contract.digital_work import NOTHING, Work
from rpusim.arch.mapping.replicas import share
from rpusim.arch.parts.digital_operations import FUNCTIONS

STATISTICS = "batch_norm"
"""The function that needs sums over a mini-batch."""
PRODUCT = "product"
"""The function that a matrix unit does, where a tile has one."""


@dataclass(frozen=True)
class Late:
    """Hold forward work of one sample that has to wait for many vectors, and is done with those that complete it.

    work:  of the digital unit.
    macs:  of the matrix unit.
    when:  for each vector of the sample, its part of them all.
    """

    work: Work
    macs: int
    when: tuple[int, ...]

    def shares(self, homes: int) -> list[tuple[Integers, Integers]]:
        """Divide it among vectors and homes: for each home (vectors, classes) operations, (vectors,) products."""
        parts = np.cumsum(self.when, dtype=object)
        every = np.array([*self.work.counts, self.macs], object)
        done = np.concatenate([np.zeros((1, len(every)), object), np.outer(parts, every) // max(int(parts[-1]), 1)])
        each = np.diff(done, axis=0).astype(np.int64)
        before = [each * home // homes for home in range(homes + 1)]
        of_homes = [stop - start for start, stop in pairwise(before)]
        return [(table[:, :-1], table[:, -1]) for table in of_homes]


@dataclass(frozen=True)
class Between:
    """Hold the digital work of one sample behind one layer.

    forward:     of a forward pass.
    training:    that a forward pass of a training does besides.
    backward:    of a backward pass, sums of gradients aside.
    behind:      the part of ``backward`` that needs sums over the mini-batch.
    per_batch:   once per mini-batch, behind the forward barrier.
    learned:     once per mini-batch, behind its last error: parameters of digital operations learn.
    read:        bits of parameters read from the buffer, in each pass.
    kept:        bits that wait from the forward pass for the backward pass.
    normalised:  bits, among them, that are normalised with the statistics of the mini-batch; 0: there is no barrier.
    macs:        products of activations of a forward pass, on a matrix unit.
    macs_back:   of a backward pass.
    cached:      bits of keys and values of tokens before, read out of the cache.
    keeps:       bits of keys and values of new tokens, written into it.
    late:        what of a forward pass has to wait for many vectors; not among ``forward`` and ``macs``.
    """

    forward: Work = NOTHING
    training: Work = NOTHING
    backward: Work = NOTHING
    behind: Work = NOTHING
    per_batch: Work = NOTHING
    learned: Work = NOTHING
    read: int = 0
    kept: int = 0
    normalised: int = 0
    macs: int = 0
    macs_back: int = 0
    cached: int = 0
    keeps: int = 0
    late: tuple[Late, ...] = ()

    @staticmethod
    def of(
        functions: Mapping[str, int],
        kind: TileKind,
        late: Iterable[tuple[Mapping[str, int], tuple[int, ...]]] = (),
    ) -> Between:
        """Add up functions, given by the number of elements of each, on a kind of tile.

        late: those of them that wait, see `Network.late`.
        """
        digital, own = kind.digital, PRODUCT if kind.matrix else ""
        functions = dict(functions)

        def forward(these: Mapping[str, int]) -> Work:
            return sum((n * digital.forward(name) for name, n in these.items() if name != own), NOTHING)

        waiting = tuple(Late(forward(its), its.get(own, 0), when) for its, when in late)
        waited = sum((each.work for each in waiting), NOTHING)
        products = functions.get(own, 0)
        at_once = products - sum(each.macs for each in waiting)
        made = {name: (FUNCTIONS[name], elements) for name, elements in functions.items() if name != own}

        def total(way: str) -> Work:
            return sum((elements * getattr(function, way) for function, elements in made.values()), NOTHING)

        normalised = functions.get(STATISTICS, 0)
        learned = {name: one for name, one in made.items() if not name.startswith(STATISTICS)}
        return Between(
            forward=forward(functions) + waited * -1,
            training=total("training"),
            backward=total("backward"),
            behind=total("behind"),
            per_batch=sum((n * f.batch for name, (f, n) in made.items() if name not in learned), NOTHING),
            learned=sum((n * f.batch for f, n in learned.values()), NOTHING),
            read=digital.word_bits * sum(n * f.read for f, n in made.values()),
            kept=sum(n * (f.words * digital.word_bits + f.bits) for f, n in made.values()),
            normalised=normalised * digital.word_bits,
            macs=at_once,
            macs_back=2 * products,
            cached=digital.word_bits * functions.get("of the cache", 0),
            keeps=digital.word_bits * functions.get("to the cache", 0),
            late=waiting,
        )


@lru_cache(maxsize=1024)
def shares(total: tuple[int, ...], vectors: int, homes: int) -> tuple[Integers, ...]:
    """Divide numbers among the vectors of a sample and the homes of each.

    total: (numbers,) of a sample. vectors: of a sample. homes: of a vector.
    Returns for every home (vectors, numbers); all shares add up to the total exactly.
    """
    positions = np.arange(vectors)
    each = np.stack([share(number, positions, vectors) for number in total], axis=1)
    before = [each * home // homes for home in range(homes + 1)]
    return tuple(stop - start for start, stop in pairwise(before))
