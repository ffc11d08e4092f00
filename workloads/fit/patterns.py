"""Which pulses go up and which down, where a file does not say: ``up:200,down:200,skip:400,alternate:100``."""

from __future__ import annotations

import re

from rpusim.errors import InputError, shown

_PART = re.compile(r"(up|down|skip|alternate):([1-9][0-9]{0,6})")
_SIGNS = {"up": (1,), "down": (-1,), "skip": (0,), "alternate": (1, -1)}


def signs(given: str) -> list[int]:
    """Read a pattern: 1 for every up pulse, -1 for every down pulse, 0 for what is skipped.

    given: parts ``WHAT:NUMBER`` with commas between, of up, down, skip (pulses that are not for this device) and
           alternate (up, down, up ...). Raises InputError for anything else.

    >>> signs("up:2,alternate:3,skip:1")
    [1, 1, 1, -1, 1, 0]
    """
    found: list[int] = []
    for part in given.split(","):
        match = _PART.fullmatch(part.strip())
        if match is None:
            raise InputError(
                f"--pattern: got {shown(repr(part))}, accepted: parts up:N, down:N, skip:N and alternate:N with commas "
                "between, such as up:200,down:200"
            )
        of, number = _SIGNS[match[1]], int(match[2])
        found += [of[place % len(of)] for place in range(number)]
    if not any(found):
        raise InputError(f"--pattern: {shown(given)} has no pulse, accepted: at least one part up:N or down:N")
    return found


def read(given: tuple[str, ...]) -> dict[str, list[int]]:
    """Read the patterns of a command line: ``PATTERN`` for all columns, ``DEVICE=PATTERN`` for one.

    Returns signs by device, "" for all others. Raises InputError for what is no pattern, or comes twice.
    """
    found: dict[str, list[int]] = {}
    for one in given:
        device, equals, pattern = one.rpartition("=")
        if device in found:
            raise InputError(f"--pattern: {shown(device) if equals else 'all devices'} got two, accepted: one")
        found[device] = signs(pattern)
    return found
