"""Blocks of a configuration: immutable, and every number of them with a unit and a source."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, get_args

from pydantic import BaseModel, ConfigDict, Field, model_validator
from pydantic.fields import FieldInfo

from rpusim.arch.contract.quantity import Dimension


class Frozen(BaseModel):
    """Base of every configuration model: immutable, and unknown fields are errors."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class Sourced(Frozen):
    """A block of a configuration whose numbers have a source: the block's, or a field's own where it differs."""

    source: str = Field(min_length=3)
    sources: dict[str, str] = {}

    @model_validator(mode="after")
    def _sources_name_fields(self) -> Sourced:
        unknown = sorted(set(self.sources) - set(type(self).model_fields))
        if unknown:
            raise ValueError(f"sources names {unknown[0]!r}, which is not a field of this block")
        return self

    def numbers(self, where: str) -> Iterator[dict[str, Any]]:
        """Every number of this block and of the blocks inside it: {field, value, unit, source}."""
        for name, field in type(self).model_fields.items():
            value = getattr(self, name)
            here = f"{where}.{name}" if where else name
            source = self.sources.get(name, self.source)
            if isinstance(value, Sourced):
                yield from value.numbers(here)
            elif isinstance(value, tuple) and value and isinstance(value[0], Sourced):
                for i, item in enumerate(value):
                    yield from item.numbers(f"{here}.{getattr(item, 'name', i)}")
            elif isinstance(value, Frozen):
                for part, inner in type(value).model_fields.items():
                    yield _number(f"{here}.{part}", getattr(value, part), inner, source)
            elif isinstance(value, bool | int | float):
                yield _number(here, value, field, source)
            elif isinstance(value, dict) and name == "energy":
                for action, joules in value.items():
                    yield {"field": f"{here}.{action}", "value": joules, "unit": "J", "source": source}


def _number(where: str, value: float, field: FieldInfo, source: str) -> dict[str, Any]:
    found = [*field.metadata, *(m for a in get_args(field.annotation) for m in getattr(a, "__metadata__", ()))]
    unit = next((m.unit for m in found if isinstance(m, Dimension)), "1")
    return {"field": where, "value": value, "unit": unit, "source": source}
