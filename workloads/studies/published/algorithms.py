"""Run time of a sample by training algorithm, on one array: from events, on a chip with a paper's assumptions."""

from __future__ import annotations

from functools import cache

from torch import nn

from rpusim.workloads.runs.estimate import time_network
from rpusim.workloads.studies.published.case import Simulated

SIZE, SAMPLES = 512, 100
"""Lines of the array, its column of biases counted, and samples that follow one another."""


def algorithms() -> Simulated:
    """Find the run times of algorithms on an array, by the names of the rows."""
    return {
        "rasch/mixed-precision": lambda: 1e6 * _seconds("mixed-precision-reram-sb"),
        "rasch/agad": lambda: _seconds("agad-reram-sb") / _seconds("ttv2-reram-sb"),
        "rasch/chopped": lambda: _seconds("chopped-ttv2-reram-sb") / _seconds("ttv2-reram-sb"),
    }


@cache
def _seconds(device: str) -> float:
    """Return the time of a sample that learns on one array of reram-512, the chip with the paper's assumptions."""
    layer = nn.Linear(SIZE - 1, SIZE), (SIZE - 1,)
    return float(time_network(layer, "reram-512", SAMPLES, True, "sequential", device=device)["time"]["per_sample_s"])
