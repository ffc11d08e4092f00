"""How many positions go from where to where, between layers whose replicas take the vectors of a mini-batch in turn.

Vector v goes to replica v mod n. Windows of a convolution overlap, so a position may be read by several replicas: each
gets it, and each sends back its part of the position's gradient, to be added up. A vector has a *turn* within its
sample, its position mod n; unless n divides a sample's vectors, replicas do another turn with every sample.

All of it is counted on the index maps of the network (see `Network.arriving`). What they do not say is taken to be in
proportion: of the network's input, if digital operations rearrange it before the first layer, the share that a replica
reads of what they make of it; and positions count as the consumer reads them also where branches are summed before it.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache, cached_property

import numpy as np
from numpy.typing import ArrayLike, NDArray

from rpusim.arch.contract.columns import Operand
from rpusim.arch.network.network import INPUT, Network
from rpusim.arch.network.operations import IndexMap, WeightLayer

Table = NDArray[np.int32]


@dataclass(frozen=True, eq=False)
class Amount:
    """How many positions every vector of a sender sends one way.

    table: (turns of the other end, vectors of a sample, or 1 if all send the same). turn: that of the first sample of a
    mini-batch; it goes down by ``step`` with every sample.
    """

    table: Table
    turn: int = 0
    step: int = 0

    def of(self, sample: ArrayLike, position: ArrayLike) -> NDArray[np.int64]:
        """For vectors given by sample within the mini-batch, and position within that."""
        turns, vectors = self.table.shape
        turn = (self.turn - self.step * np.asarray(sample, np.int64)) % turns
        return self.table[turn, np.asarray(position) % vectors].astype(np.int64)


ONE = Amount(np.ones((1, 1), np.int32))
"""One position with every vector."""


class Exchange:
    """Between the replicas of a layer and those of a later one: ``read`` says which turn needs which values.

    completes: for every value the vector of the ``sender`` that completes it. read: (turns of the receiver, values).
    """

    def __init__(
        self,
        completes: IndexMap,
        read: NDArray[np.bool_],
        sender: tuple[WeightLayer, int],
        receiver: tuple[WeightLayer, int],
    ) -> None:
        self._completes, self._read = completes, read
        (self._sender, self._senders), (self._receiver, self._receivers) = sender, receiver
        self._amounts = cache(self._table)

    @cached_property
    def _by_turn(self) -> Table:
        """(turns of the receiver, vectors of the sender): positions that go there."""
        return np.stack([self._sender.completed(self._completes, read) for read in self._read])

    @cached_property
    def between(self) -> NDArray[np.int64]:
        """(turns of the receiver, turns of the sender): positions of a sample."""
        turn = np.arange(self._sender.vectors) % self._senders
        return np.stack([np.bincount(turn, row, self._senders) for row in self._by_turn]).astype(np.int64)

    @cached_property
    def pairs(self) -> NDArray[np.bool_]:
        """(replicas of the receiver, replicas of the sender): whether anything goes between them in some sample."""
        met = found = self.between > 0
        steps = self._receiver.vectors, self._sender.vectors
        periods = (n // math.gcd(n, step) for n, step in zip(met.shape, steps, strict=True))
        for sample in range(1, math.lcm(*periods)):
            if found.all():
                break
            found = found | np.roll(met, (sample * steps[0], sample * steps[1]), (0, 1))
        return found

    def sent(self, replicas: Iterable[int]) -> Amount:
        """By each vector of the sender, to a place where these replicas of the receiver are."""
        chosen = sorted(set(replicas))
        first = chosen[0]
        table = self._amounts(tuple(replica - first for replica in chosen))
        return Amount(table, first, self._receiver.vectors)

    def _table(self, others: tuple[int, ...]) -> Table:
        """By turn of the first of several replicas, those after it by so many."""
        turns = self._receivers
        if len(others) == 1:
            return self._by_turn
        if len(others) == turns:
            return self._sender.completed(self._completes, np.any(self._read, 0))[None]
        together = ([(turn + other) % turns for other in others] for turn in range(turns))
        return np.stack([self._sender.completed(self._completes, np.any(self._read[who], 0)) for who in together])

    @cached_property
    def _back(self) -> Table:
        """(turns of the sender, vectors of the receiver): every vector's share of what its turn has read."""
        turn, number = np.arange(self._receiver.vectors) % self._receivers, np.bincount
        vectors = number(turn, minlength=self._receivers)[turn]
        shares = share(self.between[turn], (np.arange(len(turn)) // self._receivers)[:, None], vectors[:, None])
        return np.asarray(shares, np.int32).T

    def sent_back(self, replica: int) -> Amount:
        """Gradients, by each vector of the receiver to a replica of the sender: of every position that it completed."""
        return Amount(self._back, replica, self._sender.vectors)


def share(total: Operand, index: Operand, parts: Operand) -> Operand:
    """The ``index``-th of ``parts`` integer shares of ``total``; the shares add up to it exactly."""
    return total * (index + 1) // parts - total * index // parts


def exchange(network: Network, producer: int, consumer: int, replicas: tuple[int, ...]) -> Exchange:
    """From a layer to one that reads it; ``replicas`` of every layer."""
    completes, layer = network.arriving(consumer)[producer], network.layers[consumer]
    read = layer.readers(completes.shape, replicas[consumer])
    return Exchange(completes, read, (network.layers[producer], replicas[producer]), (layer, replicas[consumer]))


def to_sum(network: Network, producer: int, merging: int, consumer: int, replicas: tuple[int, ...]) -> Exchange:
    """From a branch to the layer that sums it with its own, each position where its last part is computed."""
    arriving, layer, number = network.arriving(consumer), network.layers[merging], replicas[merging]
    completes = arriving[producer]
    needed = network.layers[consumer].readers(completes.shape)
    turn = np.broadcast_to(arriving[merging], completes.shape) % number
    read = needed & (turn == np.arange(number).reshape(-1, *[1] * completes.ndim))
    return Exchange(completes, read, (network.layers[producer], replicas[producer]), (layer, number))


class Inputs:
    """The network's input before a layer that reads it."""

    def __init__(self, network: Network, consumer: int, replicas: int) -> None:
        self._elements = math.prod(network.input_shape)
        self._layer, self._replicas = network.layers[consumer], replicas
        shape = network.arriving(consumer)[INPUT].shape
        self._read = self._layer.readers(shape, replicas)
        self._values = self._read[0].size

    def needed(self, replicas: Iterable[int], columns: int) -> Amount:
        """Elements of a sample, of ``columns`` of the columns of all groups, where these replicas are."""
        chosen, turns = sorted(set(replicas)), self._replicas
        if len(chosen) == turns:
            numbers = [int(self._read.any(0).sum())]
        else:
            numbers = [
                int(self._read[[(turn + other - chosen[0]) % turns for other in chosen]].any(0).sum())
                for turn in range(turns)
            ]
        of = self._values * self._layer.columns * self._layer.groups
        table = [[-(-self._elements * number * columns // of)] for number in numbers]
        return Amount(np.array(table, np.int32), chosen[0], self._layer.vectors)
