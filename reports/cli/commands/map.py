"""`rpusim map`: where the layers of a network lie on a chip."""

from __future__ import annotations

from typing import Any

import click

from rpusim.reports.cli.console import aside
from rpusim.reports.cli.options import (
    as_json,
    bias,
    copies_by_layer,
    device,
    replicas,
    required_chip,
    settings,
    with_changes,
)
from rpusim.reports.cli.output import emit


@click.command("map")
@click.argument("network")
@required_chip
@bias
@device
@replicas
@settings
@as_json
def map_network(
    network: str,
    chip: str,
    bias: Any,
    device: str | None,
    replicas: str | None,
    settings: tuple[str, ...],
    json_wanted: bool,
) -> None:
    """Show where a network lies on a chip.

    Tiles, arrays, utilisation and area of NETWORK (see `rpusim presets`); no weight is allocated. A network of
    your own is given as FILE.py:FUNCTION; the file is run, with all your rights.
    """
    from rpusim.workloads.runs import estimate

    on, cells = with_changes(chip, device, settings)
    with aside():
        document = estimate.map_network(network, on, bias, cells, copies_by_layer(replicas))
    if json_wanted:
        emit(document)
    else:
        from rpusim.reports.words import tables

        tables.console().print(tables.placement(document))
