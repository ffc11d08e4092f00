"""`rpusim report`: the tables and the page of a run folder, or of a study's, again."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import click

from rpusim.arch.contract.waiting import awaited
from rpusim.errors import InputError
from rpusim.reports.cli.options import as_json
from rpusim.reports.cli.output import emit, say_where, show

REPORT = "report.html"


@click.command("report")
@click.argument("folder", type=click.Path(path_type=Path), metavar="DIR")
@as_json
def show_report(folder: Path, json_wanted: bool) -> None:
    """Show the result in a run folder, or in a study's, again.

    Reads result.json (and events.npz), or study.json, in DIR, prints the tables and writes report.html anew.
    """
    from rpusim.workloads.results import study_folder

    with awaited(f"writing the page of {folder}"):
        if (folder / study_folder.DOCUMENT).exists():
            _study(folder, json_wanted)
        else:
            _run(folder, json_wanted)
    say_where(folder / REPORT, json_wanted)


def _run(folder: Path, json_wanted: bool) -> None:
    from rpusim.reports.page.page import page
    from rpusim.reports.trace.recorded import Trace
    from rpusim.workloads.results import run_folder

    document = run_folder.read(folder)
    _write(folder, run_folder.DOCUMENT, "result", document, lambda: page(document, Trace.read(folder)))
    show(document, json_wanted)


def _study(folder: Path, json_wanted: bool) -> None:
    from rpusim.reports.study_page.report import page
    from rpusim.reports.words import study_tables, tables
    from rpusim.workloads.results import study_folder

    document = study_folder.read(folder)
    _write(folder, study_folder.DOCUMENT, "study", document, lambda: page(document))
    if json_wanted:
        emit(document)
    else:
        tables.console().print(study_tables.front(document))


def _write(folder: Path, name: str, kind: str, document: dict[str, Any], page: Callable[[], str]) -> None:
    """Write the page of a document, unless this is not whole.

    name: of the document's file. kind: of the document, as `rpusim schema` knows it. page: makes it.
    """
    from rpusim.reports.cli.schema import problem, schema_of
    from rpusim.workloads.results import files

    wrong = problem(document, schema_of(kind))
    try:
        written = "" if wrong else page()
    except InputError:
        raise
    except (LookupError, TypeError, ValueError, AttributeError, ArithmeticError, StopIteration) as error:
        wrong = f"{type(error).__name__}: {error}"  # figures of the right kind that do not belong together
    if wrong:
        command = "rpusim study" if kind == "study" else "rpusim run"
        raise InputError(f"{folder / name}: is not a whole {kind} ({wrong}); give a folder that `{command}` wrote")
    files.replace(folder / REPORT, written)
