"""What the terminal shows: rich tables of a result or a placement. Formatting only; figures come from `figures`."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from rich.columns import Columns
from rich.console import Console, Group, RenderableType
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from rpusim.reports.words import figures, fitting, insight, losses, wires
from rpusim.reports.words.figures import Document, Share
from rpusim.reports.words.readable import area, count, percent


def console(stderr: bool = False) -> Console:
    """Make a console that does not colour numbers by itself."""
    return Console(stderr=stderr, highlight=False)


def result(document: Document) -> RenderableType:
    """Show everything a run or a timing has to say, on one screen."""
    return Group(
        Text(figures.title(document), style="bold"),
        Text(figures.subtitle(document), style="dim"),
        "",
        headlines(document),
        "",
        Columns(
            [
                _shares("energy per sample, by part", figures.energy_per_sample(document, "by_part")),
                _shares("by state", figures.energy_by_state(document)[0]),
                _shares("by phase", figures.energy_per_sample(document, "by_phase")),
                _shares("by layer", figures.energy_per_sample(document, "by_layer")),
                _shares("area, by part", figures.area_by_part(document)),
            ],
            padding=(0, 4, 1, 0),
        ),
        Text(document["bottleneck"]["sentence"]),
        *(Text(sentence) for sentence in figures.standby(document)),
        *(Text(sentence) for sentence in wires.sentences(document)),
        *(Text(sentence) for sentence in (fitting.reloading(document),) if sentence),
        *(Text(sentence) for sentence in (figures.reached_sentence(document), figures.wear(document)) if sentence),
        *_insight(document),
        *(("", losses.shown(document["waterfall"]), "") if "waterfall" in document else ()),
        Text(figures.what_was_timed(document), style="dim"),
    )


def validation(rows: list[Document], counts: dict[str, dict[str, int]]) -> RenderableType:
    """Tabulate published figures beside simulated ones, kind by kind, the accounts of known misses, and how many hold.

    rows: of the studies in `rpusim.workloads.studies.validate`. counts: of these rows, by kind and verdict.
    """
    parts: list[RenderableType] = []
    for kind, count_of in counts.items():
        chosen = [row for row in rows if row["kind"] == kind]
        if chosen:
            verdicts = ", ".join(f"{verdict} {number}" for verdict, number in list(count_of.items())[1:] if number)
            parts += [Text(f"{kind}: {count_of['rows']} rows; {verdicts}", style="bold"), _compared(chosen), ""]
    missing = [row for row in rows if row["known_miss"]]
    if missing:
        parts.append(Text("known misses, and why", style="bold"))
    for row in missing:
        parts.append(Text(f"{row['case']} ({row['verdict']}): {row['known_miss']}"))
    wrong = [row["case"] for row in rows if not row["passes"]]
    return Group(*parts, "", Text(f"rows that fail: {'; '.join(wrong)}" if wrong else "no row fails"))


def _compared(rows: list[Document]) -> Table:
    """Tabulate rows of one kind."""
    table = Table(box=None, pad_edge=False, header_style="dim", padding=(0, 2, 0, 0))
    for name in ("case", "published", "simulated", "unit", "difference", "tolerance", "verdict", "source"):
        table.add_column(name, justify="right" if name in ("published", "simulated", "difference") else "left")
    for row in rows:
        published, simulated = (f"{row[name]:.4g}" for name in ("published", "simulated"))
        source = f"{row['source']} ({row['provenance']})" + (f"; {row['note']}" if row["note"] else "")
        if "low" in row and row["low"] != row["high"]:
            simulated += f" ({row['low']:.4g} to {row['high']:.4g})"
        difference = "" if row["difference"] is None else f"{row['difference']:+.1%}"
        cells = (published, simulated, row["unit"], difference, row["tolerance"], row["verdict"], source)
        table.add_row(row["case"], *cells)
    return table


def _insight(document: Document) -> Iterator[RenderableType]:
    """Give the critical path and the peak of power in a sentence each, and what other chips would change."""
    if document.get("analysis"):
        yield Text(insight.path_sentence(document))
        yield Text(insight.peak_sentence(document))
    for sentence in insight.language(document):
        yield Text(sentence)
    if outcomes := insight.what_if(document):
        yield Group("", Text("what if", style="bold"), *(Text(sentence) for sentence in outcomes), "")


def placement(document: Document) -> RenderableType:
    """Tabulate where every layer lies, with the totals of the chip; document: of `rpusim.map_network`."""
    table = Table(box=None, pad_edge=False, header_style="dim", padding=(0, 2, 0, 0))
    for name in ("layer", "kind"):
        table.add_column(name)
    for name in ("outputs × inputs", "vectors", "weights", "MACs"):
        table.add_column(name, justify="right")
    table.add_column("on")
    for row in figures.layer_rows(document):
        table.add_row(*(row[key] for key in ("name", "kind", "matrix", "vectors", "weights", "macs", "place")))
    totals = document["totals"]
    sums = (
        f"{count(totals['weights'])} weights on {count(totals['arrays'])} arrays of {count(totals['tiles'])} "
        f"tiles, {percent(totals['utilisation'])} of their cells used; {count(totals['macs'])} "
        f"multiply-accumulates per sample; the chip has {area(totals['area_m2'])}."
    )
    if document["fit"] != "as-is":
        sums += f" Fit: {document['fit']}."
    if totals["products"]:
        sums += f" {count(totals['products'])} more multiply activations, in digital units."
    if sentence := fitting.reloading(document):
        sums += f" {sentence}"
    for said in document["assumed"]:
        sums += f" Assumed of {said}."
    return Group(Text(f"{document['network']} on {document['chip']}", style="bold"), "", table, "", Text(sums))


def catalogue(lists: dict[str, list[dict[str, Any]]]) -> RenderableType:
    """List what ships, by kind, a line for each: its name, and as much of its title as the line holds.

    lists: kind to its entries of ``name`` and ``title``.
    """
    parts: list[RenderableType] = []
    for kind, entries in lists.items():
        row = Table.grid(padding=(0, 2), expand=True)
        row.add_column(no_wrap=True, width=max(len(entry["name"]) for entry in entries))
        row.add_column(no_wrap=True, overflow="ellipsis", ratio=1)
        for entry in entries:
            row.add_row(entry["name"], entry["title"])
        parts += [Text(kind, style="bold"), Padding(row, (0, 0, 1, 2))]
    return Group(*parts)


def of_kind(entries: list[dict[str, Any]]) -> RenderableType:
    """List what ships of one kind, each with its whole title, its source, and of cost cards part, node and path."""
    parts: list[RenderableType] = []
    for entry in entries:
        more = "  ".join(entry[key] for key in ("part", "node", "path") if key in entry)
        parts.append(Text(f"{entry['name']}  ", style="bold").append(more, style="not bold"))
        told = (entry["title"], entry["source"] if entry["source"] != entry["title"] else "")
        parts.append(Padding(Group(Text(told[0]), *([Text(told[1], style="dim")] if told[1] else [])), (0, 0, 1, 2)))
    return Group(*parts)


def explained(found: list[dict[str, str]]) -> RenderableType:
    """Tell what fields mean; fields of several blocks that are alike are told together.

    found: each with path, meaning, unit, accepted, default, source and of, as `rpusim.reports.guide.fields.Field`.
    """
    told: dict[tuple[str, ...], list[tuple[str, str]]] = {}
    for each in found:
        same = tuple(value for key, value in each.items() if key not in ("path", "of"))
        told.setdefault(same, []).append((each["path"], each["of"]))
    parts: list[RenderableType] = []
    for (meaning, unit, accepted, default, source), places in told.items():
        row = Table.grid(padding=(0, 2))
        row.add_column(style="dim", no_wrap=True)
        row.add_column()
        for label, words in (
            ("of", ", ".join(of for _, of in places if of)),
            ("unit", unit),
            ("accepted", accepted),
            ("default", default or "none: it has to be given"),
            ("source", source),
        ):
            if words:
                row.add_row(label, words)
        paths = ", ".join(dict.fromkeys(path for path, _ in places))
        parts += [Text(paths, style="bold"), Padding(Group(Text(meaning), row), (0, 0, 1, 2))]
    return Group(*parts)


def examined(found: Document) -> RenderableType:
    """Tell what a machine has; found: as `rpusim.reports.guide.doctor.examined` returns it."""
    loops = found["loops"]
    kept = f"{count(round(loops['bytes'] / 2**20))} MiB in {loops['folder']}"
    row = Table.grid(padding=(0, 2))
    row.add_column(style="dim", no_wrap=True)
    row.add_column()
    row.add_row("rpusim", f"{found['rpusim']}, Python {found['python']}, {found['system']}")
    row.add_row("computes on", f"{found['cores']} cores, {found['memory_bytes'] / 2**30:.1f} GiB of memory")
    for label, told in _accelerator(found["accelerator"]):
        row.add_row(label, Text(told))
    row.add_row(
        "compiled loops",
        kept if loops["can_be_kept"] else "cannot be kept, so that every process compiles them again (NUMBA_CACHE_DIR)",
    )
    for name, rows in {"always needed": found["packages"], **found["extras"]}.items():
        lacking = [each for each in rows if not each["ok"]]
        has = ", ".join(f"{each['name']} {each['found']}" for each in rows if each["ok"])
        wants = ", ".join(f"{each['name']}{each['wanted']}" for each in lacking)
        how = "" if name == "always needed" else f" (pip install 'rpusim[{name}]')"
        told = "; ".join(each for each in (has, f"missing: {wants}{how}" if lacking else "") if each)
        row.add_row(name, Text(told))  # brackets are no markup
    return row


def _accelerator(found: Document) -> list[tuple[str, str]]:
    """Tell whether there is a GPU, which way its tensors take, and what learning takes of its memory."""
    gpus = ", ".join(f"{each['name']} with {each['memory_bytes'] / 2**30:.1f} GiB" for each in found["gpus"])
    cuda = "without CUDA" if found["cuda"] is None else f"with CUDA {found['cuda']}, {gpus or 'no GPU'}"
    triton = "no Triton" if found["triton"] is None else f"Triton {found['triton']}"
    memory = ", ".join(f"{name} {each:.0f}" for name, each in found["bytes_per_cell"].items())
    told = f"torch {found['torch']} {cuda}; {triton}; bytes for a weight that learns: {memory}"
    return [("accelerator", found["way"]), ("GPU", told)]


def headlines(document: Document) -> Table:
    """Tabulate the headline figures, one a line."""
    table = Table(box=None, show_header=False, pad_edge=False, padding=(0, 2, 0, 0))
    table.add_column(style="dim", no_wrap=True)
    table.add_column(style="bold", justify="right", no_wrap=True)
    table.add_column(style="dim")
    for figure in figures.headlines(document):
        table.add_row(figure.label, figure.text, figure.note)
    return table


def _shares(heading: str, shares: list[Share]) -> Table:
    """Tabulate one breakdown under its heading."""
    table = Table(title=heading, title_justify="left", title_style="bold", box=None, show_header=False, pad_edge=False)
    table.add_column(no_wrap=True)
    table.add_column(justify="right", no_wrap=True)
    table.add_column(justify="right", style="dim", no_wrap=True)
    for share in shares:
        table.add_row(share.name, share.text, share.percent)
    return table
