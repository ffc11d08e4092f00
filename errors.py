"""The one exception that speaks to the user, and the words it uses."""

from __future__ import annotations

from collections.abc import Iterable
from difflib import get_close_matches

_FEW = 8


class InputError(ValueError):
    """What the user gave cannot be used.

    The message is one sentence: where (file and field), what was given, what is accepted.
    The command line prints it and exits with status 2; nothing has been written by then.
    """


def nearest(given: str, accepted: Iterable[str]) -> str:
    """The end of an error sentence: "; did you mean 'x'?" where a name is close, and the accepted names if few."""
    accepted = list(accepted)
    close = get_close_matches(given, accepted, n=1, cutoff=0.5)
    if not close:
        return f"; accepted: {few(given, accepted)}"
    return f"; did you mean {close[0]!r}?" + (f" (accepted: {few(given, accepted)})" if len(accepted) <= _FEW else "")


def few(given: str, accepted: list[str]) -> str:
    """The accepted names, or of many those that are most like the given one."""
    if len(accepted) <= _FEW:
        return ", ".join(accepted)
    alike = get_close_matches(given, accepted, n=_FEW, cutoff=0.0)
    return f"{', '.join(alike)} and {len(accepted) - len(alike)} more"
