"""The result of a run as a value: one document, from which every table, page and file is only a view."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from importlib import import_module
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any

import numpy as np
import yaml

from rpusim.arch.engine.events import Events
from rpusim.errors import InputError, nearest
from rpusim.workloads.results import files

if TYPE_CHECKING:
    import pandas

SCHEMA = "rpusim-result-1"
"""The version of a document's keys; `rpusim schema result` prints them."""

VIEWS: dict[str, Callable[[dict[str, Any]], str]] = {}
"""How a document is shown, by kind: headline figures as ``text/plain`` and ``text/html``, all that fits a screen as
``screen``, the main drawing as ``image/svg+xml``. `rpusim.reports` fills it, as nothing here knows looks."""


class Part(dict[str, Any]):
    """A part of a document: a dictionary whose entries are attributes as well, as in ``result.time.per_sample_s``.

    Methods of dictionaries come first: an entry ``items`` would be ``part["items"]`` only. An entry that there is not
    is a KeyError, or as an attribute an AttributeError, which names the nearest.
    """

    def __getattr__(self, name: str) -> Any:
        if name in self:
            return self[name]
        raise AttributeError(f"no {name!r} here{nearest(name, self)}")

    def __missing__(self, key: object) -> Any:
        raise KeyError(f"no {key!r} here{nearest(str(key), self)}")

    def __dir__(self) -> list[str]:
        return [*super().__dir__(), *(key for key in self if key.isidentifier())]


for _dumper in (yaml.SafeDumper, yaml.Dumper):
    _dumper.add_representer(Part, _dumper.represent_dict)


@dataclass(frozen=True, repr=False)
class Drawing:
    """A drawing of a result, which a notebook shows; `save` writes it. svg: the text of an SVG file."""

    svg: str

    def __repr__(self) -> str:
        return f"<Drawing: {len(self.svg)} characters of SVG; .save(file) writes it>"

    def save(self, path: str | Path) -> None:
        """Write the drawing to a file, such as curve.svg; InputError if it cannot be written."""
        files.replace(Path(path), self.svg)

    def _repr_svg_(self) -> str:
        return self.svg


class Documented(Mapping[str, Any]):
    """What is a view of a document: a mapping, read-only, of its parts."""

    document: dict[str, Any]

    def __getitem__(self, key: str) -> Any:
        """Return one part of the document, such as ``result["energy"]``; KeyError if there is none of this name."""
        return self.document[key]

    def __iter__(self) -> Iterator[str]:
        """Go through the names of the document's parts."""
        return iter(self.document)

    def __len__(self) -> int:
        """Return how many parts the document has."""
        return len(self.document)


def pandas_for(caller: str) -> ModuleType:
    """Import pandas; InputError, which begins with the caller, if it is not installed."""
    try:
        return import_module("pandas")
    except ImportError:
        raise InputError(f"{caller}: pandas is not installed; run pip install 'rpusim[study]'") from None


@dataclass(frozen=True, repr=False, eq=False)
class Result(Documented):
    """A run's document, and the beginning of its schedule as events.

    document:  what result.json holds: plain numbers, words, lists and dictionaries; quantities in SI units.
    trace:     the first events of the run, times in picoseconds; None if nothing was timed.
    stations:  names of the units that the events' station numbers stand for.
    details:   for every event of the trace, further columns by name (see `Analysis.details`).

    A result is a mapping, read-only, of the document's parts: ``result["time"]``, ``"time" in result``, ``len``,
    ``keys``, ``items`` and ``get`` are those of the document, and two results are equal if their documents are. Parts
    and what is in them are attributes as well: ``result.time.per_sample_s``. ``print`` shows the headline figures.
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
        accuracy = self.document.get("accuracy", {})
        rows = accuracy.get("curve") or accuracy.get("aging") or self.document["energy"]["matrix"]
        table: pandas.DataFrame = pandas_for("to_dataframe").DataFrame(rows)
        return table

    def __post_init__(self) -> None:
        object.__setattr__(self, "document", finite(self.document))

    def summary(self) -> str:
        """Return what `rpusim run` shows: headline figures, where energy and area go, what sets the pace."""
        return view("screen", self.document)

    def plot(self, what: str = "") -> Drawing:
        """Draw the learning curve, the curve after programming, or else energy by part.

        what: "causes" draws where accuracy is lost, "layers" the layers' signal to noise, of a run with ``waterfall``.

        Raises InputError for another word, or if there is no ``waterfall``.
        """
        if not what:
            return Drawing(view("image/svg+xml", self.document))
        if what not in ("causes", "layers") or "waterfall" not in self.document:
            raise InputError(f"plot: got {what!r}; accepted: nothing; of a run with a waterfall, causes or layers, too")
        return Drawing(view(f"waterfall image/svg+xml {what}", self.document["waterfall"]))

    def __getattr__(self, name: str) -> Any:
        if name in self.__dict__.get("document", ()):
            return self.document[name]
        raise AttributeError(f"a result has no {name!r}{nearest(name, self.__dict__.get('document', ()))}")

    def __repr__(self) -> str:
        return f"<Result: {self.document.get('network')} on {self.document.get('chip')}>"

    def __str__(self) -> str:
        return view("text/plain", self.document) if VIEWS else repr(self)

    def __dir__(self) -> list[str]:
        return [*super().__dir__(), *self.document]

    def _repr_html_(self) -> str | None:
        """Return what a notebook shows, if a view for it has been loaded: a table, and a drawing."""
        return view("text/html", self.document) if VIEWS else None


def view(kind: str, document: dict[str, Any]) -> str:
    """Show a document in a way of `VIEWS`; InputError if what shows it so was not imported."""
    if kind not in VIEWS:
        raise InputError(f"nothing that shows results as {kind} is loaded; import rpusim.reports.page.views")
    return VIEWS[kind](document)


def text(words: str) -> str:
    """Return words that can be written as UTF-8: bytes of a file's name that are not become escapes such as \\udce9."""
    return words.encode("utf-8", "backslashreplace").decode()


def finite(value: Any) -> Any:
    """Return the same document with infinities and NaN as words, and words as text."""
    if isinstance(value, dict):
        return Part({finite(key): finite(item) for key, item in value.items()})
    if isinstance(value, str):
        return text(value)
    if isinstance(value, list | tuple):
        return [finite(item) for item in value]
    return str(value) if isinstance(value, float) and not math.isfinite(value) else value
