"""`rpusim schema`: JSON schemas of the files that are read and written."""

from __future__ import annotations

import click

from rpusim.reports.cli.options import as_json
from rpusim.reports.cli.output import emit

KINDS = ["chip", "experiment", "result", "study", "compare", "fit", "learn"]


@click.command("schema")
@click.argument("kind", type=click.Choice(KINDS), default="chip")
@as_json
def print_schema(kind: str, json_wanted: bool) -> None:
    """Print a JSON schema, for editors.

    Of a chip file, an experiment file, result.json, study.json, or what `rpusim compare`, `fit` and `learn` print with
    --json.
    """
    from rpusim.reports.cli.schema import schema_of

    emit(schema_of(kind))
