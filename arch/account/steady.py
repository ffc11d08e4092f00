"""Steady state: much equal work, of which so little is timed as it takes to see what goes on repeating itself.

The pieces are samples, or mini-batches in training. A few of them are run as a program that also says when whatever was
waited for was there; if the state of the machine comes back (see `recurrence`), what was done in between is done again
for all pieces that were left out. The account is that of all of them, to the picosecond and zeptojoule.

A large mini-batch of sequential training is found in the same way from one of a few samples. It has parts that have
nothing to do with each other while they repeat themselves, each with a period of its own: the samples that go out and
come back one by one, and then the updates of every layer.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import partial

import networkx as nx
import numpy as np

from rpusim.arch.account.ledger import Ledger
from rpusim.arch.account.pricing import Pricer
from rpusim.arch.account.recurrence import History
from rpusim.arch.account.tally import Repeats, Tally
from rpusim.arch.contract.activity import Activity, Phase
from rpusim.arch.contract.columns import Integers
from rpusim.arch.engine.events import Events
from rpusim.arch.engine.program import HEAD, Program
from rpusim.arch.schedule.plan import Plan
from rpusim.arch.schedule.schedules import Schedule, compiled, times
from rpusim.arch.schedule.storage import Kept, settle
from rpusim.errors import InputError

FIRST = 3
"""Pieces that are tried first; a period needs one before it, and one that it leaves alone."""
LATEST = int(np.iinfo(np.int64).max)
"""Picoseconds that the clock can count to, some 107 days."""
LARGE = 8
"""Mini-batches of more samples than that are found from their parts."""


@dataclass(frozen=True)
class Timed:
    """``pieces`` that were run as a program, and what of it is repeated; None: nothing, as all were run."""

    program: Program
    activity: Activity
    start: Integers
    end: Integers
    pieces: int
    repeats: Repeats | None = None

    def ledger(self, price: Pricer) -> Ledger:
        """Of all pieces."""
        tally = Tally(self.program, self.start, self.end, self.activity, self.repeats)
        return price.tallied(tally, self.activity)

    def events(self, most: int) -> Events:
        """The first that ended, at most so many, of the pieces that were run."""
        return self.program.events(self.start, self.end, most)


def account(
    plan: Plan,
    schedule: Schedule,
    price: Pricer,
    work: Callable[[int, int], Activity],
    pieces: int,
    size: int = 1,
    most: int = sys.maxsize,
) -> tuple[Ledger, Timed]:
    """The account of so many equal mini-batches of ``size`` samples (or samples of inference), and what was run for it.

    work: the activity of the first so many mini-batches of so many samples. most: samples that can be run as one
    program; InputError if nothing repeats itself so soon.
    """
    found = timed_batch(plan, partial(work, 1), size) if schedule == "sequential" and size > LARGE else None
    if found is not None and (pieces == 1 or not _comes_in(plan)):
        # Mini-batches have nothing to do with each other, as nothing is fetched for one while another is at work.
        parts = [(pieces, found.ledger(price))]
        if np.any(found.activity.phase == Phase.MAINTENANCE):  # before the first one only
            kept = settle(plan, size, training=True)
            one, two = (_traced(plan, schedule, work(number, 1), number, kept).ledger(price) for number in (1, 2))
            parts += [(pieces - 1, two), (2 - 2 * pieces, one)]
        return Ledger.total(parts), found
    every = timed(plan, schedule, lambda number: work(number, size), pieces, most // size)
    return every.ledger(price), every


def timed(
    plan: Plan,
    schedule: Schedule,
    work: Callable[[int], Activity],
    total: int,
    most: int = sys.maxsize,
) -> Timed:
    """Time ``total`` equal pieces of work, running at most so many; ``work``: the activity of the first so many."""
    pieces = FIRST
    while pieces < total and pieces <= most:
        tried = _traced(plan, schedule, work(pieces), pieces)
        history = History(tried.program, tried.start, tried.end)
        period = history.find(history.tasks, pieces)
        if period is not None and not (total - pieces) % period.samples:
            more = (total - pieces) // period.samples
            longest = (LATEST - int(tried.end.max(initial=0))) // (period.stop - period.start)
            if more > longest:
                raise InputError(
                    f"samples: {total} samples or mini-batches end after 2^63 ps, when the clock does; at most "
                    f"{pieces + longest * period.samples} can be timed"
                )
            return replace(tried, repeats=Repeats.of(len(tried.program.tasks), period.start, period.stop, more))
        pieces = pieces * 2 if period is None else pieces + (total - pieces) % period.samples
    if total > most:
        raise InputError(
            f"samples: nothing repeats itself among the first {min(pieces, most)} of {total} samples or mini-batches, "
            f"and no more than {most} can be timed in one go"
        )
    return _traced(plan, schedule, work(total), total)


def timed_batch(plan: Plan, work: Callable[[int], Activity], samples: int) -> Timed | None:
    """Time one mini-batch of sequential training; ``work``: that of a mini-batch of so many samples. None if not all
    of its samples are stored alike, or nothing repeats itself soon."""
    kept, pieces = settle(plan, samples, training=True), FIRST
    if any(layer.overflow or (_comes_in(plan) and layer.samples < samples) for layer in kept):
        return None
    while pieces <= min(4 * FIRST, samples - 1):
        tried = _traced(plan, "sequential", work(pieces), pieces, kept)
        repeats = _parts_repeated(tried, samples)
        if repeats is not None:
            return replace(tried, repeats=repeats)
        pieces += FIRST
    return None


def _comes_in(plan: Plan) -> bool:
    """Whether samples are fetched, each while the one before it is at work."""
    return "DRAM" in plan.outside or "host link" in plan.outside


def _traced(
    plan: Plan, schedule: Schedule, activity: Activity, pieces: int, kept: tuple[Kept, ...] | None = None
) -> Timed:
    program = compiled(plan, activity, schedule, kept).traced()
    return Timed(program, activity, *times(plan, program), pieces)


def _parts_repeated(tried: Timed, samples: int) -> Repeats | None:
    """What of a mini-batch is repeated so that it has so many samples."""
    history, heads = History(tried.program, tried.start, tried.end), tried.program.heads
    tasks = history.tasks
    phase = heads[tasks, HEAD.index("phase")]
    period, more = history.find(tasks[phase < Phase.UPDATE], tried.pieces), samples - tried.pieces
    learning = list(_apart(history.used, tasks[phase == Phase.UPDATE], heads[:, HEAD.index("layer")]))
    begins = [min(int(history.begins(task).min()) for task in part) for part in learning]
    if (
        period is None
        or np.any(phase == Phase.TRANSFER)
        or more % period.samples
        or min(begins, default=0) < period.stop
        or any(int(history.ends(task).max()) > period.start for task in tasks[history.once[tasks]].tolist())
    ):
        return None
    repeats = Repeats.of(len(tried.program.tasks), period.start, period.stop, more // period.samples)
    later = int(repeats.later[0]) if len(repeats.later) else 0
    for part, begin in zip(learning, begins, strict=True):
        stations = set().union(*(history.used[task] for task in part))
        others = [task for task in set(tasks.tolist()).difference(part) if stations & history.used[task]]
        period = history.find(np.array(part), tried.pieces, begin)
        if period is None or more % period.samples or any(int(history.ends(task).max()) > begin for task in others):
            return None
        numbers = period.start, period.stop, more // period.samples, later, 0
        for column, number in zip(vars(repeats).values(), numbers, strict=True):
            column[part] = number
    return repeats


def _apart(used: list[set[int]], tasks: Integers, layer: Integers) -> Iterator[list[int]]:
    """Tasks that have a layer or a station in common, and so may have to do with each other."""
    common: nx.Graph = nx.Graph()
    for task in tasks.tolist():
        common.add_edges_from((task, ("station", station)) for station in used[task])
        common.add_edge(task, ("layer", int(layer[task])))
    for connected in nx.connected_components(common):
        yield sorted(task for task in connected if isinstance(task, int))
