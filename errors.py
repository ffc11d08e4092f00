"""The one exception that speaks to the user, and the words with which it names what is accepted."""

from __future__ import annotations

from collections.abc import Iterable
from difflib import get_close_matches

_FEW = 8


class InputError(ValueError):
    """What the user gave cannot be used.

    The message is one sentence: where (file and field), what was given, what is accepted.
    The command line prints it and exits with status 2; nothing has been written by then.
    """


def nearest(given: object, accepted: Iterable[object]) -> str:
    """End an error sentence with the accepted name that is most like what was given, and with the accepted names.

    given: what the user wrote; its ``str`` is compared.
    accepted: the names (or members of a `StrEnum`) that would have been right, in any order.
    Returns "; did you mean 'x'? accepted are x, y" or, where no name is close, "; accepted are x, y". More than eight
    names are left out after a close one, and cut to the most similar eight otherwise.
    """
    names = sorted(str(each) for each in accepted)  # so that the sentence is the same in every run, also for a set
    close = get_close_matches(str(given), names, n=1, cutoff=0.5)
    if not close:
        return f"; accepted are {_few(str(given), names)}"
    return f"; did you mean {close[0]!r}?" + (f" accepted are {', '.join(names)}" if len(names) <= _FEW else "")


def _few(given: str, names: list[str]) -> str:
    """All names, or the eight that are most like the given one and how many there are beside them."""
    if len(names) <= _FEW:
        return ", ".join(names)
    alike = get_close_matches(given, names, n=_FEW, cutoff=0.0)
    return f"{', '.join(alike)} and {len(names) - len(alike)} more"
