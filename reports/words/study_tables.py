"""What the terminal shows of a study and of a comparison: rich tables, with the words of `study` and `compare`."""

from __future__ import annotations

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from rpusim.reports.words import claims, compare, study
from rpusim.reports.words.compare import Row
from rpusim.reports.words.study import Document, metrics, setting, short_names

MOST_ROWS = 30
"""So many combinations, numbers or failures are listed; what is left out is counted."""
_SIDE_BY_SIDE = 6
_MOST_SETTINGS, _LONGEST = 4, 24
"""So many settings have a column; of more, those that take the most values."""


def front(document: Document) -> RenderableType:
    """Show a study: what was asked, the answer, the front, and what has no result.

    document: what study.json holds, of schema ``rpusim-study-1``; it may be unfinished.

    Returns something that a rich console prints.
    """
    order = study.ordered(document)
    best = [index for index in order if document["groups"][index].get("front")]
    parts: list[RenderableType] = [
        Text(document.get("title") or document["name"], style="bold"),
        Text(study.subtitle(document), style="dim"),
        "",
        *([Text(study.question(document))] if study.question(document) else []),
        Text(document["answer"], style="bold"),
        "",
    ]
    if best:
        parts += [Text(f"the front: {len(best)} of {len(order)} combinations", style="bold"), _groups(document, best)]
    else:
        parts += [Text("no combination is on a front", style="bold"), _groups(document, order)]
    parts += ["", Text(study.intervals(document), style="dim")]
    if found := claims.rows(document):
        parts += ["", Text("published, and found here", style="bold"), _claims(found)]
        parts += [Text(claims.counted(document), style="bold")]
    if limits := study.constraints(document):
        parts.append(Text(f"constraints: {'; '.join(limits)}", style="dim"))
    if failed := study.failures(document):
        parts += ["", Text("without a result", style="bold"), _failures(failed)]
    return Group(*parts, "", Text(study.work(document), style="dim"))


def _claims(rows: list[claims.Row]) -> Table:
    """Tabulate published figures beside ours."""
    table = _table(("figure", "left"), ("published", "left"), ("found", "left"), ("", "left"))
    for row in rows:
        table.add_row(Text(row.case), Text(row.published), Text(row.ours), Text(row.verdict))
    return table


def comparison(document: Document) -> RenderableType:
    """Show runs side by side: what differs, the figures, learning curves, and energy by part.

    document: of schema ``rpusim-compare-1``.

    Returns something that a rich console prints.
    """
    numbers = compare.numbers(document)
    parts: list[RenderableType] = [
        Text(compare.title(document), style="bold"),
        Text(compare.subtitle(document), style="dim"),
        "",
        Text(compare.answer(document)),
        "",
    ]
    sections = [
        ("what differs", [*compare.settings(document), compare.seeds(document)]),
        (_heading("numbers that went in and differ", numbers), numbers[:MOST_ROWS]),
        ("figures", compare.figures(document)),
        (f"as multiples of {study.name(document, document['groups'][0])}", compare.ratios(document)),
        ("test error after epochs", compare.curves(document)),
        ("energy per sample, by part", compare.energy(document)),
    ]
    if len(document["groups"]) <= _SIDE_BY_SIDE:
        for heading, rows in sections:
            if rows:
                parts += [Text(heading, style="bold"), _side_by_side(document, rows), ""]
    else:
        order = study.ordered(document)
        parts += [_groups(document, order), ""]
        if numbers:
            parts += [Text(f"{len(numbers)} numbers that went in differ; --json and --out list them", style="dim"), ""]
    return Group(*parts, Text(compare.intervals(document), style="dim"))


def _heading(words: str, rows: list[Row]) -> str:
    """Say in a heading how many rows there are, if not all of them are shown."""
    return f"{words} ({MOST_ROWS} of {len(rows)}; --json and --out list all)" if len(rows) > MOST_ROWS else words


def _table(*columns: tuple[str, str]) -> Table:
    """Make a plain table; columns: their names, and whether they are justified left or right."""
    table = Table(box=None, pad_edge=False, header_style="dim", padding=(0, 2, 0, 0))
    for name, side in columns:
        table.add_column(name, justify="right" if side == "right" else "left", overflow="fold")
    return table


def _side_by_side(document: Document, rows: list[Row]) -> Table:
    """Tabulate rows of a comparison, a column for each group."""
    names = [study.name(document, group) for group in document["groups"]]
    table = _table(("", "left"), *((name, "left") for name in names))
    for row in rows:
        table.add_row(Text(row.label), *(Text(cell) for cell in row.cells))
    return table


def _groups(document: Document, order: list[int]) -> RenderableType:
    """Tabulate groups, a row for each: settings, goals with their intervals, seeds, and how they stand."""
    taken = sorted(document["settings"], key=lambda each: -len(each["values"]))[:_MOST_SETTINGS]
    paths = [each["path"] for each in document["settings"] if each in taken]
    names = short_names([each["path"] for each in document["settings"]])
    goals = metrics(document)[: len(document["goals"])]
    named = any(group.get("name") for group in document["groups"])
    columns = [("run", "left")] if named else []
    columns += [(names[path], "left") for path in paths] + [(goal.label, "right") for goal in goals]
    counts = [group.get("seeds", 1) for group in document["groups"]]
    stands = [study.states(document, document["groups"][index]) for index in order]
    several, alike = max(counts, default=1) > 1, set(stands) <= {"front"} or set(stands) <= {""}
    table = _table(*columns, *([("seeds", "right")] if several else []), *([] if alike else [("", "left")]))
    for index, stand in list(zip(order, stands, strict=True))[:MOST_ROWS]:
        group = document["groups"][index]
        cells = [study.name(document, group)] if named else []
        cells += [_cut(setting(group["settings"].get(path))) for path in paths]
        cells += [goal.among(group["metrics"].get(goal.name)) for goal in goals]
        cells += ([str(counts[index])] if several else []) + ([] if alike else [stand])
        table.add_row(*(Text(cell) for cell in cells))
    below = [f"and {len(order) - MOST_ROWS} more"] if len(order) > MOST_ROWS else []
    if left_out := len(document["settings"]) - len(paths):
        below.append(f"{left_out} more settings vary, which have no column here")
    return Group(table, *(Text(words, style="dim") for words in below))


def _cut(words: str) -> str:
    """Cut what is too long for a column."""
    return words if len(words) <= _LONGEST else f"{words[: _LONGEST - 1]}…"


def _failures(failed: list[tuple[str, str, str]]) -> RenderableType:
    """Tabulate points without a result, with the sentence why."""
    table = _table(("point", "left"), ("", "left"), ("why", "left"))
    for point, state, why in failed[:MOST_ROWS]:
        table.add_row(Text(point), state, Text(why))
    if len(failed) <= MOST_ROWS:
        return table
    return Group(table, Text(f"and {len(failed) - MOST_ROWS} more", style="dim"))
