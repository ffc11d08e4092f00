"""Wires between the routers of the mesh: what a bit costs, and how long it takes, over the distance of two neighbours.

    pitch    sqrt(tiles of a node x mean area of a tile + its routers)       nodes are squares, side by side    (1)
    energy   C V^2 / 2                     per bit and length, repeaters included, V the supply at the node     (2)
    delay    217 ps/mm x (22 nm / node)^0.32   of wires with repeaters at their best                            (3)

Equation 2 gives 121 fJ per bit and mm at 0.9 V (40 nm) and 84 fJ at 0.75 V (10 nm); Keckler et al. 2011 (IEEE Micro
31(5):7-17, Table 1) have 310 pJ and 200 pJ for 256 bits over 10 mm, 121 fJ and 78 fJ. Equation 3 is a fit, within 7 %,
to what CACTI 7 finds for its wires between banks, with high-performance transistors and repeaters sized for delay: 138,
157, 162, 193 and 217 ps/mm at 90, 65, 45, 32 and 22 nm; below and above that it is an extrapolation. With low-standby
transistors CACTI finds 1.8 to 2.3 times as much. Not modelled: wires within a tile and from a tile to its router, width
and layer of the wires, coding; routing takes no area of its own.
"""

from __future__ import annotations

from math import sqrt

CAPACITANCE = 0.3e-9
"""Farads per metre of a wire with its repeaters, times the share of bits that switch it; from the 121 fJ above."""
ENERGY_SOURCE = (
    "derived: C V^2 / 2 of the wire from router to router, C from Keckler et al. 2011 (IEEE Micro 31(5):7-17)"
)

DELAY, DELAY_NODE, DELAY_POWER = 217e-9, 22e-9, 0.32
"""Seconds per metre of a wire with repeaters at a node (m), and the power by which it grows with smaller nodes; see
equation 3."""

ROUTER = 1e-9
"""Seconds that a message needs in a router, besides its wire: one cycle at 1 GHz. A guess."""

LATENCY_SOURCE = (
    "assumption: one router cycle at 1 GHz; and the wire from router to router, 217 ps/mm x (22 nm / node)^0.32, a fit "
    "to CACTI 7 (repeated wires, high performance, 22 to 90 nm)"
)


def pitch(tiles: int, tile_area: float, router_area: float) -> float:
    """Compute the distance (m) between neighbouring nodes of the mesh, equation 1.

    tiles: on one node. tile_area: of one tile on average, in square metres. router_area: of the node's routers.
    """
    return sqrt(tiles * tile_area + router_area)


def energy(length: float, supply: float) -> float:
    """Compute what a bit takes (J) over ``length`` metres at a ``supply`` in volts, equation 2."""
    return CAPACITANCE * supply**2 / 2 * length


def delay(length: float, node: float) -> float:
    """Compute how long a bit takes (s) over ``length`` metres of wire at a ``node`` in metres, equation 3."""
    return float(DELAY * (DELAY_NODE / node) ** DELAY_POWER * length)


def hop_seconds(length: float, node: float) -> float:
    """Compute how long a message is on its way (s) through a router and over ``length`` metres at a ``node`` (m)."""
    return ROUTER + delay(length, node)
