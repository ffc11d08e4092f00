"""`rpusim devices`: how a device responds to pulses."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from rpusim.errors import InputError
from rpusim.reports.cli.options import as_json
from rpusim.reports.cli.output import emit, say_where


@click.command("devices")
@click.argument("name", required=False)
@click.option("--pulses", type=int, help="How many pulses up, and then down.  [default: as many as there are states]")
@click.option("--cells", type=int, default=5, show_default=True, help="How many sampled cells to draw.")
@click.option("--svg", "drawing", type=click.Path(path_type=Path), metavar="FILE", help="Write the drawing, too.")
@as_json
def show_devices(name: str | None, pulses: int | None, cells: int, drawing: Path | None, json_wanted: bool) -> None:
    """Draw how a device responds to pulses.

    NAME is a preset, or a model such as soft-bounds; without it, a table of the presets.
    """
    from rpusim.reports.curves import devices, response_svg, response_text
    from rpusim.reports.words import tables
    from rpusim.workloads.results import files

    if name is None and (pulses is not None or drawing is not None):
        raise InputError("--pulses and --svg draw one device; give its NAME as well (see `rpusim devices`)")
    document: Any = devices.overview() if name is None else devices.describe(name, pulses, cells)
    if drawing is not None:
        files.replace(drawing, response_svg.draw(document))
    if json_wanted:
        emit(document)
        return
    console = tables.console()
    console.print(response_text.table(document) if name is None else response_text.response(document, console.width))
    if drawing is not None:
        say_where(drawing, json_wanted)
