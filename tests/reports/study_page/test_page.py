"""The page of a study: whole without a script, light, self-contained, and true to its document."""

from __future__ import annotations

import io
import json
import re
from html.parser import HTMLParser

import pytest
import study_documents
from hypothesis import given, settings
from hypothesis import strategies as st
from rich.console import Console

from rpusim.reports.cli.schema import problem, schema_of
from rpusim.reports.page.filling import TEMPLATES
from rpusim.reports.study_page import page, report
from rpusim.reports.study_page.axes import axes, metric_axis, setting_axis
from rpusim.reports.study_page.front import FRAME, best_pairs, listed
from rpusim.reports.study_page.report import FOLDER, figure_style
from rpusim.reports.study_page.table import address
from rpusim.reports.words import study, study_tables
from rpusim.reports.words.study import Metric

VOID = {"meta", "input", "br", "link", "img"}
FEW = settings(max_examples=20, deadline=None)


class Reader(HTMLParser):
    """Collects tags, attributes and words; fails where tags do not nest."""

    def __init__(self, html):
        super().__init__()
        self.open, self.words, self.tags = [], [], []
        self.feed(html)
        self.close()
        assert self.open == []
        self.text = " ".join(" ".join(self.words).split())

    def handle_starttag(self, tag, attributes):
        self.tags.append((tag, dict(attributes)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attributes):
        self.tags.append((tag, dict(attributes)))

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        if not {"script", "style"} & set(self.open):
            self.words.append(data)


@pytest.fixture(scope="module")
def grid():
    return study_documents.grid(failed=4, most_area=1.5e-4)


@pytest.fixture(scope="module")
def html(grid):
    return page(grid)


def data_of(html):
    return json.loads(re.search(r'<script type="application/json" id="data">(.*?)</script>', html, re.DOTALL)[1])


@st.composite
def studies(draw):
    """Documents of studies of every kind, with few or many combinations, in which metrics may lack or be words."""
    number = draw(st.integers(1, 30))
    document = study_documents.scattered(
        number,
        seeds=draw(st.integers(1, 3)),
        kind=draw(st.sampled_from(["run", "time"])),
        most_area=draw(st.sampled_from([None, 3e-5])),
        failed=draw(st.integers(0, 5)),
        epochs=draw(st.integers(1, 4)),
        pages=draw(st.booleans()),
    )
    for group in document["groups"]:
        for name in draw(st.sets(st.sampled_from(sorted(group["metrics"])), max_size=2)):
            if draw(st.booleans()):
                del group["metrics"][name]
            else:
                group["metrics"][name] = {"mean": "inf", "low": "inf", "high": "inf", "n": 1}
    return document


@FEW
@given(studies())
def test_every_study_has_a_whole_page_with_its_answer_and_a_row_for_each_combination(document):
    reader = Reader(page(document))
    assert document["question"] in reader.text
    assert document["answer"] in reader.text
    rows = [attributes for tag, attributes in reader.tags if tag == "tr" and "data-g" in attributes]
    assert sorted(int(row["data-g"]) for row in rows) == list(range(len(document["groups"])))
    assert not any("nan" in str(value) for tag, attributes in reader.tags for value in attributes.values())


@pytest.mark.parametrize("lacking", ["groups", "settings", "importance", "wall", "title", "command", "constraints"])
def test_a_study_that_has_only_begun_or_asks_little_has_a_page_too(grid, lacking):
    document = json.loads(json.dumps(grid))
    if lacking in ("groups", "settings"):
        document[lacking] = []
    else:
        del document[lacking]
    if lacking == "groups":
        document["points"] = [point for point in document["points"] if point["state"] != "done"]
    if lacking == "settings":
        document["groups"] = [document["groups"][0] | {"settings": {}}]
    reader = Reader(page(document))
    assert document["answer"] in reader.text
    assert ("On the front" in reader.text) == (lacking not in ("groups", "settings") or document["groups"] != [])
    Console(file=io.StringIO()).print(study_tables.front(document))


def test_one_goal_is_drawn_against_another_metric_or_setting(grid):
    goal = {"name": "error", "label": "test error", "unit": "1", "better": "lower"}
    groups = [group | {"metrics": {"error": group["metrics"]["error"]}} for group in grid["groups"]]
    html = page(grid | {"goals": [goal], "groups": groups, "constraints": []})
    assert '<option value="tiles.0.adc.bits" selected>bits</option>' in html
    Reader(html)


def test_the_front_and_the_table_are_there_without_a_script(html, grid):
    reader = Reader(html)
    marks = [attributes for tag, attributes in reader.tags if tag == "a" and "data-g" in attributes]
    assert len(marks) == len(grid["groups"])
    front = {int(mark["data-g"]) for mark in marks if "front" in mark["class"].split()}
    assert front == {index for index, group in enumerate(grid["groups"]) if group["front"]}
    for group in grid["groups"]:
        error = group["metrics"]["error"]
        assert Metric("error", "", "1").text(error["mean"]) in reader.text
        assert study.percent(error["low"]) in reader.text


def test_means_are_drawn_with_the_ends_of_their_intervals(html, grid):
    """In the front every mark is a box from low to high, and the mean is inside."""
    for index, x, y, width, height, cx, cy in re.findall(
        r'data-g="(\d+)"[^>]*><title>[^<]*</title><rect class="band" x="([\d.-]+)" y="([\d.-]+)" width="([\d.]+)" '
        r'height="([\d.]+)"/><circle cx="([\d.]+)" cy="([\d.]+)"',
        html,
    ):
        x, y, width, height, cx, cy = map(float, (x, y, width, height, cx, cy))
        assert x - 0.11 <= cx <= x + width + 0.11 and y - 0.11 <= cy <= y + height + 0.11, index
        error = grid["groups"][int(index)]["metrics"]["error"]
        assert height > 3.0, f"{error} has seeds that differ"


def test_nothing_is_loaded_from_anywhere_and_links_lead_to_points_beside_the_page(html, grid):
    assert not re.search(r"https?:(?!//www\.w3\.org/2000/svg)|@import|url\(", html)
    reader = Reader(html)
    assert not {"link", "img", "iframe", "object", "embed"} & {tag for tag, _ in reader.tags}
    links = [attributes["href"] for tag, attributes in reader.tags if tag == "a"]
    pages = {point["page"] for point in grid["points"] if point["state"] == "done"}
    assert pages <= set(links)
    assert all(link in pages or re.fullmatch(r"#g\d+", link) for link in links)


def test_a_click_on_the_only_seed_leads_to_its_own_page():
    document = study_documents.grid(seeds=1)
    reader = Reader(page(document))
    marks = {int(a["data-g"]): a["href"] for tag, a in reader.tags if tag == "a" and "data-g" in a}
    assert marks == {index: document["points"][index]["page"] for index in range(len(document["groups"]))}


@pytest.mark.parametrize(
    "given", ["javascript:alert(1)", "https://example.org/x.html", "//example.org/x", "/etc/passwd", "a?b", None, 3]
)
def test_an_address_that_leaves_the_folder_is_no_link(given):
    assert address(given) == ""


def test_five_hundred_points_weigh_less_than_two_megabytes():
    one, three = study_documents.scattered(540, seeds=1), study_documents.scattered(175, seeds=3, epochs=30)
    for document in (one, three):
        assert len(document["points"]) >= 500
        assert len(page(document).encode()) < 2e6


def test_thousands_of_points_are_cut_to_the_front_and_the_best_and_the_rest_is_counted(monkeypatch):
    monkeypatch.setattr(report, "MOST_GROUPS", 40)
    document = study_documents.scattered(120, seeds=1, most_area=3e-5)
    front = {group["points"][0] for group in document["groups"] if group["front"]}
    assert len(front) > 8
    html = page(document)
    shown = {row[-1] for row in data_of(html)["tables"]["groups"]["rows"]}
    assert len(shown) == 40 and (front <= shown or shown < front)
    number = len(document["groups"])
    assert f"{number - 40} more combinations are in study.json alone" in html
    assert f"{number} combinations" in html


def test_the_script_is_small_and_takes_nothing_from_a_network():
    script = (FOLDER / "study.js").read_text()
    assert len(script.encode()) < 20_000
    assert not re.search(r"fetch\(|XMLHttpRequest|WebSocket|import\(|eval\(|innerHTML", script)


def test_names_are_escaped_in_the_page_and_in_its_data(grid):
    evil = "</script><script>alert(1)</script>"
    document = grid | {"title": evil, "question": evil, "answer": evil, "name": evil, "base": evil}
    html = page(document)
    assert "<script>alert" not in html
    assert data_of(html)["name"] == evil


def test_the_csv_data_are_the_documents_own_numbers(html, grid):
    table = data_of(html)["tables"]["groups"]
    at = {name: index for index, name in enumerate(table["columns"])}
    for group, row in zip(grid["groups"], table["rows"], strict=True):
        assert row[at["energy (J)"]] == group["metrics"]["energy"]["mean"]
        assert row[at["error low"]] == group["metrics"]["error"]["low"]
        assert row[at["tiles.0.adc.bits"]] == group["settings"]["tiles.0.adc.bits"]
        assert row[at["points"]].split() == group["points"]


def test_a_saved_drawing_has_every_colour_and_no_variable():
    assert "var(" not in figure_style()
    assert "#2b6cb0" in figure_style()


def test_what_failed_is_listed_with_its_sentence(html, grid):
    text = Reader(html).text
    for point in grid["points"]:
        if point["state"] != "done":
            assert f"seed {point['seed']} {point['state']} {point['why']}" in text


def test_constraints_are_drawn_and_what_is_beyond_them_is_hollow(html, grid):
    assert "area at most 150.0 mm²" in html
    beyond = {index for index, group in enumerate(grid["groups"]) if not group["feasible"]}
    assert beyond
    assert {int(g) for g in re.findall(r'<a href="[^"]*" class="group beyond" data-g="(\d+)"', html)} == beyond


@FEW
@given(studies())
def test_the_line_goes_through_exactly_the_pairs_that_nobody_beats(document):
    goals = [axis for axis in axes(document) if axis.better]
    for across in goals:
        for up in goals:
            pairs = {}
            for index, group in enumerate(document["groups"]):
                one, other = (study.number(group["metrics"].get(a.key, {}).get("mean")) for a in (across, up))
                if group["feasible"] and one is not None and other is not None:
                    pairs[index] = (one, other)
            best = {
                pair
                for pair in pairs.values()
                if not any(o != pair and o[0] <= pair[0] and o[1] <= pair[1] for o in pairs.values())
            }
            found = best_pairs(document, across, up)
            assert across is up or {pairs[index] for index in found} == best
            assert len(found) == (0 if across is up else len(best))


@FEW
@given(st.lists(st.floats(1e-12, 1e12) | st.floats(-1e3, 1e3), min_size=1, max_size=20))
def test_an_axis_keeps_the_order_of_values_and_holds_them_all(values):
    axis = metric_axis(Metric("energy", "energy", "J", "lower"), values)
    places = [axis(value) for value in sorted(values)]
    assert all(0 <= at <= 1 for at in places)
    assert places == sorted(places)
    assert all(0 <= at <= 1 for at, _ in axis.ticks)
    assert axis("inf") is None


def test_a_setting_of_words_has_a_place_for_each_in_the_order_of_the_study():
    axis = setting_axis("device", "device", ["ecram", "reram-sb", "ideal"], ["ideal", "ecram"])
    assert [words for _, words in axis.ticks] == ["ecram", "reram-sb", "ideal"]
    assert axis("ecram") < axis("reram-sb") < axis("ideal")
    assert axis("another") is None


def test_marks_of_an_axis_have_no_digits_to_spare():
    axis = metric_axis(Metric("error", "test error", "1", "lower"), [0.012, 0.3])
    assert [words for _, words in axis.ticks] == ["2%", "5%", "10%", "20%"]


def test_the_list_of_a_long_front_spans_it():
    document = study_documents.scattered(400, seeds=1)
    across, up = (axis for axis in axes(document) if axis.key in ("error", "energy"))
    chosen = listed(document, up, across)
    front = [index for index in study.ordered(document) if document["groups"][index]["front"]]
    assert len(front) > 8 == len(chosen) == len(set(chosen)) and set(chosen) <= set(front)
    assert chosen[0] == front[0]


def test_example_documents_satisfy_the_schema(grid):
    for document in (grid, study_documents.scattered(5, kind="time")):
        assert problem(document, schema_of("study")) == ""


def test_both_colour_schemes_have_every_colour_that_figures_use():
    known = set(re.findall(r"(--[\w-]+):", (TEMPLATES / "report.css").read_text()))
    for name in ("figures.css", "study.css"):
        assert set(re.findall(r"var\((--[\w-]+)\)", (FOLDER / name).read_text())) <= known


def test_the_frame_of_the_script_is_the_frame_of_the_drawing(html):
    assert f'data-frame="{FRAME.left:g} {FRAME.top:g} {FRAME.width:g} {FRAME.height:g}"' in html
