"""`rpusim explain`: what a field of a file means."""

from __future__ import annotations

from dataclasses import asdict

import click

from rpusim.reports.cli.options import as_json
from rpusim.reports.cli.output import emit


@click.command("explain")
@click.argument("field")
@as_json
def explain_field(field: str, json_wanted: bool) -> None:
    """Say what a field of a file means.

    FIELD is its name or a path that ends in it, as in a file or for --set: bits, adc.bits, tiles.0.adc.bits,
    recipe.learning_rate, device.dw_min. Told are meaning, unit, accepted values, default, and where that comes from.
    """
    from rpusim.reports.guide.fields import explain

    found = explain(field)
    if json_wanted:
        emit({"fields": [asdict(each) for each in found]})
        return
    from rpusim.reports.words import tables

    tables.console().print(tables.explained([asdict(each) for each in found]))
