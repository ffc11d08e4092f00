"""The result of a run as a value: one document, from which every table, page and file is only a view."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from rpusim.arch.engine.events import Events

SCHEMA = "rpusim-result-1"
"""The version of a document's keys; `rpusim schema result` prints them."""

VIEWS: dict[str, Callable[[dict[str, Any]], str]] = {}
"""How a document is shown, by kind of text (``text/html``); `rpusim.reports` fills it, as nothing here knows looks."""


@dataclass(frozen=True, repr=False)
class Result:
    """A run's document, and the beginning of its schedule as events.

    document:  what result.json holds: plain numbers, words, lists and dictionaries; quantities in SI units.
    trace:     the first events of the run, times in picoseconds; None if nothing was timed.
    stations:  names of the units that the events' station numbers stand for.
    details:   for every event of the trace, further columns by name (see `Analysis.details`).

    ``result["time"]`` is short for ``result.document["time"]``. Infinities and NaN (a device may be ideal) become the
    words "inf", "-inf" and "nan", as JSON has no numbers for them.
    """

    document: dict[str, Any]
    trace: Events | None
    stations: tuple[str, ...]
    details: dict[str, np.ndarray] = field(default_factory=dict)

    def __post_init__(self) -> None:
        object.__setattr__(self, "document", _finite(self.document))

    def __getitem__(self, key: str) -> Any:
        """Return one part of the document, such as ``result["energy"]``."""
        return self.document[key]

    def __repr__(self) -> str:
        return f"<Result: {self.document.get('network')} on {self.document.get('chip')}>"

    def _repr_html_(self) -> str | None:
        """Return what a notebook shows, if a view for it has been loaded."""
        view = VIEWS.get("text/html")
        return view(self.document) if view else None


def _finite(value: Any) -> Any:
    """Return the same document with infinities and NaN as words."""
    if isinstance(value, dict):
        return {key: _finite(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(item) for item in value]
    return str(value) if isinstance(value, float) and not math.isfinite(value) else value
