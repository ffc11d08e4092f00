"""Read configuration files (YAML, checked by pydantic models), and say in one sentence why one cannot be used."""

from __future__ import annotations

import re
import types
from collections.abc import Mapping, Sequence
from copy import deepcopy
from functools import lru_cache
from pathlib import Path
from typing import Annotated, Any, Literal, TypeVar, Union, get_args, get_origin

from pydantic import BaseModel, ValidationError

from rpusim.arch.contract.yaml_text import MOST_BYTES, MOST_LEVELS, YamlError, load
from rpusim.errors import InputError, nearest, shown, written

__all__ = ["find_yaml", "is_text", "is_yaml", "parse", "read_yaml", "shipped", "shown"]

YAML_SUFFIXES = (".yaml", ".yml")
MOST_SAID = 12
"""So many wrong fields of a file are told one by one; of more, their number."""
Model = TypeVar("Model", bound=BaseModel)


def is_yaml(path: Path) -> bool:
    """Whether the user gave a YAML file of their own, by its suffix, and not the name of something that ships."""
    return path.suffix.lower() in YAML_SUFFIXES


def shipped(folder: Path) -> list[str]:
    """List the names, without suffix and sorted, of the YAML files that ship in ``folder``."""
    return sorted(path.stem for path in folder.glob("*.yaml"))


def find_yaml(name: str | Path, folder: Path, missing: str) -> Path:
    """Find the YAML file that the user means.

    name: path of a YAML file, which need not exist, or the name of one that ships.
    folder: where those are that ship.
    missing: how the error begins if no file has the name, such as "chip: no preset".
    Returns the path of the file. Raises `InputError` for a name under which nothing ships.
    """
    path = Path(name)
    if not is_text(str(name)):
        raise InputError(f"{missing.partition(':')[0]}: {shown(str(name))} is no UTF-8 name; rename the file")
    if is_yaml(path):
        return path
    names = shipped(folder)
    if str(name) not in names:
        raise InputError(
            f"{missing} is named {shown(repr(str(name)))}{nearest(str(name), names)}, or give a .yaml file"
        )
    return folder / f"{name}.yaml"


def read_yaml(path: Path) -> dict[str, Any]:
    """Read the mapping in a YAML file, as `yaml_text` says.

    Raises `InputError`, which names the file, if it cannot be read, is not YAML, or holds anything but a mapping.
    """
    where = shown(str(path))
    try:
        if path.exists() and not path.is_file():
            raise InputError(f"{where}: is not a file; a YAML file is needed")
        with path.open("rb") as file:
            content = file.read(MOST_BYTES + 1)
        text = content.decode("utf-8")
    except InputError:
        raise
    except (OSError, ValueError) as error:  # ValueError: not UTF-8, or a NUL in the path
        unreadable = "it is not UTF-8 text" if isinstance(error, UnicodeDecodeError) else str(error)
        reason = getattr(error, "strerror", None) or unreadable
        raise InputError(f"{where}: cannot be read ({reason}); a YAML file is needed") from None
    if len(content) > MOST_BYTES:
        raise InputError(f"{where}: has more than {MOST_BYTES // 1024} KB; a configuration is a few KB of YAML")
    try:
        document = deepcopy(_loaded(text))
    except YamlError as error:
        raise InputError(f"{where}: {shown(str(error), 300)}") from None
    if not isinstance(document, dict):
        raise InputError(f"{where}: holds {type(document).__name__}, but a mapping of fields is needed")
    return document


@lru_cache(maxsize=64)
def _loaded(text: str) -> Any:
    """Read a document, once: a study reads the same few files thousands of times. What is returned is not changed."""
    return load(text)


def parse(model: type[Model], fields: dict[str, Any], where: str) -> Model:
    """Make a block of a configuration from what a file says.

    model: the pydantic model of the block.
    fields: what the file says, by field.
    where: where it stands, such as the file's name, with which an error begins.
    Raises `InputError` that says all that is wrong.
    """
    if (wrong := _unusable(fields)) is not None:
        raise InputError(f"{where}: {wrong}")
    try:
        return model.model_validate(fields)
    except ValidationError as error:
        raise InputError(f"{where}: {_sentence(model, error)}") from None


def is_text(words: str) -> bool:
    """Whether a string can be written to a file: half characters (surrogates) cannot."""
    return not any("\ud800" <= c <= "\udfff" for c in words)


def _unusable(given: object, place: tuple[str, ...] = ()) -> str | None:
    """Say what no field of any configuration may hold, such as what a program gave; None if there is nothing."""
    within = ".".join(place) or "fields"
    if len(place) > MOST_LEVELS:
        return f"{shown(within)} is nested too deeply; at most {MOST_LEVELS} levels are accepted"
    if isinstance(given, str):
        return None if is_text(given) else f"{within}: got {shown(repr(given))}, half a character of which is missing"
    if isinstance(given, Mapping):
        for key, value in given.items():
            if not isinstance(key, str):
                return f"{within}: got the key {shown(repr(key))}, but names of fields are strings"
            if not is_text(key):
                return f"{within}: got the key {shown(repr(key))}, half a character of which is missing"
            if (wrong := _unusable(value, (*place, key))) is not None:
                return wrong
    elif isinstance(given, list | tuple):
        for number, value in enumerate(given):
            if (wrong := _unusable(value, (*place, str(number)))) is not None:
                return wrong
    return None


def _sentence(model: type[BaseModel], error: ValidationError) -> str:
    """Say of every field that is wrong what was given, and what is accepted; and which fields are missing."""
    errors = [each for each in error.errors(include_url=False) if not _follows(each, error)]
    said: dict[tuple[str, ...], str] = {}
    if missing := [e["loc"] for e in errors if e["type"] == "missing"]:
        names = list(dict.fromkeys(_missing(model, loc) for loc in missing))
        verb = "is" if len(names) == 1 else "are"
        said[()] = f"{_listed(names)} {verb} missing; every number and every cost has to be given"
    for each in errors:
        place = tuple(_walk(model, each["loc"])[0])
        if each["type"] != "missing" and place not in said:
            said[place] = _wrong(model, each, [e for e in errors if tuple(_walk(model, e["loc"])[0]) == place])
    sentences = list(said.values())
    more = f"; and {len(sentences) - MOST_SAID} more fields are wrong" if len(sentences) > MOST_SAID else ""
    return "; ".join(sentences[:MOST_SAID]) + more


def _follows(error: Any, all_of_it: ValidationError) -> bool:
    """Whether a list is only found too short as what is in it is wrong, which is said there."""
    within = len(error["loc"])
    inside = (each["loc"] for each in all_of_it.errors(include_url=False) if len(each["loc"]) > within)
    return error["type"] == "too_short" and any(loc[:within] == error["loc"] for loc in inside)


def _wrong(model: type[BaseModel], error: Any, of_field: Sequence[Any]) -> str:
    """Say what is wrong with a field; of_field: all that pydantic found of it."""
    place, within = _walk(model, error["loc"])
    field = ".".join(place)
    if error["type"] == "extra_forbidden":
        _, block = _walk(model, error["loc"][:-1])
        return f"{shown(field)} is not a field{nearest(place[-1], getattr(block, 'model_fields', {}))}"
    message = error["msg"].removeprefix("Value error, ")
    if error["type"] == "value_error":
        inside = re.match(r"(\w+)(\.\w|: )", message)  # the message begins with the path of a field in this block
        names_field = inside is not None and inside[1] in getattr(within, "model_fields", {})
        return f"{field}{'.' if names_field else ': '}{message}" if field else message
    # a field may be one of several things, and pydantic has an error for each: say all that would have been accepted
    messages = [_lower(each["msg"]) for each in of_field]
    return f"{shown(field)}: got {shown(written(error['input']))}, but {' or '.join(dict.fromkeys(messages))}"


def _missing(model: type[BaseModel], loc: tuple[int | str, ...]) -> str:
    """Name a missing field, and what has to be given in it where it is a block."""
    words, kind = _walk(model, loc)
    return shown(".".join(words)) + _contents(kind)


def _contents(kind: Any) -> str:
    """Name in brackets the fields that a missing block needs, with those of the blocks in it; nothing of a value."""
    bare = _bare(kind)
    if get_origin(bare) is tuple:
        bare = _bare(get_args(bare)[0])
    if not (isinstance(bare, type) and issubclass(bare, BaseModel)):
        return ""
    needed = [
        f"{name}{_contents(field.annotation)}" for name, field in bare.model_fields.items() if field.is_required()
    ]
    return f" ({', '.join(needed)})" if needed else ""


def _listed(names: list[str]) -> str:
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"


def _lower(message: str) -> str:
    message = message.removeprefix("Value error, ")
    return message[:1].lower() + message[1:]


def _walk(model: type[BaseModel], place: tuple[int | str, ...]) -> tuple[list[str], Any]:
    """Follow pydantic's path to an error as the user would write it, without the alternatives that pydantic names.

    Returns the fields, keys and numbers along the path, and the annotation of what stands at its end.
    """
    words: list[str] = []
    here: Any = model
    for step in place:
        here = _bare(here)
        if get_origin(here) in (Union, types.UnionType):  # this step only says which of the alternatives was tried
            here = next((a for a in get_args(here) if _is_called(a, str(step))), None)
            continue
        words.append(str(step))
        arguments = [a for a in get_args(here) if a is not Ellipsis]
        if isinstance(here, type) and issubclass(here, BaseModel):
            here = here.model_fields[step].annotation if step in here.model_fields else None
        elif get_origin(here) in (dict, Mapping) and len(arguments) == 2:
            here = arguments[1]
        else:
            here = arguments[0] if arguments else None
    return words, _bare(here)


def _bare(annotation: Any) -> Any:
    """Strip an annotation of its metadata, and of None where only one other thing is possible."""
    while get_origin(annotation) is Annotated:
        annotation = get_args(annotation)[0]
    if get_origin(annotation) in (Union, types.UnionType):
        others = [a for a in get_args(annotation) if a is not type(None)]
        if len(others) == 1:
            return _bare(others[0])
    return annotation


def _is_called(alternative: Any, tag: str) -> bool:
    """Whether pydantic calls an alternative of a union by this name: its class, or the literal that selects it."""
    bare = _bare(alternative)
    if tag.startswith("function-"):  # a class with validators of its own: function-after[check(), Name]
        tag = tag.rpartition(" ")[2].rstrip("]")
    if getattr(bare, "__name__", "").lower() == tag.partition("[")[0].lower():
        return True
    fields = getattr(bare, "model_fields", {}).values()
    return any(get_origin(f.annotation) is Literal and tag in get_args(f.annotation) for f in fields)
