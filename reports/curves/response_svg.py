"""The response of one device to pulses as an SVG drawing that stands alone."""

from __future__ import annotations

from rpusim.reports.curves.response_labels import sampled_cells, signed, weight_range, weight_ticks
from rpusim.reports.page.svg import element, path, text, tip
from rpusim.reports.words.figures import Document
from rpusim.reports.words.readable import count

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


def draw(document: Document) -> str:
    """Draw the response of one device; document: of `devices.describe`. Returns the SVG document."""
    low, high = weight_range(document)
    right, base = _WIDTH - _RIGHT, _HEIGHT - _BOTTOM
    pulses: int = document["pulses"]

    def x(pulse: float) -> float:
        return _LEFT + (right - _LEFT) * pulse / (2 * pulses)

    def y(weight: float) -> float:
        weight = min(max(weight, low), high)
        return base - (base - _TOP) * (weight - low) / (high - low)

    def line(curve: list[float]) -> str:
        every = max(1, len(curve) // _MOST_POINTS)
        places = sorted({*range(0, len(curve), every), pulses, len(curve) - 1})
        return path([(x(place), y(curve[place])) for place in places])

    parts = [
        text(document["name"], _LEFT, 28, class_="heading"),
        text(f"{document['title']}; {document['source']}", _LEFT, 48),
    ]
    for tick in weight_ticks(low, high):
        parts.append(element("line", x1=_LEFT, x2=right, y1=y(tick), y2=y(tick), class_="grid"))
        parts.append(text(f"{tick:g}", _LEFT - 8, y(tick) + 4, text_anchor="end"))
    parts.append(element("line", x1=x(pulses), x2=x(pulses), y1=_TOP, y2=base, class_="axis"))
    for place, words in (
        (pulses / 2, f"{count(pulses)} pulses up"),
        (1.5 * pulses, f"{count(pulses)} down"),
    ):
        parts.append(text(words, x(place), base + 26, text_anchor="middle"))
    curves = document["response"]
    parts += [element("path", d=line(curve), class_="cell", fill="none") for curve in curves["cells"]]
    parts.append(
        element("path", tip("the mean cell, without noise"), d=line(curves["mean"]), class_="mean", fill="none")
    )

    legend = [("mean", "mean cell")]
    if curves["cells"]:
        legend.append(("cell", sampled_cells(document)))
    point = document["symmetry_point"]
    if point is not None:
        legend.append(("point", f"symmetry point {signed(point)}"))
        parts.append(element("line", x1=_LEFT, x2=right, y1=y(point), y2=y(point), class_="point"))
        for own in document["symmetry_points"] or []:
            words = tip(f"symmetry point of a sampled cell: {signed(own)}")
            parts.append(element("line", words, x1=right + 2, x2=right + 12, y1=y(own), y2=y(own), class_="own-point"))
    for place, (tone, words) in enumerate(legend):
        parts.append(text(words, right + 22, _TOP + 12 + 20 * place, class_=tone))
    label = f"Response of {document['name']} to {count(pulses)} up and {count(pulses)} down pulses"
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
