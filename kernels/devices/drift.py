"""Drift: conductances relax with the logarithm of time after they were programmed, as in phase-change memories.

A conductance g(t) = g_0 (t / t_0)^-nu follows a power law from the moment it was written. In terms of the weight
w = wg_ratio (g - g_offset) + w_offset, with tau = max(t - t_written, t_0) / t_0,

    w = (w_0 + a) tau^-nu - a,    a = g_offset wg_ratio - w_offset                                 (1)
    nu = nu_cell (1 + nu_std xi) - nu_k (ln((w - w_offset) / wg_ratio + g_offset) - log_g0)        (2)

Nobody knows when within an interval a weight was moved: one that moved by more than ``reset_tol`` since the last call
starts anew, with no drift in the interval that ends now.

Sources: Ielmini et al., IEEE Trans. Electron Devices 56:1070 (2009) for the law; parameters as in IBM's analog hardware
acceleration kit (Rasch et al. 2021), in which the sign of ``w_offset`` in (1) differs from what the law gives.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch

from rpusim.arch.contract import checks
from rpusim.kernels.base.elementwise import exp, log
from rpusim.kernels.devices.variation import Draw

Tensor = torch.Tensor
_SMALLEST = float(torch.finfo(torch.float32).tiny)


@dataclass(frozen=True)
class Drift:
    """Parameters of the drift; the default is none.

    nu, nu_dtod:   mean exponent, without unit (0: no drift), and its relative spread over the cells.
    nu_std:        relative spread of the exponent from call to call.
    nu_k, log_g0:  fall of the exponent with the natural logarithm of the conductance, and the logarithm where it is nu.
    wg_ratio, g_offset, w_offset: weight of one unit of conductance; conductance and weight at the origin.
    t_0:           seconds after writing at which the conductance was measured; no drift before.
    reset_tol:     a weight that moved by more than this, in weight, was written again.
    w_noise_std:   standard deviation of the noise added in each call, in weight.
    """

    nu: float = 0.0
    nu_dtod: float = 0.0
    nu_std: float = 0.0
    nu_k: float = 0.0
    log_g0: float = 0.0
    wg_ratio: float = 1.0
    g_offset: float = 0.0
    w_offset: float = 0.0
    t_0: float = 1.0
    reset_tol: float = 1e-7
    w_noise_std: float = 0.0

    def __post_init__(self) -> None:
        for field in ("nu", "nu_k", "log_g0", "g_offset", "w_offset"):
            checks.number(f"drift.{field}", getattr(self, field))
        for field in ("nu_dtod", "nu_std", "reset_tol", "w_noise_std"):
            checks.number(f"drift.{field}", getattr(self, field), low=0.0)
        for field in ("wg_ratio", "t_0"):
            checks.number(f"drift.{field}", getattr(self, field), above=0.0)

    def exponents(self, draw: Draw) -> Tensor | None:
        """Draw the frozen exponent of every cell (rows, columns); None without drift."""
        return self.nu * (1.0 + self.nu_dtod * draw.normal()) if self.nu != 0.0 else None

    def relaxed(self, start: Tensor, age: Tensor, exponent: Tensor, now: Tensor, noise: Tensor) -> Tensor:
        """Compute by equations 1 and 2 what weights have drifted to; all tensors are (rows, columns).

        start: the weights when they were written. age: seconds since then. exponent: as drawn by `exponents`. now: the
        weights before this call, on which the exponent depends. noise: standard-normal numbers for the exponent.
        """
        exponent = exponent * (1.0 + self.nu_std * noise)
        if self.nu_k != 0.0:
            conductance = (now - self.w_offset) / self.wg_ratio + self.g_offset
            exponent = exponent - self.nu_k * (log(conductance.clamp(min=_SMALLEST)) - self.log_g0)
        fall = exp(-exponent * log((age / self.t_0).clamp(min=1.0).float()))
        origin = self.g_offset * self.wg_ratio - self.w_offset
        return (start + origin) * fall - origin
