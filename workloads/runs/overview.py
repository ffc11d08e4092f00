"""Every network on every chip: which of the ways to fit does, with how many arrays, and how full they are."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from rpusim.arch.chips.chip import GivenChip, load_chip, presets
from rpusim.arch.mapping.fit.prospects import prospect
from rpusim.workloads.runs.given_network import load_network
from rpusim.workloads.zoo.networks import NETWORKS


def map_all(names: Sequence[str] = (), chips: Sequence[GivenChip] = ()) -> dict[str, Any]:
    """Find how networks would fit on chips, as a document.

    names: networks of the zoo, as they are in evaluation, or ``file.py:function``; none: the whole zoo.
    chips: presets, YAML files or `Chip` values; none: all that ship.

    Returns ``networks`` (name and weights) and ``rows``, one for each network and chip: see
    `rpusim.arch.mapping.fit.prospects.Prospect`. Raises InputError for a name that does not exist.
    """
    on = [load_chip(chip) for chip in chips or presets()]
    networks, rows = [], []
    for name in names or NETWORKS:
        found = load_network(name)
        number = sum(layer.weights for index, layer in enumerate(found.layers) if found.uses(index)[0] == index)
        networks.append({"name": name, "weights": number})
        rows += [{"network": name, "chip": chip.name, **prospect(found, chip).document()} for chip in on]
    return {"networks": networks, "chips": [chip.name for chip in on], "rows": rows}
