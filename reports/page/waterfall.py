"""The waterfall of a report, from floating point to the chip, and the signal to noise of its layers."""

from __future__ import annotations

import math
from typing import Any

from rpusim.reports.page.svg import WIDTH, drawing, element, text, tip
from rpusim.reports.words import losses
from rpusim.reports.words.readable import percent

_ROW, _TOP, _NAMES, _RIGHT = 30.0, 34.0, 150.0, 120.0
_RATIO = 16.0


def waterfall(found: dict[str, Any]) -> str:
    """Draw a bar from the error before each cause to that with it, with the interval of its end.

    found: the document's ``waterfall``.

    Returns the SVG element.
    """
    rows = found["causes"]
    top = max(max(min(row["high"], 1.0), row["test_error"]) for row in rows) * 1.05 or 0.01
    step = next(s for e in range(-4, 2) for s in (10.0**e, 2 * 10.0**e, 5 * 10.0**e) if top / s <= 6)
    right, height = WIDTH - _RIGHT, _TOP + _ROW * len(rows) + 10

    def x(error: float) -> float:
        return _NAMES + (right - _NAMES) * min(max(error, 0.0), top) / top

    parts = [
        element("line", x1=x(step * n), x2=x(step * n), y1=_TOP - 6, y2=height - 8, class_="grid")
        + text(f"{100 * step * n:g}%", x(step * n), _TOP - 12, text_anchor="middle")
        for n in range(math.floor(top / step) + 1)
    ]
    parts.append(text("test error", _NAMES - 12, _TOP - 12, text_anchor="end", class_="axis-name"))
    before = 0.0
    for number, (row, written) in enumerate(zip(rows, losses.cause_rows(found), strict=True)):
        y, end = _TOP + _ROW * number, row["test_error"]
        first = "added" not in row
        tone = "standby" if first else "backward" if end >= before else "update"
        left, far = sorted((x(before), x(end)))
        said = f"{row['cause']}: {written[1]}" + ("" if first else f", {written[3]} points")
        bar = {"x": left, "y": y + 6, "width": max(far - left, 2.0), "height": _ROW - 12}
        if first or end != before:
            parts.append(element("rect", tip(f"{said}; {row['meaning']}"), class_=tone, **bar))
        low, high, middle = x(row["low"]), x(row["high"]), y + _ROW / 2
        if high - low > 1.0:
            parts.append(element("line", x1=low, x2=high, y1=middle, y2=middle, class_="axis"))
            parts += [element("line", x1=at, x2=at, y1=middle - 4, y2=middle + 4, class_="axis") for at in (low, high)]
        if number + 1 < len(rows):
            parts.append(element("line", x1=x(end), x2=x(end), y1=y + 6, y2=y + _ROW + 6, class_="axis"))
        parts.append(text(row["cause"], _NAMES - 12, middle + 4, text_anchor="end"))
        label = percent(end) if first else losses.points(row["added"])
        parts.append(text(label, max(far, high) + 8, middle + 4, class_="label"))
        before = end
    return drawing(*parts, width=WIDTH, height=height, label=f"{losses.title(found)}. {losses.sentence(found)}")


def signal_to_noise(found: dict[str, Any]) -> str:
    """Draw three bars for each layer, in decibels: output, the layer alone, and its weights.

    found: the document's ``waterfall``.

    Returns the SVG element. A ratio without any error ends at the right.
    """
    values = [float(row[ratio]["mean"]) for row in found["layers"] for ratio in losses.RATIOS if ratio in row]
    finite = [value for value in values if math.isfinite(value)]
    low, top = min([0.0, *finite]), max([*finite, 10.0]) * 1.05
    each = _RATIO * 3 + 10
    right, height = WIDTH - _RIGHT, _TOP + each * len(found["layers"]) + 6

    def x(value: float) -> float:
        return _NAMES + (right - _NAMES) * (min(value, top) - low) / (top - low)

    step = next(s for s in (5.0, 10.0, 20.0, 50.0, 100.0, 1000.0) if (top - low) / s <= 10)
    parts = []
    for n in range(math.ceil(low / step), math.floor(top / step) + 1):
        at = x(step * n)
        parts.append(element("line", x1=at, x2=at, y1=_TOP - 6, y2=height - 4, class_="grid"))
        parts.append(text(f"{step * n:g} dB", at, _TOP - 12, text_anchor="middle"))
    for number, (row, written) in enumerate(zip(found["layers"], losses.layer_rows(found), strict=True)):
        y = _TOP + each * number
        parts.append(text(row["layer"], _NAMES - 12, y + _RATIO * 1.5 + 4, text_anchor="end"))
        tones = zip(losses.RATIOS, written[1:], ("backward", "forward", "transfer"), strict=True)
        for line, (ratio, said, tone) in enumerate(tones):
            if ratio not in row:
                continue
            end, name = x(float(row[ratio]["mean"])), ratio.removesuffix("_dB")
            left, far = sorted((x(0.0), end))
            bar = {"x": left, "y": y + line * _RATIO, "width": max(far - left, 2.0), "height": _RATIO - 3}
            parts.append(element("rect", tip(f"{row['layer']}, {name}: {said} dB"), class_=tone, **bar))
            parts.append(text(f"{said} {name}", far + 8, y + line * _RATIO + 11))
    return drawing(*parts, width=WIDTH, height=height, label="Signal to noise of each layer, in decibels")
