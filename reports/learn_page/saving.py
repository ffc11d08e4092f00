"""Find out which algorithms learn on a device, or on many, and write the page."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from rpusim.reports.learn_page import arena_page, page
from rpusim.reports.page.saving import save
from rpusim.reports.study_page import report
from rpusim.workloads.learn.arena import arena
from rpusim.workloads.learn.learn import learn
from rpusim.workloads.results import files
from rpusim.workloads.results.study_folder import DOCUMENT


def learned(device: Any, folder: str | Path, **options: Any) -> dict[str, Any]:
    """Find out which algorithms learn on a device, and write learn.json, learn.html and the pages of both studies.

    device, options: as for `rpusim.workloads.learn.learn.learn`. folder: where everything goes.

    Returns the document.
    """
    folder = Path(folder)
    document = learn(device, folder, save, **options)
    files.replace(folder / "learn.json", json.dumps(document, indent=1, allow_nan=False) + "\n")
    files.replace(folder / "learn.html", page.page(document))
    _studies(folder)
    return document


def met(folder: str | Path, **options: Any) -> dict[str, Any]:
    """Let every algorithm meet many devices, and write arena.json, arena.html and the pages of all studies.

    folder: where everything goes. options: as for `rpusim.workloads.learn.arena.arena`.

    Returns the document.
    """
    folder = Path(folder)
    document = arena(folder, save, **options)
    files.replace(folder / "arena.json", json.dumps(document, indent=1, allow_nan=False) + "\n")
    files.replace(folder / "arena.html", arena_page.page(document))
    for states in document["states"]:
        _studies(folder / f"states-{states}")
    return document


def _studies(folder: Path) -> None:
    """Write the pages of a study and of the search before it."""
    for each in (folder, folder / "search"):
        study = json.loads((each / DOCUMENT).read_text(encoding="utf-8"))
        files.replace(each / "report.html", report.page(study))
