"""The analysis in a result document: described key by key, and its sums are those of the result."""

from __future__ import annotations

import pytest

from rpusim.reports.schema import schema_of


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
