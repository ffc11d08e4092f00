"""Change single fields of a configuration by their dotted paths, such as ``tiles.0.adc.bits``.

A path names fields from the outside to the inside. An entry of a list goes by its number, counted from 0, or by its
``name``; ``*`` stands for all of them: ``tiles.reram.adc.bits``, ``tiles.*.adc.bits``. What is changed is what a file
says, before it is checked, so that a changed field is checked like one of the file.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from rpusim.arch.contract.configuration import shown
from rpusim.arch.contract.yaml_text import YamlError, load
from rpusim.errors import InputError, nearest, written

EVERY = "*"
"""Stands for every entry of a list in a path."""


def read(text: str) -> tuple[str, Any]:
    """Read ``PATH=VALUE``, whose value is written as in a file.

    >>> read("tiles.0.pulses.width=5 ns")
    ('tiles.0.pulses.width', '5 ns')

    Raises `InputError` if there is no path, or the value is not YAML.
    """
    path, value = cut(text)
    return path, value_of(path, value)


def cut(text: str) -> tuple[str, str]:
    """Cut ``PATH=VALUE`` into path and value, unread. Raises `InputError` if there is no path."""
    path, equals, value = text.partition("=")
    if not equals or not all(path.strip().split(".")):
        raise InputError(f"--set: got {shown(written(text))}, but PATH=VALUE is needed, such as tiles.0.adc.bits=6")
    return path.strip(), value


def value_of(path: str, text: str) -> Any:
    """Read the value of a field as it is written in a file; ``path`` names the field for the error."""
    try:
        return load(text)
    except YamlError as error:
        raise InputError(f"--set {shown(path)}: got {shown(written(text))}, which {error}") from None


def alternatives(text: str) -> list[str]:
    """Cut a list of values at its commas, but those within brackets, braces and quotes.

    >>> alternatives("5,6,{sampled: 10, of: [1, 2]}")
    ['5', '6', '{sampled: 10, of: [1, 2]}']
    """
    parts, depth, quote = [""], 0, ""
    for character in text:
        if quote:
            quote = "" if character == quote else quote
        elif character in "\"'":
            quote = character
        else:
            depth += (character in "[{") - (character in "]}")
        if character == "," and not depth and not quote:
            parts.append("")
        else:
            parts[-1] += character
    return [part.strip() for part in parts]


def changed(fields: Mapping[str, Any], changes: Mapping[str, Any], source: str) -> dict[str, Any]:
    """Return what a file says with some fields changed.

    fields:   is not changed.
    changes:  values by path.
    source:   what the blocks with sources say of the changed fields.

    Raises `InputError`, beginning with the path, if it leads to nothing that could hold a field.
    """
    made: Any = fields
    for path, value in changes.items():
        for place in _places(made, tuple(path.split(".")), path):
            made = _put(made, place, value)
            made = _sourced(made, place, source)
    return dict(made)


def get(fields: Any, place: tuple[str, ...]) -> Any:
    """Return what stands at a place, entries of lists going by number; None if nothing does."""
    for step in place:
        if isinstance(fields, Mapping):
            fields = fields.get(step)
        elif isinstance(fields, list | tuple) and step.isdecimal() and int(step) < len(fields):
            fields = fields[int(step)]
        else:
            return None
    return fields


def _places(fields: Any, path: tuple[str, ...], whole: str) -> Iterator[tuple[str, ...]]:
    """List the places that a path stands for, in which entries of lists go by their numbers."""
    if not path:
        yield ()
        return
    step, rest = path[0], path[1:]
    if isinstance(fields, list | tuple):
        for number in _entries(fields, step, whole):
            for place in _places(fields[number], rest, whole):
                yield (str(number), *place)
    elif isinstance(fields, Mapping) or fields is None:
        for place in _places(fields.get(step) if fields else None, rest, whole):
            yield (step, *place)
    else:
        raise InputError(f"{shown(whole)}: there is no field {shown(step)} in {shown(written(fields))}")


def _entries(entries: list[Any] | tuple[Any, ...], step: str, whole: str) -> list[int]:
    """Return the numbers of the entries of a list that a step of a path stands for."""
    names = [entry.get("name") if isinstance(entry, Mapping) else None for entry in entries]
    if step == EVERY:
        return list(range(len(entries)))
    if step in names:
        return [names.index(step)]
    if step.isdecimal() and len(step) < 10 and int(step) < len(entries):
        return [int(step)]
    accepted = [*map(str, range(len(entries))), *(name for name in names if isinstance(name, str)), EVERY]
    raise InputError(f"{shown(whole)}: no entry is called {shown(written(step))}{nearest(step, accepted)}")


def _put(fields: Any, place: tuple[str, ...], value: Any) -> Any:
    """Return a copy with a value at a place; only what lies around the place is copied."""
    if not place:
        return value
    if isinstance(fields, list | tuple):
        number = int(place[0])
        return [_put(entry, place[1:], value) if i == number else entry for i, entry in enumerate(fields)]
    return {**(fields or {}), place[0]: _put((fields or {}).get(place[0]), place[1:], value)}


def _sourced(fields: Any, place: tuple[str, ...], source: str) -> Any:
    """Have the innermost block with a source say where the value at a place comes from."""
    for end in range(len(place) - 1, -1, -1):
        block = get(fields, place[:end])
        if isinstance(block, Mapping) and "source" in block and place[end] not in ("source", "sources"):
            given = block.get("sources")
            field = ".".join(place[end:])
            if isinstance(given, Mapping) or given is None:
                kept = {name: said for name, said in (given or {}).items() if not name.startswith(f"{field}.")}
                return _put(fields, (*place[:end], "sources"), {**kept, field: source})
            return fields
    return fields
