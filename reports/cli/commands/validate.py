"""`rpusim validate`: published figures beside simulated ones."""

from __future__ import annotations

import click

from rpusim.reports.cli.console import aside
from rpusim.reports.cli.options import as_json
from rpusim.reports.cli.output import emit


@click.command("validate")
@as_json
def compare_with_published(json_wanted: bool) -> None:
    """Set published figures beside simulated ones.

    Every row has its source and how well its figure is known; rows without a tolerance are for comparison. Exits 1 if
    a row with one does not hold.
    """
    from rpusim.reports.words import tables
    from rpusim.workloads.studies.validate import cases

    with aside():
        rows = [case.row() for case in cases()]
    if json_wanted:
        emit({"rows": rows})
    else:
        tables.console().print(tables.validation(rows))
    if any(row["ok"] is False for row in rows):
        raise SystemExit(1)
