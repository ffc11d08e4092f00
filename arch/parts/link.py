"""Routers and links of the mesh: a message holds the port it enters by, then each link of its XY route in turn.

Modelled: bandwidth, a fixed latency per router, energy per bit and router (its wire included), contention per port and
per directed link. A node of the mesh is as many routers side by side (``lanes``) as the bandwidth needs. Not modelled:
flits, virtual channels, back-pressure.
"""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from rpusim.arch.contract.quantity import BitsPerSecond, SecondsOrZero
from rpusim.arch.contract.sourced import Sourced
from rpusim.arch.parts.part import Card, Part


class Mesh(Sourced):
    """A mesh ``columns`` nodes wide, ``tiles_per_router`` tiles on each node; a router has ``ports`` ports.

    A card with power is that of a whole router; a bit then costs the power over all ports' bandwidth.
    """

    columns: Annotated[int, Field(ge=1)]
    tiles_per_router: Annotated[int, Field(ge=1)]
    ports: Annotated[int, Field(ge=1)]
    lanes: Annotated[int, Field(ge=1)]
    bandwidth: BitsPerSecond
    hop_latency: SecondsOrZero
    card: str

    def nodes(self, tiles: int) -> int:
        """Nodes of the mesh that ``tiles`` tiles need."""
        return -(-tiles // self.tiles_per_router)

    def build(self, card: Card, tiles: int) -> Part:
        card.check_bandwidth(self.lanes, self.bandwidth)
        routers = self.nodes(tiles) * self.lanes
        bit = card.action("bit", self.lanes / (self.bandwidth * self.ports))
        return Part("links", routers, card, {"bit": bit}, busy_units=routers)
