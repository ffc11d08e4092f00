"""`rpusim doctor`: what this machine has, and what is missing."""

from __future__ import annotations

import sys

import click

from rpusim.reports.cli.options import as_json
from rpusim.reports.cli.output import emit


@click.command("doctor")
@as_json
def examine(json_wanted: bool) -> None:
    """Say what this machine has, and what is missing.

    Versions, cores, memory, where compiled loops are kept, and what each extra still needs. The exit status is 1 if
    something is missing that is always needed.
    """
    from rpusim.reports.guide.doctor import examined

    found = examined()
    if json_wanted:
        emit(found)
    else:
        from rpusim.reports.words import tables

        tables.console().print(tables.examined(found))
    sys.exit(0 if found["ok"] else 1)
