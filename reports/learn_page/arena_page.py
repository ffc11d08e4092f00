"""The page of `rpusim arena`: one self-contained HTML file from its document (arena.json), and its map of errors."""

from __future__ import annotations

from markupsafe import Markup

from rpusim.reports.learn_page.page import FOLDER
from rpusim.reports.page.filling import TEMPLATES, template
from rpusim.reports.page.svg import drawing, element, figure, text, tip
from rpusim.reports.words import arena
from rpusim.reports.words.arena import Document

_LEFT, _TOP, _WIDE, _ROW = 256.0, 92.0, 58.0, 26.0
_SHEET = """
.paper { fill: #ffffff; } text { fill: #24292f; font: 13px system-ui, sans-serif; } text.error { font-size: 12px; }
"""


def page(document: Document) -> str:
    """Write the page. document: of schema ``rpusim-arena-1``. Returns the HTML document."""
    style = "\n".join(path.read_text(encoding="utf-8") for path in (TEMPLATES / "report.css", FOLDER / "learn.css"))
    return template("arena.html", FOLDER).render(
        style=Markup(style),
        title=arena.TITLE,
        subtitle=arena.subtitle(document),
        sentence=arena.sentence(document),
        errors=Markup(errors(document)),
        table=arena.table(document),
        notes=arena.notes(document),
        studies=[(states, f"states-{states}/report.html") for states in document["states"]],
        command=document.get("command"),
    )


def errors(document: Document, alone: bool = False) -> str:
    """Draw the mean test error of every row on every device, the best row on top.

    alone: as a file of its own. Green is the best of a device, white is what guessing comes to.
    """
    devices, rows = arena.devices(document), document["league"]
    places = {(place["row"], place["states"], place["reference"]): place for place in document["places"]}
    width, height = _LEFT + _WIDE * len(devices) + 10, _TOP + _ROW * len(rows) + 10
    drawn: list[str] = []
    for number, (states, reference) in enumerate(devices):
        x = _LEFT + _WIDE * number
        if number % len(document["references"]) == 0:
            drawn.append(text(f"{states} states", x, 18.0, class_="name"))
        mean, spread = (document["references"][reference][each] for each in ("mean", "std"))
        drawn.append(text(f"{mean:g}", x, 58.0))
        drawn.append(text(f"± {spread:g}", x, 76.0))
    drawn.append(text("reference", _LEFT - 12, 58.0, text_anchor="end"))
    for line, row in enumerate(rows):
        y = _TOP + _ROW * line
        drawn.append(text(row["row"], _LEFT - 12, y + 18, text_anchor="end", class_="name"))
        for number, device in enumerate(devices):
            place = places.get((row["row"], *device))
            if place is not None:
                drawn.append(_cell(document, place, _LEFT + _WIDE * number, y))
    label = "Test error of every algorithm on every device, the best mean rank on top"
    if alone:
        return figure(label, _SHEET, width, height, *drawn)
    return drawing(*drawn, width=width, height=height, label=label)


def _cell(document: Document, place: Document, x: float, y: float) -> str:
    """Draw one place: its error in percent, on a ground that is the greener the less it is."""
    if "error" not in place:
        return text("—", x + _WIDE / 2 - 4, y + 18)
    error = place["error"]["mean"]
    share = min(max(1.0 - error / document["guessing_error"], 0.0), 1.0)
    ground = element(
        "rect",
        tip(arena.tip(place)),
        x=x,
        y=y + 1,
        width=_WIDE - 4,
        height=_ROW - 3,
        fill="#2f9e62",
        fill_opacity=f"{0.75 * share:.2f}",
    )
    weight = "700" if place["learns"] else "400"
    words = text(
        f"{100 * error:.1f}", x + _WIDE / 2 - 2, y + 18, text_anchor="middle", class_="error", font_weight=weight
    )
    return ground + words
