"""Account for a mini-batch that is too large to be timed, from small ones whose samples are stored as its own would be.

What a sample costs depends on where its inputs and errors wait, and that on its place in the mini-batch: each layer
keeps the first samples in its buffers and puts the others away (`arch.schedule.storage`). So the places fall into
groups, within which all samples are stored alike. Of the last group, to which most samples of a large mini-batch
belong, mini-batches of two and of three samples are timed: the difference is what one more sample takes, the rest is
what a mini-batch takes once. Of every other group a mini-batch of three samples is timed, and a third of its difference
from one of the last group is what each of its samples costs more or less. Energy at work comes out exactly, as it adds
up over samples; time, and standby with it, as far as it grows evenly from the third sample on.

`steady` finds the exact account where all samples are stored alike and the machine comes to repeat itself; this is for
the other mini-batches.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from fractions import Fraction
from itertools import pairwise

from rpusim.arch.account.ledger import Ledger
from rpusim.arch.account.pricing import Pricer
from rpusim.arch.contract.activity import Activity
from rpusim.arch.engine.events import Events
from rpusim.arch.schedule.plan import Plan
from rpusim.arch.schedule.schedules import run
from rpusim.arch.schedule.storage import settle

FEW, MORE = 2, 3
"""Samples of the mini-batches that are timed."""


def account_for_large_batch(plan: Plan, samples: int, work: Callable[[int], Activity]) -> tuple[Ledger, Events]:
    """Account for one mini-batch of sequential training.

    Args:
        plan: of the chip and network.
        samples: of the mini-batch, more than `MORE`.
        work: gives the activity of one mini-batch of so many samples.

    Returns:
        The ledger of the whole mini-batch, and the events of one of `MORE` samples that are stored as its last ones.
    """
    kept, price = settle(plan, samples, training=True), Pricer(plan)

    def timed(number: int, place: int) -> tuple[Ledger, Events]:
        """Time a mini-batch of ``number`` samples, all stored as the one at a place of the large one."""
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
