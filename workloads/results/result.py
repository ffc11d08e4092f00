"""The result of a run as a value: one document, from which every table, page and file is only a view."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from rpusim.arch.engine.events import Events
from rpusim.errors import InputError

if TYPE_CHECKING:
    import pandas

SCHEMA = "rpusim-result-1"
"""The version of a document's keys; `rpusim schema result` prints them."""

VIEWS: dict[str, Callable[[dict[str, Any]], str]] = {}
"""How a document is shown, by kind of text (``text/html``); `rpusim.reports` fills it, as nothing here knows looks."""


@dataclass(frozen=True, repr=False, eq=False)
class Result(Mapping[str, Any]):
    """A run's document, and the beginning of its schedule as events.

    document:  what result.json holds: plain numbers, words, lists and dictionaries; quantities in SI units.
    trace:     the first events of the run, times in picoseconds; None if nothing was timed.
    stations:  names of the units that the events' station numbers stand for.
    details:   for every event of the trace, further columns by name (see `Analysis.details`).

    A result is a mapping, read-only, of the document's parts: ``result["time"]``, ``"time" in result``, ``len``,
    ``keys``, ``items`` and ``get`` are those of the document, and two results are equal if their documents are.
    Infinities and NaN (a device may be ideal) become the words "inf", "-inf" and "nan", as JSON has no numbers for
    them; bytes of a file's name that are not text become escapes such as \\udce9.
    """

    document: dict[str, Any]
    trace: Events | None
    stations: tuple[str, ...]
    details: dict[str, np.ndarray] = field(default_factory=dict)

    def to_dataframe(self) -> pandas.DataFrame:
        """Return a pandas table: of what was trained a row for each epoch, of what was programmed one for each time.

        Where nothing was computed: energy by part, phase and layer, largest first. Quantities are in SI units. Raises
        InputError if pandas is not installed.
        """
        try:
            import pandas
        except ImportError:
            raise InputError("to_dataframe: pandas is not installed; run pip install 'rpusim[study]'") from None
        accuracy = self.document.get("accuracy", {})
        rows = accuracy.get("curve") or accuracy.get("aging") or self.document["energy"]["matrix"]
        return pandas.DataFrame(rows)

    def __post_init__(self) -> None:
        object.__setattr__(self, "document", _finite(self.document))

    def __getitem__(self, key: str) -> Any:
        """Return one part of the document, such as ``result["energy"]``; KeyError if there is none of this name."""
        return self.document[key]

    def __iter__(self) -> Iterator[str]:
        """Go through the names of the document's parts."""
        return iter(self.document)

    def __len__(self) -> int:
        """Return how many parts the document has."""
        return len(self.document)

    def __repr__(self) -> str:
        return f"<Result: {self.document.get('network')} on {self.document.get('chip')}>"

    def _repr_html_(self) -> str | None:
        """Return what a notebook shows, if a view for it has been loaded."""
        view = VIEWS.get("text/html")
        return view(self.document) if view else None


def text(words: str) -> str:
    """Return words that can be written as UTF-8: bytes of a file's name that are not become escapes such as \\udce9."""
    return words.encode("utf-8", "backslashreplace").decode()


def _finite(value: Any) -> Any:
    """Return the same document with infinities and NaN as words, and words as text."""
    if isinstance(value, dict):
        return {_finite(key): _finite(item) for key, item in value.items()}
    if isinstance(value, str):
        return text(value)
    if isinstance(value, list | tuple):
        return [_finite(item) for item in value]
    return str(value) if isinstance(value, float) and not math.isfinite(value) else value
