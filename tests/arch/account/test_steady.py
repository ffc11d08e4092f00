"""Equal pieces of work: a few of them timed give the account of any number, exactly."""

from __future__ import annotations

import pytest
from generated import chain, changed, chips, images, networks
from hypothesis import Phase as Stage
from hypothesis import given, settings
from hypothesis import strategies as st

from rpusim.arch.account import steady
from rpusim.arch.account.ledger import Ledger
from rpusim.arch.account.pricing import Pricer
from rpusim.arch.chips.chip import Chip
from rpusim.arch.contract.activity import Activity
from rpusim.arch.mapping.assumed_activity import assumed_activity
from rpusim.arch.mapping.placement import Placement, place
from rpusim.arch.network.network import Network, connect
from rpusim.arch.network.operations import WeightLayer
from rpusim.arch.schedule.plan import make_plan
from rpusim.arch.schedule.schedules import run
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
    copies = {layer.parameter: draw(st.integers(1, min(layer.vectors, 3))) for layer in network.layers}
    replicas = {layer.name: copies[layer.parameter] for layer in network.layers}
    placement = place(network, draw(chips), replicas=replicas)
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
    copies = {layer.parameter: data.draw(st.integers(1, min(layer.vectors, 3))) for layer in network.layers}
    replicas = {layer.name: copies[layer.parameter] for layer in network.layers}
    large = Pieces(place(network, chip, replicas=replicas), True, "sequential", samples)

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


def test_a_single_one_is_just_timed() -> None:
    one = Pieces(place(chain(16, 8), Chip.load("rpu-2016")), True, "sequential")
    assert one.timed(1).ledger(one.price) == one.all(1)


def test_what_never_repeats_itself_is_refused_beyond_what_can_be_run() -> None:
    two = Pieces(place(chain(64, 32, 16), Chip.load("rpu-2016")), False, "layer-pipelined")
    with pytest.raises(InputError, match=r"samples: nothing repeats itself among the first 3 of 100 .* no more than 3"):
        steady.account(two.plan, "layer-pipelined", two.price, lambda number, _: two.work(number), 100, most=3)
