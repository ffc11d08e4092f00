"""The work of one phase of one layer, as `schedule` hands it to `flow`: which vectors, and what others wait for."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from rpusim.arch.contract.activity import Phase
from rpusim.arch.contract.columns import Integers, Operand, pick, plain
from rpusim.arch.engine.program import only
from rpusim.arch.mapping.replicas import share
from rpusim.arch.mapping.traffic import Message
from rpusim.arch.schedule.plan import LayerPlan


@dataclass(frozen=True)
class Done:
    """Vector i and all before it are done when gate ``first`` + i is open."""

    first: int

    def by(self, vectors: Integers) -> Integers:
        """The gates of these vectors; those below 0 are not waited for."""
        return only(vectors >= 0, self.first + vectors)


@dataclass(frozen=True)
class Work:
    """The vectors of one phase of one layer, over all mini-batches, in order; each array has one entry per vector.

    step, sample: counted from the first of the program. vector: within its mini-batch. rows: (vectors, blocks of a
    replica) rows of activity; None where nothing is recorded.
    """

    layer: LayerPlan
    phase: Phase
    step: Integers
    sample: Integers
    vector: Integers
    rows: Integers | None

    def __len__(self) -> int:
        return len(self.vector)

    @property
    def position(self) -> Integers:
        """Within its sample."""
        return self.vector % self.layer.placed.layer.vectors

    def shared(self, total: int) -> Operand:
        """Of ``total`` per sample, each vector's share."""
        return share(total, self.position, self.layer.placed.layer.vectors) if total else 0

    def bits(self, message: Message, chosen: Integers | None = None) -> Operand:
        """What its vectors, or some of them, send by a message."""
        return plain(message.sent(*np.divmod(pick(self.vector, chosen), self.layer.placed.layer.vectors)))

    def of_replica(self, number: int) -> Integers | None:
        """Which vectors a replica does: they take turns. None: all."""
        replicas = self.layer.placed.replicas
        return None if replicas == 1 else np.flatnonzero(self.vector % replicas == number)


@dataclass(frozen=True)
class Extras:
    """Transfers and maintenance of one layer in program order: (step, vector) they follow, tile, row of activity.

    vector -1: before the mini-batch begins (programming, calibration, reads that measure drift).
    """

    step: Integers
    vector: Integers
    tile: Integers
    row: Integers
    phase: Integers

    def of(self, chosen: NDArray[np.bool_]) -> Extras | None:
        """Some of them; None if there are none."""
        return Extras(*(column[chosen] for column in vars(self).values())) if chosen.any() else None
