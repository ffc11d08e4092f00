"""The page of `rpusim learn`: one self-contained HTML file from its document (learn.json), and its bars."""

from __future__ import annotations

from pathlib import Path

from markupsafe import Markup

from rpusim.reports.page.filling import TEMPLATES, template
from rpusim.reports.page.svg import WIDTH, drawing, element, text, tip
from rpusim.reports.words import learn
from rpusim.reports.words.learn import Document

FOLDER = Path(__file__).parent / "templates"
_LEFT, _RIGHT, _TOP, _ROW = 210.0, 150.0, 34.0, 34.0


def page(document: Document) -> str:
    """Write the page. document: of schema ``rpusim-learn-1``. Returns the HTML document."""
    style = "\n".join(path.read_text(encoding="utf-8") for path in (TEMPLATES / "report.css", FOLDER / "learn.css"))
    return template("learn.html", FOLDER).render(
        style=Markup(style),
        title=learn.title(document),
        subtitle=learn.subtitle(document),
        sentence=document["sentence"],
        bars=Markup(bars(document)),
        table=learn.table(document),
        notes=learn.notes(document),
        failures=[(row["title"], row["why"]) for row in document["algorithms"] if "why" in row],
        command=document.get("command"),
    )


def bars(document: Document) -> str:
    """Draw the test error of every algorithm as a bar with its 95 % interval, and floating point as a line."""
    rows = [row for row in document["algorithms"] if "error" in row]
    most = max([document["guessing_error"], *(row["error"]["mean"] for row in rows)])
    right, height = WIDTH - _RIGHT, _TOP + _ROW * len(rows) + 34.0

    def x(error: float) -> float:
        return _LEFT + (right - _LEFT) * float(min(max(error, 0.0), most) / most)

    base = _TOP + _ROW * len(rows)
    drawn: list[str] = []
    labels: list[str] = []
    for tick in (0.0, 0.2, 0.4, 0.6, 0.8, 1.0):
        if tick <= most:
            drawn.append(element("line", x1=x(tick), x2=x(tick), y1=_TOP, y2=base, class_="grid"))
            drawn.append(text(f"{tick:.0%}", x(tick), base + 18, text_anchor="middle"))
    drawn.append(text("test error", right + 12, base + 18))
    for number, row in enumerate(rows):
        y, error = _TOP + _ROW * number, row["error"]
        words_of = f"{row['title']}: {learn.percent(error['mean'])} ({row['verdict']})"
        drawn.append(text(row["title"], _LEFT - 12, y + 21, text_anchor="end", class_="name"))
        tone = "bar " + row["verdict"].replace(" ", "-")
        width = max(x(error["mean"]) - _LEFT, 1.0)
        drawn.append(element("rect", tip(words_of), x=_LEFT, y=y + 7, width=width, height=_ROW - 14, class_=tone))
        ends = x(error["low"]), x(error["high"])
        drawn.append(element("line", x1=ends[0], x2=ends[1], y1=y + 17, y2=y + 17, class_="interval"))
        labels.append(
            text(f"{learn.percent(error['mean'])}, {row['verdict']}", max(ends[1], _LEFT) + 8, y + 21, class_="value")
        )
    floating = document["floating_point_error"]
    if floating is not None:
        at = x(floating)
        drawn.append(element("line", x1=at, x2=at, y1=_TOP - 6, y2=base, class_="floating"))
        drawn.append(text(f"floating point {learn.percent(floating)}", at + 6, _TOP - 10, class_="floating"))
    return drawing(*drawn, *labels, width=WIDTH, height=height, label="Test error of every algorithm, the best first")
