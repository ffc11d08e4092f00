"""The page of a comparison: what differs and what it did, whole without a script, and with nothing to complain of."""

from __future__ import annotations

import pytest
from browser import CHROMIUM

from rpusim.reports.study_page.compare_page import page
from rpusim.reports.words import compare, study
from rpusim.workloads.compare.document import comparison
from rpusim.workloads.compare.run import Run


def a_run(name, seed=0, error=0.03, energy=1e-8, epochs=5, **settings):
    """A run whose figures follow from its arguments."""
    metrics = {"error": error, "time": 1e-6, "energy": energy, "area": 1e-6}
    curve = [[float(e), error + 0.5 / e, 1e-3 * e, energy * 1000 * e] for e in range(1, epochs + 1)]
    numbers = {"chip.adc.bits": (settings.get("bits", 8), "1")}
    return Run(
        name, {"network": "fcn", **settings}, numbers, seed, metrics, {"ADC": energy}, curve, 360, f"runs/{name}"
    )


@pytest.fixture(scope="module")
def document():
    runs = [a_run(f"{device}-{s}", s, 0.03 + 0.001 * s, device=device) for device in ("ecram", "sb") for s in range(3)]
    return comparison([*runs, a_run("low", bits=4, device="ecram", energy=5e-9)])


def test_everything_that_differs_and_every_figure_is_on_the_page(document):
    html = page(document)
    for rows in (compare.settings(document), compare.numbers(document), compare.figures(document)):
        for row in rows:
            assert f">{row.label}</th>" in html
            assert all(f">{cell}</td>" in html for cell in row.cells)
    assert compare.answer(document) in html


def test_groups_keep_their_colour_from_the_table_to_curves_and_energies(document):
    html = page(document)
    for tone, group in enumerate(document["groups"]):
        name = study.name(document, group)
        assert f'<span class="tone tone{tone}"></span>{name}</th>' in html
        assert f'class="line tone{tone}"' in html and f'class="tone{tone}"' in html
    assert html.count('class="spread tone0"') == 3, "seeds as a band, against epochs, time and energy"
    assert 'class="spread tone2"' not in html, "one seed has no band"


def test_many_groups_are_listed_in_rows(document):
    many = comparison([a_run(f"r{n}", bits=n, error=0.01 * n) for n in range(1, 30)])
    html = page(many)
    assert html.count("<tr id=") == 29
    assert 'id="parallel"' in html


@pytest.mark.skipif(CHROMIUM is None, reason="no Chromium on this machine")
@pytest.mark.parametrize("number", [2, 3, 29])
def test_the_page_opens_without_a_complaint_and_fits_a_phone(browser, number, tmp_path):
    runs = [a_run(f"r{n}", bits=n, error=0.01 * n, energy=1e-8 / n, device=f"d{n % 3}") for n in range(1, number + 1)]
    path = tmp_path / "compare.html"
    path.write_text(page(comparison(runs)), encoding="utf-8")
    for width in (390, 1120):
        browser.open(path, width)
        assert browser.complaints == [] and browser.asked == []
        assert browser.run("document.documentElement.scrollWidth") == width
    browser.run("document.querySelector('#points thead button').click()")
    assert browser.run("document.querySelectorAll('#points tbody tr').length") == number
    assert browser.complaints == []
