"""Work out what the homes of a layer compute, fetch and keep for each vector, as stages that `homes` writes.

What a sample takes (`between`) is divided among its vectors and their homes; every share adds up exactly.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence

import numpy as np

from rpusim.arch.contract import digital_work
from rpusim.arch.contract.columns import Integers, Operand, plain
from rpusim.arch.contract.digital_work import NOTHING
from rpusim.arch.mapping.replicas import share
from rpusim.arch.schedule.between import Between, Late, shares
from rpusim.arch.schedule.homes import Stage
from rpusim.arch.schedule.movement import Movement
from rpusim.arch.schedule.plan import BlockPlan, LayerPlan, Multiply, SumPlan
from rpusim.arch.schedule.work import Work
from rpusim.arch.schedule.writer import Writer

Stages = Sequence[Sequence[Stage]]
"""For each home of a replica, one stage after the other."""


class DigitalStages:
    """Make the stages of one program.

    writer: of the program; numbers the works. movement: knows the samples that do not stay in buffers. with_error:
    numbers of the stages that have an error.
    """

    def __init__(self, writer: Writer, movement: Movement, with_error: Collection[int]) -> None:
        self._writer, self._movement, self._with_error = writer, movement, with_error

    # --- single works -------------------------------------------------------------------------------------------------

    def added(self, numbers: int) -> int:
        """Return the work of adding partial sums."""
        return self._writer.works.number(digital_work.Work(add=numbers))

    def scaled(self, layer: LayerPlan, block: BlockPlan, way: Multiply, passes: Operand) -> Operand:
        """Return the work on the converted outputs of a block: put together from bits and slices, and scaled.

        passes: of each vector, whose conversions are put together each time.
        """
        scale = NOTHING if self.scale_with_the_rest(layer) else block.kind.digital.of_an_output * way.outputs
        if not way.shift_adds:
            return self._writer.works.number(scale)
        put_together = np.multiply.outer(np.atleast_1d(passes), digital_work.Work(add=way.shift_adds).counts)
        return plain(self._writer.works.numbers(put_together + np.array(scale.counts)))

    @staticmethod
    def scale_with_the_rest(layer: LayerPlan) -> bool:
        """Tell whether outputs are scaled on their way through the pipeline that computes what follows.

        That takes a pipelined unit, and a layer whose blocks are homes of their own, which wait for no partial sums.
        """
        return layer.placed.grid == 1 and layer.blocks[0].kind.digital.pipelined

    # --- stages -------------------------------------------------------------------------------------------------------

    def inputs(self, work: Work) -> Sequence[Stage]:
        """Return what each home does on the network's input."""
        before, homes = work.layer.before, self._homes(work, len(work.layer.placed.row_homes))
        total = before.forward + before.training if self._writer.trains else before.forward
        works = zip(self._shared(work, total, homes), self._products(work, before, homes), strict=True)
        return [Stage(ids, macs=macs) for ids, macs in works]

    def forward(self, work: Work, made: SumPlan | None = None) -> tuple[Stages, Stages]:
        """Return what homes do behind a layer: before a recurrent one's next step is fed, and after that.

        made: a sum at these homes; what is done behind that, then.
        """
        layer, homes = work.layer, self._homes(work, len(work.layer.placed.row_homes))
        after, trains = (made or layer).after, self._writer.trains
        scale = NOTHING if made else self._scale(work, [block.forward for block in layer.blocks])
        wrong = (made.number if made else layer.index) in self._with_error
        away, kept = self._away(work), self._bits(work, after.kept * wrong, homes)
        if not trains or not after.normalised:
            total = after.forward + after.training if trains else after.forward
            works, macs = self._shared(work, total, homes, scale, after.late), self._products(work, after, homes)
            cached, keeps = self._cached(work, after, homes), self._bits(work, after.keeps, homes)
            each = zip(works, self._bits(work, after.read, homes), kept, macs, cached, keeps, strict=True)
            return [
                [Stage(ids, read=read, store=bits, away=away, macs=n, cached=old, keeps=new)]
                for ids, read, bits, n, old, new in each
            ], ()
        if not wrong:
            kept = self._bits(work, after.normalised, homes)
        barrier, normalised = self._barrier(work), self._bits(work, after.normalised, homes)
        first = self._shared(work, after.training, homes, scale)
        rest, macs = self._shared(work, after.forward, homes, late=after.late), self._products(work, after, homes)
        once = self._once(work, after.per_batch, homes, last=False)
        waited = [
            [Stage(batch, start=barrier), Stage(ids, read=bits, macs=n)]
            for batch, ids, bits, n in zip(once, rest, normalised, macs, strict=True)
        ]
        pairs = zip(first, kept, strict=True)
        summed = [[Stage(ids, store=bits, away=away, raised=barrier)] for ids, bits in pairs]
        if layer.echo and not made:  # its next step reads what is not normalised
            later = [[*a, Stage(batch, start=barrier)] for a, batch in zip(summed, once, strict=True)]
            return [[Stage(ids, macs=n)] for ids, n in zip(rest, macs, strict=True)], later
        return [[*a, *b] for a, b in zip(summed, waited, strict=True)], ()

    def sum(self, work: Work, made: SumPlan) -> Stages:
        """Return what homes do to make a sum: take its parts out of the buffer, then as behind a layer."""
        stages, _ = self.forward(work, made)
        bits = np.array(made.taken).reshape(-1, len(stages), 2, work.layer.placed.layer.vectors)
        taken = [[plain(each) for each in bits[work.replica, home, :, work.position].T] for home in range(len(stages))]
        return [[Stage(0, parts=p, read=b), *its] for (p, b), its in zip(taken, stages, strict=True)]

    def error(self, work: Work, made: SumPlan | None = None) -> Stages:
        """Return what homes do with gradients that arrive, to make them the error of the layer, or of a sum."""
        layer, homes = work.layer, self._homes(work, len(work.layer.placed.row_homes))
        after, joins = (made or layer).after, self._joins(work, made)
        sums = digital_work.Work(add=0 if joins is not None else (made or layer).gradient_sums)
        kept, away = self._bits(work, after.kept, homes), self._away(work)
        learned = self._once(work, after.learned, homes, last=True)
        macs = self._bits(work, after.macs_back, homes)
        if not after.normalised or (layer.echo and not made):
            works = self._shared(work, after.backward + sums, homes, joins=joins)
            each = zip(works, kept, self._bits(work, after.read, homes), learned, macs, strict=True)
            return [[Stage(w, fetch=k, read=read, away=away, macs=n), Stage(once)] for w, k, read, once, n in each]
        barrier, normalised = self._barrier(work), self._bits(work, after.normalised, homes)
        first = self._shared(work, after.backward + sums + after.behind * -1, homes, joins=joins)
        rest = self._shared(work, after.behind, homes)
        return [
            [
                Stage(0, fetch=k, away=away),
                Stage(a, store=n, raised=barrier, macs=products),
                Stage(b, start=barrier, fetch=n),
                Stage(once),
            ]
            for a, k, n, b, once, products in zip(first, kept, normalised, rest, learned, macs, strict=True)
        ]

    def overlap(self, work: Work) -> Stages:
        """Return what column homes do with products that go back: overlapping windows are summed.

        Before the first layer, gradients go on to tables and other parameters that learn.
        """
        layer, homes = work.layer, self._homes(work, len(work.layer.placed.column_homes))
        ways = [block.backward for block in layer.blocks]
        scale = self._scale(work, [way for way in ways if way is not None])
        works = [digital_work.Work(add=number) + scale for number in layer.overlap[:homes]]
        before = layer.before
        if not before.backward and not before.learned:
            return [[Stage(self._writer.works.number(one))] for one in works]
        learned = self._once(work, before.learned, homes, last=True)
        read, macs = self._bits(work, before.read, homes), self._bits(work, before.macs_back, homes)
        return [
            [Stage(self._shared(work, before.backward, homes, one)[home], read=bits, macs=products), Stage(once)]
            for home, (one, once, bits, products) in enumerate(zip(works, learned, read, macs, strict=True))
        ]

    def bias(self, work: Work) -> Stages:
        """Return what row homes do to let a digital bias learn."""
        homes = self._homes(work, len(work.layer.placed.row_homes))
        every = shares(work.layer.bias.counts, 1, homes)
        return [[Stage(self._writer.works.number(tuple(counts[0].tolist())))] for counts in every]

    # --- pieces -------------------------------------------------------------------------------------------------------

    @staticmethod
    def _homes(work: Work, number: int) -> int:
        return number // work.layer.placed.replicas

    def _scale(self, work: Work, ways: Sequence[Multiply]) -> digital_work.Work:
        """Return the work on the outputs of one vector where it is done with what follows; else none."""
        if not self.scale_with_the_rest(work.layer):
            return NOTHING
        return work.layer.blocks[0].kind.digital.of_an_output * ways[0].outputs

    def _shared(
        self,
        work: Work,
        total: digital_work.Work,
        homes: int,
        each: digital_work.Work = NOTHING,
        late: Collection[Late] = (),
        joins: Integers | None = None,
    ) -> list[Operand]:
        """Divide the work of a sample: for each home (vectors,) numbers of works.

        total: evenly among vectors. each: of every vector besides. late: with the vectors that complete it. joins:
        (vectors,) additions of the sample of each, besides those of ``total``; they go with no late work.
        """
        if joins is not None:
            return self._joined(work, total, homes, each, joins)
        vectors = work.layer.placed.layer.vectors
        found: list[Operand] = []
        waited = [one.shares(homes) for one in late]
        for home, evenly in enumerate(shares(total.counts, vectors, homes)):
            counts = sum((its[home][0] for its in waited), evenly)
            numbers = plain(self._writer.works.numbers(counts + np.array(each.counts)))
            found.append(numbers if isinstance(numbers, int) else numbers[work.position])
        return found

    def _joined(
        self, work: Work, total: digital_work.Work, homes: int, each: digital_work.Work, joins: Integers
    ) -> list[Operand]:
        """Divide work as `_shared` does, where every sample has additions of its own."""
        vectors, at, found = work.layer.placed.layer.vectors, digital_work.CLASSES.index("add"), list[Operand]()
        adds = np.asarray(share(joins + total.add, work.position, vectors), np.int64)
        for home, evenly in enumerate(shares(total.counts, vectors, homes)):
            counts = evenly[work.position]
            counts[:, at] = adds * (home + 1) // homes - adds * home // homes
            found.append(plain(self._writer.works.numbers(counts + np.array(each.counts))))
        return found

    @staticmethod
    def _joins(work: Work, made: SumPlan | None) -> Integers | None:
        """Return (vectors,) additions of each vector's sample that join gradients; None: as many for all samples."""
        joins = (made or work.layer).joins
        return None if joins is None or work.shares is None else joins.of(work.shares)[work.sample]

    @staticmethod
    def _products(work: Work, between: Between, homes: int) -> list[Operand]:
        """Divide the products of a sample's forward pass on matrix units: for each home (vectors,)."""
        if not between.macs and not any(one.macs for one in between.late):
            return [0] * homes
        evenly = shares((between.macs,), work.layer.placed.layer.vectors, homes)
        waited = [one.shares(homes) for one in between.late]
        every = (sum((its[home][1] for its in waited), table[:, 0]) for home, table in enumerate(evenly))
        return [plain(numbers[work.position]) for numbers in every]

    def _cached(self, work: Work, between: Between, homes: int) -> list[Operand]:
        """Say what is read of a cache: with the last vector of the sample, once all queries are there."""
        last = work.position == work.layer.placed.layer.vectors - 1
        return [plain(last * bits) for bits in np.diff(between.cached * np.arange(homes + 1) // homes).tolist()]

    @staticmethod
    def _bits(work: Work, total: int, homes: int) -> list[Operand]:
        """Divide bits of a sample: for each home (vectors,)."""
        vectors = work.layer.placed.layer.vectors
        return [plain(bits[:, 0][work.position]) if total else 0 for bits in shares((total,), vectors, homes)]

    def _once(self, work: Work, total: digital_work.Work, homes: int, last: bool) -> list[Operand]:
        """Give work of a mini-batch to its last vector (or its first): for each home (vectors,) numbers of works."""
        if not total:
            return [0] * homes
        step = work.step
        edge = np.append(step[1:] != step[:-1], True) if last else np.append(True, step[1:] != step[:-1])
        every = shares(total.counts, 1, homes)
        return [edge * self._writer.works.number(tuple(counts[0].tolist())) for counts in every]

    def _away(self, work: Work) -> Operand:
        """Say which vectors' samples do not stay in buffers: (vectors,) 1 where they go elsewhere, or 0."""
        overflowing = self._movement.overflowing(work)
        return np.isin(np.arange(len(work)), overflowing).astype(np.int64) if len(overflowing) else 0

    def _barrier(self, work: Work) -> Integers:
        """Make a gate for every mini-batch: (vectors,) the one of each, which opens when all its vectors raised it."""
        steps, number = np.unique(work.step, return_inverse=True)
        gates: Integers = self._writer.builder.gates(len(steps)) + number
        return gates
