"""Write a result's run folder, with its report."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from rpusim.errors import InputError

if TYPE_CHECKING:
    from rpusim.workloads.results.result import Result


def save(result: Result, folder: str | Path) -> None:
    """Write a result's run folder with its report: all of it, or nothing.

    result:  what `rpusim.simulate` or `rpusim.time_network` returned, or a placed module's ``chip.report()``.
    folder:  new, empty, or an earlier run folder, which is replaced; docs/results.md says what it holds then.

    Raises `InputError` for any other folder, and for what the file system refuses.
    """
    from rpusim.reports.page.page import page
    from rpusim.reports.trace.recorded import Trace
    from rpusim.workloads.results import run_folder

    try:
        run_folder.save(result, Path(folder), partial(page, events=Trace.of(result)))
    except OSError as error:
        reason = error.strerror or str(error)
        raise InputError(f"{folder}: cannot be written ({reason}); a writable folder is needed") from None
