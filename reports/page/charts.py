"""The drawings of a report: learning curve, timeline of a sample, blocks on their arrays. Colours come from the CSS."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from rpusim.arch.contract.activity import Phase
from rpusim.reports.page.svg import drawing, element, path, text, tip
from rpusim.reports.trace.recorded import Trace
from rpusim.reports.words import figures
from rpusim.reports.words.figures import Document
from rpusim.reports.words.readable import age, count, percent, si

WIDTH = 960.0
_CURVE_HEIGHT, _LEFT, _RIGHT, _TOP, _BOTTOM = 330.0, 58.0, 178.0, 70.0, 40.0
_LANE, _NAMES = 17.0, 215.0
_POWER_HEIGHT = 150.0
_SCALES = (("chip time", "seconds", "s"), ("chip energy", "joules", "J"), ("pulses per cell", "pulses_per_cell", ""))
"""What a learning curve is drawn against besides epochs, each with a scale of its own along the top."""
MOST_LANES = 40
MOST_ARRAYS = 300
"""Beyond these, a drawing says how much it leaves out."""


def learning_curve(curve: list[dict[str, Any]]) -> str:
    """Test error against epochs, on the chip and in floating point; along the top what they cost until then."""
    series = [
        ("on the chip", "analog", [point["test_error"] for point in curve]),
        ("floating point", "reference", [point["test_error_floating_point"] for point in curve]),
    ]
    height_of = _error_axis([error for _, _, errors in series for error in errors])
    last: int = curve[-1]["epoch"]
    right = WIDTH - _RIGHT
    scales = [scale for scale in _SCALES if scale[1] in curve[0]]

    def x(epoch: float) -> float:
        return _LEFT + (right - _LEFT) * (epoch / last)

    parts = [
        element("line", x1=_LEFT, x2=right, y1=y, y2=y, class_="grid")
        + text(f"{tick * 100:g}%", _LEFT - 8, y + 4, text_anchor="end")
        for tick, y in height_of.ticks
    ]
    base = _CURVE_HEIGHT - _BOTTOM
    every = next(m * 10**e for e in range(9) for m in (1, 2, 5) if last / (m * 10**e) <= 10)
    for point in curve:
        if point["epoch"] % every:
            continue
        at = x(point["epoch"])
        parts.append(text(str(point["epoch"]), at, base + 18, text_anchor="middle"))
        for scale, (_, quantity, unit) in enumerate(scales):
            parts.append(text(si(point[quantity], unit), at, _TOP - 12 - 15 * scale, text_anchor="middle"))
        parts.append(element("line", x1=at, x2=at, y1=_TOP - 6, y2=_TOP, class_="axis"))
        parts.append(element("line", x1=at, x2=at, y1=base, y2=base + 5, class_="axis"))
    parts.append(text("epochs", _LEFT - 8, base + 18, text_anchor="end", class_="axis-name"))
    for scale, (name, _, _) in enumerate(scales):
        parts.append(text(name, right + 36, _TOP - 12 - 15 * scale, class_="axis-name"))

    ends = [height_of(errors[-1]) for _, _, errors in series]
    labels = _apart(ends, 17.0)
    for (name, tone, errors), label in reversed(list(zip(series, labels, strict=True))):
        points = [(x(point["epoch"]), height_of(error)) for point, error in zip(curve, errors, strict=True)]
        parts.append(element("path", d=path(points), class_=f"line {tone}", fill="none"))
        for point, (at, y), error in zip(curve, points, errors, strict=True):
            words = f"epoch {point['epoch']}, {name}: {percent(error)} test error"
            if tone == "analog":
                words += f" after {si(point['seconds'], 's')} and {si(point['joules'], 'J')}"
            parts.append(element("circle", tip(words), cx=at, cy=y, r=4.0 if tone == "analog" else 3.0, class_=tone))
        parts.append(text(f"{name} {percent(errors[-1])}", right + 12, label + 4, class_=f"label {tone}"))
    final = ", ".join(f"{name} {percent(errors[-1])}" for name, _, errors in series)
    return drawing(
        *parts, width=WIDTH, height=_CURVE_HEIGHT, label=f"Test error over {last} epochs; at the end: {final}"
    )


def aging_curve(points: list[dict[str, Any]], floating_point: float) -> str:
    """Test error against the logarithm of time since programming, with and without compensation of drift if that is
    known, beside that of floating point."""
    times = [point["seconds_since_programming"] for point in points]
    errors = [point["test_error"] for point in points]
    series = [("on the chip", "analog", errors)]
    if "test_error_uncompensated" in points[0]:
        plain = [point["test_error_uncompensated"] for point in points]
        series = [("compensated", "analog", errors), ("uncompensated", "uncompensated", plain)]
    height_of = _error_axis([*(error for _, _, drawn in series for error in drawn), floating_point])
    right, base = WIDTH - _RIGHT, _CURVE_HEIGHT - _BOTTOM
    first = min((time for time in times if time > 0), default=1.0) / 10  # where no time at all is drawn
    last = max(*times, 10 * first)

    def x(time: float) -> float:
        return _LEFT + (right - _LEFT) * math.log(max(time, first) / first) / math.log(last / first)

    parts = [
        element("line", x1=_LEFT, x2=right, y1=y, y2=y, class_="grid")
        + text(f"{tick * 100:g}%", _LEFT - 8, y + 4, text_anchor="end")
        for tick, y in height_of.ticks
    ]
    level = height_of(floating_point)
    parts.append(element("path", d=path([(_LEFT, level), (right, level)]), class_="line reference", fill="none"))
    for name, tone, drawn in reversed(series):
        places = [(x(time), height_of(error)) for time, error in zip(times, drawn, strict=True)]
        parts.append(element("path", d=path(places), class_=f"line {tone}", fill="none"))
        for time, error, (at, y) in zip(times, drawn, places, strict=True):
            words = f"{age(time)} after programming, {name}: {percent(error)} test error"
            parts.append(element("circle", tip(words), cx=at, cy=y, r=4.0, class_=tone))
    written = -math.inf
    for time in sorted(set(times)):
        if x(time) > written + 60.0:
            written = x(time)
            parts.append(text(age(time), written, base + 18, text_anchor="middle"))
    ends = [(name, tone, drawn[-1]) for name, tone, drawn in series] + [("floating point", "reference", floating_point)]
    labels = _apart([height_of(error) for _, _, error in ends], 17.0)
    for (name, tone, error), label in zip(ends, labels, strict=True):
        parts.append(text(f"{name} {percent(error)}", right + 12, label + 4, class_=f"label {tone}"))
    final = ", ".join(f"{name} {percent(error)}" for name, _, error in ends)
    said = f"Test error over time since programming; after {age(times[-1])}: {final}"
    return drawing(*parts, width=WIDTH, height=_CURVE_HEIGHT, label=said)


class _error_axis:
    """Error to height: logarithmic where errors span a wide range and none is zero, else linear from zero."""

    _NICE = [m * 10.0**e for e in range(-6, 1) for m in (1, 2, 5)]

    def __init__(self, errors: list[float]) -> None:
        top, low = max(max(errors), 1e-6), min(errors)
        self._logarithmic = low > 0 and top / low > 4
        if self._logarithmic:
            self._low = max(n for n in self._NICE if n <= low * (1 + 1e-9))
            self._high = min([n for n in self._NICE if n >= top * (1 - 1e-9)], default=1.0)
            self._high = min(self._high, 1.0)
            ticks = [n for n in self._NICE if self._low <= n <= self._high]
        else:
            step = min(n for n in self._NICE if top / n <= 5.000001)
            self._low, self._high = 0.0, step * math.ceil(top / step - 1e-9)
            ticks = [step * i for i in range(round(self._high / step) + 1)]
        self.ticks = [(tick, self(tick)) for tick in ticks]

    def __call__(self, error: float) -> float:
        scale = math.log if self._logarithmic else float
        share = (scale(error) - scale(self._low)) / (scale(self._high) - scale(self._low))
        return _CURVE_HEIGHT - _BOTTOM - share * (_CURVE_HEIGHT - _BOTTOM - _TOP)


def _apart(heights: list[float], least: float) -> list[float]:
    """Label heights moved so that they do not overlap: those that would form a group about the mean of their own."""

    def first(group: list[int]) -> float:
        return sum(heights[n] for n in group) / len(group) - least * (len(group) - 1) / 2

    groups: list[list[int]] = []
    for number in sorted(range(len(heights)), key=lambda n: heights[n]):
        groups.append([number])
        while len(groups) > 1 and first(groups[-1]) < first(groups[-2]) + least * len(groups[-2]):
            last = groups.pop()
            groups[-1] += last
    placed = {number: first(group) + least * position for group in groups for position, number in enumerate(group)}
    return [placed[number] for number in range(len(heights))]


def timeline(trace: Trace, document: Document) -> tuple[str, str, list[str]]:
    """(drawing, note, phases): what each unit did for the first sample, one lane per unit, coloured by phase."""
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
        parts.append(text(trace.stations[station], _NAMES - 10, y + 11, text_anchor="end"))
        parts += _bars(events, station, y, scale, document)
    label = f"Timeline of the first sample: {note}"
    return (
        drawing(*parts, width=WIDTH, height=height, label=label),
        note,
        [Phase(p).name.lower() for p in np.unique(events["phase"])],
    )


def _bars(events: Trace, station: int, y: float, scale: float, document: Document) -> list[str]:
    """The bars of one lane; events of a phase that would touch on the screen are drawn as one."""
    rows = np.flatnonzero(events["station"] == station)
    rows = rows[np.argsort(events["start"][rows], kind="stable")]
    runs: list[list[int]] = []
    for row in rows:
        before = runs[-1][-1] if runs else -1
        near = runs and (events["start"][row] - events["end"][before]) * scale < 0.4
        if near and all(events[c][row] == events[c][before] for c in ("phase", "layer", "op")):
            runs[-1].append(int(row))
        else:
            runs.append([int(row)])
    bars = []
    for run in runs:
        start, end = int(events["start"][run[0]]), int(events["end"][run].max())
        phase = Phase(int(events["phase"][run[0]])).name.lower()
        layer = document["layers"][int(events["layer"][run[0]])]["name"]
        operation = events.ops[int(events["op"][run[0]])].lower()
        many = f", {len(run)} events" if len(run) > 1 else ""
        words = f"{operation}, {phase} of {layer}{many}: {si(start * 1e-12, 's')} to {si(end * 1e-12, 's')}"
        width = max((end - start) * scale, 0.8)
        x = _NAMES + start * scale
        bars.append(element("rect", tip(words), x=x, y=y + 1, width=width, height=_LANE - 4, class_=phase))
    return bars


def _time_ticks(end: int) -> list[int]:
    """Round times from 0 to ``end``, at most seven."""
    step = next(m * 10**e for e in range(19) for m in (1, 2, 5) if end / (m * 10**e) <= 6)
    return list(range(0, end + 1, step))


def power(document: Document) -> str:
    """Mean power over time, standby below it, and the peak as a line."""
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
    """How many cells took how many pulses, in bins that double."""
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
    """Per layer, a small drawing of each array with the layer's block on it, to scale; and how many are left out."""
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
