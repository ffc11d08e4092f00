"""`rpusim map`: where the layers of a network lie on a chip, or how every network fits on every chip."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from rpusim.arch.contract.waiting import awaited
from rpusim.errors import InputError
from rpusim.reports.cli.console import aside
from rpusim.reports.cli.options import (
    as_json,
    bias,
    copies_by_layer,
    device,
    fit,
    optional_chip,
    placing,
    replicas,
    settings,
    tiles,
    with_changes,
)
from rpusim.reports.cli.output import emit


@click.command("map")
@click.argument("network", required=False)
@optional_chip
@bias
@device
@replicas
@tiles
@placing
@fit
@settings
@click.option("--all", "everything", is_flag=True, help="A table of all networks and chips, or of those named.")
@click.option(
    "--optimise",
    "aim",
    type=click.Choice(["latency", "throughput", "energy", "area"]),
    help="Choose fit, replicas and places for this within --tiles; each combination is timed, in inference.",
)
@click.option("--svg", type=click.Path(path_type=Path), metavar="FILE", help="Draw the floor plan into a file.")
@as_json
def map_network(
    network: str | None,
    chip: str | None,
    bias: Any,
    device: str | None,
    replicas: str | None,
    tiles: int | None,
    placing: str,
    fit: str,
    settings: tuple[str, ...],
    everything: bool,
    aim: str | None,
    svg: Path | None,
    json_wanted: bool,
) -> None:
    """Show where a network lies on a chip.

    Tiles, arrays, utilisation and area of NETWORK (see `rpusim presets`); no weight is allocated. A network of
    your own is given as FILE.py:FUNCTION; the file is run, with all your rights.
    """
    if everything:
        _map_all(network, chip, settings, json_wanted)
        return
    if network is None or chip is None:
        raise InputError("map: a NETWORK and --chip are needed; accepted without them: --all")
    from rpusim.workloads.runs import estimate

    on, cells = with_changes(chip, device, settings)
    if aim is not None:
        if replicas or placing != "in-order" or fit != "as-is" or svg is not None:
            raise InputError("--optimise: chooses --replicas, --placing and --fit itself; leave them and --svg out")
        _optimise(network, on, aim, tiles, bias, cells, json_wanted)
        return
    with aside(), awaited("placing the network"):
        document = estimate.map_network(network, on, bias, cells, copies_by_layer(replicas), fit, tiles, placing)
    if svg is not None:
        _draw(document, svg)
    if json_wanted:
        emit(document)
    else:
        from rpusim.reports.words import tables

        tables.console().print(tables.placement(document))


def _optimise(network: str, chip: Any, aim: str, tiles: int | None, bias: Any, device: Any, json_wanted: bool) -> None:
    """Choose how a network is mapped, and show all that was tried."""
    from rpusim.workloads.runs.optimised import optimise

    with aside(), awaited("placing the network"):
        document = optimise(network, chip, aim, tiles, bias, device)
    if json_wanted:
        emit(document)
    else:
        from rpusim.reports.words import choices, tables

        tables.console().print(choices.tried(document))


def _draw(document: dict[str, Any], file: Path) -> None:
    """Draw the floor plan into a file."""
    from rpusim.reports.page.floor_plan import standalone

    if "floor" not in document:
        raise InputError(
            f"--svg: the floor plan of {document['network']} has too many blocks to be drawn; leave it out"
        )
    try:
        file.write_text(standalone(document), encoding="utf-8")
    except OSError as error:
        raise InputError(f"--svg: {str(file)!r} cannot be written ({error.strerror}); accepted: a file") from None


def _map_all(network: str | None, chip: str | None, settings: tuple[str, ...], json_wanted: bool) -> None:
    """Show how networks fit on chips."""
    from rpusim.workloads.runs.overview import map_all

    if settings and chip is None:
        raise InputError("--set: changes fields of the chip, but with --all and without --chip there are several")
    on = [with_changes(chip, None, settings)[0]] if chip else []
    with aside(), awaited("placing the network"):
        document = map_all([network] if network else [], on)
    if json_wanted:
        emit(document)
    else:
        from rpusim.reports.words import fitting, tables

        tables.console().print(fitting.matrix(document))
