"""`rpusim validate`: published figures beside simulated ones."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from rpusim.reports.cli.console import aside
from rpusim.reports.cli.options import as_json, workers
from rpusim.reports.cli.output import emit, say_where


@click.command("validate")
@click.option(
    "--all", "everything", is_flag=True, help="With the rows that learn and the papers' studies: an hour or two."
)
@click.option("--known", is_flag=True, help="Of the papers' studies, what is in studies/ already, without a run.")
@workers
@click.option("--out", type=click.Path(path_type=Path), metavar="FILE", help="Write the rows as Markdown, too.")
@as_json
def compare_with_published(everything: bool, known: bool, number: int, out: Path | None, json_wanted: bool) -> None:
    """Set published figures beside simulated ones.

    Every row says whether it is arithmetic (comes back because it was put in), consistency or a prediction, with its
    source, how well its figure is known, its tolerance and a verdict. Exits 1 if a row does not hold, unless it is a
    known miss; also if a known miss holds. What the studies of papers find is kept in studies/, so that the same
    command goes on where it was stopped.
    """
    from rpusim.reports.words import tables, validated
    from rpusim.workloads.explore.study import papers
    from rpusim.workloads.results import files
    from rpusim.workloads.results.document import package_version
    from rpusim.workloads.studies.published.case import counted
    from rpusim.workloads.studies.validate import cases

    wanted = everything or known
    with aside():
        rows = [case.row() for case in cases(slow=everything)]
        of_papers = {name: _of_paper(name, number, everything and not known) for name in papers()} if wanted else {}
    rows += [row for found in of_papers.values() for row in found]
    counts = counted(rows)
    if out is not None:
        files.replace(
            out,
            validated.markdown(
                rows, counts, package_version(), [name for name, found in of_papers.items() if not found]
            ),
        )
    if json_wanted:
        emit({"rows": rows, "counts": counts})
    else:
        tables.console().print(tables.validation(rows, counts))
    if out is not None:
        say_where(out, json_wanted)
    if not all(row["passes"] for row in rows):
        raise SystemExit(1)


def _of_paper(name: str, workers: int, run: bool) -> list[dict[str, Any]]:
    """Return the rows of a paper's study: run, or what is missing of it, or as far as its folder has it."""
    from rpusim.reports.study_page.run import explored
    from rpusim.workloads.explore.claims import graded_again, validated
    from rpusim.workloads.explore.study import load
    from rpusim.workloads.results import study_folder

    folder = Path("studies") / name
    if not run:
        if not (folder / study_folder.DOCUMENT).exists():
            return []
        return validated(graded_again(load(name).claims, study_folder.read(folder)))
    return validated(explored(load(name), workers=workers, command=f"rpusim study {name}"))
