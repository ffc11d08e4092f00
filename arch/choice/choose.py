"""Place a network with what the mapper chooses: replicas that balance stages, tiles near those that they talk to."""

from __future__ import annotations

from rpusim.arch.chips.chip import Chip
from rpusim.arch.choice.balance import GivenReplicas, chosen_replicas
from rpusim.arch.choice.near import nearer
from rpusim.arch.contract.cell_layout import SINGLE, CellLayout
from rpusim.arch.mapping.fit.wanted import AS_IS, GivenFit
from rpusim.arch.mapping.placement import Bias, Placement, place
from rpusim.arch.network.network import Network
from rpusim.errors import InputError, nearest, shown, written

PLACINGS = ("in-order", "near")
"""Where tiles are put: one layer after the other, row by row; or with fewer bits times hops, see `near`."""


def checked_placing(given: str) -> str:
    """Return one of `PLACINGS`. Raises `InputError` for anything else."""
    if given not in PLACINGS:
        raise InputError(f"placing: got {shown(written(given))}{nearest(given, PLACINGS)}")
    return given


def place_chosen(
    network: Network,
    chip: Chip,
    bias: Bias = "column",
    cell: CellLayout = SINGLE,
    replicas: GivenReplicas = None,
    fit: GivenFit = AS_IS,
    tiles: int | None = None,
    placing: str = "in-order",
    training: bool = False,
) -> Placement:
    """Place a network as `rpusim.arch.mapping.placement.place` does, with replicas and places that may be chosen.

    Args:
        network, chip, bias, cell, fit: as there.
        replicas, tiles: see `rpusim.arch.choice.balance.chosen_replicas`.
        placing: one of `PLACINGS`.
        training: whether what goes back counts for the places.

    Returns:
        The placement. Raises `InputError` for what is not accepted or does not fit.
    """
    checked_placing(placing)
    copies = chosen_replicas(network, chip, replicas, tiles, bias, cell, fit)
    placement = place(network, chip, bias, cell, copies, fit=fit)
    return nearer(placement, training) if placing == "near" else placement
