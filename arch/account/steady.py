"""Account for much equal work exactly, by timing only as much of it as it takes until it repeats itself.

The pieces of work are samples, or mini-batches in training. A few of them are run as a traced program, which also says
when every wait was over; if the state of the machine comes back (see `recurrence`), what was done in between is counted
again for all pieces that were left out. The account is that of all of them, to the picosecond and zeptojoule.

A large mini-batch of sequential training is found in the same way from one of a few samples, where all its samples wait
alike for their update. It has parts that do not depend on each other while they repeat themselves, each with a period
of its own: first the samples, which go forward and come back one by one, then the updates of each layer. Any other
mini-batch is run whole, or refused if it has more samples than can be run: there is no third way, as an account that is
nearly right looks like one that is right.
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
from rpusim.arch.account.recurrence import History, Repeats
from rpusim.arch.account.tally import Tally
from rpusim.arch.contract.activity import Activity, Phase
from rpusim.arch.contract.columns import Integers
from rpusim.arch.engine.events import Events
from rpusim.arch.engine.program import HEAD, Program
from rpusim.arch.engine.simpy_engine import LAST_TICK
from rpusim.arch.schedule.plan import Plan
from rpusim.arch.schedule.schedules import Schedule, compiled, times
from rpusim.arch.schedule.storage import Kept, settle
from rpusim.errors import InputError

FIRST = 3
"""How many pieces are run first; a period needs one piece before it, and one after it."""
LATEST = LAST_TICK
"""The last picosecond that the clock can count to."""
LARGE = 8
"""Mini-batches of more samples than this are found from mini-batches of few samples."""


@dataclass(frozen=True)
class Timed:
    """Hold a program that was run, and how often its parts are repeated.

    program:   the program, traced if anything is repeated.
    activity:  the rows that its events come from.
    start:     (slots,) ps.
    end:       (slots,) ps.
    pieces:    how many pieces of work it does.
    repeats:   how often what happened in a period happens again; None: never, as all pieces were run.
    """

    program: Program
    activity: Activity
    start: Integers
    end: Integers
    pieces: int
    repeats: Repeats | None = None

    def ledger(self, price: Pricer) -> Ledger:
        """Account for all pieces, those that were not run included."""
        return price.tallied(self._tally, self.activity)

    def seam(self, price: Pricer) -> Ledger:
        """Account for what it takes to do all pieces right after the same, besides what both take alone."""
        return price.seam(self._tally)

    @property
    def _tally(self) -> Tally:
        return Tally(self.program, self.start, self.end, self.activity, self.repeats)

    def events(self, most: int) -> Events:
        """Return the events of the pieces that were run: those that ended first, at most so many."""
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
    """Account for equal mini-batches, or for equal samples of inference.

    Args:
        plan: of the chip and network.
        schedule: in which order the work is done.
        price: prices the events of the plan.
        work: gives the activity of the first so many mini-batches of so many samples.
        pieces: how many mini-batches (or samples) there are.
        size: samples of each mini-batch; 1 for inference.
        most: how many samples can be run as one program.

    Returns:
        The ledger of all of them, and what was run to find it.

    Raises:
        InputError: nothing repeats itself within ``most`` samples, or the work ends after the last picosecond that the
            clock can count to.
    """
    found = timed_batch(plan, partial(work, 1), size) if schedule == "sequential" and size > LARGE else None
    if found is not None and (pieces == 1 or not _comes_in(plan)):
        # Mini-batches have nothing to do with each other, as nothing is fetched for one while another is at work.
        parts = [(pieces, found.ledger(price)), (pieces - 1, found.seam(price))]
        if np.any(found.activity.phase == Phase.MAINTENANCE):  # before the first one only
            kept = settle(plan, size, training=True)
            one, two = (_traced(plan, schedule, work(number, 1), number, kept).ledger(price) for number in (1, 2))
            parts += [(pieces - 1, two), (2 - 2 * pieces, one)]
        return Ledger.total(parts), found
    if size > most:
        raise InputError(
            f"batch: got {size}, but of this network at most {most} samples can be timed in one go, and only a "
            "mini-batch of sequential training whose samples all wait alike is found from few; a smaller one is needed"
        )
    every = timed(plan, schedule, lambda number: work(number, size), pieces, most // size)
    return every.ledger(price), every


def timed(
    plan: Plan,
    schedule: Schedule,
    work: Callable[[int], Activity],
    total: int,
    most: int = sys.maxsize,
) -> Timed:
    """Time equal pieces of work, running as few of them as it takes until they repeat themselves.

    Args:
        plan: of the chip and network.
        schedule: in which order the work is done.
        work: gives the activity of the first so many pieces.
        total: how many pieces there are.
        most: how many pieces can be run as one program.

    Returns:
        What was run, and how often its period is repeated.

    Raises:
        InputError: see `account`.
    """
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
                    f"samples: {total} samples or mini-batches end after 2^62 ps, when the clock does; at most "
                    f"{pieces + longest * period.samples} can be timed"
                )
            return replace(tried, repeats=Repeats.of(len(tried.program.tasks), period.start, period.stop, more))
        pieces = pieces * 2 if period is None else pieces + (total - pieces) % period.samples
    if total > most:
        raise InputError(
            f"samples: nothing repeats itself among the first {min(pieces, most)} of {total} samples or mini-batches, "
            f"and no more than {most} can be timed in one go"
        )
    activity = work(total)
    program = compiled(plan, activity, schedule)
    return Timed(program, activity, *times(plan, program), total)


def timed_batch(plan: Plan, work: Callable[[int], Activity], samples: int) -> Timed | None:
    """Time one mini-batch of sequential training from one of few samples.

    Args:
        plan: of the chip and network.
        work: gives the activity of one mini-batch of so many samples.
        samples: of the mini-batch.

    Returns:
        What was run, and how often its parts are repeated; None if not all samples are stored alike, or nothing repeats
        itself within `FIRST` * 4 samples.
    """
    kept, pieces = settle(plan, samples, training=True), FIRST
    if plan.normalises or any(layer.overflow or (_comes_in(plan) and layer.samples < samples) for layer in kept):
        return None
    while pieces <= min(4 * FIRST, samples - 1):
        tried = _traced(plan, "sequential", work(pieces), pieces, kept)
        repeats = _parts_repeated(tried, samples)
        if repeats is not None:
            return replace(tried, repeats=repeats)
        pieces += FIRST
    return None


def _comes_in(plan: Plan) -> bool:
    """Tell whether samples come from outside the chip, each while the one before it is at work."""
    return "DRAM" in plan.outside or "host link" in plan.outside


def _traced(
    plan: Plan, schedule: Schedule, activity: Activity, pieces: int, kept: tuple[Kept, ...] | None = None
) -> Timed:
    """Run pieces of work as a traced program."""
    program = compiled(plan, activity, schedule, kept).traced()
    return Timed(program, activity, *times(plan, program), pieces)


def _parts_repeated(tried: Timed, samples: int) -> Repeats | None:
    """Find how often each part of a mini-batch that was run is repeated in one of ``samples``; None: not found.

    First all samples go forward and come back with one period; then each group of layers that share no unit updates
    with a period of its own. All of it has to be over before the next part begins, or the periods would not be exact.
    """
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
        or any(begin < period.stop for begin in begins)
        or any(int(history.ends(task).max()) >= period.start for task in tasks[history.once[tasks]].tolist())
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
    """Group tasks by the layers and stations that they have in common: tasks of different groups never wait for each
    other."""
    common: nx.Graph[int | tuple[str, int]] = nx.Graph()
    for task in tasks.tolist():
        common.add_edges_from((task, ("station", station)) for station in used[task])
        common.add_edge(task, ("layer", int(layer[task])))
    for connected in nx.connected_components(common):
        yield sorted(task for task in connected if isinstance(task, int))
