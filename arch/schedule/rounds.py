"""Write the multiplication of a layer larger than the chip, whose blocks are on arrays in several *rounds*.

All vectors of a sample are multiplied by the blocks of one round before the next one begins. What a row of blocks has
summed by then waits at its home, in the buffer of its tile or, where inputs do not fit there either, wherever these go
(`Kept.overflow`): it is written at the end of a round, read to be added to that of the next one, and read at last when
the results go on, which is when all rounds are over. Inputs that are not in buffers are brought there for every round.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np

from rpusim.arch.contract.columns import Integers, Operand
from rpusim.arch.engine.program import Task, only
from rpusim.arch.schedule.homes import Homes, Stage, at_homes
from rpusim.arch.schedule.movement import Movement
from rpusim.arch.schedule.plan import BlockPlan
from rpusim.arch.schedule.work import Done, Work
from rpusim.arch.schedule.writer import Writer

Multiplied = Callable[[Task, BlockPlan, Integers, Work, Integers], None]
"""Writes what one block does for its vectors; see `rpusim.arch.schedule.flow`."""


class Rounds:
    """Add the tasks of one layer's rounds to a program.

    Args:
        writer: of the program.
        movement: brings back inputs that are not in buffers.
        work: the vectors of the forward phase.

    Attributes:
        ready: for each round, gates to wait for before its vectors: one for all, or (vectors,).
        over: for each round, when its vectors are done.
    """

    def __init__(self, writer: Writer, movement: Movement, work: Work) -> None:
        self._writer, self._movement, self._work = writer, movement, work
        self._tiles = work.layer.placed.rounds
        self.ready: list[list[Operand]] = [[] for _ in self._tiles]
        self.over = [writer.ordered(work) for _ in self._tiles]
        self._waiting: dict[int, Integers] = {}
        """By the tile of a home, (vectors,) gates that open when what it has summed so far has been put away."""

    def write(self, start: Sequence[Operand], homes: Homes, multiply: Multiplied) -> Done:
        """Write all rounds, and what is done at the homes behind them.

        Args:
            start: gates to wait for, each entry one for all vectors or (vectors,).
            homes: what is done there.
            multiply: writes what one block does.

        Returns:
            When each vector's results have arrived.
        """
        writer, work = self._writer, self._work
        last = _last_of_sample(work)
        for number, tiles in enumerate(self._tiles):
            waits = [*start, *self.ready[number]]
            if number:
                waits.append(self.over[number - 1].by(last))
            if len(self._movement.overflowing(work)):
                waits = [self._movement.bring_back(work, waits)]
            self._multiplied(number, tiles, waits, multiply)
        each = [self._fetching(home.block.tile) for home in homes.blocks]
        stages = [[*fetching, *its] for fetching, its in zip(each, homes.stages, strict=True)]
        return at_homes(writer, work, replace(homes, stages=stages), [self.over[-1].by(np.arange(len(work)))])

    def _multiplied(self, number: int, tiles: Sequence[int], waits: Sequence[Operand], multiply: Multiplied) -> None:
        """Write what the blocks of one round do, and, but in the last one, that their sums wait."""
        writer, work, layer = self._writer, self._work, self._work.layer
        begun, before = writer.gates(work), work.before_last
        waits = [*waits, only(before >= 0, begun[before])]  # registers hold one vector while another is driven
        summed: dict[int, Integers] = {}
        read = self._movement.read.get(layer.index)
        assert work.rows is not None
        for tile in tiles:
            block, rows = layer.blocks[tile], work.rows[:, tile]
            with writer.task(work, block, None, rows) as task:
                task.wait_for(waits)
                multiply(task, block, rows, work, begun)
                if number < len(self._tiles) - 1:
                    home = layer.placed.row_home(block.block).tile
                    if home not in summed:
                        summed[home] = writer.gates(work)
                    task.raise_(summed[home])
                if read is not None:
                    task.raise_(read[work.sample])
                writer.in_order(task, self.over[number], None, len(work))
        for home, gates in summed.items():
            with writer.task(work, layer.blocks[home], None) as task:
                task.wait(gates)
                for stage in self._fetching(home):
                    stage.write(writer, task, work, layer.blocks[home], None)
                self._waiting[home] = writer.gates(work)
                stored = Stage(0, store=self._bits(home), away=self._away(), raised=self._waiting[home])
                stored.write(writer, task, work, layer.blocks[home], None)
                writer.in_order(task, self.over[number], None, len(work))

    def _fetching(self, home: int) -> list[Stage]:
        """Return how a home gets back what it has put away; nothing if it has not."""
        if home not in self._waiting:
            return []
        return [Stage(0, start=self._waiting[home], fetch=self._bits(home), away=self._away())]

    def _bits(self, home: int) -> int:
        """Return the bits of the sums of one vector at a home."""
        block = self._work.layer.blocks[home]
        return block.block.rows * block.kind.digital.word_bits

    def _away(self) -> Operand:
        """Say which vectors' samples do not stay in buffers: (vectors,) 1 where they go elsewhere."""
        away = np.zeros(len(self._work), np.int64)
        away[self._movement.overflowing(self._work)] = 1
        return away


def _last_of_sample(work: Work) -> Integers:
    """Return (vectors,) the index of the last vector of the sample of each."""
    last = np.zeros(int(work.sample.max()) + 1, np.int64)
    last[work.sample] = np.arange(len(work))
    return last[work.sample]
