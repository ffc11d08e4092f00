"""Sort rows of activity into the work of phases and layers, as `schedules` hands it to `flow`.

`Work` says which vectors a layer does in one phase, `Done` what others can wait for.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from rpusim.arch.contract.activity import Activity, Phase
from rpusim.arch.contract.columns import Integers, Operand, pick, plain
from rpusim.arch.engine.program import only
from rpusim.arch.mapping.drawn import Shares
from rpusim.arch.mapping.messages import Message
from rpusim.arch.mapping.replicas import share
from rpusim.arch.schedule.plan import LayerPlan, Plan


@dataclass(frozen=True)
class Done:
    """Say how to wait for vectors: vector i and all before it are done when gate ``first`` + i is open."""

    first: int

    def by(self, vectors: Integers) -> Integers:
        """Return the gates of these vectors; nothing is waited for where a vector is below 0."""
        return only(vectors >= 0, self.first + vectors)


@dataclass(frozen=True)
class Work:
    """Hold the vectors of one phase of one layer, over all mini-batches, in order.

    layer:   of the plan.
    phase:   that the vectors are in.
    step:    (vectors,) mini-batch, counted from the first of the program.
    sample:  (vectors,) counted from the first of the program.
    vector:  (vectors,) number within the mini-batch.
    rows:    (vectors, blocks of a replica) rows of activity; None for work that has none of its own.
    shares:  which replica does each vector of the program; None: they take turns.
    """

    layer: LayerPlan
    phase: Phase
    step: Integers
    sample: Integers
    vector: Integers
    rows: Integers | None
    shares: Shares | None = None

    def __len__(self) -> int:
        return len(self.vector)

    @property
    def position(self) -> Integers:
        """(vectors,) the place of each within its sample."""
        return self.vector % self.layer.placed.layer.vectors

    def shared(self, total: int) -> Operand:
        """Divide ``total`` of each sample among its vectors: (vectors,), or 0."""
        return share(total, self.position, self.layer.placed.layer.vectors) if total else 0

    def bits(self, message: Message, chosen: Integers | None = None) -> Operand:
        """Return the bits that its vectors (``chosen``: some of them) send by a message."""
        number, position = np.divmod(pick(self.vector, chosen), self.layer.placed.layer.vectors)
        return plain(message.sent_among(self.shares, pick(self.sample, chosen), number, position))

    @cached_property
    def replica(self) -> Integers:
        """(vectors,) the replica of the layer that does each."""
        placed = self.layer.placed
        if self.shares is None:
            return self.vector % placed.replicas
        found: Integers = self.shares.of(placed.index, placed.layer.vectors)[self.sample, self.position]
        return found

    def of_replica(self, number: int) -> Integers | None:
        """Return the indices of the vectors that a replica does; None: all."""
        return None if self.layer.placed.replicas == 1 else np.flatnonzero(self.replica == number)

    @cached_property
    def before_last(self) -> Integers:
        """(vectors,) the index of the vector before the last one that the same replica did; -1: there is none."""
        lag, numbers = 2 * self.layer.placed.replicas, np.arange(len(self))
        if self.shares is None or self.layer.placed.replicas == 1:
            return np.maximum(numbers - lag, -1)
        order = np.argsort(self.replica, kind="stable")
        replica = self.replica[order]
        found = np.full(len(self), -1)
        same = replica[2:] == replica[:-2]
        found[order[2:][same]] = order[:-2][same]
        return found


@dataclass(frozen=True)
class Extras:
    """Hold transfers and maintenance of one layer in program order; each column has one entry for each.

    step:    mini-batch of the update that they follow, counted from 0.
    vector:  of that update; -1: before the mini-batch begins (programming, calibration, reads that measure drift).
    tile:    block of the layer.
    row:     of activity.
    phase:   TRANSFER or MAINTENANCE.
    """

    step: Integers
    vector: Integers
    tile: Integers
    row: Integers
    phase: Integers

    def of(self, chosen: NDArray[np.bool_]) -> Extras | None:
        """Pick those where ``chosen`` is true; None if there are none."""
        return Extras(*(column[chosen] for column in vars(self).values())) if chosen.any() else None

    def sorted_by(self, key: Integers) -> Iterator[tuple[int, Extras]]:
        """Yield each number that occurs in ``key`` (one for each of them), in order, with those that have it."""
        order = np.argsort(key, kind="stable")
        numbers, first = np.unique(key[order], return_index=True)
        for number, places in zip(numbers.tolist(), np.split(order, first[1:]), strict=True):
            yield number, Extras(*(column[places] for column in vars(self).values()))


class Todo:
    """Sort rows of activity by phase and layer.

    Args:
        plan: of the chip and network.
        activity: the rows that are to be done; aggregated ones must have been expanded.

    Attributes:
        layers: of the plan.
        mini_batches: how many there are.
        samples: (mini-batches,) how many samples each has.
        first: (mini-batches + 1,) the first sample of each, counted from the first of the program.
        step_of: (samples,) the mini-batch of each sample, counted from 0.
        number: (samples,) of each sample within its mini-batch.
        shares: which replica does each vector, where the placement says that rows tell; None: they take turns.
    """

    def __init__(self, plan: Plan, activity: Activity) -> None:
        assert np.all(activity.count == 1), "aggregated rows have to be expanded before they are scheduled"
        self.layers, self._network = plan.layers, plan.placement.network
        step = activity.mini_batch
        self.mini_batches = int(step.max(initial=-1)) + 1
        self._forms: dict[tuple[int, int], tuple[Integers, Integers, Integers]] = {}
        samples = np.zeros(self.mini_batches, np.int64)
        main = activity.phase <= Phase.UPDATE
        working = [plan.layers[index] for index in np.unique(activity.layer).tolist()]
        for layer in working:
            for phase in (Phase.FORWARD, Phase.BACKWARD, Phase.UPDATE):
                rows = np.flatnonzero((activity.layer == layer.index) & (activity.phase == phase))
                if len(rows):
                    form = self._forms[phase, layer.index] = _form(layer, rows, step, activity, plan.placement.drawn)
                    np.maximum.at(samples, form[0], form[1] // layer.placed.layer.vectors + 1)
        self.samples = samples
        self.first = np.concatenate([[0], np.cumsum(samples)])
        self.step_of = np.repeat(np.arange(len(samples)), samples)
        self.number = np.arange(len(self.step_of)) - self.first[self.step_of]
        self.shares = self._shares(activity) if plan.placement.drawn else None
        self._extras = {
            layer.index: Extras(
                step=step[rows],
                vector=activity.vector[rows].astype(np.int64),
                tile=activity.tile[rows].astype(np.int64),
                row=rows,
                phase=activity.phase[rows].astype(np.int64),
            )
            for layer in working
            if len(rows := np.flatnonzero(~main & (activity.layer == layer.index)))
        }

    def _shares(self, activity: Activity) -> Shares:
        """Read from the rows which replica did each vector, in all phases the same one."""
        found = {}
        for placed in (layer.placed for layer in self.layers if layer.placed.replicas > 1):
            each = placed.layer.vectors
            vector = (self.number[:, None] * each + np.arange(each)) % placed.replicas  # of samples without any rows
            for phase in (Phase.UPDATE, Phase.BACKWARD, Phase.FORWARD):
                if (phase, placed.index) in self._forms:
                    step, number, rows = self._forms[phase, placed.index]
                    vector[self.first[step] + number // each, number % each] = activity.tile[rows[:, 0]] // placed.grid
            for phase in (Phase.UPDATE, Phase.BACKWARD):
                if (phase, placed.index) in self._forms:
                    step, number, rows = self._forms[phase, placed.index]
                    same = vector[self.first[step] + number // each, number % each]
                    assert np.array_equal(same, activity.tile[rows[:, 0]] // placed.grid), (
                        f"vectors of layer {placed.index} that come back to another replica than they went out from"
                    )
            found[placed.index] = vector
        return Shares(found, len(self.step_of))

    def readers(self) -> list[Work]:
        """Return the forward work of the layers that read the network's input."""
        works = (self.work(Phase.FORWARD, layer) for layer in self.layers if layer.inputs)
        return [work for work in works if work]

    def work(self, phase: Phase, layer: LayerPlan) -> Work | None:
        """Return the vectors of one phase of a layer; None if it has none."""
        if (phase, layer.index) not in self._forms:
            return None
        step, vector, rows = self._forms[phase, layer.index]
        sample = self.first[step] + vector // layer.placed.layer.vectors
        return Work(layer, phase, step, sample, vector, rows, self.shares)

    def errors(self, layer: LayerPlan) -> Work | None:
        """Return the vectors of a layer that have an error; None if it has none.

        These are the vectors that go back, or learn. The first step of a recurrent layer need do neither, as nobody
        gave the state before it; but its error, too, is that of the layers that give the steps something to add.
        """
        found = [w for phase in (Phase.BACKWARD, Phase.UPDATE) if (w := self.work(phase, layer))]
        if layer.placed.layer.unread:
            givers = self._network.layers_before(layer.index)
            found += [w for giver in givers if (w := self.errors(self.layers[giver]))]
        if not found:
            return None
        vectors = layer.placed.layer.vectors
        if layer.placed.layer.unread:
            samples = np.unique(np.concatenate([w.sample for w in found]))
            sample = samples.repeat(vectors)
            vector = (self.number[samples][:, None] * vectors + np.arange(vectors)).ravel()
            return Work(layer, Phase.BACKWARD, self.step_of[sample], sample, vector, None, self.shares)
        if all(np.array_equal(w.step, found[0].step) and np.array_equal(w.vector, found[0].vector) for w in found[1:]):
            return replace(found[0], phase=Phase.BACKWARD, rows=None)
        width = 1 + max(int(w.vector.max()) for w in found)
        step, vector = np.divmod(np.unique(np.concatenate([w.step * width + w.vector for w in found])), width)
        sample = self.first[step] + vector // vectors
        return Work(layer, Phase.BACKWARD, step, sample, vector, None, self.shares)

    @cached_property
    def with_errors(self) -> dict[int, Work]:
        """The vectors that have an error, by the stage: layers that go back or learn, and sums of such."""
        found: dict[int, Work] = {}
        for layer in self.layers:
            if work := self.errors(layer):
                found[layer.index] = work
        for layer in self.layers:
            for made in layer.sums:
                if parts := [found[part] for part, _ in made.needs if part in found]:
                    found[made.number] = self._errors_of_sum(layer, parts)
        return found

    def _errors_of_sum(self, layer: LayerPlan, parts: Sequence[Work]) -> Work:
        """Return the vectors of a sum that have an error: all of the samples of which some part has one.

        Args:
            layer: at whose homes the sum is made.
            parts: the vectors of its parts that have an error.
        """
        of, each = np.unique(np.concatenate([part.sample for part in parts])), layer.placed.layer.vectors
        sample, position = of.repeat(each), np.tile(np.arange(each), len(of))
        vector = self.number[sample] * each + position
        return Work(layer, Phase.BACKWARD, self.step_of[sample], sample, vector, None, self.shares)

    def extras(self, layer: LayerPlan) -> Extras | None:
        """Return the transfers and maintenance that follow updates of a layer; None if there are none."""
        extras = self._extras.get(layer.index)
        return extras and extras.of(extras.vector >= 0)

    def preparations(self, layer: LayerPlan) -> Extras | None:
        """Return the maintenance of a layer that comes before mini-batches; None if there is none."""
        extras = self._extras.get(layer.index)
        return extras and extras.of(extras.vector < 0)


def _form(
    layer: LayerPlan, rows: Integers, step: Integers, activity: Activity, drawn: bool
) -> tuple[Integers, Integers, Integers]:
    """Arrange the rows of one phase of a layer by vectors; gaps are errors of the program.

    Args:
        layer: of the plan.
        rows: of activity.
        step: (rows of activity,) mini-batch of each, counted from 0.
        activity: all of it.
        drawn: whether a vector may be done by any replica; else they take turns.

    Returns:
        (vectors,) step, (vectors,) number within the mini-batch, and (vectors, blocks of a replica) rows of activity.
    """
    placed = layer.placed
    order = rows[np.lexsort((activity.tile[rows], activity.vector[rows], step[rows]))]
    table = order.reshape(-1, placed.grid)
    steps, vectors = step[table[:, 0]], activity.vector[table[:, 0]].astype(np.int64)
    starts = np.flatnonzero(np.r_[True, steps[1:] != steps[:-1]])
    numbers = np.diff(np.r_[starts, len(vectors)])
    unread = placed.layer.unread * int(activity.phase[rows[0]] == Phase.BACKWARD)
    each = placed.layer.vectors - unread
    sample, position = np.divmod(np.arange(len(vectors)) - np.repeat(starts, numbers), each)
    expected = sample * placed.layer.vectors + position + unread
    replica = activity.tile[table[:, 0]] // placed.grid if drawn else vectors % placed.replicas
    tiles = (replica * placed.grid)[:, None] + np.arange(placed.grid)
    whole = np.array_equal(vectors, expected) and np.array_equal(activity.tile[table], tiles)
    assert whole and not np.any(numbers % each), f"activity of layer {layer.index} has gaps"
    return steps.astype(np.int64), vectors, table
