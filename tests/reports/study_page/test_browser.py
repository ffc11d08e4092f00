"""The page in a headless Chromium with every host blocked: no complaint, and its script does what it says."""

from __future__ import annotations

import csv
import io
import itertools
import re
import xml.etree.ElementTree as ElementTree

import pytest
import study_documents
from browser import CHROMIUM

from rpusim.reports.study_page import page

pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="no Chromium on this machine")

CAUGHT = """(async () => {
  let caught;
  const before = URL.createObjectURL;
  URL.createObjectURL = (blob) => { caught = blob; return before(blob); };
  HTMLAnchorElement.prototype.click = function () { window.savedAs = this.download; };
  document.querySelector(%r).click();
  URL.createObjectURL = before;
  return [window.savedAs, caught.type, await caught.text()];
})()"""


@pytest.fixture(scope="module")
def grid():
    return study_documents.grid(failed=2, most_area=1.5e-4)


@pytest.fixture(scope="module")
def file(grid, tmp_path_factory):
    path = tmp_path_factory.mktemp("page") / "study.html"
    path.write_text(page(grid), encoding="utf-8")
    return path


def choose(browser, name, value):
    browser.run(
        f"(() => {{ const box = document.querySelector('#{name}'); box.value = {value!r};"
        " box.dispatchEvent(new Event(box.tagName === 'SELECT' ? 'change' : 'input')); })()"
    )


def visible_rows(browser):
    return browser.run(
        "[...document.querySelectorAll('#points tbody tr')].filter((r) => !r.hidden).map((r) => +r.dataset.g)"
    )


def test_five_hundred_points_take_less_than_two_seconds_and_have_no_complaint(browser, tmp_path):
    path = tmp_path / "large.html"
    path.write_text(page(study_documents.scattered(540, seeds=1)), encoding="utf-8")
    assert browser.open(path) < 2.0
    assert browser.complaints == []
    assert browser.asked == []


def test_a_complaint_and_a_request_would_be_noticed(browser, tmp_path):
    path = tmp_path / "wrong.html"
    path.write_text("<img src='http://example.org/x.png'><script>console.error('x'); nothing();</script>")
    browser.open(path)
    assert len(browser.complaints) >= 2
    assert browser.asked == ["http://example.org/x.png"]


@pytest.mark.parametrize("width", [390, 1120])
@pytest.mark.parametrize("dark", [False, True])
def test_the_page_fits_its_window_and_the_first_screen_has_question_answer_and_front(browser, file, width, dark):
    browser.open(file, width, 844 if width == 390 else 900, dark=dark)
    assert browser.run("document.documentElement.scrollWidth") == width
    bottom = browser.run("document.querySelector('#front .stairs').getBoundingClientRect().bottom")
    assert bottom < (844 if width == 390 else 900)
    assert browser.run("document.querySelector('.answer').getBoundingClientRect().top") < 300
    paper = browser.run("getComputedStyle(document.documentElement).backgroundColor")
    assert (sum(map(int, re.findall(r"\d+", paper)[:3])) < 200) == dark
    smallest = browser.run(
        "Math.min(...[...document.querySelectorAll('#front svg text')].map((t) => t.getBoundingClientRect().height))"
    )
    assert smallest >= 9
    assert browser.complaints == []


def test_without_a_script_the_front_the_answer_and_the_table_are_seen(browser, file, grid):
    browser.open(file, script=False)
    browser("Emulation.setScriptExecutionDisabled", value=False)  # only to look
    assert browser.run("document.querySelectorAll('#front svg circle').length") == len(grid["groups"])
    assert grid["answer"] in browser.run("document.body.innerText")
    assert browser.run("document.querySelector('#points tbody').offsetHeight") > 400
    assert browser.run("[...document.querySelectorAll('.tools')].every((t) => t.offsetHeight === 0)")


def test_the_script_draws_the_axes_that_the_page_came_with_just_as_they_are(browser, file):
    """The drawing is made twice, here and by the page's script: places and words have to agree."""
    browser.open(file)
    look = (
        "[...document.querySelectorAll('#front svg :is(text, line, circle, rect)')].map((e) => [e.tagName,"
        " e.tagName === 'text' ? e.textContent : '',"
        " ...['x', 'y', 'x1', 'x2', 'y1', 'y2', 'cx', 'cy', 'width', 'height'].map((a) => +e.getAttribute(a))])"
    )
    before = browser.run(look)
    stairs = browser.run("document.querySelector('.stairs').getAttribute('d')")
    choose(browser, "across", "energy")
    after = browser.run(look)
    assert len(before) == len(after)
    for one, other in zip(before, after, strict=True):
        assert one[:2] == other[:2]
        assert all(abs(a - b) <= 0.3 for a, b in zip(one[2:], other[2:], strict=True)), (one, other)
    again = browser.run("document.querySelector('.stairs').getAttribute('d')")
    places = [[float(number) for number in re.findall(r"[\d.]+", path)] for path in (stairs, again)]
    assert places[0] == pytest.approx(places[1], abs=0.3)


def test_another_axis_puts_every_point_at_another_place_in_the_order_of_its_values(browser, file, grid):
    browser.open(file)
    for axis in ("time", "area", "tiles.0.adc.bits"):
        choose(browser, "across", axis)
        at = browser.run(
            "Object.fromEntries([...document.querySelectorAll('#front a[data-g]')].map((a) =>"
            " [a.dataset.g, +a.querySelector('circle').getAttribute('cx')]))"
        )
        values = [
            group["settings"][axis] if axis in group["settings"] else group["metrics"][axis]["mean"]
            for group in grid["groups"]
        ]
        order = sorted(range(len(values)), key=lambda index: values[index])
        places = [at[str(index)] for index in order]
        assert all(a <= b + 0.1 for a, b in itertools.pairwise(places))
        title = browser.run("document.querySelector('.ticks.across .axis-title').textContent")
        assert title.startswith({"time": "time per sample", "area": "area", "tiles.0.adc.bits": "bits"}[axis])


def test_what_the_pointer_rests_on_is_named_and_marked_in_every_figure(browser, file):
    browser.open(file)
    browser.run(
        "document.querySelector('#front [data-g=\"7\"]')"
        ".dispatchEvent(new PointerEvent('pointerenter', {clientX: 9, clientY: 9}))"
    )
    said = browser.run("document.querySelector('#tip').innerText")
    row = browser.run("[...document.querySelector('#g7').cells].map((c) => c.innerText.split('\\n')[0]).slice(0, 4)")
    assert all(cell in said for cell in row)
    assert browser.run("document.querySelectorAll('.hot[data-g=\"7\"]').length") == 3
    browser.run("document.querySelector('#front [data-g=\"7\"]').dispatchEvent(new PointerEvent('pointerleave'))")
    assert browser.run("document.querySelector('#tip').hidden && document.querySelectorAll('.hot').length === 0")


def test_columns_sort_by_their_numbers_up_and_down(browser, file, grid):
    browser.open(file)
    energies = [group["metrics"]["energy"]["mean"] for group in grid["groups"]]
    press = (
        "[...document.querySelectorAll('#points thead button')]"
        ".find((b) => b.textContent === 'energy per sample').click()"
    )
    browser.run(press)
    up = [energies[index] for index in visible_rows(browser)]
    assert up == sorted(energies)
    browser.run(press)
    assert [energies[index] for index in visible_rows(browser)] == sorted(energies, reverse=True)


@pytest.mark.parametrize(
    ("words", "kept"),
    [
        ("reram-sb error<10%", lambda s, m: "reram-sb" in s["device"] and m["error"]["mean"] < 0.1),
        ("bits=6", lambda s, m: s["tiles.0.adc.bits"] == 6),
        ("device=reram-sb", lambda s, m: s["device"] == "reram-sb"),
        ("energy<=50nJ time>5us", lambda s, m: m["energy"]["mean"] <= 5e-8 and m["time"]["mean"] > 5e-6),
        ("area<40mm2", lambda s, m: m["area"]["mean"] < 4e-5),
        ("nothing-like-it", lambda s, m: False),
        ("colour=red", lambda s, m: False),
    ],
)
def test_the_filter_takes_words_and_conditions_and_fades_the_rest(browser, file, grid, words, kept):
    browser.open(file)
    choose(browser, "filter", words)
    expected = {i for i, group in enumerate(grid["groups"]) if kept(group["settings"], group["metrics"])}
    assert set(visible_rows(browser)) == expected
    faded = browser.run("[...document.querySelectorAll('#front .out')].map((a) => +a.dataset.g)")
    assert set(faded) == set(range(len(grid["groups"]))) - expected
    assert browser.run("document.querySelector('#shown').textContent") == f"{len(expected)} of {len(grid['groups'])}"


def test_the_front_alone_can_be_shown(browser, file, grid):
    browser.open(file)
    choose(browser, "which", "front")
    assert set(visible_rows(browser)) == {index for index, group in enumerate(grid["groups"]) if group["front"]}
    choose(browser, "which", "feasible")
    assert set(visible_rows(browser)) == {index for index, group in enumerate(grid["groups"]) if group["feasible"]}


def test_every_figure_saves_as_a_drawing_and_as_numbers(browser, file, grid):
    browser.open(file, dark=True)
    figures = browser.run("[...document.querySelectorAll('figure[data-csv]')].map((f) => f.id)")
    goals = len(grid["goals"])
    assert figures == [
        "front",
        "parallel",
        "importance",
        *(f"sensitivity-{n + 1}" for n in range(goals)),
        "curves",
        "energy",
    ]
    for figure in figures:
        name, kind, content = browser.run(CAUGHT % f"#{figure} [data-save=svg]")
        assert (name, kind) == (f"adc-of-lenet-{figure}.svg", "image/svg+xml")
        root = ElementTree.fromstring(content)
        assert root.tag == "{http://www.w3.org/2000/svg}svg" and float(root.get("width")) > 0
        assert "var(" not in content and "href" not in content and "#2b6cb0" in content, "light colours, and no links"
        name, kind, content = browser.run(CAUGHT % f"#{figure} [data-save=csv]")
        assert (name, kind) == (f"adc-of-lenet-{figure}.csv", "text/csv")
        rows = list(csv.reader(io.StringIO(content)))
        assert len(rows) > 3 and len({len(row) for row in rows}) == 1
    assert browser.complaints == []


def test_the_csv_of_the_front_has_the_settings_and_the_chosen_axes(browser, file, grid):
    browser.open(file)
    choose(browser, "across", "time")
    _, _, content = browser.run(CAUGHT % "#front [data-save=csv]")
    rows = list(csv.DictReader(io.StringIO(content)))
    assert [float(row["time (s)"]) for row in rows] == [group["metrics"]["time"]["mean"] for group in grid["groups"]]
    assert [float(row["error high"]) for row in rows] == [group["metrics"]["error"]["high"] for group in grid["groups"]]
    assert [row["device"] for row in rows] == [group["settings"]["device"] for group in grid["groups"]]
    assert "energy (J)" not in rows[0]


def test_learning_curves_are_drawn_against_what_is_chosen(browser, file):
    browser.open(file)
    for choice in ("seconds", "joules", "epoch"):
        choose(browser, "against", choice)
        shown = (
            "[...document.querySelectorAll('#curves [data-against]')]"
            ".filter((d) => !d.hidden).map((d) => d.dataset.against)"
        )
        assert browser.run(shown) == [choice]
