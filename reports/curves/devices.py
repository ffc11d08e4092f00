"""What `rpusim devices` shows: the presets as a table, and the response of one device to pulses, as text and as SVG.

`describe` computes everything there is to show (a document of plain numbers); the other functions only draw it.
"""

from __future__ import annotations

import inspect
import math
from collections.abc import Iterable
from typing import Any

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from rpusim.arch.contract import checks
from rpusim.errors import InputError, nearest
from rpusim.kernels.devices import EXACT, PULSED, ConstantStep, PulsedDevice
from rpusim.kernels.devices.presets import DEVICES
from rpusim.kernels.devices.response import respond
from rpusim.reports.page.svg import element, path, text, tip
from rpusim.reports.words import format as f

Document = dict[str, Any]

MOST_PULSES = 100_000
MOST_CELLS = 200
_NO_POINT = "none: unequal steps run to a bound"


def describe(name: str, pulses: int | None = None, cells: int = 5) -> Document:
    """Everything about a device, by the name of a preset or of a model: parameters, key figures, and its response.

    pulses: how many up, and then down; None: as many as there are states. cells: how many sampled beside the mean one.
    """
    device, title, source = _find(name)
    if pulses is not None:
        checks.integer("pulses", pulses, low=1)
        checks.number("pulses", pulses, high=MOST_PULSES)
    checks.integer("cells", cells, low=0)
    checks.number("cells", cells, high=MOST_CELLS)
    found = respond(device, pulses, cells)
    points = not isinstance(device, ConstantStep)
    return {
        "name": name,
        "model": device.kind,
        "title": title,
        "source": source,
        "states": device.num_states,
        "granularity": device.granularity,
        "up_step": found.up_step,
        "down_step": found.down_step,
        "asymmetry": (found.up_step - found.down_step) / (found.up_step + found.down_step),
        "pulse_noise": device.dw_min_std,
        "write_noise": device.write_noise,
        "bounds": [found.bound_min, found.bound_max],
        "symmetry_point": found.symmetry_point if points else None,
        "symmetry_points": found.symmetry_points.tolist() if points else None,
        "parameters": device.numbers(),
        "pulses": found.pulses,
        "response": {"mean": found.mean.tolist(), "cells": found.cells.tolist()},
    }


def overview() -> list[Document]:
    """The presets without their parameters and curves."""
    documents = (describe(name, 1, 0) for name in DEVICES)
    left_out = ("parameters", "pulses", "response", "symmetry_points")
    return [{key: value for key, value in document.items() if key not in left_out} for document in documents]


def _find(name: str) -> tuple[PulsedDevice, str, str]:
    """(device, title, source) of a preset, or of a model with its default parameters."""
    if name in DEVICES:
        return DEVICES[name].device, DEVICES[name].title, DEVICES[name].source
    if name in PULSED:
        lines = (inspect.getdoc(inspect.getmodule(PULSED[name])) or "").partition("\n")
        return PULSED[name](), lines[0].partition(": ")[2].rstrip("."), "the model's default parameters"
    if name in EXACT:
        raise InputError(f"device: {name!r} takes exact updates and has no response to pulses")
    raise InputError(f"device: {name!r} is unknown{nearest(name, {*DEVICES, *PULSED})}")


# --- terminal ---------------------------------------------------------------------------------------------------------


def table(documents: list[Document]) -> RenderableType:
    """The presets, one row each."""
    rows = Table(box=None, pad_edge=False, header_style="dim", padding=(0, 2, 0, 0))
    for heading in ("device", "model"):
        rows.add_column(heading, no_wrap=True)
    for heading in ("states", "asymmetry", "noise", "sym. point"):
        rows.add_column(heading, justify="right", no_wrap=True)
    sources = Table(box=None, show_header=False, pad_edge=False, padding=(0, 2, 0, 0))
    sources.add_column(no_wrap=True)
    sources.add_column(style="dim")
    for document in documents:
        point = document["symmetry_point"]
        rows.add_row(
            document["name"],
            document["model"],
            _states(document),
            _signed(100 * document["asymmetry"], "%"),
            f"{document['pulse_noise']:.0%}",
            "none" if point is None else _signed(point),
        )
        sources.add_row(document["name"], document["source"])
    meaning = (
        "states: mean steps between the bounds; asymmetry: (up - down) / (up + down) at weight 0; noise: of one pulse, "
        "relative to its step; sym. point: the weight where up and down steps are equal. `rpusim devices NAME` draws a "
        "response."
    )
    return Group(rows, "", Text(meaning, style="dim"), "", Text("sources", style="bold"), sources)


def response(document: Document, width: int) -> RenderableType:
    """Key figures and the drawn response of one device, ``width`` characters wide."""
    facts = Table(box=None, show_header=False, pad_edge=False, padding=(0, 2, 0, 0))
    facts.add_column(style="dim", no_wrap=True)
    facts.add_column()
    for label, words in _facts(document):
        facts.add_row(label, words)
    return Group(
        Text(f"{document['name']}: {document['title']}", style="bold"),
        Text(document["source"], style="dim"),
        "",
        plot(document, min(width, 110)),
        "",
        facts,
    )


def _facts(document: Document) -> Iterable[tuple[str, str]]:
    yield "model", document["model"]
    yield "step at weight 0", f"{document['up_step']:.3g} up, {document['down_step']:.3g} down"
    yield "states", _states(document)
    low, high = document["bounds"]
    yield "bounds", f"{low:g} to {high:g} for the mean cell"
    noise = f"{document['pulse_noise']:.0%} of a step per pulse"
    if document["write_noise"]:
        noise += f", {document['write_noise']:.3g} in weight at every write"
    yield "noise", noise
    point, points = document["symmetry_point"], document["symmetry_points"]
    words = _NO_POINT if point is None else f"{_signed(point)} for the mean cell"
    if points:
        words += f", {_signed(min(points))} to {_signed(max(points))} for the sampled cells"
    yield "symmetry point", words


def plot(document: Document, width: int, height: int = 17) -> Text:
    """The response in braille dots: sampled cells dim, the mean cell bright, its symmetry point as a dashed line."""
    curves, margin = document["response"], 8
    columns = max(width - margin - 2, 20)
    low, high = _range(document)
    layers = [_Dots(columns, height, low, high) for _ in range(2)]
    for curve in curves["cells"]:
        layers[0].draw(curve)
    layers[1].draw(curves["mean"])
    labels = {layers[0].row(tick): f"{tick:g}" for tick in _ticks(low, high)}
    point, drawn = document["symmetry_point"], Text()
    dashed = None if point is None else layers[0].row(point)
    for row in range(height):
        drawn.append(f"{labels.get(row, ''):>{margin - 2}} ", style="dim").append("│", style="dim")
        for column in range(columns):
            cells, mean = (layer.bits[row][column] for layer in layers)
            if mean:
                drawn.append(chr(0x2800 + mean), style="bold cyan")
            elif cells:
                drawn.append(chr(0x2800 + cells), style="bright_black")
            else:
                drawn.append("╌" if row == dashed else " ", style="yellow")
        drawn.append("\n")
    count = f.count(document["pulses"])
    middle = f"{count} up │ {count} down"
    left = columns // 2 - middle.index("│")
    drawn.append(" " * (margin - 1) + "└" + "─" * columns + "\n", style="dim")
    drawn.append(" " * (margin + max(left, 0)) + middle + "\n", style="dim")
    drawn.append(" " * margin).append("━ mean cell", style="bold cyan")
    if curves["cells"]:
        drawn.append("   ").append(f"━ {_sampled(document)}", style="bright_black")
    if point is not None:
        drawn.append("   ").append("╌ symmetry point", style="yellow")
    return drawn


class _Dots:
    """A canvas of braille characters, each two dots wide and four high."""

    _BITS = ((0x01, 0x08), (0x02, 0x10), (0x04, 0x20), (0x40, 0x80))

    def __init__(self, columns: int, rows: int, low: float, high: float) -> None:
        self._width, self._height, self._low, self._high = 2 * columns, 4 * rows, low, high
        self.bits = [[0] * columns for _ in range(rows)]

    def _dot(self, value: float) -> int:
        """Dots from the top."""
        share = (value - self._low) / (self._high - self._low)
        return min(max(round((1 - share) * (self._height - 1)), 0), self._height - 1)

    def row(self, value: float) -> int:
        """The line of text that a value lies in."""
        return self._dot(value) // 4

    def draw(self, curve: list[float]) -> None:
        """A curve over the whole width, without gaps."""
        last = len(curve) - 1
        for x in range(self._width):
            begin, end = x * last / self._width, (x + 1) * last / self._width
            inside = curve[math.ceil(begin) : math.floor(end) + 1]
            heights = [self._dot(value) for value in (_between(curve, begin), *inside, _between(curve, end))]
            for y in range(min(heights), max(heights) + 1):
                self.bits[y // 4][x // 2] |= self._BITS[y % 4][x % 2]


def _between(curve: list[float], place: float) -> float:
    left = min(int(place), len(curve) - 2)
    return curve[left] + (curve[left + 1] - curve[left]) * (place - left)


# --- SVG --------------------------------------------------------------------------------------------------------------

_WIDTH, _HEIGHT, _LEFT, _RIGHT, _TOP, _BOTTOM = 960.0, 440.0, 64.0, 190.0, 64.0, 46.0
_MOST_POINTS = 700
_STYLE = """
svg { background: #fbfbf9; font: 13px system-ui, "Segoe UI", Roboto, "Helvetica Neue", Arial, sans-serif; }
text { fill: #5f6670; font-variant-numeric: tabular-nums; }
.heading { font-size: 17px; font-weight: 600; fill: #1d2126; }
.grid { stroke: #dfe1dd; } .axis { stroke: #9aa1ab; }
.cell { stroke: #9aa1ab; stroke-width: 1; opacity: 0.55; } .mean { stroke: #2b6cb0; stroke-width: 2.5; }
.point { stroke: #c2620e; stroke-width: 1.5; stroke-dasharray: 6 4; }
.own-point { stroke: #c2620e; stroke-width: 1.5; opacity: 0.6; }
text.mean { fill: #2b6cb0; stroke: none; font-weight: 600; } text.point { fill: #c2620e; stroke: none; }
text.cell { stroke: none; opacity: 1; }
@media (prefers-color-scheme: dark) {
  svg { background: #14171b; } text { fill: #9ba3ad; } .heading { fill: #e6e8ea; } .grid { stroke: #30363e; }
  .mean { stroke: #6ea8e6; } text.mean { fill: #6ea8e6; } .point, .own-point { stroke: #eb9a4c; }
  text.point { fill: #eb9a4c; }
}
"""


def svg(document: Document) -> str:
    """The response of one device as a drawing that stands alone."""
    low, high = _range(document)
    right, base = _WIDTH - _RIGHT, _HEIGHT - _BOTTOM
    count = document["pulses"]

    def x(pulse: float) -> float:
        return _LEFT + (right - _LEFT) * pulse / (2 * count)

    def y(weight: float) -> float:
        weight = min(max(weight, low), high)
        return base - (base - _TOP) * (weight - low) / (high - low)

    def line(curve: list[float]) -> str:
        every = max(1, len(curve) // _MOST_POINTS)
        places = sorted({*range(0, len(curve), every), count, len(curve) - 1})
        return path([(x(place), y(curve[place])) for place in places])

    parts = [
        text(document["name"], _LEFT, 28, class_="heading"),
        text(f"{document['title']}; {document['source']}", _LEFT, 48),
    ]
    for tick in _ticks(low, high):
        parts.append(element("line", x1=_LEFT, x2=right, y1=y(tick), y2=y(tick), class_="grid"))
        parts.append(text(f"{tick:g}", _LEFT - 8, y(tick) + 4, text_anchor="end"))
    parts.append(element("line", x1=x(count), x2=x(count), y1=_TOP, y2=base, class_="axis"))
    for place, words in ((count / 2, f"{f.count(count)} pulses up"), (1.5 * count, f"{f.count(count)} down")):
        parts.append(text(words, x(place), base + 26, text_anchor="middle"))
    curves = document["response"]
    parts += [element("path", d=line(curve), class_="cell", fill="none") for curve in curves["cells"]]
    parts.append(
        element("path", tip("the mean cell, without noise"), d=line(curves["mean"]), class_="mean", fill="none")
    )

    legend = [("mean", "mean cell")]
    if curves["cells"]:
        legend.append(("cell", _sampled(document)))
    point = document["symmetry_point"]
    if point is not None:
        legend.append(("point", f"symmetry point {_signed(point)}"))
        parts.append(element("line", x1=_LEFT, x2=right, y1=y(point), y2=y(point), class_="point"))
        for own in document["symmetry_points"] or []:
            words = tip(f"symmetry point of a sampled cell: {_signed(own)}")
            parts.append(element("line", words, x1=right + 2, x2=right + 12, y1=y(own), y2=y(own), class_="own-point"))
    for place, (tone, words) in enumerate(legend):
        parts.append(text(words, right + 22, _TOP + 12 + 20 * place, class_=tone))
    label = f"Response of {document['name']} to {f.count(count)} up and {f.count(count)} down pulses"
    return element(
        "svg",
        tip(label),
        element("style", _STYLE),
        *parts,
        xmlns="http://www.w3.org/2000/svg",
        viewBox=f"0 0 {_WIDTH:g} {_HEIGHT:g}",
        width=_WIDTH,
        role="img",
    )


# --- numbers ----------------------------------------------------------------------------------------------------------


def _range(document: Document) -> tuple[float, float]:
    """The weights that a drawing shows: all of the mean cell, and of the others what is not far beyond."""
    low, high = document["bounds"]
    margin = 0.5 * (high - low)
    seen = [value for curve in document["response"]["cells"] for value in curve]
    mean = document["response"]["mean"]
    lowest, highest = min([*seen, *mean]), max([*seen, *mean])
    lowest, highest = max(lowest, min(min(mean), low - margin)), min(highest, max(max(mean), high + margin))
    return lowest, highest if highest > lowest else lowest + 1.0


def _ticks(low: float, high: float) -> list[float]:
    step = next(m * 10.0**e for e in range(-6, 7) for m in (1, 2, 5) if (high - low) / (m * 10.0**e) <= 8)
    first = math.ceil(low / step - 1e-9)
    return [round(step * place, 9) for place in range(first, math.floor(high / step + 1e-9) + 1)]


def _sampled(document: Document) -> str:
    count = len(document["response"]["cells"])
    return f"{count} sampled cell{'s' if count > 1 else ''}"


def _states(document: Document) -> str:
    return f"{document['states']:,.0f}" if document["states"] >= 10 else f"{document['states']:.1f}"


def _signed(value: float, unit: str = "") -> str:
    """Two decimals (percent: none), and no sign where that is zero."""
    words = f"{value:+.0f}" if unit else f"{value:+.2f}"
    return f"{words[1:] if not float(words) else words}{unit}"
