"""Layers larger than the chip, in rounds: by hand, as conservation laws of what waits, and in order of time."""

from __future__ import annotations

import numpy as np
from generated import chain, changed, chips, images, with_outside, with_tiles
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from rpusim.arch.chips.chip import Chip
from rpusim.arch.contract.activity import Phase
from rpusim.arch.engine.events import WAITING, Events, Op
from rpusim.arch.mapping.assumed_activity import assumed_activity
from rpusim.arch.mapping.fit.reload import for_turns
from rpusim.arch.mapping.fit.turns import BEFORE, turns
from rpusim.arch.mapping.grids import balanced
from rpusim.arch.mapping.placement import Placement, place
from rpusim.arch.network.network import Network
from rpusim.arch.schedule.plan import Plan, make_plan
from rpusim.arch.schedule.schedules import run
from rpusim.errors import InputError


def few(tiles: int) -> Chip:
    return with_tiles(Chip.load("reram-512"), tiles)


def timed(placement: Placement, samples: int = 1) -> tuple[Plan, Events]:
    plan = make_plan(placement)
    return plan, run(plan, assumed_activity(placement, samples, training=False), "sequential")


def waiting(plan: Plan, events: Events, op: Op) -> int:
    """Bits of sums that were put away, or came back, in buffers, without those that crossed the mesh."""
    return int(events.amount[(events.row == WAITING) & (events.op == op)].sum())


def test_four_blocks_on_three_arrays_by_hand() -> None:
    """1024 x 1024 in two rounds of a row of blocks each; with the 8 x 1024 behind it three parts of two blocks, of
    which one stays: q + 3 max(0, 2 - q) <= 3 takes q = 2."""
    placement = place(chain(1024, 1024, 8), few(3), fit="reload")
    first, second = placement.layers
    assert first.rounds == ((0, 1), (2, 3)) and second.rounds == ((0, 1),)
    assert [block.slots[0][0] for block in first.blocks] == [0, 1, 2, 1]
    assert [block.slots[0][0] for block in second.blocks] == [2, 1]
    assert turns(placement) == {0: {1: BEFORE, 2: BEFORE, 3: (0, 0)}, 1: {0: (0, 1), 1: (0, 1)}}
    assert [first.rounds_before_the_last(home) for home in first.row_homes] == [[0], []]


def test_the_sums_of_a_finished_row_wait_once_and_the_others_from_round_to_round() -> None:
    """On one array every block of 2 x 2 is a round: the first row waits after two rounds, the second after one."""
    word, vectors = Chip.load("reram-512").tiles[0].digital.word_bits, 1
    plan, events = timed(place(chain(1024, 1024), few(1), fit="reload"), samples=3)
    assert [len(each) for each in plan.layers[0].placed.rounds] == [1, 1, 1, 1]
    expected = 3 * (512 + 512 + 512) * vectors * word
    assert waiting(plan, events, Op.STORE) == waiting(plan, events, Op.FETCH) == expected


@given(blocks=st.integers(2, 200), arrays=st.integers(1, 200))
@settings(max_examples=300, deadline=None)
def test_a_weight_in_rounds_is_written_as_often_as_equation_2_says(blocks: int, arrays: int) -> None:
    """Within the rounding of unequal parts, and never less than (blocks - arrays), nor more than all blocks."""
    if blocks <= arrays:
        return
    parts = balanced(blocks, arrays)
    written, rounds = blocks - (arrays - for_turns(parts, arrays)), len(parts)
    assert rounds == -(-blocks // arrays)
    exact = (blocks - arrays) * rounds / (rounds - 1)
    assert exact <= written < exact + 1 and blocks - arrays < written <= blocks


networks = st.one_of(
    st.lists(st.integers(20, 120), min_size=2, max_size=4).map(lambda sizes: chain(*sizes)),
    st.builds(images, st.sampled_from([4, 6]), st.integers(2, 8)),
)


@given(network=networks, chip=chips, tiles=st.integers(1, 4), samples=st.integers(1, 3))
@settings(max_examples=60, deadline=None)
def test_rounds_follow_each_other_and_what_waits_comes_back(
    network: Network, chip: Chip, tiles: int, samples: int
) -> None:
    placement = place(network, with_tiles(changed(chip), tiles), fit="reload")
    assume(placement.reloads)
    activity, plan = assumed_activity(placement, samples, training=False), make_plan(placement)
    try:
        events = run(plan, activity, "sequential")
    except InputError as error:
        assert "buffer" in str(error)
        return
    step = np.where(events.row >= 0, activity.step[np.maximum(events.row, 0)], -1)
    drives = (events.op == Op.DRIVE) & (events.phase == Phase.FORWARD)
    for placed in placement.layers:
        of = np.array([block.round for block in placed.blocks])
        for sample in range(samples):
            mine = drives & (events.layer == placed.index) & (step == sample)
            number = of[events.tile[mine]]
            ends = [events.end[mine][number == each].max() for each in range(len(placed.rounds))]
            begins = [events.start[mine][number == each].min() for each in range(len(placed.rounds))]
            assert all(end <= begin for end, begin in zip(ends, begins[1:], strict=False))
    word = chip.tiles[0].digital.word_bits
    early = [
        (placed.layer.vectors * home.rows * word, len(placed.rounds_before_the_last(home)))
        for placed in placement.layers
        for home in placed.row_homes
    ]
    put = samples * sum(bits * times for bits, times in early)
    in_buffers = (np.array(plan.station_parts) == "buffer")[events.station] & (events.row == WAITING)
    outside = np.isin(events.station, list(plan.outside.values())) & (events.row == WAITING)
    for op in (Op.STORE, Op.FETCH):
        assert int(events.amount[(in_buffers | outside) & (events.op == op)].sum()) == put


@given(network=networks, tiles=st.integers(1, 4))
@settings(max_examples=30, deadline=None)
def test_the_arrays_and_digital_units_do_the_work_of_a_chip_that_holds_all(network: Network, tiles: int) -> None:
    """Rounds add writes and what moves sums and inputs; multiplications, conversions and additions are the same."""
    chip = with_tiles(changed(Chip.load("reram-512"), array={"rows": 24, "columns": 24}), tiles)
    placements = [place(network, chip, fit="reload"), place(network, chip, fit="grow")]
    done = []
    for placement in placements:
        activity, plan = assumed_activity(placement, 2, training=False), make_plan(placement)
        events = run(plan, activity, "sequential")
        forward = events.phase == Phase.FORWARD
        ops = Op.DRIVE, Op.CONVERT, Op.DIGITAL
        done.append([int(events.amount[forward & (events.op == op)].sum()) for op in ops])
    assert done[0] == done[1]


def test_sums_that_buffers_do_not_hold_go_where_inputs_go() -> None:
    chip = changed(Chip.load("reram-512"), array={"rows": 24, "columns": 24}, buffer={"capacity": 512})
    chip = with_tiles(with_outside(chip, frozenset(["memory"])), 2)
    plan, events = timed(place(images(6, 8), chip, fit="reload"))
    stored = (events.row == WAITING) & (events.op == Op.STORE)
    assert int(events.amount[stored & (events.station == plan.outside["DRAM"])].sum()) > 0


def test_rounds_are_for_what_does_not_fit_only() -> None:
    placement = place(chain(1024, 1024, 8), few(4), fit="reload")
    assert placement.reloads and all(len(placed.rounds) == 1 for placed in placement.layers)
