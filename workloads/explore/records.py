"""What is known of the points of a study, on disk: one small file for each, written whole or not at all.

    FOLDER/points/NAME.json    what is known of the point of that name
    FOLDER/points/NAME/        its run folder, if it was run
    FOLDER/study.json          the whole study, made anew from these files whenever it is run

A point that is in a file is never evaluated again. Whoever removes the file of a point has it evaluated anew.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from rpusim.arch.contract.configuration import shown
from rpusim.errors import InputError
from rpusim.workloads.results import files
from rpusim.workloads.results.study_folder import POINTS

ENDED = ("done", "failed", "stopped")
"""States of a point with which nothing more is to be done."""


class Records:
    """The records of a study.

    folder: the study's folder; made if it is not there. InputError if it cannot be.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        try:
            (folder / POINTS).mkdir(parents=True, exist_ok=True)
            files.fresh_folder(folder / POINTS).rmdir()  # so that what killed processes have left is gone
        except (OSError, ValueError) as error:
            reason = getattr(error, "strerror", None) or error
            raise InputError(f"--out: {shown(str(folder))} cannot be written ({reason}); give another folder") from None
        self._known: dict[str, dict[str, Any]] = {}

    def run_folder(self, name: str) -> Path:
        """Return where the run folder of a point is."""
        return self.folder / POINTS / name

    def get(self, name: str) -> dict[str, Any] | None:
        """Return what is known of a point; None if nothing is. A file that was damaged is as none."""
        if name not in self._known:
            try:
                found = json.loads((self.folder / POINTS / f"{name}.json").read_text(encoding="utf-8"))
            except (OSError, ValueError):
                return None
            if not isinstance(found, dict) or found.get("state") not in (*ENDED, "paused"):
                return None
            self._known[name] = found
        return self._known[name]

    def ended(self, name: str) -> bool:
        """Tell whether nothing more is to be done for a point."""
        found = self.get(name)
        return found is not None and found["state"] in ENDED

    def state(self, name: str) -> str:
        """Return the state of a point of which something is known."""
        return str(self._known[name]["state"])

    def put(self, name: str, record: dict[str, Any]) -> None:
        """Keep what is known of a point."""
        write(self.folder, name, record)
        self._known[name] = record


def write(folder: Path, name: str, record: dict[str, Any]) -> None:
    """Write the record of a point; whoever evaluates it does so, so that it counts even if the study is gone."""
    content = json.dumps(record, indent=1, allow_nan=False, sort_keys=True)
    files.replace(folder / POINTS / f"{name}.json", content + "\n")
