"""Numbers as a person reads them: three significant digits, a prefix that fits, one rule for each kind of quantity.

>>> si(8.94e-07, "s"), si(5.74e-08, "J"), area(2.755e-04)
('894 ns', '57.4 nJ', '275.5 mm²')
"""

from __future__ import annotations

import math

_PREFIXES = {
    -21: "z",
    -18: "a",
    -15: "f",
    -12: "p",
    -9: "n",
    -6: "µ",
    -3: "m",
    0: "",
    3: "k",
    6: "M",
    9: "G",
    12: "T",
    15: "P",
    18: "E",
}
_BITS_PER_BYTE = 8


def significant(value: float, digits: int = 3) -> str:
    """Round to significant digits, without an exponent; whole numbers keep all their digits.

    >>> significant(0.30149), significant(27.449), significant(1437.4)
    ('0.301', '27.4', '1,437')
    """
    if value == 0 or not math.isfinite(value):
        return f"{value:g}"
    exponent = math.floor(math.log10(abs(float(f"{value:.{digits - 1}e}"))))
    return f"{value:,.{max(0, digits - 1 - exponent)}f}"


def si(value: float, unit: str, digits: int = 3) -> str:
    """Write a quantity in its SI unit, with the prefix that leaves one to three digits before the point.

    value:   in the unit.
    unit:    its symbol; "" for a plain number, which then has the prefix alone.
    digits:  significant ones.

    >>> si(0.0633, "W"), si(999.96e-9, "s"), si(0, "J")
    ('63.3 mW', '1.00 µs', '0 J')
    """
    if value == 0 or not math.isfinite(value):
        return f"{value:g} {unit}".rstrip()
    rounded = abs(float(f"{value:.{digits - 1}e}"))
    power = 3 * math.floor(math.log10(rounded) / 3 + 1e-12)
    power = min(max(power, min(_PREFIXES)), max(_PREFIXES))
    return f"{significant(value / 10.0**power, digits)} {_PREFIXES[power]}{unit}".rstrip()


def power_of_ten(value: float) -> str:
    """Write a large number whose size matters more than its digits.

    >>> power_of_ten(1e11), power_of_ten(1.44e10), power_of_ten(250)
    ('10^11', '1.4 × 10^10', '250')
    """
    if value < 1e6:
        return significant(value)
    digits, _, exponent = f"{value:.1e}".partition("e")
    return f"10^{int(exponent)}" if digits == "1.0" else f"{digits} × 10^{int(exponent)}"


_AGES = {"year": 365 * 86400.0, "month": 30 * 86400.0, "day": 86400.0, "hour": 3600.0, "minute": 60.0, "second": 1.0}


def age(seconds: float) -> str:
    """Write a time as people say it, in the largest unit of which it is at least one.

    >>> age(86400.0), age(7200.0), age(0.0), age(100.4 * 365 * 86400)
    ('1 day', '2 hours', '0 seconds', '100 years')
    """
    unit, size = next(((name, size) for name, size in _AGES.items() if seconds >= size), ("second", 1.0))
    number = significant(seconds / size)
    number = number.rstrip("0").rstrip(".") if "." in number else number
    return f"{number} {unit}{'' if number == '1' else 's'}"


def duration(seconds: float) -> str:
    """Write how long something will take, in the unit that people wait in.

    >>> duration(42.0), duration(95.0), duration(2370.0), duration(9000.0)
    ('42 s', '2 min', '40 min', '2.5 h')
    """
    if seconds < 90:
        return f"{max(seconds, 1.0):.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"


def area(square_metres: float) -> str:
    """Write an area in mm² (one decimal from 100 on), µm² or nm²: prefixes of squares go in steps of a million.

    >>> area(1.354e-09), area(1.6e-13)
    ('0.00135 mm²', '0.160 µm²')
    """
    if square_metres == 0:
        return "0 mm²"
    if square_metres >= 1e-4:
        return f"{square_metres * 1e6:,.1f} mm²"
    if square_metres >= 1e-9:
        return f"{significant(square_metres * 1e6)} mm²"
    if square_metres >= 1e-14:
        return f"{significant(square_metres * 1e12)} µm²"
    return f"{significant(square_metres * 1e18)} nm²"


def percent(fraction: float) -> str:
    """Write a share of one as a percentage with at least two significant digits, and say if it is almost none or all.

    >>> percent(0.0306), percent(0.198618), percent(0.00101), percent(1), percent(1e-6), percent(0.9999)
    ('3.1%', '19.9%', '0.10%', '100%', '<0.01%', '>99.9%')
    """
    hundred = fraction * 100
    if 0 < hundred < 0.01:
        return "<0.01%"
    if 99.95 <= hundred < 100 - 1e-9:
        return ">99.9%"
    if fraction == 0 or round(hundred, 9) == 100:
        return f"{hundred:.0f}%"
    if abs(hundred) >= 1:
        return f"{hundred:.1f}%"
    return f"{significant(hundred, 2)}%"


def tera(value: float, unit: str) -> str:
    """Write a rate in units of 10^12, as accelerators are compared, unless that would be a very small number.

    value:  in the unit. unit: such as OPS or OPS/W.

    >>> tera(2.998e11, "OPS"), tera(2.19e9, "OPS")
    ('0.300 TOPS', '2.19 GOPS')
    """
    if value < 1e10:
        return si(value, unit)
    return f"{significant(value * 1e-12)} T{unit}"


def count(number: float) -> str:
    """Write a whole number with thousands separators."""
    return f"{int(number):,}"


def quantity(value: object, unit: str) -> str:
    """Write a value of the provenance with its unit; "1" is the unit of pure numbers, "b" (bits) is shown as bytes.

    >>> quantity(8e-08, "s"), quantity(3145728, "b"), quantity(0.6, "1"), quantity(True, "1")
    ('80.0 ns', '384 KB', '0.6', 'yes')
    """
    if isinstance(value, bool):
        return "yes" if value else "no"
    if not isinstance(value, int | float):
        return str(value)
    if unit == "1":
        return f"{value:,}" if isinstance(value, int) else f"{value:g}"
    if unit == "m2":
        return area(value)
    if unit == "b":
        return _memory(value)
    return si(value, unit.replace("Ohm", "Ω"))


def _memory(bits: float) -> str:
    """Write a number of bits as bytes, in steps of 1024."""
    amount = bits / _BITS_PER_BYTE
    for name in ("B", "KB", "MB"):
        if amount < 1024:
            return f"{amount:g} {name}"
        amount /= 1024
    return f"{amount:g} GB"
