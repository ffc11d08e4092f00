"""Routers and links of the mesh: a message holds the port it enters by, then each link of its XY route in turn.

Modelled: bandwidth, a fixed latency per router by which a message arrives later than its bits have passed, others using
the link meanwhile, how many messages may be on their way, energy per bit and router (its wire included), contention per
port and per directed link. A node of the mesh is as many routers side by side (``lanes``) as the bandwidth needs. Not
modelled: flits, virtual channels, back-pressure; a message goes on from a router when all of it is there.
"""

from __future__ import annotations

from typing import ClassVar

from rpusim.arch.contract.quantity import BitsPerSecond, SecondsOrZero
from rpusim.arch.contract.sourced import Count, Sourced
from rpusim.arch.parts.part import Card, Part


class Mesh(Sourced):
    """A rectangular mesh of nodes, with tiles on each.

    columns:           nodes in a row of the mesh.
    tiles_per_router:  tiles on one node.
    ports:             ports of one router, over which a card's power is shared.
    lanes:             routers side by side at a node.
    bandwidth:         bits per second of one link in one direction, of all lanes together.
    hop_latency:       seconds that a message needs for a router, besides the time of its bits; the link is free then.
    in_flight:         how many messages may be on one link or port together, and on their way from it.
    card:              name of the cost card of one router. With a power it is that of the whole router; a bit then
                       costs the power over the bandwidth of all ports.
    """

    columns: Count
    tiles_per_router: Count
    ports: Count
    lanes: Count
    bandwidth: BitsPerSecond
    hop_latency: SecondsOrZero
    in_flight: Count = 128
    card: str

    assumed: ClassVar[dict[str, str]] = {
        "in_flight": "assumption: 128 messages, as of the DRAM; no paper of these chips says"
    }

    def nodes(self, tiles: int) -> int:
        """Nodes of the mesh that ``tiles`` tiles need."""
        return -(-tiles // self.tiles_per_router)

    def build(self, card: Card, tiles: int) -> Part:
        """Price the routers that ``tiles`` tiles need: one ``bit`` per bit and router on its way.

        Raises `InputError` if so many lanes of the card do not carry the bandwidth.
        """
        card.check_bandwidth(self.lanes, self.bandwidth)
        routers = self.nodes(tiles) * self.lanes
        bit = card.action("bit", self.lanes / (self.bandwidth * self.ports))
        return Part("links", routers, card, {"bit": bit}, busy_units=routers)
