"""Which replica of a layer does which vector: in turn, at random, or one replica all of them.

In turn, vector v of a call goes to replica v mod n. At random, the positions of every sample are shuffled first, so
that each replica still does as many: (sample x V + rank) mod n, with the rank of a position among the V of its sample
in an order that is drawn anew with every call of the layer. So the work of the replicas stays even, as their speed-up
needs; drawing a replica for every vector by itself would leave some with more. The order is that of random numbers
which are functions of (seed, layer, call, vector): the same whoever computes it, and however often.

After Rasch, Gokmen, Rigotti & Haensch, Front. Neurosci. 13:753 (2019), who compare such ways and find random ones best;
that shares are even per sample is our choice.
"""

from __future__ import annotations

from enum import StrEnum

import numpy as np
from numpy.typing import NDArray

from rpusim.kernels.base import rng

Numbers = NDArray[np.int64]


class Way(StrEnum):
    """How vectors are given to replicas."""

    RANDOM = "random"
    IN_TURN = "in-turn"
    ONE = "one"


def shares(name: tuple[int, ...], call: int, samples: int, vectors: int, replicas: int, way: Way) -> Numbers:
    """Say which replica does each vector of a call: (samples x vectors,), sample by sample.

    name: seed and layer, for the random numbers. call: number of the layer's call. samples: of the call. vectors: of a
    sample. replicas: how many there are. way: how vectors are given to them.
    """
    if way is Way.ONE:
        return np.zeros(samples * vectors, np.int64)
    number = np.arange(samples * vectors)
    if way is Way.RANDOM:
        words = rng.step_words(rng.key(*name, rng.Purpose.REPLICAS, call), number)
        drawn = words[:, 0].astype(np.int64) << 32 | words[:, 1]
        order = np.argsort(drawn.reshape(samples, vectors), axis=1, kind="stable")
        rank = np.empty_like(order)
        np.put_along_axis(rank, order, np.broadcast_to(np.arange(vectors), order.shape), 1)
        number = (rank + np.arange(samples)[:, None] * vectors).ravel()
    return number % replicas
