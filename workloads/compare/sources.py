"""Where runs are found: a run folder, a folder of run folders, or the folder of a study."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

from rpusim.errors import InputError, shown
from rpusim.workloads.compare.run import Run, of_point, of_result
from rpusim.workloads.results import run_folder, study_folder

Check = Callable[[dict[str, Any], str], str]
"""Given a document and its kind ("result" or "study"), says what is wrong with it; empty if it is whole."""


def _unchecked(document: dict[str, Any], kind: str) -> str:
    return ""


def runs(paths: list[Path], check: Check = _unchecked) -> list[Run]:
    """Read every run that lies in folders, in the order in which they are given, each once.

    paths:  run folders, folders that hold run folders or studies, and folders of studies.
    check:  says what is wrong with a document.

    Returns at least two runs, named by their folders as far as that tells them apart. Raises `InputError` for what is
    no such folder, and for a single run.
    """
    found: list[tuple[Path, Run]] = []
    there: set[Path] = set()
    for path in paths:
        for folder, run in _within(path, check):
            if (whole := folder.resolve()) not in there:
                there.add(whole)
                found.append((folder, run))
    if len(found) < 2:
        raise InputError(
            f"{', '.join(shown(str(path)) for path in paths)}: {'one run is' if found else 'no run is'} in there; two "
            "or more are needed to compare"
        )
    names = _names([folder for folder, _ in found])
    return [replace(run, name=name) for name, (_, run) in zip(names, found, strict=True)]


def _within(path: Path, check: Check) -> list[tuple[Path, Run]]:
    """Read the runs of one folder that the user named, each with where it lies."""
    if found := _one(path, check):
        return found
    try:
        inside = sorted(each for each in path.iterdir() if each.is_dir() and not each.name.startswith("."))
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or error
        raise InputError(
            f"{shown(str(path))}: cannot be read ({reason}); a run folder, a folder of run folders, or a study's "
            "folder is needed"
        ) from None
    found = [each for folder in inside for each in _one(folder, check)]
    if not found:
        raise InputError(
            f"{shown(str(path))}: holds neither {run_folder.DOCUMENT} nor {study_folder.DOCUMENT} nor run folders; a "
            "run folder, a folder of run folders, or a study's folder is needed"
        )
    return found


def _one(folder: Path, check: Check) -> list[tuple[Path, Run]]:
    """Read a run folder, or a study with its points; nothing from a folder that is neither."""
    if (folder / study_folder.DOCUMENT).is_file():
        return _study(folder, check)
    if (folder / run_folder.DOCUMENT).is_file():
        return [(folder, _run(folder, check))]
    return []


def _run(folder: Path, check: Check) -> Run:
    """Read a run folder."""
    document = run_folder.read(folder)
    wrong = check(document, "result")
    try:
        if not wrong:
            return of_result(document, folder.name, str(folder))
    except (LookupError, TypeError, ValueError, AttributeError, ArithmeticError) as error:
        wrong = f"{type(error).__name__}: {error}"
    raise InputError(
        f"{shown(str(folder / run_folder.DOCUMENT))}: is not a whole result ({wrong}); give a folder that `rpusim run` "
        "wrote"
    )


def _study(folder: Path, check: Check) -> list[tuple[Path, Run]]:
    """Read the points of a study that are done: from their run folders, if all have one, else from the study alone."""
    document = _document(folder, check)
    done = [point for point in document["points"] if point["state"] == "done"]
    places = [folder / study_folder.POINTS / point["id"] for point in done]
    if all((place / run_folder.DOCUMENT).is_file() for place in places):
        return [(place, replace(_run(place, check), is_point=True)) for place in places]
    return [(place, of_point(point, document, str(place))) for point, place in zip(done, places, strict=True)]


def _document(folder: Path, check: Check) -> dict[str, Any]:
    """Read the document of a study, and refuse one that is not whole."""
    document = study_folder.read(folder)
    if wrong := check(document, "study"):
        where = shown(str(folder / study_folder.DOCUMENT))
        raise InputError(f"{where}: is not a whole study ({wrong}); give a folder that `rpusim study` wrote")
    return document


def _names(folders: list[Path]) -> list[str]:
    """Name runs by the last parts of their folders' paths, as few as tell them apart; points of studies in short."""
    parts = [list(folder.resolve().parts) for folder in folders]
    for each in parts:
        if len(each) > 2 and each[-2] == study_folder.POINTS:
            each[-2:] = [each[-1][:8]]
    length = [1] * len(parts)
    while True:
        names = ["/".join(each[-n:]) for each, n in zip(parts, length, strict=True)]
        alike = Counter(names)
        longer = [i for i, name in enumerate(names) if alike[name] > 1 and length[i] < len(parts[i])]
        if not longer:
            return names
        for i in longer:
            length[i] += 1
