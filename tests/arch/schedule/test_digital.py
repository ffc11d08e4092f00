"""Digital work by class: how long a unit takes, what it costs, what waits for the way back, and who waits for whom."""

from __future__ import annotations

from dataclasses import astuple
from typing import Any

import numpy as np
import pytest
from generated import images
from hypothesis import given, settings
from hypothesis import strategies as st

from rpusim.arch.account import steady
from rpusim.arch.account.ledger import Ledger
from rpusim.arch.account.pricing import Pricer
from rpusim.arch.chips.chip import Chip
from rpusim.arch.contract.activity import Phase
from rpusim.arch.contract.digital_work import CLASSES, Work, WorkTable
from rpusim.arch.engine.events import WAITING, Events, Op
from rpusim.arch.mapping.assumed_activity import assumed_activity
from rpusim.arch.mapping.placement import place
from rpusim.arch.network.network import Network, connect
from rpusim.arch.network.operations import Operation, WeightLayer, Window
from rpusim.arch.parts.digital_operations import FUNCTIONS
from rpusim.arch.schedule.plan import Plan, make_plan
from rpusim.arch.schedule.schedules import run

PJ = 10**9
ALU = {"add": 265, "multiply": 565, "divide": 1080, "compare": 265, "exponential": 1064, "look_up": 234}
"""fJ of the card puma-2019/alu."""


def layer(*between: Operation, features: int = 30, outputs: int | None = None) -> Network:
    """A linear layer with operations behind it; a second layer behind these if ``outputs`` are asked for."""
    steps: list[tuple[Operation, tuple[str, ...]]] = []
    steps.append((WeightLayer.linear("fc", (features,), features, bias=False), ("input",)))
    for operation in between:
        steps.append((operation, (steps[-1][0].name,)))
    if outputs:
        steps.append((WeightLayer.linear("last", (features,), outputs, bias=False), (steps[-1][0].name,)))
    return connect("layer", (features,), steps)


def one(kind: str, detail: str = "", features: int = 30, **more: Any) -> Operation:
    return Operation.digital(kind, kind, (features,), detail=detail, **more)


def done(
    network: Network,
    chip: str,
    samples: int = 1,
    batch: int = 0,
    schedule: Any = "sequential",
    engine: str = "compiled",
) -> tuple[Plan, Events, Ledger]:
    """Inference, or with a mini-batch training."""
    plan = make_plan(place(network, Chip.load(chip)))
    activity = assumed_activity(plan.placement, samples, bool(batch), batch or 1)
    events = run(plan, activity, schedule, engine)
    return plan, events, Pricer(plan)(events, activity)


def works(events: Events, *, layer: int = 0, phase: Phase = Phase.FORWARD) -> Work:
    """All digital work of a layer in a phase."""
    assert events.work is not None and events.works is not None
    mine = (events.layer == layer) & (events.phase == phase)
    return Work(*events.works[events.work[mine]].sum(0).tolist())


class TestAChipsOwnFunctions:
    def test_thirty_sigmoids_take_isaacs_two_units_15_ns_and_7_8_pj(self) -> None:
        """One element per ns and unit, 0.26 mW each: 30 / 2 x 1 ns, 30 x 0.26 pJ."""
        _, events, ledger = done(layer(one("activation", "sigmoid")), "isaac-2016")
        squashed = events.op == Op.DIGITAL
        assert events.duration[squashed].sum() == 15_000 and events.amount[squashed].sum() == 30  # of both blocks
        assert ledger.energy["digital unit", "forward", "fc"] == 7.8 * PJ

    def test_others_take_what_the_table_says(self) -> None:
        """Scaled first (a multiplication and an addition), then compared, looked up, multiplied and added."""
        _, events, ledger = done(layer(one("activation", "sigmoid")), "reram-512")
        assert works(events) == 30 * (Work(multiply=1, add=1) + Work(compare=1, look_up=1, multiply=1, add=1))
        per_value = 2 * ALU["multiply"] + 2 * ALU["add"] + ALU["compare"] + ALU["look_up"]
        assert ledger.energy["digital unit", "forward", "fc"] == 30 * per_value * PJ // 1000

    @given(counts=st.tuples(*[st.integers(0, 10**6)] * len(CLASSES)))
    @settings(max_examples=50, deadline=None)
    def test_a_pipeline_is_paced_by_its_busiest_class_and_a_lane_by_all(self, counts: tuple[int, ...]) -> None:
        digital = Chip.load("rpu-2016").tiles[0].digital
        one_by_one = digital.model_copy(update={"pipelined": False})
        cycles = dict(zip(CLASSES, range(1, 9), strict=True))
        each = [number * (place + 1) for place, number in enumerate(counts)]
        assert digital.picoseconds(counts, cycles) == -(-max(each) * 10**12 // 51_200_000_000)
        assert one_by_one.picoseconds(counts, cycles) == -(-sum(each) * 10**12 // 51_200_000_000)


class TestClosedForms:
    def test_softmax_of_n_is_n_exponentials_and_one_division(self) -> None:
        _, events, _ = done(layer(one("softmax", "softmax", axes=(0,))), "isaac-2016")
        assert works(events) == Work(compare=30, add=60, exponential=30, multiply=30, divide=1)

    def test_log_softmax_takes_a_logarithm_in_place_of_a_division(self) -> None:
        _, events, _ = done(layer(one("softmax", "log_softmax", axes=(0,))), "isaac-2016")
        assert works(events) == Work(compare=30, add=90, exponential=30 + 1)

    @pytest.mark.parametrize(
        ("detail", "work"),
        [("average", Work(add=8 * 3, multiply=8)), ("max", Work(compare=8 * 3))],
    )
    def test_of_a_pool_of_four_three_are_added_or_compared(self, detail: str, work: Work) -> None:
        pool = Operation.digital("pool", "pool", (2, 4, 4), (2, 2, 2), detail)
        assert sum((number * FUNCTIONS[name].forward for name, number in pool.functions), Work()) == work

    def test_dropout_draws_a_number_for_each_value_in_training_only(self) -> None:
        network = layer(one("dropout", "dropout"))
        scale = Work(multiply=30, add=30)
        assert works(done(network, "reram-512")[1]) == scale
        _, events, _ = done(network, "reram-512", 1, 1)
        assert works(events) == scale + Work(random=30, compare=30, multiply=30)
        loss = Work(add=30 + 1, multiply=30, exponential=1)
        assert works(events, phase=Phase.BACKWARD) == loss + Work(multiply=30)

    def test_a_square_goes_back_as_twice_its_root_times_the_gradient(self) -> None:
        _, events, _ = done(layer(one("multiply", "square"), outputs=3), "reram-512", 1, 1)
        assert works(events) == Work(multiply=30 + 30, add=30)
        assert works(events, phase=Phase.BACKWARD) == Work(multiply=2 * 30)

    def test_a_parameter_that_is_added_learns_once_per_mini_batch(self) -> None:
        """Its gradient is summed up value by value; then the rate times the gradient is taken away."""
        network = layer(one("add", "add", parameters=30), outputs=3)
        _, events, _ = done(network, "reram-512", 6, 3)
        back = works(events, phase=Phase.BACKWARD)
        assert back == 6 * 30 * Work(add=1) + 2 * 30 * Work(multiply=1, add=1)
        read = (events.op == Op.FETCH) & (events.layer == 0) & (events.row == -1)
        assert [events.amount[read & (events.phase == p)].sum() for p in (0, 1)] == [6 * 30 * 16] * 2


class TestWhatWaits:
    """ReLU keeps a bit of each value, a sigmoid its result, a product both factors."""

    @pytest.mark.parametrize(
        ("operation", "bits"),
        [
            (one("activation", "relu"), 30),
            (one("activation", "sigmoid"), 30 * 16),
            (one("multiply", "square"), 30 * 16),
            (one("multiply", "mul", inputs=2), 2 * 30 * 16),
            (one("add", "add", inputs=2), 0),
            (one("dropout", "dropout"), 30),
        ],
    )
    def test_it_is_stored_once_and_fetched_once(self, operation: Operation, bits: int) -> None:
        plan, events, _ = done(layer(operation, outputs=3), "reram-512", 4, 2)
        waiting = (events.row == WAITING) & (events.layer == 0)
        for op, phase in ((Op.STORE, Phase.FORWARD), (Op.FETCH, Phase.BACKWARD)):
            mine = waiting & (events.op == op)
            assert events.amount[mine].sum() == 4 * bits and set(events.phase[mine]) <= {phase}
        assert plan.layers[0].after.kept == bits

    def test_the_place_of_a_maximum_waits_as_bits(self) -> None:
        """Of 2 x 2 values two bits, for each of 2 x 2 x 2 results; besides the tanh of 2 x 4 x 4 values, as words."""
        plan, events, _ = done(images(4, 2), "reram-512", 3, 3)
        bits = 2 * 4 * 4 * 16 + 2 * 2 * 2 * 2
        waiting = (events.row == WAITING) & (events.layer == 0)
        for op in (Op.STORE, Op.FETCH):
            assert events.amount[waiting & (events.op == op)].sum() == 3 * bits
        assert plan.layers[0].after.kept == bits

    def test_nothing_waits_in_inference(self) -> None:
        _, events, _ = done(layer(one("activation", "sigmoid"), outputs=3), "reram-512", 4)
        assert not np.any(events.row == WAITING)


class TestBatchStatistics:
    @pytest.fixture
    def network(self) -> Network:
        return layer(one("batch_norm"), Operation.digital("relu", "activation", (30,), detail="relu"), outputs=3)

    @pytest.mark.parametrize("schedule", ["sequential", "minibatch-pipelined", "asynchronous"])
    def test_no_sample_goes_on_before_all_of_the_mini_batch_were_summed(self, network: Network, schedule: Any) -> None:
        """What needs the sums: factor and offset, then ReLU; on the way back twice two operations for each value."""
        _, events, _ = done(network, "reram-512", 8, 4, schedule)
        assert events.work is not None and events.works is not None
        behind = {Phase.FORWARD: 30 * Work(multiply=1, add=1, compare=1), Phase.BACKWARD: 30 * Work(multiply=2, add=2)}
        before = {Phase.FORWARD: 30 * Work(multiply=1, add=2), Phase.BACKWARD: 30 * Work(multiply=2, add=3, compare=1)}
        for phase in (Phase.FORWARD, Phase.BACKWARD):
            mine = (events.layer == 0) & (events.phase == phase) & (events.op == Op.DIGITAL)
            summed, going = (
                np.flatnonzero(mine & (events.works[events.work] == work.counts).all(1))
                for work in (before[phase], behind[phase])
            )
            assert len(summed) == len(going) == 8
            for batch in range(2):  # of four samples each
                assert np.sort(events.start[going])[4 * batch] >= np.sort(events.end[summed])[4 * batch + 3]

    def test_the_mean_and_variance_of_a_channel_are_taken_once_per_mini_batch(self, network: Network) -> None:
        _, events, _ = done(network, "reram-512", 8, 4)
        forward = 8 * 30 * (Work(multiply=1, add=1) + Work(multiply=2, add=3) + Work(compare=1))
        once = 2 * 30 * Work(multiply=10, add=8, divide=1, square_root=1)
        assert works(events) == forward + once  # scaled; summed and normalised; relu

    def test_inference_multiplies_and_adds(self, network: Network) -> None:
        _, events, _ = done(network, "reram-512", 2)
        assert works(events) == 2 * 30 * (2 * Work(multiply=1, add=1) + Work(compare=1))

    @pytest.mark.parametrize("schedule", ["sequential", "minibatch-pipelined", "asynchronous"])
    def test_both_engines_agree(self, network: Network, schedule: Any) -> None:
        one_engine, other = (done(network, "rpu-2016", 8, 4, schedule, e)[1] for e in ("compiled", "simpy"))
        for name, column in one_engine.columns().items():
            assert np.array_equal(column, other.columns()[name]), name
        assert np.array_equal(one_engine.work, other.work)  # type: ignore[arg-type]


class TestLaws:
    """Over a network with three normalisations, a sum of branches and a pool, on chips with more and less room."""

    @staticmethod
    def network() -> Network:
        window = Window((3, 3), padding=(1, 1))
        half = Window((2, 2), (2, 2))
        image = (5, 6, 6)
        return connect(
            "norms",
            (2, 6, 6),
            [
                (WeightLayer.convolution("a", (2, 6, 6), 5, window), ("input",)),
                (Operation.digital("norm a", "batch_norm", image), ("a",)),
                (Operation.digital("relu", "activation", image, detail="relu"), ("norm a",)),
                (WeightLayer.convolution("b", image, 5, window), ("relu",)),
                (Operation.digital("norm b", "batch_norm", image), ("b",)),
                (Operation.digital("sum", "add", image, inputs=2), ("norm b", "relu")),
                (Operation.digital("pool", "pool", image, (5, 3, 3), "max", half), ("sum",)),
                (Operation.digital("flat", "flatten", (5, 3, 3), (45,)), ("pool",)),
                (WeightLayer.linear("c", (45,), 60), ("flat",)),
                (Operation.digital("norm c", "batch_norm", (60,)), ("c",)),
                (WeightLayer.linear("d", (60,), 10), ("norm c",)),
            ],
        )

    @given(
        bits=st.sampled_from([10**7, 3000, 300]),
        side=st.sampled_from([64, 16]),
        replicas=st.sampled_from([{}, {"a": 3, "b": 2}]),
        schedule=st.sampled_from(["sequential", "minibatch-pipelined", "asynchronous"]),
        dram=st.booleans(),
        pipelined=st.booleans(),
    )
    @settings(max_examples=12, deadline=None)
    def test_engines_agree_and_all_that_is_stored_is_fetched(
        self, bits: int, side: int, replicas: dict[str, int], schedule: Any, dram: bool, pipelined: bool
    ) -> None:
        chip, donor = Chip.load("rpu-2016"), Chip.load("neurosim-vgg8")
        (kind,) = chip.tiles
        blocks = {
            "count": 400,
            "array": kind.array.model_copy(update={"rows": side, "columns": side}),
            "buffer": kind.buffer.model_copy(update={"capacity": bits}),
            "digital": kind.digital.model_copy(update={"pipelined": pipelined}),
        }
        memory = {"memory": donor.memory} if dram else {}
        chip = chip.model_copy(update={"tiles": (kind.model_copy(update=blocks),), **memory})
        plan = make_plan(place(self.network(), chip, replicas=replicas))
        activity = assumed_activity(plan.placement, 8, True, 4)
        events, other = (run(plan, activity, schedule, engine) for engine in ("compiled", "simpy"))
        for name, column in events.columns().items():
            assert np.array_equal(column, other.columns()[name]), name
        assert np.array_equal(events.work, other.work)  # type: ignore[arg-type]
        waiting = events.row == WAITING
        stored, fetched = (events.amount[waiting & (events.op == op)].sum() for op in (Op.STORE, Op.FETCH))
        assert stored == fetched > 8 * sum(layer.after.kept for layer in plan.layers)

    @pytest.mark.parametrize("schedule", ["sequential", "minibatch-pipelined"])
    @pytest.mark.parametrize(
        "between",
        [one("add", "add", parameters=30), one("dropout", "dropout"), one("batch_norm")],
        ids=lambda o: o.kind,
    )
    def test_large_mini_batches_are_found_exactly_from_small_ones(self, between: Operation, schedule: Any) -> None:
        """Though some work is done once per mini-batch, and samples may wait for each other."""
        plan = make_plan(place(layer(between, outputs=10), Chip.load("reram-512")))
        price, batches, size = Pricer(plan), 3, 20
        found, _ = steady.account(
            plan, schedule, price, lambda n, each: assumed_activity(plan.placement, n * each, True, each), batches, size
        )
        activity = assumed_activity(plan.placement, batches * size, True, size)
        every = price(run(plan, activity, schedule), activity)
        assert (found.time_ps, found.energy) == (every.time_ps, every.energy)


@given(rows=st.lists(st.tuples(*[st.integers(0, 3)] * len(CLASSES)), max_size=40))
@settings(max_examples=50, deadline=None)
def test_numbers_of_works_name_them(rows: list[tuple[int, ...]]) -> None:
    table = WorkTable()
    numbers = table.numbers(np.array(rows, np.int64).reshape(-1, len(CLASSES)))
    assert [table.rows[number] for number in numbers] == rows
    assert len(set(table.rows)) == len(table.rows) and table.number(Work()) == 0
    assert astuple(Work(*table.rows[-1])) == table.rows[-1]
