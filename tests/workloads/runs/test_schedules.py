"""Schedules, mini-batches and replicas from the user's side."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import rpusim
from rpusim.arch.account.ledger import RESTING
from rpusim.arch.analysis.staleness import staleness
from rpusim.arch.chips.chip import Chip
from rpusim.arch.contract.activity import Activity, Phase
from rpusim.arch.contract.cell_layout import SINGLE, CellLayout
from rpusim.arch.engine.events import COLUMNS, Events, Op
from rpusim.arch.mapping.assumed_activity import assumed_activity
from rpusim.arch.mapping.placement import place
from rpusim.arch.network.network import connect
from rpusim.arch.network.operations import WeightLayer
from rpusim.arch.schedule.plan import Plan, make_plan
from rpusim.errors import InputError
from rpusim.workloads.clock.meter import Meter
from rpusim.workloads.runs import estimate
from rpusim.workloads.runs.given_network import load_network


class TestRuns:
    def test_a_run_may_pipeline_its_mini_batches_and_computes_the_same(self, few_digits: Path) -> None:
        recipe = {"epochs": 1, "batch": 10, "learning_rate": 0.1, "halve_every": 8, "source": "test"}
        common: dict[str, Any] = {"data": str(few_digits), "recipe": recipe}
        one = rpusim.simulate("fcn-digits", **common)
        other = rpusim.simulate("fcn-digits", schedule="minibatch-pipelined", **common)
        assert one["accuracy"]["test_error"] == other["accuracy"]["test_error"]
        assert one["activity"] | {"schedule": ""} == other["activity"] | {"schedule": ""}
        assert other["time"]["total_s"] < 0.5 * one["time"]["total_s"]
        working = [{k: v for k, v in r["energy"]["by_phase"].items() if k not in RESTING} for r in (one, other)]
        assert working[0] == working[1]

    @pytest.mark.parametrize(
        ("schedule", "sentence"),
        [
            ("layer-pipelined", r"schedule: got 'layer-pipelined', but .*'minibatch-pipelined' or 'asynchronous'"),
        ],
    )
    def test_other_schedules_are_refused(self, schedule: str, sentence: str) -> None:
        with pytest.raises(InputError, match=sentence):
            rpusim.simulate("fcn-digits", schedule=schedule)


class TestMiniBatches:
    def test_assumed_training_has_mini_batches_of_the_size_asked_for(self) -> None:
        placement = place(load_network("lenet-2017"), Chip.load("reram-512"))
        activity = assumed_activity(placement, 10, True, batch=4)
        for layer in placement.layers:
            rows = activity.select((activity.phase == Phase.UPDATE) & (activity.layer == layer.index))
            assert np.bincount(rows.step).tolist() == [n * layer.layer.vectors * len(layer.blocks) for n in (4, 4, 2)]
            assert rows.vector.max() == 4 * layer.layer.vectors - 1

    def test_larger_mini_batches_pipeline_better(self) -> None:
        times = [
            estimate.time_network("fcn", "reram-512", 16, True, "minibatch-pipelined", batch=batch)["time"]["total_s"]
            for batch in (1, 4, 16)
        ]
        assert all(later < earlier for earlier, later in pairwise(times))

    def test_at_least_one_sample_is_needed(self) -> None:
        with pytest.raises(InputError, match="batch: got 0, but at least 1 is needed"):
            estimate.time_network("fcn", "reram-512", 4, True, "sequential", batch=0)


class TestStaleness:
    def test_counts_updates_that_end_between_a_samples_forward_and_its_own_update(self) -> None:
        """Three samples go forward at 0, 10 and 20 ps and learn from 25, 35 and 45 ps on, for 5 ps."""
        plan = one_layer()
        activity = Activity.rows(phase=[Phase.FORWARD] * 3 + [Phase.UPDATE] * 3, vector=[0, 1, 2] * 2)
        start = np.array([0, 10, 20, 25, 35, 45])
        columns = {name: np.zeros(6, np.int64) for name in COLUMNS} | {
            "op": np.array([Op.DRIVE] * 3 + [Op.PULSE] * 3),
            "station": np.full(6, plan.layers[0].blocks[0].arrays[0].array),
            "row": np.arange(6),
            "phase": activity.phase.astype(np.int64),
            "start": start,
            "end": start + 5,
        }
        found = staleness(plan, activity, Events(**columns))
        assert (found.mean, found.largest) == (1.0, 2)  # 0, 1 and 2

    @pytest.mark.parametrize("batch", [1, 2, 5])
    def test_no_more_samples_are_on_their_way_than_a_mini_batch_has(self, batch: int) -> None:
        activity = estimate.time_network("fcn", "reram-512", 20, True, "asynchronous", batch=batch)["activity"]
        found = activity["staleness"]
        assert found["largest"] <= batch - 1
        assert (found["mean"] > 0) == (batch > 1)

    @pytest.mark.parametrize(("pulsed", "stale"), [(0, [0, 0, 0]), (1, [0, 1, 2])])
    def test_where_cells_transfer_what_writes_the_visible_array_counts(self, pulsed: int, stale: list[int]) -> None:
        """As above, with pulses on A (array 0), which nobody reads, at once followed by those on C or on A again."""
        plan = one_layer(CellLayout("transfer", 2, visible=(1,), targets=((1,), ())))
        arrays = [array.array for array in plan.layers[0].blocks[0].arrays]
        phases = [Phase.FORWARD] * 3 + [Phase.UPDATE] * 3 + [Phase.TRANSFER] * 3
        activity = Activity.rows(phase=phases, vector=[0, 1, 2] * 3)
        start = np.array([0, 10, 20, 25, 35, 45, 27, 37, 47])
        columns = {name: np.zeros(9, np.int64) for name in COLUMNS} | {
            "op": np.array([Op.DRIVE] * 3 + [Op.PULSE] * 6),
            "station": np.array([arrays[1]] * 3 + [arrays[0]] * 3 + [arrays[pulsed]] * 3),
            "row": np.arange(9),
            "phase": activity.phase.astype(np.int64),
            "start": start,
            "end": start + 5,
        }
        found = staleness(plan, activity, Events(**columns))
        assert (found.mean, found.largest) == (np.mean(stale), max(stale))

    @pytest.mark.parametrize("device", ["mixed-precision-reram-sb", "tiki-taka-reram-sb"])
    def test_no_cell_learns_from_fresher_weights_than_it_writes(self, device: str) -> None:
        """A transfer after every mini-batch of four, mixed precision's or Tiki-Taka's."""
        timed = estimate.time_network("fcn", "reram-512", 24, True, "asynchronous", batch=4, device=device)
        assert 0 < timed["activity"]["staleness"]["mean"] < timed["activity"]["staleness"]["largest"] == 1

    def test_is_said_of_asynchronous_training_only(self) -> None:
        found = estimate.time_network("fcn", "reram-512", 4, True, "minibatch-pipelined", batch=2)
        assert "staleness" not in found["activity"]


def one_layer(cell: CellLayout = SINGLE) -> Plan:
    network = connect("one", (4,), [(WeightLayer.linear("fc", (4,), 3, bias=False), ("input",))])
    return make_plan(place(network, Chip.load("rpu-2016"), cell=cell))


@pytest.fixture(scope="module")
def times() -> list[tuple[float, float]]:
    """Per choice of replicas: time of one image layer after layer, and of one more image in the pipeline."""
    chip = Chip.load("rpu-2016")
    chip = chip.model_copy(update={"tiles": (chip.tiles[0].model_copy(update={"count": 100}),)})
    network = load_network("rapa-cifar")
    found = []
    for replicas in ((1, 1, 1), (16, 4, 1), (64, 16, 4)):
        by_layer = dict(zip(("conv1", "conv2", "conv3"), replicas, strict=True))
        plan = make_plan(place(network, chip, replicas=by_layer))
        one, three, six = (
            seconds(plan, *given) for given in ((1, "sequential"), *((n, "layer-pipelined") for n in (3, 6)))
        )
        found.append((one, (six - three) / 3))
    return found


def seconds(plan: Plan, samples: int, schedule: Any) -> float:
    """Of images that are only inferred."""
    meter = Meter(plan, schedule)
    meter.add(assumed_activity(plan.placement, samples, training=False))
    return meter.ledger().time_ps * 1e-12


class TestReplicas:
    """RAPA: Rasch, Gokmen, Rigotti & Haensch 2019, convolutions of 1024, 256 and 64 vectors on 5 x 5 kernels."""

    def test_vectors_take_turns_among_replicas(self) -> None:
        placement = place(load_network("rapa-cifar"), Chip.load("reram-512"), replicas={"conv1": 16, "conv2": 4})
        activity = assumed_activity(placement, 2, training=True)
        for layer in placement.layers[:3]:
            rows = activity.select((activity.phase == Phase.FORWARD) & (activity.layer == layer.index))
            assert np.array_equal(rows.tile // layer.grid, rows.vector % layer.replicas)
            assert set(np.bincount(rows.tile)) == {2 * 64}  # vectors per array: 1024 / 16 = 256 / 4 = 64 / 1

    def test_pipelined_images_follow_each_other_faster_by_the_number_of_replicas(self, times: Any) -> None:
        """Published: 16 x and 64 x. Ours, from events: the pace of the slowest layer, without any loss."""
        pace = [pipelined for _, pipelined in times]
        assert pace[0] == pytest.approx(1024 * 80e-9)
        assert pace[0] / pace[1] == pytest.approx(16)
        assert pace[0] / pace[2] == pytest.approx(64)

    def test_one_image_layer_after_layer_gains_what_the_sum_of_vectors_does(self, times: Any) -> None:
        """Published: (1024 + 256 + 64) / 192 = 7 x and 28 x; ours has the linear layer and the ways between, too.

        These take 0.43, 0.49 and 0.58 us, as hops of 1.5 ns do not become shorter with more replicas.
        """
        serial = [serial for serial, _ in times]
        beside = [time - vectors * 80e-9 for time, vectors in zip(serial, (1344, 192, 48), strict=True)]
        assert beside == pytest.approx([0.428e-6, 0.494e-6, 0.577e-6], rel=0.01)
        assert serial[0] / serial[1] == pytest.approx(7, rel=0.03)
        assert serial[0] / serial[2] == pytest.approx((1344 * 80 + 428) / (48 * 80 + 577), rel=0.01)  # 24

    @pytest.mark.parametrize(
        ("replicas", "sentence"),
        [
            ({"conv4": 2}, r"replicas: 'conv4' is not a layer of rapa-cifar; did you mean 'conv"),
            ({"conv3": 65}, r"replicas: got 65 for layer 'conv3', but an integer from 1 to its 64 vectors"),
            (
                {"conv1": 500},
                r"layer 'conv1' \(32 x 76\) needs 500 arrays of 'rpu' \(4096 x 4096 weights\), but 50 of 50 are left",
            ),
        ],
    )
    def test_what_cannot_be_is_refused(self, replicas: dict[str, int], sentence: str) -> None:
        with pytest.raises(InputError, match=sentence):
            estimate.map_network("rapa-cifar", "rpu-2016", replicas=replicas)

    def test_a_map_shows_them(self) -> None:
        document = estimate.map_network("rapa-cifar", "reram-512", replicas={"conv1": 16})
        assert [layer["replicas"] for layer in document["layers"]] == [16, 1, 1, 1]
        assert len(document["layers"][0]["tiles"]) == 16


@pytest.mark.parametrize("cell", [{"kind": "one-sided", "refresh_every": 8}, {"kind": "transfer", "transfer_every": 7}])
def test_what_falls_due_rarely_is_not_lost_when_many_samples_are_timed(cell: dict[str, Any]) -> None:
    device = {"model": "soft-bounds", "cell": cell}
    timed = [
        estimate.time_network("fcn-digits", "reram-512", 40, True, "sequential", device=device, whole=whole).document
        for whole in (True, False)
    ]
    assert timed[0]["time"] == timed[1]["time"] and timed[0]["energy"] == timed[1]["energy"]
    assert {"transfer", "maintenance"} & set(timed[1]["energy"]["by_phase"])


@pytest.mark.parametrize("schedule", ["minibatch-pipelined", "asynchronous"])
def test_schedules_of_training_are_refused_for_inference(schedule: Any) -> None:
    with pytest.raises(InputError, match=rf"got '{schedule}' for inference.*accepted: sequential, layer-pipelined"):
        estimate.time_network("fcn", "reram-512", 2, False, schedule)
