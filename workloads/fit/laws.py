"""The size of a step against where a cell is, one law for each model of `rpusim.kernels.devices.models`.

A law is written once for both directions, in terms of u, the place in the direction of the pulse: u = x for an up pulse
and u = -x for a down pulse, where x is the conductance in units of half the device's own range, counted from the middle
of it. In each direction a law has a size s at u = 0, the place b of the bound ahead, and at most one shape:

    constant-step    s                                              up to b                                       (1)
    linear-step      s (1 - c u)                                    up to b                                       (2)
    soft-bounds      s (1 - u / b)                                                                                (3)
    pow-step         s ((b - u) / b)^g                                                                            (4)
    exp-step         s (1 - exp(k (u - b))) / (1 - exp(-k b))                                                     (5)
    piecewise-step   nodes, evenly spaced over the device's range                                                 (6)

soft-bounds-reference is (3) with noise of the size s wherever the cell is; the noise of all others is relative to the
step. (5) with k towards 0, and (4) with g = 1, are (3).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.floating[Any]]
Whole = NDArray[np.int64]
NODES = 5
"""Nodes of a piecewise linear response: fewer than most devices have states."""
_LARGEST = 60.0


@dataclass(frozen=True)
class Law:
    """A law of steps.

    kind:      of the model.
    names:     of its parameters in one direction.
    step:      size and its slope against u, from u and these parameters (len(names), ...).
    ends:      whether a cell stops at b although its steps do not vanish there.
    additive:  whether noise is relative to s, not to the step where the cell is.
    formula:   in words of the documentation.
    starts:    first guesses of the shape, or of bounds that stop a cell as multiples of the device's own range, of
               which the best one is taken.
    """

    kind: str
    names: tuple[str, ...]
    step: Callable[[Array, Array], tuple[Array, Array]]
    ends: bool = False
    additive: bool = False
    formula: str = ""
    starts: tuple[float, ...] = (0.0,)

    @property
    def size(self) -> int:
        """How many parameters a device has: two directions, noise of pulses, noise of writes."""
        return 2 * len(self.names) + 2


def _constant(u: Array, p: Array) -> tuple[Array, Array]:
    return np.exp(p[0]) + 0.0 * u, np.zeros_like(u + p[0])


def _linear(u: Array, p: Array) -> tuple[Array, Array]:
    size = np.exp(p[0])
    return size * (1.0 - p[2] * u), -size * p[2] + 0.0 * u


def _soft(u: Array, p: Array) -> tuple[Array, Array]:
    size = np.exp(p[0])
    return size * (1.0 - u / p[1]), -size / p[1] + 0.0 * u


def _power(u: Array, p: Array) -> tuple[Array, Array]:
    g = np.exp(p[2])
    share = np.maximum((p[1] - u) / p[1], 1e-9)
    size = np.exp(p[0]) * share**g
    return size, -g * size / (share * p[1])


def _exponential(u: Array, p: Array) -> tuple[Array, Array]:
    k = np.exp(p[2])
    whole = np.exp(p[0]) / -np.expm1(-np.minimum(k * p[1], _LARGEST))
    falling = np.exp(np.clip(k * (u - p[1]), -_LARGEST, _LARGEST))
    return whole * (1.0 - falling), -whole * k * falling


def _piecewise(u: Array, p: Array) -> tuple[Array, Array]:
    q = np.clip((u + 1.0) / 2.0, 0.0, 1.0 - 1e-12) * (NODES - 1)
    left = q.astype(int)
    below = np.take_along_axis(p, left[None], 0)[0]
    above = np.take_along_axis(p, left[None] + 1, 0)[0]
    return below + (q - left) * (above - below), (above - below) * (NODES - 1) / 2.0


_SB = ["size", "bound"]
LAWS: dict[str, Law] = {
    law.kind: law
    for law in (
        Law("constant-step", tuple(_SB), _constant, ends=True, formula="s", starts=(1.0, 1.5)),
        Law("linear-step", (*_SB, "slope"), _linear, ends=True, formula="s (1 - gamma w / bound)", starts=(1.0, 1.5)),
        Law("soft-bounds", tuple(_SB), _soft, formula="s (1 - w / bound)"),
        Law("soft-bounds-reference", tuple(_SB), _soft, additive=True, formula="s (1 - w / bound), noise s sigma"),
        Law("pow-step", (*_SB, "power"), _power, formula="s (distance to bound / range)^gamma", starts=(-0.5, 0.7)),
        Law("exp-step", (*_SB, "rate"), _exponential, formula="s (1 - A exp(gamma z))", starts=(-1.0, 1.0)),
        Law("piecewise-step", tuple(f"node {k}" for k in range(NODES)), _piecewise, formula=f"{NODES} nodes"),
    )
}
