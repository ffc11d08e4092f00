"""SoftBoundsPmax: soft bounds given by the pulse curve that one measures, instead of by steps and bounds.

From ``range_min``, p up pulses lead along (1), so that p_max of them arrive at ``range_max``; p down pulses lead back
along (2), the same curve turned round:

    w(p) = range_min + B (1 - exp(-alpha p))                                                      (1)
    w(p) = range_max - B (1 - exp(-alpha p))                                                      (2)
    B    = (range_max - range_min) / (1 - exp(-alpha p_max))                                      (3)

A pulse that moves a weight by the fraction k = 1 - exp(-alpha) of its distance to a bound gives these curves exactly:
the bounds are w_max = range_min + B and w_min = range_max - B, and the steps at weight 0 are k w_max and k |w_min|.
From the larger of them and their ratio follow ``dw_min`` and ``up_down``, which cannot be given. Weights may leave the
range of the curve, towards the bounds.

The parameters are those of IBM's analog hardware acceleration kit (Rasch et al. 2021); the steps are derived here.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field

from rpusim.arch.contract import checks
from rpusim.errors import InputError
from rpusim.kernels.devices.models.soft_bounds import SoftBounds


@dataclass(frozen=True)
class SoftBoundsPmax(SoftBounds):
    """Soft bounds from a pulse curve; dw_min, up_down, w_max and w_min follow from:

    p_max: pulses from one end of the range to the other.
    alpha: curvature per pulse.
    range_min, range_max: the ends; 0 must be reachable, that is lie between the bounds.
    """

    dw_min: float = field(init=False, default=0.0)
    up_down: float = field(init=False, default=0.0)
    w_max: float = field(init=False, default=0.0)
    w_min: float = field(init=False, default=0.0)
    p_max: int = 1000
    alpha: float = 0.0005
    range_min: float = -1.0
    range_max: float = 1.0

    kind = "soft-bounds-pmax"

    def __post_init__(self) -> None:
        checks.integer("p_max", self.p_max, low=1)
        checks.number("alpha", self.alpha, above=0.0)
        checks.number("range_min", self.range_min)
        checks.number("range_max", self.range_max)
        if self.range_max <= self.range_min:
            raise InputError(
                f"range_max: {self.range_max!r} was given; accepted is a number > range_min, here {self.range_min!r}"
            )
        span = (self.range_max - self.range_min) / -math.expm1(-self.p_max * self.alpha)
        w_max, w_min = self.range_min + span, self.range_max - span
        if not w_min < 0.0 < w_max:
            raise InputError(
                f"range_min, range_max: {self.range_min!r}, {self.range_max!r} were given, which with p_max and alpha "
                f"mean bounds {w_min:.4g} and {w_max:.4g}; accepted are ranges that put 0 between the bounds"
            )
        share = -math.expm1(-self.alpha)
        up, down = share * w_max, -share * w_min
        asymmetry = 1.0 - down / up if up >= down else up / down - 1.0
        for name, value in (("dw_min", max(up, down)), ("up_down", asymmetry), ("w_max", w_max), ("w_min", w_min)):
            object.__setattr__(self, name, value)
        super().__post_init__()
