"""A line of an array as a ladder: equal pieces of wire in series, and from each a cell to the other side.

The line is fed (or read) at one end, through one piece of wire before the first cell; cells are numbered k = 1 ... n
from there. With the load r / R, a piece of wire over a cell,

    theta          2 cosh(theta) = 2 + r / R                                                                  (1)
    profile        V_k / V = cosh(theta (n + 1/2 - k)) / cosh(theta (n + 1/2))                                (2)
    potentials     P_jk = r / R sinh(theta min(j, k)) cosh(theta (n + 1/2 - max(j, k)))
                          / (sinh(theta) cosh(theta (n + 1/2)))                                               (3)
    slowest        tau = r c / (4 sin^2(pi / (2 (2 n + 1))))                                                  (4)
    settling       t = tau (ln(4 / pi) + (bits + 1) ln 2)                                                     (5)

Equation 2 is the voltage along a line driven at V whose cells lead to ground; by reciprocity it is also the share of a
current fed in at cell k that comes out at the end, if the end is held at ground. Equation 3 is the potential at cell j
of a line held at ground, when the cell k alone is driven with 1. Equation 4 is the slowest time constant of the ladder
with a capacitance c per cell in place of the cells, about 0.405 of its whole resistance times its whole capacitance;
after the time of equation 5 the far end is within half a step of ``bits`` bits. Faster modes, which help, are left out.
Elmore's delay of a long line is 1/2 of that product, its time to half the voltage 0.38 (Bakoglu, Circuits,
Interconnections, and Packaging for VLSI, 1990).
"""

from __future__ import annotations

from math import asinh, exp, log, pi, sin, sinh, sqrt

import numpy as np
from numpy.typing import ArrayLike, NDArray

Numbers = NDArray[np.float64]


def theta(load: float) -> float:
    """Solve equation 1 for a load above 0."""
    return 2.0 * asinh(sqrt(load) / 2.0)


def profile(load: float, cells: int, places: ArrayLike) -> Numbers:
    """Compute equation 2.

    load: resistance of the wire from cell to cell over that of a cell, 0 or more. cells: of the line.
    places: numbers k of cells, from 1 on; 0 is the end itself. Returns shares, as many as places.
    """
    k = np.asarray(places, np.float64)
    if load == 0.0:
        return np.ones_like(k)
    angle, length = theta(load), cells + 0.5
    bent = 1.0 + np.exp(-2.0 * angle * (length - k))
    found: Numbers = np.exp(-angle * k) * bent / (1.0 + exp(-2.0 * angle * length))
    return found


def end(load: float, cells: int) -> float:
    """Compute equation 2 for the last cell."""
    return float(profile(load, cells, [cells])[0])


def potentials(load: float, cells: int, used: int) -> Numbers:
    """Compute equation 3 for the first ``used`` of the line's cells: (used, used), all 0 without a load."""
    if load == 0.0:
        return np.zeros((used, used))
    angle, length = theta(load), cells + 0.5
    k = np.arange(1, used + 1, dtype=np.float64)
    low, high = np.minimum.outer(k, k), np.maximum.outer(k, k)
    rising = np.exp(angle * (low - high)) * -np.expm1(-2.0 * angle * low) / 2.0
    falling = (1.0 + np.exp(-2.0 * angle * (length - high))) / (1.0 + exp(-2.0 * angle * length))
    found: Numbers = load / sinh(angle) * rising * falling
    return found


def slowest(resistance: float, capacitance: float, cells: int) -> float:
    """Compute equation 4, in seconds.

    resistance, capacitance: ohms and farads of a line per cell. cells: of the line.
    """
    return resistance * capacitance / (4.0 * sin(pi / (2.0 * (2 * cells + 1))) ** 2)


def settling(resistance: float, capacitance: float, cells: int, bits: int) -> float:
    """Compute equation 5, in seconds; bits: of the converter that reads. For the others see `slowest`."""
    return slowest(resistance, capacitance, cells) * (log(4.0 / pi) + (bits + 1) * log(2.0))
