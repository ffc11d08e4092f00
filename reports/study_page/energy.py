"""Where the energy of several groups goes, part by part, side by side."""

from __future__ import annotations

from rpusim.reports.page.svg import WIDTH, drawing, element, text, tip
from rpusim.reports.words import study
from rpusim.reports.words.readable import si
from rpusim.reports.words.study import Document, number

_NAMES, _BAR, _GAP, _RIGHT = 150.0, 15.0, 12.0, 84.0
_LINE, _LONGEST = 20.0, 52


def by_part(document: Document, chosen: list[int]) -> list[tuple[int, dict[str, float]]]:
    """Find the energy of a sample by part of groups, as far as their points tell it.

    Returns for each the group's number with means over its seeds (J).
    """
    points = study.by_id(document)
    found: list[tuple[int, dict[str, float]]] = []
    for index in chosen:
        named = [points[name] for name in document["groups"][index]["points"] if name in points]
        shares = [point["energy_by_part"] for point in named if point.get("energy_by_part")]
        if shares:
            parts = {name: None for share in shares for name in share}
            mean = {name: sum(number(share.get(name)) or 0.0 for share in shares) / len(shares) for name in parts}
            found.append((index, mean))
    return found


def parts(found: list[tuple[int, dict[str, float]]]) -> list[str]:
    """Order the parts of several groups, the one that takes most anywhere first."""
    names = {name: None for _, shares in found for name in shares}
    return sorted(names, key=lambda name: -max(shares.get(name, 0.0) for _, shares in found))


def energy(document: Document, chosen: list[int]) -> str:
    """Draw a bar for each group and part, all to one scale.

    chosen: the groups, at most as many as there are colours (`curves.MOST`).

    Returns the SVG element; nothing if no point tells its energy by part.
    """
    found = by_part(document, chosen)
    if not found:
        return ""
    names = parts(found)
    longest = max(shares.get(name, 0.0) for _, shares in found for name in names) or 1.0
    scale = (WIDTH - _NAMES - _RIGHT) / longest
    high = _BAR * len(found) + _GAP
    drawn, start = _legend([study.name(document, document["groups"][index]) for index, _ in found])
    for line, name in enumerate(names):
        top = start + line * high
        drawn.append(text(name, _NAMES - 12, top + _BAR * len(found) / 2 + 4, text_anchor="end"))
        for tone, (index, shares) in enumerate(found):
            joules, y = shares.get(name, 0.0), top + tone * _BAR
            words = f"{name} of {study.name(document, document['groups'][index])}: {si(joules, 'J')}"
            bar = {"x": _NAMES, "y": y + 1, "width": max(joules * scale, 1.0), "height": _BAR - 3}
            drawn.append(element("rect", tip(words), class_=f"tone{tone}", **bar))
            drawn.append(text(si(joules, "J"), _NAMES + bar["width"] + 6, y + 11, class_="mark"))
    label = f"Energy per sample by part of {len(found)} combinations"
    return drawing(*drawn, width=WIDTH, height=start + high * len(names), label=label)


def _legend(names: list[str]) -> tuple[list[str], float]:
    """Write which colour is whose, in two columns. Returns that, and where the drawing goes on below."""
    drawn = []
    for tone, name in enumerate(names):
        x, y = _NAMES + tone % 2 * (WIDTH - _NAMES) / 2, 4 + tone // 2 * _LINE
        drawn.append(element("rect", x=x, y=y, width=12.0, height=12.0, class_=f"tone{tone}"))
        cut = name if len(name) <= _LONGEST else name[: _LONGEST - 1] + "…"
        drawn.append(text(cut, x + 20, y + 11))
    return drawn, 16 + -(-len(names) // 2) * _LINE
