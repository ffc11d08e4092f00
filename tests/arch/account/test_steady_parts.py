"""Parts of a mini-batch that repeat themselves on their own: what they add up to is what all samples do."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass

import numpy as np
import pytest
from hypothesis import Phase as Stage
from hypothesis import given, settings
from hypothesis import strategies as st

from rpusim.arch.account.recurrence import Repeats
from rpusim.arch.account.steady import Timed, _apart, _parts_repeated
from rpusim.arch.account.tally import Tally
from rpusim.arch.contract.activity import EMPTY, Phase
from rpusim.arch.engine.compiled_engine import CompiledEngine
from rpusim.arch.engine.events import Op
from rpusim.arch.engine.program import ALWAYS, Builder, Program


@dataclass(frozen=True)
class Learning:
    """One layer's update: a station for some picoseconds and vector, perhaps before all samples are over.

    early: it waits for its own sample alone. pause: ps after all samples are over. digital: a second task of the layer,
    on the last station for so long; 0: there is none. transfer: whether that is one of a `Phase.TRANSFER`.
    """

    station: int
    lasting: int
    early: bool = False
    pause: int = 0
    digital: int = 0
    transfer: bool = False


@dataclass(frozen=True)
class Batch:
    """Samples go through steps, one station for each, and then layers learn; before all, something is done once."""

    steps: tuple[tuple[int, int], ...]
    learning: tuple[Learning, ...]
    once: int = 0
    last: int = 0

    def program(self, samples: int) -> Program:
        builder = Builder(tuple("abcdef"))
        number, vector = len(self.steps), np.arange(samples)
        gates, done = builder.gates(samples * number), builder.gates(1)
        if self.once:
            with builder.task(self.once, Phase.MAINTENANCE, 0, 0, np.arange(self.once)) as task:
                task.use(5, Op.WRITE, 7, 1)
        for step, (station, lasting) in enumerate(self.steps):
            with builder.task(samples, Phase.FORWARD, step, 0, vector) as task:
                if step:
                    task.wait(gates + (step - 1) * samples + vector)
                else:  # one sample after the other
                    task.wait(np.where(vector > 0, gates + (number - 1) * samples + vector - 1, ALWAYS))
                task.use(station, Op.DIGITAL, lasting, 1)
                task.raise_(gates + step * samples + vector)
                if step == number - 1:
                    task.raise_(done)
        for layer, one in enumerate(self.learning):
            with builder.task(samples, Phase.UPDATE, layer, 0, vector) as task:
                task.wait(gates + (number - 1) * samples + vector if one.early else done)
                task.hold(one.pause)
                task.use(one.station, Op.PULSE, one.lasting, 1)
            if one.digital:
                phase = Phase.TRANSFER if one.transfer else Phase.UPDATE
                with builder.task(samples, phase, layer, 1, vector) as task:
                    task.wait(done)
                    task.use(5, Op.DIGITAL, one.digital, 1)
        if self.last:
            with builder.task(1, Phase.UPDATE, len(self.learning), 0, 0) as task:
                task.wait(done)
                task.use(4, Op.DIGITAL, self.last, 1)
        return builder.program().traced()

    def timed(self, samples: int) -> Timed:
        program = self.program(samples)
        return Timed(program, EMPTY, *CompiledEngine(program).times(), samples)


def listed(timed: Timed, repeats: Repeats) -> Counter[tuple[int, ...]]:
    """(phase, layer, station, start, end) of all events, with those that are repeated."""
    found, program = Counter[tuple[int, ...]](), timed.program
    for slot, task, _, station, *_ in program.logged.tolist():
        since, until, times, before, _ = (int(column[task]) for column in vars(repeats).values())
        for number in range(program.tasks[task, 3]):
            start, end = int(timed.start[slot + number]), int(timed.end[slot + number])
            rounds = range(times + 1) if since <= end < until else [times if end >= until else 0]
            for again in rounds:
                later = before + again * (until - since)
                found[*program.heads[task, :3].tolist(), station, start + later, end + later] += 1
    return found


learnings = st.builds(
    Learning, st.sampled_from([2, 3, 4, 4, 0]), st.integers(1, 9), st.sampled_from([False] * 7 + [True]),
    st.sampled_from([0, 0, 3]), st.sampled_from([0, 0, 0, 4]), st.sampled_from([False] * 5 + [True]),
)  # fmt: skip
batches = st.builds(
    Batch,
    st.lists(st.tuples(st.integers(0, 1), st.integers(1, 9)), min_size=1, max_size=3).map(tuple),
    st.lists(learnings, max_size=3, unique_by=lambda one: one.station).map(tuple),
    st.sampled_from([0, 0, 2, 9]),
    st.sampled_from([0, 0, 5]),
)


@given(batch=batches, pieces=st.sampled_from([3, 4, 6]), more=st.integers(1, 5))
@settings(deadline=None, max_examples=120, phases=(Stage.explicit, Stage.reuse, Stage.generate))
def test_what_is_found_is_what_all_samples_do(batch: Batch, pieces: int, more: int) -> None:
    few = batch.timed(pieces)
    repeats = _parts_repeated(few, pieces + more)
    if repeats is None:
        return
    whole = batch.timed(pieces + more)
    assert listed(few, repeats) == listed(whole, Repeats.of(len(whole.program.tasks)))
    tally = Tally(few.program, few.start, few.end, EMPTY, repeats)
    assert tally.makespan_ps == whole.end.max()
    groups = [((station,), 4, 0) for station in range(6)] + [((0, 2, 4), 9, 0)]
    found, expected = tally.pauses(groups), Tally(whole.program, whole.start, whole.end, EMPTY).pauses(groups)
    for name in ("covered_ps", "waking_ps", "first_ps", "last_ps", "wake_ps"):
        assert getattr(found, name).tolist() == getattr(expected, name).tolist(), name


class TestFound:
    """Samples take 4 ps each; of ten, three were run: they are over at 12 ps."""

    def repeats(self, *learning: Learning, once: int = 0, last: int = 0, samples: int = 10) -> Repeats | None:
        return _parts_repeated(Batch(((0, 4),), learning, once, last).timed(3), samples)

    def columns(self, repeats: Repeats | None) -> list[list[int]]:
        assert repeats is not None
        return [column.tolist() for column in vars(repeats).values()]

    def test_samples_repeat_themselves_as_a_whole_and_each_layer_on_its_own(self) -> None:
        found = self.columns(self.repeats(Learning(2, 5), Learning(3, 2)))
        since, until, times, before, whole = found
        assert since == [4, 17, 14] and until == [8, 22, 16]
        assert times == [7, 7, 7] and before == [0, 28, 28] and whole == [1, 0, 0]

    def test_without_learning_there_is_but_the_whole(self) -> None:
        assert self.columns(self.repeats()) == [[4], [8], [7], [0], [1]]

    @pytest.mark.parametrize("samples", [3, 4, 100])
    def test_each_is_repeated_for_all_samples_that_were_not_run(self, samples: int) -> None:
        assert self.columns(self.repeats(Learning(2, 5), samples=samples))[2] == [samples - 3] * 2

    def test_what_is_done_once_may_be_over_with_the_first_sample(self) -> None:
        """A write takes 7 ps; the period begins when the first sample is over, and what ends then is in it."""
        for lasting, found in ((4, False), (7, False), (8, True)):
            batch = Batch(((0, lasting),), (Learning(2, 5),), once=1).timed(3)
            assert (_parts_repeated(batch, 10) is not None) == found

    @pytest.mark.parametrize(
        ("learning", "last"),
        [
            ((Learning(2, 5, early=True),), 0),
            ((Learning(2, 5), Learning(3, 2, early=True)), 0),
            ((Learning(2, 5, digital=3, transfer=True),), 0),
        ],
    )
    def test_what_begins_before_all_samples_are_over_or_writes_is_not_found(
        self, learning: tuple[Learning, ...], last: int
    ) -> None:
        assert self.repeats(*learning, last=last) is None


def test_tasks_are_together_that_share_a_layer_or_a_station_however_indirectly() -> None:
    used = [{0}, {1}, {1, 2}, {3}, {4}, {5}, set()]
    layer = np.array([0, 1, 2, 2, 3, 3, 4])
    assert sorted(_apart(used, np.arange(7), layer)) == [[0], [1, 2, 3], [4, 5], [6]]
    assert sorted(_apart(used, np.array([0, 1, 3, 5]), layer)) == [[0], [1], [3], [5]]
