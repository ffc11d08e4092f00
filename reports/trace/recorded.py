"""The first events of a run, as a run folder keeps them in events.npz, for drawing what happened when."""

from __future__ import annotations

import math
import struct
import zipfile
import zlib
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rpusim.arch.contract.activity import Phase
from rpusim.arch.engine.events import COLUMNS, Op
from rpusim.errors import InputError
from rpusim.workloads.results.result import Result

FILE = "events.npz"
DETAILS = ("energy", "kept", "converters")
"""Columns that a trace may have besides those of events, see `Analysis.details`."""
MOST_BYTES = 2**30
"""The most memory that the columns of a file may take; a run keeps events of some ten megabytes at most."""
_DAMAGED = (
    ArithmeticError,
    EOFError,
    LookupError,
    MemoryError,
    NotImplementedError,
    OSError,
    RuntimeError,
    SyntaxError,
    TypeError,
    ValueError,
    struct.error,
    zipfile.BadZipFile,
    zlib.error,
)
"""What a damaged archive of arrays makes the libraries that read it raise."""


@dataclass(frozen=True)
class Trace:
    """Events of a run, as columns.

    columns:   those of `rpusim.arch.engine.events`, one entry for each event.
    stations:  names of the stations that the column "station" numbers.
    ops:       names of the operations that the column "op" numbers.
    details:   columns of `DETAILS`, as far as they are known.
    """

    columns: dict[str, NDArray[np.int64]]
    stations: tuple[str, ...]
    ops: tuple[str, ...]
    details: dict[str, NDArray[np.int64]] = field(default_factory=dict)

    def __getitem__(self, column: str) -> NDArray[np.int64]:
        return self.columns[column]

    def __len__(self) -> int:
        return len(self.columns["op"])

    @staticmethod
    def of(result: Result) -> Trace | None:
        """Take the trace that a result carries; None if it has none."""
        if result.trace is None or not len(result.trace):
            return None
        return Trace(result.trace.columns(), result.stations, tuple(op.name for op in Op), result.details)

    @staticmethod
    def read(folder: Path) -> Trace | None:
        """Read the trace in a run folder; None if it has none.

        Raises `InputError` if events.npz is there but holds no events.
        """
        path = folder / FILE
        if not path.exists():
            return None
        try:
            with zipfile.ZipFile(path) as archive:
                stored = {name.removesuffix(".npy"): _array(archive, name) for name in archive.namelist()}
            columns = {name: stored[name] for name in COLUMNS}
            details = {name: stored[name] for name in DETAILS if name in stored}
            trace = Trace(columns, tuple(stored["stations"].tolist()), tuple(stored["ops"].tolist()), details)
            if not trace._is_whole():
                raise ValueError("columns that do not belong together")
        except _DAMAGED:
            raise InputError(f"{path}: cannot be read as events; give a folder that `rpusim run` wrote") from None
        return trace if len(trace) else None

    def _is_whole(self) -> bool:
        """Check that columns are integers, equally long, and name stations and operations which are there."""
        columns = [*self.columns.values(), *self.details.values()]
        shaped = all(c.ndim == 1 and c.dtype.kind == "i" and len(c) == len(self) for c in columns)
        named = (("station", self.stations), ("op", self.ops))
        return shaped and all(((self[key] >= 0) & (self[key] < len(names))).all() for key, names in named)

    def first_sample(self, vectors: list[int]) -> Trace:
        """Choose the events of the first sample alone.

        vectors: number of vectors per sample, of each layer.

        Events do not name their mini-batch: a training's second one begins with the first forward event of the first
        layer, for its first sample, that comes after an update.
        """
        mine = self["vector"] < np.asarray(vectors)[self["layer"]]
        updates = self["phase"] == Phase.UPDATE
        if updates.any():
            again = mine & (self["layer"] == 0) & (self["phase"] == Phase.FORWARD)
            again &= self["start"] >= self["start"][updates].min()
            if again.any():
                mine &= self["start"] < self["start"][again].min()
        return self.of_rows(mine)

    def of_rows(self, chosen: NDArray[np.bool_]) -> Trace:
        """Choose some of the events; chosen: (events,) whether each is."""
        columns, details = (
            {name: column[chosen] for name, column in of.items()} for of in (self.columns, self.details)
        )
        return Trace(columns, self.stations, self.ops, details)


def _array(archive: zipfile.ZipFile, name: str) -> NDArray[Any]:
    """Read one array of an archive; ValueError if its header claims another size than the archive has for it."""
    total = sum(entry.file_size for entry in archive.infolist())
    if total > MOST_BYTES:
        raise ValueError(f"{total} bytes")
    with archive.open(name) as stream:
        version = np.lib.format.read_magic(stream)
        read_header = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
        shape, by_column, dtype = read_header(stream)
        if dtype.hasobject or by_column:
            raise ValueError("not a column of numbers or names")
        content = stream.read()
    if len(content) != math.prod(shape) * dtype.itemsize:
        raise ValueError("a header that claims another size")
    return np.frombuffer(content, dtype).reshape(shape)
