"""Pulse trains: how a pair (x, d) is turned into pulses on rows and columns. Their types, parameters and gains.

*BL management* makes trains only as long as the strongest pair needs; *update management* scales both sides so that
their largest probabilities are equal, and lets only d saturate (Gokmen, Onen & Haensch, Front. Neurosci. 11:538, 2017).
What the pulses then do to the cells is in `specification`.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from enum import StrEnum

from rpusim.arch.contract import checks
from rpusim.errors import InputError


class PulseType(StrEnum):
    """How a pair (x, d) becomes pulses.

    STOCHASTIC_COMPRESSED:  random bits per line and slot; both signs of x in the same slots.
    STOCHASTIC:             the same bits, but positive and negative x in trains of their own, one after the other:
                            the same weights for twice the slots and row pulses where a vector has both signs.
    MEAN_COUNT:             each line's expected number of pulses, rounded; coincidences round(n_d n_x / BL).
    DETERMINISTIC_IMPLICIT: coincidences round(BL p_d p_x) per cell, as if trains were perfectly spread.
    NONE_WITH_DEVICE:       floating-point update, clipped to the device's bounds; no pulses.
    NONE:                   floating-point update without any device.
    """

    STOCHASTIC_COMPRESSED = "stochastic_compressed"
    STOCHASTIC = "stochastic"
    MEAN_COUNT = "mean_count"
    DETERMINISTIC_IMPLICIT = "deterministic_implicit"
    NONE_WITH_DEVICE = "none_with_device"
    NONE = "none"

    @property
    def random(self) -> bool:
        """Whether lines fire by chance."""
        return self in (PulseType.STOCHASTIC_COMPRESSED, PulseType.STOCHASTIC)

    @property
    def pulsed(self) -> bool:
        """Whether there are pulses at all."""
        return self not in (PulseType.NONE, PulseType.NONE_WITH_DEVICE)


class Execution(StrEnum):
    """How the simulator computes the pulses of a stochastic update; the physics is the same.

    MERGED: pulses of one cell at once wherever that is provably the same in distribution, in order elsewhere (see
            `merged`, `merged_vector`; `execution.way_of` says which and why); compiled path only, and only for steps
            that are linear in the weight or exponential, with noise relative to them. The order of the vectors counts
            as it does one by one. Mean, variance and skewness are kept; what is not is tested for every cell and small:
            an eighth of a step by the order of pulses, and the higher moments of multiplicative noise where its
            skewness is below 0.3.
    EXACT:  every pulse on its own, in order: to the bit what `specification` does, however vectors are divided into
            calls.
    """

    EXACT = "exact"
    MERGED = "merged"


@dataclass(frozen=True)
class UpdateParameters:
    """Set how updates are pulsed; probabilities and their steps have no unit.

    desired_bl:           pulse slots per update (the most, with BL management).
    fixed_bl:             False: without BL management, more slots where lr / granularity needs more.
    update_management:    equalise the largest pulse probabilities of both sides.
    update_bl_management: use no more slots than the strongest pair needs; switches update management on.
    um_grad_scale:        factor on the largest |d| in both managements; < 1 clips large errors earlier.
    pulse_type:           a `PulseType` or its name.
    res:                  step to which pulse probabilities are rounded (stochastic types and mean count); <= 0: not,
                          > 1: the number of steps.
    x_res_implicit, d_res_implicit: the same for the two sides of deterministic_implicit.
    sto_round:            round these probabilities up or down at random instead of to the nearest.
    execution:            an `Execution` or its name; merged by default, exact on request.
    """

    desired_bl: int = 31
    update_management: bool = True
    update_bl_management: bool = True
    pulse_type: PulseType = PulseType.STOCHASTIC_COMPRESSED
    fixed_bl: bool = True
    um_grad_scale: float = 1.0
    res: float = 0.0
    x_res_implicit: float = 0.0
    d_res_implicit: float = 0.0
    sto_round: bool = False
    execution: Execution = Execution.MERGED

    def __post_init__(self) -> None:
        checks.integer("desired_bl", self.desired_bl, low=1, high=10_000)
        for field in ("update_management", "update_bl_management", "fixed_bl", "sto_round"):
            checks.flag(field, getattr(self, field))
        checks.number("um_grad_scale", self.um_grad_scale, above=0.0)
        for field in ("res", "x_res_implicit", "d_res_implicit"):
            checks.number(field, getattr(self, field))
        object.__setattr__(self, "pulse_type", checks.choose(PulseType, "pulse_type", self.pulse_type))
        object.__setattr__(self, "execution", checks.choose(Execution, "execution", self.execution))

    def executed_as(self, other: UpdateParameters) -> UpdateParameters:
        """Return these parameters, with pulses one by one if ``other`` asks for that."""
        if other.execution is self.execution or self.execution is Execution.EXACT:
            return self
        return replace(self, execution=Execution.EXACT)

    @property
    def rule(self) -> tuple[int, bool, bool, bool, float]:
        """The arguments of `train_gains` after the largest magnitudes."""
        managed = self.update_management, self.update_bl_management
        return self.desired_bl, *managed, self.fixed_bl, float(self.um_grad_scale)

    @property
    def steps(self) -> tuple[float, float]:
        """Rounding steps of the pulse probabilities of (d, x); 0: not rounded."""
        if not self.pulse_type.pulsed:
            return 0.0, 0.0
        implicit = self.pulse_type is PulseType.DETERMINISTIC_IMPLICIT
        given = (self.d_res_implicit, self.x_res_implicit) if implicit else (self.res, self.res)
        of_d, of_x = (1.0 / step if step > 1.0 else max(step, 0.0) for step in given)
        return of_d, of_x


def train_gains(
    strength: float,
    x_max: float,
    d_max: float,
    desired_bl: int,
    update_management: bool,
    update_bl_management: bool,
    fixed_bl: bool,
    um_grad_scale: float,
) -> tuple[int, float, float]:
    """Choose the slots and the probability gains of one pair (x, d); compiled by numba as it stands.

    strength: |learning rate| / granularity. x_max, d_max: largest magnitudes in x and in d. The others are fields of
    `UpdateParameters`, in the order of its ``rule``.
    Returns (BL, gain of d, gain of x): in each of BL slots a row fires with probability gain of d times abs(d), a
    column with gain of x times abs(x). BL = 0: there is nothing to send. BL gain_d gain_x = strength always, so that
    the mean is right wherever no probability exceeds 1.
    """
    if x_max == 0.0 or d_max == 0.0 or strength == 0.0:
        return 0, 0.0, 0.0
    slots = desired_bl
    d_max = d_max * um_grad_scale
    expected = strength * x_max * d_max
    if update_bl_management:
        # x and d are float32 numbers: what exceeds a whole number by less than they resolve needs no further slot.
        slots = max(1, int(min(math.ceil(expected * (1.0 - 1e-6)), float(desired_bl))))
    elif not fixed_bl:
        slots = max(desired_bl, math.ceil(strength * (1.0 - 1e-6)))
    gain_d = gain_x = math.sqrt(strength / slots)
    if update_management or update_bl_management:
        if expected > slots:
            d_max = d_max * slots / expected
        gain_d = gain_d * math.sqrt(x_max / d_max)
        gain_x = gain_x * math.sqrt(d_max / x_max)
    return slots, gain_d, gain_x


def not_finite(name: str) -> InputError:
    """Make the error to raise for an ``input x`` or ``error d`` that holds no proper numbers."""
    return InputError(f"the {name} of an update holds NaN or infinite numbers; accepted are finite numbers")
