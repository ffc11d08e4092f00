"""Ways of messages over the mesh and from chip to chip, and the numbers of the stations on them.

Routes run from the source's router along the row of routers, then the column.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import partial

from rpusim.arch.contract.quantity import picoseconds
from rpusim.arch.mapping.placement import Block, Placement


@dataclass(frozen=True)
class Hop:
    """One port or link of a route.

    station:  number of the station that the message holds there, for the time of its bits.
    """

    station: int


@dataclass
class Stations:
    """Number the stations (what a process can hold or wait for) while a plan is made.

    names:     number of every station, by its unique name.
    parts:     by number: the part of the chip that a station is, such as "link".
    kinds:     by number: the kind of tile that it belongs to; -1: to none.
    capacity:  by number: how many processes can hold it at the same time.
    latency:   by number: ps for which what left it is on its way.
    in_flight: by number: how many may hold it and be on their way together, if it has a latency.
    """

    names: dict[str, int] = field(default_factory=dict)
    parts: list[str] = field(default_factory=list)
    kinds: list[int] = field(default_factory=list)
    capacity: list[int] = field(default_factory=list)
    latency: list[int] = field(default_factory=list)
    in_flight: list[int] = field(default_factory=list)

    def number(
        self, part: str, name: str, kind: int = -1, capacity: int = 1, latency: float = 0.0, in_flight: int = 1
    ) -> int:
        """Return the number of the station of this name, which is added with the rest if it is new."""
        if name not in self.names:
            self.names[name] = len(self.parts)
            self.parts.append(part)
            self.kinds.append(kind)
            self.capacity.append(capacity)
            self.latency.append(picoseconds(latency))
            self.in_flight.append(in_flight)
        return self.names[name]


class Routes:
    """Find the ports and links between tiles of one placement.

    stations:   gets the ports and links that are met.
    placement:  where the layers lie.
    """

    def __init__(self, stations: Stations, placement: Placement) -> None:
        self._stations, self._chip = stations, placement.chip
        chip = placement.chip
        self._hop = placement.bill.hop_seconds if chip.mesh.hop_latency is None else chip.mesh.hop_latency
        self._edge = bool(chip.global_buffer or chip.memory or chip.host)

    def route(self, source: Block | None, target: Block | None) -> tuple[Hop, ...]:
        """Find the way: into the source's router, then links along the row of routers, then along the column.

        Between chips it leads over the edge of both, at their first routers.

        source, target: blocks on the first and the last tile; None: the edge of the mesh, at its first router.
        Returns nothing if both are the same tile, or if one is an edge at which the chip has nothing.
        """
        start, goal = (block and block.chip_tile for block in (source, target))
        if start == goal or (None in (start, goal) and not self._edge):
            return ()
        chip, mesh = self._chip, self._chip.mesh
        (here, first), (there, last) = (chip.of_chip(tile or 0) for tile in (start, goal))
        number = partial(self._stations.number, latency=self._hop, in_flight=mesh.in_flight)
        entry = "port of the edge" if start is None else f"port of tile {start}"
        route = [Hop(number("port", entry))]
        node, end = (divmod(place // mesh.tiles_per_router, mesh.columns) for place in (first, last))
        if here == there:
            return (*route, *self._over_the_mesh(here, node, end))
        return (
            *route,
            *self._over_the_mesh(here, node, (0, 0)),
            *self._between_chips(here, there),
            *self._over_the_mesh(there, (0, 0), end),
        )

    def _over_the_mesh(self, chip: int, node: tuple[int, int], target: tuple[int, int]) -> Iterator[Hop]:
        """Yield the links of one chip from a node, (row, column), to another one: along the row, then the column."""
        (row, column), (goal_row, goal_column) = node, target
        whose = f" of chip {chip}" if self._chip.chips > 1 else ""
        in_flight = self._chip.mesh.in_flight
        while (row, column) != (goal_row, goal_column):
            if column != goal_column:
                following = (row, column + (1 if goal_column > column else -1))
            else:
                following = (row + (1 if goal_row > row else -1), column)
            name = f"link ({row},{column})-({following[0]},{following[1]}){whose}"
            yield Hop(self._stations.number("link", name, latency=self._hop, in_flight=in_flight))
            row, column = following

    def _between_chips(self, here: int, there: int) -> Iterator[Hop]:
        """Yield the links from one chip to another one, past those between them."""
        between = self._chip.between
        assert between is not None, "several chips that nothing joins"
        step = 1 if there > here else -1
        for chip in range(here, there, step):
            name, how = f"chip link {chip}-{chip + step}", (between.latency, between.in_flight)
            yield Hop(self._stations.number("chip link", name, latency=how[0], in_flight=how[1]))
