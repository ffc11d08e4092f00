"""`rpusim devices`: how a device responds to pulses."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from rpusim.errors import InputError
from rpusim.reports.cli.options import as_json, changes, settings
from rpusim.reports.cli.output import emit, say_where


@click.command("devices")
@click.argument("name", required=False)
@click.option("--pulses", type=int, help="How many pulses up, and then down.  [default: as many as there are states]")
@click.option("--cells", type=int, default=5, show_default=True, help="How many sampled cells to draw.")
@click.option("--svg", "drawing", type=click.Path(path_type=Path), metavar="FILE", help="Write the drawing, too.")
@settings
@as_json
def show_devices(
    name: str | None,
    pulses: int | None,
    cells: int,
    drawing: Path | None,
    settings: tuple[str, ...],
    json_wanted: bool,
) -> None:
    """Draw how a device responds to pulses.

    NAME is a preset, a model such as soft-bounds, a file of your own (FILE.yaml, FILE.py:CLASS); without it, a table of
    the presets and models.
    """
    from rpusim.reports.curves import devices, response_svg, response_text
    from rpusim.reports.words import tables
    from rpusim.workloads.results import files

    if name is None and (pulses is not None or drawing is not None or settings):
        raise InputError("--pulses, --svg and --set are about one device; give its NAME as well (see `rpusim devices`)")
    changed = of_device(changes(settings))
    document: Any = devices.overview() if name is None else devices.describe(name, pulses, cells, changed)
    if drawing is not None:
        files.replace(drawing, response_svg.draw(document))
    if json_wanted:
        emit(document)
        return
    console = tables.console()
    console.print(response_text.table(document) if name is None else response_text.response(document, console.width))
    if drawing is not None:
        say_where(drawing, json_wanted)


def of_device(changes: dict[str, Any]) -> dict[str, Any]:
    """Return what is changed by parameter of the device; InputError: it is not one of a device."""
    for path in changes:
        if not path.startswith("device."):
            raise InputError(f"--set {path}: accepted here are parameters of the device, such as device.dw_min=0.002")
    return {path.removeprefix("device."): value for path, value in changes.items()}
