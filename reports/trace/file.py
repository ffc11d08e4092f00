"""The file of a trace: its format follows from its name or its size, and it is written whole or not at all."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from rpusim.arch.contract.activity import Phase
from rpusim.errors import InputError
from rpusim.reports.trace.lanes import ALL, Lanes, Window
from rpusim.reports.trace.recorded import Trace
from rpusim.reports.words.readable import count, si
from rpusim.workloads.results import files

JSON, PROTOBUF = ".json", ".pftrace"
MOST_IN_JSON = 100_000
"""The most slices that are written as JSON where the name of the file does not say so; more become protobuf."""


def lanes_of(trace: Trace | None, document: dict[str, Any], window: Window = ALL, stretched: bool = False) -> Lanes:
    """Choose what is shown of the trace of a result.

    trace:      its events.
    document:   what result.json holds, whose layers the events name.
    window:     the part of the time that is shown.
    stretched:  whether a picosecond is shown as a nanosecond.

    Raises `InputError` if there are no events, or if they are of another network.
    """
    if trace is None:
        raise InputError("the run has no events to show")
    layers = [layer["name"] for layer in document["layers"]]
    within = ((trace["layer"], len(layers)), (trace["phase"], len(Phase)))
    if any(column.min() < 0 or column.max() >= number for column, number in within):
        raise InputError("the events are of another network than the result beside them; give a whole run folder")
    standby = document.get("analysis", {}).get("power", {}).get("standby_W", 0.0)
    return Lanes(trace, layers, standby, window, stretched)


def window_of(given: str | None) -> Window:
    """Read the value of `--window`; None, where it was not given, is all of the time."""
    return ALL if given is None else Window.parse(given)


def check_suffix(path: Path | None) -> None:
    """Refuse the name of a file that ends in anything but .json or .pftrace; it may have no ending."""
    if path is not None and path.suffix not in ("", JSON, PROTOBUF):
        raise InputError(f"--out: got {str(path)!r}, but a file that ends in {JSON} or {PROTOBUF} is needed")


def write(lanes: Lanes, path: Path) -> Path:
    """Write a trace to a file, whose name gets an ending if it has none; a device or a pipe gets JSON.

    Returns the path with its ending.
    """
    check_suffix(path)
    if path.name and not path.suffix and not files.is_special(path):
        path = path.with_suffix(JSON if len(lanes) <= MOST_IN_JSON else PROTOBUF)
    files.replace(path, _content(lanes, path.suffix or JSON))
    return path


def _content(lanes: Lanes, suffix: str) -> bytes:
    """Encode a trace in the format that the ending names."""
    from rpusim.reports.trace import json_format, protobuf

    return json_format.write(lanes).encode() if suffix == JSON else protobuf.write(lanes)


def summary(lanes: Lanes, path: Path) -> dict[str, Any]:
    """Describe what was written to a file: numbers of slices, lanes and counters, and the time that they cover (s)."""
    begin, end = int(lanes.trace["start"].min()), int(lanes.trace["end"].max())
    return {
        "file": str(path),
        "slices": len(lanes),
        "lanes": len(lanes.lanes),
        "counters": len(lanes.counters),
        "from_s": begin * 1e-12,
        "to_s": end * 1e-12,
    }


def sentence(written: dict[str, Any]) -> str:
    """Say in words what `summary` holds."""
    return (
        f"{count(written['slices'])} slices of {count(written['lanes'])} units and {written['counters']} counters, "
        f"{si(written['from_s'], 's')} to {si(written['to_s'], 's')}\n\n{written['file']}"
    )
