"""`rpusim trace`: which format, where to, and written whole or not at all."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from rpusim.arch.activity import Phase
from rpusim.errors import InputError
from rpusim.reports.trace import Trace
from rpusim.reports.trace_lanes import Lanes, Window

JSON, PROTOBUF = ".json", ".pftrace"
MOST_IN_JSON = 100_000
"""Slices; of more, protobuf is written where the name of the file does not say otherwise."""


def lanes_of(
    trace: Trace | None, document: dict[str, Any], window: str | None = None, stretched: bool = False
) -> Lanes:
    """What is shown of the trace of a result."""
    if trace is None:
        raise InputError("the run has no events to show")
    layers = [layer["name"] for layer in document["layers"]]
    within = ((trace["layer"], len(layers)), (trace["phase"], len(Phase)))
    if any(column.min() < 0 or column.max() >= number for column, number in within):
        raise InputError("the events are of another network than the result beside them; give a whole run folder")
    standby = document.get("analysis", {}).get("power", {}).get("standby_W", 0.0)
    return Lanes(trace, layers, standby, Window.parse(window) if window else Window(), stretched)


def check_suffix(path: Path | None) -> None:
    """A file's name has to say which format it is in."""
    if path is not None and path.suffix not in (JSON, PROTOBUF):
        raise InputError(f"--out: got {str(path)!r}, but a file that ends in {JSON} or {PROTOBUF} is needed")


def write(lanes: Lanes, path: Path | None, beside: Path) -> Path:
    """Write to ``path``; if not given, to trace.json or trace.pftrace in the folder ``beside``. Returns where."""
    if path is None:
        path = beside / f"trace{JSON if len(lanes) <= MOST_IN_JSON else PROTOBUF}"
    check_suffix(path)
    _replace(path, _content(lanes, path.suffix))
    return path


def _content(lanes: Lanes, suffix: str) -> bytes:
    from rpusim.reports import trace_json, trace_protobuf

    return trace_json.write(lanes).encode() if suffix == JSON else trace_protobuf.write(lanes)


def _replace(path: Path, content: bytes) -> None:
    fresh = path.with_name(f".{path.name}-{os.getpid()}")
    try:
        fresh.write_bytes(content)
        os.replace(fresh, path)
    except OSError as error:
        raise InputError(
            f"{path}: cannot be written ({error.strerror or error}); a writable folder is needed"
        ) from None
    finally:
        fresh.unlink(missing_ok=True)


def summary(lanes: Lanes, path: Path) -> Sequence[tuple[str, str]]:
    """What was written, in a few words."""
    from rpusim.reports import format as f

    trace = lanes.trace
    begin, end = (int(trace[column].min() if column == "start" else trace[column].max()) for column in ("start", "end"))
    return [
        ("file", str(path)),
        ("slices", f.count(len(lanes))),
        ("lanes", f"{f.count(len(lanes.lanes))} units"),
        ("counters", f.count(len(lanes.counters))),
        ("from", f"{f.si(begin * 1e-12, 's')} to {f.si(end * 1e-12, 's')}"),
    ]
