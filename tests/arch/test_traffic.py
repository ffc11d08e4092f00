"""What goes from tile to tile: errors to every block that needs them, results to every replica that reads them."""

from __future__ import annotations

import numpy as np
import pytest
from generated import chain, changed, one_mini_batch

from rpusim.arch.activity import Phase
from rpusim.arch.assumption import assumed_activity
from rpusim.arch.chip import Chip
from rpusim.arch.events import Events, Op
from rpusim.arch.mapping import CellLayout, Placement, place
from rpusim.arch.plan import Plan, make_plan
from rpusim.arch.schedule import run

WORD = Chip.load("reram-512").tiles[0].digital.word_bits


def trained(placement: Placement, samples: int, schedule: str = "sequential") -> tuple[Plan, Events]:
    """One mini-batch of training."""
    plan = make_plan(placement)
    activity = one_mini_batch(assumed_activity(placement, samples, training=True), placement)
    return plan, run(plan, activity, schedule)  # type: ignore[arg-type]


def stored(plan: Plan, events: Events, layer: int, phase: Phase) -> dict[str, int]:
    """Bits that others put into buffers, by name."""
    chosen = (events.op == Op.STORE) & (events.row < 0) & (events.layer == layer) & (events.phase == phase)
    return {
        plan.stations[station]: int(events.amount[chosen & (events.station == station)].sum())
        for station in np.unique(events.station[chosen])
    }


class TestErrors:
    """A layer with more inputs than an array has columns is a row of blocks; its error is known at the first."""

    @pytest.mark.parametrize("cell", [CellLayout(), CellLayout("mixed-precision", learning=(), slices="row", words=1)])
    def test_every_tile_of_a_row_of_blocks_gets_its_rows_of_every_error(self, cell: CellLayout) -> None:
        """600 outputs and 1200 inputs on reram-512: two rows of three blocks each."""
        placement = place(chain(1200, 600), Chip.load("reram-512"), cell=cell)
        plan, events = trained(placement, 3)
        assert [block.rows for block in placement.layers[0].row_homes] == [300, 300]
        found = stored(plan, events, 0, Phase.BACKWARD)
        assert found == {f"tile {tile} buffer": 3 * 300 * WORD for tile in (1, 2, 4, 5)}

    def test_arrays_on_one_tile_share_what_was_sent_to_it(self) -> None:
        """Four arrays to a tile: blocks 0 to 3 on the first, 4 and 5 on the second."""
        placement = place(chain(1200, 600), changed(Chip.load("reram-512"), array={"arrays": 4}))
        plan, events = trained(placement, 1)
        assert stored(plan, events, 0, Phase.BACKWARD) == {"tile 1 buffer": 300 * WORD}

    @pytest.mark.parametrize("schedule", ["sequential", "minibatch-pipelined", "asynchronous"])
    def test_a_block_goes_back_and_learns_when_the_error_is_in_its_buffer(self, schedule: str) -> None:
        plan, events = trained(place(chain(8, 600, 20), Chip.load("reram-512")), 4, schedule)
        (message,) = plan.layers[1].errors[0]
        assert len(message.route) > 1
        mine = events.layer == 1
        for sample in range(4):
            of_sample = mine & (events.vector == sample)
            came = of_sample & (events.op == Op.STORE) & (events.phase == Phase.BACKWARD) & (events.row < 0)
            came &= events.station == message.buffer
            for op, phase in ((Op.DRIVE, Phase.BACKWARD), (Op.PULSE, Phase.UPDATE)):
                used = of_sample & (events.op == op) & (events.phase == phase) & (events.tile == 1)
                assert used.any() and came.sum() == 1
                assert events.end[came].max() <= events.start[used].min()

    def test_a_layer_that_only_learns_waits_for_its_error_too(self) -> None:
        _, events = trained(place(chain(1200, 20), Chip.load("reram-512")), 1)
        came = events.end[(events.op == Op.STORE) & (events.phase == Phase.BACKWARD)]
        pulsed = (events.op == Op.PULSE) & (events.tile > 0)
        assert len(came) == 2 and events.start[pulsed].min() >= came.max()
