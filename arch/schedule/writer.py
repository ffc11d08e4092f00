"""Write tasks for vectors of a layer: what `flow` and its helpers share."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

import numpy as np

from rpusim.arch.contract.activity import Activity
from rpusim.arch.contract.columns import Integers, Operand, pick
from rpusim.arch.engine.events import NO_ROW
from rpusim.arch.engine.program import Builder, Task
from rpusim.arch.schedule.plan import BlockPlan, Plan
from rpusim.arch.schedule.storage import Kept
from rpusim.arch.schedule.units import Units
from rpusim.arch.schedule.work import Done, Work


class Writer:
    """Open tasks and gates in one program.

    Args:
        plan: of the chip and network.
        activity: the rows that are to be done.
        kept: for every layer, what it keeps from forward pass to update (in inference: to multiplication).
        streams: whether nothing has to be kept, and room in buffers is reserved for results on their way instead.
    """

    def __init__(self, plan: Plan, activity: Activity, kept: tuple[Kept, ...], streams: bool) -> None:
        self.plan, self.activity, self.kept, self.streams = plan, activity, kept, streams
        self.trains = activity.trains
        self.passes = activity.passes.astype(np.int64)
        self.slots = activity.slots.astype(np.int64)
        self.builder = Builder(plan.stations, plan.station_capacity, plan.station_latency, plan.station_in_flight)
        self.works = self.builder.works
        self.units = Units(plan, self.works)
        self.asked = self.works.numbers(activity.works)
        """(rows,) the number of the digital work that each row of activity asks for."""
        self._afterwards: list[Callable[[], None]] = []

    def afterwards(self, write: Callable[[], None]) -> None:
        """Have something written when the task that is open is complete, such as the tasks of its copies."""
        self._afterwards.append(write)

    def complete(self) -> None:
        """Write what was left for `afterwards`."""
        while self._afterwards:
            self._afterwards.pop(0)()

    @contextmanager
    def task(self, work: Work, block: BlockPlan, chosen: Integers | None, rows: Operand = NO_ROW) -> Iterator[Task]:
        """Open a task on a block, with one process for each chosen vector of the work.

        Args:
            work: whose vectors are done.
            block: at which.
            chosen: indices of the vectors within the work; None: all.
            rows: of activity, one for each process; `NO_ROW`: none.
        """
        vector = pick(work.vector, chosen)
        with self.builder.task(len(vector), work.phase, work.layer.index, block.block.tile, vector, rows) as task:
            yield task
        self.complete()

    def gates(self, work: Work) -> Integers:
        """Make a gate for every vector: (vectors,)."""
        return self.builder.gates(len(work)) + np.arange(len(work))

    def ordered(self, work: Work) -> Done:
        """Make gates for `in_order`, one for every vector; the gate before the first is open."""
        return Done(self.builder.gates(len(work) + 1) + 1)

    @staticmethod
    def in_order(task: Task, done: Done, chosen: Integers | None, vectors: int) -> None:
        """Say at the end of a task that its vector is done as soon as all before it are.

        Args:
            task: with one process for each chosen vector.
            done: the gates of all vectors of the work.
            chosen: indices of the task's vectors within the work; None: all.
            vectors: how many the work has.
        """
        gates = pick(done.first + np.arange(vectors), chosen)
        task.wait(gates - 1)
        task.raise_(gates)
