"""The account of a mini-batch that is too large to be timed, from small ones whose samples are stored as its would be.

What a sample costs depends on where its inputs and errors wait, and that on its place in the mini-batch: each layer
keeps the first samples in its buffers and puts the others away (`arch.storage`). So the places fall into groups. Of the
last group, to which most samples of a large mini-batch belong, mini-batches of two and of three samples are timed: what
grows is per sample, the rest per mini-batch. Of every other group one of three samples is timed, and a third of the
difference is what one of its samples costs more or less. Energy at work comes out exactly, as it adds up over samples;
time, and standby with it, as far as it grows evenly from the third sample on.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from fractions import Fraction
from itertools import pairwise

from rpusim.arch.account.ledger import Ledger, Pricer
from rpusim.arch.contract.activity import Activity
from rpusim.arch.engine.events import Events
from rpusim.arch.schedule.plan import Plan
from rpusim.arch.schedule.schedules import run
from rpusim.arch.schedule.storage import settle

FEW, MORE = 2, 3
"""Samples of the mini-batches that are timed."""


def account(plan: Plan, samples: int, work: Callable[[int], Activity]) -> tuple[Ledger, Events]:
    """Of one mini-batch of so many samples in sequential training, ``work(n)`` being one of n; and the events of
    ``MORE`` samples, stored as its last ones are."""
    kept, price = settle(plan, samples, training=True), Pricer(plan)

    def timed(number: int, place: int) -> tuple[Ledger, Events]:
        """A mini-batch of ``number`` samples, all stored as the one at a place of the large one."""
        stored = tuple(replace(layer, samples=samples if place < layer.samples else 0) for layer in kept)
        activity = work(number)
        events = run(plan, activity, "sequential", kept=stored)
        return price(events, activity), events

    more, events = timed(MORE, samples - 1)
    few, _ = timed(FEW, samples - 1)
    further = Fraction(samples - MORE, MORE - FEW)
    parts = [(1 + further, more), (-further, few)]
    bounds = sorted({0, samples, *(layer.samples for layer in kept)})
    for first, following in pairwise(bounds[:-1]):
        share = Fraction(following - first, MORE)
        parts += [(share, timed(MORE, first)[0]), (-share, more)]
    return Ledger.total(parts), events
