"""Routers and links of the mesh: a message holds the port it enters by, then each link of its XY route in turn.

Modelled: bandwidth, a fixed latency per router by which a message arrives later than its bits have passed, others using
the link meanwhile, how many messages may be on their way, energy per bit and router, and per bit and wire to the next
router, contention per port and per directed link. A node of the mesh is as many routers side by side (``lanes``) as the
bandwidth needs. Not modelled: flits, virtual channels, back-pressure; a message goes on from a router when all of it is
there. Routers that copy messages (``multicast``) take no more energy or area than others, and a header of the same
bits.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated, ClassVar

from pydantic import Field, model_validator

from rpusim.arch.contract.quantity import BitsPerSecond, JoulesOrZero, SecondsOrZero, zeptojoules
from rpusim.arch.contract.sourced import Count, Sourced
from rpusim.arch.parts.part import Action, Card, Part
from rpusim.arch.parts.wires import energy, pitch


class Mesh(Sourced):
    """A rectangular mesh of nodes, with tiles on each.

    columns:           nodes in a row of the mesh.
    tiles_per_router:  tiles on one node.
    ports:             ports of one router, over which a card's power is shared.
    lanes:             routers side by side at a node.
    bandwidth:         bits per second of one link in one direction, of all lanes together.
    hop_latency:       seconds that a message needs for a router and the wire to the next, besides the time of its bits;
                       the link is free meanwhile. None: as the distance of the routers says, see `wires`.
    wire_energy:       joules per bit over the wire from one router to the next. None: as distance and node say.
    header_bits:       bits that go ahead of every message over each port and link: where it goes and what it is.
    in_flight:         how many messages may be on one link or port together, and on their way from it.
    multicast:         whether routers copy messages: what several tiles read alike is sent once, along the tree of its
                       ways, each link of which carries it once. Else it is sent to each of them.
    card:              name of the cost card of one router. With a power it is that of the whole router; a bit then
                       costs the power over the bandwidth of all ports.
    """

    columns: Count
    tiles_per_router: Count
    ports: Count
    lanes: Count
    bandwidth: BitsPerSecond
    hop_latency: SecondsOrZero | None = None
    wire_energy: JoulesOrZero | None = None
    header_bits: Annotated[int, Field(ge=0, le=4096)] = 0
    in_flight: Count = 128
    multicast: bool = False
    card: str

    assumed: ClassVar[dict[str, str]] = {
        "in_flight": "assumption: 128 messages, as of the DRAM; no paper of these chips says",
        "multicast": "assumption: off, as no paper of these chips says that its routers copy messages",
    }

    @model_validator(mode="after")
    def _says_why_wires_are_free(self) -> Mesh:
        if self.wire_energy == 0 and "wire_energy" not in self.sources:
            raise ValueError("wire_energy is zero; sources.wire_energy must say why, such as that the card counts it")
        return self

    def nodes(self, tiles: int) -> int:
        """Nodes of the mesh that ``tiles`` tiles need."""
        return -(-tiles // self.tiles_per_router)

    def pitch(self, tile_area: float, card: Card) -> float:
        """Compute the distance (m) of neighbouring routers between tiles of ``tile_area`` square metres on average."""
        return pitch(self.tiles_per_router, tile_area, self.lanes * card.area)

    def build(self, card: Card, tiles: int, tile_area: float, supply: Callable[[float], float]) -> Part:
        """Price the routers that tiles need: one ``bit`` per bit and router on its way, one ``wire`` on to the next.

        card: of one router.
        tiles: how many there are.
        tile_area: of a tile, on average, in square metres.
        supply: gives the supply (V) of circuits at a node (m).
        Raises `InputError` if so many lanes of the card do not carry the bandwidth.
        """
        card.check_bandwidth(self.lanes, self.bandwidth)
        routers = self.nodes(tiles) * self.lanes
        bit = card.action("bit", self.lanes / (self.bandwidth * self.ports))
        joules = self.wire_energy
        if joules is None:
            joules = energy(self.pitch(tile_area, card), supply(card.node))
        actions = {"bit": bit, "wire": Action(bit.latency_ps, zeptojoules(joules))}
        return Part("links", routers, card, actions, busy_units=routers)
