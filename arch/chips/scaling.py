"""Cards of digital circuits measured in one technology and used in another, where a chip asks for it (``scale_to``).

Stillmaker & Baas 2017 (Integration 58:74-81) fitted simulations of inverter chains from 180 nm to 7 nm: energy per
operation a V^2 + b V + c with coefficients per node (high-performance transistors below 65 nm), and factors of area.
Used here: both, as nodeScale (NanoCAD, UCLA) tabulates them, at the nominal supply of each node in the predictive
technology models; between two nodes of the tables the straight line in log-log. Rates stay what the chip says: nothing
becomes faster.

Scaled are digital circuits: drivers, digital units, on-chip memory, routers, support circuits. Not scaled: the cells of
an array (wires set their size, their card its circuit), converters and sample-and-hold (noise, not the node, sets their
energy: a converter can be estimated, see `adc_survey`), multiplexers (their resistance sets their width), DRAM and host
link (not of the chip's technology). Leakage is scaled like area: an assumption, the paper has no leakage.
"""

from __future__ import annotations

from math import exp, log

from rpusim.arch.parts.part import Card
from rpusim.errors import InputError

SOURCE = "Stillmaker & Baas 2017 (Integration 58:74-81)"
ANALOG_OR_ELSEWHERE = ("array", "ADC", "sample-and-hold", "multiplexer", "DRAM", "host link", "chip link")
"""Parts whose cards are left as they are."""

_AREA = {180: 40, 130: 14, 90: 6.1, 65: 3.3, 45: 2.2, 32: 1, 20: 0.46, 16: 0.41, 14: 0.38, 10: 0.22, 7: 0.13}
"""Area of a circuit over that at 32 nm, by node (nm)."""
_ENERGY = {
    180: (0.0, 24.64, -17.98, 1.8),
    130: (7.171, -6.709, 2.904, 1.3),
    90: (4.762, -4.781, 2.092, 1.2),
    65: (3.755, -4.398, 1.975, 1.1),
    45: (1.018, -0.3107, 0.1539, 1.0),
    32: (0.8367, -0.4341, 0.1701, 0.9),
    20: (0.373, -0.1582, 0.04104, 0.9),
    16: (0.2958, -0.1241, 0.03024, 0.85),
    14: (0.2363, -0.09675, 0.02239, 0.8),
    10: (0.2068, -0.09311, 0.02375, 0.75),
    7: (0.1776, -0.09097, 0.02447, 0.7),
}
"""a, b and c by node, and the nominal supply (V) of the node's predictive model."""


def area_factor(node: float, target: float) -> float:
    """Compute the area of a circuit at the node ``target`` over that at ``node`` (both in metres)."""
    return _between(_AREA, target) / _between(_AREA, node)


def energy_factor(node: float, target: float) -> float:
    """Compute the energy of an operation at ``target`` over that at ``node`` (metres), each at its nominal supply."""
    energies = {n: a * v * v + b * v + c for n, (a, b, c, v) in _ENERGY.items()}
    return _between(energies, target) / _between(energies, node)


def supply(node: float) -> float:
    """Return the nominal supply (V) of circuits at a node (m); beyond the tables that of the nearest node."""
    smallest, largest = min(_ENERGY) * 1e-9, max(_ENERGY) * 1e-9
    return _between({n: volts for n, (*_, volts) in _ENERGY.items()}, min(max(node, smallest), largest))


def scaled(card: Card, target: float) -> Card:
    """Scale a card to another technology node.

    card: of any part; analog ones and those that are not on the chip stay as they are.
    target: the node, in metres.
    Returns a card named after the node, whose sources say how it was scaled, or ``card`` itself if nothing is scaled.
    Raises `InputError` for a node beyond the tables.
    """
    if card.part in ANALOG_OR_ELSEWHERE or card.node == target:
        return card
    try:
        energy, area = energy_factor(card.node, target), area_factor(card.node, target)
    except InputError as error:
        raise InputError(f"{error}; the node of card {card.name} is {card.node * 1e9:g} nm") from None
    how = f"scaled from {card.node * 1e9:g} nm by {SOURCE}: energy x {energy:.3g}, area x {area:.3g}"
    sources = {name: said if name.startswith(_RATED) else f"{said}; {how}" for name, said in card.sources.items()}
    leakage = f"{card.sources.get('leakage', card.source)}; {how}, leakage like area (assumption)"
    return card.model_copy(
        update={
            "name": f"{card.name} at {target * 1e9:g} nm",
            "node": target,
            "basis": "derived",
            "energy": {action: joules * energy for action, joules in card.energy.items()},
            "power": None if card.power is None else card.power * energy,
            "area": card.area * area,
            "leakage": card.leakage * area,
            "idle": None if card.idle is None else card.idle * energy,
            "ranges": {name: _scaled_range(card, name, energy, area) for name in card.ranges},
            "source": f"{card.source}; {how}",
            "sources": {**sources, "leakage": leakage, "node": f"scale_to of the chip; {how}"},
        }
    )


def _scaled_range(card: Card, name: str, energy: float, area: float) -> str:
    """Scale the range of a figure as the figure itself."""
    factor = {"area": area, "leakage": area, "wake": 1.0}.get(name, energy)
    unit = "J" if name in card.energy else {"area": "m2", "wake": "s"}.get(name, "W")
    return " to ".join(f"{end * factor:.6g} {unit}" for end in card.range(name))


_RATED = ("rated_bits", "rated_rate", "rated_bandwidth", "cycles")
"""Fields that say what a card was taken from, which scaling does not change."""


def _between(table: dict[int, float], node: float) -> float:
    """The table's value at ``node`` (m), on the straight line in log-log between its neighbours."""
    nanometres = node * 1e9
    nodes = sorted(table)
    if not nodes[0] <= nanometres <= nodes[-1]:
        raise InputError(
            f"scale_to: a card of {nanometres:g} nm was given or asked for, but {SOURCE} scales from {nodes[0]} nm to "
            f"{nodes[-1]} nm"
        )
    above = next(n for n in nodes if n >= nanometres)
    below = max(n for n in nodes if n <= nanometres)
    if above == below:
        return table[above]
    share = log(nanometres / below) / log(above / below)
    return exp((1 - share) * log(table[below]) + share * log(table[above]))
