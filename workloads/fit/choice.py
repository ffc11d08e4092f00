"""Which model the data justify: the one with the lowest Bayesian information criterion.

    BIC  = -2 c log L + K log(c n)                     (Schwarz, Ann. Stat. 6:461, 1978)                          (1)
    AICc = -2 c log L + 2 K + 2 K (K + 1) / (c n - K - 1)  (Hurvich & Tsai, Biometrika 76:297, 1989)              (2)

n readings are predicted, K parameters fitted (those of all devices), and log L is that of innovations, which are
independent if a law is right; residuals of a curve never are. Where even the innovations of the most likely model are
correlated, with r from one to the next beyond three standard errors (1 / sqrt n), no law says everything, and n
readings are worth less:

    c = (1 - r) / (1 + r),  at most 1                  (Bayley & Hammersley, J. R. Stat. Soc. B 8:184, 1946)      (3)
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from rpusim.workloads.fit.laws import Array
from rpusim.workloads.fit.scoring import Scored

EQUAL = 2.0
"""Models whose BIC differs by less are equally good (Kass & Raftery, J. Am. Stat. Assoc. 90:773, 1995)."""


@dataclass(frozen=True)
class Judged:
    """How good a model is. number: K. correlation: r, from one innovation to the next."""

    kind: str
    likelihood: float
    number: int
    bic: float
    aicc: float
    correlation: float


@dataclass(frozen=True)
class Choice:
    """Which model is justified, and why in a sentence. models: the best first. worth: c of equation (3)."""

    models: tuple[Judged, ...]
    why: str
    worth: float

    @property
    def kind(self) -> str:
        """The model that is justified."""
        return self.models[0].kind


def choose(fits: list[Scored]) -> Choice:
    """Judge models that were fitted to the same readings."""
    best = max(fits, key=lambda fit: float(fit.likelihood.sum()))
    n = int(np.isfinite(best.innovations).sum())
    limit = 3.0 / math.sqrt(n)
    r = correlation(best.innovations)
    worth = min(1.0, (1.0 - r) / (1.0 + r)) if abs(r) > limit else 1.0
    judged = [_judged(fit, n, worth) for fit in fits]
    lowest = min(each.bic for each in judged)
    equal = [each for each in judged if each.bic < lowest + EQUAL]
    first = min(equal, key=lambda each: (each.number, each.bic))
    others = sorted((each for each in judged if each is not first), key=lambda each: each.bic)
    return Choice((first, *others), _why(first, others, n, r if worth < 1.0 else 0.0), worth)


def correlation(innovations: Array) -> float:
    """Correlate every innovation with the next one of its trace. innovations: (pulses, traces)."""
    pairs = innovations[1:] * innovations[:-1]
    whole = float(np.nanmean(innovations**2))
    return float(np.nanmean(pairs)) / whole if np.isfinite(pairs).any() and whole > 0 else 0.0


def _judged(fit: Scored, n: int, worth: float) -> Judged:
    likelihood, number = float(fit.likelihood.sum()), fit.parameters.size
    free = worth * n
    bic = -2 * worth * likelihood + number * math.log(free)
    left = free - number - 1
    aicc = -2 * worth * likelihood + 2 * number + (2 * number * (number + 1) / left if left > 0 else math.inf)
    return Judged(fit.law.kind, likelihood, number, bic, aicc, correlation(fit.innovations))


def _why(first: Judged, others: list[Judged], n: int, r: float) -> str:
    if not others:
        return f"{first.kind} was the only model that was tried."
    second = others[0]
    gap = second.bic - first.bic
    if gap < EQUAL:
        why = f"{first.kind} is justified: {second.kind} is as good (BIC within {EQUAL:g}) with {second.number} "
        why += "parameters"
        why += f" where {first.number} are enough" if second.number > first.number else ", as many"
    else:
        why = f"{first.kind} is justified: its BIC is {gap:,.0f} below that of the next one, {second.kind}"
        if second.number > first.number and second.likelihood >= first.likelihood:
            why += f", whose {second.number - first.number} more parameters do not pay"
    leader = min([first, *others], key=lambda each: each.aicc)
    why += "; AICc says the same" if leader is first else f"; AICc would take {leader.kind}"
    if r:
        why += (
            f"; its steps are still correlated from one to the next ({r:+.2f}), so that no model here says everything, "
            f"and {n:,} readings count as {n * min(1.0, (1 - r) / (1 + r)):,.0f}"
        )
    return why + "."
