"""JSON schemas: what an editor accepts is what rpusim accepts, and result.json is what its schema says."""

from __future__ import annotations

import json
import re

import pytest
import yaml

from rpusim.arch.chips import chip as chips
from rpusim.reports.cli.schema import schema_of
from rpusim.workloads.runs import settings

JSON_TYPES = {
    "object": dict,
    "array": list,
    "string": str,
    "boolean": bool,
    "integer": int,
    "number": (int, float),
    "null": type(None),
}


def complaints(value, schema, root, where="$"):
    """What is wrong with ``value``: the part of JSON schema that rpusim's schemas use."""
    if "$ref" in schema:
        schema = root["$defs"][schema["$ref"].rsplit("/", 1)[1]]
    if "anyOf" in schema:
        found = [complaints(value, option, root, where) for option in schema["anyOf"]]
        return [] if any(not some for some in found) else found[0]
    if "const" in schema and value != schema["const"]:
        return [f"{where}: {value!r} is not {schema['const']!r}"]
    if "enum" in schema and value not in schema["enum"]:
        return [f"{where}: {value!r} is none of {schema['enum']}"]
    kind = schema.get("type")
    if kind and (not isinstance(value, JSON_TYPES[kind]) or (kind in ("integer", "number") and value is True)):
        return [f"{where}: {value!r} is no {kind}"]
    if "pattern" in schema and not re.search(schema["pattern"], value):
        return [f"{where}: {value!r} does not match"]
    wrong = []
    if isinstance(value, dict):
        properties, more = schema.get("properties", {}), schema.get("additionalProperties", True)
        wrong += [f"{where}.{key} is missing" for key in schema.get("required", []) if key not in value]
        for key, item in value.items():
            inner = properties.get(key, more)
            if inner is False:
                wrong.append(f"{where}.{key} is not known")
            elif isinstance(inner, dict):
                wrong += complaints(item, inner, root, f"{where}.{key}")
    elif isinstance(value, list) and "items" in schema:
        for i, item in enumerate(value):
            wrong += complaints(item, schema["items"], root, f"{where}[{i}]")
    return wrong


@pytest.mark.parametrize("name", chips.presets())
def test_the_chips_that_ship_satisfy_the_schema(name):
    schema = schema_of("chip")
    assert complaints(yaml.safe_load((chips.FOLDER / f"{name}.yaml").read_text()), schema, schema) == []


@pytest.mark.parametrize("name", settings.presets())
def test_the_experiments_that_ship_satisfy_the_schema(name):
    schema = schema_of("experiment")
    assert complaints(yaml.safe_load((settings.FOLDER / f"{name}.yaml").read_text()), schema, schema) == []


@pytest.mark.parametrize("given", [80, "80", "80 nm", "ns", "80  nss"])
def test_a_quantity_without_its_unit_is_refused_by_the_schema_too(given):
    schema = schema_of("chip")
    chip = yaml.safe_load((chips.FOLDER / "rpu-2016.yaml").read_text())
    chip["tiles"][0]["array"]["integration"] = given
    assert complaints(chip, schema, schema)


def test_results_satisfy_the_schema_and_have_no_key_without_a_description(short_run, timed, transferred):
    schema = schema_of("result")
    assert {"transfer", "maintenance", "staleness"} <= set(transferred["activity"])
    for document in (short_run.document, timed.document, transferred.document):
        assert complaints(document, schema, schema) == []
        assert set(document) <= set(schema["properties"])
        for block in ("accuracy", "time", "energy", "power", "throughput", "area", "tiles", "bottleneck", "activity"):
            assert set(document.get(block, {})) <= set(schema["properties"][block]["properties"]), block


def test_the_command_prints_them(rpusim):
    for kind in ("chip", "experiment", "result"):
        assert json.loads(rpusim("schema", kind, "--json").stdout) == schema_of(kind)
