"""What an experiment asks of the digital side: management of noise, bounds and updates (``management:`` of its file).

Before a vector is driven, the digital side scales it to the range of the converters, and it may repeat a pass whose
outputs were clipped; before an update it chooses the length of the pulse trains. What this does to the numbers is
computed in `rpusim.kernels.mvm` and `rpusim.kernels.pulses`; the operations that it costs are counted in `periphery`.
"""

from __future__ import annotations

from typing import Literal

from rpusim.arch.contract.sourced import Slots, Sourced


class Management(Sourced):
    """What the digital side does to fit numbers to the analog range (Gokmen, Onen & Haensch 2017).

    ``stochastic_rounding`` rounds inputs up or down at random, in proportion (Gokmen, Rasch & Haensch 2018).
    ``bl`` is the longest pulse train; the chip's own if it is not given.
    """

    stochastic_rounding: bool
    noise: Literal["none", "abs_max", "max", "constant", "average_abs_max", "abs_max_np_sum"]
    bound: Literal["none", "iterative", "iterative_worst_case"]
    update: bool
    update_bl: bool
    bl: Slots | None = None
