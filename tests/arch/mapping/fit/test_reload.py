"""Blocks that take turns: the fewest arrays for turns, hand-made cycles, and nobody writes while another is at work."""

from __future__ import annotations

import numpy as np
import pytest
from generated import chain, changed, chips, sequences
from hypothesis import given, settings
from hypothesis import strategies as st

from rpusim.arch.chips.chip import Chip
from rpusim.arch.contract.cell_layout import CellLayout
from rpusim.arch.engine.events import Op
from rpusim.arch.mapping.assumed_activity import assumed_activity
from rpusim.arch.mapping.assumed_work import check
from rpusim.arch.mapping.fit.reload import for_turns
from rpusim.arch.mapping.fit.turns import BEFORE, turns
from rpusim.arch.mapping.placement import Placement, place
from rpusim.arch.network.network import connect
from rpusim.arch.network.operations import WeightLayer
from rpusim.arch.schedule.plan import make_plan
from rpusim.arch.schedule.schedules import run
from rpusim.errors import InputError


def few(tiles: int, chip: str = "reram-512") -> Chip:
    loaded = Chip.load(chip)
    return loaded.model_copy(update={"tiles": (loaded.tiles[0].model_copy(update={"count": tiles}),)})


def belady(uses: list[list[int]], arrays: int, cycles: int) -> int:
    """Writes of one cycle, once it has come round, if whoever is needed last goes; uses have their blocks together."""
    there, written = set[int](), [0] * cycles
    after = [use for _ in range(cycles + 2) for use in uses]
    for cycle in range(cycles):
        for number, use in enumerate(uses):
            at = cycle * len(uses) + number
            for block in use:
                if block not in there:
                    written[cycle] += 1
                    if len(there) == arrays:

                        def next_use(other: int, at: int = at) -> int:
                            return next(i for i in range(at + 1, len(after)) if other in after[i])

                        there.remove(max(there - set(use), key=next_use))
                    there.add(block)
    return sum(written[cycles // 2 :]) // (cycles - cycles // 2)


@given(sizes=st.lists(st.integers(1, 5), min_size=1, max_size=8), spare=st.integers(0, 12))
@settings(max_examples=200, deadline=None)
def test_the_arrays_for_turns_are_the_fewest_and_writes_are_within_them_of_beladys(
    sizes: list[int], spare: int
) -> None:
    arrays = max(sizes) + spare
    found = for_turns(sizes, arrays)

    def possible(turning: int) -> bool:
        return turning + sum(max(0, size - turning) for size in sizes) <= arrays

    if sum(sizes) <= arrays:
        assert found == 0
        return
    assert possible(found) and not any(possible(fewer) for fewer in range(1, found))
    blocks = iter(range(sum(sizes)))
    least = belady([[next(blocks) for _ in range(size)] for size in sizes], arrays, 12)
    assert least <= sum(sizes) - (arrays - found) <= least + found


@given(
    chip=chips,
    sizes=st.lists(st.integers(1, 60), min_size=3, max_size=6),
    samples=st.integers(1, 3),
    spare=st.integers(0, 5),
)
@settings(max_examples=60, deadline=None)
def test_a_block_is_written_after_the_one_before_it_has_been_used_and_before_its_own_vectors(
    chip: Chip, sizes: list[int], samples: int, spare: int
) -> None:
    network = chain(*sizes)
    largest = max(len(placed.blocks) for placed in place(network, changed(chip)).layers)
    chip = changed(chip)
    chip = chip.model_copy(update={"tiles": (chip.tiles[0].model_copy(update={"count": largest + spare}),)})
    placement = place(network, chip, fit="reload")
    plan, activity = make_plan(placement), assumed_activity(placement, samples, training=False)
    try:
        events = run(plan, activity, "sequential")
    except InputError as error:
        assert "buffer" in str(error)
        return
    array = np.array([part == "array" for part in plan.station_parts])[events.station]
    written = np.flatnonzero(array & (events.op == Op.WRITE))
    assert len(written) == samples * sum(map(len, turns(placement).values()))
    steps = activity.step[np.maximum(events.row, 0)]
    held: dict[int, tuple[int, int]] = {}
    for event in np.flatnonzero(array & np.isin(events.op, [Op.WRITE, Op.DRIVE])).tolist():
        own = int(events.layer[event]), int(events.tile[event])
        station = int(events.station[event])
        if not placement.layers[own[0]].blocks[own[1]].reloaded:
            continue
        if events.op[event] == Op.WRITE:
            held[station] = own
        elif events.phase[event] == 0 and own[1] in turns(placement).get(own[0], {}):
            assert held[station] == own, f"vector of {own} on an array that holds another block, in step {steps[event]}"


def names(placement: Placement) -> list[list[int]]:
    return [[block.slots[0][0] for block in placed.blocks] for placed in placement.layers]


def test_three_layers_on_two_arrays_by_hand() -> None:
    """The one with the largest blocks stays on array 0; the two others take turns on array 1."""
    placement = place(chain(40, 30, 200, 10), few(2), fit="reload")
    assert names(placement) == [[1], [0], [1]]
    assert turns(placement) == {0: {0: BEFORE}, 2: {0: (0, 0)}}
    assert placement.arrays_used == 2 and placement.reloads
    # each of the three blocks counts an array of 512 x 512
    assert placement.utilisation == (40 * 30 + 30 * 200 + 200 * 10) / (3 * 512 * 512)


def test_turns_go_round_so_that_arrays_wear_alike() -> None:
    placement = place(chain(1024, 10, 1024, 10, 1024, 10), few(4), fit="reload")
    assert all(block.reloaded for block in placement.layers[2].blocks)
    assert sum(map(len, turns(placement).values())) == 10 - (4 - for_turns([2] * 5, 4))


def test_a_layer_that_is_to_stay_stays() -> None:
    placement = place(chain(40, 30, 200, 10), few(2), fit="reload,layer2=as-is")
    assert names(placement) == [[1], [1], [0]]


def test_a_weight_that_is_used_twice_is_written_twice_if_another_came_between() -> None:
    line = WeightLayer.linear
    steps = [
        (line("a", (8,), 8, bias=False, parameter="w"), ("input",)),
        (line("b", (8,), 8, bias=False), ("a",)),
        (line("c", (8,), 8, bias=False, parameter="w"), ("b",)),
    ]
    placement = place(connect("aba", (8,), steps), few(1), fit="reload")
    assert turns(placement) == {1: {0: (0, 0)}, 2: {0: (1, 0)}}  # the next sample finds w there


def test_what_fits_stays() -> None:
    placement = place(chain(40, 30, 20), few(2), fit="reload")
    assert not placement.reloads and turns(placement) == {}


def test_weights_come_from_dram_where_the_chip_has_some() -> None:
    chip = Chip.load("neurosim-vgg8")
    chip = changed(chip, array={"arrays": 1})
    chip = chip.model_copy(update={"tiles": (chip.tiles[0].model_copy(update={"count": 1}),)})
    placement = place(chain(40, 30, 20), chip, fit="reload")
    plan, activity = make_plan(placement), assumed_activity(placement, 1, training=False)
    events = run(plan, activity, "sequential")
    brought = (events.op == Op.FETCH) & (events.station == plan.outside["DRAM"]) & (events.phase == 4)
    assert sorted(events.amount[brought]) == [n * chip.tiles[0].digital.word_bits for n in (30 * 20, 40 * 30)]


@pytest.mark.parametrize(
    ("asked", "said"),
    [
        ({"training": True}, "got reload for training"),
        ({"schedule": "layer-pipelined"}, "got reload for schedule 'layer-pipelined'"),
    ],
)
def test_what_is_not_sample_by_sample_is_refused(asked: dict[str, object], said: str) -> None:
    given: dict[str, object] = {"samples": 1, "training": False, "schedule": "sequential", "batch": 1, **asked}
    with pytest.raises(InputError, match=said):
        check(place(chain(40, 30, 20), few(1), fit="reload"), **given)  # type: ignore[arg-type]


def test_what_cannot_take_turns_is_refused_with_numbers() -> None:
    with pytest.raises(
        InputError, match=r"layer 'hh' needs 4 arrays of 'reram' in each of its 5 steps, but 3 of 3 can be reloaded"
    ):
        place(sequences(5, 500, "lstm", True), few(3), fit="reload")
    with pytest.raises(InputError, match="layers that are to stay need 4 arrays of 'reram', and the others at least 1"):
        place(chain(1024, 1024, 8), few(4), fit="reload,layer0=as-is")
    with pytest.raises(InputError, match="got reload for unit cells of kind 'transfer'"):
        place(chain(8, 8), few(1), cell=CellLayout("transfer", arrays=2), fit="reload")
    with pytest.raises(InputError, match=r"tiles .* do not say how they are written, but weights take turns"):
        place(chain(8, 8, 8), few(1, "yao-2020"), fit="reload")
