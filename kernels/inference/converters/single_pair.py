"""SinglePair: a device for positive weights and one for negative ones, with r = (g_max - g_min) / max|W|,

    g+ = g_min + max(r W, 0),    g- = g_min + max(-r W, 0),    W = (g+ - g-) / r                                     (1)

the usual differential pair, and the default. It is an `NPair` of one.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from rpusim.kernels.inference.converters.n_pair import NPair


@dataclass(frozen=True)
class SinglePair(NPair):
    """Let a pair of devices stand for a weight; g_min, g_max: the range of a device in siemens."""

    significances: tuple[float, ...] = field(default=(1.0,), init=False)

    kind = "single-pair"
