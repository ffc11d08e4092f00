"""Write what a fit found: the device's file, the document, the page."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from rpusim.errors import InputError, shown
from rpusim.reports.fit_page.page import page
from rpusim.workloads.fit import file
from rpusim.workloads.results import files

DEVICE, DOCUMENT, REPORT = "device.yaml", "fit.json", "report.html"


def save(document: dict[str, Any], folder: str | Path) -> Path:
    """Write a fit to a folder, which is made if it is not there.

    document: of `rpusim.workloads.fit.fit.fit`. Returns the folder. Raises InputError if it cannot be written.
    """
    folder = Path(folder)
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or error
        raise InputError(f"--out: {shown(str(folder))} cannot be written ({reason}); give another folder") from None
    files.replace(folder / DEVICE, file.text(document))
    files.replace(folder / DOCUMENT, json.dumps(document, indent=1, allow_nan=False) + "\n")
    files.replace(folder / REPORT, page(document))
    return folder
