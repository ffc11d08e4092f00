"""Wires between the routers of the mesh: what a bit costs, and how long it takes, over the distance of two neighbours.

    pitch    sqrt(tiles of a node x mean area of a tile + its routers)       nodes are squares, side by side    (1)
    energy   C V^2 / 2                     per bit and length, repeaters included, V the supply at the node     (2)
    delay    proportional to the length    of wires with repeaters                                              (3)

Equation 2 gives 121 fJ per bit and mm at 0.9 V (40 nm) and 84 fJ at 0.75 V (10 nm); Keckler et al. 2011 (IEEE Micro
31(5):7-17, Table 1) have 310 pJ and 200 pJ for 256 bits over 10 mm, 121 fJ and 78 fJ. Not modelled: wires within a
tile and from a tile to its router, width and layer of the wires, coding; routing takes no area of its own.
"""

from __future__ import annotations

from math import sqrt

CAPACITANCE = 0.3e-9
"""Farads per metre of a wire with its repeaters, times the share of bits that switch it; from the 121 fJ above."""
ENERGY_SOURCE = (
    "derived: C V^2 / 2 of the wire from router to router, C from Keckler et al. 2011 (IEEE Micro 31(5):7-17)"
)

DELAY = 100e-9
"""Seconds per metre of a wire with repeaters (100 ps per mm); it hardly changes with the node. A guess."""

ROUTER = 1e-9
"""Seconds that a message needs in a router, besides its wire: one cycle at 1 GHz. A guess."""

LATENCY_SOURCE = "assumption: one router cycle at 1 GHz, and 100 ps per mm between routers"


def pitch(tiles: int, tile_area: float, router_area: float) -> float:
    """Compute the distance (m) between neighbouring nodes of the mesh, equation 1.

    tiles: on one node. tile_area: of one tile on average, in square metres. router_area: of the node's routers.
    """
    return sqrt(tiles * tile_area + router_area)


def energy(length: float, supply: float) -> float:
    """Compute what a bit takes (J) over ``length`` metres at a ``supply`` in volts, equation 2."""
    return CAPACITANCE * supply**2 / 2 * length


def hop_seconds(length: float) -> float:
    """Compute how long a message is on its way (s) through a router and over ``length`` metres, equation 3."""
    return ROUTER + DELAY * length
