"""Run a study and show it: its table in Python, its page in its folder."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from rpusim.reports.page.saving import save
from rpusim.reports.study_page.report import page
from rpusim.workloads.explore import table
from rpusim.workloads.explore.explore import Watch, explore
from rpusim.workloads.explore.study import Study, load, made
from rpusim.workloads.results import files

if TYPE_CHECKING:
    import pandas

FOLDER = Path("studies")
"""Where the folders of studies go, unless a user says it."""
REPORT = "report.html"
TABLE = "points.csv"


def study(
    given: str | Path | dict[str, Any] | Study,
    *,
    out: str | Path | None = None,
    workers: int = 2,
    scheduler: str | None = None,
) -> pandas.DataFrame:
    """Run a study, or what is missing of it, and return its table.

    given:      the name of a study that ships, a YAML file, its fields as a mapping, or a `Study`.
    out:        the study's folder; studies/NAME without it.
    workers:    processes of this machine; 0: this one.
    scheduler:  workers of a Dask cluster instead, such as "tcp://host:8786".

    Returns a row for each point: its settings, seed, state and figures in SI units. The study's whole document is in
    ``attrs["study"]``; `rpusim.best` finds the best row. Raises InputError on what cannot be used.
    """
    chosen = given if isinstance(given, Study) else made(given) if isinstance(given, dict) else load(given)
    return table.table(explored(chosen, out, workers, scheduler))


def folder_of(chosen: Study, out: str | Path | None) -> Path:
    """Return the folder of a study. out: as the user gave it, or None."""
    return FOLDER / chosen.name if out is None else Path(out)


def explored(
    chosen: Study,
    out: str | Path | None = None,
    workers: int = 2,
    scheduler: str | None = None,
    watch: Watch = lambda state: None,
    command: str = "",
) -> dict[str, Any]:
    """Run a study, write its page and its table beside its records, and return its document.

    For the arguments see `study` and `rpusim.workloads.explore.explore.explore`.
    """
    folder = folder_of(chosen, out)
    document = explore(chosen, folder, save, workers, scheduler, watch, command)
    files.replace(folder / TABLE, table.csv(document))
    files.replace(folder / REPORT, page(document))
    return document
