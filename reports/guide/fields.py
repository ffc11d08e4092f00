"""Every field of the files that rpusim reads: what it means, in which unit, what is accepted, its default and source.

Nothing is written twice: meanings stand in the docstrings of the blocks (`rpusim.arch.chips.description` and the parts,
`rpusim.workloads.runs.settings`, devices and cells), ranges and defaults in their fields.
"""

from __future__ import annotations

import dataclasses
import inspect
import re
import types
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from typing import Annotated, Any, Literal, Union, get_args, get_origin

from annotated_types import Ge, Gt, Le, Lt, MinLen
from pydantic import BaseModel
from pydantic.fields import FieldInfo
from pydantic_core import PydanticUndefined

from rpusim.arch.contract.quantity import Dimension
from rpusim.errors import InputError, nearest, shown

ROOTS = ("chip", "experiment", "study", "device")
"""The kinds of files, with which full paths begin."""
_OWN = {"source": "where the numbers of this block come from", "sources": "by field, where a number comes from"}
_MOST = 12
"""So many fields of one name are told in full; of more, paths alone."""


@dataclass(frozen=True)
class Field:
    """A field of a file.

    path:      from the file's kind on, such as "chip.tiles.adc.bits"; numbers of blocks in a list are left out.
    meaning:   in words.
    unit:      of the number in a file; "": it is none, or has no unit.
    accepted:  which values.
    default:   as a file would have it; "": the field has to be given.
    source:    where the default comes from; "": it has none, or is no number.
    of:        the model of device or the kind of cell that has it; "": it is of no such.
    """

    path: str
    meaning: str
    unit: str
    accepted: str
    default: str
    source: str
    of: str = ""

    @property
    def name(self) -> str:
        """The last word of its path."""
        return self.path.rpartition(".")[2]


def explain(path: str) -> list[Field]:
    """Find the fields that a path ends in, as a user types it: bits, adc.bits, tiles.0.adc.bits, device.dw_min.

    Raises InputError if there is none, or if it says too little: fields of that name stand in too many blocks.
    """
    words = [word for word in path.split(".") if not word.isdigit() and word != "*"]
    every = fields()
    found = [field for field in every if field.path.split(".")[-len(words) :] == words] if words else []
    if not found:
        names = {field.name for field in every}
        raise InputError(f"FIELD: there is no field {shown(repr(path))}{nearest(words[-1] if words else '', names)}")
    alike = {(field.meaning, field.accepted, field.default) for field in found}
    if len(alike) > _MOST:
        raise InputError(
            f"FIELD: {path!r} is a field of {len(found)} blocks; give more of its path, such as "
            f"{', '.join(repr(field.path) for field in found[:3])}"
        )
    return found


@cache
def fields() -> tuple[Field, ...]:
    """List every field of chips, experiments, studies and devices."""
    from rpusim.arch.chips.description import ChipDescription
    from rpusim.kernels.cells import CELLS
    from rpusim.kernels.devices import PULSED
    from rpusim.workloads.explore.study import Study
    from rpusim.workloads.runs.settings import Experiment

    found = [
        *_of_model(ChipDescription, "chip", ()),
        *_of_model(Experiment, "experiment", ()),
        *_of_model(Study, "study", ()),
    ]
    for where, kinds in (("device", PULSED), ("device.cell", CELLS)):
        for name, kind in kinds.items():
            found += _of_dataclass(kind, where, name)
    return tuple(found)


def meanings(block: type) -> dict[str, str]:
    """Read what docstrings of a class and of those it is derived from say of fields: lines ``name:  meaning``."""
    found: dict[str, str] = {}
    for each in reversed(block.__mro__):
        text = inspect.cleandoc(each.__dict__.get("__doc__") or "")
        for match in re.finditer(r"^(\w+(?:, ?\w+)*): +(.*(?:\n +\S.*)*)", text, re.MULTILINE):
            meaning = " ".join(match[2].split())
            found |= dict.fromkeys(re.split(", ?", match[1]), meaning)
    return found


def _of_model(model: type[BaseModel], where: str, above: tuple[type, ...]) -> Iterator[Field]:
    """List the fields of a block and of those in it; above: blocks that it stands in, of which none is repeated."""
    said, assumed = _OWN | meanings(model), getattr(model, "assumed", {})
    for name, field in model.model_fields.items():
        path = f"{where}.{name}"
        yield Field(
            path,
            said.get(name) or field.description or "",
            next((each.unit for each in _within(field, Dimension)), ""),
            _accepted(field),
            "" if field.is_required() else _written(field.get_default(call_default_factory=True)),
            assumed.get(name, ""),
        )
        for inner in _blocks(field.annotation):
            if inner not in above:
                yield from _of_model(inner, path, (*above, model))


def _of_dataclass(kind: type, where: str, name: str) -> Iterator[Field]:
    """List the parameters of a device or a cell."""
    said, source = meanings(kind), _source(kind)
    for each in (each for each in dataclasses.fields(kind) if each.init):
        given = each.default if each.default is not dataclasses.MISSING else None
        if each.default_factory is not dataclasses.MISSING:
            given = each.default_factory()
        needed = each.default is dataclasses.MISSING and each.default_factory is dataclasses.MISSING
        accepted = _TYPES.get(str(each.type).partition("[")[0], str(each.type))
        yield Field(
            f"{where}.{each.name}",
            said.get(each.name, ""),
            "",
            accepted,
            "" if needed else _written(given),
            "" if needed else source,
            name,
        )


def _source(kind: type) -> str:
    """Find what a class, or the nearest that it is derived from, says of where its defaults come from."""
    for each in kind.__mro__:
        text = inspect.cleandoc(each.__dict__.get("__doc__") or "")
        if found := re.search(r"Sources?: (.*(?:\n\S.*)*)", text):
            return " ".join(found[1].split())
    return ""


def _within(field: FieldInfo, kind: type) -> Iterator[Any]:
    """Find what of a kind stands in a field's annotation or beside it."""
    yield from (each for each in field.metadata if isinstance(each, kind))
    yield from (
        each
        for part in _parts(field.annotation)
        for each in getattr(part, "__metadata__", ())
        if isinstance(each, kind)
    )


def _parts(annotation: Any) -> Iterator[Any]:
    yield annotation
    for argument in get_args(annotation):
        yield from _parts(argument)


def _blocks(annotation: Any) -> list[type[BaseModel]]:
    return [part for part in _parts(annotation) if isinstance(part, type) and issubclass(part, BaseModel)]


def _accepted(field: FieldInfo) -> str:
    """Say in words which values a field takes."""
    if dimension := next(_within(field, Dimension), None):
        return f"{dimension.name} from {dimension.smallest} to {dimension.largest}, such as {dimension.example}"
    bounds = [
        f"{words} {getattr(each, key):g}"
        for kind, key, words in ((Ge, "ge", "from"), (Gt, "gt", "above"), (Le, "le", "to"), (Lt, "lt", "below"))
        for each in _within(field, kind)
    ]
    words = _kind(field.annotation)
    few = next(_within(field, MinLen), None)
    at_least = f", of at least {few.min_length} characters" if few and words == "text" else ""
    return f"{words}{at_least} {' '.join(bounds)}".strip()


_TYPES = {
    "bool": "true or false",
    "int": "a whole number",
    "float": "a number",
    "str": "text",
    "tuple": "a list",
    "Drift": "a mapping",
}
_KINDS = {bool: "true or false", int: "a whole number", float: "a number", str: "text", dict: "a mapping"}


def _kind(annotation: Any) -> str:
    origin = get_origin(annotation)
    if origin is Annotated:
        return _kind(get_args(annotation)[0])
    if origin is Literal:
        return ", ".join(str(each) for each in get_args(annotation))
    if origin in (Union, types.UnionType):
        return " or ".join(dict.fromkeys(_kind(each) for each in get_args(annotation)))
    if annotation is type(None):
        return "nothing (null)"
    if origin is tuple:
        return f"a list of: {_kind(get_args(annotation)[0])}"
    if origin is dict:
        return f"a mapping of names to: {_kind(get_args(annotation)[1])}"
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return f"a block of {', '.join(annotation.model_fields)}"
    return _KINDS.get(annotation, getattr(annotation, "__name__", str(annotation)))


def _written(value: Any) -> str:
    if value is None or value is PydanticUndefined:
        return "null"
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, tuple | list):
        return f"[{', '.join(map(_written, value))}]"
    if isinstance(value, BaseModel):
        return "a block with its defaults"
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        if value == type(value)():
            return "{}"
        names = [field.name for field in dataclasses.fields(value)]
        return f"{{{', '.join(f'{name}: {_written(getattr(value, name))}' for name in names)}}}"
    if isinstance(value, float):
        return f"{value:g}" if float(f"{value:g}") == value else str(value)
    return str(value)
