"""The other drawings of a report: timeline, power, wear, and blocks on their arrays. Colours come from the CSS."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np

from rpusim.arch.contract.activity import Phase
from rpusim.reports.page.svg import WIDTH, drawing, element, path, text, tip
from rpusim.reports.trace.recorded import Trace
from rpusim.reports.words import figures
from rpusim.reports.words.figures import Document
from rpusim.reports.words.readable import count, percent, si

_LEFT = 58.0
_LANE, _NAMES = 17.0, 215.0
_LETTERS = 36
"""The longest name of a lane that fits beside it."""
_GAP = 1.0
"""Pixels between two bars below which they are one."""
_POWER_HEIGHT = 150.0
MOST_LANES = 40
MOST_ARRAYS = 300
"""Beyond these, a drawing says how much it leaves out."""


def timeline(trace: Trace, document: Document) -> tuple[str, str, list[str]]:
    """Draw what each unit did for the first sample, one lane for each unit, coloured by phase.

    trace:     events of a run.
    document:  the result they belong to, whose layers they name.

    Returns the SVG element, a sentence on what it shows and leaves out, and the names of the phases that occur.
    """
    events = trace.first_sample([layer["vectors"] for layer in document["layers"]])
    end = max(int(events["end"].max()), 1)
    stations, first = np.unique(events["station"], return_index=True)
    begins = [events["start"][events["station"] == station].min() for station in stations]
    order = [int(stations[i]) for i in np.lexsort((first, begins))]
    note = f"{count(len(events))} events of {len(order)} units in {si(end * 1e-12, 's')}."
    if len(order) > MOST_LANES:
        busy = {s: int((events["end"] - events["start"])[events["station"] == s].sum()) for s in order}
        kept = set(sorted(order, key=lambda s: -busy[s])[:MOST_LANES])
        order = [station for station in order if station in kept]
        note += f" Drawn are the {MOST_LANES} busiest."
    height = 30 + _LANE * len(order)
    scale = (WIDTH - _NAMES - 12) / end
    parts = []
    for tick in _time_ticks(end):
        at = _NAMES + tick * scale
        parts.append(element("line", x1=at, x2=at, y1=20.0, y2=height - 6, class_="grid"))
        parts.append(text(si(tick * 1e-12, "s") if tick else "0", at, 13, text_anchor="middle"))
    for lane, station in enumerate(order):
        y = 24 + _LANE * lane
        parts.append(
            text(_lane(events, station, trace.stations[station], document), _NAMES - 10, y + 11, text_anchor="end")
        )
        parts += _bars(events, station, y, scale, document)
    label = f"Timeline of the first sample: {note}"
    return (
        drawing(*parts, width=WIDTH, height=height, label=label),
        note,
        [Phase(p).name.lower() for p in np.unique(events["phase"])],
    )


def _lane(events: Trace, station: int, name: str, document: Document) -> str:
    """Name a lane: its unit, and the layers that it works for where these are one or two."""
    layers = [document["layers"][i]["name"] for i in np.unique(events["layer"][events["station"] == station])]
    whole = f"{name}: {', '.join(layers)}" if len(layers) <= 2 else name
    return whole if len(whole) <= _LETTERS else name


def _bars(events: Trace, station: int, y: float, scale: float, document: Document) -> list[str]:
    """Draw the bars of one lane; events of a phase between which nobody could see a gap are drawn as one.

    station: which lane. y: its upper edge. scale: pixels per picosecond.
    """
    rows = np.flatnonzero(events["station"] == station)
    rows = rows[np.argsort(events["start"][rows], kind="stable")]
    runs: list[list[int]] = []
    for row in rows:
        before = runs[-1][-1] if runs else -1
        near = runs and (events["start"][row] - events["end"][before]) * scale < _GAP
        if near and events["phase"][row] == events["phase"][before]:
            runs[-1].append(int(row))
        else:
            runs.append([int(row)])
    bars = []
    for run in runs:
        start, end = int(events["start"][run[0]]), int(events["end"][run].max())
        phase = Phase(int(events["phase"][run[0]])).name.lower()
        layer = _some(document["layers"][i]["name"] for i in dict.fromkeys(map(int, events["layer"][run])))
        operation = _some(events.ops[i].lower() for i in dict.fromkeys(map(int, events["op"][run])))
        many = f", {len(run)} events" if len(run) > 1 else ""
        words = f"{operation}, {phase} of {layer}{many}: {si(start * 1e-12, 's')} to {si(end * 1e-12, 's')}"
        width = max((end - start) * scale, 0.8)
        x = _NAMES + start * scale
        bars.append(element("rect", tip(words), x=x, y=y + 1, width=width, height=_LANE - 4, class_=phase))
    return bars


def _some(names: Iterable[str]) -> str:
    """List up to three names, and how many more there are."""
    every = list(names)
    more = f" and {len(every) - 3} more" if len(every) > 3 else ""
    return ", ".join(every[:3]) + more


def _time_ticks(end: int) -> list[int]:
    """Choose round times (ps) from 0 to ``end``, at most seven."""
    step = next(m * 10**e for e in range(19) for m in (1, 2, 5) if end / (m * 10**e) <= 6)
    return list(range(0, end + 1, step))


def power(document: Document) -> str:
    """Draw mean power over time, standby below it, and the peak as a line.

    document: of a result with an analysis.

    Returns the SVG element.
    """
    analysis = document["analysis"]
    shown, watts = analysis["power"], analysis["power"]["over_time_W"]
    height, base = _POWER_HEIGHT, _POWER_HEIGHT - 24
    left = _LEFT + 24  # room for three digits and a unit
    across, up = (WIDTH - left - 40) / len(watts), (base - 18) / shown["peak_W"]
    end = round(analysis["time_s"] * 1e12)
    parts = []
    for tick in _time_ticks(end):
        at = left + tick / end * across * len(watts)
        parts.append(element("line", x1=at, x2=at, y1=18.0, y2=base, class_="grid"))
        parts.append(text(si(tick * 1e-12, "s") if tick else "0", at, height - 8, text_anchor="middle"))
    outline = [(left + (i + side) * across, base - value * up) for i, value in enumerate(watts) for side in (0, 1)]
    right = left + len(watts) * across
    area = [(left, base), *outline, (right, base)]
    parts.append(element("path", d=path(area), class_="watts"))
    standby = base - shown["standby_W"] * up
    parts.append(element("rect", x=left, y=standby, width=right - left, height=base - standby, class_="standby"))
    parts.append(element("line", x1=left, x2=right, y1=18.0, y2=18.0, class_="axis", stroke_dasharray="2 3"))
    for watt, y in ((shown["peak_W"], 18.0), (shown["standby_W"], standby)):
        parts.append(text(si(watt, "W"), left - 8, y + 4, text_anchor="end"))
    label = f"Power over time; peak {si(shown['peak_W'], 'W')}, standby {si(shown['standby_W'], 'W')}"
    return drawing(*parts, width=WIDTH, height=height, label=label)


def wear(histogram: list[dict[str, int]]) -> str:
    """Draw how many cells took how many pulses, in bins that double.

    histogram: ``endurance.histogram`` of a result, bins of ``from``, ``below`` and ``cells``.

    Returns the SVG element.
    """
    base, most = _POWER_HEIGHT - 24, max(max(row["cells"] for row in histogram), 1)
    across = (WIDTH - _LEFT - 40) / max(len(histogram), 8)
    every = -(-len(histogram) // 12)
    parts = [element("line", x1=_LEFT, x2=_LEFT + across * len(histogram), y1=base, y2=base, class_="axis")]
    for number, row in enumerate(histogram):
        x, height = _LEFT + number * across, (base - 18) * row["cells"] / most
        last = row["below"] - 1
        span = count(last) if last == row["from"] else f"{count(row['from'])} to {count(last)}"
        words = f"{count(row['cells'])} cells took {span} pulse{'s' if last != 1 else ''}"
        bar = {"x": x + 1, "y": base - height, "width": across - 2, "height": height}
        parts.append(element("rect", tip(words), class_="block", **bar))
        if number % every == 0:
            many = count(row["from"]) if row["from"] < 1000 else si(row["from"], "")
            parts.append(text(many, x + across / 2, base + 16, text_anchor="middle"))
    parts.append(text(count(most), _LEFT - 8, 22, text_anchor="end"))
    parts.append(text("pulses", _LEFT - 8, base + 16, text_anchor="end", class_="axis-name"))
    label = f"How many cells took how many pulses, in {len(histogram)} bins that double; {count(most)} in the fullest"
    return drawing(*parts, width=WIDTH, height=_POWER_HEIGHT, label=label)


def arrays(document: Document) -> tuple[list[dict[str, Any]], int]:
    """Draw each array with the block of the layer that it holds, to scale.

    Returns for each layer its name, place, share of cells in use and drawings; and how many arrays are left out.
    """
    total = sum(len(layer["tiles"]) for layer in document["layers"])
    size = 96 if total <= 12 else 56 if total <= 48 else 28
    left, drawn = MOST_ARRAYS, []
    for layer in document["layers"]:
        squares = [_array(document, block, size) for block in layer["tiles"][: max(left, 0)]]
        left -= len(layer["tiles"])
        if squares:
            used = percent(figures.layer_utilisation(document, layer))
            drawn.append({"name": layer["name"], "place": figures.places(layer), "used": used, "squares": squares})
    return drawn, max(total - MOST_ARRAYS, 0)


def _array(document: Document, block: dict[str, Any], size: int) -> str:
    """Draw one array and the block on it; ``size`` is the length of its longer side in pixels."""
    rows, columns, cells = figures.array_cells(document, block["kind"])
    height, width = ((block[side][1] - block[side][0]) for side in ("rows", "columns"))
    used = height * cells * width / (rows * columns)
    longest = max(rows, columns)
    w, h = size * columns / longest, size * rows / longest
    words = (
        f"tile {block['tile']}, array {block['array']} ({rows} × {columns} cells): "
        f"outputs {block['rows'][0]} to {block['rows'][1]}, inputs {block['columns'][0]} to {block['columns'][1]}; "
        f"{percent(used)} of its cells used"
    )
    block_w, block_h = w * width / columns, h * height * cells / rows
    return element(
        "svg",
        tip(words),
        element("rect", x=0.5, y=0.5, width=w, height=h, class_="array"),
        element("rect", x=0.5, y=0.5, width=max(block_w, 1.0), height=max(block_h, 1.0), class_="block"),
        viewBox=f"0 0 {w + 1:g} {h + 1:g}",
        width=w + 1,
        height=h + 1,
        role="img",
    )
