"""Keys and values of tokens that went before: what a language model keeps of them in a cache."""

from __future__ import annotations

import math

import numpy as np

from rpusim.arch.network.moves import Moves
from rpusim.arch.network.operations import Operation

CACHED = "cached"
"""The operation by which a module says what it keeps of tokens, see `rpusim.workloads.zoo.cache`."""


def behind_a_cache(
    name: str, before: Operation, shape: tuple[int, ...], known: dict[tuple[int, ...], Moves]
) -> tuple[Operation, tuple[tuple[str, int], ...]]:
    """Put keys or values of new tokens behind those of a cache, which are there from the start.

    name: of the operation that is made. before: gives the new ones. shape: of all, for one sample. known: moves that
    were made before, by both shapes; it is added to.

    Returns the operation, and the numbers that are read and written where its result is multiplied.
    """
    new, old = math.prod(before.shape), shape[-2] - before.shape[-2]
    if (both := (*before.shape, *shape)) not in known:
        places = np.full(shape, -1, np.int32)
        places[..., old:, :] = np.arange(new, dtype=np.int32).reshape(before.shape)
        known[both] = Moves(places)
    functions = ("of the cache", math.prod(shape) - new), ("to the cache", new)
    return Operation(name, "moves", shape, CACHED, moves=known[both]), functions
