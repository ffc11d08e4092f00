"""Leakage: every cell relaxes to its resting point with its own time constant, for as long as the clock says.

    w <- rest + (w - rest) exp(-t / tau)                                                          (1)

A tick of the clock is far shorter than tau: at 200 ns and a second, exp(-t / tau) is 1 - 2e-7, and a float32 weight
loses every such tick to rounding or doubles it. So what rounding takes away is kept beside the weight, as a second
float32 (``residue``), and given back the next time; weight and residue together are exact to 48 bits. For t / tau up
to 1/64, exp(-u) - 1 is the series -u + u^2/2 - ... + u^6/720, to 1e-14 of u; both paths use it, to the same bits.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from numba import prange

from rpusim.kernels.base.loops import Floats, Loop

Tensor = torch.Tensor

SHORT = 1.0 / 64.0
"""Up to this t / tau the series holds."""
_PARALLEL_CELLS = 8_000_000
_A6, _A5, _A4, _A3, _A2 = 1.0 / 720.0, -1.0 / 120.0, 1.0 / 24.0, -1.0 / 6.0, 0.5


def leak(
    weights: Tensor, residue: Tensor, retention: Tensor, rest: Tensor, seconds: float, shortest: float, path: str
) -> None:
    """Let ``seconds`` pass by equation 1, in place; negative seconds undo what was let pass.

    weights, residue: (rows, columns) float32, whose sum is what a cell holds, in weight. retention: tau of every cell,
    in seconds; rest: the weight that it relaxes to; both (rows, columns) float32. shortest: the smallest retention.
    path: "numba" or "torch".
    """
    short = abs(seconds) <= SHORT * shortest
    if path == "numba" and short:
        flat = (matrix.numpy().ravel() for matrix in (weights, residue, retention, rest))
        _LOOP(*flat, float(seconds), work=weights.numel())
        return
    tau = retention.double()
    u = torch.full_like(tau, seconds) / tau  # a number over a tensor would be its reciprocal, times the number
    change = _series(u) if short else torch.expm1(-u)
    held = weights.double() + residue.double()
    held = held + (held - rest.double()) * change
    weights.copy_(held)
    residue.copy_(held - weights.double())


def _series(u: Any) -> Any:
    """Compute exp(-u) - 1 for |u| <= SHORT by its series."""
    return u * (((((_A6 * u + _A5) * u + _A4) * u + _A3) * u + _A2) * u - 1.0)


# Injected by `compile_loop`; named here for the reader and for type checkers.
series: Any = None


def _leak(weights: Floats, residue: Floats, retention: Floats, rest: Floats, seconds: float) -> None:
    """Apply equation 1 to cells in a row; arguments as for `leak`."""
    for k in prange(len(weights)):
        u = seconds / np.float64(retention[k])
        change = series(u)
        held = np.float64(weights[k]) + np.float64(residue[k])
        held = held + (held - np.float64(rest[k])) * change
        weights[k] = np.float32(held)
        residue[k] = np.float32(held - np.float64(weights[k]))


_LOOP = Loop(_leak, _PARALLEL_CELLS, series=_series)
