"""Equal pieces of work: a few of them timed give the account of any number, exactly."""

from __future__ import annotations

import pytest
from generated import CELLS, chain, changed, chips, copies, images, networks
from hypothesis import Phase as Stage
from hypothesis import given, settings
from hypothesis import strategies as st

from rpusim.arch.account import steady
from rpusim.arch.account.ledger import Ledger
from rpusim.arch.account.pricing import Pricer
from rpusim.arch.chips.chip import Chip
from rpusim.arch.contract.activity import Activity, Phase
from rpusim.arch.mapping.assumed_activity import assumed_activity
from rpusim.arch.mapping.placement import Placement, place
from rpusim.arch.network.network import Network, connect
from rpusim.arch.network.operations import WeightLayer
from rpusim.arch.schedule.plan import make_plan
from rpusim.arch.schedule.schedules import run
from rpusim.arch.schedule.storage import settle
from rpusim.errors import InputError

SCHEDULES = {
    False: ["sequential", "layer-pipelined"],
    True: ["sequential", "minibatch-pipelined", "asynchronous"],
}


class Pieces:
    """Samples, or mini-batches of ``batch`` in training, as the engine times them."""

    def __init__(self, placement: Placement, training: bool, schedule: str, batch: int = 1) -> None:
        self.plan, self.training, self.schedule, self.batch = make_plan(placement), training, schedule, batch
        self.price = Pricer(self.plan)

    def work(self, number: int) -> Activity:
        samples = number * (self.batch if self.training else 1)
        return assumed_activity(self.plan.placement, samples, self.training, self.batch)

    def timed(self, total: int) -> steady.Timed:
        return steady.timed(self.plan, self.schedule, self.work, total)  # type: ignore[arg-type]

    def all(self, total: int) -> Ledger:
        activity = self.work(total)
        return self.price(run(self.plan, activity, self.schedule), activity)  # type: ignore[arg-type]


@st.composite
def pieces(draw: st.DrawFn) -> Pieces:
    training = draw(st.booleans())
    network, schedule = draw(networks), draw(st.sampled_from(SCHEDULES[training]))
    placement = place(network, draw(chips), replicas=draw(copies(network, 3)))
    return Pieces(placement, training, schedule, draw(st.integers(1, 3)))


@given(pieces=pieces(), total=st.integers(1, 60))
@settings(max_examples=60, deadline=None, phases=(Stage.explicit, Stage.reuse, Stage.generate))
def test_the_account_is_that_of_all_of_them_timed(pieces: Pieces, total: int) -> None:
    try:
        whole = pieces.all(total)
    except InputError:  # a buffer too small for one window
        return
    timed = pieces.timed(total)
    assert timed.ledger(pieces.price) == whole
    assert timed.pieces <= total


@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize("chip", ["rpu-2016", "reram-512"])
@pytest.mark.parametrize("batch", [1, 3])
def test_few_are_timed_for_a_million(training: bool, chip: str, batch: int) -> None:
    for schedule in SCHEDULES[training]:
        found = Pieces(place(images(8, 8), Chip.load(chip)), training, schedule, batch).timed(1_000_000)
        assert found.pieces <= 16, schedule
        assert found.repeats is not None and found.repeats.later[0] > 10**12  # more than a microsecond each


@given(network=networks, chip=chips, data=st.data(), samples=st.integers(9, 24), batches=st.integers(1, 7))
@settings(max_examples=30, deadline=None, phases=(Stage.explicit, Stage.reuse, Stage.generate))
def test_a_large_mini_batch_costs_what_its_parts_add_up_to(
    network: Network, chip: Chip, data: st.DataObject, samples: int, batches: int
) -> None:
    replicas = data.draw(copies(network, 3))
    cell = data.draw(st.sampled_from(CELLS))
    large = Pieces(place(network, chip, cell=cell, replicas=replicas), True, "sequential", samples)

    def work(number: int, size: int) -> Activity:
        return assumed_activity(large.plan.placement, number * size, True, size)

    found, _ = steady.account(large.plan, "sequential", large.price, work, batches, samples)
    assert found == large.all(batches)


@pytest.mark.parametrize("chip", ["rpu-2016", "reram-512"])
def test_three_samples_of_a_large_mini_batch_are_timed(chip: str) -> None:
    plan = make_plan(place(images(8, 8), Chip.load(chip)))
    found = steady.timed_batch(plan, lambda number: assumed_activity(plan.placement, number, True, number), 1000)
    assert found is not None and found.pieces == 3


@pytest.mark.parametrize(("rows", "outputs"), [(13, 25), (8, 9), (20, 39)])
def test_blocks_of_a_layer_that_learn_at_unequal_speed_wait_for_each_other(rows: int, outputs: int) -> None:
    """Row by row the larger block takes longer, and the digital bias learns after both."""
    chip = changed(Chip.load("rpu-2016"), array={"rows": rows, "columns": 40}, pulses={"access": "row-by-row"})
    network = connect("one", (17,), [(WeightLayer.linear("fc", (17,), outputs), ("input",))])
    large = Pieces(place(network, chip, bias="digital"), True, "sequential", 40)

    def work(number: int, size: int) -> Activity:
        return assumed_activity(large.plan.placement, number * size, True, size)

    found, _ = steady.account(large.plan, "sequential", large.price, work, 1, 40)
    assert found == large.all(1)


@pytest.mark.parametrize("chip", ["rpu-2016", "reram-512"])
@pytest.mark.parametrize("samples", [9, 25])
def test_what_only_the_last_sample_does_comes_after_all_others(chip: str, samples: int) -> None:
    """Cells that collect digitally write their sum with the last vector: nothing of it is within the period."""
    large = Pieces(place(images(4, 3), Chip.load(chip), cell=CELLS[-1]), True, "sequential", samples)

    def work(number: int, size: int) -> Activity:
        return assumed_activity(large.plan.placement, number * size, True, size)

    found, timed = steady.account(large.plan, "sequential", large.price, work, 1, samples)
    assert timed.pieces == 3 and found == large.all(1)


def test_a_mini_batch_whose_samples_wait_in_different_places_is_run_whole_or_refused() -> None:
    """Of 24 samples the layers keep some, others and all; what is left goes to the global buffer and to DRAM."""
    chip, donor = Chip.load("rpu-2016"), Chip.load("neurosim-vgg8")
    assert donor.global_buffer
    shared = donor.global_buffer.model_copy(update={"capacity": 40_000})
    chip = changed(chip, buffer={"capacity": 20_000})
    chip = chip.model_copy(update={"memory": donor.memory, "global_buffer": shared})
    large = Pieces(place(chain(300, 200, 60, 10), chip), True, "sequential", 24)
    assert len({layer.samples for layer in settle(large.plan, 24, training=True)}) == 3

    def work(number: int, size: int) -> Activity:
        return assumed_activity(large.plan.placement, number * size, True, size)

    found, timed = steady.account(large.plan, "sequential", large.price, work, 1, 24)
    assert timed.pieces == 1 and found == large.all(1)
    with pytest.raises(InputError, match=r"batch: got 24, but of this network at most 23 samples .* a smaller one"):
        steady.account(large.plan, "sequential", large.price, work, 1, 24, most=23)


def test_a_single_one_is_just_timed() -> None:
    one = Pieces(place(chain(16, 8), Chip.load("rpu-2016")), True, "sequential")
    assert one.timed(1).ledger(one.price) == one.all(1)


def test_what_never_repeats_itself_is_refused_beyond_what_can_be_run() -> None:
    two = Pieces(place(chain(64, 32, 16), Chip.load("rpu-2016")), False, "layer-pipelined")
    with pytest.raises(InputError, match=r"samples: nothing repeats itself among the first 3 of 100 .* no more than 3"):
        steady.account(two.plan, "layer-pipelined", two.price, lambda number, _: two.work(number), 100, most=3)


def test_work_is_timed_up_to_the_last_picosecond_of_the_clock() -> None:
    """2^62: one period more, and it is refused."""
    one = Pieces(place(chain(64, 32), Chip.load("rpu-2016")), False, "sequential")
    with pytest.raises(InputError, match=r"samples: 10{18} samples or mini-batches end after 2\^62 ps") as refused:
        one.timed(10**18)
    most = int(str(refused.value).removesuffix(" can be timed").rsplit(" ", 1)[1])
    timed = one.timed(most)
    assert timed.repeats is not None
    period, last = int(timed.repeats.until[0] - timed.repeats.since[0]), int(timed.end.max() + timed.repeats.later[0])
    assert last <= 2**62 < last + period
    with pytest.raises(InputError, match=f"at most {most} can be timed"):
        one.timed(most + 1)


def test_events_are_those_that_were_run_first() -> None:
    one = Pieces(place(chain(16, 8), Chip.load("rpu-2016")), False, "sequential")
    timed = one.timed(1000)
    every = run(one.plan, one.work(timed.pieces), "sequential")  # type: ignore[arg-type]
    assert timed.events(10**6).end.tolist() == every.end.tolist()
    assert timed.events(3).op.tolist() == every.op[:3].tolist()


@pytest.mark.parametrize("pieces", [1, 2, 7])
def test_what_is_done_once_before_all_mini_batches_is_accounted_for_once(pieces: int) -> None:
    """A write before the first one; the mini-batches are large, and found from one of three samples."""
    plan = make_plan(place(chain(17, 11), Chip.load("rpu-2016")))
    price, size = Pricer(plan), 40

    def work(number: int, size: int) -> Activity:
        written = Activity.rows(phase=Phase.MAINTENANCE, writes=17 * 11, slots=3, row_pulses=11, column_pulses=17)
        samples = assumed_activity(plan.placement, number * size, True, size)
        return Activity.concatenate([written, samples])

    found, timed = steady.account(plan, "sequential", price, work, pieces, size)
    activity = work(pieces, size)
    assert found == price(run(plan, activity, "sequential"), activity)
    assert timed.pieces < size
