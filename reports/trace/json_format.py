"""A trace in the JSON trace-event format, which ui.perfetto.dev and chrome://tracing read.

Complete events (``ph: X``) on threads, counters (``C``) on processes, and names for both (``M``). Times are in
microseconds, written with three decimals: the nanoseconds that Perfetto knows.
"""

from __future__ import annotations

import json
from collections.abc import Iterator

from rpusim.reports.trace.lanes import Lanes


def write(lanes: Lanes) -> str:
    """Encode a trace, one event a line."""
    lines = ",\n".join(json.dumps(event, separators=(",", ":")) for event in _events(lanes))
    return f'{{"displayTimeUnit":"ns","traceEvents":[\n{lines}\n]}}\n'


def _events(lanes: Lanes) -> Iterator[dict[str, object]]:
    """Name processes and threads, then give all counters, then all slices."""
    pids = {name: number for number, name in enumerate(lanes.processes, start=1)}
    tids = {station: number for number, station in enumerate(lanes.lanes, start=len(pids) + 1)}
    for name, pid in pids.items():
        yield {"ph": "M", "pid": pid, "name": "process_name", "args": {"name": name}}
        yield {"ph": "M", "pid": pid, "name": "process_sort_index", "args": {"sort_index": pid}}
    for station, lane in lanes.lanes.items():
        where = {"ph": "M", "pid": pids[lane.process], "tid": tids[station]}
        yield {**where, "name": "thread_name", "args": {"name": lane.name}}
        yield {**where, "name": "thread_sort_index", "args": {"sort_index": tids[station]}}
    for counter in lanes.counters:
        unit = counter.name.rpartition("(")[2].rstrip(")")
        for tick, value in lanes.samples(counter):
            place = {"pid": pids[counter.process], "ts": tick / 1000}
            yield {"ph": "C", "name": counter.name, **place, "args": {unit: value}}
    yield from _slices(lanes, pids, tids)


def _slices(lanes: Lanes, pids: dict[str, int], tids: dict[int, int]) -> Iterator[dict[str, object]]:
    """Give every slice as a complete event, lane by lane."""
    trace, (names, which) = lanes.trace, lanes.names
    starts, ends = (lanes.ticks(trace[column]).tolist() for column in ("start", "end"))
    arguments = [
        dict(zip(lanes.arguments, values, strict=True)) for values in zip(*lanes.arguments.values(), strict=True)
    ]
    rows = zip(trace["station"].tolist(), which.tolist(), starts, ends, arguments, strict=True)
    for station, name, start, end, args in rows:
        place = {"pid": pids[lanes.lanes[station].process], "tid": tids[station]}
        yield {"ph": "X", "name": names[name], **place, "ts": start / 1000, "dur": (end - start) / 1000, "args": args}
