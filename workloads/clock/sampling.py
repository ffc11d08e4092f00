"""How much of a run the engine times: every mini-batch, every n-th, or the first; and how well a sample stands for all.

    every           each mini-batch is scheduled as events and priced
    {sampled: n}    every n-th is; the others are taken to cost the same per sample
    first           the first one is; all others are taken to cost the same per sample

The spread of what was timed says how far off a sample is: of n out of N mini-batches, with standard deviation s, their
mean is off by less than (1), in 95 % of all samples that could have been drawn.

    1.96 s / sqrt(n) sqrt(1 - n / N)                                                              (1)

That holds for costs that do not rise and fall with a period that n divides. One mini-batch has no spread: ``first`` has
no bound, and a result says so. (Work of which every mini-batch is the same needs no sample: `rpusim time` proves that
it repeats itself, see `rpusim.arch.account.steady`.)
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Sequence
from typing import Annotated, Any, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import BeforeValidator, Field, TypeAdapter, ValidationError

from rpusim.arch.account.pricing import Pricer
from rpusim.arch.contract.activity import Activity
from rpusim.arch.contract.quantity import PICOSECONDS_PER_SECOND, ZEPTOJOULES_PER_JOULE
from rpusim.arch.contract.sourced import MOST, Frozen
from rpusim.arch.engine.events import Events
from rpusim.errors import InputError, shown, written

CONFIDENCE = 1.96
"""Standard errors on either side that hold 95 % of a normal distribution."""


class Sampled(Frozen):
    """Some mini-batches are timed.

    sampled: one of so many is, the first one among them.
    """

    sampled: Annotated[int, Field(ge=2, le=MOST)]


def _known(given: object) -> object:
    every = given.get("sampled") if isinstance(given, dict) and len(given) == 1 else None
    if given in ("every", "first") or isinstance(given, Sampled) or (isinstance(every, int) and 2 <= every <= MOST):
        return given
    raise ValueError(
        f"got {shown(written(given))}; accepted: every, first, or a mapping such as sampled: 10, from 2 to {MOST}"
    )


Timing = Annotated[Literal["every", "first"] | Sampled, BeforeValidator(_known)]


def parse(given: object) -> Timing:
    """Read a timing as a user gives it: "every", "first", or a mapping such as {"sampled": 10}.

    Raises InputError if it is none of these.
    """
    try:
        found: Timing = TypeAdapter(Timing).validate_python(given)
    except ValidationError as error:
        raise InputError(f"timing: {error.errors()[0]['msg'].removeprefix('Value error, ')}") from None
    return found


def timed(timing: Timing, step: NDArray[np.int64]) -> NDArray[np.bool_]:
    """Say for each row whether it is timed. step: number of its mini-batch, counted from the start of the run."""
    every = timing.sampled if isinstance(timing, Sampled) else 1
    chosen: NDArray[np.bool_] = step == 0 if timing == "first" else step % every == 0
    return chosen


def name(timing: Timing) -> str:
    """Return the timing as people say it."""
    return f"sampled, every {timing.sampled}th mini-batch" if isinstance(timing, Sampled) else timing


class Sample:
    """Time and energy of each mini-batch that was timed, whose spread says how well they stand for the others."""

    def __init__(self) -> None:
        self.seconds: list[float] = []
        self.joules: list[float] = []

    def note(self, activity: Activity, events: Events, price: Pricer) -> None:
        """Add mini-batches that were timed in one piece; an event counts with the one in whose time it begins."""
        edges = bounds(events, activity.step)
        energy = np.diff(edges) * float(price.rest.drawn)
        of_event = np.clip(np.searchsorted(edges, events.start, side="right") - 1, 0, len(energy) - 1)
        for _, members, zeptojoules in price.priced(events, activity):
            energy += np.bincount(of_event[members], zeptojoules.astype(np.float64), len(energy))
        saved = price.rest.relieved(events.station) * events.duration.astype(np.float64)
        energy -= np.bincount(of_event, saved, len(energy))
        self.seconds += (np.diff(edges) / PICOSECONDS_PER_SECOND).tolist()
        self.joules += (energy / ZEPTOJOULES_PER_JOULE).tolist()

    def document(self, timing: Timing, mini_batches: int) -> dict[str, Any]:
        """Say what was timed of so many mini-batches; if sampled, also by which share it may be off (equation 1)."""
        found: dict[str, Any] = {"timing": name(timing), "mini_batches": mini_batches}
        if isinstance(timing, Sampled):
            errors = {"time": self.seconds, "energy": self.joules}
            found["sampling_error_95"] = {
                which: relative_error(values, mini_batches) for which, values in errors.items()
            }
        return found


def relative_error(values: Sequence[float], population: int) -> float | None:
    """Divide equation 1 by the mean of the values; None where fewer than two were drawn, which have no spread."""
    if len(values) < 2:
        return None
    finite = math.sqrt(max(1.0 - len(values) / population, 0.0))
    bound = CONFIDENCE * statistics.stdev(values) / math.sqrt(len(values)) * finite
    return bound / statistics.fmean(values)


def bounds(events: Events, row_step: NDArray[np.int64]) -> NDArray[np.int64]:
    """Find when each mini-batch begins, and when the last one ends (ps).

    events:    of all of them; each has the number of the row of activity that it belongs to.
    row_step:  the mini-batch of every row of activity, any increasing numbers.

    A mini-batch lasts from the first event of its rows to the first event of the next one's, so the differences add up
    to the whole time; a schedule in which mini-batches overlap shares it out all the same.
    """
    steps, place = np.unique(row_step, return_inverse=True)
    begin = np.full(len(steps), events.makespan_ps, np.int64)
    of_rows = events.row >= 0
    np.minimum.at(begin, place[events.row[of_rows]], events.start[of_rows])
    begin[0] = 0
    return np.append(np.minimum.accumulate(begin[::-1])[::-1], events.makespan_ps)
