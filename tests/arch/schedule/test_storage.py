"""What tiles hold of a mini-batch, what goes elsewhere and comes back, and when samples come in."""

from __future__ import annotations

import numpy as np
import pytest
from generated import branches, chain, changed, images, replicated, with_outside
from hypothesis import given, settings
from hypothesis import strategies as st

from rpusim.arch.chips.chip import Chip
from rpusim.arch.contract.activity import Phase
from rpusim.arch.contract.cell_layout import SINGLE, CellLayout
from rpusim.arch.engine.events import Events, Op
from rpusim.arch.mapping.assumed_activity import assumed_activity
from rpusim.arch.mapping.placement import place
from rpusim.arch.network.network import Network, connect
from rpusim.arch.network.operations import WeightLayer, Window
from rpusim.arch.schedule.plan import Plan, make_plan
from rpusim.arch.schedule.schedules import run
from rpusim.arch.schedule.storage import Kept, lacking, settle
from rpusim.arch.schedule.writer import NO_ROW
from rpusim.errors import InputError

WORD = Chip.load("rpu-2016").tiles[0].digital.word_bits


def chip_with(bits: int, *outside: str, side: int = 32, arrays: int = 1) -> Chip:
    """Tiles of small arrays with buffers of so many bits."""
    array = {"rows": side, "columns": side, "arrays": arrays}
    return with_outside(changed(Chip.load("rpu-2016"), array=array, buffer={"capacity": bits}), frozenset(outside))


def planned(network: Network, chip: Chip, cell: CellLayout = SINGLE, **replicas: int) -> Plan:
    return make_plan(place(network, chip, cell=cell, replicas=replicas))


def trained(plan: Plan, samples: int, schedule: str = "sequential", batch: int | None = None) -> Events:
    """Mini-batches of ``batch`` samples; one of all, if that is not given."""
    batch = batch or samples
    activity = assumed_activity(plan.placement, samples, True, batch)
    return run(plan, activity, schedule)  # type: ignore[arg-type]


def tiles(plan: Plan, kept: Kept, layer: int) -> dict[str, int]:
    """Bits of a sample by the buffer that holds them."""
    placed, found = plan.layers[layer].placed, dict[str, int]()
    for of_replica in kept.held:
        for one in of_replica:
            name = f"tile {placed.blocks[one.block].chip_tile} buffer"
            found[name] = found.get(name, 0) + -(-one.bits // placed.replicas)
    return found


class TestHeld:
    def test_blocks_of_a_column_hold_copies_of_inputs_and_blocks_of_a_row_copies_of_errors(self) -> None:
        plan = planned(chain(60, 96), chip_with(10**6))  # three rows of two blocks
        (kept,) = settle(plan, 4, training=True)
        assert [(one.input_bits, one.error_bits) for one in kept.held[0]] == [(30 * WORD, 32 * WORD)] * 6
        assert kept.input_bits == 60 * WORD and kept.error_bits == 96 * WORD
        own = np.array([(one.own_input_bits, one.own_error_bits) for one in kept.held[0]]) // WORD
        assert own.tolist() == [[30, 32], [30, 0], [0, 32], [0, 0], [0, 32], [0, 0]]

    @pytest.mark.parametrize("groups", [1, 2, 4])
    def test_every_input_is_put_away_once_whatever_the_groups(self, groups: int) -> None:
        window = Window((3, 3), padding=(1, 1))
        steps = [
            (WeightLayer.convolution("first", (4, 5, 5), 4, window, groups=groups), ("input",)),
            (WeightLayer.convolution("second", (4, 5, 5), 4, window, groups=groups), ("first",)),
        ]
        plan = planned(connect("grouped", (4, 5, 5), steps), chip_with(10**6, "memory"))
        for kept in settle(plan, 4, training=True):
            assert kept.input_bits == kept.error_bits == 4 * 25 * WORD
            for bits in ("input_bits", "error_bits"):
                assert sum(getattr(one, f"own_{bits}") for one in kept.held[0]) == getattr(kept, bits)

    @pytest.mark.parametrize("long_branch_last", [False, True])
    def test_of_branches_that_are_summed_the_sum_is_kept(self, long_branch_last: bool) -> None:
        plan = planned(branches(long_branch_last), chip_with(10**6))
        assert [kept.input_bits for kept in settle(plan, 4, training=True)] == [16 * WORD] * 4

    def test_a_tile_holds_once_what_several_of_its_blocks_read(self) -> None:
        plan = planned(chain(60, 96), chip_with(10**6, arrays=6))
        (kept,) = settle(plan, 4, training=True)
        assert [one.bits for one in kept.held[0]] == [(60 + 96) * WORD]

    def test_replicas_hold_the_errors_of_their_own_vectors(self) -> None:
        network = images(6, 4)
        one, three = (settle(planned(network, chip_with(10**6), conv1=n), 4, training=True)[0] for n in (1, 3))
        assert len(three.held) == 3
        assert {held[0].error_bits for held in three.held} == {one.held[0][0].error_bits} == {36 * 4 * WORD}

    @given(
        network=st.sampled_from([chain(40, 70, 33), images(6, 4), chain(9, 8, 8, 8)]),
        side=st.sampled_from([8, 16, 32]),
        arrays=st.integers(1, 4),
    )
    @settings(max_examples=25, deadline=None)
    def test_of_inputs_a_tile_holds_what_is_stored_in_its_buffer(
        self, network: Network, side: int, arrays: int
    ) -> None:
        plan = planned(network, chip_with(10**9, "memory", side=side, arrays=arrays))
        events = run(plan, assumed_activity(plan.placement, 1, False), "sequential")
        held: dict[str, int] = {}
        for number, kept in enumerate(settle(plan, 1, training=False)):
            assert sum(one.own_input_bits for one in kept.held[0]) == kept.input_bits
            assert all(one.input_bits >= one.own_input_bits for one in kept.held[0])
            for name, bits in tiles(plan, kept, number).items():
                held[name] = held.get(name, 0) + bits
        assert by_buffer(plan, events, (events.op == Op.STORE) & (events.row < 0)) == held


class TestRoom:
    def test_all_samples_stay_where_there_is_room_for_them_else_that_of_one_is_left_free(self) -> None:
        each = (20 + 30 + 30) * WORD  # inputs, errors, and the outputs that the loss needs
        for bits, stay in ((8 * each, 8), (8 * each - 1, 6), (3 * each, 2), (each, 0), (each - 1, 0)):
            (kept,) = settle(planned(chain(20, 30), chip_with(bits, "memory")), 8, training=True)
            assert kept.samples == stay, bits
            assert kept.overflow == ("" if stay == 8 else "DRAM")

    def test_arrays_in_use_share_the_buffer_of_their_tile(self) -> None:
        """Two layers on one tile of two arrays, each with half of it; a third array is not in use."""
        each = (20 + 20 + 20) * WORD  # of the last layer, with what the loss needs
        plan = planned(chain(20, 20, 20), chip_with(2 * 5 * each, "memory", arrays=3))
        assert [kept.samples for kept in settle(plan, 5, training=True)] == [5, 5]
        plan = planned(chain(20, 20, 20), chip_with(2 * 5 * each - 2, "memory", arrays=3))
        assert [kept.samples for kept in settle(plan, 5, training=True)] == [5, 3]

    def test_the_fullest_tile_decides(self) -> None:
        """A block of 17 rows of errors and one of 16; of what waits for the loss both have half."""
        plan = planned(chain(20, 33), chip_with((20 + 17 + 17) * WORD * 4, "memory"))
        assert settle(plan, 4, training=True)[0].samples == 4
        plan = planned(chain(20, 33), chip_with((20 + 16 + 16) * WORD * 4, "memory"))
        assert settle(plan, 4, training=True)[0].samples == 2

    def test_the_global_buffer_is_used_up_layer_by_layer(self) -> None:
        network, samples = chain(20, 20, 20, 20), 5
        plan = planned(network, chip_with(1, "memory", "global_buffer"))
        over = samples * 40 * WORD
        assert plan.placement.chip.global_buffer is not None
        for layers in (0, 1, 2, 3):
            bits = max(layers * over + (layers == 3) * samples * 20 * WORD, 1)  # and what the loss needs
            smaller = plan.placement.chip.global_buffer.model_copy(update={"capacity": bits})
            chip = plan.placement.chip.model_copy(update={"global_buffer": smaller})
            where = [kept.overflow for kept in settle(planned(network, chip), samples, training=True)]
            assert where == ["global buffer"] * layers + ["DRAM"] * (3 - layers)

    def test_digital_words_of_unit_cells_leave_the_rest_to_activations(self) -> None:
        cell = CellLayout("mixed-precision", learning=(), slices="all", words=1)
        words, each = 20 * 30 * WORD, (20 + 30 + 30) * WORD
        for bits, stay in ((words + 8 * each, 8), (words + 5 * each, 4), (words, 0)):
            plan = planned(chain(20, 30), chip_with(bits, "memory"), cell)
            assert settle(plan, 8, training=True)[0].samples == stay
        assert settle(planned(chain(20, 30), chip_with(8 * each), cell), 8, training=False)[0].samples == 8

    def test_words_that_do_not_fit_are_in_dram_and_take_no_room(self) -> None:
        cell = CellLayout("mixed-precision", learning=(), slices="all", words=1)
        each = (20 + 30 + 30) * WORD
        assert 7 * each < 20 * 30 * WORD
        with_dram, without = (planned(chain(20, 30), chip_with(7 * each, *dram), cell) for dram in (["memory"], []))
        assert settle(with_dram, 7, training=True)[0].samples == 7 and lacking(with_dram, 7, training=True) == 0
        assert settle(without, 7, training=True)[0].samples == 0
        assert lacking(without, 7, training=True) == 20 * 30 * WORD - 7 * each + 7 * each

    def test_what_is_lacking_is_what_all_tiles_hold_beyond_their_buffers(self) -> None:
        """Two homes of 48 outputs each keep these for the loss."""
        plan = planned(chain(60, 96), chip_with(500))
        homes = len(plan.layers[0].placed.row_homes)
        assert lacking(plan, 4, training=True) == 6 * (4 * 62 * WORD - 500) + 4 * 96 * WORD
        assert lacking(planned(chain(60, 96), chip_with(4 * (62 + 96 // homes) * WORD)), 4, training=True) == 0


def by_buffer(plan: Plan, events: Events, chosen: np.ndarray) -> dict[str, int]:
    found: dict[str, int] = {}
    for station, amount in zip(events.station[chosen].tolist(), events.amount[chosen].tolist(), strict=True):
        found[plan.stations[station]] = found.get(plan.stations[station], 0) + amount
    return found


class TestTraffic:
    SAMPLES = 5

    @pytest.fixture
    def network(self) -> Network:
        return chain(60, 96, 40)

    def test_one_copy_leaves_from_the_first_tiles_that_hold_it(self, network: Network) -> None:
        """Of the second layer: 96 inputs to 3 columns of blocks, 40 errors of 2 rows of blocks."""
        plan = planned(network, chip_with(1, "memory"))
        events = trained(plan, self.SAMPLES)
        dram = plan.outside["DRAM"]
        for phase, each in ((Phase.FORWARD, {6: 32, 7: 32, 8: 32}), (Phase.BACKWARD, {6: 20, 9: 20})):
            mine = (events.layer == 1) & (events.phase == phase) & (events.row == NO_ROW)
            left = by_buffer(plan, events, mine & (events.op == Op.FETCH))
            assert left == {f"tile {tile} buffer": words * WORD * self.SAMPLES for tile, words in each.items()}
            assert events.amount[mine & (events.station == dram)].sum() == sum(left.values())
            ports = by_buffer(plan, events, mine & (events.op == Op.SEND))
            assert {f"port of tile {tile}" for tile in each} <= set(ports)

    def test_it_comes_back_to_all_that_hold_it_and_is_read_once(self, network: Network) -> None:
        plan = planned(network, chip_with(1, "memory"))
        events, settled = trained(plan, self.SAMPLES), settle(plan, self.SAMPLES, training=True)
        for layer, kept in enumerate(settled):
            back = (events.layer == layer) & (events.phase == Phase.UPDATE) & (events.row < 0)
            stored = by_buffer(plan, events, back & (events.op == Op.STORE))
            assert stored == {name: bits * self.SAMPLES for name, bits in tiles(plan, kept, layer).items()}
            assert events.amount[back & (events.station == plan.outside["DRAM"])].sum() == kept.bits * self.SAMPLES

    def test_an_input_that_came_from_dram_is_read_there_again_and_not_written(self, network: Network) -> None:
        plan = planned(network, chip_with(1, "memory"))
        events = trained(plan, self.SAMPLES)
        dram = (events.station == plan.outside["DRAM"]) & (events.layer == 0)
        written, read = (events.amount[dram & (events.op == op)].sum() for op in (Op.STORE, Op.FETCH))
        assert written == 96 * WORD * self.SAMPLES
        assert read == (60 + 60 + 96) * WORD * self.SAMPLES

    def test_inference_reads_an_input_that_does_not_fit_as_it_needs_it(self, network: Network) -> None:
        plan = planned(network, chip_with(1, "memory"))
        events = run(plan, assumed_activity(plan.placement, 3, False), "sequential")
        dram = events.station == plan.outside["DRAM"]
        amounts = [events.amount[dram & (events.op == op)].sum() // WORD for op in (Op.FETCH, Op.STORE)]
        assert amounts == [3 * (60 + 96), 3 * 96]

    def test_samples_come_in_once_for_all_tiles_that_read_them(self, network: Network) -> None:
        plan = planned(network, chip_with(10**6, "memory"))
        events = run(plan, assumed_activity(plan.placement, 3, False), "sequential")
        assert events.amount[events.station == plan.outside["DRAM"]].tolist() == [60 * WORD] * 3
        stored = (events.op == Op.STORE) & (events.layer == 0) & (events.amount == 30 * WORD)
        assert by_buffer(plan, events, stored) == {f"tile {tile} buffer": 3 * 30 * WORD for tile in range(6)}

    def test_samples_that_several_layers_read_come_in_once(self) -> None:
        plan = planned(branches(True), chip_with(10**6, "memory"))
        events = run(plan, assumed_activity(plan.placement, 3, False), "sequential")
        assert events.amount[events.station == plan.outside["DRAM"]].tolist() == [16 * WORD] * 3

    def test_replicas_put_away_and_get_back_their_own_vectors(self) -> None:
        network = images(6, 4)
        plan = planned(network, chip_with(1, "memory", side=64), conv2=3)
        activity = assumed_activity(place(network, plan.placement.chip), 2, True, 2)
        events = run(plan, replicated(plan.placement, activity), "sequential")
        kept = settle(plan, 2, training=True)[1]
        mine = (events.layer == 1) & (events.row < 0)
        dram, own = events.station == plan.outside["DRAM"], [b.buffer for b in plan.layers[1].blocks]
        assert events.amount[mine & dram & (events.op == Op.STORE)].sum() == 2 * kept.bits
        for phase, op in ((Phase.FORWARD, Op.FETCH), (Phase.BACKWARD, Op.FETCH), (Phase.UPDATE, Op.STORE)):
            chosen = mine & (events.phase == phase) & (events.op == op) & np.isin(events.station, own)
            vectors = events.vector[chosen] % 3
            assert chosen.any() and np.array_equal(events.station[chosen], np.array(own)[vectors])


class TestComingIn:
    """Samples of 60 numbers, 30 for each tile of the first layer."""

    SAMPLES, BATCH = 12, 4

    def most_at_once(self, plan: Plan, schedule: str) -> int:
        """How many samples are in the first layer's buffers at once: from when they begin to come in until they are
        read, or if they stay, until their layer has learned."""
        training = schedule != "layer-pipelined"
        activity = assumed_activity(plan.placement, self.SAMPLES, training, self.BATCH)
        events = run(plan, activity, schedule)  # type: ignore[arg-type]
        first = events.layer == 0
        came = np.sort(events.start[first & (events.station == plan.outside["DRAM"]) & (events.phase == Phase.FORWARD)])
        assert len(came) == self.SAMPLES
        kept = settle(plan, self.BATCH if training else 1, training)[0]
        step, vector = activity.step[events.row], events.vector
        sample = step * self.BATCH + vector
        gone = []
        for number in range(self.SAMPLES):
            stays = training and number % self.BATCH < kept.samples
            whole = step == number // self.BATCH if schedule == "minibatch-pipelined" else sample == number
            last = whole & (events.op == Op.PULSE) if stays else (sample == number) & (events.op == Op.CONVERT)
            until = last & (events.phase == (Phase.UPDATE if stays else Phase.FORWARD))
            gone.append(events.end[first & (events.row >= 0) & until].max())
        return max(int((came <= tick).sum() - (np.array(gone) <= tick).sum()) for tick in came)

    @pytest.mark.parametrize(("room", "most"), [(0.5, 1), (1, 1), (1.9, 1), (2, 2), (50, 3)])
    def test_in_a_pipeline_so_many_come_in_that_no_layer_waits_if_there_is_room(self, room: float, most: int) -> None:
        """Less than 40 ns on the way and 120 ns in the layer, at one every 80 ns: two besides the one that is read."""
        plan = planned(chain(60, 8, 4), chip_with(int(room * 30 * WORD), "memory"))
        assert self.most_at_once(plan, "layer-pipelined") == most

    @pytest.mark.parametrize("schedule", ["sequential", "minibatch-pipelined", "asynchronous"])
    @pytest.mark.parametrize("room", [1, 2, 3, 4, 5, 6, 20])
    def test_in_training_no_more_are_there_than_there_is_room_for(self, schedule: str, room: int) -> None:
        plan = planned(chain(60, 96, 40), chip_with(room * (30 + 32) * WORD, "memory"))
        most = self.most_at_once(plan, schedule)
        assert most <= room
        if schedule == "minibatch-pipelined":
            # less than 60 ns on the way and 161 ns in a layer, at one every 80 ns: three, besides the one that is read
            assert most == min(room, self.BATCH + 4)

    def test_waiting_for_room_costs_nothing_where_arrays_are_slower_than_dram(self) -> None:
        spans = []
        for room in (2, 50):
            plan = planned(chain(60, 96, 40), chip_with(room * 96 * WORD, "memory"))
            spans.append(run(plan, assumed_activity(plan.placement, 20, False), "layer-pipelined").makespan_ps)
        assert spans[0] == spans[1]

    def test_results_get_the_room_that_inputs_do_not_take(self) -> None:
        """Both layers on one tile: a sample of 20 numbers, and a result of 20."""
        for words, fits in ((40, True), (38, False)):
            plan = planned(chain(20, 20, 20), chip_with(words * WORD, "memory", arrays=2))
            activity = assumed_activity(plan.placement, 4, False)
            if fits:
                assert run(plan, activity, "layer-pipelined").makespan_ps
            else:
                with pytest.raises(InputError, match="larger buffers are needed"):
                    run(plan, activity, "layer-pipelined")
