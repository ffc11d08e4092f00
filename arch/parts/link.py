"""Routers and links of the mesh: a message holds each link of its XY route in turn (store and forward).

Modelled: bandwidth, a fixed latency per hop, energy per bit and hop (router and wire in one figure), contention per
directed link. Not modelled: flits, virtual channels, back-pressure.
"""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from rpusim.arch.parts.part import Card, Part, Sourced
from rpusim.arch.quantity import BitsPerSecond, SecondsOrZero


class Mesh(Sourced):
    """A mesh of routers, ``tiles_per_router`` tiles on each, ``columns`` routers wide."""

    columns: Annotated[int, Field(ge=1)]
    tiles_per_router: Annotated[int, Field(ge=1)]
    bandwidth: BitsPerSecond
    hop_latency: SecondsOrZero
    card: str

    def build(self, card: Card, tiles: int) -> Part:
        routers = -(-tiles // self.tiles_per_router)
        return Part("links", routers, card, {"bit": card.action("bit", 1 / self.bandwidth)}, busy_units=routers)
