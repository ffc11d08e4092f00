"""The beginning of a run: its first events for a trace, and the analysis of where its time and power went."""

from __future__ import annotations

import sys
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rpusim.arch.account.pricing import Pricer
from rpusim.arch.analysis.summary import Analysis
from rpusim.arch.contract.activity import COLUMNS, Activity
from rpusim.arch.engine.events import Events
from rpusim.arch.schedule.plan import Plan
from rpusim.arch.schedule.schedules import Schedule, run

TRACED_EVENTS = 20_000
"""How many events of the beginning of a run are kept for its folder."""
TRACED_MINI_BATCHES = 64
"""How many mini-batches of the beginning of a run are traced and analysed."""
ANALYSED_EVENTS = 300_000
"""How many of their events, at most."""


class Beginning:
    """The first mini-batches of a run that were timed.

    Their activity is kept; asked for their events, the engine times them once more in one piece, so that trace and
    analysis are the same in however many pieces they came.

    plan, schedule:  what the engine times.
    price:           prices of that plan.
    traced:          how many events a trace has; other than `TRACED_EVENTS`, every mini-batch is kept for it.
    """

    def __init__(self, plan: Plan, schedule: Schedule, price: Pricer, traced: int = TRACED_EVENTS) -> None:
        self._plan, self._schedule, self._price, self._traced = plan, schedule, price, traced
        self._kept: list[Activity] = []
        self._to_keep = TRACED_MINI_BATCHES if traced == TRACED_EVENTS else sys.maxsize
        """Mini-batches that are still to be kept."""
        self._events: Events | None = None
        """Events of what is kept, where it came in one piece that was timed anyway."""
        self._analysis: Analysis | None = None

    @property
    def most_events(self) -> int:
        """How many events are of use, at most."""
        return max(self._traced, ANALYSED_EVENTS)

    def keep(self, timed: Activity, events: Events) -> None:
        """Keep what belongs to the beginning of whole mini-batches that were timed, ``events`` being those of all."""
        every = np.unique(timed.step)
        steps = every[: self._to_keep]
        if not len(steps):
            return
        alone = not self._kept and len(steps) == len(every)
        self._events = events.first(self.most_events) if alone else None
        self._kept.append(timed.select(np.isin(timed.step, steps)))
        self._to_keep -= len(steps)
        self._analysis = None

    @property
    def analysis(self) -> Analysis | None:
        """Where time and power of the beginning went; None before anything was timed."""
        activity = Activity.concatenate(self._kept)
        if self._analysis is None and len(activity):
            events = self._events
            if events is None:
                events = run(self._plan, activity, self._schedule).first(self.most_events)
            self._analysis = Analysis(self._plan, self._price, events, activity)
        return self._analysis

    @property
    def trace(self) -> Events | None:
        """The first events of the run; None before anything was timed."""
        return self.analysis.events.first(self._traced) if self.analysis else None

    @property
    def details(self) -> dict[str, NDArray[np.int64]]:
        """Further columns of every event of the trace: see `Analysis.details`."""
        found = self.analysis.details() if self.analysis else {}
        return {name: column[: self._traced] for name, column in found.items()}

    def state_dict(self) -> dict[str, Any]:
        """Return what is kept, as numbers and tensors."""
        import torch

        first = Activity.concatenate(self._kept)
        return {
            "first": {name: torch.from_numpy(getattr(first, name)) for name in COLUMNS},
            "to_trace": self._to_keep,
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on from what `state_dict` gave; entries of other names are ignored."""
        self._kept = [Activity(**{name: column.numpy() for name, column in state["first"].items()})]
        self._to_keep = state["to_trace"]
        self._events = self._analysis = None
