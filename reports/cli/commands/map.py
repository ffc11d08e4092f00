"""`rpusim map`: where the layers of a network lie on a chip, or how every network fits on every chip."""

from __future__ import annotations

from typing import Any

import click

from rpusim.errors import InputError
from rpusim.reports.cli.console import aside
from rpusim.reports.cli.options import (
    as_json,
    bias,
    copies_by_layer,
    device,
    fit,
    optional_chip,
    replicas,
    settings,
    with_changes,
)
from rpusim.reports.cli.output import emit


@click.command("map")
@click.argument("network", required=False)
@optional_chip
@bias
@device
@replicas
@fit
@settings
@click.option("--all", "everything", is_flag=True, help="A table of all networks and chips, or of those named.")
@as_json
def map_network(
    network: str | None,
    chip: str | None,
    bias: Any,
    device: str | None,
    replicas: str | None,
    fit: str,
    settings: tuple[str, ...],
    everything: bool,
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
    with aside():
        document = estimate.map_network(network, on, bias, cells, copies_by_layer(replicas), fit)
    if json_wanted:
        emit(document)
    else:
        from rpusim.reports.words import tables

        tables.console().print(tables.placement(document))


def _map_all(network: str | None, chip: str | None, settings: tuple[str, ...], json_wanted: bool) -> None:
    """Show how networks fit on chips."""
    from rpusim.workloads.runs.overview import map_all

    if settings and chip is None:
        raise InputError("--set: changes fields of the chip, but with --all and without --chip there are several")
    on = [with_changes(chip, None, settings)[0]] if chip else []
    with aside():
        document = map_all([network] if network else [], on)
    if json_wanted:
        emit(document)
    else:
        from rpusim.reports.words import fitting, tables

        tables.console().print(fitting.matrix(document))
