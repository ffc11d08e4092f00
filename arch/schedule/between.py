"""What the digital units compute between the arrays, per sample of one layer, as a chip's unit computes it.

A layer's homes do the forward work behind it, keep what the way back needs in their tiles' buffers, and on the way back
fetch that and turn what arrives as gradient into the layer's error. Where batch statistics are learned (BatchNorm in
training) each way has a barrier: the sums over all samples of the mini-batch have to be complete before any sample goes
on, and what is normalised waits in the buffer until then. Several normalisations behind one layer share a barrier.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from itertools import pairwise

import numpy as np

from rpusim.arch.contract.columns import Integers
from rpusim.arch.contract.digital_work import NOTHING, Work
from rpusim.arch.mapping.replicas import share
from rpusim.arch.parts.digital import Digital
from rpusim.arch.parts.digital_operations import FUNCTIONS

STATISTICS = "batch_norm"
"""The function that needs sums over a mini-batch."""


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

    @staticmethod
    def of(functions: Mapping[str, int], digital: Digital) -> Between:
        """Add up functions, given by the number of elements of each, on a digital unit."""
        made = {name: (FUNCTIONS[name], elements) for name, elements in functions.items()}

        def total(way: str) -> Work:
            return sum((elements * getattr(function, way) for function, elements in made.values()), NOTHING)

        normalised = functions.get(STATISTICS, 0)
        learned = {name: one for name, one in made.items() if not name.startswith(STATISTICS)}
        return Between(
            forward=sum((elements * digital.forward(name) for name, elements in functions.items()), NOTHING),
            training=total("training"),
            backward=total("backward"),
            behind=total("behind"),
            per_batch=sum((n * f.batch for name, (f, n) in made.items() if name not in learned), NOTHING),
            learned=sum((n * f.batch for f, n in learned.values()), NOTHING),
            read=digital.word_bits * sum(n * f.read for f, n in made.values()),
            kept=sum(n * (f.words * digital.word_bits + f.bits) for f, n in made.values()),
            normalised=normalised * digital.word_bits,
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
