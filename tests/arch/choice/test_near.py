"""Tiles that are put near those with which they exchange bits."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace

import numpy as np
import pytest
from generated import chain, residual, works
from hypothesis import Phase as Stage
from hypothesis import given, settings
from hypothesis import strategies as st

from rpusim.arch.chips.chip import Chip
from rpusim.arch.choice.choose import place_chosen
from rpusim.arch.choice.near import hops, nearer
from rpusim.arch.choice.traffic_of_tiles import bits_times_hops, over_stations
from rpusim.arch.contract.activity import Activity
from rpusim.arch.engine.events import Op
from rpusim.arch.mapping.assumed_activity import assumed_activity
from rpusim.arch.mapping.placement import Placement, place
from rpusim.arch.schedule.plan import Plan, make_plan
from rpusim.arch.schedule.schedules import Schedule, run
from rpusim.errors import InputError

WITHOUT_SHRINKING = (Stage.explicit, Stage.reuse, Stage.generate)


def narrow(name: str, columns: int, tiles: int, lines: int = 8, copies: bool = False) -> Chip:
    """A chip of small arrays on a mesh of so many columns."""
    chip = Chip.load(name)
    kind = chip.tiles[0]
    array = kind.array.model_copy(update={"rows": lines, "columns": lines})
    kind = kind.model_copy(update={"array": array, "count": tiles})
    mesh = chip.mesh.model_copy(update={"columns": columns, "multicast": copies})
    return chip.model_copy(update={"tiles": (kind,), "mesh": mesh})


def blocks(placement: Placement) -> list[tuple[int, ...]]:
    return sorted((b.layer, b.tile, b.row_start, b.row_stop, b.column_start, b.column_stop) for b in placement.blocks())


@given(works())
@settings(max_examples=80, deadline=None, phases=WITHOUT_SHRINKING)
def test_it_is_never_farther_than_today_and_the_same_blocks(work: tuple[Plan, Activity, Schedule]) -> None:
    plan, activity, _ = work
    before, training = plan.placement, activity.trains
    after = nearer(before, training)
    assert bits_times_hops(make_plan(after), training) <= bits_times_hops(plan, training)
    assert blocks(after) == blocks(before)
    assert after.tiles_used == before.tiles_used and after.arrays_used == before.arrays_used
    assert nearer(before, training) == after
    of_kind = np.cumsum([kind.count for kind in after.chip.tiles])
    assert all(np.searchsorted(of_kind, tile, side="right") == b.kind for b in after.blocks() for tile, _ in b.slots)
    together = Counter(slot for b in before.blocks() for slot in b.slots)
    assert sorted(together.values()) == sorted(Counter(slot for b in after.blocks() for slot in b.slots).values())


@given(works())
@settings(max_examples=60, deadline=None, phases=WITHOUT_SHRINKING)
def test_what_is_counted_is_what_the_events_of_a_sample_carry(work: tuple[Plan, Activity, Schedule]) -> None:
    plan = work[0]
    placement = plan.placement
    chip = placement.chip
    if chip.global_buffer or chip.memory or chip.host or placement.drawn:  # what overflows goes there, too
        return
    try:
        events = run(plan, assumed_activity(placement, 1, False), "sequential")
    except InputError:  # a buffer too small
        return
    sends = events.op == Op.SEND
    amounts = events.amount[sends] - chip.mesh.header_bits
    found = np.bincount(events.station[sends], amounts, len(plan.stations))
    assert np.array_equal(found.astype(np.int64), over_stations(plan, training=False))


@given(
    st.sampled_from(["rpu-2016", "reram-512"]),
    st.integers(1, 6),
    st.integers(0, 30),
    st.one_of(
        st.lists(st.integers(1, 40), min_size=2, max_size=4).map(lambda sizes: chain(*sizes)),
        st.builds(residual, st.sampled_from([3, 4]), st.integers(1, 6), st.integers(1, 3)),
    ),
    st.booleans(),
    st.sampled_from(["sequential", "layer-pipelined"]),
    st.sampled_from(["near", "near", "in-order"]),
)
@settings(max_examples=60, deadline=None, phases=WITHOUT_SHRINKING)
def test_twice_the_tiles_never_make_a_network_slower(
    name: str, columns: int, spare: int, network: object, copies: bool, schedule: Schedule, placing: str
) -> None:
    """Nor farther: every set of places of the smaller chip is one of the larger."""
    needed = place(network, narrow(name, columns, 4000), fit="as-is").tiles_used  # type: ignore[arg-type]
    times, far = [], []
    for tiles in (needed + spare, 2 * (needed + spare)):
        placement = place_chosen(network, narrow(name, columns, tiles, copies=copies), placing=placing)  # type: ignore[arg-type]
        plan = make_plan(placement)
        far.append(bits_times_hops(plan, False))
        times.append(run(plan, assumed_activity(placement, 3, False), schedule).makespan_ps)
    assert far[1] <= far[0]
    assert times[1] <= times[0]


def test_a_row_of_layers_that_is_cut_becomes_a_loop() -> None:
    """Two columns: four layers in order take a step to the row below twice; no way is longer than one hop."""
    placement = place(chain(8, 8, 8, 8, 8), narrow("rpu-2016", 2, 4))
    bits = 8 * placement.chip.tiles[0].digital.word_bits
    assert bits_times_hops(make_plan(placement), False) == (1 + 2 + 1) * bits
    assert bits_times_hops(make_plan(nearer(placement)), False) == (1 + 1 + 1) * bits


def test_hops_are_the_links_of_a_route() -> None:
    """Between chips over the edges of both: down the mesh, along the row of chips, up the mesh."""
    chip = narrow("rpu-2016", 2, 4)
    assert hops(chip, [0, 1, 2, 3]).tolist() == [[0, 1, 1, 2], [1, 0, 2, 1], [1, 2, 0, 1], [2, 1, 1, 0]]
    plan = make_plan(place(chain(8, 8, 8), chip, fit="as-is,chips 2"))
    joined = plan.placement.chip
    for tile in range(8):
        moved = replace(plan.placement.layers[1].blocks[0], chip_tile=tile, slots=((tile, 0),))
        layers = plan.placement.layers[0], replace(plan.placement.layers[1], blocks=(moved,))
        route = make_plan(replace(plan.placement, layers=layers)).layers[0].outputs[0][0]
        links = max(len(route[0].route) - 1, 0) if route else 0
        assert hops(joined, [0, tile])[0, 1] == links


def test_an_unknown_way_is_refused() -> None:
    with pytest.raises(InputError, match=r"placing: got 'nearr'; did you mean 'near'"):
        place_chosen(chain(8, 8), Chip.load("rpu-2016"), placing="nearr")
