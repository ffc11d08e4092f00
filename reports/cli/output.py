"""What a command leaves behind: a JSON document or tables on stdout, and a run folder."""

from __future__ import annotations

import json
import shlex
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from rpusim.reports.cli.interruption import HEED

if TYPE_CHECKING:
    from rpusim.workloads.results.result import Result


def emit(document: Any) -> None:
    """Print one JSON document on stdout."""
    click.echo(json.dumps(document, indent=1, allow_nan=False))


def show(document: dict[str, Any], json_wanted: bool) -> None:
    """Print the document of a result as JSON, or else the tables of it."""
    if json_wanted:
        emit(document)
        return
    from rpusim.reports.words import tables

    tables.console().print(tables.result(document))


def keep(found: Result, folder: Path, words: list[str]) -> None:
    """Write a result's run folder; ``words`` (without "rpusim") are the command that makes it again, and are kept."""
    from rpusim.reports import save
    from rpusim.workloads.results.result import text

    found.document["command"] = text(shlex.join(["rpusim", *words]))
    save(found, folder)
    HEED.written = str(folder)


def say_where(file: Path, json_wanted: bool) -> None:
    """Tell where a file was written, below the tables; stdout that holds a JSON document holds nothing else."""
    if not json_wanted:
        click.echo(f"\n{file}")
