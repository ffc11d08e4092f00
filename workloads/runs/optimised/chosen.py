"""Choose how a network is mapped for an aim, within a budget of tiles: every combination is timed by the engine.

Combined are the ways to fit (as-is, pack, grow), replicas (one of each, or balanced under the budget) and places
(in-order, near). What is best of these is then refined (`rpusim.workloads.runs.optimised.refined`): which kind of tile
each layer lies on, where the chip has several, and into how small blocks it is cut.

    latency      seconds of one sample, layer after layer
    throughput   seconds of eight samples in the pipeline, over eight
    energy       joules of one sample, layer after layer
    area         square metres of a chip with just the tiles that are used
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import product
from typing import TYPE_CHECKING, Any

from rpusim.arch.chips.chip import GivenChip, load_chip
from rpusim.arch.choice.choose import PLACINGS
from rpusim.arch.mapping.fit.wanted import Fit
from rpusim.arch.mapping.placement import Bias
from rpusim.errors import InputError, nearest
from rpusim.workloads.runs.optimised.combinations import AIMS, Timer, Tried
from rpusim.workloads.runs.optimised.refined import Refinement, refined

if TYPE_CHECKING:
    from rpusim.workloads.runs.given_network import GivenNetwork
    from rpusim.workloads.runs.inputs import GivenDevice

WAYS = tuple(product(("as-is", "pack", "grow"), (None, "balance"), PLACINGS))
"""Fit, replicas and places of every combination; packed layers have no balanced replicas."""


def optimise(
    network: GivenNetwork,
    chip: GivenChip,
    aim: str,
    tiles: int | None = None,
    bias: Bias = "column",
    device: GivenDevice | None = None,
) -> dict[str, Any]:
    """Find the combination that is best for an aim, in inference.

    Args:
        network, chip, bias, device: as for `rpusim.time_network`.
        aim: one of `AIMS`.
        tiles: how many may be used; None: those of the chip.

    Returns:
        A document: what was sought, the combination chosen, why its bottleneck remains, how kinds of tiles and cuts
        were searched, and all that were tried, the best first. Raises `InputError` if none fits the budget.
    """
    if aim not in AIMS:
        raise InputError(f"optimise: got {aim!r}{nearest(aim, tuple(AIMS))}")
    on = load_chip(chip)
    budget = on.tile_count if tiles is None else tiles
    timer = Timer(network, on, aim, budget, bias, device)
    ways = [way for way in WAYS if not (way[0] == "pack" and way[1])]
    tried = [timer.tried(Fit(fit), replicas, placing) for fit, replicas, placing in ways]
    if all(each.value is None for each in tried):
        reasons = "; ".join(dict.fromkeys(each.why for each in tried))
        raise InputError(f"optimise: nothing fits on {budget} tiles of chip {on.name} ({reasons})")
    search = refined(timer, _in_order(tried)[0], ways)
    return _document(timer, [*tried, *search.tried], search)


def _in_order(tried: Sequence[Tried]) -> list[Tried]:
    """Return the combinations that can be, the best first."""
    return sorted((each for each in tried if each.value is not None), key=lambda each: (each.value, each.tiles))


def _document(timer: Timer, tried: Sequence[Tried], search: Refinement) -> dict[str, Any]:
    found = _in_order(tried)
    return {
        "network": timer.network if isinstance(timer.network, str) else "network",
        "chip": timer.chip.name,
        "aim": timer.aim,
        "unit": AIMS[timer.aim],
        "budget": timer.budget,
        "chosen": found[0].document(),
        "bottleneck": found[0].why,
        "searched": search.document(),
        "tried": [each.document() for each in (*found, *(each for each in tried if each.value is None))],
    }
