"""Layers that follow each other are one step of autograd, which does to the bit what they do one by one."""

from __future__ import annotations

import copy
import pickle
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from rpusim.arch.contract.activity import COLUMNS, ActivityLog
from rpusim.errors import InputError
from rpusim.kernels import AnalogConfig, AnalogSGD
from rpusim.kernels.cells.vector import Vector
from rpusim.kernels.devices import ConstantStep, LinearStep, SoftBounds
from rpusim.kernels.layers import AnalogLinear
from rpusim.kernels.layers.convert import convert
from rpusim.kernels.layers.matrix import product
from rpusim.kernels.layers.matrix.chain import Chain, Run, _pieces

CONFIGS = {
    "constant": AnalogConfig(device=ConstantStep()),
    "digital bias": AnalogConfig(device=SoftBounds(dw_min=0.004), analog_bias=False),
    "write noise, tiles": AnalogConfig(device=LinearStep(write_noise_std=0.5), max_rows=4, max_columns=5),
    "scaled": AnalogConfig(device=SoftBounds(dw_min=0.004), weight_scaling_omega=0.5),
    "vector": AnalogConfig(device=SoftBounds(dw_min=0.004), cell=Vector(number=2)),
}
pytestmark = pytest.mark.filterwarnings("ignore::rpusim.kernels.layers.convert.ClippedWeights")
FUNCTIONS = (nn.Sigmoid, nn.Tanh, nn.ReLU, lambda: nn.ReLU(inplace=True), nn.GELU, nn.Identity)


def network(functions: list[int], frozen: list[bool], tied: bool) -> nn.Sequential:
    """Layers of 6 numbers, each with a function behind it; the first and the last may be one."""
    torch.manual_seed(2)
    parts: list[nn.Module] = [nn.Flatten()]
    for function, still in zip(functions, frozen, strict=True):
        layer = nn.Linear(6, 6)
        layer.weight.requires_grad_(not still)
        parts += [layer, FUNCTIONS[function]()]
    if tied and len(functions) > 2:
        parts[-2] = parts[1]
    return nn.Sequential(*parts, nn.LogSoftmax(-1))


def pair(digital: nn.Module, config: AnalogConfig) -> list[tuple[nn.Sequential, ActivityLog]]:
    """The network on arrays twice: as a chain, and without."""
    made: Any = []
    for chained in (True, False):
        log = ActivityLog()
        model = convert(digital, config, seed=4, log=log)
        assert type(model) is Chain
        if not chained:
            model.__class__ = nn.Sequential  # type: ignore[assignment]
        made.append((model, log))
    return made  # type: ignore[no-any-return]


def rows(log: ActivityLog) -> np.ndarray[Any, Any]:
    taken = log.take()
    return np.stack([getattr(taken, name) for name in COLUMNS])


@settings(max_examples=60, deadline=None)
@given(st.data())
def test_a_chain_is_to_the_bit_what_its_layers_are_one_by_one(data: st.DataObject) -> None:
    length = data.draw(st.integers(2, 4))
    functions = data.draw(st.lists(st.integers(0, len(FUNCTIONS) - 1), min_size=length, max_size=length))
    frozen = data.draw(st.lists(st.booleans(), min_size=length, max_size=length))
    (ours, log), (theirs, their_log) = pair(
        network(functions, frozen, data.draw(st.booleans())), CONFIGS[data.draw(st.sampled_from(sorted(CONFIGS)))]
    )
    wanted, calls = data.draw(st.booleans()), data.draw(st.integers(1, 3))
    generator = torch.Generator().manual_seed(data.draw(st.integers(0, 99)))
    shape = (data.draw(st.sampled_from([1, 3])), 2, 3)
    optimizers = [AnalogSGD(model, 0.1) for model in (ours, theirs)]
    for _ in range(2):
        xs = [torch.randn(shape, generator=generator) for _ in range(calls)]
        for optimizer in optimizers:
            optimizer.zero_grad()
        seen = []
        for model in (ours, theirs):
            inputs, found = [x.clone().requires_grad_(wanted) for x in xs], []
            for x in inputs:
                y = model(x)
                found.append(y.detach())
                if y.requires_grad:
                    torch.autograd.backward((y * y).sum())
            seen.append(found + [x.grad for x in inputs])
        for mine, other in zip(*seen, strict=True):
            assert (mine is None) == (other is None) and (mine is None or torch.equal(mine, other))
        for mine, other in zip(ours.parameters(), theirs.parameters(), strict=True):
            assert (mine.grad is None) == (other.grad is None)
            assert mine.grad is None or torch.equal(mine.grad * 1.0, other.grad * 1.0)  # type: ignore[operator]
        for optimizer in optimizers:
            optimizer.step()
        for mine, other in zip(ours.parameters(), theirs.parameters(), strict=True):
            assert torch.equal(mine.detach() * 1.0, other.detach() * 1.0)
    assert np.array_equal(rows(log), rows(their_log))


@pytest.fixture
def both() -> list[tuple[nn.Sequential, ActivityLog]]:
    return pair(network([0, 1, 2], [False] * 3, False), CONFIGS["constant"])


def test_what_nobody_asks_for_goes_through_no_array(both: list[tuple[nn.Sequential, ActivityLog]]) -> None:
    found = []
    for model, log in both:
        loss = model(torch.ones(2, 6)).square().sum()
        gradient: Any = torch.autograd.grad(loss, [model[3].weight], retain_graph=True)[0]  # type: ignore[list-item]
        found.append([gradient.dense().numpy(), rows(log)])
        torch.autograd.backward(loss, inputs=[model[5].weight])  # type: ignore[list-item]
        found[-1].append(rows(log))
        assert model[1].weight.grad is None and model[5].weight.grad is not None
    for mine, other in zip(*found, strict=True):
        assert np.array_equal(mine, other)


def test_gradients_add_up_where_they_are_not_forgotten(both: list[tuple[nn.Sequential, ActivityLog]]) -> None:
    model, _ = both[0]
    for count in (1, 2, 3):
        model(torch.ones(2, 6)).square().sum().backward()
        gradient: Any = model[3].weight.grad
        assert len(gradient.terms) == count


@pytest.mark.parametrize("kind", ["forward", "parameter", "after"])
def test_hooks_are_called(both: list[tuple[nn.Sequential, ActivityLog]], kind: str) -> None:
    (model, _), called = both[0], []
    layer: Any = model[3]
    if kind == "forward":
        layer.register_forward_hook(lambda part, given, output: called.append(output) or output * 2.0)
    elif kind == "parameter":
        layer.weight.register_hook(lambda gradient: called.append(gradient) or gradient * 2.0)
    else:
        layer.weight.register_post_accumulate_grad_hook(lambda part: called.append(part))
    model(torch.ones(2, 6)).square().sum().backward()
    assert len(called) == 1
    if kind == "parameter":
        assert [factor for _, factor in layer.weight.grad.terms] == [2.0]


def test_a_gradient_of_a_gradient_is_refused(both: list[tuple[nn.Sequential, ActivityLog]]) -> None:
    loss = both[0][0](torch.ones(2, 6)).square().sum()
    with pytest.raises(InputError, match="layer 0: a gradient of a gradient was asked for"):
        torch.autograd.backward(loss, create_graph=True)


def test_an_input_of_another_shape_is_refused_as_by_a_layer(both: list[tuple[nn.Sequential, ActivityLog]]) -> None:
    for model, _ in both:
        with pytest.raises(InputError, match=r"layer 0: an input of shape \(2, 5\) was given"):
            model(torch.ones(2, 5))


def test_a_chain_looks_and_is_kept_like_the_sequence_that_it_stands_for() -> None:
    digital = network([0, 1], [False] * 2, False)
    model: Any = convert(digital, CONFIGS["constant"])
    assert isinstance(model, nn.Sequential) and repr(model).startswith("Sequential(\n  (0): Flatten")
    x = torch.ones(2, 6)
    expected = copy.deepcopy(model)(x)
    for again in (copy.deepcopy(model), pickle.loads(pickle.dumps(model))):
        assert torch.equal(again(x), expected)
    for function in (nn.ReLU(), nn.Hardtanh()):  # a part of it is replaced after it ran
        model[2] = function
        one_by_one: Any = copy.deepcopy(model)
        one_by_one.__class__ = nn.Sequential
        assert torch.equal(model(x), one_by_one(x))


def test_runs_are_found_between_what_has_to_be_called_itself() -> None:
    model: Any = convert(
        nn.Sequential(nn.Linear(4, 4), nn.Tanh(), nn.Linear(4, 4), nn.Dropout(0.5), nn.Linear(4, 4), nn.LogSoftmax(1)),
        CONFIGS["constant"],
    )
    kinds = [type(piece) for piece in _pieces(list(model))]
    assert kinds == [Run, nn.Dropout, AnalogLinear, nn.LogSoftmax]


def test_a_layer_alone_hands_its_pairs_over_without_a_copy(monkeypatch: pytest.MonkeyPatch) -> None:
    made: list[Any] = []
    usual = product.PairGradient

    def count(*given: Any) -> Any:
        made.append(usual(*given))
        return made[-1]

    monkeypatch.setattr(product, "PairGradient", count)
    layer = AnalogLinear(4, 3, CONFIGS["constant"])
    layer(torch.ones(2, 4)).sum().backward()
    assert [layer.weight.grad is made[0], layer.bias.grad is made[1]] == [True, True]  # type: ignore[union-attr]
