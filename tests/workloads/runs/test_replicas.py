"""Replicas in experiments and placed modules: what the numbers shared out is what the engine schedules."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

import rpusim
from rpusim.arch.contract.activity import Phase
from rpusim.arch.engine.events import Op
from rpusim.errors import InputError
from rpusim.kernels.layers.replicated import Replicated, Replication
from rpusim.workloads.runs import settings, simulate
from rpusim.workloads.runs.checkpoint import Paused
from rpusim.workloads.runs.training_loop import majority

REPLICAS = {"conv1": 16, "conv2": 4}


def sharing(**fields: object) -> dict[str, object]:
    return {"source": "a test", **fields}


def chosen(few_digits: Path, **changes: Any) -> settings.Experiment:
    small = {"data": str(few_digits), "epochs": 1, "timing": "every", "batch": 4}
    return settings.changed(settings.load("lenet-digits"), small | changes)


def document(few_digits: Path, **changes: Any) -> dict[str, Any]:
    return rpusim.simulate(chosen(few_digits, **changes)).document


class TestRuns:
    @pytest.mark.parametrize("training", ["random", "in-turn"])
    def test_the_events_of_a_replica_are_those_of_its_share(self, few_digits: Path, training: str) -> None:
        found = rpusim.simulate(chosen(few_digits, replicas=REPLICAS, sharing=sharing(training=training)))
        events = found.trace
        assert events is not None and found.document["steps"]["analog"].startswith("torch")
        learned = events.start[(events.op == Op.PULSE) & (events.layer == 0)].min()
        again = (events.op == Op.DRIVE) & (events.phase == Phase.FORWARD) & (events.start > learned)
        first = events.start < events.start[again].min()  # those of the first mini-batch, of 4
        for layer, vectors, replicas in ((0, 64, 16), (1, 16, 4)):
            tiles: dict[int, int] = {}
            for op, phase in ((Op.DRIVE, Phase.FORWARD), (Op.DRIVE, Phase.BACKWARD), (Op.PULSE, Phase.UPDATE)):
                mine = first & (events.layer == layer) & (events.op == op) & (events.phase == phase)
                assert layer == 0 or len(np.unique(events.vector[mine])) > 0
                for vector, tile in zip(events.vector[mine].tolist(), events.tile[mine].tolist(), strict=True):
                    assert tiles.setdefault(vector, tile) == tile  # in every phase the same one
            assert set(tiles) == set(range(4 * vectors)) and set(tiles.values()) == set(range(replicas))
            in_turn = np.mean([tile == vector % replicas for vector, tile in tiles.items()])
            assert in_turn == (1.0 if training == "in-turn" else pytest.approx(1 / replicas, abs=0.15))

    def test_one_replica_is_the_run_without(self, few_digits: Path) -> None:
        plain, one = (document(few_digits, **changes) for changes in ({}, {"replicas": {"conv1": 1}}))
        for name in ("accuracy", "time", "energy", "activity", "endurance", "steps"):
            assert json.dumps(one[name]) == json.dumps(plain[name])
        assert "replicas" not in one and "replicas" not in plain["training"]

    def test_a_result_says_how_alike_replicas_are(self, few_digits: Path) -> None:
        both = {kind: document(few_digits, replicas=REPLICAS, sharing=sharing(first_weights=kind)) for kind in KINDS}
        for kind, found in both.items():
            rows = {row["layer"]: row for row in found["replicas"]}
            assert set(rows) == set(REPLICAS) and rows["conv1"]["replicas"] == 16
            assert rows["conv2"]["similarity_at_first"] == pytest.approx(KINDS[kind], abs=0.1)
            mean = sum(row["similarity"] for row in rows.values()) / 2
            assert found["accuracy"]["curve"][-1]["similarity"] == pytest.approx(mean)
            row = next(each for each in found["provenance"] if each["field"] == "experiment.replicas.conv2")
            assert row["value"] == 4

    def test_averaging_is_timed_and_priced(self, few_digits: Path) -> None:
        """15 mini-batches of 4, averaged after the 5th and the 10th: reads of 10 and 145 columns of each replica."""
        found = document(few_digits, replicas=REPLICAS, sharing=sharing(average_every=5))
        plain = document(few_digits, replicas=REPLICAS)
        assert found["activity"]["maintenance"]["slices_read"] == 2 * (16 * 10 + 4 * 145)
        assert found["energy"]["by_phase"]["maintenance"] > 0 and "maintenance" not in plain["energy"]["by_phase"]
        assert found["time"]["total_s"] > plain["time"]["total_s"]

    def test_a_run_that_is_stopped_goes_on_with_the_same_shares(self, few_digits: Path, tmp_path: Path) -> None:
        experiment = chosen(few_digits, replicas=REPLICAS, epochs=2, sharing=sharing(average_every=4))
        with pytest.raises(Paused):
            simulate.run(experiment, kept=tmp_path / "kept", pause=1)
        documents = [simulate.run(experiment, kept=kept).document for kept in (tmp_path / "kept", None)]
        for each in documents:
            del each["wall"]
        assert json.dumps(documents[0]) == json.dumps(documents[1])


KINDS = {"equal": 1.0, "independent": 0.0}


class TestVotes:
    def test_most_votes_win_and_of_equally_many_the_larger_sum(self) -> None:
        one = torch.tensor([[0.9, 0.0, 0.1], [0.0, 5.0, 0.0], [3.0, 2.0, 0.0]])
        two = torch.tensor([[0.8, 0.0, 0.9], [1.0, 0.0, 0.0], [0.0, 4.0, 0.0]])
        three = torch.tensor([[0.9, 0.0, 0.1], [1.0, 0.0, 0.0], [0.0, 0.0, 1.0]])
        assert majority([one]).tolist() == one.argmax(1).tolist()
        assert majority([one, two, three]).tolist() == [0, 0, 1]

    def test_of_replicas_that_differ_a_vote_errs_less(self, few_digits: Path) -> None:
        votes = [
            document(few_digits, replicas=REPLICAS, sharing=sharing(votes=n, learning_rate="times-replicas"), epochs=6)
            for n in (1, 9)
        ]
        errors = [np.mean([point["test_error"] for point in each["accuracy"]["curve"]]) for each in votes]
        assert errors[1] <= errors[0] + 0.05
        assert votes[0]["accuracy"]["curve"][0]["train_loss"] == votes[1]["accuracy"]["curve"][0]["train_loss"]


@pytest.mark.parametrize(
    ("changes", "match"),
    [
        ({"replicas": {"conv3": 2}}, "replicas: 'conv3' is not a layer of lenet-digits; did you mean 'conv2'"),
        ({"replicas.fc1": 2}, "replicas: got 2 for layer 'fc1', but an integer from 1 to its 1 vectors per sample"),
        ({"replicas.conv1": 65}, "replicas: got 65 for layer 'conv1', but an integer from 1 to its 64 vectors"),
        ({"sharing.votes": 3}, "sharing: given without replicas"),
        ({"replicas.conv1": 2, "elapse": "vector"}, "elapse: got 'vector' with replicas"),
        ({"replicas.conv1": 2, "sharing.training": "one"}, "sharing.training"),
        (
            {"replicas.conv1": 2, "sharing.average_every": 5, "timing": "first"},
            "sharing.average_every: given where not all mini-batches are timed",
        ),
    ],
)
def test_what_cannot_be_is_said_in_a_sentence(few_digits: Path, changes: dict[str, Any], match: str) -> None:
    with pytest.raises(InputError, match=match):
        rpusim.simulate(chosen(few_digits, **changes))


def network() -> nn.Module:
    torch.manual_seed(0)
    return nn.Sequential(nn.Conv2d(1, 2, 3, padding=1), nn.Tanh(), nn.Flatten(), nn.Linear(32, 3))


class TestPlaced:
    @pytest.mark.parametrize("inference", ["random", "one"])
    def test_a_loop_of_ones_own_is_accounted_for(self, inference: str) -> None:
        """Calls of 3 and 2 samples make a mini-batch, a third is inference; 5 replicas for 16 vectors each."""
        model = rpusim.place(
            network(),
            "rpu-2016",
            (1, 4, 4),
            replicas={"0": Replication(5, inference=inference)},  # type: ignore[arg-type]
        )
        assert isinstance(model[0], Replicated)  # type: ignore[index]
        optimizer, x = rpusim.AnalogSGD(model, lr=0.1), torch.rand(3, 1, 4, 4)
        for _ in range(2):
            for part in (x, x[:2]):
                model(part).square().sum().backward()
            optimizer.step()
            optimizer.zero_grad()
            model.eval()
            model(x)
            model.train()
        found = model.chip.report().document  # type: ignore[union-attr]
        assert found["activity"]["samples"] == 2 * (5 + 3) and found["activity"]["inference_samples"] == 2 * 3
        assert found["layers"][0]["replicas"] == 5 and found["replicas"][0]["inference"] == inference
        macs = 2 * 10 * 16 + 3 * 33
        operations = (
            2 * (macs * 8 + macs * 5 + 3 * 33 * 5) / 8
        )  # forward of all; update, and back through the last layer
        assert found["throughput"]["operations_per_sample"] == pytest.approx(operations, abs=1)

    def test_what_is_not_modelled_is_refused(self) -> None:
        with pytest.raises(InputError, match="replicas: were given for cells that only infer"):
            rpusim.place(network(), "isaac-2016", (1, 4, 4), replicas={"0": 2})
        with pytest.raises(
            InputError, match=r"replicas.0: average_every was given where not all mini-batches are timed"
        ):
            rpusim.place(
                network(), "rpu-2016", (1, 4, 4), timing="first", replicas={"0": Replication(2, average_every=3)}
            )
