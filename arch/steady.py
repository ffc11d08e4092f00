"""Steady state: many equal pieces of work, of which so few are timed as it takes to see what goes on repeating itself.

The pieces are samples, or mini-batches in training. A few of them are run as a program that also says when whatever was
waited for was there; if the state of the machine comes back (see `recurrence`), what was done in between is done again
for all pieces that were left out. The account is that of all of them, to the picosecond and zeptojoule.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from rpusim.arch import recurrence
from rpusim.arch.activity import Activity
from rpusim.arch.events import Events
from rpusim.arch.ledger import Ledger, Pricer
from rpusim.arch.plan import Plan
from rpusim.arch.program import Integers, Program
from rpusim.arch.recurrence import Period
from rpusim.arch.schedule import Schedule, compiled, times
from rpusim.arch.tally import Tally

FIRST = 4
"""Pieces that are tried first; a period needs one before it, and one that it leaves alone."""


@dataclass(frozen=True)
class Timed:
    """``pieces`` of ``total`` that were run, and what of it is repeated; None: nothing, as all were run."""

    program: Program
    activity: Activity
    start: Integers
    end: Integers
    pieces: int
    total: int
    period: Period | None = None

    @property
    def repeats(self) -> int:
        """How many more periods all pieces take."""
        return (self.total - self.pieces) // self.period.samples if self.period else 0

    def ledger(self, price: Pricer) -> Ledger:
        """Of all pieces."""
        since, until = (self.period.start, self.period.stop) if self.period else (0, 0)
        tally = Tally(self.program, self.start, self.end, self.activity, since, until)
        return price.repeated(tally, self.activity, self.period, self.repeats)

    def events(self, most: int) -> Events:
        """The first that ended, at most so many, of the pieces that were run."""
        return self.program.events(self.start, self.end, most)


def timed(plan: Plan, schedule: Schedule, work: Callable[[int], Activity], total: int) -> Timed:
    """Time ``total`` equal pieces of work; ``work``: the activity of the first so many."""
    pieces = FIRST
    while pieces < total:
        found = _tried(plan, schedule, work, pieces, total)
        if found.period is not None:
            if over := (total - pieces) % found.period.samples:
                found = _tried(plan, schedule, work, pieces + over, total)
            if found.period is not None and not (total - found.pieces) % found.period.samples:
                return found
        pieces *= 2
    return _tried(plan, schedule, work, total, total)


def _tried(plan: Plan, schedule: Schedule, work: Callable[[int], Activity], pieces: int, total: int) -> Timed:
    activity = work(pieces)
    program = compiled(plan, activity, schedule)
    if pieces < total:
        program = program.traced()
    start, end = times(plan, program)
    period = recurrence.find(program, start, end, pieces) if pieces < total else None
    return Timed(program, activity, start, end, pieces, total, period)
