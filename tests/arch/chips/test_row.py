"""Several chips in a row: where tiles are, which way messages take, what links cost, recomputed by hand."""

from __future__ import annotations

import numpy as np
import pytest
from generated import chain, with_tiles

from rpusim.arch.account.pricing import Pricer
from rpusim.arch.chips.bill_of_parts import bill_of_parts
from rpusim.arch.chips.chip import Chip
from rpusim.arch.chips.row import several
from rpusim.arch.engine.events import Op
from rpusim.arch.mapping.assumed_activity import assumed_activity
from rpusim.arch.mapping.placement import place
from rpusim.arch.schedule.plan import make_plan
from rpusim.arch.schedule.schedules import run
from rpusim.errors import InputError


def test_tiles_are_filled_one_chip_after_the_other() -> None:
    placement = place(chain(8, 8, 8, 8, 8), with_tiles(Chip.load("reram-512"), 2), fit="chips 2")
    chip = placement.chip
    assert (chip.name, chip.chips, chip.tile_count) == ("2 x reram-512", 2, 4)
    assert [chip.of_chip(placed.blocks[0].chip_tile) for placed in placement.layers] == [(0, 0), (0, 1), (1, 0), (1, 1)]


def test_kinds_of_tiles_have_their_own_numbers_on_every_chip() -> None:
    chip = several(Chip.load("rpu-2017-bimodal"), 3)  # 20 large and 40 small tiles each
    assert [chip.of_chip(tile) for tile in (0, 19, 20, 59, 60, 99, 100, 179)] == [
        (0, 0),
        (0, 19),
        (1, 0),
        (2, 19),
        (0, 20),
        (0, 59),
        (1, 20),
        (2, 59),
    ]


def test_a_message_between_chips_takes_as_long_and_costs_as_much_as_by_hand() -> None:
    """From chip 0 to chip 2: 40 words of 16 bits, a header of 32, over two links of 64 GB/s and 2 ns, 0.5 pJ a bit."""
    network, one = chain(8, 40, 8), with_tiles(Chip.load("reram-512"), 1)
    placement = place(network, several(one, 3))
    far = placement.layers[1].blocks[0]
    assert far.chip_tile == 1
    moved = (
        placement.layers[1]
        .blocks[0]
        .__class__(
            far.layer, far.tile, far.row_start, far.row_stop, far.column_start, far.column_stop, 0, 2, 0, ((2, 0),)
        )
    )
    layers = (placement.layers[0], placement.layers[1].__class__(**{**vars(placement.layers[1]), "blocks": (moved,)}))
    plan = make_plan(placement.__class__(network, placement.chip, "column", layers))
    activity = assumed_activity(plan.placement, 1, training=False)
    events = run(plan, activity, "sequential")
    on_links = np.flatnonzero(np.array([part == "chip link" for part in plan.station_parts])[events.station])
    assert [plan.stations[station] for station in events.station[on_links]] == ["chip link 0-1", "chip link 1-2"]
    assert events.amount[on_links].tolist() == [40 * 16 + 32] * 2 and set(events.op[on_links]) == {Op.SEND}
    assert events.duration[on_links].tolist() == [1_313] * 2  # 672 bits at 512 Gb/s
    assert events.start[on_links[1]] == events.end[on_links[0]] + 2_000
    ledger, _ = Pricer(plan).piece(events, activity, None)
    joules = {part: 0 for part, _, _ in ledger.energy}
    for (part, _, _), zeptojoules in ledger.energy.items():
        joules[part] += zeptojoules
    assert joules["chip link"] == 2 * 672 * 500_000_000  # 0.5 pJ are 5e8 zJ


def test_links_have_an_area_and_circuits_of_a_chip_are_there_in_each() -> None:
    one = Chip.load("isaac-2016")
    areas = [bill_of_parts(several(one, number)).area_m2 for number in (1, 2, 3)]
    link = 2.05e-6 * one.area_factor
    assert areas[2] - areas[1] == pytest.approx(areas[1] - areas[0], rel=1e-6)
    assert areas[1] == pytest.approx(2 * areas[0] + link, rel=1e-3)


def test_numbers_of_chips_that_cannot_be_are_refused() -> None:
    for given, said in (
        ("chips 0", "got 0 chips, but a whole number from 1 to 1024"),
        ("pack,chips many", "got 'many' chips"),
        ("grow,chips 2", "got grow and several chips"),
    ):
        with pytest.raises(InputError, match=said):
            place(chain(8, 8), Chip.load("reram-512"), fit=given)


def test_more_chips_hold_what_one_does_not() -> None:
    chip = with_tiles(Chip.load("reram-512"), 2)
    with pytest.raises(InputError, match=r"[01] of 2 are left"):
        place(chain(1024, 512, 512), chip)
    assert place(chain(1024, 512, 512), chip, fit="chips 2").arrays_used == 3
