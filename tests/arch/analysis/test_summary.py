"""Power, critical path, utilisation and rooflines: closed forms on made-up events, laws on generated chips."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from generated import chain, images, replicated, works
from hypothesis import HealthCheck, assume, given, settings

from rpusim.arch.account.ledger import RESTING, STANDBY
from rpusim.arch.account.pricing import Pricer
from rpusim.arch.analysis.critical_path import critical_path
from rpusim.arch.analysis.occupancy import converters, kept_bits
from rpusim.arch.analysis.profile import Profile
from rpusim.arch.analysis.summary import Analysis
from rpusim.arch.chips.chip import Chip
from rpusim.arch.chips.description import TileKind
from rpusim.arch.contract.activity import Activity, Phase
from rpusim.arch.engine.events import COLUMNS, Events, Op
from rpusim.arch.mapping.assumed_activity import assumed_activity
from rpusim.arch.mapping.placement import place
from rpusim.arch.network.network import Network, connect
from rpusim.arch.network.operations import WeightLayer
from rpusim.arch.schedule.plan import Plan, make_plan
from rpusim.arch.schedule.schedules import Schedule, run
from rpusim.errors import InputError


def events(*rows: dict[str, int]) -> Events:
    """Operations of 1 bit or operation, on station 0 and of layer 0 where nothing else is said."""
    table = [{"op": Op.DIGITAL, "row": -1, "amount": 1} | row for row in rows]
    return Events(**{name: np.array([row.get(name, 0) for row in table], np.int64) for name in COLUMNS})


def analysed(network: Network, chip: str, samples: int, training: bool, schedule: Schedule) -> Analysis:
    placement = place(network, Chip.load(chip))
    return analysis(make_plan(placement), assumed_activity(placement, samples, training), schedule)


def analysis(plan: Plan, activity: Activity, schedule: Any) -> Analysis:
    return Analysis(plan, Pricer(plan), run(plan, activity, schedule), activity)


def times(*numbers: int) -> Any:
    return np.array(numbers, np.int64)


class TestProfile:
    def test_intervals_add_up_where_they_overlap(self) -> None:
        profile = Profile.of_intervals(times(0, 5), times(10, 20), times(2, 3), until=30, base=1)
        assert profile.times.tolist() == [0, 5, 10, 20, 30]
        assert profile.values.tolist() == [3, 6, 4, 1]
        assert profile.peak == (5, 6)
        assert profile.integral == 30 + 10 * 2 + 15 * 3

    def test_what_ends_is_gone_when_something_else_begins(self) -> None:
        assert Profile.of_intervals(times(0, 10), times(10, 20), times(2, 2), until=20).peak == (0, 2)

    def test_bins_keep_the_integral(self) -> None:
        profile = Profile.of_intervals(times(1, 7), times(9, 8), times(3, 40), until=10)
        assert profile.binned(4) == pytest.approx([1.5 * 3 / 2.5, 3, 3 + 0.5 * 40 / 2.5, (1.5 * 3 + 0.5 * 40) / 2.5])
        assert profile.binned(7).sum() * 10 / 7 == pytest.approx(profile.integral)


class TestCriticalPath:
    def test_of_a_chain_it_is_the_makespan(self) -> None:
        chain_of_five = events(*({"vector": 7, "station": i, "start": 10 * i, "end": 10 * i + 10} for i in range(5)))
        path = critical_path(chain_of_five)
        assert path.event.tolist() == [0, 1, 2, 3, 4]
        assert path.duration.sum() == chain_of_five.makespan_ps == 50

    def test_it_follows_the_unit_that_another_vector_held(self) -> None:
        path = critical_path(
            events(
                {"vector": 0, "station": 1, "start": 0, "end": 10},
                {"vector": 1, "station": 0, "start": 0, "end": 3},
                {"vector": 1, "station": 1, "start": 10, "end": 20},
            )
        )
        assert path.event.tolist() == [0, 2]

    def test_what_the_vector_did_itself_comes_first(self) -> None:
        path = critical_path(
            events(
                {"vector": 0, "station": 1, "start": 0, "end": 10},
                {"vector": 1, "station": 0, "start": 0, "end": 10},
                {"vector": 1, "station": 1, "start": 10, "end": 20},
            )
        )
        assert path.event.tolist() == [1, 2]

    def test_a_conversion_comes_out_of_the_drive_that_still_goes_on(self) -> None:
        path = critical_path(
            events(
                {"op": Op.FETCH, "station": 2, "start": 0, "end": 4},
                {"op": Op.DRIVE, "station": 0, "start": 4, "end": 20},
                {"op": Op.CONVERT, "station": 1, "start": 14, "end": 20},
            )
        )
        assert [path.begin.tolist(), path.until.tolist()] == [[0, 4, 14], [4, 14, 20]]
        assert path.event.tolist()[:2] == [0, 1]

    def test_where_nothing_ended_it_says_waiting(self) -> None:
        late = events({"start": 5, "end": 10}, {"station": 1, "start": 15, "end": 20})
        path = critical_path(late)
        assert path.by(["first", "second"], times(0, 1)) == {"waiting": 10, "first": 5, "second": 5}

    def test_of_nothing_there_is_none(self) -> None:
        assert len(critical_path(events())) == 0


class TestLaws:
    @given(works())
    @settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
    def test_paths_join_and_sum_to_the_makespan_and_power_to_the_energy(self, work: Any) -> None:
        plan, activity, schedule = work
        try:
            found = analysis(plan, activity, schedule)
        except InputError:
            assume(False)
        assume(len(found.events))
        path = found.path
        assert path.duration.sum() == found.events.makespan_ps
        assert path.begin[0] == 0
        assert np.array_equal(path.begin[1:], path.until[:-1])
        at = path.event[path.event >= 0]
        assert np.all(path.begin[path.event >= 0] == found.events.start[at])
        arrived = found.events.end + np.array(plan.station_latency)[found.events.station]
        assert np.all(path.until[path.event >= 0] <= arrived[at])

        ledger = found.pricer(found.events, activity)
        at_rest = sum(zj for (_, phase, _), zj in ledger.energy.items() if phase in RESTING)
        assert int(found.energy.astype(object).sum()) + at_rest == ledger.total_zj
        leaked = sum(zj for (_, phase, _), zj in ledger.energy.items() if phase == STANDBY)
        cut_off = sum(found.pricer.rest.standby.values()) * ledger.time_ps - leaked  # the profile has no tile off
        assert found.power.integral * 1e-12 == pytest.approx((ledger.total_zj + cut_off) * 1e-21, rel=1e-9)
        assert found.power.peak[1] <= ledger.peak_w * (1 + 1e-9)
        if plan.placement.chip.gating == "none":
            assert found.power.peak[1] == pytest.approx(ledger.peak_w)
        assert found.power.binned(10).mean() <= found.power.peak[1] * (1 + 1e-12)

        for roofline in found.rooflines():
            assert roofline.active_ps >= max(roofline.array_ps, roofline.movement_ps)

    @given(works())
    @settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
    def test_buffers_never_give_out_what_they_did_not_take_in(self, work: Any) -> None:
        plan, activity, schedule = work
        assume(all(layer.placed.replicas == 1 for layer in plan.layers))
        tiles = [{block.chip_tile for block in placed.blocks} for placed in plan.placement.holders]
        recurrent = any(layer.placed.layer.is_recurrent for layer in plan.layers)
        assume(not recurrent or sum(map(len, tiles)) == len(set().union(*tiles)))  # see the module
        try:
            found = run(plan, activity, schedule)
        except InputError:
            assume(False)
        change = kept_bits(plan, activity, found)
        assert change.sum() >= 0
        assert np.all(change[found.op == Op.STORE] >= 0)


@pytest.fixture(scope="module")
def training() -> Analysis:
    return analysed(images(8, 4), "reram-512", 3, True, "sequential")


def test_at_the_peak_the_powers_of_what_is_on_sum_to_it(training: Analysis) -> None:
    tick, watts = training.power.peak
    standby = training.pricer.rest.drawn * 1e-9
    assert sum(row[-1] for row in training.at_work(tick)) + standby == pytest.approx(watts)


def test_operations_of_the_rooflines_are_two_per_multiply_accumulate(training: Analysis) -> None:
    macs = [layer.macs for layer in training.plan.placement.network.layers]
    done = {roofline.layer: roofline.operations for roofline in training.rooflines()}
    phases = (2, 3, 3)  # the first layer has no backward pass
    for layer, mac, number in zip(done, macs, phases, strict=True):
        assert done[layer] == 3 * number * 2 * mac


@pytest.mark.parametrize("share", [0.02, 0.3, 0.7])
def test_of_the_beginning_of_a_long_piece_operations_are_those_whose_events_are_known(
    training: Analysis, share: float
) -> None:
    first = training.events.first(int(share * len(training.events)))
    known = Analysis(training.plan, training.pricer, first, training.activity)
    arrays = np.array([part in ("array", "ADC") for part in known.plan.station_parts])[first.station]
    seen = np.unique(first.row[arrays])
    for roofline in known.rooflines():
        index = known.plan.placement.network.layer_index(roofline.layer)
        rows = seen[known.activity.layer[seen] == index]
        assert roofline.array_ps > 0
        assert 0 < roofline.operations <= 2 * len(rows) * known.plan.placement.network.layers[index].weights
        assert roofline.document()["array_ops_per_s"] > 0


def test_a_layer_whose_array_never_rests_reaches_its_roof() -> None:
    one = analysed(chain(64, 64), "reram-512", 50, False, "layer-pipelined").rooflines()[0]
    assert one.bound_by == "arrays"
    assert one.document()["reached_ops_per_s"] == pytest.approx(one.document()["array_ops_per_s"], rel=0.05)


def test_utilisation_of_a_unit_is_its_busy_time_over_the_makespan(training: Analysis) -> None:
    busy = training.events.busy_ps(len(training.plan.stations))
    found = training.utilisation
    assert list(found.values()) == sorted(found.values(), reverse=True)
    for unit, share in found.items():
        assert share == busy[training.plan.stations.index(unit)] / training.events.makespan_ps


def test_a_buffer_is_empty_when_all_samples_are_learned(training: Analysis) -> None:
    change = kept_bits(training.plan, training.activity, training.events)
    assert change.sum() == 0
    profile = Profile.of_changes(training.events.end, change, training.events.makespan_ps)
    assert profile.values.min() >= 0
    layers = training.plan.placement.layers
    word = training.plan.placement.chip.tiles[0].digital.word_bits
    inputs = (8 // 2) ** 2 * layers[0].layer.rows * word  # pooled outputs of conv1, kept for conv2
    assert profile.peak[1] >= inputs


def test_what_a_buffer_keeps_does_not_depend_on_what_comes_later(training: Analysis) -> None:
    number = 1000
    beginning = Events(**{name: column[:number] for name, column in training.events.columns().items()})
    assert np.array_equal(
        kept_bits(training.plan, training.activity, beginning),
        kept_bits(training.plan, training.activity, training.events)[:number],
    )


def test_in_inference_a_buffer_is_empty_when_the_last_window_has_been_read() -> None:
    found = analysed(images(8, 4), "reram-512", 4, False, "layer-pipelined")
    change = kept_bits(found.plan, found.activity, found.events)
    profile = Profile.of_changes(found.events.end, change, found.events.makespan_ps)
    assert change.sum() == 0
    assert profile.values.min() >= 0
    assert profile.peak[1] > 0


def test_converters_at_work_are_the_lines_read_over_the_lines_each_serves(training: Analysis) -> None:
    found = converters(training.plan, training.activity, training.events)
    adc = training.plan.placement.chip.tiles[0].adc
    assert np.array_equal(found > 0, training.events.op == Op.CONVERT)
    last = found[(training.events.layer == 2) & (training.events.op == Op.CONVERT) & (training.events.phase == 0)]
    assert set(last.tolist()) == {adc.count(10)}


@pytest.mark.parametrize("preset", ["isaac-2016", "pipelayer-2017", "panther-2020", "yao-2020", "rpu-2016"])
def test_converters_at_work_are_those_of_the_side_of_the_array_that_is_read(
    preset: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A weight that is used as it lies, then transposed: rows are driven, and columns read slice by slice.

    Chips that only infer are tried as well, though placing refuses to turn their weights: what is counted depends on
    the side alone.
    """
    monkeypatch.setattr(TileKind, "turns", True)
    chip = Chip.load(preset)
    coder = WeightLayer.linear("coder", (50,), 8, False, "weight")
    decoder = replace(WeightLayer.linear("decoder", (8,), 50, False, "weight"), turned=True)
    network = connect("tied", (50,), [(coder, ("input",)), (decoder, ("coder",))])
    training = chip.tiles[0].trains
    plan = make_plan(place(network, chip))
    found = analysis(plan, assumed_activity(plan.placement, 2, training), "sequential")
    (kind,), array, at_work = chip.tiles, chip.tiles[0].array, converters(found.plan, found.activity, found.events)
    lines = {"rows": 8 * array.cells_per_weight, "columns": 50 * array.lines_of_a_column}
    ways = [(0, Phase.FORWARD, "rows"), (1, Phase.FORWARD, "columns")]
    for layer, phase, read in ways + training * [(1, Phase.BACKWARD, "rows")]:
        mine = (found.events.layer == layer) & (found.events.phase == phase) & (found.events.op == Op.CONVERT)
        assert set(at_work[mine].tolist()) == {-(-lines[read] // kind.adc.lines_per_adc)}, (layer, phase)


def test_buffers_of_replicas_that_send_to_replicas_are_empty_at_the_end() -> None:
    """Of two replicas each sends to one of two."""
    network, chip = images(8, 4), Chip.load("reram-512")
    placement = place(network, chip, replicas={"conv1": 2, "conv2": 2})
    activity = replicated(placement, assumed_activity(place(network, chip), 4, True))
    found = analysis(make_plan(placement), activity, "sequential")
    change = kept_bits(found.plan, found.activity, found.events)
    assert np.count_nonzero(change) and change.sum() == 0
