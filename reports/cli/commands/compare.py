"""`rpusim compare`: runs, folders of runs and studies side by side."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from rpusim.reports.cli.options import as_json
from rpusim.reports.cli.output import emit, say_where


@click.command("compare")
@click.argument("folders", type=click.Path(path_type=Path), nargs=-1, required=True, metavar="DIR...")
@click.option("--out", type=click.Path(path_type=Path), metavar="FILE.html", help="The page to write.")
@as_json
def compare_runs(folders: tuple[Path, ...], out: Path | None, json_wanted: bool) -> None:
    """Set runs side by side: what differs, and what it did.

    Each DIR is a run folder, a folder of run folders, or the folder of a study. Runs that differ in the seed alone are
    put together, with intervals over the seeds.
    """
    from rpusim.reports.cli.schema import problem, schema_of
    from rpusim.workloads.compare import document, sources
    from rpusim.workloads.results import files

    def check(found: dict[str, Any], kind: str) -> str:
        return problem(found, schema_of(kind))

    beside = None if out is None else out.absolute().parent
    found = document.comparison(sources.runs(list(folders), check), beside)
    if out is not None:
        from rpusim.reports.study_page.compare_page import page

        files.replace(out, page(found))
    if json_wanted:
        emit(found)
    else:
        from rpusim.reports.words import study_tables, tables

        tables.console().print(study_tables.comparison(found))
    if out is not None:
        say_where(out, json_wanted)
