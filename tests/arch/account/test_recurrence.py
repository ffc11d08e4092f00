"""A period that is found tells what more samples do: to the picosecond, over generated machines."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
import pytest
from hypothesis import Phase as Stage
from hypothesis import given, settings
from hypothesis import strategies as st

from rpusim.arch.account.recurrence import History, Period, Repeats, _mark, _queues
from rpusim.arch.contract.activity import Phase
from rpusim.arch.contract.columns import Integers
from rpusim.arch.engine.compiled_engine import CompiledEngine
from rpusim.arch.engine.events import Events, Op
from rpusim.arch.engine.program import ALWAYS, REGISTERS, Builder, Program


@dataclass(frozen=True)
class Step:
    """What each vector does for every sample, one after the other.

    steps:   (stations, ps): held together; no station: time passes. ``later``: not by the first vector of a sample.
    after:   earlier steps of the sample that have to be over.
    room:    (a later step, samples): it waits until that is over of the sample so many before.
    vectors: of each sample.
    """

    steps: tuple[tuple[tuple[int, ...], int], ...]
    after: tuple[int, ...] = ()
    room: tuple[tuple[int, int], ...] = ()
    vectors: int = 1
    later: bool = False


@dataclass(frozen=True)
class Machine:
    """Stations with their capacity and latency (ps), what is done, and how often something else is done before all."""

    steps: tuple[Step, ...]
    capacity: tuple[int, ...] = (1, 1, 1)
    latency: tuple[int, ...] = (0, 0, 0)
    before: int = 0

    def program(self, samples: int) -> Program:
        builder = Builder(("a", "b", "c"), self.capacity, self.latency, (2, 2, 2))
        gates, ready = builder.gates(samples * len(self.steps)), ALWAYS
        if self.before:
            ready = builder.gates(1)
            with builder.task(self.before, Phase.MAINTENANCE, 0, 0, np.arange(self.before)) as task:
                task.use(0, Op.WRITE, 5, 1)
                task.raise_(ready)
        for number, step in enumerate(self.steps):
            vector = np.arange(samples * step.vectors)
            sample = vector // step.vectors
            with builder.task(len(vector), Phase.FORWARD, number, 0, vector) as task:
                task.wait(ready)
                for other in step.after:
                    task.wait(gates + other * samples + sample)
                for other, lag in step.room:
                    task.wait(np.where(sample >= lag, gates + other * samples + sample - lag, ALWAYS))
                for stations, lasting in step.steps:
                    duration = lasting * (vector % step.vectors > 0) if step.later else lasting
                    if stations:
                        amounts = [(station, 1) for station in stations]
                        task.use_together(stations, Op.DIGITAL, duration, amounts)
                    else:
                        task.hold(lasting)
                task.raise_(gates + number * samples + sample)
        return builder.program().traced()


@dataclass
class Run:
    """A machine that has run some samples."""

    machine: Machine
    samples: int
    program: Program = field(init=False)
    start: Integers = field(init=False)
    end: Integers = field(init=False)

    def __post_init__(self) -> None:
        self.program = self.machine.program(self.samples)
        engine = CompiledEngine(self.program)
        self.start, self.end = engine.times()
        self.stuck = bool(engine.stuck)

    @property
    def history(self) -> History:
        return History(self.program, self.start, self.end)

    @property
    def events(self) -> Events:
        return self.program.events(self.start, self.end)

    def period(self) -> Period | None:
        return self.history.find(self.history.tasks, self.samples)


def listed(events: Events) -> Counter[tuple[int, ...]]:
    columns = (events.station, events.layer, events.phase, events.start, events.end)
    return Counter(zip(*(column.tolist() for column in columns), strict=True))


def repeated(events: Events, period: Period, times: int) -> Counter[tuple[int, ...]]:
    """The events with what ended within the period happening so many times more."""
    found = Counter[tuple[int, ...]]()
    length = period.stop - period.start
    for (station, layer, phase, start, end), number in listed(events).items():
        rounds = range(times + 1) if period.start <= end < period.stop else [times if end >= period.stop else 0]
        for again in rounds:
            found[station, layer, phase, start + again * length, end + again * length] += number
    return found


held = st.sets(st.integers(0, 2), max_size=2).map(lambda some: tuple(sorted(some)))


@st.composite
def machines(draw: st.DrawFn) -> Machine:
    steps: list[Step] = []
    number = draw(st.integers(1, 4))
    for here in range(number):
        vectors = draw(st.sampled_from([1, 1, 2]))
        does = draw(st.lists(st.tuples(held, st.integers(1, 9)), min_size=1, max_size=3))
        after = draw(st.sets(st.integers(0, here - 1), max_size=2)) if here else set()
        lag = draw(st.sampled_from([1, 1, 2, 3, 0] if here else [1, 2, 3]))
        room = ((draw(st.integers(here, number - 1)) if here else number - 1, lag),) if lag else ()
        later = vectors > 1 and draw(st.booleans())
        steps.append(Step(tuple(does), tuple(sorted(after)), room, vectors, later))
    capacity = tuple(draw(st.sampled_from([1, 1, 2])) for _ in range(3))
    latency = tuple(draw(st.sampled_from([0, 0, 4])) if each == 1 else 0 for each in capacity)
    return Machine(tuple(steps), capacity, latency, draw(st.sampled_from([0, 0, 2])))


@given(machine=machines(), samples=st.integers(3, 9), times=st.integers(1, 3))
@settings(deadline=None, max_examples=300, phases=(Stage.explicit, Stage.reuse, Stage.generate))
def test_more_samples_do_what_the_period_says(machine: Machine, samples: int, times: int) -> None:
    few = Run(machine, samples)
    if few.stuck or (period := few.period()) is None:
        return
    assert 0 < period.samples < samples
    many = Run(machine, samples + times * period.samples)
    assert repeated(few.events, period, times) == listed(many.events)


class TestClosedForms:
    @pytest.mark.parametrize("durations", [(4,), (7, 3), (7, 2, 3), (5, 5)])
    def test_a_pipeline_repeats_itself_with_its_slowest_station(self, durations: Sequence[int]) -> None:
        """Sample by sample, from when the first is through."""
        steps = [Step((((i,), lasting),), (i - 1,) if i else ()) for i, lasting in enumerate(durations)]
        machine, first = Machine(tuple(steps)), sum(durations)
        period = Run(machine, 5).period()
        assert period is not None and period.samples == 1
        assert period.stop - period.start == max(durations)
        assert period.start == first

    def test_two_at_a_time_repeat_themselves_every_two_samples(self) -> None:
        machine = Machine((Step((((0,), 6),)),), capacity=(2, 1, 1))
        assert Run(machine, 6).period() == Period(6, 12, 2)

    def test_what_is_done_once_comes_before_the_period(self) -> None:
        """Three times 5 ps; unless the gate that opens then is left out, all samples have begun before the period."""
        history = Run(Machine((Step((((0,), 4),)),), before=3), 4).history
        assert history.once.tolist() == [True, False]
        assert history.find(history.tasks, 4, 15) == Period(15 + 4, 15 + 8, 1)
        assert history.find(history.tasks, 4) is None

    def test_a_step_that_falls_behind_never_repeats_itself(self) -> None:
        """More and more samples wait for the slower second station."""
        machine = Machine((Step((((0,), 2),)), Step((((1,), 5),), (0,))))
        assert Run(machine, 3).period() is None and Run(machine, 9).period() is None

    def test_of_one_sample_there_is_no_period_nor_of_nothing(self) -> None:
        run = Run(Machine((Step((((0,), 4),)),)), 1)
        assert run.period() is None
        assert run.history.find(np.array([], np.int64), 1) is None

    def test_a_period_of_some_tasks_is_theirs_alone(self) -> None:
        machine = Machine((Step((((0,), 3),)), Step((((1,), 5),))))
        history = Run(machine, 5).history
        assert history.find(np.array([0]), 5) == Period(3, 6, 1)
        assert history.find(np.array([1]), 5) == Period(5, 10, 1)

    def test_gates_that_opened_before_the_origin_do_not_count_as_begun(self) -> None:
        """The second step waits until the first is done, at 20: seen from there its vectors have begun nothing."""
        builder = Builder(("a", "b"))
        done = builder.gates(1)
        with builder.task(5, Phase.FORWARD, 0, 0, np.arange(5)) as task:
            task.use(0, Op.DIGITAL, 4, 1)
            task.raise_(done)
        with builder.task(5, Phase.UPDATE, 0, 0, np.arange(5)) as task:
            task.wait(done)
            task.use(1, Op.PULSE, 3, 1)
        program = builder.program().traced()
        history = History(program, *CompiledEngine(program).times())
        assert history.find(np.array([1]), 5, 20) == Period(23, 26, 1)
        assert history.find(np.array([1]), 5, 19) is None


class TestHistory:
    """Two vectors that use a station of latency 3 for 5 ps, pass 2 ps, hold two others together for 4 ps."""

    @pytest.fixture
    def run(self) -> Run:
        return Run(Machine((Step((((0,), 5), ((), 2), ((1, 2), 4))),), latency=(3, 0, 0)), 2)

    def test_a_process_begins_with_its_first_wait_and_ends_with_its_last(self, run: Run) -> None:
        """The first arrives at 8, is held from 10 to 14; the second uses the station from 5 on, and arrives at 13."""
        assert run.history.begins(0).tolist() == [0, 5]
        assert run.history.ends(0).tolist() == [14, 19]

    def test_a_task_asks_for_what_it_takes_and_uses(self, run: Run) -> None:
        assert run.history.used == [{0, 1, 2}]
        assert run.history.tasks.tolist() == [0]

    @pytest.mark.parametrize(
        ("tick", "waits_for", "left"),
        [
            (1, [3, 2], [7, 0]),  # one on its way until 8, the other in the queue
            (6, [3, 3], [2, 7]),
            (9, [3, 3], [1, 4]),  # the pause until 10
            (11, [3, 3], [3, 2]),  # held until 14
            (15, [0, 3], [0, 0]),  # the pause of the second ends at 15
            (16, [0, 3], [0, 3]),
            (20, [0, 0], [0, 0]),
        ],
    )
    def test_a_state_says_what_each_process_waits_for_and_how_long(
        self, run: Run, tick: int, waits_for: list[int], left: list[int]
    ) -> None:
        state = run.history._state(np.array([0]), tick, 0)
        assert state[1].tolist() == waits_for and state[2].tolist() == left

    def test_a_second_task_has_processes_of_its_own(self) -> None:
        """Two samples of 6 ps at the first station, each of which then takes 1 ps at another one, 4 ps away."""
        history = Run(Machine((Step((((0,), 6),)), Step((((1,), 1),), (0,))), latency=(0, 4, 0)), 2).history
        assert [history.begins(task).tolist() for task in (0, 1)] == [[0, 6], [6, 12]]
        assert [history.ends(task).tolist() for task in (0, 1)] == [[6, 12], [11, 17]]

    def test_what_is_skipped_is_on_its_way_from_nowhere(self) -> None:
        """The first vector of the sample does nothing at a station of latency 9, the second is there until 3."""
        run = Run(Machine((Step((((0,), 3),), vectors=2, later=True),), latency=(9, 0, 0)), 1)
        assert run.history._state(np.array([0]), 2, 0)[1:3].tolist() == [[0, 3], [0, 10]]
        assert run.history._state(np.array([0]), 12, 0)[1:3].tolist() == [[0, 3], [0, 0]]
        assert run.history.ends(0).tolist() == [0, 12]


class TestRepeats:
    def test_nothing_is_repeated_unless_it_is_said(self) -> None:
        none = Repeats.of(3)
        assert [column.tolist() for column in vars(none).values()] == [[0] * 3] * 4 + [[1] * 3]
        assert none.later.tolist() == [0, 0, 0]

    def test_what_comes_after_is_later_by_all_rounds_and_what_came_before(self) -> None:
        columns = ([5, 0], [12, 4], [3, 2], [100, 0], [0, 1])
        repeats = Repeats(*(np.array(column) for column in columns))
        assert repeats.later.tolist() == [100 + 3 * 7, 2 * 4]
        picked = repeats.pick(np.array([1, 0, 1]))
        assert [column.tolist() for column in vars(picked).values()] == [[b, a, b] for a, b in columns]
        one = Repeats.of(2, 5, 12, 3)
        assert [column.tolist() for column in vars(one).values()] == [[5] * 2, [12] * 2, [3] * 2, [0] * 2, [1] * 2]


def state(*processes: tuple[int, int, int, int, int]) -> Integers:
    """Columns (at, waits for, left, station, since) as a state."""
    at, waits, left, station, since = np.array(processes, np.int64).T
    nothing = np.zeros_like(at)
    return np.stack([at, waits, left, *[nothing] * REGISTERS, station, since, nothing])


class TestQuickComparison:
    """Of what is held how long at which instruction, and of how many are done; 0: done, 1: gate, 2: queue, 3: time."""

    ONE = ((9, 0, 0, 0, 0), (4, 3, 7, 0, 0), (2, 3, 5, 0, 0), (1, 2, 0, 1, 3))

    def test_is_equal_some_samples_further_on(self) -> None:
        further = state((9, 0, 0, 0, 0), *self.ONE)
        assert _mark(state(*self.ONE), 0) == _mark(further, 1)
        assert _mark(state(*self.ONE), 0) == _mark(state(*reversed(self.ONE)), 0)

    @pytest.mark.parametrize("other", [(4, 3, 8, 0, 0), (5, 3, 7, 0, 0), (4, 2, 7, 0, 0), (9, 0, 0, 0, 0)])
    def test_differs_where_anything_else_is_held_or_done(self, other: tuple[int, int, int, int, int]) -> None:
        first, _, *rest = self.ONE
        assert _mark(state(first, other, *rest), 0) != _mark(state(*self.ONE), 0)

    def test_says_how_many_more_have_finished(self) -> None:
        assert _mark(state(*self.ONE), 0)[0] == 1 and _mark(state(*self.ONE), 3)[0] == -2

    def test_tells_a_long_time_from_a_late_instruction(self) -> None:
        assert _mark(state((0, 3, 1, 0, 0)), 0) != _mark(state((1 << 19, 3, 0, 0, 0)), 0)
        assert _mark(state((3, 3, 2, 0, 0)), 0) != _mark(state((2, 3, 3, 0, 0)), 0)


def test_queues_are_in_the_order_of_service() -> None:
    """By station, then since when, then key, then number; who waits for anything else is in none."""
    waiting = state(
        (1, 2, 0, 1, 5), (1, 2, 0, 0, 9), (1, 3, 4, 0, 0), (1, 2, 0, 0, 5), (1, 2, 0, 0, 5), (1, 1, 0, 0, 1)
    )
    keys = np.array([0, 0, 0, 7, 2, 0])
    assert _queues(waiting, keys).tolist() == [[0, 0, 0, 1], [4, 3, 1, 0]]
    assert _queues(waiting, np.zeros(6, np.int64)).tolist() == [[0, 0, 0, 1], [3, 4, 1, 0]]
