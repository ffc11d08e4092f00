"""Activations in half precision: arrays compute in single, and give what float32 gives of the rounded activations."""

from __future__ import annotations

import copy
from typing import Any

import pytest
import torch
from torch import nn

from rpusim.kernels import AnalogConfig, AnalogSGD, LinearStep, convert

NOISY = AnalogConfig(LinearStep(w_max=2.0, w_min=-2.0))
HALVES = pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
LAYERS = pytest.mark.parametrize(
    ("layer", "shape"),
    [
        (lambda: nn.Linear(6, 4), (5, 6)),
        (lambda: nn.Linear(6, 4), (2, 3, 6)),
        (lambda: nn.Conv2d(2, 3, 3, padding=1), (2, 2, 5, 5)),
        (lambda: nn.Conv2d(4, 6, 2, groups=2), (2, 4, 3, 3)),
        (lambda: nn.ConvTranspose2d(2, 3, 3, stride=2), (2, 2, 4, 4)),
    ],
    ids=["linear", "sequence", "convolution", "groups", "transposed"],
)


class Rounded(torch.autograd.Function):
    """Round activations and their gradients to half precision, and go on in single."""

    @staticmethod
    def forward(ctx: Any, x: torch.Tensor, dtype: torch.dtype) -> torch.Tensor:
        ctx.dtype = dtype
        return x.to(dtype).float()

    @staticmethod
    def backward(ctx: Any, *gradients: torch.Tensor) -> tuple[torch.Tensor, None]:
        return gradients[0].to(ctx.dtype).float(), None


class Rounding(nn.Module):
    def __init__(self, dtype: torch.dtype) -> None:
        super().__init__()
        self.dtype = dtype

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        rounded: torch.Tensor = Rounded.apply(x, self.dtype)
        return rounded


def held(model: nn.Module) -> list[torch.Tensor]:
    """All numbers of a model: weights, lines, counters."""
    return [value for value in model.state_dict().values() if isinstance(value, torch.Tensor)]


def same(one: nn.Module, other: nn.Module) -> bool:
    pairs = zip(held(one), held(other), strict=True)
    return all(torch.equal(a.nan_to_num(), b.nan_to_num()) for a, b in pairs)


@HALVES
@LAYERS
def test_a_layer_gives_float32_results_of_half_inputs_and_learns_from_the_same_pairs(layer, shape, dtype):
    torch.manual_seed(0)
    half = convert(layer(), NOISY, seed=3)
    single, start = copy.deepcopy(half), copy.deepcopy(half)
    x = torch.randn(shape).to(dtype)
    error = torch.randn(half(x).shape).to(dtype)
    single(x.float())
    ours, theirs = x.clone().requires_grad_(), x.float().requires_grad_()
    y, expected = half(ours), single(theirs)
    y.backward(error)
    expected.backward(error.float())
    for model in (half, single):
        AnalogSGD(model, 0.1).step()
    assert y.dtype is dtype and ours.grad.dtype is dtype
    assert torch.equal(y, expected.to(dtype)) and torch.equal(ours.grad, theirs.grad.to(dtype))
    assert same(half, single) and not same(half, start)
    assert all(value.dtype is not dtype for value in held(half))


@HALVES
def test_a_network_trains_as_in_float32_with_activations_and_errors_rounded_between_layers(dtype):
    torch.manual_seed(1)
    network = nn.Sequential(nn.Linear(6, 8), nn.ReLU(), nn.Linear(8, 3))
    half = convert(network, NOISY, seed=4)
    first, last = copy.deepcopy(half)[0], copy.deepcopy(half)[2]
    single = nn.Sequential(first, Rounding(dtype), nn.ReLU(), Rounding(dtype), last, Rounding(dtype))
    ours, theirs = AnalogSGD(half, 0.1), AnalogSGD(single, 0.1)
    for _ in range(3):
        x = torch.randn(7, 6).to(dtype)
        for model, optimizer, given in ((half, ours, x), (single, theirs, x.float())):
            optimizer.zero_grad()
            model(given).float().square().sum().backward()
            optimizer.step()
    expected = held(first) + held(last)
    assert all(torch.equal(a.nan_to_num(), b.nan_to_num()) for a, b in zip(held(half), expected, strict=True))


@pytest.mark.parametrize("backward_too", [False, True])
@LAYERS
def test_arrays_are_not_cast_within_autocast(layer, shape, backward_too):
    torch.manual_seed(2)
    cast = convert(layer(), NOISY, seed=5)
    plain, x = copy.deepcopy(cast), torch.randn(shape)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        loss = cast(x).square().sum()
        if backward_too:
            loss.backward()
            AnalogSGD(cast, 0.1).step()
    if not backward_too:
        loss.backward()
        AnalogSGD(cast, 0.1).step()
    plain(x).square().sum().backward()
    AnalogSGD(plain, 0.1).step()
    assert same(cast, plain)


def test_digital_layers_beside_arrays_are_cast_as_ever():
    torch.manual_seed(3)
    network = convert(nn.Sequential(nn.Linear(4, 5), nn.Tanh(), nn.Linear(5, 2)), NOISY, exclude=["0"])
    seen: list[torch.dtype] = []
    network[2].register_forward_hook(lambda module, inputs, output: seen.extend([inputs[0].dtype, output.dtype]))
    with torch.autocast("cpu", dtype=torch.bfloat16):
        network(torch.randn(3, 4)).float().sum().backward()
    assert seen == [torch.bfloat16, torch.bfloat16] and network[0].weight.grad.dtype is torch.float32


@HALVES
def test_arrays_learn_without_the_scale_of_the_loss(dtype):
    """A power of two changes neither the rounding of errors nor, as they are divided by their largest, converters."""
    torch.manual_seed(4)
    scaled = convert(nn.Sequential(nn.Linear(6, 8), nn.ReLU(), nn.Linear(8, 3)), NOISY, seed=6)
    plain, x = copy.deepcopy(scaled), torch.randn(7, 6).to(dtype)
    scaler, optimizer = torch.amp.GradScaler("cpu", init_scale=2.0**4), AnalogSGD(scaled, 0.1)
    scaler.scale(scaled(x).float().square().sum()).backward()
    scaler.step(optimizer)
    scaler.update()
    plain(x).float().square().sum().backward()
    AnalogSGD(plain, 0.1).step()
    assert same(scaled, plain)


@pytest.mark.parametrize("where", ["errors of float16", "loss"])
def test_a_step_whose_scaled_errors_overflow_sends_no_pulses(where):
    torch.manual_seed(5)
    network = convert(nn.Sequential(nn.Linear(6, 8), nn.ReLU(), nn.Linear(8, 3)), NOISY, seed=7)
    before = copy.deepcopy([part.get_weights()[0] for part in (network[0], network[2])])
    scaler, optimizer = torch.amp.GradScaler("cpu", init_scale=2.0**40), AnalogSGD(network, 0.1)
    x = torch.randn(7, 6)
    # 2^40 is beyond float16, so that errors between layers are infinite.
    loss = network(x.half()).float().square().sum()
    if where == "loss":
        loss = network(x).sum() * float("inf")
    scaler.scale(loss).backward()
    scaler.step(optimizer)
    scaler.update()
    after = [part.get_weights()[0] for part in (network[0], network[2])]
    assert all(torch.equal(a, b) for a, b in zip(before, after, strict=True)) and scaler.get_scale() == 2.0**39
    optimizer.zero_grad()
    network(x).square().sum().backward()
    optimizer.step()
    assert not torch.equal(network[0].get_weights()[0], before[0])


@HALVES
def test_masks_of_attention_keep_activations_in_half_precision(dtype):
    torch.manual_seed(6)
    attention = convert(nn.MultiheadAttention(8, 2, batch_first=True), NOISY, seed=8)
    x = torch.randn(2, 3, 8).to(dtype)
    mask = torch.ones(3, 3, dtype=torch.bool).triu(1)
    for given in (mask, torch.zeros(3, 3).masked_fill(mask, -torch.inf)):
        assert attention(x, x, x, attn_mask=given)[0].dtype is dtype
