"""The meter: takes what the kernel did, has the engine time it, and keeps the account.

Activity arrives mini-batch after mini-batch; which of them are scheduled as events and priced `timing` says, the others
are taken to have cost the same per sample. Time in which nothing is done (`Meter.idle`) costs standby.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from rpusim.arch.account import steady
from rpusim.arch.account.ledger import CHIP, STANDBY, Ledger, Pricer
from rpusim.arch.analysis.staleness import Staleness, staleness
from rpusim.arch.analysis.summary import Analysis
from rpusim.arch.contract.activity import COLUMNS, Activity, Phase
from rpusim.arch.contract.quantity import PICOSECONDS_PER_SECOND, ZEPTOJOULES_PER_JOULE
from rpusim.arch.engine.events import Events
from rpusim.arch.schedule.plan import Plan
from rpusim.arch.schedule.schedules import Schedule, run
from rpusim.workloads.cells.management import Management
from rpusim.workloads.cells.periphery import with_management
from rpusim.workloads.clock import sampling
from rpusim.workloads.clock.sampling import Timing
from rpusim.workloads.results import storage

TRACED_EVENTS = 20_000
"""How many events of the beginning of a run are kept for its folder."""
TRACED_MINI_BATCHES = 64
"""How many mini-batches of the beginning of a run are traced and analysed."""

ANALYSED_EVENTS = 300_000
"""How many of their events, at most."""


@dataclass(frozen=True)
class Slices:
    """What unit cells did between updates in one phase: slices read, slices written by pulses, the pulse slots and
    coincidences of that, and cells that changed."""

    slices_read: int = 0
    slices_written: int = 0
    slots: int = 0
    coincidences: int = 0
    cells_changed: int = 0

    def plus(self, activity: Activity, phase: Phase) -> Slices:
        rows = activity.select(activity.phase == phase)
        return Slices(
            self.slices_read + _total(rows, rows.passes),
            self.slices_written + _total(rows, rows.slots > 0),
            self.slots + _total(rows, rows.slots),
            self.coincidences + _total(rows, rows.coincidences_up + rows.coincidences_down),
            self.cells_changed + _total(rows, rows.writes),
        )


def _total(rows: Activity, column: NDArray[Any]) -> int:
    return int((column * rows.count).sum())


@dataclass(frozen=True)
class Counts:
    """What the kernel did, summed over every mini-batch, timed or not."""

    vectors: int = 0
    passes: int = 0
    skipped: int = 0
    updates: int = 0
    slots: int = 0
    coincidences: int = 0
    digital_ops: int = 0
    transfer: Slices = Slices()
    maintenance: Slices = Slices()

    def plus(self, activity: Activity) -> Counts:
        reads, updates = activity.select(activity.phase < Phase.UPDATE), activity.select(activity.phase == Phase.UPDATE)
        return Counts(
            self.vectors + int(reads.count.sum()),
            self.passes + _total(reads, reads.passes),
            self.skipped + _total(reads, reads.passes == 0),
            self.updates + int(updates.count.sum()),
            self.slots + _total(updates, updates.slots),
            self.coincidences + _total(updates, updates.coincidences_up + updates.coincidences_down),
            self.digital_ops + _total(activity, activity.digital_ops),
            self.transfer.plus(activity, Phase.TRANSFER),
            self.maintenance.plus(activity, Phase.MAINTENANCE),
        )

    def grown(self, before: Counts, times: int) -> Counts:
        """Those of so many more mini-batches, each adding what the last one added to ``before``."""
        return Counts(**{name: _grown(value, getattr(before, name), times) for name, value in vars(self).items()})

    @staticmethod
    def of(numbers: dict[str, Any]) -> Counts:
        """Those that `asdict` made numbers of."""
        slices: dict[str, Any] = {n: Slices(**value) for n, value in numbers.items() if isinstance(value, dict)}
        return Counts(**numbers | slices)

    def document(self) -> dict[str, Any]:
        """As numbers by name; transfer and maintenance only where there were any."""
        between = {name: vars(value) for name, value in vars(self).items() if isinstance(value, Slices)}
        numbers = {name: value for name, value in vars(self).items() if name not in between}
        return numbers | {name: counts for name, counts in between.items() if any(counts.values())}


def _first(events: Events, number: int) -> Events:
    """All, or a copy of the first ones, so that the rest need not be kept."""
    if len(events) <= number:
        return events
    return Events(**{name: column[:number].copy() for name, column in events.columns().items()})


def _grown(value: Any, before: Any, times: int) -> Any:
    if isinstance(value, Slices):
        return Slices(**{name: _grown(count, getattr(before, name), times) for name, count in vars(value).items()})
    return value + times * (value - before)


class Meter:
    """Accumulates time and energy of a run on one plan; ``management`` adds its digital operations to every row."""

    def __init__(
        self,
        plan: Plan,
        schedule: Schedule,
        timing: Timing = "every",
        management: Management | None = None,
        traced: int = TRACED_EVENTS,
    ) -> None:
        self.plan = plan
        self.schedule = schedule
        self.timing = timing
        self.management = management
        self.timed_samples = 0
        self.samples = 0
        self.mini_batch = 0
        """Samples of the largest that learned."""
        self.mini_batches = 0
        self.counts = Counts()
        self.traced = traced
        self._first: list[Activity] = []
        self._to_trace = TRACED_MINI_BATCHES if traced == TRACED_EVENTS else sys.maxsize
        """Mini-batches that are still to be added to them."""
        self.staleness: Staleness | None = None
        """Of asynchronous training that was timed in one piece."""
        self._first_events: Events | None = None
        """Those of `beginning`, where they came in one piece that was timed anyway."""
        self._beginning: Analysis | None = None
        self._timed, self._idle = Ledger(), Ledger()
        self._seconds: list[float] = []
        """Of every mini-batch that was timed, if not all are."""
        self._joules: list[float] = []
        self._whole = False
        """Whether the account already is that of all samples, though few were timed."""
        self._price = Pricer(plan)

    def add(self, activity: Activity) -> tuple[Activity, Events] | None:
        """Account for whole mini-batches; what was timed of them, and its events, if anything was."""
        if not len(activity):
            return None
        if self.management is not None:
            activity = with_management(activity, self.plan.placement, self.management)
        self._count(activity)
        self.mini_batches += len(np.unique(activity.step))
        timed = activity.select(sampling.timed(self.timing, activity.step))
        if not len(timed):
            return None
        events = run(self.plan, timed, self.schedule)
        if self.schedule == "asynchronous":
            self.staleness = staleness(self.plan, timed, events)
        self._timed.merge(self._price(events, timed))
        if self.timing != "every":
            self._note(timed, events)
        self._keep(timed, events)
        return timed, events

    def _note(self, timed: Activity, events: Events) -> None:
        """Time and energy of each mini-batch; an event counts with the one in whose time it begins."""
        bounds = sampling.bounds(events, timed.step)
        power = sum(self._price.standby.values())
        energy = np.diff(bounds) * float(power)
        of_event = np.clip(np.searchsorted(bounds, events.start, side="right") - 1, 0, len(energy) - 1)
        for _, members, zeptojoules in self._price.priced(events, timed):
            energy += np.bincount(of_event[members], zeptojoules, len(energy))
        self._seconds += (np.diff(bounds) / PICOSECONDS_PER_SECOND).tolist()
        self._joules += (energy / ZEPTOJOULES_PER_JOULE).tolist()

    def idle(self, time_ps: int) -> None:
        """Let time pass in which nothing is done; every part draws its standby."""
        self._idle.time_ps += time_ps
        for part, zj_per_ps in self._price.standby.items():
            self._idle.add(part, STANDBY, CHIP, zj_per_ps * time_ps)

    def _count(self, activity: Activity) -> None:
        self.counts = self.counts.plus(activity)
        self.samples += self._samples(activity)
        if activity.trains:
            last = activity.vector[(activity.phase == Phase.FORWARD) & (activity.layer == 0)].max(initial=-1)
            self.mini_batch = max(self.mini_batch, (int(last) + 1) // self.plan.layers[0].placed.layer.vectors)

    def _keep(self, timed: Activity, events: Events) -> None:
        """Keep what is to be traced and analysed of what was timed."""
        self.timed_samples += self._samples(timed)
        every = np.unique(timed.step)
        steps = every[: self._to_trace]
        if len(steps):
            alone = not self._first and len(steps) == len(every)
            self._first_events = _first(events, self._most) if alone else None
            self._first.append(timed.select(np.isin(timed.step, steps)))
            self._to_trace -= len(steps)
            self._beginning = None

    @property
    def beginning(self) -> Analysis | None:
        """Of the first mini-batches that were timed, the same in however many pieces they came."""
        activity = Activity.concatenate(self._first)
        if self._beginning is None and len(activity):
            events = self._first_events
            if events is None:
                events = _first(run(self.plan, activity, self.schedule), self._most)
            self._beginning = Analysis(self.plan, self._price, events, activity)
        return self._beginning

    @property
    def _most(self) -> int:
        """Events that are kept."""
        return max(self.traced, ANALYSED_EVENTS)

    @property
    def trace(self) -> Events | None:
        """The first events of the first mini-batches that were timed."""
        return _first(self.beginning.events, self.traced) if self.beginning else None

    @property
    def details(self) -> dict[str, NDArray[np.int64]]:
        """Of every event of the trace: see `Analysis.details`."""
        found = self.beginning.details() if self.beginning else {}
        return {name: column[: self.traced] for name, column in found.items()}

    def activity(self) -> dict[str, Any]:
        """What was done and how much of it was timed, for a document."""
        timed: dict[str, Any] = {
            "schedule": self.schedule,
            "timed_samples": self.timed_samples,
            "samples": self.samples,
        }
        if self.mini_batches:
            timed |= sampling.documented(self.timing, self.mini_batches, self._seconds, self._joules)
        if self._idle.time_ps:
            timed["idle_s"] = self._idle.time_ps / PICOSECONDS_PER_SECOND
        stale = {"staleness": vars(self.staleness)} if self.staleness else {}
        return timed | self.counts.document() | stale

    def storage(self) -> dict[str, Any]:
        """Where what is needed again waits meanwhile, for a document."""
        streams = self.schedule == "layer-pipelined"
        return storage.document(self.plan, self.mini_batch or int(not streams), training=self.mini_batch > 0)

    def analysis(self) -> dict[str, Any]:
        """Of the beginning of what was timed, for a document."""
        return self.beginning.document() if self.beginning else {}

    def repeat(self, work: Callable[[int, int], Activity], times: int, size: int = 1, most: int = sys.maxsize) -> None:
        """Account for ``times`` equal mini-batches of ``size`` samples, or samples of inference.

        work: the first so many mini-batches of so many samples. most: samples that may be run at once. As little of it
        is timed as it takes (see `steady`); the account is that of all of it.
        """
        assert not self.samples, "only equal work, and nothing else"
        self._timed, timed = steady.account(self.plan, self.schedule, self._price, work, times, size, most)
        self._whole = True
        self._count(timed.activity)
        self.mini_batch = size if timed.activity.trains else 0
        self._keep(timed.activity, timed.events(self._most))
        samples = self.samples
        if times * size > samples:  # what was done once, before the first of them, is in both
            if last := int(timed.activity.step.max()):
                fewer = timed.activity.select(timed.activity.step < last)
            else:
                fewer = work(samples - 1, 1) if size == 1 else work(1, samples - 1)
            step = self._samples(timed.activity) - self._samples(fewer)
            self.counts = self.counts.grown(Counts().plus(fewer), (times * size - samples) // step)
            self.samples = times * size

    def state_dict(self) -> dict[str, Any]:
        """The account so far, in numbers and tensors; a meter of the same plan goes on from it, to the byte."""
        first = Activity.concatenate(self._first)
        return {
            "samples": self.samples,
            "timed_samples": self.timed_samples,
            "mini_batch": self.mini_batch,
            "counts": asdict(self.counts),
            "mini_batches": self.mini_batches,
            "ledger": asdict(self._timed),
            "idle": asdict(self._idle),
            "sample": (self._seconds, self._joules),
            "whole": self._whole,
            "first": {name: torch.from_numpy(getattr(first, name)) for name in COLUMNS},
            "to_trace": self._to_trace,
            "staleness": self.staleness and asdict(self.staleness),
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on from what `state_dict` gave."""
        self.samples, self.mini_batch = state["samples"], state["mini_batch"]
        self.timed_samples = state["timed_samples"]
        self.counts, self._whole, self._to_trace = Counts.of(state["counts"]), state["whole"], state["to_trace"]
        self.mini_batches, (self._seconds, self._joules) = state["mini_batches"], state["sample"]
        self._timed, self._idle = Ledger(), Ledger()
        self._timed.merge(Ledger(**state["ledger"]))
        self._idle.merge(Ledger(**state["idle"]))
        self._first = [Activity(**{name: column.numpy() for name, column in state["first"].items()})]
        self._first_events = self._beginning = None
        self.staleness = Staleness(**state["staleness"]) if state["staleness"] else None

    def _samples(self, activity: Activity) -> int:
        first = self.plan.layers[0].placed
        rows = (activity.phase == Phase.FORWARD) & (activity.layer == 0)
        return int(np.sum(activity.count[rows])) // (first.grid * first.layer.vectors)

    def ledger(self) -> Ledger:
        """The account of all samples and all idle time so far; what was timed of the samples is scaled up, cell by cell
        in integers, if it was not all of them."""
        whole = Ledger(peak_w=self._timed.peak_w)
        for part in (self._scaled(), self._idle):
            whole.merge(part)
        return whole

    def _scaled(self) -> Ledger:
        if self._whole or self.samples == self.timed_samples:
            return self._timed
        scaled = Ledger(peak_w=self._timed.peak_w)

        def scale(value: int) -> int:
            return value * self.samples // self.timed_samples

        scaled.energy = {key: scale(value) for key, value in self._timed.energy.items()}
        scaled.busy_ps = {name: scale(value) for name, value in self._timed.busy_ps.items()}
        scaled.occupied_ps = {name: scale(value) for name, value in self._timed.occupied_ps.items()}
        return replace(scaled, time_ps=scale(self._timed.time_ps))
