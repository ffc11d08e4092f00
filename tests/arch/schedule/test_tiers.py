"""Tiers: arrays on one another share drivers and converters, and one of a stack works at a time."""

from __future__ import annotations

import numpy as np
import pytest

from rpusim.arch.chips.bill_of_parts import bill_of_parts
from rpusim.arch.chips.chip import Chip
from rpusim.arch.contract.cell_layout import CellLayout
from rpusim.arch.engine.events import Op
from rpusim.arch.mapping.assumed_activity import assumed_activity
from rpusim.arch.mapping.placement import place
from rpusim.arch.network.network import connect
from rpusim.arch.network.operations import WeightLayer
from rpusim.arch.schedule.plan import make_plan
from rpusim.arch.schedule.schedules import run
from rpusim.errors import InputError


def chip(tiers, count):
    shipped = Chip.load("reram-512")
    return shipped.model_copy(update={"tiles": (shipped.tiles[0].model_copy(update={"tiers": tiers, "count": count}),)})


def layers(number):
    """Layers of one array each, one behind another, of 20 vectors."""
    steps, before = [], "input"
    for index in range(number):
        steps.append((WeightLayer.linear(f"layer{index}", (20, 64), 64, bias=False), (before,)))
        before = f"layer{index}"
    return connect("layers", (20, 64), steps)


def timed(on, training=False, schedule="layer-pipelined", engine="compiled"):
    plan = make_plan(place(layers(3), on))
    return plan, run(plan, assumed_activity(plan.placement, 2, training, 2), schedule, engine)


def test_one_tier_of_all_tiles_is_filled_before_the_next():
    placement = place(layers(5), chip(3, 2))
    assert [block.slots[0] for block in placement.blocks()] == [(0, 0), (1, 0), (0, 1), (1, 1), (0, 2)]
    assert placement.tiles_used == 2
    with pytest.raises(InputError, match=r"needs 1 array of .*, but 0 of 6 are left"):
        place(layers(7), chip(3, 2))


def test_one_array_of_a_stack_is_driven_at_a_time():
    plan, events = timed(chip(3, 1))
    driven = events.op == Op.DRIVE
    arrays = [number for number, part in enumerate(plan.station_parts) if part == "array"]
    assert len(arrays) == 1
    mine = driven & (events.station == arrays[0])
    start, end = np.sort(events.start[mine]), np.sort(events.end[mine])
    assert len(start) == 3 * 2 * 20
    assert np.all(start[1:] >= end[:-1])


def test_layers_in_a_stack_take_the_time_of_all_of_them_and_on_tiles_of_their_own_they_overlap():
    (_, stacked), (_, apart) = timed(chip(3, 1)), timed(chip(1, 3))
    held = 24_000 + 16_000  # 24 ns of driving, then 16 lines of each converter, without sample-and-hold
    assert stacked.end.max() >= 3 * 2 * 20 * held
    assert apart.end.max() < 2 * 2 * 20 * held


@pytest.mark.parametrize(("training", "schedule"), [(False, "layer-pipelined"), (True, "minibatch-pipelined")])
def test_both_engines_agree(training, schedule):
    (_, fast), (_, definition) = (timed(chip(2, 2), training, schedule, engine) for engine in ("compiled", "simpy"))
    assert np.array_equal(fast.start, definition.start)
    assert np.array_equal(fast.end, definition.end)


def test_tiers_take_no_area_of_their_own():
    one, four = (bill_of_parts(chip(tiers, 8)) for tiers in (1, 4))
    assert four.area_m2 == one.area_m2
    assert four.tiles[0]["array"].units == 4 * one.tiles[0]["array"].units
    assert four.tiles[0]["ADC"].units == one.tiles[0]["ADC"].units


def test_unit_cells_of_several_arrays_are_refused():
    with pytest.raises(InputError, match="unit cells of 2 arrays use them together, but of arrays on one another one"):
        place(layers(1), chip(2, 4), cell=CellLayout(arrays=2))
