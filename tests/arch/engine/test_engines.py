"""The event engine: closed forms that must come out exactly, then laws that hold for whatever is run."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from generated import CELLS, branches, chain, changed, images, lone_arrays, works
from hypothesis import Phase as Stage
from hypothesis import given, settings
from hypothesis import strategies as st

from rpusim.arch.account.ledger import Ledger
from rpusim.arch.account.pricing import Pricer
from rpusim.arch.chips.chip import Chip
from rpusim.arch.contract.activity import Activity, Phase
from rpusim.arch.contract.cell_layout import SINGLE
from rpusim.arch.engine.compiled_engine import CompiledEngine
from rpusim.arch.engine.events import Events, Op
from rpusim.arch.engine.program import Builder, Program
from rpusim.arch.engine.simpy_engine import SimpyEngine
from rpusim.arch.mapping.assumed_activity import assumed_activity
from rpusim.arch.mapping.placement import place
from rpusim.arch.network.network import Network, connect
from rpusim.arch.network.operations import Operation, WeightLayer, Window
from rpusim.arch.schedule.plan import Plan, make_plan
from rpusim.arch.schedule.schedules import Schedule, compiled, run
from rpusim.errors import InputError

WITHOUT_SHRINKING = (Stage.explicit, Stage.reuse, Stage.generate)
"""A failing case is reported as it was found: every step of shrinking one would run both engines."""


def planned(network: Network, chip: Chip) -> Plan:
    return make_plan(place(network, chip))


def timed(
    network: Network, chip: Chip, samples: int, training: bool, schedule: Schedule
) -> tuple[Plan, Activity, Events]:
    plan = planned(network, chip)
    activity = assumed_activity(plan.placement, samples, training)
    return plan, activity, run(plan, activity, schedule)


@pytest.fixture(scope="module")
def rpu_2016() -> Chip:
    return Chip.load("rpu-2016")


class TestClosedForms:
    def test_one_forward_vector_is_fetch_drive_convert_digital_in_that_order(self, rpu_2016: Chip) -> None:
        _, _, events = timed(chain(1024, 512), rpu_2016, 1, False, "sequential")
        spans = [(Op(op).name, start, end) for op, start, end in zip(events.op, events.start, events.end, strict=True)]
        fetched = -(-1024 * 9 * 10**12 // (128 * 8 * 10**9))  # words of 9 bits from a port of 128 GB/s: 9 ns
        awake = 10_000  # input drivers and sample-and-holds, which wake while it is fetched
        assert spans == [
            ("FETCH", 0, fetched),
            ("DRIVE", awake, awake + 80_000),  # the array
            ("DRIVE", awake, awake + 80_000),  # its drivers
            ("CONVERT", awake + 80_000, awake + 160_000),  # 16 rounds of 5 ns
            ("DIGITAL", awake + 160_000, awake + 170_000),  # 512 outputs at 51.2 Gop/s
        ]

    def test_a_full_tile_reaches_419_tops_by_its_own_events(self, rpu_2016: Chip) -> None:
        samples = 20
        plan, _, events = timed(chain(4096, 4096), rpu_2016, samples, False, "layer-pipelined")
        array = plan.stations.index("tile 0 array 0")
        driven = events.end[(events.op == Op.DRIVE) & (events.station == array)]
        seconds = (driven[-1] - driven[0]) * 1e-12
        assert (samples - 1) * 2 * 4096**2 / seconds == pytest.approx(419.43e12, rel=1e-4)

    @given(
        sizes=st.lists(st.integers(1, 512), min_size=2, max_size=5),
        samples=st.integers(1, 6),
        lines_per_adc=st.sampled_from([1, 4, 16]),
    )
    @settings(max_examples=40, deadline=None)
    def test_a_chain_takes_the_sum_of_its_stages_and_then_one_bottleneck_per_sample(
        self, sizes: list[int], samples: int, lines_per_adc: int
    ) -> None:
        chip = changed(Chip.load("rpu-2016"), adc={"lines_per_adc": lines_per_adc})
        plan, _, one = timed(chain(*sizes), chip, 1, False, "layer-pipelined")
        drivers = np.array([unit == "column drivers" for unit in plan.station_parts])[one.station]
        latency, in_flight = (np.array(column) for column in (plan.station_latency, plan.station_in_flight))
        fetches = one.duration[one.op == Op.FETCH]
        late = np.maximum(plan.waking[0].read - fetches, 0).sum()  # what waking takes beyond the fetch of each layer
        assert one.makespan_ps == (one.duration + latency[one.station])[~drivers].sum() + late

        _, _, many = timed(chain(*sizes), chip, samples, False, "layer-pipelined")
        busy = one.busy_ps(len(plan.stations))
        assert np.all((busy + latency) / in_flight <= busy.max())  # no latency sets the pace
        bottleneck = busy.max()
        assert many.makespan_ps == one.makespan_ps + (samples - 1) * bottleneck

    def test_retries_repeat_drive_and_convert(self, rpu_2016: Chip) -> None:
        plan = planned(chain(512, 512), rpu_2016)
        times = [
            run(plan, Activity.rows(phase=Phase.FORWARD, passes=passes, active_columns=512), "sequential").makespan_ps
            for passes in (1, 2, 5)
        ]
        assert times[1] - times[0] == 160_000
        assert times[2] - times[0] == 4 * 160_000

    def test_a_skipped_vector_uses_neither_array_nor_converter(self, rpu_2016: Chip) -> None:
        plan = planned(chain(512, 512), rpu_2016)
        events = run(plan, Activity.rows(phase=Phase.FORWARD, passes=0), "sequential")
        assert set(events.op.tolist()) == {Op.DIGITAL}

    @pytest.mark.parametrize("slots", [1, 7, 31])
    def test_an_update_takes_slots_times_width_times_polarities(self, rpu_2016: Chip, slots: int) -> None:
        plan = planned(chain(64, 64), rpu_2016)
        events = run(plan, Activity.rows(phase=Phase.UPDATE, slots=slots), "sequential")
        pulses = events.op == Op.PULSE
        assert set(events.duration[pulses]) == {slots * 1_000 * 2}

    def test_without_sample_and_hold_the_array_waits_for_its_converters(self) -> None:
        chip = Chip.load("reram-512")
        plan, _, events = timed(chain(512, 512), chip, 3, False, "layer-pipelined")
        drive = events.duration[(events.op == Op.DRIVE) & (events.station == plan.stations.index("tile 0 array 0"))]
        assert set(drive) == {40_000}  # 10 ns settling, 14 ns integration, 16 conversions of 1 ns

    def test_bit_serial_inputs_take_one_cycle_per_bit_and_overlap_their_conversions(self) -> None:
        plan, _, events = timed(chain(128, 16), Chip.load("isaac-2016"), 4, False, "layer-pipelined")
        array = (events.op == Op.DRIVE) & (events.station == plan.stations.index("tile 0 array 0"))
        # 129 conversions at 1.28 GS/s, the last of the unit line, are 100,781 ps, longer than the 100 ns of a bit
        first, later = 100_000 + 15 * 100_781, 16 * 100_781  # later vectors also wait for the converter's last bit
        assert events.duration[array].tolist() == [first, later, later, later]
        assert np.diff(events.start[array]).tolist() == [first, later, later]


class TestTieBreak:
    """Served first: the earlier request; among equal times by phase, layer, vector, tile, whoever asked first."""

    @given(
        requests=st.lists(st.tuples(*[st.integers(0, 2)] * 5), min_size=1, max_size=12, unique=True),
        engine=st.sampled_from([SimpyEngine, CompiledEngine]),
    )
    @settings(deadline=None)
    def test_a_station_serves_in_the_stated_order(self, requests: list[tuple[int, ...]], engine: type) -> None:
        builder = Builder(["unit"])
        for time, phase, layer, vector, tile in requests:
            with builder.task(1, Phase(phase), layer, tile, vector, row=time) as task:
                task.hold(time)
                task.use(0, Op.DIGITAL, 100, 1)  # longer than any request waits to be made
        events = engine(builder.program()).run()
        columns = (events.row, events.phase, events.layer, events.vector, events.tile)
        served = list(zip(*(column.tolist() for column in columns), strict=True))
        first = min(time for time, *_ in requests)
        arrived_first = sorted(r for r in requests if r[0] == first)
        assert served == [arrived_first[0], *sorted(r for r in requests if r != arrived_first[0])]

    def test_two_layers_that_share_a_digital_unit_take_turns_by_layer(self) -> None:
        """Two equal layers read the input at once; their tiles share a digital unit on reram-512."""
        steps = [
            (WeightLayer.linear("late", (64,), 32, bias=False), ("input",)),
            (WeightLayer.linear("early", (64,), 32, bias=False), ("input",)),
            (Operation.digital("sum", "add", (32,), inputs=2), ("late", "early")),
        ]
        _, _, events = timed(connect("two", (64,), steps), Chip.load("reram-512"), 1, False, "layer-pipelined")
        scaled = (events.op == Op.DIGITAL) & (events.amount == 64)
        order = np.argsort(events.start[scaled])
        assert events.layer[scaled][order].tolist() == [0, 1]
        assert len(set(events.end[events.op == Op.CONVERT])) == 1  # they did ask in the same tick


class TestSchedules:
    def test_alexnet_takes_the_published_forward_times(self, rpu_2016: Chip) -> None:
        """Gokmen, Onen & Haensch 2017: 80 ns per vector make 341 us one layer after the other, 242 us pipelined."""
        conv = [(96, 363, 3025), (256, 2400, 729), (384, 2304, 169), (384, 3456, 169), (256, 3456, 169)]
        vectors = [v for _, _, v in conv] + [1, 1, 1]
        network = alexnet_like()
        assert [layer.vectors for layer in network.layers] == vectors
        plan, _, serial = timed(network, rpu_2016, 1, False, "sequential")
        first_tile = (serial.op == Op.DRIVE) & (serial.tile == 0) & _is(plan, serial, "array")
        compute = [int(serial.duration[first_tile & (serial.layer == i)].sum()) for i in range(8)]
        assert compute == [80_000 * v for v in vectors]
        assert sum(compute) * 1e-6 == pytest.approx(341, rel=0.001)
        assert sum(compute) < serial.makespan_ps < 1.02 * sum(compute)

        plan, _, piped = timed(network, rpu_2016, 3, False, "layer-pipelined")
        done = [piped.end[(piped.layer == 7) & (piped.vector == sample)].max() for sample in range(3)]
        assert set(np.diff(done)) == {242_000_000}

    def test_training_does_forward_backward_update_and_ends_with_every_update(self, rpu_2016: Chip) -> None:
        _, _, events = timed(chain(64, 32, 16), rpu_2016, 1, True, "sequential")
        spans = {
            (phase, layer): (events.start[chosen].min(), events.end[chosen].max())
            for phase in Phase
            for layer in (0, 1)
            if (chosen := (events.phase == phase) & (events.layer == layer)).any()
        }
        assert spans[Phase.FORWARD, 0][1] <= spans[Phase.FORWARD, 1][0]
        assert spans[Phase.FORWARD, 1][1] <= spans[Phase.BACKWARD, 1][0]
        assert spans[Phase.BACKWARD, 1][1] <= spans[Phase.UPDATE, 0][0]
        assert (Phase.BACKWARD, 0) not in spans  # nobody reads the gradient of the network's input
        assert max(spans[Phase.UPDATE, layer][1] for layer in (0, 1)) == events.makespan_ps

    def test_pipelined_training_is_refused(self, rpu_2016: Chip) -> None:
        with pytest.raises(InputError, match=r"layer-pipelined.*inference.*sequential"):
            timed(chain(8, 8), rpu_2016, 1, True, "layer-pipelined")

    def test_no_vector_starts_before_those_it_needs(self, rpu_2016: Chip) -> None:
        network = images(8, 4)
        _, _, events = timed(network, rpu_2016, 2, False, "layer-pipelined")
        for edge in network.edges:
            if edge.producer < 0:
                continue
            for sample in range(2):
                for vector, needed in enumerate(edge.needs):
                    mine = (events.layer == edge.consumer) & (events.vector == sample * len(edge.needs) + vector)
                    theirs = (events.layer == edge.producer) & (events.vector == sample * len(edge.emits) + needed)
                    assert events.start[mine].min() >= events.end[theirs].max()

    @pytest.mark.parametrize("long_branch_last", [True, False])
    def test_a_sum_of_branches_waits_for_all_of_them(self, rpu_2016: Chip, long_branch_last: bool) -> None:
        """c reads a2(a1(x)) + b(x): b is done first, but the sum, and what follows it, needs a2."""
        network = branches(long_branch_last)
        _, _, events = timed(network, rpu_2016, 1, False, "layer-pipelined")
        a2, b, c = (network.layer_index(name) for name in ("a2", "b", "c"))
        merging, other = max(a2, b), min(a2, b)
        done = 16 + 16  # added and squashed in one go: tanh is a look-up
        added = (events.layer == merging) & (events.op == Op.DIGITAL) & (events.amount == done)
        assert added.sum() == 1
        arrived = events.end[(events.layer == other) & (events.op == Op.STORE)].max()
        assert events.start[added] >= arrived
        sent = (events.layer == merging) & (events.op == Op.STORE)
        assert events.start[events.layer == c].min() >= events.end[sent].max() > events.end[added]

    def test_a_mini_batch_goes_sample_by_sample_and_updates_at_its_end(self, rpu_2016: Chip) -> None:
        plan = planned(chain(16, 8), rpu_2016)
        rows = [
            Activity.rows(phase=Phase.FORWARD, vector=np.arange(3), passes=1, active_columns=16),
            Activity.rows(phase=Phase.UPDATE, vector=np.arange(3), slots=5),
        ]
        events = run(plan, Activity.concatenate(rows), "sequential")
        drives = (events.op == Op.DRIVE) & _is(plan, events, "array")
        pulses = (events.op == Op.PULSE) & _is(plan, events, "array")
        assert events.vector[drives].tolist() == [0, 1, 2]
        assert events.start[pulses].min() >= events.end[events.phase == Phase.FORWARD].max()
        assert events.vector[pulses].tolist() == [0, 1, 2]

    def test_twice_the_converters_or_digital_rate_never_slow_a_chain(self) -> None:
        base = changed(Chip.load("rpu-2016"), adc={"lines_per_adc": 16}, digital={"rate": 20e9})
        faster = [changed(base, adc={"lines_per_adc": 8}), changed(base, digital={"rate": 40e9})]
        times = [
            timed(chain(300, 200, 100), chip, 5, False, "layer-pipelined")[2].makespan_ps for chip in [base, *faster]
        ]
        assert times[1] < times[0] and times[2] < times[0]


class TestOnTheWay:
    """A station with a latency is free while what left it is on its way, up to as many as may be."""

    @given(
        sizes=st.lists(st.integers(1, 40), min_size=1, max_size=40),
        latency=st.integers(1, 500),
        in_flight=st.integers(1, 12),
        engine=st.sampled_from([SimpyEngine, CompiledEngine]),
        gaps=st.integers(0, 30),
    )
    @settings(deadline=None)
    def test_each_begins_after_the_one_before_and_the_arrival_of_the_one_so_many_before(
        self, sizes: list[int], latency: int, in_flight: int, engine: type, gaps: int
    ) -> None:
        events = engine(requests(sizes, latency, in_flight, gaps)).run()
        ways = events.op == Op.SEND
        start, end, arrived = events.start[ways].tolist(), events.end[ways].tolist(), events.start[~ways].tolist()
        for i, size in enumerate(sizes):
            before = end[i - 1] if i else 0
            so_many_before = end[i - in_flight] + latency if i >= in_flight else 0
            assert start[i] == max(i * gaps, before, so_many_before)
            assert end[i] == start[i] + size
        assert sorted(arrived) == [e + latency for e in end]

    @pytest.mark.parametrize("engine", [SimpyEngine, CompiledEngine])
    @pytest.mark.parametrize(("latency", "size", "in_flight"), [(1000, 10, 8), (1000, 10, 200), (3, 10, 1), (0, 7, 1)])
    def test_the_first_arrives_after_latency_and_size_and_the_pace_is_that_of_size_or_of_the_latency_shared(
        self, engine: type, latency: int, size: int, in_flight: int
    ) -> None:
        """n requests of s each over a pipe of latency L, k outstanding: first at L + s, then max(s, (L + s) / k)."""
        number = 40 * in_flight
        events = engine(requests([size] * number, latency, in_flight, 0)).run()
        arrived = np.sort(events.start[events.op == Op.DIGITAL])
        assert arrived[0] == latency + size
        assert (arrived[-1] - arrived[in_flight - 1]) / (number - in_flight) == pytest.approx(
            max(size, (latency + size) / in_flight), rel=1e-2
        )

    @pytest.mark.parametrize("engine", [SimpyEngine, CompiledEngine])
    def test_an_hour_of_latency_is_counted_too(self, engine: type) -> None:
        hour = 3600 * 10**12
        events = engine(requests([10, 10], hour, 1, 0)).run()
        assert events.start[events.op == Op.SEND].tolist() == [0, hour + 10]


def requests(sizes: list[int], latency: int, in_flight: int, gaps: int) -> Program:
    """Requests ``gaps`` ps apart, each over one link and then by a unit of its own, for 1 ps."""
    number = len(sizes)
    builder = Builder(
        ["way", *(f"end {i}" for i in range(number))], None, [latency] + [0] * number, [in_flight] * (number + 1)
    )
    for i, size in enumerate(sizes):
        with builder.task(1, Phase.FORWARD, 0, 0, i) as task:
            task.hold(i * gaps)
            task.use(0, Op.SEND, size, 1)
            task.use(1 + i, Op.DIGITAL, 1, 1)
    return builder.program()


class TestServedOnSight:
    """What the compiled engine does without a calendar, and where it has to start again with one."""

    @given(
        room=st.integers(2, 12),
        amounts=st.lists(st.integers(1, 2), min_size=1, max_size=30),
        first=st.integers(1, 9),
        second=st.integers(1, 9),
    )
    @settings(deadline=None)
    def test_a_pool_stalls_those_who_find_it_empty(
        self, room: int, amounts: list[int], first: int, second: int
    ) -> None:
        builder, number = Builder(["maker", "reader"]), len(amounts)
        made, wanted = builder.gates(number) + np.arange(number), np.array(amounts)
        with builder.task(number, Phase.FORWARD, 0, 0, np.arange(number)) as task:
            task.take(builder.pool("room", room), wanted)
            task.use(0, Op.DIGITAL, first, 1)
            task.raise_(made)
        with builder.task(number, Phase.FORWARD, 1, 0, np.arange(number)) as task:
            task.wait(made)
            task.use(1, Op.DIGITAL, second, 1)
            task.give(builder.pool("room", room), wanted)
        program = builder.program()
        fast = CompiledEngine(program)
        for found, expected in zip(fast.times(), SimpyEngine(program).times(), strict=True):
            assert np.array_equal(found, expected)
        assert fast.on_sight and not fast.stuck

    def test_requests_out_of_order_are_noticed(self) -> None:
        """The second process asks first, since it does not have to wait."""
        builder = Builder(["unit"])
        with builder.task(2, Phase.FORWARD, 0, 0, np.arange(2)) as task:
            task.hold(np.array([100, 0]))
            task.use(0, Op.DIGITAL, 10, 1)
        fast = CompiledEngine(builder.program())
        assert fast.run().start.tolist() == [0, 100] and not fast.on_sight

    def test_a_day_is_left_to_the_definition(self) -> None:
        builder, day = Builder(["unit"]), 86_400 * 10**12
        with builder.task(1, Phase.FORWARD, 0, 0, 0) as task:
            task.hold(day)
            task.use(0, Op.DIGITAL, 10, 1)
        assert CompiledEngine(builder.program()).run().start.tolist() == [day]


class TestLaws:
    """For generated chips, unit cells, replicas, networks, schedules and activity, on both engines."""

    @given(works())
    @settings(max_examples=100, deadline=None, phases=WITHOUT_SHRINKING)
    def test_laws(self, work: tuple[Plan, Activity, Schedule]) -> None:
        plan, activity, schedule = work
        program, engines, events = both_engines(plan, activity, schedule)
        assert_no_unit_does_more_at_once_than_it_can(plan, events)
        if engines[0].stuck:
            with pytest.raises(InputError, match=r"waits for itself: .* waits for .*larger buffers"):
                run(plan, activity, schedule)
            return

        ledger = Pricer(plan)(events, activity)
        assert_sums_agree(ledger)
        if ledger.time_ps:
            assert ledger.total_zj * 1e-21 / (ledger.time_ps * 1e-12) <= ledger.peak_w * (1 + 1e-9)
        most = dict(zip(plan.stations, plan.station_capacity, strict=True))
        assert all(0 <= busy <= ledger.time_ps * most[name] for name, busy in ledger.busy_ps.items())
        assert np.all(events.end >= events.start)
        assert events.makespan_ps >= critical_path(program)
        assert_all_work_is_done(plan, activity, events)

    @pytest.mark.slow
    @given(works())
    @settings(max_examples=2_000, deadline=None, phases=WITHOUT_SHRINKING)
    def test_both_engines_agree_on_two_thousand_cases(self, work: tuple[Plan, Activity, Schedule]) -> None:
        both_engines(*work)

    @pytest.mark.slow
    @given(works(cells=[SINGLE], fits=("pack", "chips 3", "pack,chips 2", "reload", "reload")))
    @settings(max_examples=1_000, deadline=None, phases=WITHOUT_SHRINKING)
    def test_both_engines_agree_on_a_thousand_cases_of_shared_arrays_rounds_and_several_chips(
        self, work: tuple[Plan, Activity, Schedule]
    ) -> None:
        both_engines(*work)

    @given(works(lone_arrays, [cell for cell in CELLS if cell.arrays == 1], most=1), st.sampled_from([2, 3]))
    @settings(max_examples=100, deadline=None, phases=WITHOUT_SHRINKING)
    def test_more_servers_of_every_unit_never_make_a_chain_slower(
        self, work: tuple[Plan, Activity, Schedule], times: int
    ) -> None:
        """First come, first served, one after the other: what is true of chains, and not of every graph (Graham)."""
        plan, activity, schedule = work
        assert plan.placement.arrays_used == 1
        program = compiled(plan, activity, schedule)
        more = replace(program, capacity=program.capacity * times)
        slow, fast = CompiledEngine(program), CompiledEngine(more)
        before, after = slow.run().makespan_ps, fast.run().makespan_ps
        assert slow.stuck or after <= before


def both_engines(
    plan: Plan, activity: Activity, schedule: Schedule
) -> tuple[Program, tuple[SimpyEngine, CompiledEngine], Events]:
    """The same program on both: they agree on every event, and on what never ends."""
    program = compiled(plan, activity, schedule)
    engines = SimpyEngine(program), CompiledEngine(program)
    definition, events = (engine.run() for engine in engines)
    assert engines[0].stuck == engines[1].stuck
    for name, column in definition.columns().items():
        assert np.array_equal(column, getattr(events, name)), name
    return program, engines, events


def critical_path(program: Program) -> int:
    """How long the program takes on a chip with as many of every unit as anybody could want."""
    plenty = replace(program, capacity=np.full_like(program.capacity, 2**40))
    return CompiledEngine(plenty).run().makespan_ps


def assert_sums_agree(ledger: Ledger) -> None:
    for column in range(3):
        assert sum(ledger.by(column).values()) == ledger.total_zj  # integers: exactly


def assert_no_unit_does_more_at_once_than_it_can(plan: Plan, events: Events) -> None:
    for station, capacity in enumerate(plan.station_capacity):
        mine = events.station == station
        start, end = np.sort(events.start[mine]), np.sort(events.end[mine])
        assert np.all(start[capacity:] >= end[:-capacity]), plan.stations[station]


def assert_all_work_is_done(plan: Plan, activity: Activity, events: Events) -> None:
    """Conversions and pulse slots of the events are those of the activity rows, on every array that takes part."""
    reads = (activity.phase != Phase.UPDATE) & (activity.passes > 0)
    at_once = np.where(activity.phase < Phase.UPDATE, len(plan.placement.cell.visible), 1)
    arrays = _is(plan, events, "array")
    driven = (events.op == Op.DRIVE) & arrays
    assert sorted(events.row[driven]) == np.repeat(np.flatnonzero(reads), at_once[reads]).tolist()
    assert events.amount[driven].sum() == (activity.passes * at_once)[reads].sum()
    pulsed = (events.op == Op.PULSE) & arrays
    assert events.amount[pulsed].sum() == activity.slots.sum()


def _is(plan: Plan, events: Events, unit: str) -> np.ndarray:
    return np.array([part == unit for part in plan.station_parts])[events.station]


def alexnet_like() -> Network:
    """The matrices and vector counts of AlexNet as Gokmen, Onen & Haensch 2017 map it (arrays without bias)."""

    def conv(name: str, shape: tuple[int, int, int], rows: int, k: int, stride: int, pad: int) -> WeightLayer:
        return WeightLayer.convolution(name, shape, rows, Window((k, k), (stride, stride), (pad, pad)), bias=False)

    def pool(name: str, channels: int, side: int, out: int) -> Operation:
        return Operation.digital(
            name, "pool", (channels, side, side), (channels, out, out), "max", Window((3, 3), (2, 2))
        )

    return connect(
        "alexnet",
        (3, 227, 227),
        [
            (conv("K1", (3, 227, 227), 96, 11, 4, 0), ("input",)),
            (pool("pool1", 96, 55, 27), ("K1",)),
            (conv("K2", (96, 27, 27), 256, 5, 1, 2), ("pool1",)),
            (pool("pool2", 256, 27, 13), ("K2",)),
            (conv("K3", (256, 13, 13), 384, 3, 1, 1), ("pool2",)),
            (conv("K4", (384, 13, 13), 384, 3, 1, 1), ("K3",)),
            (conv("K5", (384, 13, 13), 256, 3, 1, 1), ("K4",)),
            (pool("pool5", 256, 13, 6), ("K5",)),
            (Operation.digital("flat", "flatten", (256, 6, 6), (9216,)), ("pool5",)),
            (WeightLayer.linear("W6", (9216,), 4096, bias=False), ("flat",)),
            (WeightLayer.linear("W7", (4096,), 4096, bias=False), ("W6",)),
            (WeightLayer.linear("W8", (4096,), 1000, bias=False), ("W7",)),
        ],
    )
