"""Reading configuration files, and the sentences said when one cannot be used."""

from __future__ import annotations

from pathlib import Path
from typing import Any, TypeVar

import yaml
from pydantic import BaseModel, ValidationError

from rpusim.errors import InputError, nearest

Model = TypeVar("Model", bound=BaseModel)


def read_yaml(path: Path) -> dict[str, Any]:
    """The mapping in a YAML file; anything else is an InputError that names the file."""
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or "it is not UTF-8 text"
        raise InputError(f"{path}: cannot be read ({reason}); a YAML file is needed") from None
    try:
        document = yaml.safe_load(text)
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        line = f" at line {mark.line + 1}" if mark else ""
        raise InputError(f"{path}: is not YAML{line} ({getattr(error, 'problem', None) or 'syntax error'})") from None
    if not isinstance(document, dict):
        raise InputError(f"{path}: holds {type(document).__name__}, but a mapping of fields is needed")
    return document


def parse(model: type[Model], fields: dict[str, Any], where: str) -> Model:
    """Check ``fields`` against ``model``; the first thing wrong becomes one sentence that begins with ``where``."""
    try:
        return model.model_validate(fields)
    except ValidationError as error:
        raise InputError(f"{where}: {_sentence(model, error)}") from None


def _sentence(model: type[BaseModel], error: ValidationError) -> str:
    first = error.errors(include_url=False)[0]
    place = [str(p) for p in first["loc"]]
    field = ".".join(place)
    if first["type"] == "missing":
        return f"{field} is missing; every number and every cost has to be given"
    if first["type"] == "extra_forbidden":
        return f"{field} is not a field{nearest(place[-1], _siblings(model, first['loc']))}"
    message = first["msg"].removeprefix("Value error, ")
    if first["type"] == "value_error":
        return f"{field}: {message}" if field else message
    return f"{field}: got {first['input']!r}, but {message[0].lower()}{message[1:]}"


def _siblings(model: type[BaseModel], place: tuple[int | str, ...]) -> list[str]:
    """The fields accepted where ``place`` points; found by walking the models along it."""
    current: Any = model
    for step in place[:-1]:
        if isinstance(step, str):
            current = current.model_fields[step].annotation
        candidates = [current, *getattr(current, "__args__", ())]
        current = next((c for c in candidates if isinstance(c, type) and issubclass(c, BaseModel)), current)
    return list(current.model_fields)
