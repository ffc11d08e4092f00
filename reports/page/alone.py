"""Drawings that stand alone, outside the report: with the report's colours, in a file or in a notebook."""

from __future__ import annotations

import re
from functools import cache
from pathlib import Path
from typing import Any

from rpusim.reports.page import error_curves
from rpusim.reports.page.svg import drawing, element, text
from rpusim.reports.words import figures

_STYLE = Path(__file__).parent / "templates" / "report.css"
_WIDTH, _LEFT, _RIGHT, _LINE, _TOP = 720.0, 170.0, 90.0, 26.0, 44.0
_LONGEST = 90
"""Characters of a title that fits."""
_MOST = 12
"""Lines of a bar chart; what is smaller is one line together."""


def plot(document: dict[str, Any]) -> str:
    """Draw what a result is about: the learning curve, the error after programming, or else energy by part.

    Returns the text of an SVG file.
    """
    accuracy = document.get("accuracy", {})
    if accuracy.get("curve"):
        drawn = error_curves.learning_curve(accuracy["curve"])
    elif accuracy.get("aging"):
        drawn = error_curves.aging_curve(accuracy["aging"], accuracy["test_error_floating_point"])
    else:
        drawn = _energy(document)
    return alone(drawn)


def alone(drawn: str) -> str:
    """Make a drawing of the report an SVG file, with its colours."""
    return drawn.replace("<svg", '<svg xmlns="http://www.w3.org/2000/svg"', 1).replace(">", f">{_style()}", 1)


def _energy(document: dict[str, Any]) -> str:
    """Draw the energy of a sample by part as bars, largest first."""
    shares = sorted(figures.energy_per_sample(document, "by_part"), key=lambda share: -share.fraction)
    lines = [(share.name, share.text, share.fraction) for share in shares[: _MOST - 1]]
    if rest := shares[_MOST - 1 :]:
        lines.append(("others", "", sum(share.fraction for share in rest)))
    per_fraction = (_WIDTH - _LEFT - _RIGHT) / max(fraction for _, _, fraction in lines)
    title = f"energy per sample by part, {figures.title(document)}"
    title = title if len(title) <= _LONGEST else f"{title[: _LONGEST - 1]}…"
    parts = [text(title, 0, 18, class_="label")]
    for number, (name, words, fraction) in enumerate(lines):
        y = _TOP + number * _LINE
        parts += [
            text(name, _LEFT - 10, y + 14, text_anchor="end"),
            element("rect", x=_LEFT, y=y, width=max(fraction * per_fraction, 1.0), height=_LINE - 8, class_="block"),
            text(words, _LEFT + fraction * per_fraction + 8, y + 14),
        ]
    return drawing(*parts, width=_WIDTH, height=_TOP + len(lines) * _LINE, label="energy per sample by part")


@cache
def _style() -> str:
    """Return the report's rules about drawings and its colours, both for drawings alone."""
    whole = _STYLE.read_text(encoding="utf-8")
    light, dark = (re.sub(r"\s+", " ", found) for found in re.findall(r":root \{(.*?)\}", whole, re.DOTALL)[:2])
    rules = " ".join(f"svg.chart {line[4:]}" for line in whole.splitlines() if line.startswith("svg "))
    colours = f"svg.chart {{{light}}} @media (prefers-color-scheme: dark) {{ svg.chart {{{dark}}} }}"
    return element("style", f"{colours} svg.chart {{ font-family: sans-serif; max-width: 100%; }} {rules}")
