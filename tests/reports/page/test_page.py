"""The report: self-contained, well formed, and with the document's figures in it."""

from __future__ import annotations

import re
from html.parser import HTMLParser

import numpy as np
import pytest

from rpusim.arch.contract.activity import Phase
from rpusim.reports.page import charts, error_curves
from rpusim.reports.page.page import page
from rpusim.reports.trace.recorded import Trace
from rpusim.reports.words import figures, readable

VOID = {"meta", "input", "br", "link", "img"}


class Reader(HTMLParser):
    """Collects text and attributes; fails where tags do not nest."""

    def __init__(self):
        super().__init__()
        self.open, self.words, self.attributes, self.tags = [], [], [], []

    def handle_starttag(self, tag, attributes):
        self.tags.append(tag)
        self.attributes += attributes
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attributes):
        self.tags.append(tag)
        self.attributes += attributes

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.words.append(data)

    @property
    def text(self):
        return " ".join(" ".join(self.words).split())


def read(html):
    reader = Reader()
    reader.feed(html)
    reader.close()
    assert reader.open == []
    return reader


@pytest.fixture(scope="module")
def html(short_run):
    return (short_run.folder / "report.html").read_text()


@pytest.fixture(scope="module")
def timed_html(timed):
    return page(timed.document, Trace.of(timed))


def test_the_page_parses_and_every_tag_is_closed(html, timed_html):
    read(html)
    read(timed_html)


def test_nothing_is_loaded_from_anywhere(html, timed_html):
    for written in (html, timed_html):
        assert not re.search(r"https?:|//[\w.]+/|@import|url\(", written)
        reader = read(written)
        assert not {"link", "img", "iframe", "object", "embed"} & set(reader.tags)
        assert not [name for name, _ in reader.attributes if name in ("src", "href", "srcset", "xlink:href")]


def test_every_headline_and_share_is_on_the_page(html, short_run):
    text = read(html).text
    document = short_run.document
    for figure in figures.headlines(document):
        assert f"{figure.label} {figure.text} {figure.note}" in text
    for by in ("by_part", "by_phase", "by_layer"):
        for share in figures.energy_per_sample(document, by):
            assert f"{share.name} {share.text} {share.percent}" in text
    for share in figures.area_by_part(document):
        assert f"{share.name} {share.text} {share.percent}" in text
    assert document["bottleneck"]["sentence"] in text
    assert document["command"] in text


def test_every_number_of_the_provenance_has_its_source_on_the_page(html, short_run):
    text = read(html).text
    for row in short_run.document["provenance"]:
        assert readable.quantity(row["value"], row["unit"]) in text
        assert " ".join(row["source"].split()) in text
    assert f"{len(short_run.document['provenance'])} numbers went in" in text


def test_shares_of_a_breakdown_sum_to_the_whole(short_run):
    for by in ("by_part", "by_phase", "by_layer"):
        assert sum(share.fraction for share in figures.energy_per_sample(short_run.document, by)) == pytest.approx(1)
    assert sum(share.fraction for share in figures.area_by_part(short_run.document)) == pytest.approx(1)


def test_drawings_are_labelled_in_words(html):
    drawings = re.findall(r"<svg [^>]*>(.{0,30})", html)
    assert drawings
    assert all(inside.startswith("<title>") for inside in drawings)
    reader = read(html)
    assert dict(reader.attributes)["lang"] == "en"


def test_both_colour_schemes_define_the_same_colours():
    from rpusim.reports.page.filling import TEMPLATES

    css = (TEMPLATES / "report.css").read_text()
    schemes = [set(re.findall(r"(--[\w-]+):", block)) for block in re.findall(r":root \{([^}]*)\}", css)]
    assert len(schemes) == 3, "light, dark, print"
    assert schemes[0] == schemes[1] == schemes[2]
    assert set(re.findall(r"var\((--[\w-]+)\)", css)) == schemes[0]


def test_without_training_there_is_no_curve_and_the_assumption_is_said(timed_html, timed):
    text = read(timed_html).text
    assert "Does it learn?" not in text
    assert timed.document["assumption"] in text


def test_what_unit_cells_do_between_updates_is_counted_and_coloured(timed_html, transferred):
    html = page(transferred.document, Trace.of(transferred))
    text, counts = read(html).text, transferred["activity"]
    for phase in ("transfer", "maintenance"):
        for figure in figures._between(phase, counts[phase]):
            assert f"{figure.label} {figure.note} {figure.text}" in text
        assert f'class="{phase}"' in html
        assert f"Slices read, {phase}" not in read(timed_html).text
    assert f"(at most {counts['staleness']['largest']}) have changed its weights" in text


def test_where_nothing_wears_out_the_page_says_why(short_run):
    endurance = dict(short_run.document["endurance"], source="charge wears nothing out")
    for key in ("pulses_to_failure", "lifetime"):
        endurance.pop(key, None)
    assert "Endurance: charge wears nothing out." in page({**short_run.document, "endurance": endurance})


def test_names_are_escaped(timed):
    document = timed.document | {"title": "<script>alert(1)</script>"}
    assert "<script>alert" not in page(document)


def test_the_first_sample_ends_before_the_second_begins(short_run, timed):
    for trace, document in ((Trace.read(short_run.folder), short_run.document), (Trace.of(timed), timed.document)):
        vectors = [layer["vectors"] for layer in document["layers"]]
        first = trace.first_sample(vectors)
        seconds = first["end"].max() * 1e-12
        assert seconds == pytest.approx(document["time"]["per_sample_s"], rel=0.02)
        for layer, count in enumerate(vectors):
            updates = (first["phase"] == Phase.UPDATE) & (first["layer"] == layer)
            pulses = updates & (first["op"] == first.ops.index("PULSE"))
            on_arrays = pulses & np.array([trace.stations[s].split()[-2] == "array" for s in first["station"]])
            assert on_arrays.sum() == count * len(document["layers"][layer]["tiles"])


def test_the_timeline_draws_every_unit_that_works(short_run):
    trace = Trace.read(short_run.folder)
    drawing, note, phases = charts.timeline(trace, short_run.document)
    first = trace.first_sample([layer["vectors"] for layer in short_run.document["layers"]])
    for station in np.unique(first["station"]):
        assert f">{trace.stations[station]}<" in drawing or f">{trace.stations[station]}: fc" in drawing
    assert f"{len(first)} events" in note
    assert phases == ["forward", "backward", "update"]


@pytest.mark.parametrize(
    "errors",
    [[0.5], [0.0], [0.9, 0.9], [0.9, 0.03, 0.0], [0.9, 0.5, 0.031, 0.0294], [1.0, 1.0], [0.002, 0.0011]],
)
def test_a_learning_curve_stays_inside_its_frame(errors):
    curve = [
        {
            "epoch": i + 1,
            "seconds": (i + 1) * 1e-3,
            "joules": (i + 1) * 1e-6,
            "pulses_per_cell": 40.0 * i,
            "train_loss": 1.0,
            "test_error": error,
            "test_error_floating_point": error / 2,
        }
        for i, error in enumerate(errors)
    ]
    drawn = error_curves.learning_curve(curve)
    heights = [float(y) for y in re.findall(r'cy="([\d.-]+)"', drawn)]
    assert len(heights) == 2 * len(errors)
    assert all(70 <= y <= 290 for y in heights)
    assert "nan" not in drawn


def test_blocks_are_drawn_to_scale(timed):
    layers, left_out = charts.arrays(timed.document)
    assert left_out == 0
    assert [len(layer["squares"]) for layer in layers] == [len(layer["tiles"]) for layer in timed.document["layers"]]
    rows, columns = timed.document["layers"][1]["rows"], timed.document["layers"][1]["columns"]
    width, height = re.findall(r'width="([\d.]+)" height="([\d.]+)" class="block"', layers[1]["squares"][0])[0]
    assert float(width) / float(height) == pytest.approx(columns / rows, rel=0.05)


def test_very_large_placements_say_what_they_leave_out(timed):
    layer = timed.document["layers"][0]
    many = timed.document | {"layers": [layer | {"tiles": layer["tiles"] * 1000}]}
    drawn, left_out = charts.arrays(many)
    assert len(drawn[0]["squares"]) == charts.MOST_ARRAYS
    assert left_out == 1000 - charts.MOST_ARRAYS
