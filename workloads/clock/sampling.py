"""How much of a run the engine times: every mini-batch, every n-th, or one; and how well a sample stands for the rest.

    every           each mini-batch is scheduled as events and priced
    {sampled: n}    every n-th is; the others are taken to cost the same per sample
    steady          the first one is; all others are taken to cost the same per sample

The spread of what was timed says how far off a sample is: of n out of N mini-batches, with standard deviation s, their
mean is off by less than (1), in 95 % of all samples that could have been drawn.

    1.96 s / sqrt(n) sqrt(1 - n / N)                                                              (1)

That holds for costs that do not rise and fall with a period that n divides. One mini-batch has no spread: ``steady``
has no bound, and a result says so.
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Sequence
from typing import Annotated, Any, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import BeforeValidator, Field, TypeAdapter, ValidationError

from rpusim.arch.contract.sourced import Frozen
from rpusim.arch.engine.events import Events
from rpusim.errors import InputError

CONFIDENCE = 1.96
"""Standard errors on either side that hold 95 % of a normal distribution."""


class Sampled(Frozen):
    """Every ``sampled``-th mini-batch is timed, the first one among them."""

    sampled: Annotated[int, Field(ge=2)]


def _known(given: object) -> object:
    every = given.get("sampled") if isinstance(given, dict) and len(given) == 1 else None
    if given in ("every", "steady") or isinstance(given, Sampled) or (isinstance(every, int) and every >= 2):
        return given
    raise ValueError(f"got {given!r}; accepted: every, steady, or a mapping such as sampled: 10, from 2 on")


Timing = Annotated[Literal["every", "steady"] | Sampled, BeforeValidator(_known)]


def parse(given: object) -> Timing:
    """The timing that a user means; InputError if it is none."""
    try:
        return TypeAdapter(Timing).validate_python(given)  # type: ignore[no-any-return]
    except ValidationError as error:
        raise InputError(f"timing: {error.errors()[0]['msg'].removeprefix('Value error, ')}") from None


def timed(timing: Timing, step: NDArray[np.int64]) -> NDArray[np.bool_]:
    """Whether mini-batches of these numbers, counted from the start of the run, are timed."""
    if isinstance(timing, Sampled):
        return step % timing.sampled == 0
    return step == 0 if timing == "steady" else np.ones(len(step), np.bool_)


def name(timing: Timing) -> str:
    """As people say it."""
    return f"sampled, every {timing.sampled}th mini-batch" if isinstance(timing, Sampled) else timing


def relative_error(values: Sequence[float], population: int) -> float | None:
    """Equation 1 over the mean of the values; None where fewer than two were drawn, which have no spread."""
    if len(values) < 2:
        return None
    finite = math.sqrt(max(1.0 - len(values) / population, 0.0))
    bound = CONFIDENCE * statistics.stdev(values) / math.sqrt(len(values)) * finite
    return bound / statistics.fmean(values)


def bounds(events: Events, row_step: NDArray[np.int64]) -> NDArray[np.int64]:
    """When each mini-batch begins, and the last one ends (ps): one from the first event of its rows to that of the
    next. row_step: the mini-batch of every row of activity, any increasing numbers.

    Their differences add up to the whole time. A schedule in which mini-batches overlap shares it out all the same.
    """
    steps, place = np.unique(row_step, return_inverse=True)
    begin = np.full(len(steps), events.makespan_ps, np.int64)
    of_rows = events.row >= 0
    np.minimum.at(begin, place[events.row[of_rows]], events.start[of_rows])
    begin[0] = 0
    return np.append(np.minimum.accumulate(begin[::-1])[::-1], events.makespan_ps)


def documented(timing: Timing, mini_batches: int, seconds: Sequence[float], joules: Sequence[float]) -> dict[str, Any]:
    """What was timed of a run, for a result; of a sample also what it may be off, relative, with 95 % confidence."""
    found: dict[str, Any] = {"timing": name(timing), "mini_batches": mini_batches}
    if isinstance(timing, Sampled):
        errors = {"time": relative_error(seconds, mini_batches), "energy": relative_error(joules, mini_batches)}
        found["sampling_error_95"] = errors
    return found
