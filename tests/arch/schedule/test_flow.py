"""What is beside the phases: inputs from outside, activations put away, room in buffers, transfers in their order."""

from __future__ import annotations

import numpy as np
import pytest
from generated import chain, changed, images, one_mini_batch, with_outside

from rpusim.arch.chips.chip import Chip, presets
from rpusim.arch.contract.activity import Activity, Phase
from rpusim.arch.contract.cell_layout import CellLayout
from rpusim.arch.engine.events import WAITING, Events, Op
from rpusim.arch.mapping.assumed_activity import assumed_activity
from rpusim.arch.mapping.placement import place
from rpusim.arch.network.network import Network
from rpusim.arch.schedule.plan import Plan, make_plan
from rpusim.arch.schedule.schedules import run
from rpusim.arch.schedule.storage import settle
from rpusim.errors import InputError
from rpusim.workloads.runs.given_network import load_network

CHIP = "rpu-2016"


def timed(chip: Chip, network: Network, samples: int, schedule: str = "sequential") -> tuple[Plan, Events]:
    """One mini-batch of training, or inference if the schedule is layer-pipelined."""
    placement = place(network, chip)
    activity = assumed_activity(placement, samples, training=schedule != "layer-pipelined")
    plan = make_plan(placement)
    return plan, run(plan, one_mini_batch(activity, placement), schedule)  # type: ignore[arg-type]


def with_buffer(bits: int, *outside: str) -> Chip:
    return with_outside(changed(Chip.load(CHIP), buffer={"capacity": bits}), frozenset(outside))


class TestOutside:
    def test_every_sample_comes_over_the_host_link_before_its_first_vector_is_driven(self) -> None:
        _, events = timed(with_buffer(10**7, "host"), chain(64, 32, 16), 3)
        word = Chip.load(CHIP).tiles[0].digital.word_bits
        came = events.op == Op.HOST
        assert events.amount[came].tolist() == [64 * word] * 3
        driven = (events.op == Op.DRIVE) & (events.phase == Phase.FORWARD) & (events.layer == 0)
        for sample in range(3):
            assert events.end[came][sample] < events.start[driven & (events.vector == sample)].min()

    def test_dram_gives_the_input_where_there_is_one(self) -> None:
        plan, events = timed(with_buffer(10**7, "host", "memory"), chain(64, 32), 2)
        assert not np.any(events.op == Op.HOST)
        assert events.op[events.station == plan.outside["DRAM"]].tolist() == [Op.FETCH] * 2

    def test_the_next_sample_is_fetched_while_one_is_at_work(self) -> None:
        _, events = timed(with_buffer(10**7, "host"), chain(64, 32, 16), 3)
        came = events.end[events.op == Op.HOST]
        begun = [events.start[(events.op == Op.DRIVE) & (events.vector == s)].min() for s in range(3)]
        assert came[1] < begun[1] and came[2] < begun[2]


class TestStorage:
    @pytest.mark.parametrize(("parts", "where"), [(["memory"], "DRAM"), (["memory", "global_buffer"], "global buffer")])
    def test_what_the_buffers_cannot_keep_goes_out_once_and_comes_back_once(self, parts: list[str], where: str) -> None:
        samples, network = 8, images(6, 4)
        chip = with_buffer(12_000, *parts)
        placement = place(network, chip)
        kept = settle(make_plan(placement), samples, training=True)
        over = sum((samples - layer.samples) * layer.bits for layer in kept)
        came_from_there = (samples - kept[0].samples) * kept[0].input_bits if where == "DRAM" else 0
        assert over > came_from_there and any(layer.samples for layer in kept)
        plan, events = timed(chip, network, samples)
        outside = events.station == plan.outside[where]
        away, back = outside & (events.op == Op.STORE), outside & (events.op == Op.FETCH)
        waiting = sum((samples - one.samples) * of.after.kept for one, of in zip(kept, plan.layers, strict=True))
        assert events.amount[away].sum() == over + waiting - came_from_there
        assert not np.any(events.phase[away] == Phase.UPDATE)
        assert waiting and events.amount[back & (events.row == WAITING)].sum() == waiting
        assert events.amount[back & (events.phase == Phase.UPDATE)].sum() == over

    def test_an_update_waits_for_what_it_needs_from_outside(self) -> None:
        network = images(6, 4)
        quick, slow = (timed(with_buffer(bits, "memory"), network, 8)[1].makespan_ps for bits in (10**7, 600))
        assert slow > quick

    def test_no_pulse_before_what_it_needs_is_back_and_no_error_goes_out_before_it_is_there(self) -> None:
        plan, events = timed(with_buffer(600, "memory"), images(6, 4), 8)
        dram = events.station == plan.outside["DRAM"]
        computed = (events.op == Op.DIGITAL) & (events.phase == Phase.BACKWARD)
        pulsed, checked = events.op == Op.PULSE, 0
        for layer in range(2):
            for vector in np.unique(events.vector[dram & (events.layer == layer)]):
                mine = (events.layer == layer) & (events.vector == vector)
                back = events.end[mine & dram & (events.phase == Phase.UPDATE)]
                if len(back):
                    assert back.max() <= events.start[mine & pulsed].min()
                away = events.start[mine & dram & (events.phase == Phase.BACKWARD) & (events.op == Op.STORE)]
                if layer == 0 and len(away):  # nothing but its errors is computed on the way back
                    assert events.end[mine & computed].max() <= away.min()
                    checked += 1
        assert checked > 10

    def test_a_chip_without_a_place_says_how_much_it_lacks(self) -> None:
        kept = settle(make_plan(place(images(6, 4), with_buffer(2_000))), 8, training=True)
        assert all(layer.overflow == "" for layer in kept) and any(layer.lacking for layer in kept)


class TestRoom:
    """Of two layers in a pipeline the second is slower: 512 outputs at one operation per nanosecond."""

    def test_a_full_buffer_stalls_its_producer_and_changes_nothing_else(self) -> None:
        def chip(bits: int) -> Chip:
            return changed(Chip.load(CHIP), buffer={"capacity": bits}, digital={"rate": 1e9, "pipelined": False})

        roomy, tight = (timed(chip(bits), chain(16, 16, 512), 20, "layer-pipelined")[1] for bits in (10**7, 3 * 16 * 9))
        first = {name: (e.op == Op.DRIVE) & (e.layer == 0) for name, e in (("roomy", roomy), ("tight", tight))}
        assert tight.start[first["tight"]].max() > 2 * roomy.start[first["roomy"]].max()
        assert tight.makespan_ps == roomy.makespan_ps  # the second layer never lacks work
        assert len(tight) == len(roomy)

    def test_room_for_less_than_one_window_is_a_cycle_that_is_named(self) -> None:
        with pytest.raises(InputError, match=r"waits for itself: .*conv.* waits for .*; larger buffers are needed"):
            timed(with_buffer(9), images(6, 4), 1, "layer-pipelined")


class TestTransfers:
    plan = make_plan(
        place(chain(32, 16), Chip.load(CHIP), cell=CellLayout("transfer", 2, visible=(1,), targets=((1,), ())))
    )

    def events(self, transfers: list[int]) -> Events:
        """Four updates of a layer; a transfer after each of the given ones."""
        updates = Activity.rows(phase=Phase.UPDATE, vector=np.arange(4), slots=10)
        due = Activity.rows(phase=Phase.TRANSFER, vector=np.array(transfers), passes=1, slots=2, adds=32)
        return run(self.plan, Activity.concatenate([updates, due]), "sequential")

    def test_the_array_is_read_between_the_pulses_of_its_vector_and_of_the_next(self) -> None:
        events = self.events([0, 2, 2])
        fast = events.station == self.plan.stations.index("tile 0 array 0")
        order = np.argsort(events.start[fast])
        done = list(zip(events.phase[fast][order].tolist(), events.vector[fast][order].tolist(), strict=True))
        assert done == [(2, 0), (3, 0), (2, 1), (2, 2), (3, 2), (3, 2), (2, 3)]

    def test_the_other_array_is_written_while_the_first_takes_the_next_pulses(self) -> None:
        events = self.events([0])
        read = (events.phase == Phase.TRANSFER) & (events.op == Op.DRIVE)
        written = (events.phase == Phase.TRANSFER) & (events.op == Op.PULSE)
        following = (events.phase == Phase.UPDATE) & (events.op == Op.PULSE) & (events.vector == 1)
        assert events.start[following].min() >= events.end[read].max()
        assert events.start[following].min() < events.start[written].min()
        assert set(events.station[written]).isdisjoint(events.station[following])

    @pytest.mark.parametrize("schedule", ["sequential", "minibatch-pipelined", "asynchronous"])
    def test_the_next_mini_batch_waits_until_the_last_transfer_is_written(self, schedule: str) -> None:
        """One vector to a mini-batch; a long train is written after each, on an array that nobody else pulses."""
        forward = Activity.rows(phase=Phase.FORWARD, step=np.arange(3), passes=1)
        updates = Activity.rows(phase=Phase.UPDATE, step=np.arange(3), slots=10)
        due = Activity.rows(phase=Phase.TRANSFER, step=np.arange(3), passes=1, slots=500, adds=32)
        activity = Activity.concatenate([forward, updates, due])
        events = run(self.plan, activity, schedule)  # type: ignore[arg-type]
        step = activity.step[events.row]
        written = (events.row >= 0) & (events.phase == Phase.TRANSFER) & (events.op == Op.PULSE)
        fetched = (events.row >= 0) & (events.phase == Phase.FORWARD) & (events.op == Op.FETCH)
        for number in range(2):
            assert events.start[fetched & (step == number + 1)].min() >= events.end[written & (step == number)].max()


class TestMaintenance:
    @pytest.mark.parametrize("schedule", ["sequential", "minibatch-pipelined", "asynchronous"])
    def test_what_has_to_be_done_before_a_mini_batch_is_done_before_it(self, schedule: str) -> None:
        """Programming before the first one, two reads that measure drift before the second."""
        placement = place(chain(32, 16, 8), Chip.load(CHIP))
        training = assumed_activity(placement, 2, training=True)
        program = Activity.rows(phase=Phase.MAINTENANCE, vector=-1, layer=[0, 1], writes=512, active_rows=16)
        reads = Activity.rows(phase=Phase.MAINTENANCE, step=1, vector=-1, layer=[1, 1], passes=[1, 3])
        activity = Activity.concatenate([training, program, reads])
        plan = make_plan(placement)
        events = run(plan, activity, schedule)  # type: ignore[arg-type]
        maintained, forward = events.phase == Phase.MAINTENANCE, events.phase == Phase.FORWARD
        step = activity.step[events.row]
        for layer, op, number in ((0, Op.WRITE, 0), (1, Op.WRITE, 0), (1, Op.CONVERT, 1)):
            here = (events.layer == layer) & (events.row >= 0) & (step == number)
            done = events.end[here & maintained & (events.op == op)]
            assert len(done) and done.max() <= events.start[here & forward].min()
        iterations = placement.chip.tiles[0].programming.iterations  # type: ignore[union-attr]
        written = (events.op == Op.WRITE) & (events.station == plan.layers[0].blocks[0].arrays[0].array)
        assert events.amount[written] == np.ceil(16 * iterations)


@pytest.mark.parametrize("schedule", ["sequential", "layer-pipelined", "minibatch-pipelined", "asynchronous"])
@pytest.mark.parametrize("name", ["rpu-2016", "rpu-2017-bimodal", "isaac-2016", "reram-512"])
def test_both_engines_give_the_same_events_on_chips_that_ship(name: str, schedule: str) -> None:
    chip, training = Chip.load(name), schedule != "layer-pipelined"
    if training and not chip.trains:
        training = False
    placement = place(images(8, 8), chip)
    plan, activity = make_plan(placement), assumed_activity(placement, 3, training)
    fast, definition = (run(plan, activity, schedule, engine) for engine in ("compiled", "simpy"))  # type: ignore[arg-type]
    for column, values in definition.columns().items():
        assert np.array_equal(values, getattr(fast, column)), column


@pytest.mark.slow
@pytest.mark.parametrize("schedule", ["sequential", "layer-pipelined", "minibatch-pipelined", "asynchronous"])
@pytest.mark.parametrize("network", ["fcn", "fcn-digits", "lenet-digits", "lenet-2017", "rapa-cifar"])
@pytest.mark.parametrize("name", presets())
def test_both_engines_agree_on_what_ships(name: str, network: str, schedule: str) -> None:
    try:
        placement = place(load_network(network), Chip.load(name))
    except InputError as too_large:
        pytest.skip(str(too_large))
    training = schedule != "layer-pipelined" and placement.chip.trains
    plan, activity = make_plan(placement), assumed_activity(placement, 2, training, 2)
    if name in ("hermes-2023", "ambrogio-2023") and (network, schedule) == ("rapa-cifar", "layer-pipelined"):
        # Their registers hold few vectors, and a window of the second convolution reads several lines of the first.
        for engine in ("compiled", "simpy"):
            with pytest.raises(InputError, match=r"waits for room in tile 1 buffer.*larger buffers are needed"):
                run(plan, activity, schedule, engine)  # type: ignore[arg-type]
        return
    fast, definition = (run(plan, activity, schedule, engine) for engine in ("compiled", "simpy"))  # type: ignore[arg-type]
    for column, values in definition.columns().items():
        assert np.array_equal(values, getattr(fast, column)), column
