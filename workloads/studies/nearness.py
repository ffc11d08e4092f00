"""Measure what placing tiles near each other saves: bits times hops, time and energy of ten networks on three chips.

    python -m rpusim.workloads.studies.nearness [NETWORK ...]

prints the rows of the table in docs/mapping.md: layers in order, then near, in inference. Each network is timed for one
sample, layer after layer, on a chip that has grown to as many tiles as it takes (mobilenet-v2 is packed). All takes
some minutes on one core.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from dataclasses import dataclass

from rpusim.arch.choice.choose import PLACINGS
from rpusim.workloads.runs.estimate import time_network

NETWORKS = (
    "lenet-2017",
    "rapa-cifar",
    "resnet20",
    "vgg8",
    "alexnet",
    "lstm-ptb",
    "transformer-encoder",
    "mobilenet-v2",
    "resnet18",
    "resnet50",
)
CHIPS = ("rpu-2016", "reram-512", "ambrogio-2023")
PACKED = ("mobilenet-v2",)
"""Networks whose arrays are shared: with one array for each channel they would take thousands."""
REPLICAS = {"rapa-cifar": {"conv1": 64, "conv2": 16, "conv3": 4}}
"""Copies of layers, after Rasch et al. 2019."""


@dataclass(frozen=True)
class Row:
    """What one network on one chip takes in one order of tiles.

    tiles: that are used. far: bits times hops of a sample. seconds, joules: of a sample.
    """

    tiles: int
    far: int
    seconds: float
    joules: float


def measured(network: str, chip: str, placing: str) -> Row:
    """Place and time one sample of a network of the zoo on a chip that ships; placing: one of `PLACINGS`."""
    fit = "pack" if network in PACKED else "grow"
    copies = REPLICAS.get(network)
    found = time_network(network, chip, 1, False, "sequential", replicas=copies, fit=fit, placing=placing).document
    far = found["floor"]["bits_times_hops"]
    return Row(found["tiles"]["count"], far, found["time"]["total_s"], found["energy"]["total_J"])


def rows(networks: tuple[str, ...] = NETWORKS) -> Iterator[str]:
    """Yield the rows of the table, as markdown."""
    for network in networks:
        for chip in CHIPS:
            before, after = (measured(network, chip, placing) for placing in PLACINGS)
            both = (
                f"{before.far / 1e6:.4g} → {after.far / 1e6:.4g}",
                f"{before.seconds * 1e6:.5g} → {after.seconds * 1e6:.5g}",
                f"{before.joules * 1e6:.4g} → {after.joules * 1e6:.4g}",
            )
            yield f"| {network} | {chip} | {before.tiles} | {' | '.join(both)} |"


if __name__ == "__main__":
    for row in rows(tuple(sys.argv[1:]) or NETWORKS):
        print(row, flush=True)
