"""`rpusim presets`: what ships with rpusim."""

from __future__ import annotations

import click

from rpusim.errors import InputError, nearest
from rpusim.reports.cli.options import as_json
from rpusim.reports.cli.output import emit


@click.command("presets")
@click.argument("kind", required=False)
@as_json
def list_presets(kind: str | None, json_wanted: bool) -> None:
    """List what ships with rpusim.

    Experiments, studies, networks, chips, devices, models of devices and ways to infer, a line for each. With KIND, one
    of these or cards, those alone, with their sources; cards are what parts of chips cost.
    """
    from rpusim.reports.cli.catalogue import KINDS, catalogue

    if kind is not None and kind not in KINDS:
        raise InputError(f"KIND: got {kind!r}{nearest(kind, KINDS)}")
    lists = catalogue()
    if json_wanted:
        emit(lists if kind is None else {kind: lists[kind]})
        return
    from rpusim.reports.words import tables

    shown = {name: entries for name, entries in lists.items() if name != "cards"}
    tables.console().print(tables.catalogue(shown) if kind is None else tables.of_kind(lists[kind]))
