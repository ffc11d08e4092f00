"""The folder of a study: what it is made of, and its document read back."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from rpusim.errors import InputError, shown, written

DOCUMENT = "study.json"
POINTS = "points"
"""The folder, within it, of the points' records and run folders."""
SCHEMA = "rpusim-study-1"
"""The version of the document's keys; `rpusim schema study` prints them."""


def read(folder: Path) -> dict[str, Any]:
    """Read the document in a study's folder.

    Raises InputError if there is none, or it is not of this version.
    """
    path = folder / DOCUMENT
    try:
        document = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise InputError(
            f"{shown(str(path))}: cannot be read ({error}), so {shown(str(folder))} is not a study's folder; give a "
            "folder that `rpusim study` wrote"
        ) from None
    if not isinstance(document, dict) or document.get("schema") != SCHEMA:
        given = document.get("schema") if isinstance(document, dict) else document
        raise InputError(f"{shown(str(path))}: schema is {shown(written(given))}, but {SCHEMA!r} is needed")
    return document
