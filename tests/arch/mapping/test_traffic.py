"""What goes from tile to tile: errors to every block that needs them, results to every replica that reads them.

What replicas read is found a second time, window by window.
"""

from __future__ import annotations

from collections import Counter
from typing import Any

import numpy as np
import pytest
from generated import chain, changed, images, one_mini_batch, one_replica, replicated, with_outside

from rpusim.arch.chips.chip import Chip
from rpusim.arch.contract.activity import Phase
from rpusim.arch.contract.cell_layout import CellLayout
from rpusim.arch.engine.events import Events, Op
from rpusim.arch.mapping.assumed_activity import assumed_activity
from rpusim.arch.mapping.placement import Placement, place
from rpusim.arch.network.network import Network, connect
from rpusim.arch.network.operations import Operation, WeightLayer, Window
from rpusim.arch.schedule.plan import Plan, make_plan
from rpusim.arch.schedule.schedules import run

WORD = Chip.load("reram-512").tiles[0].digital.word_bits


def trained(
    placement: Placement, samples: int, schedule: str = "sequential", training: bool = True
) -> tuple[Plan, Events]:
    """One mini-batch."""
    plan = make_plan(placement)
    activity = one_mini_batch(assumed_activity(one_replica(placement), samples, training), one_replica(placement))
    return plan, run(plan, replicated(placement, activity), schedule)  # type: ignore[arg-type]


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


SAMPLES = 3
SIDE, CHANNELS = 6, 4
NEXT = SIDE // 2
"""Of the image that the second convolution of `images` reads, after pooling."""


def windows(side: int) -> list[set[tuple[int, int]]]:
    """Positions of a square image under each 3 x 3 window with a margin of one, in raster order."""
    inside = range(side)
    return [
        {(y, x) for y in range(row - 1, row + 2) for x in range(column - 1, column + 2) if y in inside and x in inside}
        for row in inside
        for column in inside
    ]


def read(side: int, replicas: int) -> Counter[tuple[int, int, int, int]]:
    """(sample, replica, row, column) of what each replica has to get; vectors of a mini-batch are counted through."""
    vectors = side * side
    return Counter(
        {
            (sample, (sample * vectors + vector) % replicas, *place)
            for sample in range(SAMPLES)
            for vector, under in enumerate(windows(side))
            for place in under
        }
    )


def replicas_of(first: int, second: int, chip: Chip | None = None, network: Network | None = None) -> Placement:
    names = {"conv1": first, "conv2": second}
    return place(network or images(SIDE, CHANNELS), chip or changed(Chip.load("reram-512")), replicas=names)


def buffers(placement: Placement, layer: int) -> list[str]:
    return [f"tile {block.chip_tile} buffer" for block in placement.layers[layer].blocks]


@pytest.mark.parametrize(("first", "second"), [(1, 1), (1, 3), (2, 3), (4, 2), (36, 9), (5, 4)])
class TestReplicas:
    """Among them numbers that do not divide 36 and 9 vectors: turns then move on from sample to sample."""

    def test_every_replica_gets_each_position_that_it_reads_once(self, first: int, second: int) -> None:
        placement = replicas_of(first, second)
        plan, events = trained(placement, SAMPLES, training=False)
        needed = Counter(replica for _, replica, *_ in read(NEXT, second))
        expected = {buffers(placement, 1)[replica]: n * CHANNELS * WORD for replica, n in needed.items()}
        assert stored(plan, events, 0, Phase.FORWARD) == expected

    def test_a_position_is_sent_by_the_vector_that_completes_it(self, first: int, second: int) -> None:
        """The last of the four that are pooled."""
        placement = replicas_of(first, second)
        plan, events = trained(placement, SAMPLES, training=False)
        sent = Counter(
            (sample * SIDE**2 + (2 * y + 1) * SIDE + 2 * x + 1, buffers(placement, 1)[replica])
            for sample, replica, y, x in read(NEXT, second)
        )
        chosen = (events.op == Op.STORE) & (events.row < 0) & (events.layer == 0)
        stations = [plan.stations[station] for station in events.station[chosen]]
        assert Counter(zip(events.vector[chosen].tolist(), stations, strict=True)) == sent

    def test_every_replica_sends_back_its_part_of_the_gradient_of_what_it_has_read(
        self, first: int, second: int
    ) -> None:
        placement = replicas_of(first, second)
        plan, events = trained(placement, SAMPLES)
        parts = Counter(
            (sample * SIDE**2 + (2 * y + 1) * SIDE + 2 * x + 1) % first for sample, _, y, x in read(NEXT, second)
        )
        expected = {buffers(placement, 0)[replica]: n * CHANNELS * WORD for replica, n in parts.items()}
        assert stored(plan, events, 1, Phase.BACKWARD) == expected

    def test_parts_of_a_gradient_are_added_up_where_they_arrive(self, first: int, second: int) -> None:
        placement = replicas_of(first, second)
        sums = [make_plan(each).layers[0].gradient_sums for each in (one_replica(placement), placement)]
        parts = len(read(NEXT, second)) // SAMPLES
        assert sums[1] - sums[0] == (parts - NEXT**2) * CHANNELS
        assert sums[0] == 0  # of one replica there is one part: nothing to add

    def test_every_replica_gets_what_it_reads_of_the_networks_input(self, first: int, second: int) -> None:
        chip = with_outside(changed(Chip.load("reram-512")), frozenset(["host"]))
        placement = replicas_of(first, second, chip)
        plan, events = trained(placement, SAMPLES, training=False)
        needed = Counter((sample, replica) for sample, replica, *_ in read(SIDE, first))
        stations = {name: replica for replica, name in enumerate(buffers(placement, 0))}
        chosen = (events.op == Op.STORE) & (events.layer == 0) & (events.row < 0)
        found: Counter[tuple[int, int]] = Counter()
        for station, sample, bits in zip(
            events.station[chosen], events.vector[chosen].tolist(), events.amount[chosen].tolist(), strict=True
        ):
            if plan.stations[station] in stations:
                found[sample, stations[plan.stations[station]]] += bits
        assert found == Counter({key: n * WORD for key, n in needed.items()})
        assert events.amount[events.op == Op.HOST].tolist() == [plan.layers[0].reads * WORD] * SAMPLES


def test_replicas_on_one_tile_share_what_was_sent_to_it() -> None:
    """Three of them, and with the next layer four arrays: all of the first tile of theirs."""
    array: dict[str, Any] = {"arrays": 4}
    placement = replicas_of(4, 3, changed(Chip.load("reram-512"), array=array))
    plan, events = trained(placement, SAMPLES, training=False)
    assert stored(plan, events, 0, Phase.FORWARD) == {"tile 1 buffer": SAMPLES * NEXT**2 * CHANNELS * WORD}


def test_what_no_window_reads_is_not_sent() -> None:
    """A kernel of one with a stride of two reads every second row and column."""
    steps = [
        (WeightLayer.convolution("conv1", (1, 6, 6), 4, Window((3, 3), padding=(1, 1))), ("input",)),
        (WeightLayer.convolution("conv2", (4, 6, 6), 4, Window((1, 1), stride=(2, 2))), ("conv1",)),
    ]
    plan, events = trained(replicas_of(1, 1, network=connect("skips", (1, 6, 6), steps)), 1, training=False)
    assert list(stored(plan, events, 0, Phase.FORWARD).values()) == [9 * 4 * WORD]


@pytest.mark.parametrize(("first", "second"), [(1, 1), (3, 2), (5, 4)])
def test_a_branch_is_sent_to_the_replica_that_does_the_sum(first: int, second: int) -> None:
    """The second convolution adds the first one's results to its own, position by position, and sends all on."""
    window, shape = Window((3, 3), padding=(1, 1)), (4, SIDE, SIDE)
    steps = [
        (WeightLayer.convolution("conv1", (1, SIDE, SIDE), 4, window), ("input",)),
        (WeightLayer.convolution("conv2", (1, SIDE, SIDE), 4, window), ("input",)),
        (Operation.digital("sum", "add", shape, inputs=2), ("conv1", "conv2")),
        (WeightLayer.convolution("conv3", shape, 4, window), ("sum",)),
    ]
    placement = replicas_of(first, second, network=connect("sums", (1, SIDE, SIDE), steps))
    plan, events = trained(placement, SAMPLES, training=False)
    done = Counter(vector % second for vector in range(SAMPLES * SIDE**2))
    expected = {buffers(placement, 1)[replica]: n * 4 * WORD for replica, n in done.items()}
    assert stored(plan, events, 0, Phase.FORWARD) == expected
    chosen = (events.op == Op.STORE) & (events.row < 0) & (events.layer == 0)
    to = [plan.stations[station] for station in events.station[chosen]]
    assert to == [buffers(placement, 1)[vector % second] for vector in events.vector[chosen]]
    sent = stored(plan, events, 1, Phase.FORWARD)
    assert list(sent.values()) == [SAMPLES * SIDE**2 * 4 * WORD]


@pytest.mark.parametrize("groups", [1, 2, 4])
def test_groups_get_and_send_back_only_their_own_channels(groups: int) -> None:
    """One array on a tile: the input's channels go to the tile of their group, and their gradients come back once."""
    window = Window((3, 3), padding=(1, 1))
    steps = [
        (WeightLayer.convolution("first", (1, 4, 4), 8, window), ("input",)),
        (WeightLayer.convolution("grouped", (8, 4, 4), 12, window, groups=groups), ("first",)),
    ]
    placement = place(connect("grouped", (1, 4, 4), steps), Chip.load("reram-512"))
    blocks = placement.layers[1].blocks
    assert [(block.row_start, block.rows, block.columns) for block in blocks] == [
        (group * 12 // groups, 12 // groups, 8 // groups * 9 + 1) for group in range(groups)
    ]
    assert placement.layers[1].column_homes == blocks
    plan, events = trained(placement, 2)
    each = 2 * 16 * 8 // groups * WORD
    assert stored(plan, events, 0, Phase.FORWARD) == {name: each for name in buffers(placement, 1)}
    assert stored(plan, events, 1, Phase.BACKWARD) == {buffers(placement, 0)[0]: each * groups}


@pytest.mark.parametrize("arrays", [1, 4])
def test_groups_on_one_tile_get_the_channels_of_all_of_them(arrays: int) -> None:
    """Four groups that read the network's input, then two: each on a tile of its own, or all of a layer on one."""
    window = Window((3, 3), padding=(1, 1))
    steps = [
        (WeightLayer.convolution("depthwise", (4, 5, 5), 4, window, groups=4), ("input",)),
        (WeightLayer.convolution("grouped", (4, 5, 5), 4, window, groups=2), ("depthwise",)),
    ]
    chip = with_outside(changed(Chip.load("reram-512"), array={"arrays": arrays}), frozenset(["host"]))
    plan, events = trained(place(connect("grouped", (4, 5, 5), steps), chip), 1)
    came = stored(plan, events, 0, Phase.FORWARD)
    for layer, groups in ((0, 4), (1, 2)):
        tiles = set(buffers(plan.placement, layer))
        assert len(tiles) == (groups if arrays == 1 else 1)
        assert {came[tile] for tile in tiles} == {25 * 4 // len(tiles) * WORD}
        assert plan.layers[layer].reads == 25 * 4


def test_a_channel_whose_columns_are_cut_goes_to_both_tiles() -> None:
    """Three channels of 3 x 3, so 27 columns and that of the bias; cut into 14 and 14, in the middle of the second."""
    chip = changed(Chip.load("reram-512"), array={"columns": 14, "rows": 64})
    placement = place(images(6, 3), chip)
    assert placement.layers[2].column_splits == (14, 14)
    plan, events = trained(placement, 1)
    found = stored(plan, events, 1, Phase.FORWARD)
    assert [found[name] for name in buffers(placement, 2)] == [NEXT**2 * 2 * WORD] * 2


def test_of_an_input_that_is_rearranged_each_gets_its_share_rounded_up() -> None:
    """25 numbers that a pool makes 4 of: 16 windows of 3 x 3 over 4 places, so a corner's window reads all of them."""
    pool = Window((2, 2), stride=(2, 2))
    steps = [
        (Operation.digital("pool", "pool", (1, 5, 5), (1, 2, 2), "max", pool), ("input",)),
        (WeightLayer.convolution("conv", (1, 2, 2), 2, Window((1, 1))), ("pool",)),
    ]
    chip = with_outside(changed(Chip.load("reram-512")), frozenset(["host"]))
    placement = place(connect("pooled", (1, 5, 5), steps), chip, replicas={"conv": 2})
    plan, events = trained(placement, 1, training=False)
    came = stored(plan, events, 0, Phase.FORWARD)
    assert [came[name] for name in buffers(placement, 0)] == [13 * WORD] * 2  # a half of 25


def test_a_large_group_is_cut_within_itself() -> None:
    steps = [
        (WeightLayer.convolution("grouped", (1400, 1), 1200, Window((1,), (1,), (0,), (1,)), groups=2), ("input",))
    ]
    (placed,) = place(connect("grouped", (1400, 1), steps), Chip.load("reram-512")).layers
    assert placed.row_splits == (300, 300) * 2 and placed.column_splits == (351, 350)
    assert [placed.column_home(block).tile for block in placed.blocks] == [0, 1, 0, 1, 4, 5, 4, 5]
    assert [block.tile for block in placed.column_homes] == [0, 1, 4, 5]
