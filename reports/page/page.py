"""report.html: one self-contained page from a result document, and from the first events where they are at hand.

Everything is inline (style, drawings, a few lines of script that only filter a table), so the page can be mailed,
printed and read without a network. The template holds no arithmetic; figures come from `figures`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from markupsafe import Markup

from rpusim.reports.page import charts, error_curves, floor_plan, tornado, waterfall
from rpusim.reports.page.filling import TEMPLATES, template
from rpusim.reports.trace.recorded import Trace
from rpusim.reports.words import figures, insight, losses, wires
from rpusim.reports.words.figures import Document
from rpusim.reports.words.readable import age, count, percent, si, significant


def page(document: Document, events: Trace | None = None) -> str:
    """Write the report of a result.

    document:  what result.json holds.
    events:    the first events of the run (`Trace.of`, `Trace.read`), for the timeline of the first sample; None: there
               is no timeline.

    Returns the HTML document.
    """
    sources = figures.provenance(document)
    accuracy = document.get("accuracy")
    squares, left_out = charts.arrays(document)
    plan, plan_note = floor_plan.floor_plan(document)
    drawn, drawn_note, phases = charts.timeline(events, document) if events is not None else ("", "", [])
    wall = document.get("wall")
    return template("report.html").render(
        style=Markup((TEMPLATES / "report.css").read_text(encoding="utf-8")),
        script=Markup((TEMPLATES / "report.js").read_text(encoding="utf-8")),
        title=figures.title(document),
        subtitle=figures.subtitle(document),
        headlines=figures.headlines(document),
        bottleneck=document["bottleneck"]["sentence"],
        timed=figures.what_was_timed(document),
        standby=figures.standby(document),
        wires=wires.sentences(document),
        states=figures.energy_by_state(document),
        **_tornado(document),
        curve=Markup(error_curves.learning_curve(accuracy["curve"])) if accuracy and accuracy["curve"] else "",
        curve_rows=_curve_rows(accuracy["curve"]) if accuracy else [],
        **_aging(accuracy),
        **_waterfall(document),
        test_samples=count(accuracy["test_samples"]) if accuracy else "",
        reached=figures.reached(document),
        floor=Markup(plan),
        floor_note=plan_note,
        wear=figures.wear(document),
        wear_drawing=Markup(charts.wear(document["endurance"]["histogram"])) if "endurance" in document else "",
        endurance=document.get("endurance"),
        wear_rows=_wear_rows(document),
        breakdowns=[
            ("Energy per sample by part", "part", "", figures.energy_per_sample(document, "by_part")),
            ("by phase", "phase", "phases", figures.energy_per_sample(document, "by_phase")),
            ("by layer", "layer", "phases", figures.energy_per_sample(document, "by_layer")),
        ],
        **_insight(document),
        areas=figures.area_by_part(document),
        layers=list(figures.layer_rows(document)),
        arrays=[layer | {"squares": [Markup(s) for s in layer["squares"]]} for layer in squares],
        arrays_left_out=left_out,
        timeline=Markup(drawn),
        timeline_note=drawn_note,
        timeline_phases=phases,
        activity=figures.activity(document),
        sources=sources,
        source_count=sum(len(rows) for rows in sources.values()),
        assumed_count=sum(row.assumed for rows in sources.values() for row in rows),
        command=document.get("command"),
        wall=si(wall["seconds"], "s") if wall else "",
        version=document["version"],
    )


def _tornado(document: Document) -> dict[str, Any]:
    """Give the template what assumptions do to the energy; nothing from documents that do not say."""
    swings = figures.swings(document)
    if not swings:
        return {"tornado": "", "swings": [], "tried": ""}
    return {
        "tornado": Markup(tornado.tornado(swings, document["energy"]["per_sample_J"])),
        "swings": [(swing.field, swing.texts, swing.source) for swing in swings],
        "tried": count(document["sensitivity"]["assumptions"]),
    }


def _insight(document: Document) -> dict[str, Any]:
    """Give the template what is shown of the analysis; a document without one shows nothing."""
    if not document.get("analysis"):
        return {"analysed": False, "what_if": [], "language": insight.language(document)}
    return {
        "analysed": True,
        "path_shares": [(by, insight.path_shares(document, f"by_{by}")) for by in ("part", "phase", "layer")],
        "power": Markup(charts.power(document)),
        "peak": insight.peak_sentence(document),
        "utilisation": insight.utilisation(document),
        "rooflines": insight.rooflines(document),
        "matrices": [(side, insight.matrix(document, side)) for side in ("part", "layer")],
        "what_if": insight.what_if(document),
        "language": insight.language(document),
    }


def _seconds(value: float) -> str:
    return si(value, "s")


def _joules(value: float) -> str:
    return si(value, "J")


_AGING: tuple[tuple[str, str, Callable[[float], str]], ...] = (
    ("seconds_since_programming", "after programming", age),
    ("test_error", "test error", percent),
    ("test_error_uncompensated", "drift uncompensated", percent),
    ("seconds_per_inference", "time per inference", _seconds),
    ("joules_per_inference", "energy per inference", _joules),
    ("maintenance_seconds", "programming, measuring drift", _seconds),
    ("maintenance_joules", "its energy", _joules),
    ("compensation_seconds", "measuring drift alone", _seconds),
    ("compensation_joules", "its energy", _joules),
)
"""Columns of the table of ages: name in the document, title, and how a value is written."""


def _aging(accuracy: Document | None) -> dict[str, Any]:
    """Give the template error and cost over the time since programming; nothing unless the network was programmed."""
    points = accuracy.get("aging", []) if accuracy else []
    if not accuracy or not points:
        return {"aging": "", "aging_columns": [], "aging_rows": []}
    columns = [column for column in _AGING if column[0] in points[0]]
    return {
        "aging": Markup(error_curves.aging_curve(points, accuracy["test_error_floating_point"])),
        "aging_columns": [title for _, title, _ in columns],
        "aging_rows": [[shown(point[name]) for name, _, shown in columns] for point in points],
    }


def _waterfall(document: Document) -> dict[str, Any]:
    """Give the template where accuracy is lost; nothing where nobody asked."""
    found = document.get("waterfall")
    if not found:
        return {"waterfall": ""}
    return {
        "waterfall": Markup(waterfall.waterfall(found)),
        "waterfall_title": losses.title(found),
        "waterfall_sentence": losses.sentence(found),
        "waterfall_notes": losses.notes(found),
        "waterfall_head": losses.CAUSES_HEAD,
        "waterfall_rows": losses.cause_rows(found),
        "ratios": Markup(waterfall.signal_to_noise(found)),
        "ratios_note": f"{losses.RATIO_WORDS} Of the first {count(found['layer_samples'])} test samples.",
        "ratios_head": losses.LAYERS_HEAD,
        "ratios_rows": losses.layer_rows(found),
    }


def _curve_rows(curve: list[dict[str, float]]) -> list[list[str]]:
    """Write the learning curve as a table, a row of texts for each epoch."""
    return [
        [
            str(point["epoch"]),
            percent(point["test_error"]),
            percent(point["test_error_floating_point"]),
            significant(point["train_loss"]),
            si(point["seconds"], "s"),
            si(point["joules"], "J"),
            significant(point["pulses_per_cell"]) if "pulses_per_cell" in point else "",
        ]
        for point in curve
    ]


def _wear_rows(document: Document) -> list[list[str]]:
    """Write the pulses per cell as a table, a row of texts for each array."""
    return [
        [
            row["layer"],
            str(row["array"]),
            count(row["cells"]),
            *(significant(row[n]) for n in ("mean", "median")),
            count(row["largest"]),
        ]
        for row in document.get("endurance", {}).get("arrays", [])
    ]
