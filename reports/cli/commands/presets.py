"""`rpusim presets`: what ships with rpusim."""

from __future__ import annotations

import click

from rpusim.reports.cli.options import as_json
from rpusim.reports.cli.output import emit


@click.command("presets")
@as_json
def list_presets(json_wanted: bool) -> None:
    """List what ships with rpusim.

    Experiments, studies, networks, chips, devices and ways to infer, each with its title and source.
    """
    from rpusim.reports.cli.catalogue import catalogue

    lists = catalogue()
    if json_wanted:
        emit(lists)
    else:
        from rpusim.reports.words import tables

        tables.console().print(tables.catalogue(lists))
