"""What `rpusim bench` prints: one line a measurement, with the ratio to what it is compared with."""

from __future__ import annotations

from typing import Any


def line(row: dict[str, Any]) -> str:
    """One row of `rpusim.workloads.benchmarks.training.run` as text.

    >>> line({"name": "train x", "value": 1234.5, "unit": "samples/s", "peer": "y", "peer_value": 100.0, "ratio": 12.3})
    'train x                                                             1.23e+03 samples/s   12.3 x y (100)'
    """
    compared = f"{row['ratio']:6.3g} x {row['peer']} ({row['peer_value']:.3g})"
    return f"{row['name']:66s} {row['value']:9.3g} {row['unit']} {compared}"
