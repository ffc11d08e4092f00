"""Read configuration files (YAML, checked by pydantic models), and say in one sentence why one cannot be used."""

from __future__ import annotations

import types
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal, TypeVar, Union, get_args, get_origin

import yaml
from pydantic import BaseModel, ValidationError

from rpusim.errors import InputError, nearest

YAML_SUFFIXES = (".yaml", ".yml")
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
    if is_yaml(path):
        return path
    names = shipped(folder)
    if str(name) not in names:
        raise InputError(f"{missing} is named {str(name)!r}{nearest(str(name), names)}, or give a .yaml file")
    return folder / f"{name}.yaml"


def read_yaml(path: Path) -> dict[str, Any]:
    """Read the mapping in a YAML file.

    Raises `InputError`, which names the file, if it cannot be read, is not YAML, or holds anything but a mapping.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, ValueError) as error:  # ValueError: not UTF-8, or a NUL in the path
        unreadable = "it is not UTF-8 text" if isinstance(error, UnicodeDecodeError) else str(error)
        reason = getattr(error, "strerror", None) or unreadable
        raise InputError(f"{shown(str(path))}: cannot be read ({reason}); a YAML file is needed") from None
    try:
        document = yaml.safe_load(text)
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        line = f" at line {mark.line + 1}" if mark else ""
        raise InputError(f"{path}: is not YAML{line} ({getattr(error, 'problem', None) or 'syntax error'})") from None
    except ValueError as error:  # such as the date 2024-99-99
        raise InputError(f"{path}: is not YAML ({error})") from None
    except RecursionError:
        raise InputError(f"{path}: is nested too deeply; a mapping of fields is needed") from None
    if not isinstance(document, dict):
        raise InputError(f"{path}: holds {type(document).__name__}, but a mapping of fields is needed")
    return document


def parse(model: type[Model], fields: dict[str, Any], where: str) -> Model:
    """Make a block of a configuration from what a file says.

    model: the pydantic model of the block.
    fields: what the file says, by field.
    where: where it stands, such as the file's name, with which an error begins.
    Raises `InputError` on the first thing that is wrong.
    """
    try:
        return model.model_validate(fields)
    except ValidationError as error:
        raise InputError(f"{where}: {_sentence(model, error)}") from None


def shown(given: object, most: int = 120) -> str:
    """Put what was given on one line of at most ``most`` characters (and their number), for a sentence."""
    words = given if isinstance(given, str) else repr(given)
    words = "".join(c if c.isprintable() else repr(c)[1:-1] for c in words)
    return words if len(words) <= most else f"{words[: most - 20]}... ({len(words)} characters)"


def _sentence(model: type[BaseModel], error: ValidationError) -> str:
    """Say of pydantic's first error which field is wrong, what was given, and what is accepted."""
    errors = error.errors(include_url=False)
    first = errors[0]
    place, _ = _walk(model, first["loc"])
    field = ".".join(place)
    if first["type"] == "missing":
        return f"{field} is missing; every number and every cost has to be given"
    if first["type"] == "extra_forbidden":
        _, block = _walk(model, first["loc"][:-1])
        return f"{field} is not a field{nearest(place[-1], getattr(block, 'model_fields', {}))}"
    message = first["msg"].removeprefix("Value error, ")
    if first["type"] == "value_error":
        return f"{field}: {message}" if field else message
    # a field may be one of several things, and pydantic has an error for each: say all that would have been accepted
    messages = [_lower(e["msg"]) for e in errors if _walk(model, e["loc"])[0] == place]
    return f"{field}: got {shown(repr(first['input']))}, but {' or '.join(dict.fromkeys(messages))}"


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
    if getattr(bare, "__name__", "").lower() == tag.partition("[")[0].lower():
        return True
    fields = getattr(bare, "model_fields", {}).values()
    return any(get_origin(f.annotation) is Literal and tag in get_args(f.annotation) for f in fields)
