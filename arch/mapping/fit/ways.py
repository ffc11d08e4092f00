"""Settle where all weights of a network go, in the way that is wanted; or say in one sentence what is missing."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from dataclasses import replace

from rpusim.arch.chips.chip import Chip
from rpusim.arch.chips.row import several
from rpusim.arch.contract.cell_layout import SINGLE, CellLayout
from rpusim.arch.mapping.fit.grow import grown
from rpusim.arch.mapping.fit.reload import reloaded
from rpusim.arch.mapping.fit.site import Settled, Site, Weight, check, tiles_for, weights
from rpusim.arch.mapping.fit.wanted import Fit
from rpusim.arch.mapping.grids import MOST_ARRAYS
from rpusim.arch.network.network import Network
from rpusim.errors import InputError

Chosen = list[tuple[Weight, Settled]]
"""Every weight of a network and where it goes, in the order of their first use."""


def settled(
    network: Network,
    chip: Chip,
    fit: Fit,
    bias_column: bool = True,
    cell: CellLayout = SINGLE,
    copies: Mapping[str, int] | None = None,
) -> tuple[Chip, Chosen]:
    """Settle where the weights of a network go.

    network, chip, cell: as of `rpusim.arch.mapping.placement.place`. bias_column: whether biases are columns of their
    matrices. fit: what is wanted. copies: replicas of layers by name; None: one of each.

    Returns the chip, which has grown or is several if that is wanted, and the choice. Raises `InputError` if there is
    no room, or no array of the chip can be used.
    """
    chip = several(chip, fit.chips)
    every = list(weights(network, bias_column, fit, copies))
    if fit.way == "reload":
        return chip, list(zip(every, reloaded(every, chip, cell), strict=True))
    site, chosen = Site(chip, cell, endless=fit.way == "grow"), Chosen()
    for weight in every:
        check(chip, weight)
    for weight in every:
        if (found := site.settle(weight)) is None:
            raise InputError(_refusal(network, chip, fit, bias_column, cell, copies, site, weight))
        chosen.append((weight, found))
    if fit.way == "grow":
        chip = grown(chip, [arrays.taken * cell.arrays for arrays in site.arrays])
    return chip, chosen


def _refusal(
    network: Network,
    chip: Chip,
    fit: Fit,
    bias_column: bool,
    cell: CellLayout,
    copies: Mapping[str, int] | None,
    site: Site,
    weight: Weight,
) -> str:
    """Say which weight found no room, how many arrays of which kinds the network takes, and what would help."""
    needed, kind = site.needed(weight)
    left, there = site.left
    layer = f"layer {weight.layer.name!r} ({weight.layer.rows} x {weight.columns})"
    named, every = chip.tiles[kind], list(weights(network, bias_column, replace(fit, way="as-is", layers={}), copies))
    if fit.way == "grow":
        return (
            f"network: all layers up to {layer} need more than {MOST_ARRAYS} arrays of {named.name!r}, which is the "
            "most that can be placed; accepted: larger arrays or a smaller network"
        )
    helps = [f"grow ({sum(tiles_for(every, site))} tiles in place of {chip.tile_count})"]
    if fit.way == "as-is":
        packed = Site(chip, cell)
        if all(packed.settle(each) for each in weights(network, bias_column, replace(fit, way="pack"), copies)):
            helps.insert(0, f"pack ({_arrays(sum(arrays.taken for arrays in packed.arrays) * cell.arrays)})")
    with suppress(InputError):
        reloaded(list(weights(network, bias_column, replace(fit, way="reload", layers={}), copies)), chip, cell)
        helps.append("reload (inference)")
    *others, last = helps
    accepted = f"{', '.join(others)} or {last}" if others else last
    return (
        f"chip {chip.name}: {layer} needs {_arrays(needed)} of {named.name!r} ({named.array.weight_rows} x "
        f"{named.array.columns} weights), but {left} of {there} are left; accepted: --fit {accepted}, a chip with "
        "more tiles or a smaller network"
    )


def _arrays(number: int) -> str:
    return "1 array" if number == 1 else f"{number} arrays"
