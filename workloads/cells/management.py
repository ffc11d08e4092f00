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

    stochastic_rounding:  whether inputs are rounded up or down at random, in proportion (Gokmen, Rasch & Haensch 2018).
    noise:      by which of its inputs a vector is scaled before it is converted, such as the largest magnitude
                (abs_max); none: it is not.
    bound:      whether a vector whose outputs were clipped is multiplied again, with half its inputs (iterative), or
                all vectors as often as the worst one (iterative_worst_case).
    update:     whether pulses of the two sides are balanced.
    update_bl:  whether a train is only as long as its largest pair needs.
    bl:         slots of the longest pulse train; null: the chip's own.
    """

    stochastic_rounding: bool
    noise: Literal["none", "abs_max", "max", "constant", "average_abs_max", "abs_max_np_sum"]
    bound: Literal["none", "iterative", "iterative_worst_case"]
    update: bool
    update_bl: bool
    bl: Slots | None = None
