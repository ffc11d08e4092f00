"""Equal mini-batches: a few of them timed give the account of any number, exactly."""

from __future__ import annotations

import pytest
from generated import chain, chips, images, networks, replicated
from hypothesis import given, settings
from hypothesis import strategies as st

from rpusim.arch import steady
from rpusim.arch.assumption import assumed_activity
from rpusim.arch.chip import Chip
from rpusim.arch.ledger import Ledger, Pricer
from rpusim.arch.mapping import Placement, place
from rpusim.arch.network import Network
from rpusim.arch.plan import make_plan
from rpusim.arch.schedule import run


class Timed:
    """The account of n samples, each a mini-batch of its own, as the engine finds it."""

    def __init__(self, placement: Placement, training: bool) -> None:
        self.plan, self.training, self.largest = make_plan(placement), training, 0
        self.price = Pricer(self.plan)

    def __call__(self, number: int) -> Ledger:
        self.largest = max(self.largest, number)
        activity = replicated(self.plan.placement, assumed_activity(self.plan.placement, number, self.training))
        return self.price(run(self.plan, activity, "sequential"), activity)


@given(network=networks, chip=chips, training=st.booleans(), total=st.integers(1, 40))
@settings(max_examples=60, deadline=None)
def test_the_account_is_that_of_all_of_them_timed(network: Network, chip: Chip, training: bool, total: int) -> None:
    timed = Timed(place(network, chip), training)
    found, of = steady.account(timed, total)
    whole = timed(total)
    assert found == whole
    assert of <= total


@pytest.mark.parametrize("training", [True, False])
def test_few_are_timed_for_a_million(training: bool) -> None:
    timed = Timed(place(images(8, 8), Chip.load("reram-512")), training)
    found, of = steady.account(timed, 1_000_000)
    assert timed.largest == of <= 6
    assert found.time_ps > 10**6 * 10**6  # more than a microsecond each


def test_a_single_one_is_just_timed() -> None:
    timed = Timed(place(chain(16, 8), Chip.load("rpu-2016")), True)
    assert steady.account(timed, 1) == (timed(1), 1)
