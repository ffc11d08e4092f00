"""The points of a study, and the names that follow from what they are.

A point's name is a digest of everything that its figures depend on: the resolved experiment (or what is timed), the
contents of the files that it names, its seed, and rpusim's version. So a point keeps its name when the study around it
changes, and gets another one when anything that it depends on does.
"""

from __future__ import annotations

import hashlib
import itertools
import json
import random
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rpusim.arch.chips.chip import load_chip
from rpusim.arch.contract.configuration import is_yaml, parse, shown
from rpusim.errors import InputError, nearest
from rpusim.workloads.explore.study import MOST_POINTS, Random, Range, Study, Timed
from rpusim.workloads.results.document import package_version
from rpusim.workloads.runs import settings
from rpusim.workloads.runs.settings import Experiment, changed_inside, of_a_chip


@dataclass(frozen=True)
class Point:
    """One thing to run or to time.

    settings:  what varies, with the values of this point: words and numbers as the study has them.
    seed:      of its run; 0 where nothing is trained.
    task:      the resolved experiment, or what is timed; None if its settings cannot be used.
    name:      16 hexadecimal digits.
    why:       why its settings cannot be used, as a sentence; empty if they can.
    """

    settings: dict[str, Any]
    seed: int
    task: Experiment | Timed | None
    name: str
    why: str = ""


def chosen(study: Study) -> list[dict[str, Any]] | None:
    """List the settings of all points, seeds aside; None if a search chooses them while it runs.

    Raises InputError for more than `MOST_POINTS`.
    """
    if study.points:
        return [dict(point) for point in study.points]
    names = list(study.vary)
    if isinstance(study.search, Random):
        numbers = random.Random(study.seed)
        return [{name: _drawn(study.vary[name], numbers) for name in names} for _ in range(study.search.random)]
    if study.search != "grid":
        return None
    lists = [_listed(study.vary[name]) for name in names]
    total = 1
    for values in lists:
        total *= len(values)
    if total * study.seeds > MOST_POINTS:
        raise InputError(f"vary: gives {total * study.seeds} points, but a study has at most {MOST_POINTS}")
    return [dict(zip(names, values, strict=True)) for values in itertools.product(*lists)]


def points(study: Study, chosen: dict[str, Any]) -> list[Point]:
    """Make the points of some settings, one for each seed; what cannot be used says why."""
    changed = changes(study, chosen)
    try:
        task = _task(study, changed)
        of_chip = _described(task)
        tasks = [task if seed == 0 or "seed" in changed else _with_seed(task, seed) for seed in range(study.seeds)]
        return [Point(chosen, seed, each, _name(each, of_chip)) for seed, each in enumerate(tasks)]
    except InputError as error:
        return [_unusable(study, chosen, changed, seed, error) for seed in range(study.seeds)]


def changes(study: Study, chosen: Mapping[str, Any]) -> dict[str, Any]:
    """Return the fields that a point changes, labels resolved, those that all points change first."""
    found = dict(study.set)
    for name, value in chosen.items():
        values = study.vary.get(name)
        if isinstance(values, dict):
            found |= values[value]
        else:
            found[name] = value
    return found


def timed(base: Timed, changed: Mapping[str, Any]) -> Timed:
    """Return what is timed, with fields of it, of its chip and of its device changed; InputError if they are wrong."""
    fields: dict[str, Any] = base.model_dump()
    for path in sorted(changed, key=lambda path: "." in path or of_a_chip(path)):
        value, (head, _, rest) = changed[path], path.partition(".")
        if changed_inside(fields, path, value):
            continue
        if head in fields and not rest:
            fields[head] = value
        else:
            accepted = [*fields, *settings.OF_CHIPS]
            raise InputError(f"{shown(path)}: is not a field of what is timed{nearest(head, accepted)}")
    return parse(Timed, fields, "time")


def _task(study: Study, changed: Mapping[str, Any]) -> Experiment | Timed:
    """Resolve what a study runs or times, with some fields changed and, unless that is one of them, the seed 0."""
    if study.time is not None:
        return timed(study.time, changed)
    assert study.run is not None
    return settings.changed(settings.load(study.run), {"seed": 0, **changed})


def _with_seed(task: Experiment | Timed, seed: int) -> Experiment | Timed:
    return settings.changed(task, {"seed": seed}) if isinstance(task, Experiment) else task


def _unusable(study: Study, chosen: dict[str, Any], changed: dict[str, Any], seed: int, error: InputError) -> Point:
    """Make a point of settings that cannot be used; ``error`` says why."""
    words = [study.kind, study.run or study.time, changed, seed, package_version()]
    return Point(chosen, seed, None, _digest(words), str(error))


def _described(task: Experiment | Timed) -> list[Any]:
    """Describe the chip of a task, with all numbers that it has."""
    chip = load_chip(task.chip)
    return [chip.model_dump(mode="json"), [*chip.provenance()]]


def _name(task: Experiment | Timed, of_chip: list[Any]) -> str:
    """Name a point after all that its figures depend on. of_chip: what `_described` said."""
    fields = task.model_dump(mode="json", exclude={"name", "title", "source", "sources"})
    depends = [fields, *of_chip, package_version()]
    return _digest([*depends, *(_content(value) for value in _words(fields))])


def _words(given: Any) -> Iterator[str]:
    """Go through the strings of fields and of the mappings in them, such as {like: fitted.yaml}, but not of lists."""
    for value in given.values():
        if isinstance(value, str):
            yield value
        elif isinstance(value, dict):
            yield from _words(value)


def _content(value: str) -> str:
    """Digest the file, or the files of the folder, that a field names; empty if it names none."""
    path = Path(value.rpartition(":")[0] if ".py:" in value else value)
    if is_yaml(path) or path.suffix == ".py" or (("/" in value or path.is_absolute()) and path.exists()):
        files = sorted(p for p in path.rglob("*") if p.is_file()) if path.is_dir() else [path]
        found = hashlib.sha256()
        for file in files:
            found.update(file.read_bytes() if file.is_file() else b"")
        return found.hexdigest()
    return ""


def _digest(words: Any) -> str:
    return hashlib.sha256(json.dumps(words, sort_keys=True, default=str).encode()).hexdigest()[:16]


def _listed(values: Any) -> list[Any]:
    assert not isinstance(values, Range), "a grid has no ranges"
    return list(values)


def _drawn(values: Any, numbers: random.Random) -> Any:
    """Draw one of the values of a field."""
    if not isinstance(values, Range):
        return numbers.choice(list(values))
    low, high = values.low, values.high
    if isinstance(low, int) and isinstance(high, int):
        if values.log:
            return min(high, max(low, round(low * (high / low) ** numbers.random())))
        return numbers.randint(low, high)
    return low * (high / low) ** numbers.random() if values.log else low + (high - low) * numbers.random()
