"""What a person sees: tables, the HTML report, the command line. Everything shown is a view of a result's document.

Importing this package loads nothing heavy, so that the command line answers at once.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rpusim.workloads.results.result import Result

__all__ = ["save"]


def save(result: Result, folder: str | Path) -> None:
    """Write a result's run folder with its report: all of it, or nothing.

    ``folder`` must be new, empty, or an earlier run folder (which is replaced); else `InputError`, as for what the file
    system refuses. docs/results.md says what the folder holds.
    """
    from functools import partial

    from rpusim.errors import InputError
    from rpusim.reports.page.page import page
    from rpusim.reports.trace.recorded import Trace
    from rpusim.workloads.results import result as results

    try:
        results.save(result, Path(folder), partial(page, events=Trace.of(result)))
    except OSError as error:
        reason = error.strerror or str(error)
        raise InputError(f"{folder}: cannot be written ({reason}); a writable folder is needed") from None
