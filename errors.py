"""The one exception that speaks to the user, and the words with which it names what is accepted."""

from __future__ import annotations

import reprlib
from collections.abc import Iterable, Mapping
from difflib import get_close_matches

_FEW = 8


class InputError(ValueError):
    """What the user gave cannot be used.

    The message is one sentence: where (file and field), what was given, what is accepted.
    The command line prints it and exits with status 2; nothing has been written by then.
    """


class Notice(UserWarning):
    """Something that the user should know, though the work goes on; the command line prints it as one sentence."""


def nearest(given: object, accepted: Iterable[object]) -> str:
    """End an error sentence with the accepted name that is most like what was given, and with the accepted names.

    given: what the user wrote; its ``str`` is compared.
    accepted: the names (or members of a `StrEnum`) that would have been right, in any order.
    A name that begins with what was given is closer than any other. Returns "; did you mean 'x'? accepted are x, y" or,
    where no name is close, "; accepted are x, y". More than eight names are left out after a close one, and cut to the
    most similar eight otherwise.
    """
    names = sorted(str(each) for each in accepted)  # so that the sentence is the same in every run, also for a set
    begun = sorted((name for name in names if str(given) and name.startswith(str(given))), key=len)
    close = begun[:1] or get_close_matches(str(given), names, n=1, cutoff=0.5)
    if not close:
        return f"; accepted are {_few(str(given), names)}"
    return f"; did you mean {close[0]!r}?" + (f" accepted are {', '.join(names)}" if len(names) <= _FEW else "")


def _few(given: str, names: list[str]) -> str:
    """All names, or the eight that are most like the given one and how many there are beside them."""
    if len(names) <= _FEW:
        return ", ".join(names)
    alike = get_close_matches(given, names, n=_FEW, cutoff=0.0)
    return f"{', '.join(alike)} and {len(names) - len(alike)} more"


def shown(given: object, most: int = 120) -> str:
    """Put what was given on one line of at most ``most`` characters (and their number), for a sentence."""
    words = given if isinstance(given, str) else written(given)
    length, words = len(words), words[: 4 * most]
    words = "".join(c if c.isprintable() else repr(c)[1:-1] for c in words)
    return words if len(words) <= most else f"{words[: most - 20]}... ({length} characters)"


def written(given: object) -> str:
    """Return the ``repr`` of what was given; an abridged one of what is large, which would take time and memory."""
    if _size(given) > _LARGE:
        return _ABRIDGED.repr(given)
    return repr(given)


_LARGE, _LEVELS = 20_000, 30


class _Abridged(reprlib.Repr):
    """Write only the beginning of what is large."""

    def repr_int(self, x: int, level: int) -> str:
        """Write an integer, or how long it is where Python would refuse to write it."""
        return repr(x) if x.bit_length() < 1000 else f"an integer of {x.bit_length()} bits"


_ABRIDGED = _Abridged()


def _size(given: object, most: int = _LARGE, level: int = 0) -> int:
    """Estimate the characters of a value, up to somewhat more than ``most``: counting ends there."""
    if isinstance(given, str | bytes):
        return len(given) + 2
    if isinstance(given, int):
        return given.bit_length() // 3 if given.bit_length() < 10_000 else most + 1  # Python writes no longer ones
    if isinstance(given, Mapping | list | tuple | set | frozenset):
        if level > _LEVELS:
            return most + 1
        total = 2
        for one in given.items() if isinstance(given, Mapping) else given:
            total += _size(one, most - total, level + 1)
            if total > most:
                break
        return total
    return 10
