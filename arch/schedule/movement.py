"""Write how samples come in from outside the chip, and how what buffers cannot keep is put away and comes back.

`storage` settles before a run what each layer keeps and where the rest goes; the tasks that move it are written here.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence

import numpy as np

from rpusim.arch.contract.activity import Phase
from rpusim.arch.contract.columns import Integers, Operand, pick
from rpusim.arch.engine.events import PART, SAMPLE
from rpusim.arch.engine.program import only
from rpusim.arch.schedule.plan import LayerPlan
from rpusim.arch.schedule.storage import Held, sent
from rpusim.arch.schedule.work import Work
from rpusim.arch.schedule.writer import Writer


class Movement:
    """Add tasks that move samples, their inputs and their errors to the program of a writer."""

    def __init__(self, writer: Writer) -> None:
        self._writer = writer
        self._away: dict[int, list[int]] = {}
        """By layer: for each thing that is put away of a sample, the first of the gates that say it has been."""
        self.read: dict[int, Integers] = {}
        """By layer that reads the network's input: (samples,) gates that open when it has read a sample."""
        self.input_room = Counter[int]()
        """By station of a buffer: how many bits of it the network's input takes, where room in buffers is reserved."""

    def bring_in(
        self, works: Sequence[Work], number: Integers, start: Sequence[Operand], left: Sequence[Integers]
    ) -> Integers | None:
        """Bring the network's input from DRAM, or else from the host, to the tiles that read it.

        What comes from DRAM is read there once for all tiles, and also goes to the homes of sums that it is a part of.
        Besides the samples that stay until their update, as many
        come in as there is room for (`Kept.ahead`).

        Args:
            works: forward work of the layers that read the input.
            number: (samples,) of every sample within its mini-batch.
            start: gates to wait for, each one for all samples or (samples,).
            left: for each of these works, (samples,) gates that open when what its layer kept of the mini-batch before
                is out of its buffers.

        Returns:
            (samples,) gates that open when a sample is there; None if the chip has neither DRAM nor host link, so that
            samples are taken to be there.
        """
        writer, plan = self._writer, self._writer.plan
        readers = [(work, gone) for work, gone in zip(works, left, strict=True) if not self._as_needed(work.layer)]
        part = next((part for part in ("DRAM", "host link") if part in plan.outside), None)
        whole = [message for work, _ in readers for message in work.layer.inputs]
        parts = [message for layer in plan.layers for each in layer.sums for message in each.inputs]
        if not whole + parts or part is None:
            return None
        samples, waits, shares = np.arange(len(number)), list(start), works[0].shares
        for work, gone in readers:
            layer, kept = work.layer, writer.kept[work.layer.index]
            stays = writer.trains & (number >= kept.ahead) & (number < kept.samples)
            read = self.read[layer.index] = writer.builder.gates(len(samples)) + samples
            waits += [only(stays, gone), only(~stays & (samples >= kept.ahead), read - kept.ahead)]
            if writer.streams:
                share = {layer.blocks[one.block].buffer: one.share for of_replica in kept.held for one in of_replica}
                for buffer, bits in sent([layer.inputs], 1, 1).items():
                    self.input_room[buffer] += min(kept.ahead * bits, share[buffer])
        there, first = writer.builder.gates(len(samples)) + samples, works[0].layer
        total = max(writer.kept[work.layer.index].input_bits for work in works)
        with writer.builder.task(len(samples), Phase.FORWARD, first.index, 0, samples) as task:
            task.wait_for(waits)
            task.of(SAMPLE)
            writer.units.outside(task, part, total, reading=True)
            for message in whole:
                writer.units.deliver(task, message, message.sent_among(shares, samples, number, number * 0))
            task.of(PART)
            for message in parts:
                writer.units.deliver(task, message, message.sent_among(shares, samples, number, number * 0))
            task.raise_(there)
        return there

    def put_away(self, work: Work, start: Sequence[Operand]) -> None:
        """Send the inputs or errors of samples that do not stay to where they go, from the first tiles that hold them.

        Args:
            work: forward, for inputs, or backward, for errors.
            start: gates to wait for, each one for all vectors or (vectors,).
        """
        writer, layer, kept = self._writer, work.layer, self._writer.kept[work.layer.index]
        forward = work.phase == Phase.FORWARD
        overflowing = self.overflowing(work)
        if not len(overflowing) or (forward and kept.reread):
            return
        away = writer.builder.gates(int(work.sample.max()) + 1)
        self._away.setdefault(layer.index, []).append(away)
        for held, chosen in self._by_replica(work, overflowing):
            total: Operand = 0
            with writer.task(work, layer.blocks[held[0].block], chosen) as task:
                task.wait_for(start, chosen)
                for one in held:
                    bits = pick(work.shared(one.own_input_bits if forward else one.own_error_bits), chosen)
                    writer.units.recall(task, layer.blocks[one.block], bits, reading=True)
                    writer.units.send(task, layer.to_edge[one.block], bits)
                    total = total + bits
                writer.units.outside(task, kept.overflow, total, reading=False)
                task.raise_(away + work.sample[chosen])

    def bring_back(self, work: Work, start: Sequence[Operand]) -> Integers:
        """Bring one copy of what was put away to all tiles that hold it.

        Args:
            work: that needs it.
            start: gates to wait for, each one for all vectors or (vectors,).

        Returns:
            (vectors,) gates that open when it is back; those of samples that stayed are open from the start.
        """
        writer, layer, kept = self._writer, work.layer, self._writer.kept[work.layer.index]
        back = writer.gates(work)
        for held, chosen in self._by_replica(work, self.overflowing(work)):
            with writer.task(work, layer.blocks[held[0].block], chosen) as task:
                task.wait_for(start, chosen)
                for away in self._away.get(layer.index, ()):
                    task.wait(away + work.sample[chosen])
                writer.units.outside(task, kept.overflow, pick(work.shared(kept.bits), chosen), reading=True)
                for one in held:
                    writer.units.deliver(task, layer.from_edge[one.block], pick(work.shared(one.bits), chosen))
                task.raise_(back[chosen])
        return back  # nothing raises the gates of the others, so they are open

    def overflowing(self, work: Work) -> Integers:
        """Return the indices of the vectors whose samples do not stay in buffers and have somewhere else to go."""
        kept = self._writer.kept[work.layer.index]
        # In inference each sample is kept for itself.
        sample = work.vector // work.layer.placed.layer.vectors * self._writer.trains
        return np.flatnonzero((sample >= kept.samples) & bool(kept.overflow) & (not self._writer.streams))

    def _as_needed(self, layer: LayerPlan) -> bool:
        """Tell whether the network's input is read from DRAM vector by vector, as no whole sample fits on the chip."""
        return self._writer.kept[layer.index].reread and not self._writer.trains and not self._writer.streams

    def _by_replica(self, work: Work, chosen: Integers) -> Iterator[tuple[tuple[Held, ...], Integers]]:
        """Yield what the tiles of each replica hold, and which of the chosen vectors that replica does."""
        for replica, held in enumerate(self._writer.kept[work.layer.index].held):
            turn = chosen[work.replica[chosen] == replica]
            if len(turn):
                yield held, turn
