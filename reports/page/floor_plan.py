"""The floor plan of a chip: tiles coloured by layer and filled by use, links by traffic, power as dots."""

from __future__ import annotations

import math
from typing import Any

from rpusim.reports.page.svg import WIDTH, drawing, element, text, tip
from rpusim.reports.words.readable import count, percent, si

_TOP, _LEFT, _GAP = 10.0, 10.0, 26.0
_LARGEST, _SMALLEST = 84.0, 10.0
"""Pixels from node to node."""
_NAMED = 24
"""Layers that the legend names."""
_INK, _QUIET, _RULE, _CARD = (
    "var(--ink, #1d2126)",
    "var(--quiet, #5f6670)",
    "var(--rule, #dfe1dd)",
    "var(--card, #ffffff)",
)


def floor_plan(document: dict[str, Any]) -> tuple[str, str]:
    """Draw the floor plan of a document of `rpusim map` or of a result.

    Power is drawn where the document has energy by layer: what is drawn at work for a layer is shared among its tiles
    by the cells that it holds there.

    Returns the SVG element, and a sentence on what it shows and leaves out; both are empty if there is no floor plan.
    """
    floor = document.get("floor")
    if not floor or not floor["tiles"]:
        return "", ""
    colours = _colours(document)
    rows = 1 + max(tile["row"] for tile in floor["tiles"])
    columns = 1 + max(tile["column"] for tile in floor["tiles"])
    links = floor["links"]
    rows = max([rows, *(1 + max(link["from"][0], link["to"][0]) for link in links)])
    columns = max([columns, *(1 + max(link["from"][1], link["to"][1]) for link in links)])
    across = floor["chips"] * columns
    pitch = (WIDTH - 2 * _LEFT - _GAP * (floor["chips"] - 1)) / across
    pitch = min(max(pitch, _SMALLEST), _LARGEST)
    most = max([link["bits"] for link in links], default=0)
    parts = [
        _node(floor, chip, row, column, pitch, columns)
        for chip in range(floor["chips"])
        for row in range(rows)
        for column in range(columns)
    ]
    parts += [_link(link, most, pitch, columns) for link in links]
    power = _power(document)
    hottest = max(power.values(), default=0.0)
    for tile in floor["tiles"]:
        parts.append(_tile(floor, tile, pitch, columns, colours, power.get(tile["tile"], 0.0), hottest))
    height = _TOP + rows * pitch + 14
    legend, below = _legend(document, colours, height, power)
    width = max(WIDTH, _LEFT * 2 + across * pitch + _GAP * (floor["chips"] - 1))
    note = f"{count(len(floor['tiles']))} tiles; {si(floor['bits_times_hops'], 'bit')} times hops for a sample"
    note += f"; the busiest link carries {si(most, 'bit')}" if most else ""
    note += ". Filled: share of cells that hold weights. Thickness of a link: its traffic."
    note += " Dots: energy at work, a layer's shared among its tiles by cells." if power else ""
    return drawing(*parts, *legend, width=width, height=height + below, label=f"Floor plan: {note}"), note


def standalone(document: dict[str, Any]) -> str:
    """Write the floor plan as an SVG file of its own."""
    drawn, _ = floor_plan(document)
    head = '<svg xmlns="http://www.w3.org/2000/svg" font-family="sans-serif" font-size="12" style="background:#fbfbf9"'
    return drawn.replace("<svg", head, 1) + "\n"


def _colours(document: dict[str, Any]) -> dict[str, str]:
    """Give each layer that lies on the chip a colour; neighbours differ by a golden angle."""
    names = [layer["name"] for layer in document["layers"]]
    return {
        name: f"hsl({number * 137.5 % 360:.0f}, 58%, {46 + 10 * (number % 2)}%)" for number, name in enumerate(names)
    }


def _power(document: dict[str, Any]) -> dict[int, float]:
    """Share the energy of each layer at work among its tiles, by the cells that it holds on each (J)."""
    energy = document.get("energy", {}).get("by_layer", {})
    total: dict[str, float] = {}
    for tile in document["floor"]["tiles"]:
        for name, cells in tile["cells"].items():
            total[name] = total.get(name, 0.0) + cells
    found: dict[int, float] = {}
    for tile in document["floor"]["tiles"]:
        joules = sum(energy.get(name, 0.0) * cells / total[name] for name, cells in tile["cells"].items() if cells)
        if joules:
            found[tile["tile"]] = joules
    return found


def _corner(chip: int, row: int, column: int, pitch: float, columns: int) -> tuple[float, float]:
    """Return the upper left corner of a node's square."""
    return _LEFT + chip * (columns * pitch + _GAP) + column * pitch, _TOP + row * pitch


def _node(floor: dict[str, Any], chip: int, row: int, column: int, pitch: float, columns: int) -> str:
    x, y = _corner(chip, row, column, pitch, columns)
    side = pitch * 0.66
    style = f"fill:none;stroke:{_RULE}"
    return element("rect", x=x + pitch * 0.17, y=y + pitch * 0.17, width=side, height=side, rx=2, style=style)


def _link(link: dict[str, Any], most: int, pitch: float, columns: int) -> str:
    """Draw a link as a line between two nodes; those of both directions lie side by side."""
    (row, column), (to_row, to_column) = link["from"], link["to"]
    x, y = _corner(link["chip"], row, column, pitch, columns)
    to_x, to_y = _corner(link["chip"], to_row, to_column, pitch, columns)
    aside = pitch * 0.05 * (1 if to_row + to_column > row + column else -1)
    across, down = (to_x - x) / pitch, (to_y - y) / pitch
    x1, y1 = x + pitch / 2 + across * pitch * 0.33 + down * aside, y + pitch / 2 + down * pitch * 0.33 + across * aside
    share = link["bits"] / most
    words = f"link ({row},{column}) to ({to_row},{to_column}): {si(link['bits'], 'bit')} a sample"
    line = {"x1": x1, "y1": y1, "x2": x1 + across * pitch * 0.34, "y2": y1 + down * pitch * 0.34}
    width = 0.6 + pitch * 0.1 * math.sqrt(share)
    style = f"stroke:{_INK};stroke-width:{width:.2f};opacity:{0.25 + 0.65 * share:.2f}"
    return element("line", tip(words), style=style, **line)


def _tile(
    floor: dict[str, Any],
    tile: dict[str, Any],
    pitch: float,
    columns: int,
    colours: dict[str, str],
    joules: float,
    hottest: float,
) -> str:
    """Draw one tile: a frame in the colours of its layers, filled from below by the cells that they hold."""
    x, y = _corner(tile["chip"], tile["row"], tile["column"], pitch, columns)
    across = math.ceil(math.sqrt(floor["tiles_per_router"]))
    side = pitch * 0.66 / across
    x += pitch * 0.17 + tile["at"] % across * side
    y += pitch * 0.17 + tile["at"] // across * side
    side -= 1.0 if across > 1 else 0.0
    layers, used = tile["cells"], sum(tile["cells"].values())
    most = ", ".join(f"{name} {percent(cells)}" for name, cells in list(layers.items())[:6])
    more = f" and {len(layers) - 6} more" if len(layers) > 6 else ""
    words = f"tile {tile['tile']} ({tile['kind']}): {percent(used)} of its cells used: {most}{more}"
    words += f"; {si(joules, 'J')} at work" if joules else ""
    first = colours[next(iter(layers))]
    drawn = [element("rect", x=x, y=y, width=side, height=side, style=f"fill:{_CARD};stroke:{first}")]
    left = x
    for name in layers:
        width = side / len(layers)
        whole = {"x": left, "y": y, "width": width, "height": side}
        drawn.append(element("rect", style=f"fill:{colours[name]};opacity:0.22", **whole))
        high = side * min(used, 1.0)
        filled = {"x": left, "y": y + side - high, "width": width, "height": high}
        drawn.append(element("rect", style=f"fill:{colours[name]}", **filled))
        left += width
    if joules:
        radius = side * 0.24 * math.sqrt(joules / hottest)
        style = f"fill:#d1350f;stroke:{_CARD};stroke-width:1"
        drawn.append(element("circle", cx=x + side * 0.74, cy=y + side * 0.26, r=max(radius, 0.8), style=style))
    return element("g", tip(words), *drawn)


def _legend(
    document: dict[str, Any], colours: dict[str, str], top: float, power: dict[int, float]
) -> tuple[list[str], float]:
    """Name the layers by colour, in rows of six; returns the elements and their height."""
    held = {name for tile in document["floor"]["tiles"] for name in tile["cells"]}
    names = [name for name in colours if name in held]
    parts, wide = [], (WIDTH - 2 * _LEFT) / 6
    shown = names[: _NAMED if len(names) <= _NAMED else _NAMED - 1]
    words = [*shown, *([f"and {len(names) - len(shown)} more"] if len(names) > len(shown) else [])]
    for number, name in enumerate(words):
        x, y = _LEFT + number % 6 * wide, top + number // 6 * 18 + 6
        if name in colours:
            parts.append(element("rect", x=x, y=y, width=11.0, height=11.0, style=f"fill:{colours[name]}"))
        short = name if len(name) <= 21 else f"...{name[-19:]}"
        parts.append(text(short, x + 16, y + 10, style=f"fill:{_QUIET}"))
    height = -(-len(words) // 6) * 18 + 10.0
    if power:
        y = top + height + 6
        parts.append(element("circle", cx=_LEFT + 6, cy=y, r=6.0, style="fill:#d1350f"))
        parts.append(text(f"{si(max(power.values()), 'J')} at work", _LEFT + 18, y + 4, style=f"fill:{_QUIET}"))
        height += 24
    return parts, height
