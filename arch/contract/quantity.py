"""Quantities with units, read at the boundary: "80 ns" in a file is 8e-08 (seconds, a float) everywhere behind it.

Inside the simulator quantities are SI floats, simulated time is integer picoseconds and energy is integer zeptojoules
(1 zJ = 1e-21 J), so that sums over billions of events are exact and do not depend on their order.
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from functools import cached_property
from typing import Annotated

from pydantic import BeforeValidator

from rpusim.errors import shown, written

PICOSECONDS_PER_SECOND = 10**12
ZEPTOJOULES_PER_JOULE = 10**21

_PREFIXES = {"f": 1e-15, "p": 1e-12, "n": 1e-9, "u": 1e-6, "µ": 1e-6, "m": 1e-3, "": 1.0, "k": 1e3, "M": 1e6, "G": 1e9}
_PREFIXES |= {"T": 1e12, "P": 1e15, "a": 1e-18, "z": 1e-21}
_LONGEST = 100
"""Characters of the longest quantity."""
_NUMBER = re.compile(r"\s*([-+]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][-+]?[0-9]+)?)\s*(\S*(?: \S+)?)\s*")


@dataclass(frozen=True, eq=False)
class Dimension:
    """Describe what a quantity measures, and read strings of it.

    name:               with its article, for sentences: "a time".
    unit:               the SI unit in which values are kept.
    accepted:           unit strings that a file may use, and how many SI units each one is.
    example:            a good value, for error messages.
    smallest, largest:  as strings with units; beyond them a value other than zero is a slip, or less than the
                        simulator resolves.
    """

    name: str
    unit: str
    accepted: dict[str, float]
    example: str
    smallest: str
    largest: str

    def parse(self, given: object) -> float:
        """Return the SI value of ``given``, a string such as "80 ns".

        Raises ValueError for a number without a unit, another unit, or a value beyond `smallest` and `largest`.
        """
        match = _NUMBER.fullmatch(given) if isinstance(given, str) and len(given) <= _LONGEST else None
        if match and match[2] in self.accepted:
            # str(float) round trip: 5 * 1e-9 is 5.000000000000001e-09, "5e-9" is what was meant
            value = float(f"{float(match[1]) * self.accepted[match[2]]:.15g}")
            vanished = value == 0 and any(digit in "123456789" for digit in re.split("[eE]", match[1])[0])
            if vanished or (value > 0 and not self.range[0] <= value <= self.range[1]) or value == -math.inf:
                raise ValueError(
                    f"got {shown(written(given))}, but {self.name} must be between {self.smallest} and {self.largest}, "
                    f"such as {self.example!r}"
                )
            return value
        raise ValueError(
            f"got {shown(written(given))}, but {self.name} needs a number with its unit, such as {self.example!r} "
            f"(units: {', '.join(sorted(self.accepted, key=lambda unit: self.accepted[unit]))})"
        )

    @cached_property
    def range(self) -> tuple[float, float]:
        """Convert ``smallest`` and ``largest`` to the SI unit."""
        ends = [_NUMBER.fullmatch(end) for end in (self.smallest, self.largest)]
        low, high = (float(f"{float(end[1]) * self.accepted[end[2]]:.15g}") for end in ends if end)
        return low, high


def _scaled(prefixes: str, *symbols: str) -> dict[str, float]:
    """Accept every symbol alone and behind each of the (one-letter) prefixes."""
    return {p + s: _PREFIXES[p] for s in symbols for p in [*prefixes, ""]}


TIME = Dimension("a time", "s", _scaled("pnum", "s"), "80 ns", "1 ps", "3600 s")
ENERGY = Dimension("an energy", "J", _scaled("zafpnum", "J"), "1.56 pJ", "1 zJ", "1 J")
POWER = Dimension("a power", "W", _scaled("pnumk", "W"), "2 mW", "1e-9 pW", "1000 kW")
AREA = Dimension(
    "an area", "m2", {"nm2": 1e-18, "um2": 1e-12, "mm2": 1e-6, "cm2": 1e-4, "m2": 1.0}, "0.0012 mm2", "1e-3 nm2", "1 m2"
)
_DAY = 86400.0
AGE = Dimension(
    "a time",
    "s",
    {"s": 1.0, "min": 60.0, "h": 3600.0, "day": _DAY, "month": 30 * _DAY, "year": 365 * _DAY},
    "1 day",
    "1e-3 s",
    "1000 year",
)
LENGTH = Dimension("a length", "m", _scaled("num", "m"), "400 nm", "0.1 nm", "1 m")
VOLTAGE = Dimension("a voltage", "V", _scaled("um", "V"), "0.5 V", "1 uV", "1000 V")
RESISTANCE = Dimension("a resistance", "Ohm", _scaled("kMG", "Ohm"), "24 MOhm", "1e-3 Ohm", "1e6 GOhm")
CAPACITANCE = Dimension("a capacitance", "F", _scaled("afpn", "F"), "80 aF", "1e-3 aF", "1 F")
CURRENT = Dimension("a current", "A", _scaled("zafpnum", "A"), "100 nA", "1 zA", "1000 A")
DENSITY = Dimension(
    "a capacitance density",
    "F/m2",
    {"fF/um2": 1e-3, "nF/mm2": 1e-3, "F/m2": 1.0},
    "200 fF/um2",
    "1e-6 F/m2",
    "1e3 F/m2",
)
MATCHING = Dimension("a matching coefficient", "V m", {"mV um": 1e-9, "V m": 1.0}, "1.5 mV um", "1e-15 V m", "1e-3 V m")
SAMPLE_RATE = Dimension("a sampling rate", "S/s", _scaled("kMG", "S/s"), "200 MS/s", "1 S/s", "1000 GS/s")
OPERATION_RATE = Dimension("an operation rate", "op/s", _scaled("kMGT", "op/s"), "51.2 Gop/s", "1 op/s", "1e6 Top/s")
BIT_RATE = Dimension(
    "a bandwidth",
    "b/s",
    _scaled("kMGT", "b/s") | {u: 8 * f for u, f in _scaled("kMGT", "B/s").items()},
    "90 GB/s",
    "1 b/s",
    "1e6 Tb/s",
)
MEMORY = Dimension(
    "a memory size", "b", {"b": 1, "B": 8, "KB": 8 * 2**10, "MB": 8 * 2**20, "GB": 8 * 2**30}, "64 KB", "1 b", "1e9 GB"
)


def _quantity(dimension: Dimension, *, positive: bool) -> tuple[BeforeValidator, Dimension]:
    """What makes a float in an annotation a quantity; not ``positive``: zero is accepted, too."""

    def read(given: object) -> float:
        value = dimension.parse(given)
        if value < 0 or (positive and value == 0):
            accepted = f"{dimension.name} above zero" if positive else f"{dimension.name} of zero or more"
            raise ValueError(f"got {shown(written(given))}, but it must be {accepted}, such as {dimension.example!r}")
        return value

    return BeforeValidator(read), dimension


# Types for pydantic fields. The Dimension stays in the annotation, so that a resolved configuration can print its unit.
Seconds = Annotated[float, *_quantity(TIME, positive=True)]
SecondsOrZero = Annotated[float, *_quantity(TIME, positive=False)]
Age = Annotated[float, *_quantity(AGE, positive=False)]
"""Seconds that nobody simulates, such as those since weights were programmed."""
JoulesOrZero = Annotated[float, *_quantity(ENERGY, positive=False)]
WattsOrZero = Annotated[float, *_quantity(POWER, positive=False)]
SquareMetresOrZero = Annotated[float, *_quantity(AREA, positive=False)]
Metres = Annotated[float, *_quantity(LENGTH, positive=True)]
Volts = Annotated[float, *_quantity(VOLTAGE, positive=True)]
Ohms = Annotated[float, *_quantity(RESISTANCE, positive=True)]
Farads = Annotated[float, *_quantity(CAPACITANCE, positive=True)]
Amperes = Annotated[float, *_quantity(CURRENT, positive=True)]
SquareMetres = Annotated[float, *_quantity(AREA, positive=True)]
FaradsPerSquareMetre = Annotated[float, *_quantity(DENSITY, positive=True)]
VoltMetres = Annotated[float, *_quantity(MATCHING, positive=True)]
SamplesPerSecond = Annotated[float, *_quantity(SAMPLE_RATE, positive=True)]
OperationsPerSecond = Annotated[float, *_quantity(OPERATION_RATE, positive=True)]
BitsPerSecond = Annotated[float, *_quantity(BIT_RATE, positive=True)]
Bits = Annotated[float, *_quantity(MEMORY, positive=True)]


def picoseconds(seconds: float) -> int:
    """Convert a duration (s) to simulated time: the nearest integer picosecond."""
    return round(seconds * PICOSECONDS_PER_SECOND)


def zeptojoules(joules: float) -> int:
    """Convert an energy (J) to the nearest integer zeptojoule."""
    return round(joules * ZEPTOJOULES_PER_JOULE)


def transfer_picoseconds(bits: int, bits_per_second: float) -> int:
    """Compute the time (ps) to move ``bits`` at a bandwidth: rounded up, so that a link is never faster than stated."""
    return -(-bits * PICOSECONDS_PER_SECOND // round(bits_per_second))
