"""JSON schemas for editors: of chip and experiment files from their pydantic models, and of documents from files here.

A quantity is a float behind the boundary but a string with a unit in a file, so each number with a dimension becomes a
string with a pattern.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, get_args

from pydantic import BaseModel

from rpusim.arch.contract.configuration import shown
from rpusim.arch.contract.quantity import Dimension

DOCUMENTS = ("result", "study", "compare", "fit", "learn", "arena")
"""The JSON documents that rpusim writes; their schemas are files beside this one."""
_NUMBER = r"^\s*[-+]?(\d+\.?\d*|\.\d+)([eE][-+]?\d+)?\s*"


def schema_of(kind: str) -> dict[str, Any]:
    """Make the JSON schema of a file.

    kind: "chip" or "experiment" (of the YAML file), "result" (of result.json), "study" (of study.json), "compare",
          "fit", "learn" or "arena" (of what these commands print with --json).
    """
    if kind in DOCUMENTS:
        path = Path(__file__).parent / f"{kind}.schema.json"
        schema: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        return schema
    if kind == "chip":
        from rpusim.arch.chips.chip import Chip

        return _of_model(Chip)
    from rpusim.workloads.runs.settings import Experiment

    return _of_model(Experiment)


_KINDS: dict[str, type | tuple[type, ...]] = {
    "object": dict,
    "array": list,
    "string": str,
    "boolean": bool,
    "integer": int,
    "number": (int, float),
}


def problem(document: Any, schema: dict[str, Any], where: str = "") -> str:
    """Find the first thing in a document that is not as its schema says.

    where: the path to the document within a larger one, for the words.

    Knows what the files beside this one use: type, const, required, properties, additionalProperties and items.

    Returns what is wrong, in words; empty if all is well.
    """
    kind = schema.get("type")
    if kind and (not isinstance(document, _KINDS[kind]) or isinstance(document, bool) != (kind == "boolean")):
        article = "an" if kind[0] in "aeiou" else "a"
        return f"{where or 'the document'} is {shown(repr(document), 60)}, not {article} {kind}"
    if "const" in schema and document != schema["const"]:
        return f"{where} is {shown(repr(document), 60)}, not {schema['const']!r}"
    inner: list[tuple[str, Any, dict[str, Any]]] = []
    if isinstance(document, dict):
        properties, others = schema.get("properties", {}), schema.get("additionalProperties", {})
        start = f"{where}." if where else ""
        missing = [key for key in schema.get("required", []) if key not in document]
        if missing:
            return f"{start}{missing[0]} is missing"
        inner = [(f"{start}{key}", value, properties.get(key, others)) for key, value in document.items()]
    elif isinstance(document, list):
        inner = [(f"{where}.{number}", item, schema.get("items", {})) for number, item in enumerate(document)]
    return next((found for place, value, one in inner if (found := problem(value, one, place))), "")


def _of_model(model: type[BaseModel]) -> dict[str, Any]:
    """Make the schema of a pydantic model as a file has it: quantities are strings with a unit."""
    schema = {"$schema": "https://json-schema.org/draft/2020-12/schema", **model.model_json_schema()}
    found = {inner.__name__: inner for inner in _models(model)}
    for name, part in [(model.__name__, schema), *schema.get("$defs", {}).items()]:
        fields = found[name].model_fields
        for field, described in part["properties"].items():
            for dimension in _dimensions(fields[field].annotation, fields[field].metadata):
                part["properties"][field] = _with_unit(described, dimension)
    cards = schema.get("$defs", {}).get("Card")
    if cards:  # in a file a card's name is its key
        cards["required"].remove("name")
    return schema


def _models(model: type[BaseModel]) -> Iterator[type[BaseModel]]:
    """Find a model and all models in its fields."""
    yield model
    for field in model.model_fields.values():
        for part in _parts(field.annotation):
            if isinstance(part, type) and issubclass(part, BaseModel):
                yield from _models(part)


def _parts(annotation: Any) -> Iterator[Any]:
    """Find an annotation and all annotations within it."""
    yield annotation
    for argument in get_args(annotation):
        yield from _parts(argument)


def _dimensions(annotation: Any, metadata: list[Any]) -> Iterator[Dimension]:
    """Find the dimensions that a field's annotation or metadata name."""
    everything = [*metadata, *(m for part in _parts(annotation) for m in getattr(part, "__metadata__", ()))]
    yield from (item for item in everything if isinstance(item, Dimension))


def _with_unit(described: Any, dimension: Dimension) -> Any:
    """Replace the numbers of a schema by strings with a unit of this dimension."""
    if isinstance(described, list):
        return [_with_unit(item, dimension) for item in described]
    if not isinstance(described, dict):
        return described
    if described.get("type") == "number":
        units = "|".join(re.escape(unit) for unit in dimension.accepted)
        kept = {key: value for key, value in described.items() if key in ("title", "description")}
        return {**kept, "type": "string", "pattern": f"{_NUMBER}({units})\\s*$", "examples": [dimension.example]}
    return {key: _with_unit(value, dimension) for key, value in described.items()}
