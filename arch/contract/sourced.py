"""Bases of the blocks of a configuration file: immutable, and every number of them has a unit and a source."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, Any, ClassVar, get_args

from pydantic import BaseModel, ConfigDict, Field, Strict, model_validator
from pydantic.fields import FieldInfo

from rpusim.arch.contract.quantity import Dimension

MOST = 1_000_000
"""The most that a chip or an experiment may have of anything that is counted; more is taken for a slip."""

Count = Annotated[int, Field(ge=1, le=MOST)]
"""The type of a number of things, of which there is at least one."""

MOST_SLOTS = 10_000
"""The longest pulse train; published ones have 1 to some hundred slots."""

Slots = Annotated[int, Field(ge=1, le=MOST_SLOTS)]
"""The type of a length of pulse trains."""

_ENTRIES = {"energy": "J", "cycles": "cycles", "per_output": "operations"}
"""Fields whose entries are numbers, with the unit of these."""

Several = Strict(False)
"""What a field of several blocks needs in its annotation: a file has a list for it, which is kept as a tuple."""


class Frozen(BaseModel):
    """Base of every configuration model: immutable, and unknown fields are errors.

    Values are what they look like: neither "512" nor true is a number, "yes" is no truth value, and every number is
    finite.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, allow_inf_nan=False)


class Sourced(Frozen):
    """Base of a block whose numbers have a source.

    source:   where the numbers of the block come from: a paper with its table, a count, "assumption: ...".
    sources:  by field, the sources of those that have one of their own; ``energy.add`` is that of an entry of a field,
              ``electrical.resistance`` that of a field within one.
    """

    source: str = Field(min_length=3)
    sources: dict[str, str] = {}

    assumed: ClassVar[dict[str, str]] = {}
    """By field that a file may leave out, where its default comes from."""

    @model_validator(mode="before")
    @classmethod
    def _say_where_defaults_come_from(cls, fields: Any) -> Any:
        """Give every default that stands in place of a number the source of that default."""
        if not isinstance(fields, dict) or not isinstance(fields.get("sources", {}), dict):
            return fields
        defaults = {name: source for name, source in cls.assumed.items() if name not in fields}
        return {**fields, "sources": {**defaults, **fields.get("sources", {})}} if defaults else fields

    @model_validator(mode="after")
    def _sources_name_fields(self) -> Sourced:
        unknown = sorted(name for name in self.sources if not self._has(name))
        if unknown:
            raise ValueError(f"sources names {unknown[0]!r}, which is not a field of this block")
        return self

    def _has(self, name: str) -> bool:
        """Tell whether a field, or an entry ``field.entry`` of one, is there to have a source."""
        field, _, entry = name.partition(".")
        value = getattr(self, field, None)
        entries = type(value).model_fields if isinstance(value, BaseModel) else value or ()
        return field in type(self).model_fields and (not entry or entry in entries)

    def numbers(self, where: str) -> Iterator[dict[str, Any]]:
        """List every number of this block and of the blocks inside it.

        where: path of this block, such as "chip.tiles.reram.adc", with which the names of its fields begin.
        Yields one mapping per number: field (its path), value (SI), unit ("1" for counts and ratios) and source.
        """
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
                    inner_source = self.sources.get(f"{name}.{part}", source)
                    yield _number(f"{here}.{part}", getattr(value, part), inner, inner_source)
            elif isinstance(value, bool | int | float):
                yield _number(here, value, field, source)
            elif isinstance(value, dict) and name in _ENTRIES:
                for entry, number in value.items():
                    own = self.sources.get(f"{name}.{entry}", source)
                    yield {"field": f"{here}.{entry}", "value": number, "unit": _ENTRIES[name], "source": own}


def _number(where: str, value: float, field: FieldInfo, source: str) -> dict[str, Any]:
    """One number with its unit, which stands in the annotation of its field, also within ``Quantity | None``."""
    found = [*field.metadata, *(m for a in get_args(field.annotation) for m in getattr(a, "__metadata__", ()))]
    unit = next((m.unit for m in found if isinstance(m, Dimension)), "1")
    return {"field": where, "value": value, "unit": unit, "source": source}
