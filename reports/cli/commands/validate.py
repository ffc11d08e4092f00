"""`rpusim validate`: published figures beside simulated ones."""

from __future__ import annotations

import click

from rpusim.reports.cli.console import aside
from rpusim.reports.cli.options import as_json
from rpusim.reports.cli.output import emit


@click.command("validate")
@click.option("--all", "everything", is_flag=True, help="With the rows that learn, which take some ten minutes.")
@as_json
def compare_with_published(everything: bool, json_wanted: bool) -> None:
    """Set published figures beside simulated ones.

    Every row says whether it is arithmetic (comes back because it was put in), consistency or a prediction, with its
    source, how well its figure is known, its tolerance and a verdict. Exits 1 if a row does not hold, unless it is a
    known miss; also if a known miss holds.
    """
    from rpusim.reports.words import tables
    from rpusim.workloads.studies.published.case import counted
    from rpusim.workloads.studies.validate import cases

    with aside():
        rows = [case.row() for case in cases(slow=everything)]
    counts = counted(rows)
    if json_wanted:
        emit({"rows": rows, "counts": counts})
    else:
        tables.console().print(tables.validation(rows, counts))
    if not all(row["passes"] for row in rows):
        raise SystemExit(1)
