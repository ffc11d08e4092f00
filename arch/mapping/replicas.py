"""How many positions go from where to where, between layers whose replicas take the vectors of a mini-batch in turn.

Vector v of a mini-batch goes to replica v mod n. Windows of a convolution overlap, so a position may be read by several
replicas: each gets it, and each sends back its part of the position's gradient, to be added up. A vector's *turn* is
its position within its sample mod n; unless n divides the vectors of a sample, a replica does another turn with every
sample.

All of it is counted on the index maps of the network (see `Network.arriving`). Two things they do not say are taken to
be in proportion. If digital operations rearrange the network's input before the first layer, a replica reads as large a
share of the input as it reads of what they make of it. And of what a sum is made of, every home is taken to need its
own share.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from functools import cache, cached_property
from typing import Any
from weakref import WeakKeyDictionary

import numpy as np
from numpy.typing import ArrayLike, NDArray

from rpusim.arch.contract.columns import Integers, Operand
from rpusim.arch.network.index_maps import IndexMap
from rpusim.arch.network.network import INPUT, Network
from rpusim.arch.network.operations import WeightLayer

Table = NDArray[np.int32]
"""Positions by turn of a layer's replicas (first axis) and by vector of a sample."""


@dataclass(frozen=True, eq=False)
class Amount:
    """How many positions every vector of a sender sends one way, to a certain replica or to several of them.

    table:  (turns of the other end, vectors of a sample): positions, by the turn that the receiving replica does with
            the sample; one column instead of the vectors if all of them send the same.
    turn:   the row of the table that holds for the first sample of a mini-batch.
    step:   by how much the row goes down with every sample.
    """

    table: Table
    turn: int = 0
    step: int = 0

    def of(self, sample: ArrayLike, position: ArrayLike) -> Integers:
        """Look up the positions that vectors send.

        sample: for each vector, its sample's number within the mini-batch.
        position: its own number within the sample; equally long, or one number for all.
        """
        turns, vectors = self.table.shape
        turn = (self.turn - self.step * np.asarray(sample, np.int64)) % turns
        sent: Table = self.table[turn, np.asarray(position) % vectors]
        return sent.astype(np.int64)

    def among(self, shares: Any, sample: Integers, number: Integers, position: Integers) -> Integers:
        """Look up the positions that vectors send in a program.

        shares: which replica does each of its vectors, see `rpusim.arch.mapping.drawn`; None: they take turns.
        sample: for each vector, its sample, counted from the first of the program.
        number: this sample's number within the mini-batch. position: the vector's own number within the sample.
        """
        return self.of(number, position)


ONE = Amount(np.ones((1, 1), np.int32))
"""One position with every vector."""


@dataclass(frozen=True, eq=False)
class _Kept:
    """What was counted of one network.

    exchanges:  by the two stages, and the replicas of the layers that are their homes.
    reads:      by the two stages, and the replicas of the reader, see `read_by`.
    """

    exchanges: dict[tuple[int, ...], Exchange] = field(default_factory=dict)
    reads: dict[tuple[int, int, int], tuple[IndexMap, NDArray[np.bool_]]] = field(default_factory=dict)


_KEPT: WeakKeyDictionary[Network, _Kept] = WeakKeyDictionary()
"""What was counted of each network, as a study places the same one many times."""


class Exchange:
    """Count the positions that go between the replicas of one layer and those of a later one.

    completes:  for every value before the receiver, the vector of the sender that completes it.
    read:       (turns of the receiver, *values): which values the vectors of every turn read.
    sender:     the layer whose results are sent, and how many replicas it has.
    receiver:   the layer that gets them, and how many replicas it has.
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
        """(turns of the receiver, vectors of the sender): positions of a sample that go there."""
        return np.stack([self._sender.completed(self._completes, read) for read in self._read])

    @cached_property
    def between(self) -> Integers:
        """Positions of a sample that go from turn to turn: (turns of the receiver, turns of the sender)."""
        turn = np.arange(self._sender.vectors) % self._senders
        return np.stack([np.bincount(turn, row, self._senders) for row in self._by_turn]).astype(np.int64)

    @cached_property
    def pairs(self) -> NDArray[np.bool_]:
        """Whether anything goes between two replicas in some sample: (of the receiver, of the sender)."""
        met = found = self.between > 0
        steps = self._receiver.vectors, self._sender.vectors
        periods = (n // math.gcd(n, step) for n, step in zip(met.shape, steps, strict=True))
        for sample in range(1, math.lcm(*periods)):
            if found.all():
                break
            found = found | np.roll(met, (sample * steps[0], sample * steps[1]), (0, 1))
        return found

    def sent(self, replicas: Iterable[int]) -> Amount:
        """Positions that each vector of the sender sends to a tile where these replicas of the receiver are."""
        chosen = sorted(set(replicas))
        first = chosen[0]
        table = self._amounts(tuple(replica - first for replica in chosen))
        return Amount(table, first, self._receiver.vectors)

    def beside(self, others: Sequence[Exchange]) -> Amount:
        """Positions that each vector sends to readers without replicas together: its own, and those of other exchanges.

        others: of the same sender, whose receivers read the same values.
        """
        if not others:
            return self.sent([0])
        read = self._read[0]
        for other in others:
            read = read | other._read[0]
        return Amount(self._sender.completed(self._completes, read)[None])

    def _table(self, others: tuple[int, ...]) -> Table:
        """Positions that go to several replicas together, by the turn of the first of them.

        others: how far each of them comes after the first, 0 for the first itself.
        """
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
        """Positions whose gradients each vector of the receiver sends back to the replica that completed them."""
        return Amount(self._back, replica, self._sender.vectors)


def share(total: Operand, index: Operand, parts: Operand) -> Operand:
    """Give the ``index``-th (from 0) of ``parts`` integer shares of ``total``; all shares add up to it exactly.

    >>> [share(10, index, 4) for index in range(4)]
    [2, 3, 2, 3]
    """
    return total * (index + 1) // parts - total * index // parts


def in_turn(by_turn: Integers, vectors: int) -> Integers:
    """Divide what each turn takes of a sample among its vectors: (vectors,); shares add up exactly.

    by_turn: (turns,) of each. vectors: of a sample.
    """
    position, turns = np.arange(vectors), len(by_turn)
    turn = position % turns
    shares: Integers = np.asarray(share(by_turn[turn], position // turns, -(-(vectors - turn) // turns)), np.int64)
    return shares


def exchange(network: Network, producer: int, consumer: int, replicas: tuple[int, ...]) -> Exchange:
    """Exchange between a stage and one that reads it: between the replicas of the layers that are their homes.

    network: both stages' network.
    producer, consumer: their numbers in it.
    replicas: of every layer of the network.
    """
    giver, taker = network.home(producer), network.home(consumer)
    key = producer, consumer, replicas[giver], replicas[taker]
    kept = _KEPT.setdefault(network, _Kept()).exchanges
    if key not in kept:
        completes, read = read_by(network, producer, consumer, replicas[taker])
        sender, receiver = ((network.layers[home], replicas[home]) for home in (giver, taker))
        kept[key] = Exchange(completes, read, sender, receiver)
    return kept[key]


def read_by(network: Network, producer: int, consumer: int, turns: int) -> tuple[IndexMap, NDArray[np.bool_]]:
    """Find which values of a stage another one reads.

    A position is summed at the replica of the home layer that computes its last part.

    network: of both stages. producer, consumer: their numbers. turns: replicas of the layer that is the reader's home.
    Returns the vectors that complete the values, and (turns, *values) whether the vectors of a turn read them.
    """
    kept = _KEPT.setdefault(network, _Kept()).reads
    if (producer, consumer, turns) not in kept:
        if consumer >= len(network.layers):
            found = network.sums[consumer - len(network.layers)].taken(producer, turns)
        else:
            completes = network.arriving(consumer).completes
            found = completes, network.layers[consumer].readers(completes.shape, turns)
        kept[producer, consumer, turns] = found
    return kept[producer, consumer, turns]


class Inputs:
    """Count the elements of the network's input that replicas of a layer read, or take for a sum at its homes.

    network:   the layer's network.
    consumer:  the number of a stage that reads the input.
    replicas:  how many the layer has.
    """

    def __init__(self, network: Network, consumer: int, replicas: int) -> None:
        self._elements = network.outside(consumer)
        self._layer, self._replicas = network.layers[network.home(consumer)], replicas
        _, self._read = read_by(network, INPUT, consumer, replicas)
        self._values = self._read[0].size

    def needed(self, replicas: Iterable[int], part: int, whole: int) -> Amount:
        """Elements of a sample that go to a tile where these replicas are.

        part: how much of every position is needed there, such as columns of the layer's matrix. whole: of how much.
        """
        chosen, turns = sorted(set(replicas)), self._replicas
        if len(chosen) == turns:
            numbers = [int(self._read.any(0).sum())]
        else:
            numbers = [
                int(self._read[[(turn + other - chosen[0]) % turns for other in chosen]].any(0).sum())
                for turn in range(turns)
            ]
        table = [[-(-self._elements * number * part // (self._values * whole))] for number in numbers]
        return Amount(np.array(table, np.int32), chosen[0], self._layer.vectors)
