"""The tornado of a report: how far each assumption carries the energy of a sample, the farthest first."""

from __future__ import annotations

import math

from rpusim.reports.page.svg import WIDTH, drawing, element, text, tip
from rpusim.reports.words.figures import Swing
from rpusim.reports.words.readable import si

_ROW, _TOP, _NAMES, _RIGHT = 24.0, 30.0, 400.0, 70.0


def tornado(swings: list[Swing], joules: float) -> str:
    """Draw a bar for each assumption, from the energy with one of its values to that with the other, logarithmically.

    swings:  what each does, the one that changes most first; at least one.
    joules:  energy of a sample as it was accounted for.

    Returns the SVG element.
    """
    ends = [max(end, joules * 1e-6) for swing in swings for end in (swing.low_joules, swing.high_joules)]
    low, high = min([*ends, joules]), max([*ends, joules])
    height, right = _TOP + _ROW * len(swings) + 8, WIDTH - _RIGHT
    spread = math.log(high / low) or 1.0

    def x(end: float) -> float:
        return _NAMES + (right - _NAMES) * math.log(max(end, low) / low) / spread

    parts = []
    for number, swing in enumerate(swings):
        y = _TOP + _ROW * number
        left, far = sorted((x(swing.low_joules), x(swing.high_joules)))
        words = (
            f"{swing.field}, taken as {swing.taken}: {si(swing.low_joules, 'J')} with {swing.low}, "
            f"{si(swing.high_joules, 'J')} with {swing.high}; {swing.source}"
        )
        bar = {"x": left, "y": y + 4, "width": max(far - left, 1.5), "height": _ROW - 8}
        parts.append(element("rect", tip(words), class_="block", **bar))
        name = swing.field if len(swing.field) <= 58 else "…" + swing.field[-57:]
        parts.append(text(name, _NAMES - 12, y + 16, text_anchor="end"))
    parts.append(element("line", x1=x(joules), x2=x(joules), y1=_TOP - 4, y2=height - 6, class_="axis"))
    marks = [(low, "start"), (high, "end")]
    parts += [text(si(end, "J"), x(end), 13, text_anchor=anchor) for end, anchor in marks if _apart(x(end), x(joules))]
    parts.append(text(si(joules, "J"), x(joules), _TOP - 8, text_anchor="middle", class_="label"))
    label = f"Energy of a sample with other values of the {len(swings)} assumptions that change it most"
    return drawing(*parts, width=WIDTH, height=height, label=label)


def _apart(one: float, other: float) -> bool:
    """Tell whether two labels would not touch."""
    return abs(one - other) > 60
