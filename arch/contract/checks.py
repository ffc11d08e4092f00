"""Check what the user gives; a failure is one sentence: the field, the value given, what is accepted.

Each function returns None where the value is good and raises `InputError` where it is not; ``field`` is the name that
the user knows the value by, and begins the sentence.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from enum import StrEnum
from typing import Any, TypeVar

from rpusim.errors import InputError, nearest, shown, written

Choice = TypeVar("Choice", bound=StrEnum)


def choose(kind: type[Choice], field: str, given: object) -> Choice:
    """Return the member of the enumeration ``kind`` that ``given`` (a member or its name) stands for."""
    try:
        return kind(str(given))
    except ValueError:
        raise InputError(f"{field}: {shown(written(given))} is unknown{nearest(given, kind)}") from None


def one_of(field: str, given: str, accepted: Iterable[str]) -> None:
    """Require one of the words in ``accepted``."""
    if given not in accepted:
        raise InputError(f"{field}: {shown(written(given))} was given{nearest(given, accepted)}")


MOST = 1e12
"""The largest number of any field that does not state another limit; its square is far from the end of float32."""
LEAST = 1e-20
"""The smallest number of any field that has to be above 0."""
MOST_COUNTED = 10**9
"""The largest integer of any field that does not state another limit."""


def number(
    field: str, given: object, *, low: float = -math.inf, high: float = math.inf, above: float | None = None
) -> None:
    """Require a finite number from ``low`` to ``high``, both included, and greater than ``above`` if that is given.

    Without limits of its own a number is still at most `MOST`, either way, and one above 0 is at least `LEAST`.
    """
    if above is not None:
        accepted = f"a number > {above:g}" + ("" if high == math.inf else f" and <= {high:g}")
    elif low == -math.inf and high == math.inf:
        accepted = "a finite number"
    elif high == math.inf:
        accepted = f"a number >= {low:g}"
    elif low == -math.inf:
        accepted = f"a number <= {high:g}"
    else:
        accepted = f"a number from {low:g} to {high:g}"
    if (
        not isinstance(given, int | float)
        or isinstance(given, bool)
        or not low <= given <= high
        or not math.isfinite(given if isinstance(given, float) else 0)
        or (above is not None and given <= above)
    ):
        raise InputError(f"{field}: {shown(written(given))} was given; accepted is {accepted}")
    if not max(low, -MOST) <= given <= (MOST if high == math.inf else high):
        raise InputError(
            f"{field}: {shown(written(given))} was given; accepted is {accepted}, and at most {MOST:g} either way"
        )
    if above == 0 and given < LEAST:
        raise InputError(f"{field}: {shown(written(given))} was given; accepted is {accepted}, and at least {LEAST:g}")


def integer(field: str, given: object, *, low: int, high: int = MOST_COUNTED) -> None:
    """Require an integer (True and False are none) from ``low`` to ``high``."""
    if not isinstance(given, int) or isinstance(given, bool) or given < low:
        raise InputError(f"{field}: {shown(written(given))} was given; accepted is an integer >= {low}")
    if given > high:
        raise InputError(f"{field}: {shown(written(given))} was given; accepted is an integer from {low} to {high}")


def flag(field: str, given: object) -> None:
    """Require True or False."""
    if not isinstance(given, bool):
        raise InputError(f"{field}: {shown(written(given))} was given; accepted are True and False")


def instance(field: str, given: object, kind: type[Any]) -> None:
    """Require an object of the class ``kind``."""
    if not isinstance(given, kind):
        raise InputError(f"{field}: {shown(written(given))} was given; accepted is a {kind.__name__}")
