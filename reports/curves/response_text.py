"""The device presets and the response of one device in a terminal: tables, and curves of braille dots."""

from __future__ import annotations

import math
from collections.abc import Iterable

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from rpusim.reports.curves.response_labels import number_of_states, sampled_cells, signed, weight_range, weight_ticks
from rpusim.reports.words.figures import Document
from rpusim.reports.words.readable import count

_NO_POINT = "none: unequal steps run to a bound"


def table(documents: list[Document]) -> RenderableType:
    """Tabulate presets and models, one row each; documents: of `devices.overview`."""
    sources = Table(box=None, show_header=False, pad_edge=False, padding=(0, 2, 0, 0))
    sources.add_column(no_wrap=True)
    sources.add_column(style="dim")
    presets = [document for document in documents if document["kind"] == "preset"]
    for document in presets:
        sources.add_row(document["name"], document["source"])
    models = [document for document in documents if document["kind"] == "model"]
    meaning = (
        "states: mean steps between the bounds; asymmetry: (up - down) / (up + down) at weight 0; noise: of one pulse, "
        "relative to its step; sym. point: the weight where up and down steps are equal. `rpusim devices NAME` draws a "
        "response; `rpusim new device --like NAME` writes a file."
    )
    shown = _figures(presets, ("device", "model")), "", _figures(models, ("model with its defaults",))
    return Group(*shown, "", Text(meaning, style="dim"), "", Text("sources", style="bold"), sources)


def _figures(documents: list[Document], names: tuple[str, ...]) -> Table:
    """Tabulate the figures of some devices; names: headings of its first columns, the name and perhaps the model."""
    rows = Table(box=None, pad_edge=False, header_style="dim", padding=(0, 2, 0, 0))
    for heading in names:
        rows.add_column(heading, no_wrap=True)
    for heading in ("states", "asymmetry", "noise", "sym. point"):
        rows.add_column(heading, justify="right", no_wrap=True)
    for document in documents:
        point = document["symmetry_point"]
        rows.add_row(
            *(document["name"], document["model"])[: len(names)],
            number_of_states(document),
            signed(100 * document["asymmetry"], "%"),
            f"{document['pulse_noise']:.0%}",
            "none" if point is None else signed(point),
        )
    return rows


def response(document: Document, width: int) -> RenderableType:
    """Show the key figures and the drawn response of one device (of `devices.describe`), ``width`` characters wide."""
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
    """Give the key figures as (label, words)."""
    yield "model", document["model"]
    yield "step at weight 0", f"{document['up_step']:.3g} up, {document['down_step']:.3g} down"
    yield "states", number_of_states(document)
    low, high = document["bounds"]
    yield "bounds", f"{low:g} to {high:g} for the mean cell"
    noise = f"{document['pulse_noise']:.0%} of a step per pulse"
    if document["write_noise"]:
        noise += f", {document['write_noise']:.3g} in weight at every write"
    yield "noise", noise
    point, points = document["symmetry_point"], document["symmetry_points"]
    words = _NO_POINT if point is None else f"{signed(point)} for the mean cell"
    if points:
        words += f", {signed(min(points))} to {signed(max(points))} for the sampled cells"
    yield "symmetry point", words


def plot(document: Document, width: int, height: int = 17) -> Text:
    """Draw the response in braille dots: sampled cells dim, the mean cell bright, its symmetry point a dashed line.

    width, height: characters and lines of the drawing.
    """
    curves, margin = document["response"], 8
    columns = max(width - margin - 2, 20)
    low, high = weight_range(document)
    layers = [_Dots(columns, height, low, high) for _ in range(2)]
    for curve in curves["cells"]:
        layers[0].draw(curve)
    layers[1].draw(curves["mean"])
    labels = {layers[0].row(tick): f"{tick:g}" for tick in weight_ticks(low, high)}
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
    pulses = count(document["pulses"])
    middle = f"{pulses} up │ {pulses} down"
    left = columns // 2 - middle.index("│")
    drawn.append(" " * (margin - 1) + "└" + "─" * columns + "\n", style="dim")
    drawn.append(" " * (margin + max(left, 0)) + middle + "\n", style="dim")
    drawn.append(" " * margin).append("━ mean cell", style="bold cyan")
    if curves["cells"]:
        drawn.append("   ").append(f"━ {sampled_cells(document)}", style="bright_black")
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
        """Find the row of dots that a weight lies in, counted from the top."""
        share = (value - self._low) / (self._high - self._low)
        return min(max(round((1 - share) * (self._height - 1)), 0), self._height - 1)

    def row(self, value: float) -> int:
        """Find the line of text that a weight lies in."""
        return self._dot(value) // 4

    def draw(self, curve: list[float]) -> None:
        """Draw a curve over the whole width, without gaps."""
        last = len(curve) - 1
        for x in range(self._width):
            begin, end = x * last / self._width, (x + 1) * last / self._width
            inside = curve[math.ceil(begin) : math.floor(end) + 1]
            heights = [self._dot(value) for value in (_between(curve, begin), *inside, _between(curve, end))]
            for y in range(min(heights), max(heights) + 1):
                self.bits[y // 4][x // 2] |= self._BITS[y % 4][x % 2]


def _between(curve: list[float], place: float) -> float:
    """Interpolate a curve at a place between two of its points."""
    left = min(int(place), len(curve) - 2)
    return curve[left] + (curve[left + 1] - curve[left]) * (place - left)
