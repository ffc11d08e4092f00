"""Choose how a network is mapped for an aim, within a budget of tiles: every combination is timed by the engine.

Combined are the ways to fit (as-is, pack, grow), replicas (one of each, or balanced under the budget) and places
(in-order, near). Kinds of tiles and cuts of matrices are those that each way to fit settles on (see
`rpusim.arch.mapping.fit.site`); they are not varied beyond that.

    latency      seconds of one sample, layer after layer
    throughput   seconds of eight samples in the pipeline, over eight
    energy       joules of one sample, layer after layer
    area         square metres of a chip with just the tiles that are used
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import product
from typing import TYPE_CHECKING, Any

from rpusim.arch.chips.bill_of_parts import bill_of_parts
from rpusim.arch.chips.chip import Chip, GivenChip, load_chip
from rpusim.arch.choice.choose import PLACINGS
from rpusim.arch.mapping.placement import Bias
from rpusim.errors import InputError, nearest
from rpusim.workloads.runs.estimate import time_network

if TYPE_CHECKING:
    from rpusim.workloads.runs.given_network import GivenNetwork
    from rpusim.workloads.runs.inputs import GivenDevice

AIMS = {"latency": "s", "throughput": "s", "energy": "J", "area": "m²"}
"""What can be sought, each the less the better, with its unit."""
WAYS = tuple(product(("as-is", "pack", "grow"), (None, "balance"), PLACINGS))
"""Fit, replicas and places of every combination; packed layers have no balanced replicas."""
_IN_PIPELINE = 8
"""Samples that are timed for the throughput."""


@dataclass(frozen=True)
class Tried:
    """One combination.

    fit, replicas, placing: as for `time_network`.
    value:      of the aim; None: it cannot be.
    why:        what keeps it from being, or its bottleneck.
    tiles:      that are used.
    copies:     of layers that have several.
    """

    fit: str
    replicas: str | None
    placing: str
    value: float | None
    why: str
    tiles: int = 0
    copies: tuple[tuple[str, int], ...] = ()

    def document(self) -> dict[str, Any]:
        """Describe it in the document of `optimise`."""
        found = {"fit": self.fit, "replicas": self.replicas or "one", "placing": self.placing, "value": self.value}
        return {**found, "tiles": self.tiles, "copies": dict(self.copies), "why": self.why}


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
        A document: what was sought, the combination chosen, why its bottleneck remains, and all that were tried, the
        best first. Raises `InputError` if none fits the budget.
    """
    if aim not in AIMS:
        raise InputError(f"optimise: got {aim!r}{nearest(aim, tuple(AIMS))}")
    on = load_chip(chip)
    budget = on.tile_count if tiles is None else tiles
    tried = [_tried(network, on, aim, budget, bias, device, *way) for way in WAYS if not (way[0] == "pack" and way[1])]
    found = sorted((each for each in tried if each.value is not None), key=lambda each: (each.value, each.tiles))
    if not found:
        reasons = "; ".join(dict.fromkeys(each.why for each in tried))
        raise InputError(f"optimise: nothing fits on {budget} tiles of chip {on.name} ({reasons})")
    chosen = found[0]
    return {
        "network": network if isinstance(network, str) else "network",
        "chip": on.name,
        "aim": aim,
        "unit": AIMS[aim],
        "budget": budget,
        "chosen": chosen.document(),
        "bottleneck": chosen.why,
        "tried": [each.document() for each in (*found, *(each for each in tried if each.value is None))],
    }


def _tried(
    network: GivenNetwork,
    chip: Chip,
    aim: str,
    budget: int,
    bias: Bias,
    device: GivenDevice | None,
    fit: str,
    replicas: str | None,
    placing: str,
) -> Tried:
    """Time one combination."""
    samples, schedule = (_IN_PIPELINE, "layer-pipelined") if aim == "throughput" else (1, "sequential")
    most = budget if replicas else None
    if most is not None and fit != "grow":
        most = min(budget, chip.tile_count)
    how: dict[str, Any] = {"bias": bias, "device": device, "replicas": replicas, "fit": fit, "tiles": most}
    try:
        found = time_network(network, chip, samples, False, schedule, placing=placing, **how).document  # type: ignore[arg-type]
    except InputError as error:
        return Tried(fit, replicas, placing, None, str(error))
    used = found["tiles"]["count"]
    if used > budget:
        return Tried(fit, replicas, placing, None, f"{fit} takes {used} tiles", used)
    values = {
        "latency": found["time"]["per_sample_s"],
        "throughput": found["time"]["per_sample_s"],
        "energy": found["energy"]["per_sample_J"],
        "area": _area(chip, found),
    }
    copies = tuple((layer["name"], layer["replicas"]) for layer in found["layers"] if layer["replicas"] > 1)
    return Tried(fit, replicas, placing, values[aim], found["bottleneck"]["sentence"], used, copies)


def _area(chip: Chip, found: dict[str, Any]) -> float:
    """Compute the area (m²) of the chip with just the tiles that a result uses, at least one of each kind."""
    used = {kind.name: set[int]() for kind in chip.tiles}
    for layer in found["layers"]:
        for block in layer["tiles"]:
            used[block["kind"]].add(block["tile"])
    kinds = tuple(kind.model_copy(update={"count": max(len(used[kind.name]), 1)}) for kind in chip.tiles)
    return bill_of_parts(chip.model_copy(update={"tiles": kinds})).area_m2
