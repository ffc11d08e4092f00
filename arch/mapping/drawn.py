"""How many positions go from where to where, between layers whose vectors were given to replicas by chance.

Nobody can tell before a run which replica does which vector, but the rows of activity say which one did: `Shares`. So a
message between replicas has as many positions as *these* vectors have read, sample by sample. Before that, for the room
in buffers say, a plan reckons with what it would be if replicas took turns (`rpusim.arch.mapping.replicas`), where each
does as many vectors. Counted is on the same maps: as each vector reads what it would read if every vector had a turn of
its own.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from functools import cached_property, partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rpusim.arch.contract.columns import Integers
from rpusim.arch.mapping.replicas import Amount, Exchange, Inputs, exchange, read_by, share
from rpusim.arch.network.index_maps import IndexMap
from rpusim.arch.network.network import INPUT, Network
from rpusim.arch.network.operations import WeightLayer

_AT_ONCE = 4_000_000
"""Pairs of vector and value, or entries of a table, that are looked at together."""


@dataclass(frozen=True, eq=False)
class Shares:
    """Which replica does each vector of a program.

    of_layer:  by layer with several replicas, (samples, vectors of a sample) replicas.
    samples:   of the program.
    """

    of_layer: Mapping[int, Integers]
    samples: int
    _counted: dict[int, Any] = field(default_factory=dict)

    def of(self, index: int, vectors: int) -> Integers:
        """Return (samples, vectors) the replicas of a layer, by its index; 0 where it has one."""
        found = self.of_layer.get(index)
        return np.zeros((self.samples, vectors), np.int64) if found is None else found

    def counted(self, what: object, count: Callable[[], Any]) -> Any:
        """Return what was counted of ``what`` with these shares, once."""
        if id(what) not in self._counted:
            self._counted[id(what)] = count()
        return self._counted[id(what)]


@dataclass(frozen=True, eq=False)
class Drawn(Amount):
    """Positions that depend on which replica does which vector; the fields are those of replicas that take turns.

    counts:  gives (samples, vectors of a sample) positions with the shares of a program; one column instead of the
             vectors if all of them send the same.
    """

    counts: Callable[[Shares], Integers] = lambda shares: np.zeros((1, 1), np.int64)

    def among(self, shares: Shares | None, sample: Integers, number: Integers, position: Integers) -> Integers:
        if shares is None:
            return self.of(number, position)
        table = shares.counted(self, lambda: self.counts(shares))
        found: Integers = table[sample, position % table.shape[1]]
        return found


def drawn(amount: Amount, counts: Callable[[Shares], Integers]) -> Drawn:
    """Make what is counted with the shares, beside what it is if replicas take turns."""
    return Drawn(amount.table, amount.turn, amount.step, counts)


class _Readers:
    """The values that replicas of a stage's home layer read or take, with the shares of a program.

    read:      (vectors of the home layer, *values) whether each reads a value.
    index:     of the home layer.
    replicas:  of it.
    """

    def __init__(self, read: NDArray[np.bool_], index: int, replicas: int) -> None:
        self._vectors, self._index, self._replicas = len(read), index, replicas
        self._vector, self._value = np.nonzero(read.reshape(len(read), -1))
        self.values = read[0].size

    def by_replica(self, shares: Shares, samples: slice) -> NDArray[np.bool_]:
        """(samples, replicas, values) whether some vector of a replica reads a value."""
        replica = shares.of(self._index, self._vectors)[samples]
        found = np.zeros((len(replica), self._replicas, self.values), np.bool_)
        found[np.arange(len(replica))[:, None], replica[:, self._vector], self._value] = True
        return found

    def pieces(self, samples: int) -> Iterable[slice]:
        """Cut samples so that as many are looked at together as memory allows."""
        each = max(1, _AT_ONCE // max(len(self._value), self._replicas * self.values))
        return (slice(first, first + each) for first in range(0, samples, each))


class DrawnExchange(Exchange):
    """Count what goes between replicas as `Exchange` does, if they take turns, and with the shares of a program.

    between:  of a sample, if they take turns.
    """

    def __init__(self, network: Network, producer: int, consumer: int, replicas: tuple[int, ...]) -> None:
        in_turn = exchange(network, producer, consumer, replicas)
        vars(self).update(vars(in_turn))
        self._giver, self._taker = network.home(producer), network.home(consumer)
        self._read_of: Callable[[int], tuple[IndexMap, NDArray[np.bool_]]] = partial(
            read_by, network, producer, consumer
        )

    @property
    def drawn(self) -> bool:
        """Whether either end has several replicas."""
        return self._receivers > 1 or self._senders > 1

    @cached_property
    def _counter(self) -> _Completed:
        return _Completed(self._sender, *self._read_of(self._receiver.vectors if self._receivers > 1 else 1))

    @cached_property
    def _readers(self) -> _Readers:
        return _Readers(self._counter.read, self._taker, self._receivers)

    @cached_property
    def pairs(self) -> NDArray[np.bool_]:
        """Whether anything can go between two replicas: between any."""
        return np.ones((self._receivers, self._senders), np.bool_)

    def sent(self, replicas: Iterable[int]) -> Amount:
        """Positions that each vector of the sender sends to a tile where these replicas of the receiver are."""
        chosen = sorted(set(replicas))
        plain = super().sent(chosen)
        if len(chosen) == self._receivers:  # whoever reads them
            return plain
        return drawn(plain, lambda shares: self._of(shares, chosen))

    def sent_back(self, replica: int) -> Amount:
        """Positions whose gradients each vector of the receiver sends back to the replica that completed them."""
        if not self.drawn:
            return super().sent_back(replica)
        return drawn(super().sent_back(replica), lambda shares: self._shared_back(shares, replica))

    def _of(self, shares: Shares, chosen: list[int]) -> Integers:
        """(samples, vectors of the sender): positions that go to several replicas together."""
        pieces = self._readers.pieces(shares.samples)
        return np.concatenate(
            [self._counter.positions(np.any(self._readers.by_replica(shares, piece)[:, chosen], 1)) for piece in pieces]
        )

    def counted(self, shares: Shares) -> Integers:
        """Positions of each sample that go from replica to replica: (samples, of the receiver, of the sender)."""
        found: Integers = shares.counted(self, lambda: self._counted(shares))
        return found

    def _counted(self, shares: Shares) -> Integers:
        senders = shares.of(self._giver, self._sender.vectors)
        found = np.zeros((shares.samples, self._receivers, self._senders), np.int64)
        for piece in self._readers.pieces(shares.samples):
            sent = self._counter.positions(self._readers.by_replica(shares, piece))
            samples, replicas, vectors = np.nonzero(sent)
            to = piece.start + samples
            np.add.at(found, (to, replicas, senders[to, vectors]), sent[samples, replicas, vectors])
        return found

    def _shared_back(self, shares: Shares, replica: int) -> Integers:
        """(samples, vectors of the receiver): every vector's share of what its replica has read."""
        takers = shares.of(self._taker, self._receiver.vectors)
        samples = np.arange(len(takers))[:, None]
        number, each = _numbered(takers, self._receivers)
        total = self.counted(shares)[samples, takers, replica]
        return np.asarray(share(total, number, each[samples, takers]), np.int64)


def _numbered(replica: Integers, replicas: int) -> tuple[Integers, Integers]:
    """Count the vectors that each replica does: (samples, vectors) before each one, and (samples, replicas) in all."""
    mine = replica[:, :, None] == np.arange(replicas)
    before = np.cumsum(mine, 1)
    number = np.take_along_axis(before, replica[:, :, None], 2)[:, :, 0] - 1
    return number, before[:, -1]


class _Completed:
    """Count the positions that vectors complete, as `WeightLayer.completed` does, for many choices of values at once.

    Attributes:
    read:  as given, without what is the same in all channels.
    """

    def __init__(self, layer: WeightLayer, completes: NDArray[np.int32], read: NDArray[np.bool_]) -> None:
        alike = completes.ndim > 1 and completes.strides[0] == 0 and read.shape[1] == 1
        self._times, completes = (len(completes), completes[:1]) if alike else (1, completes)
        self.read = np.broadcast_to(read, (len(read), *completes.shape))
        by_vector = completes.ravel()
        there = np.flatnonzero(by_vector >= 0)
        self._order = there[np.argsort(by_vector[there], kind="stable")]
        sorted_by = by_vector[self._order]
        self._starts = np.flatnonzero(np.r_[True, sorted_by[1:] != sorted_by[:-1]]) if len(sorted_by) else there
        self._found = sorted_by[self._starts]
        self._vectors, self._outputs = layer.vectors, layer.outputs

    def positions(self, chosen: NDArray[np.bool_]) -> Integers:
        """(..., vectors): positions that are completed of the values (..., values) that are chosen."""
        counts = np.zeros((*chosen.shape[:-1], self._vectors), np.int64)
        if len(self._starts):
            values = np.add.reduceat(chosen[..., self._order], self._starts, axis=-1, dtype=np.int64)
            counts[..., self._found] = -(-self._times * values // self._outputs)
        return counts


class DrawnInputs(Inputs):
    """Count the elements of the network's input that replicas read, in turn and with the shares of a program."""

    def __init__(self, network: Network, consumer: int, index: int, replicas: int) -> None:
        super().__init__(network, consumer, replicas)
        _, read = read_by(network, INPUT, consumer, network.layers[index].vectors)
        self._readers = _Readers(read, index, replicas)

    def needed(self, replicas: Iterable[int], part: int, whole: int) -> Amount:
        chosen = sorted(set(replicas))
        plain = super().needed(chosen, part, whole)
        if len(chosen) == self._replicas:
            return plain

        def counts(shares: Shares) -> Integers:
            pieces = self._readers.pieces(shares.samples)
            read = [self._readers.by_replica(shares, piece)[:, chosen].any(1).sum(-1) for piece in pieces]
            return np.asarray(
                -(-self._elements * np.concatenate(read)[:, None] * part // (self._values * whole)), np.int64
            )

        return drawn(plain, counts)


@dataclass(frozen=True, eq=False)
class Joins:
    """Additions that join gradients where they arrive, with the shares of a program.

    exchanges:  with every stage that reads what has these gradients.
    whole:      positions of a sample, whose first parts need no addition.
    outputs:    numbers of a position.
    own:        additions of a sample besides.
    """

    exchanges: tuple[DrawnExchange, ...]
    whole: int
    outputs: int
    own: int

    def of(self, shares: Shares) -> Integers:
        """(samples,) additions."""
        parts = sum((each.counted(shares).sum((1, 2)) for each in self.exchanges), np.zeros(shares.samples, np.int64))
        return self.own + np.maximum(parts - self.whole, 0) * self.outputs
