"""Replicas of a layer: one of them does a vector, each learns from its share only, and one alone is a plain layer."""

from __future__ import annotations

import copy
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from perfect import PERFECT
from torch import nn

from rpusim.arch.contract.activity import Activity, ActivityLog, Phase
from rpusim.errors import InputError
from rpusim.kernels import AnalogSGD, IOParameters, convert
from rpusim.kernels.cells import Transfer
from rpusim.kernels.inference import InferenceConfig
from rpusim.kernels.layers.replicated import Replicated, Replication
from rpusim.kernels.layers.shares import Way, shares
from rpusim.kernels.tiles.presets import configuration

NOISY = configuration("gokmen-vlasov").config


def network() -> nn.Module:
    torch.manual_seed(0)
    return nn.Sequential(nn.Conv2d(1, 3, 3, padding=1), nn.Tanh(), nn.Conv2d(3, 2, 3), nn.Flatten(), nn.Linear(8, 3))


X = torch.rand(5, 1, 4, 4, generator=torch.Generator().manual_seed(1))
Y = torch.tensor([0, 1, 2, 0, 1])


def analog(config: Any = NOISY, log: ActivityLog | None = None, path: str = "numba", **replication: Any) -> nn.Module:
    replicas = {"0": Replication(4, **replication), "2": Replication(3, **replication)}
    return convert(network(), config, log=log, path=path, replicas=replicas)


def learn(model: nn.Module, times: int = 1, rate: float = 0.1) -> list[float]:
    optimizer, losses = AnalogSGD(model, rate), []
    for _ in range(times):
        optimizer.zero_grad()
        loss = nn.functional.cross_entropy(model(X), Y)
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    return losses


def rows(activity: Activity, layer: int, phase: Phase) -> dict[int, int]:
    """The replica of every vector."""
    mine = (activity.layer == layer) & (activity.phase == phase)
    return dict(zip(activity.vector[mine].tolist(), activity.tile[mine].tolist(), strict=True))


class TestShares:
    @given(st.integers(1, 40), st.integers(1, 5), st.integers(1, 40), st.integers(0, 9), st.sampled_from(Way))
    @settings(max_examples=100, deadline=None)
    def test_shares_of_every_sample_are_even(self, vectors: int, samples: int, replicas: int, call: int, way: Way):
        found = shares((0, 1), call, samples, vectors, replicas, way).reshape(samples, vectors)
        each = np.stack([np.bincount(sample, minlength=replicas) for sample in found])
        if way is Way.ONE:
            assert not found.any()
        else:
            assert each.max() - each.min() <= 1
            in_turn = shares((0, 1), call, samples, vectors, replicas, Way.IN_TURN).reshape(samples, vectors)
            assert np.array_equal(np.sort(found, 1), np.sort(in_turn, 1))

    def test_they_are_drawn_anew_with_every_call_layer_and_seed_and_only_then(self):
        first = shares((0, 1), 0, 2, 64, 8, Way.RANDOM)
        assert np.array_equal(first, shares((0, 1), 0, 2, 64, 8, Way.RANDOM))
        for other in (((0, 1), 1), ((0, 2), 0), ((1, 1), 0)):
            assert (first != shares(*other, 2, 64, 8, Way.RANDOM)).mean() > 0.7  # 7 / 8 of independent ones
        assert (first[:64] != first[64:]).mean() > 0.7

    def test_every_position_goes_to_every_replica_equally_often(self):
        """1000 calls of 16 positions: each replica of 4 gets one 250 times, standard deviation 14."""
        found = np.stack([shares((3, 0), call, 1, 16, 4, Way.RANDOM) for call in range(1000)])
        counts = np.stack([(found == replica).sum(0) for replica in range(4)])
        assert np.all(np.abs(counts - 250) < 5 * 14)


@pytest.mark.parametrize("training", ["random", "in-turn"])
def test_a_vector_goes_forward_back_and_into_the_weights_of_one_replica(training):
    log = ActivityLog()
    model = analog(log=log, training=training)
    learn(model)
    activity = log.take()
    for layer, vectors, replicas in ((0, 16, 4), (1, 4, 3)):
        forward = rows(activity, layer, Phase.FORWARD)
        assert list(forward) == list(range(len(X) * vectors))  # each once, in order
        assert rows(activity, layer, Phase.UPDATE) == forward
        if layer:
            assert rows(activity, layer, Phase.BACKWARD) == forward
        in_turn = {vector: vector % replicas for vector in forward}
        assert (forward == in_turn) == (training == "in-turn")


def test_a_replica_learns_from_its_share_and_from_nothing_else():
    """With perfect arrays the weights of replica r change by -lr times the sum of d x^T over its vectors."""
    log = ActivityLog()
    model, rate = analog(PERFECT, log), 0.5
    layer, seen = model[0], {}
    layer.register_full_backward_hook(lambda module, grads, outs: seen.update(d=outs[0]))
    before = [layer.get_weights(number) for number in range(4)]
    learn(model, rate=rate)
    replica = rows(log.take(), 0, Phase.FORWARD)
    x = nn.functional.unfold(X, 3, padding=1).transpose(1, 2).reshape(-1, 9)
    d = seen["d"].flatten(2).transpose(1, 2).reshape(-1, 3)
    for number in range(4):
        mine = [vector for vector, its in replica.items() if its == number]
        weight, bias = layer.get_weights(number)
        assert torch.allclose(weight, before[number][0] - rate * d[mine].T @ x[mine], atol=1e-6)
        assert torch.allclose(bias, before[number][1] - rate * d[mine].sum(0), atol=1e-6)


def test_perfect_replicas_together_are_one_matrix_that_learns_at_a_rate_that_is_less_by_their_number():
    """The mean of all moves by the whole gradient over n; at n times the rate, by the whole gradient."""
    plain = convert(network(), PERFECT)
    learn(plain)
    for rate, factor in (("same", 0.25), ("times-replicas", 1.0)):
        model = analog(PERFECT, learning_rate=rate)
        start = model[0].get_weights()[0]
        assert torch.allclose(model(X), convert(network(), PERFECT)(X), atol=1e-6)
        learn(model)
        moved, whole = model[0].get_weights()[0] - start, plain[0].get_weights()[0] - start
        assert torch.allclose(moved, factor * whole, atol=1e-6)


def test_one_replica_is_a_plain_layer():
    one = convert(network(), NOISY, replicas={"0": Replication(1)})
    assert not any(isinstance(part, Replicated) for part in one.modules())
    assert learn(one, 3) == learn(convert(network(), NOISY), 3)


def test_both_paths_give_the_same_rows_and_weights():
    found = []
    for path in ("numba", "torch"):
        log = ActivityLog()
        model = analog(replace(NOISY, update=replace(NOISY.update, execution="exact")), log, path, average_every=2)
        losses = learn(model, 3)
        found.append((losses, log.take(), [model[0].get_weights(number)[0] for number in range(4)]))
    assert found[0][0] == pytest.approx(found[1][0], abs=1e-5)
    for name, values in vars(found[0][1]).items():
        assert np.array_equal(values, getattr(found[1][1], name)), name
    assert all(torch.allclose(*pair, atol=1e-5) for pair in zip(found[0][2], found[1][2], strict=True))


class TestInference:
    @pytest.mark.parametrize(("way", "used"), [("random", 4), ("in-turn", 4), ("one", 1)])
    def test_evaluation_uses_the_replicas_that_it_is_told_to(self, way, used):
        log = ActivityLog()
        model = analog(log=log, inference=way).eval()
        with torch.no_grad():
            model(X)
        tiles = np.array(list(rows(log.take(), 0, Phase.FORWARD).values()))
        assert len(set(tiles)) == used
        assert (way != "in-turn") or np.array_equal(tiles, np.arange(len(tiles)) % 4)

    def test_one_is_the_first_replica(self):
        model = analog(PERFECT, inference="one", first_weights="independent").eval()
        weight, bias = model[0].get_weights(0)
        expected = nn.functional.conv2d(X, weight.reshape(3, 1, 3, 3), bias, padding=1)
        assert torch.allclose(model[0](X), expected, atol=1e-6)


class TestWeights:
    def test_independent_first_weights_differ_and_are_drawn_as_torch_does(self):
        model = convert(network(), PERFECT, replicas={"0": Replication(16, first_weights="independent")})
        found = torch.stack([model[0].get_weights(number)[0] for number in range(16)])
        bound = 9**-0.5
        assert len({float(w[0, 0]) for w in found}) == 16 and float(found.abs().max()) <= bound
        # of 16 x 27 uniform numbers: standard deviation bound / sqrt(3), known to 1 / sqrt(2 x 432) = 3.4 %
        assert float(found.std()) == pytest.approx(bound / 3**0.5, rel=0.15)
        assert torch.equal(found[0], network()[0].weight.detach().flatten(1))
        again = convert(network(), PERFECT, replicas={"0": Replication(16, first_weights="independent")})
        assert torch.equal(found[7], again[0].get_weights(7)[0])

    def test_similarity_is_the_mean_cosine_between_two_replicas_filters(self):
        model = convert(network(), PERFECT, replicas={"0": Replication(3, first_weights="independent")})
        layer = model[0]
        w = [layer.get_weights(number)[0] for number in range(3)]
        pairs = [(0, 1), (0, 2), (1, 2)]
        expected = np.mean([nn.functional.cosine_similarity(w[a], w[b], dim=1).mean().item() for a, b in pairs])
        assert layer.similarity() == pytest.approx(expected, abs=1e-6)
        layer.set_weights(w[1])
        assert layer.similarity() == pytest.approx(1.0)

    def test_averaging_makes_replicas_alike_and_is_in_the_log(self):
        log, perfect = ActivityLog(), IOParameters(is_perfect=True)
        exactly_read = replace(NOISY, forward=perfect, backward=perfect)
        model = analog(exactly_read, log, average_every=2, first_weights="independent")
        learn(model, 2)
        assert not np.any(log.take().phase == Phase.MAINTENANCE)
        apart = model[0].similarity()
        learn(model, 1, rate=1e-9)
        activity = log.take()
        found = activity.select((activity.phase == Phase.MAINTENANCE) & (activity.layer == 0))
        assert model[0].similarity() > apart
        assert np.bincount(found.tile).tolist() == [10] * 4  # a read, and pulses, of each of 9 + 1 columns
        assert np.all(found.vector == -1) and np.all(found.passes == 1)
        assert found.writes.sum() > 0 and np.all(found.adds == 2 * 3)

    def test_a_restored_layer_draws_the_same_shares(self):
        model, log = analog(average_every=2), ActivityLog()
        learn(model, 3)
        state = copy.deepcopy(model.state_dict())
        other = analog(average_every=2)
        other.load_state_dict(state)
        for each in (model, other):
            each[0].log = ActivityLog()
        assert learn(model, 3) == learn(other, 3)
        a, b = (each[0].log.take() for each in (model, other))
        assert np.array_equal(a.tile, b.tile) and len(a) and log is not None


@pytest.mark.parametrize(
    ("config", "replication", "match"),
    [
        (InferenceConfig(), {}, "replicas: were given for arrays that only infer"),
        (
            replace(NOISY, weight_scaling_omega=0.6),
            {"first_weights": "independent"},
            "first_weights: got 'independent'",
        ),
        (replace(NOISY, cell=Transfer()), {"average_every": 3}, "average_every: got 3 for cells of kind transfer"),
    ],
)
def test_what_replicas_cannot_do_is_refused(config, replication, match):
    with pytest.raises(InputError, match=match):
        analog(config, **replication)


def test_replicas_that_are_none_are_refused():
    with pytest.raises(InputError, match="training: got 'one', with which no other replica would learn"):
        Replication(2, training="one")
    with pytest.raises(InputError, match="replicas: no analog layer is called 'conv'"):
        convert(network(), NOISY, replicas={"conv": Replication(2)})
    recurrent = nn.Sequential(nn.LSTM(3, 4))
    with pytest.raises(InputError, match=r"replicas: got them for '0', a LSTM; accepted: nn\.Linear, nn\.Conv1d"):
        convert(recurrent, NOISY, replicas={"0": Replication(2)})
    with pytest.raises(InputError, match=r"replicas: got them for '0\.ih_l0', one of several matrices of a module"):
        convert(recurrent, NOISY, replicas={"0.ih_l0": Replication(2)})
