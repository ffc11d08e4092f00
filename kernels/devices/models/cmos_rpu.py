"""CmosRpu: a capacitor charged and discharged by two transistors, read by a third one; what it holds leaks away.

The voltage V of the capacitor is the weight, w = w_max at one end of its swing and w_min at the other. A coincidence
turns on one of two current sources for the width of a pulse: the one to the supply adds charge, the one to ground takes
charge away. The current of a transistor falls with the voltage that is left across it, so that

    up:    size = s_up   (1 - gamma_up   w / w_max) (1 + sigma xi)                                (1)
    down:  size = s_down (1 - gamma_down w / w_min) (1 + sigma xi)                                (2)

The two sources are two transistors and vary independently, each by ``current_dtod``; the capacitance scales both steps:

    s_up   = dw_min (1 + capacitance_dtod xi_c + current_dtod xi_up)                              (3)
    s_down = dw_min (1 + capacitance_dtod xi_c + current_dtod xi_down)                            (4)

which is what all pulsed devices have, with dw_min_dtod^2 = capacitance_dtod^2 + current_dtod^2 / 2 in common and
up_down_dtod = current_dtod / sqrt(2) against each other. Turned off, both still conduct a little, to either end of the
swing, with log-normal conductances g = exp(leakage_dtod xi) in units of the mean cell's:

    w(t) = w_rest + (w(0) - w_rest) exp(-t / tau)                                                 (5)
    tau = 2 retention / (g_up + g_down),   w_rest = (w_max g_up + w_min g_down) / (g_up + g_down) (6)

A threshold of the read transistor that is off by ``offset_dtod`` shifts both ends of the swing, and with them w_rest.

Modelled: finite swing, output resistance, mismatch of currents and capacitance, leakage with time, offset of the
read-out. Not modelled: off currents that do not fall with the voltage (they would discharge linearly), a read-out that
is not linear, charge that the gates inject, kT/C noise (0.2 mV at 100 fF). The circuit behind the numbers, in volts and
farads, is in `rpusim.arch.parts.cmos_cell`.

Kim, Gokmen, Lee & Haensch, MWSCAS 2017 (arXiv:1706.06620); Li et al., VLSI 2018.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field, replace

import torch

from rpusim.arch.contract import checks
from rpusim.kernels.devices.base import Cells, Draw
from rpusim.kernels.devices.models.linear_step import LinearStep


@dataclass(frozen=True)
class CmosRpu(LinearStep):
    """A capacitor cell; besides the parameters of `LinearStep`, of which some follow from these:

    current_dtod:     relative spread of each of the two currents.
    capacitance_dtod: relative spread of the capacitance.
    leakage_dtod:     spread of the logarithm of the off conductance of one transistor.
    offset_dtod:      spread of the read-out's offset, in weight.
    retention:        time constant of leakage of the mean cell, in seconds; 0: no leakage.
    """

    dw_min_dtod: float = field(init=False, default=0.0)
    up_down_dtod: float = field(init=False, default=0.0)
    retention_dtod: float = field(init=False, default=0.0)
    w_max_dtod: float = 0.0
    w_min_dtod: float = 0.0
    gamma_up_dtod: float = 0.0
    gamma_down_dtod: float = 0.0
    current_dtod: float = 0.1
    capacitance_dtod: float = 0.0
    leakage_dtod: float = 0.0
    offset_dtod: float = 0.0

    kind = "cmos-rpu"

    def __post_init__(self) -> None:
        for name in ("current_dtod", "capacitance_dtod", "leakage_dtod", "offset_dtod"):
            checks.number(name, getattr(self, name), low=0.0)
        common = math.hypot(self.capacitance_dtod, self.current_dtod / math.sqrt(2.0))
        object.__setattr__(self, "dw_min_dtod", common)
        object.__setattr__(self, "up_down_dtod", self.current_dtod / math.sqrt(2.0))
        super().__post_init__()

    def leaking(self, cells: Cells, draw: Draw) -> Cells:
        """Give each cell its time constant and rest by equation 6, and the ends of the swing that the read-out sees."""
        up, down = (torch.exp(self.leakage_dtod * draw.normal()) for _ in range(2))
        offset = self.offset_dtod * draw.normal()
        tau = 2.0 * self.retention / (up + down) if self.retention > 0.0 else None
        rest = (cells.bound_max * up + cells.bound_min * down) / (up + down)
        pulse = cells.pulse.clone()
        pulse[..., :2] += offset[..., None]
        return replace(cells, pulse=pulse, target=rest + offset, retention=tau)
