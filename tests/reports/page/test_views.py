"""How a result shows itself: printed, summed up, drawn, in a notebook, by key and by attribute."""

from __future__ import annotations

import copy
import json
import pickle
from xml.etree import ElementTree

import pytest

import rpusim
from rpusim.reports.page import views  # noqa: F401
from rpusim.workloads.results.result import Result


def test_printed_a_result_is_its_headline_figures(timed):
    shown = str(timed)
    for words in ("lenet-digits on reram-512", "Time per sample", "Energy per sample", "set the pace"):
        assert words in shown
    assert max(map(len, shown.splitlines())) <= 100 and len(shown.splitlines()) < 15


def test_a_summary_is_what_the_command_line_shows(timed):
    assert str(timed).splitlines()[1] in timed.summary() and "energy per sample, by part" in timed.summary()


def test_a_result_that_learned_draws_its_curve(short_run):
    result = Result(short_run.document, None, ())
    drawn = ElementTree.fromstring(result.plot().svg)
    assert drawn.tag.endswith("svg") and "floating point" in "".join(drawn.itertext())
    assert "var(--accent)" in result.plot().svg and "--accent: #2b6cb0" in result.plot().svg


def test_what_was_only_timed_draws_energy_by_part_and_saves_it(timed, tmp_path):
    timed.plot().save(tmp_path / "energy.svg")
    words = "".join(ElementTree.parse(tmp_path / "energy.svg").getroot().itertext())
    for part in list(timed.energy.by_part)[:3]:
        assert part in words


def test_parts_are_attributes_too(timed):
    assert timed.time.per_sample_s == timed["time"]["per_sample_s"]
    assert timed.energy.matrix[0].part == timed["energy"]["matrix"][0]["part"]
    assert "per_sample_s" in dir(timed.time) and "energy" in dir(timed)


@pytest.mark.parametrize(
    ("asked", "kind", "said"),
    [
        (lambda r: r["enrgy"], KeyError, "did you mean 'energy'"),
        (lambda r: r.enrgy, AttributeError, "did you mean 'energy'"),
        (lambda r: r.time.per_sample, AttributeError, "did you mean 'per_sample_s'"),
        (lambda r: r["time"]["per_sampl_s"], KeyError, "did you mean 'per_sample_s'"),
    ],
)
def test_a_name_that_there_is_not_names_the_nearest(timed, asked, kind, said):
    with pytest.raises(kind, match=said):
        asked(timed)


def test_a_document_stays_plain_data(timed):
    assert json.loads(json.dumps(timed.document)) == timed.document
    assert pickle.loads(pickle.dumps(timed)) == timed == copy.deepcopy(timed)
    assert timed.get("nothing") is None and "nothing" not in timed


def test_in_a_notebook_table_and_drawing_are_one_piece(timed):
    whole = ElementTree.fromstring(timed._repr_html_())
    assert [each.tag.rpartition("}")[2] for each in whole][-1] == "svg"


def test_the_package_brings_its_views_along():
    assert str(rpusim.time_network("fcn", "rpu-2016", 1, True, "sequential")).startswith("fcn on rpu-2016")
