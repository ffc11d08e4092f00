"""Checks of what the user gives; a failure is one sentence: the field, the value given, what is accepted."""

from __future__ import annotations

import difflib
import math
from collections.abc import Iterable
from enum import StrEnum
from typing import Any, TypeVar

from rpusim.errors import InputError, few

Choice = TypeVar("Choice", bound=StrEnum)


def nearest(name: object, known: Iterable[str]) -> str:
    """The accepted names as a half sentence, led by the most similar one: ``did you mean 'x'? accepted are x, y``."""
    names = sorted(str(each) for each in known)
    accepted = few(str(name), names)
    similar = difflib.get_close_matches(str(name), names, n=1, cutoff=0.4)
    hint = f"did you mean {similar[0]!r}? " if similar else ""
    return f"{hint}accepted are {accepted}"


def choose(kind: type[Choice], field: str, given: object) -> Choice:
    """The member of ``kind`` that ``given`` (a member or its name) stands for."""
    try:
        return kind(str(given))
    except ValueError:
        raise InputError(f"{field}: {given!r} is unknown; {nearest(given, list(kind))}") from None


def one_of(field: str, given: str, accepted: Iterable[str]) -> None:
    """Require one of some words."""
    if given not in accepted:
        raise InputError(f"{field}: {given!r} was given; {nearest(given, accepted)}")


def number(
    field: str, given: object, *, low: float = -math.inf, high: float = math.inf, above: float | None = None
) -> None:
    """Require a finite number within [low, high], and greater than ``above`` if that is given."""
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
    good = isinstance(given, int | float) and not isinstance(given, bool) and math.isfinite(given)
    if not good or not low <= given <= high or (above is not None and not given > above):  # type: ignore[operator]
        raise InputError(f"{field}: {given!r} was given; accepted is {accepted}")


def integer(field: str, given: object, *, low: int) -> None:
    """Require an integer of at least ``low``."""
    if not isinstance(given, int) or isinstance(given, bool) or given < low:
        raise InputError(f"{field}: {given!r} was given; accepted is an integer >= {low}")


def flag(field: str, given: object) -> None:
    """Require True or False."""
    if not isinstance(given, bool):
        raise InputError(f"{field}: {given!r} was given; accepted are True and False")


def instance(field: str, given: object, kind: type[Any]) -> None:
    """Require an object of a class."""
    if not isinstance(given, kind):
        raise InputError(f"{field}: {given!r} was given; accepted is a {kind.__name__}")
