"""The meter: takes what the kernel did, has the engine time it, and keeps the account.

Activity arrives mini-batch after mini-batch; which of them are scheduled as events and priced `timing` says, the others
are taken to have cost the same per sample. Time in which nothing is done (`Meter.idle`) costs standby.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from rpusim.arch.account import by_layer, steady
from rpusim.arch.account.ledger import Ledger
from rpusim.arch.account.pricing import Pricer
from rpusim.arch.account.sensitivity import Sensitivity
from rpusim.arch.analysis.staleness import Staleness, staleness
from rpusim.arch.contract.activity import Activity, Phase
from rpusim.arch.contract.columns import Integers, distinct
from rpusim.arch.contract.quantity import PICOSECONDS_PER_SECOND
from rpusim.arch.engine.events import Events
from rpusim.arch.mapping.fit.joining import joined
from rpusim.arch.schedule.plan import Plan
from rpusim.arch.schedule.schedules import Schedule, run
from rpusim.workloads.clock import sampling
from rpusim.workloads.clock.beginning import TRACED_EVENTS, Beginning
from rpusim.workloads.clock.by_sample import by_sample
from rpusim.workloads.clock.counts import Counts
from rpusim.workloads.clock.loop_activity import LoopActivity
from rpusim.workloads.clock.modes import Modes
from rpusim.workloads.clock.sampling import Sample, Timing
from rpusim.workloads.results import storage
from rpusim.workloads.results.document import Measured

if TYPE_CHECKING:
    from rpusim.workloads.cells.management import Management


@dataclass(frozen=True)
class _Clock:
    """What times and prices the passes of one mode: its plan, the prices of that, and the beginning of the run."""

    plan: Plan
    price: Pricer
    beginning: Beginning


class Meter:
    """Accumulates time and energy of a run on one plan.

    plan:        the network as scheduled work on its chip.
    schedule:    what may overlap, see `rpusim.arch.schedule.schedules`.
    timing:      which mini-batches are timed, see `rpusim.workloads.clock.sampling`.
    management:  whose digital operations are added to every row of activity; None: the rows have them already.
    traced:      how many of the first events are kept for a trace.
    modes:       the plans of training and of evaluation, where a module does something else in evaluation; ``plan`` is
                 that of training. None: there is only the one.
    """

    def __init__(
        self,
        plan: Plan,
        schedule: Schedule,
        timing: Timing = "every",
        management: Management | None = None,
        traced: int = TRACED_EVENTS,
        modes: Modes | None = None,
    ) -> None:
        self.plan = plan
        self.schedule = schedule
        self.timing = timing
        self.management = management
        self.samples = 0
        self.timed_samples = 0
        self.mini_batches = 0
        self.mini_batch = 0
        """Samples of the largest mini-batch that learned."""
        self._steps = 0
        """Where blocks take turns, so that every sample is a step: how many there were."""
        self.counts = Counts()
        self.staleness: Staleness | None = None
        """How old weights were, in asynchronous training that was timed in one piece."""
        self._modes = modes
        self._counted = modes.counted if modes else 0
        """Index of the layer by whose vectors samples are counted."""
        self._price = Pricer(plan)
        self._timed, self._idle = Ledger(), Ledger()
        self._rested: Integers | None = None
        """For how long what is gated has not worked (ps); None before anything was timed."""
        self._whole = False
        """Whether the account already is that of all samples, though few were timed."""
        self._sample = Sample()
        """Costs of the mini-batches that were timed, where not all are."""
        self._beginning = Beginning(plan, schedule, self._price, traced)
        self._training = _Clock(plan, self._price, self._beginning)
        self._evaluation: _Clock | None = None
        if modes and modes.evaluation:
            price = Pricer(modes.evaluation)
            price.rest = self._price.rest  # of all arrays that hold weights
            beginning = Beginning(modes.evaluation, schedule, price, traced)
            self._evaluation = _Clock(modes.evaluation, price, beginning)

    def add(self, done: Activity | LoopActivity) -> tuple[Activity, Events] | None:
        """Account for whole mini-batches.

        done: what the arrays did, in order; that of a user's own loop comes in pieces.

        Returns what was timed last of it, in one mode, and its events; None if nothing was.
        """
        if isinstance(done, LoopActivity):
            activity, unit, evaluated = done.rows, done.unit, done.evaluated
        else:
            activity, unit, evaluated = done, done.step, np.zeros(len(done), np.bool_)
        if not len(activity):
            return None
        if self.management is not None:
            from rpusim.workloads.cells.periphery import with_management  # which needs the kernels

            activity = with_management(activity, self.plan.placement, self.management)
        activity, kept = joined(activity, self.plan.placement)
        unit, evaluated = unit[kept], evaluated[kept]
        if self.plan.placement.reloads:
            activity = by_sample(activity, self.plan.placement, self._steps)
            self._steps = int(activity.step.max()) + 1
        self._count(activity)
        in_pieces = isinstance(done, LoopActivity)  # of mini-batches, some of whose pieces may have come before
        self.mini_batches = int(unit.max()) + 1 if in_pieces else self.mini_batches + len(distinct(unit))
        chosen = sampling.timed(self.timing, unit)
        if in_pieces and not self.timed_samples and not self._samples(activity.select(chosen)):
            chosen = np.ones(len(activity), np.bool_)  # the first that was done has no samples to stand for others
        if not chosen.any():
            return None
        for rows, units, clock in self._by_mode(activity.select(chosen), unit[chosen], evaluated[chosen]):
            self.timed_samples += self._samples(rows)
            timed = self._modes.in_evaluation(rows) if self._modes and clock is self._evaluation else rows
            events = run(clock.plan, timed, self.schedule)
            if self.schedule == "asynchronous":
                self.staleness = staleness(self.plan, timed, events)
            ledger, self._rested = clock.price.piece(events, timed, self._rested)
            self._timed.merge(ledger)
            if self.timing != "every":
                self._sample.note(replace(timed, step=units), events, clock.price)
            clock.beginning.keep(timed, events)
        return timed, events

    def _by_mode(
        self, activity: Activity, unit: NDArray[np.int64], evaluated: NDArray[np.bool_]
    ) -> Iterator[tuple[Activity, NDArray[np.int64], _Clock]]:
        """Cut rows where the mode changes from one step to the next.

        activity, unit, evaluated: as in `LoopActivity`. Yields rows and units of each part, and what times them.
        """
        if self._evaluation is None or not evaluated.any():
            yield activity, unit, self._training
            return
        steps, first = np.unique(activity.step, return_index=True)
        modes = evaluated[first]
        for part in np.split(np.arange(len(steps)), np.flatnonzero(np.diff(modes)) + 1):
            rows = np.isin(activity.step, steps[part])
            yield activity.select(rows), unit[rows], self._evaluation if modes[part[0]] else self._training

    def layers(self, work: Callable[[int], Activity]) -> bool:
        """Account for one sample of sequential inference layer by layer (see `rpusim.arch.account.by_layer`).

        work: makes the activity of a layer.

        Returns whether that can be done; if not, nothing was accounted for.
        """
        assert not self.samples, "only one sample, and nothing else"
        if self.schedule != "sequential":
            return False

        def counted(layer: int) -> Activity:
            activity = work(layer)
            self._count(activity)
            return activity

        found = by_layer.account(self.plan, self._price, counted, self._beginning.most_events)
        if found is None:
            self.samples, self.counts = 0, Counts()
            return False
        self._timed, self._whole, self.mini_batches = found.ledger, True, 1
        self.timed_samples = self.samples
        self._beginning.keep(found.activity, found.events)
        return True

    def repeat(self, work: Callable[[int, int], Activity], times: int, size: int = 1, most: int = sys.maxsize) -> None:
        """Account for equal mini-batches, of which as little is timed as it takes (see `rpusim.arch.account.steady`).

        work:   makes the activity of the first so many mini-batches of so many samples.
        times:  how many mini-batches in training, or samples of inference.
        size:   samples of a mini-batch; 1 in inference.
        most:   samples that may be run at once; InputError if nothing repeats itself so soon.

        The account is that of all of them, to the picosecond and zeptojoule.
        """
        assert not self.samples, "only equal work, and nothing else"
        self._timed, timed = steady.account(self.plan, self.schedule, self._price, work, times, size, most)
        self._whole = True
        self._count(timed.activity)
        self.mini_batch = size if timed.activity.trains else 0
        self.mini_batches = times if timed.activity.trains else 1  # samples of inference are one, as in `add`
        self.timed_samples += self._samples(timed.activity)
        self._beginning.keep(timed.activity, timed.events(self._beginning.most_events))
        samples = self.samples
        if times * size > samples:  # what was done once, before the first of them, is in both
            if last := int(timed.activity.step.max()):
                fewer = timed.activity.select(timed.activity.step < last)
            else:
                fewer = work(samples - 1, 1) if size == 1 else work(1, samples - 1)
            step = self._samples(timed.activity) - self._samples(fewer)
            self.counts = self.counts.grown(Counts().plus(fewer), (times * size - samples) // step)
            self.samples = times * size

    def idle(self, time_ps: int) -> None:
        """Let ``time_ps`` picoseconds pass in which nothing is done; every part draws what it does at rest."""
        self._price.rest.stand_still(self._idle, time_ps)
        if self._rested is not None:
            self._rested = np.where(self._rested < 0, -1, self._rested + time_ps)

    def ledger(self) -> Ledger:
        """Return the account of all samples and all idle time so far.

        If not all samples were timed, the account of those that were is scaled up, entry by entry in integers.
        """
        whole = Ledger(peak_w=self._timed.peak_w)
        for part in (self._scaled(), self._idle):
            whole.merge(part)
        return whole

    def activity(self) -> dict[str, Any]:
        """Make the document's ``activity``: what was done, and how much of it was timed."""
        timed: dict[str, Any] = {
            "schedule": self.schedule,
            "timed_samples": self.timed_samples,
            "samples": self.samples,
        }
        timed |= self._sample.document(self.timing, self.mini_batches)
        if self._idle.time_ps:
            timed["idle_s"] = self._idle.time_ps / PICOSECONDS_PER_SECOND
        stale = {"staleness": vars(self.staleness)} if self.staleness else {}
        return timed | self.counts.document() | stale

    def measured(self) -> Measured:
        """Return what a result has to say of this account; at least one sample must have been accounted for."""
        streams, only_evaluated = self.schedule == "layer-pipelined", self._beginning.analysis is None
        clock = self._evaluation if self._evaluation and only_evaluated else self._training
        stored = storage.document(clock.plan, self.mini_batch or int(not streams), training=self.mini_batch > 0)
        analysis = clock.beginning.analysis
        return Measured(
            self.plan,
            self.ledger(),
            self.samples,
            activity=self.activity(),
            storage=stored,
            analysis=analysis.document() if analysis else {},
            trace=clock.beginning.trace,
            details=clock.beginning.details,
            sensitivity=self._sensitivity(clock),
        )

    def _sensitivity(self, clock: _Clock) -> dict[str, Any]:
        """Make the document's ``sensitivity``; empty if nothing was timed."""
        analysis, events = clock.beginning.analysis, clock.beginning.trace
        if analysis is None or events is None:
            return {}
        varied = Sensitivity(clock.plan, self.ledger(), events, analysis.activity, self.schedule)
        rows, tried = varied.rows()
        return {"assumptions": tried, "events": len(events), "timed_again": varied.times_again, "largest": rows}

    def state_dict(self) -> dict[str, Any]:
        """Return the account so far, in numbers and tensors; a meter of the same plan goes on from it, to the byte."""
        return {
            "samples": self.samples,
            "timed_samples": self.timed_samples,
            "mini_batch": self.mini_batch,
            "counts": asdict(self.counts),
            "mini_batches": self.mini_batches,
            "steps": self._steps,
            "ledger": asdict(self._timed),
            "idle": asdict(self._idle),
            "sample": (self._sample.seconds, self._sample.joules),
            "whole": self._whole,
            "rested": None if self._rested is None else self._rested.tolist(),
            "staleness": self.staleness and asdict(self.staleness),
            **self._beginning.state_dict(),
            **({"evaluation": self._evaluation.beginning.state_dict()} if self._evaluation else {}),
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on from what `state_dict` gave."""
        self.samples, self.timed_samples = state["samples"], state["timed_samples"]
        self.mini_batches, self.mini_batch = state["mini_batches"], state["mini_batch"]
        self.counts, self._whole = Counts.of(state["counts"]), state["whole"]
        self._steps = state.get("steps", 0)
        self._sample.seconds, self._sample.joules = state["sample"]
        self._timed, self._idle = Ledger(), Ledger()
        self._rested = None if state["rested"] is None else np.array(state["rested"], np.int64)
        self._timed.merge(Ledger(**state["ledger"]))
        self._idle.merge(Ledger(**state["idle"]))
        self.staleness = Staleness(**state["staleness"]) if state["staleness"] else None
        self._beginning.load_state_dict(state)
        if self._evaluation:
            self._evaluation.beginning.load_state_dict(state["evaluation"])

    def _count(self, activity: Activity) -> None:
        self.counts = self.counts.plus(activity)
        self.samples += self._samples(activity)
        if activity.trains:
            counted = self.plan.layers[self._counted]
            read = (activity.phase == Phase.FORWARD) & (activity.layer == self._counted)
            last = activity.vector[read].max(initial=-1)
            self.mini_batch = max(self.mini_batch, (int(last) + 1) // counted.placed.layer.vectors)

    def _samples(self, activity: Activity) -> int:
        """Count the samples that went forward through the first layer (that both modes use)."""
        first = self.plan.layers[self._counted].placed
        rows = (activity.phase == Phase.FORWARD) & (activity.layer == self._counted)
        return int(np.sum(activity.count[rows])) // (first.grid * first.layer.vectors)

    def _scaled(self) -> Ledger:
        """Return the account of all samples, idle time aside."""
        if self._whole or self.samples == self.timed_samples:
            return self._timed
        scaled = Ledger(peak_w=self._timed.peak_w)

        def scale(value: int) -> int:
            return value * self.samples // self.timed_samples

        scaled.energy = {key: scale(value) for key, value in self._timed.energy.items()}
        scaled.busy_ps = {name: scale(value) for name, value in self._timed.busy_ps.items()}
        scaled.occupied_ps = {name: scale(value) for name, value in self._timed.occupied_ps.items()}
        return replace(scaled, time_ps=scale(self._timed.time_ps))
