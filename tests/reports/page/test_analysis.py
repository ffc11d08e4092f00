"""The analysis in a result document: described key by key, and its sums are those of the result."""

from __future__ import annotations

import re
from html import escape

import pytest
from rich.console import Console

from rpusim.reports.cli.schema import schema_of
from rpusim.reports.page import charts
from rpusim.reports.page.page import page
from rpusim.reports.words import insight, tables
from rpusim.workloads.runs.estimate import time_network


def described(value, schema):
    """Whether every key of a document has a description in its schema, or the schema takes any key."""
    if isinstance(value, dict):
        properties = schema.get("properties", {})
        return all(
            (key in properties or "additionalProperties" in schema)
            and described(item, properties.get(key, schema.get("additionalProperties", {})))
            for key, item in value.items()
        )
    return not isinstance(value, list) or all(described(item, schema["items"]) for item in value)


def test_every_key_of_an_analysis_is_described(timed):
    properties = schema_of("result")["properties"]
    assert described(timed["analysis"], properties["analysis"])
    assert described(timed["energy"], properties["energy"])


def test_the_path_and_the_power_of_a_timing_are_its_time_and_energy(timed):
    analysis = timed["analysis"]
    assert analysis["time_s"] == timed["time"]["total_s"]
    for by in ("by_part", "by_phase", "by_layer"):
        assert sum(analysis["critical_path"][by].values()) == pytest.approx(timed["time"]["total_s"])
    power = analysis["power"]["over_time_W"]
    assert sum(power) / len(power) * analysis["time_s"] == pytest.approx(timed["energy"]["total_J"])
    assert analysis["power"]["peak_W"] == pytest.approx(timed["power"]["peak_W"])


def test_the_matrix_sums_to_every_breakdown(timed):
    energy = timed["energy"]
    for column, by in (("part", "by_part"), ("phase", "by_phase"), ("layer", "by_layer")):
        for name, joules in energy[by].items():
            assert sum(row["J"] for row in energy["matrix"] if row[column] == name) == pytest.approx(joules)


@pytest.fixture(scope="module")
def asked():
    return time_network("lenet-digits", "reram-512", 2, training=True, schedule="sequential", what_if=True)


def test_the_page_shows_path_power_and_what_if(asked):
    html = page(asked.document)
    for sentence in (insight.peak_sentence(asked.document), *insight.what_if(asked.document)):
        assert escape(sentence) in html
    for by in ("by_part", "by_phase", "by_layer"):
        for share in insight.path_shares(asked.document, by):
            assert share.text in html and share.percent in html
    for row in (*insight.utilisation(asked.document), *insight.rooflines(asked.document)):
        assert all(f">{cell}</" in html for cell in row)


def test_so_does_the_terminal(asked, capsys):
    Console(width=400).print(tables.result(asked.document))
    shown = capsys.readouterr().out
    for sentence in (insight.path_sentence(asked.document), insight.peak_sentence(asked.document)):
        assert sentence in shown
    assert all(sentence in shown for sentence in insight.what_if(asked.document))


def test_a_document_without_analysis_is_shown_without(asked):
    old = {key: value for key, value in asked.document.items() if key not in ("analysis", "what_if")}
    assert "Power over time" not in page(old)
    with Console(width=200).capture() as capture:
        Console(width=200).print(tables.result(old))
    assert "critical path" not in capture.get()


def test_the_drawing_of_power_stays_inside_its_frame(asked):
    heights = [float(y) for y in re.findall(r"[ML][\d.-]+,([\d.-]+)", charts.power(asked.document))]
    assert len(heights) == 2 + 2 * len(asked["analysis"]["power"]["over_time_W"])
    assert min(heights) >= 18 and max(heights) <= 126


def test_the_matrix_has_every_part_and_phase(asked):
    table = insight.matrix(asked.document, "part")
    assert [name for name, _ in table.rows] == list(asked["energy"]["by_part"])
    assert table.phases == list(asked["energy"]["by_phase"])
