"""Reading configuration files, and the sentences said when one cannot be used."""

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
    """Whether a name is that of a YAML file, and not of something that ships."""
    return path.suffix.lower() in YAML_SUFFIXES


def shipped(folder: Path) -> list[str]:
    """Names of the YAML files that ship in ``folder``."""
    return sorted(path.stem for path in folder.glob("*.yaml"))


def find_yaml(name: str | Path, folder: Path, missing: str) -> Path:
    """The YAML file at the path ``name``, or the one that ships in ``folder`` under it.

    ``missing`` begins the sentence said if there is none, such as "chip: no preset".
    """
    path = Path(name)
    if is_yaml(path):
        return path
    names = shipped(folder)
    if str(name) not in names:
        raise InputError(f"{missing} is named {str(name)!r}{nearest(str(name), names)}, or give a .yaml file")
    return folder / f"{name}.yaml"


def read_yaml(path: Path) -> dict[str, Any]:
    """The mapping in a YAML file; anything else is an InputError that names the file."""
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
    """Check ``fields`` against ``model``; the first thing wrong becomes one sentence that begins with ``where``."""
    try:
        return model.model_validate(fields)
    except ValidationError as error:
        raise InputError(f"{where}: {_sentence(model, error)}") from None


def shown(given: object, most: int = 120) -> str:
    """What was given, on one line and not too long for a sentence."""
    words = given if isinstance(given, str) else repr(given)
    words = "".join(c if c.isprintable() else repr(c)[1:-1] for c in words)
    return words if len(words) <= most else f"{words[: most - 20]}... ({len(words)} characters)"


def _sentence(model: type[BaseModel], error: ValidationError) -> str:
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
    # of a field that may be one of several things, every one says what it would have accepted
    messages = [_lower(e["msg"]) for e in errors if _walk(model, e["loc"])[0] == place]
    return f"{field}: got {shown(repr(first['input']))}, but {' or '.join(dict.fromkeys(messages))}"


def _lower(message: str) -> str:
    message = message.removeprefix("Value error, ")
    return message[:1].lower() + message[1:]


def _walk(model: type[BaseModel], place: tuple[int | str, ...]) -> tuple[list[str], Any]:
    """The fields, keys and numbers along pydantic's ``place`` without its names of alternatives; what is there."""
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
            here = here.model_fields[step].annotation if step in here.model_fields else None  # type: ignore[index]
        elif get_origin(here) in (dict, Mapping) and len(arguments) == 2:
            here = arguments[1]
        else:
            here = arguments[0] if arguments else None
    return words, _bare(here)


def _bare(annotation: Any) -> Any:
    """An annotation without its metadata, and without None where only one other thing is possible."""
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
