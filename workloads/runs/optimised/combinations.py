"""One way to map a network, timed by the engine: what it is worth for an aim, within a budget of tiles."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from rpusim.arch.chips.bill_of_parts import bill_of_parts
from rpusim.arch.chips.chip import Chip
from rpusim.arch.mapping.fit.wanted import Fit
from rpusim.arch.mapping.placement import Bias
from rpusim.errors import InputError
from rpusim.workloads.runs.estimate import time_network

if TYPE_CHECKING:
    from rpusim.workloads.runs.given_network import GivenNetwork
    from rpusim.workloads.runs.inputs import GivenDevice

AIMS = {"latency": "s", "throughput": "s", "energy": "J", "area": "m²"}
"""What can be sought, each the less the better, with its unit."""
_IN_PIPELINE = 8
"""Samples that are timed for the throughput."""


@dataclass(frozen=True)
class OneLayer:
    """What a combination made of a layer that holds its own weight.

    name, vectors, macs: as in a result. replicas: copies. tiles: how many blocks it has on the chip. rows, columns:
    of its largest block. kind: of its tiles.
    """

    name: str
    vectors: int
    macs: int
    replicas: int
    tiles: int
    rows: int
    columns: int
    kind: str


@dataclass(frozen=True)
class Tried:
    """One combination.

    fit, replicas, placing: as for `time_network`.
    value:      of the aim; None: it cannot be.
    why:        what keeps it from being, or its bottleneck.
    tiles:      that are used.
    copies:     of layers that have several.
    layers:     where they lie.
    """

    fit: Fit
    replicas: str | None
    placing: str
    value: float | None
    why: str
    tiles: int = 0
    copies: tuple[tuple[str, int], ...] = ()
    layers: tuple[OneLayer, ...] = ()

    def document(self) -> dict[str, Any]:
        """Describe it in the document of `optimise`."""
        found: dict[str, Any] = {"fit": self.fit.way, "replicas": self.replicas or "one", "placing": self.placing}
        found |= {"kinds": dict(self.fit.kinds), "cuts": {name: list(cut) for name, cut in self.fit.cuts.items()}}
        return {**found, "value": self.value, "tiles": self.tiles, "copies": dict(self.copies), "why": self.why}


@dataclass(frozen=True)
class Timer:
    """Times combinations of one network on one chip; arguments as for `optimise`."""

    network: GivenNetwork
    chip: Chip
    aim: str
    budget: int
    bias: Bias
    device: GivenDevice | None

    def tried(self, fit: Fit, replicas: str | None, placing: str) -> Tried:
        """Time one combination."""
        samples, schedule = (_IN_PIPELINE, "layer-pipelined") if self.aim == "throughput" else (1, "sequential")
        most = self.budget if replicas else None
        if most is not None and fit.way != "grow":
            most = min(self.budget, self.chip.tile_count)
        how: dict[str, Any] = {"bias": self.bias, "device": self.device, "fit": fit, "tiles": most}
        how |= {"replicas": replicas, "placing": placing}
        try:
            found = time_network(self.network, self.chip, samples, False, schedule, **how).document  # type: ignore[arg-type]
        except InputError as error:
            return Tried(fit, replicas, placing, None, str(error))
        used = found["tiles"]["count"]
        if used > self.budget:
            return Tried(fit, replicas, placing, None, f"{fit} takes {used} tiles", used)
        values = {
            "latency": found["time"]["per_sample_s"],
            "throughput": found["time"]["per_sample_s"],
            "energy": found["energy"]["per_sample_J"],
            "area": _area(self.chip, found),
        }
        layers = found["layers"]
        copies = tuple((layer["name"], layer["replicas"]) for layer in layers if layer["replicas"] > 1)
        lying = tuple(_of_layer(layer) for layer in layers if "arrays_of" not in layer)
        why = found["bottleneck"]["sentence"]
        return Tried(fit, replicas, placing, values[self.aim], why, used, copies, lying)


def _of_layer(layer: dict[str, Any]) -> OneLayer:
    """Read a layer of a result."""
    blocks = layer["tiles"]
    sizes = ([stop - start for start, stop in (block[side] for block in blocks)] for side in ("rows", "columns"))
    rows, columns = map(max, sizes)
    how = layer["replicas"], len(blocks), rows, columns, blocks[0]["kind"]
    return OneLayer(layer["name"], layer["vectors"], layer["macs"], *how)


def _area(chip: Chip, found: dict[str, Any]) -> float:
    """Compute the area (m²) of the chip with just the tiles that a result uses, at least one of each kind."""
    used = {kind.name: set[int]() for kind in chip.tiles}
    for layer in found["layers"]:
        for block in layer["tiles"]:
            used[block["kind"]].add(block["tile"])
    kinds = tuple(kind.model_copy(update={"count": max(len(used[kind.name]), 1)}) for kind in chip.tiles)
    return bill_of_parts(chip.model_copy(update={"tiles": kinds})).area_m2
