"""."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from rpusim.arch.contract.sourced import Sourced


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
    bl: Annotated[int, Field(ge=1)] | None = None
