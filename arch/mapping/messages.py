"""Messages to tiles, and how one message reaches several of them: a tree of the mesh.

Where a chip's routers copy messages (`mesh.multicast`), what several tiles read alike leaves its tile once, and uses a
link once that lies on the ways of several readers; it carries what any of those behind it reads, and every reader keeps
its own part. Ways from one tile run along the row, then the column, so those of all readers together are a tree.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace

from rpusim.arch.contract.columns import Integers
from rpusim.arch.mapping.drawn import Shares
from rpusim.arch.mapping.replicas import ONE, Amount
from rpusim.arch.mapping.routes import Hop


@dataclass(frozen=True, eq=False)
class Cast:
    """What several tiles read alike of one home: the same outputs of it.

    count: gives the positions that every vector sends to some of its readers together, each of these once.
    """

    count: Callable[[frozenset[int]], Amount] = lambda readers: ONE
    _known: dict[frozenset[int], Amount] = field(default_factory=dict)

    def together(self, readers: frozenset[int]) -> Amount:
        """Return the positions for some readers, see `count`; the same object whenever it is asked for."""
        if readers not in self._known:
            self._known[readers] = self.count(readers)
        return self._known[readers]


@dataclass(frozen=True, eq=False)
class Message:
    """What a tile gets from another one, or from the edge of the mesh, with every vector of a layer.

    route:      ports and links on the way; none if it stays on its tile, or if the chip has nothing at the edge.
    bits:       of one position.
    buffer:     number of the station that takes it: the port of the receiving tile's buffer.
    kind:       kind of the receiving tile, whose buffer has a bandwidth.
    positions:  how many positions each vector sends.
    cast:       what it is a part of, with other messages of this cast; None: it goes by itself.
    readers:    who reads it, as the cast numbers them.
    """

    route: tuple[Hop, ...]
    bits: int
    buffer: int
    kind: int
    positions: Amount = ONE
    cast: Cast | None = None
    readers: frozenset[int] = frozenset()

    def sent(self, sample: Integers, position: Integers) -> Integers:
        """Count the bits that vectors send.

        sample: for each vector, its sample's number within the mini-batch.
        position: its own number within the sample.
        """
        return self.bits * self.positions.of(sample, position)

    def sent_among(self, shares: Shares | None, sample: Integers, number: Integers, position: Integers) -> Integers:
        """Count the bits that vectors send in a program; see `Amount.among`."""
        return self.bits * self.positions.among(shares, sample, number, position)


@dataclass(frozen=True)
class Branch:
    """A part of a tree of links.

    hops:      what a message holds first, one after the other.
    sent:      what passes there: its route says nothing.
    ends:      messages whose way ends behind these.
    branches:  what goes on from there.
    """

    hops: tuple[Hop, ...]
    sent: Message
    ends: tuple[Message, ...]
    branches: tuple[Branch, ...]

    def links(self) -> Iterator[tuple[Hop, Message]]:
        """Yield each port and link of the tree with what passes there."""
        yield from ((hop, self.sent) for hop in self.hops)
        for branch in self.branches:
            yield from branch.links()


def trees(messages: Sequence[Message]) -> list[Branch]:
    """Put messages of one home together to trees, one for each cast and each message by itself, in their order."""
    groups: dict[int, list[Message]] = {}
    for message in messages:
        groups.setdefault(id(message if message.cast is None else message.cast), []).append(message)
    return [_tree(group, 0) for group in groups.values()]


def _tree(messages: Sequence[Message], start: int) -> Branch:
    """Put together what messages of one cast hold from place ``start`` of their routes on."""
    routes = [message.route for message in messages]
    stop, shortest = start, min(map(len, routes))
    while stop < shortest and all(route[stop] == routes[0][stop] for route in routes):
        stop += 1
    ends, onward = list[Message](), dict[Hop, list[Message]]()
    for message in messages:
        if len(message.route) == stop:
            ends.append(message)
        else:
            onward.setdefault(message.route[stop], []).append(message)
    sent = first = messages[0]
    if len(messages) > 1:
        assert first.cast is not None, "several messages without a cast"
        everyone = frozenset[int]().union(*(message.readers for message in messages))
        sent = replace(first, positions=first.cast.together(everyone))
    branches = tuple(_tree(group, stop) for group in onward.values())
    return Branch(routes[0][start:stop], sent, tuple(ends), branches)
