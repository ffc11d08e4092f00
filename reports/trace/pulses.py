"""Pulses as a table in a file, CSV or Parquet: one line for each pulse of a cell, for testers and for replay."""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rpusim.arch.contract.activity import Phase
from rpusim.errors import InputError, nearest, shown
from rpusim.reports.words.readable import count, si
from rpusim.workloads.results import files

CSV, PARQUET = ".csv", ".parquet"
NUMBERS = ("tile", "array", "row", "column")
"""Columns that name a place within a layer, in the order in which `chosen` takes them."""
COLUMNS = (
    *("time_ps", "layer", *NUMBERS, "polarity", "cause"),
    *("mini_batch", "sample", "vector", "slot"),
)
"""Columns of the file, in order; see docs/trace.md."""


def chosen(columns: Mapping[str, NDArray[np.int64]], layers: Sequence[str], only: str | None) -> NDArray[np.bool_]:
    """Choose the pulses of a layer, a tile, an array or a cell.

    columns: of pulses. layers: names. only: LAYER, LAYER/TILE, LAYER/TILE/ARRAY or LAYER/TILE/ARRAY/ROW,COLUMN; None:
    all.

    Returns (pulses,) which are chosen. Raises `InputError` if there is no such layer, or a place is no number.
    """
    found = np.ones(len(columns["time_ps"]), np.bool_)
    if only is None:
        return found
    name = next((each for each in sorted(layers, key=len, reverse=True) if f"{only}/".startswith(f"{each}/")), None)
    if name is None:
        raise InputError(
            f"--only: got {shown(repr(only))}, whose layer is none{nearest(only.partition('/')[0], layers)}"
        )
    found &= columns["layer"] == layers.index(name)
    place = only[len(name) + 1 :].replace(",", "/")
    parts = place.split("/") if place else []
    if len(parts) not in (0, 1, 2, 4) or not all(part.isdecimal() and len(part) < 10 for part in parts):
        raise InputError(
            f"--only: got {shown(repr(only))}; accepted are LAYER, LAYER/TILE, LAYER/TILE/ARRAY and "
            "LAYER/TILE/ARRAY/ROW,COLUMN with numbers from 0"
        )
    for column, part in zip(NUMBERS, parts, strict=False):
        found &= columns[column] == int(part)
    return found


def table(columns: Mapping[str, NDArray[np.int64]], layers: Sequence[str]) -> dict[str, NDArray[Any]]:
    """Write pulses as the file has them: names in place of the numbers of layers, polarities and causes."""
    said: dict[str, NDArray[Any]] = {
        "layer": np.array(layers)[columns["layer"]],
        "polarity": np.array(["down", "up"])[columns["up"]],
        "cause": np.array([phase.name.lower() for phase in Phase])[columns["cause"]],
    }
    return {name: said.get(name, columns.get(name, np.zeros(0))) for name in COLUMNS}


def check(path: Path | None) -> None:
    """Refuse the name of a file that ends in anything but .csv or .parquet, or that needs what is not there."""
    suffix = CSV if path is None else path.suffix
    if suffix not in (CSV, PARQUET):
        raise InputError(f"--out: got {str(path)!r}, but a file that ends in {CSV} or {PARQUET} is needed")
    if suffix == PARQUET:
        _pyarrow()


def write(of: Mapping[str, NDArray[Any]], path: Path) -> None:
    """Write a `table` to a file, whole or not at all; its format follows from the ending of its name."""
    if path.suffix == PARQUET:
        content = io.BytesIO()
        arrow, parquet = _pyarrow()
        parquet.write_table(arrow.table(dict(of)), content)
        files.replace(path, content.getvalue())
        return
    columns = [column.astype(str).tolist() for column in of.values()]
    files.replace(path, "\n".join([",".join(of), *map(",".join, zip(*columns, strict=True)), ""]))


def _pyarrow() -> tuple[Any, Any]:
    try:
        import pyarrow
        from pyarrow import parquet
    except ImportError:
        raise InputError(
            "--out: Parquet needs pyarrow, which is not installed (pip install 'rpusim[parquet]'); accepted without "
            f"it: a file that ends in {CSV}"
        ) from None
    return pyarrow, parquet


def summary(columns: Mapping[str, NDArray[np.int64]], samples: int, time_ps: int, path: Path) -> dict[str, Any]:
    """Describe what was written: pulses by cause, samples and the time (s) that they took."""
    causes = {phase.name.lower(): int(np.sum(columns["cause"] == phase)) for phase in Phase}
    return {
        "file": str(path),
        "pulses": len(columns["cause"]),
        "causes": {name: number for name, number in causes.items() if number},
        "samples": samples,
        "seconds": time_ps * 1e-12,
    }


def sentence(written: dict[str, Any]) -> str:
    """Say in words what `summary` holds."""
    causes = ", ".join(f"{count(number)} of {name}" for name, number in written["causes"].items())
    return (
        f"{count(written['pulses'])} pulses{f' ({causes})' * bool(causes)} of {count(written['samples'])} "
        f"sample{'s' * (written['samples'] != 1)} in "
        f"{si(written['seconds'], 's')}\n\n{written['file']}"
    )
