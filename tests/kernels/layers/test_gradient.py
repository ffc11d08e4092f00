"""What a loop does to the gradients of weights that learn by pulses happens to them: clipping, scaling, freezing."""

from __future__ import annotations

import copy

import numpy as np
import pytest
import torch
from torch import nn

from rpusim.arch.contract.activity import ActivityLog, Phase
from rpusim.errors import InputError
from rpusim.kernels import AnalogConfig, AnalogSGD, IOParameters, PulseType, UpdateParameters, device
from rpusim.kernels.layers.convert import convert
from rpusim.kernels.layers.optimizer import array_parameters, digital_parameters

IDEAL = AnalogConfig(
    device("constant-step", dw_min=1e-6, w_max=10.0, w_min=-10.0, dw_min_std=0.0, dw_min_dtod=0.0, up_down_dtod=0.0),
    forward=IOParameters(is_perfect=True),
    backward=IOParameters(is_perfect=True),
    update=UpdateParameters(pulse_type=PulseType.NONE),
)
"""Arrays that do exactly what torch does."""


def networks() -> tuple[nn.Module, nn.Module]:
    """The same network in torch and on ideal arrays: a convolution in groups, a bias in the array, a digital layer."""
    torch.manual_seed(0)
    digital = nn.Sequential(
        nn.Conv2d(2, 4, 3, groups=2), nn.Tanh(), nn.Flatten(), nn.LayerNorm(16), nn.Linear(16, 5, bias=False), nn.Tanh()
    )
    return digital, convert(digital, IDEAL)


def losses(model: nn.Module, times: int = 1) -> None:
    torch.manual_seed(1)
    for _ in range(times):
        model(torch.randn(3, 2, 4, 4)).sub(0.3).square().sum().backward()


def weights(model: nn.Module) -> list[torch.Tensor]:
    return [
        tensor
        for layer in model
        for tensor in (layer.get_weights() if hasattr(layer, "get_weights") else layer.parameters(recurse=False))
        if tensor is not None
    ]


@pytest.mark.parametrize("most", [0.05, 0.7, 1e6])
def test_torch_clips_the_norm_of_the_gradient_that_pulses_stand_for(most: float) -> None:
    digital, analog = networks()
    found = []
    for model, optimizer in ((digital, torch.optim.SGD(digital.parameters(), 0.5)), (analog, AnalogSGD(analog, 0.5))):
        for _ in range(3):
            optimizer.zero_grad()
            losses(model, times=2)  # gradients are accumulated
            found.append(float(nn.utils.clip_grad_norm_(model.parameters(), most)))
            optimizer.step()
    assert found[:3] == pytest.approx(found[3:], rel=1e-4)
    for expected, got in zip(weights(digital), weights(analog), strict=True):
        torch.testing.assert_close(got.reshape(expected.shape), expected, rtol=1e-3, atol=1e-4)


def test_a_norm_below_the_limit_changes_no_bit() -> None:
    _, analog = networks()
    other = copy.deepcopy(analog)
    for model, limit in ((analog, None), (other, 1e9)):
        losses(model)
        if limit:
            nn.utils.clip_grad_norm_(model.parameters(), limit)
        AnalogSGD(model, 0.1).step()
    assert all(torch.equal(a, b) for a, b in zip(weights(analog), weights(other), strict=True))


def test_what_was_clipped_stays_so_when_more_gradients_come() -> None:
    digital, analog = networks()
    for model, optimizer in ((digital, torch.optim.SGD(digital.parameters(), 0.5)), (analog, AnalogSGD(analog, 0.5))):
        losses(model)
        nn.utils.clip_grad_norm_(model.parameters(), 0.1)
        losses(model)
        optimizer.step()
    for expected, got in zip(weights(digital), weights(analog), strict=True):
        torch.testing.assert_close(got.reshape(expected.shape), expected, rtol=1e-3, atol=1e-4)


def test_elements_of_a_gradient_that_is_pairs_are_not_clipped_one_by_one() -> None:
    _, analog = networks()
    losses(analog)
    with pytest.raises(InputError, match=r"layer 0: its weight is on arrays .* by clamp_, .*clip_grad_norm_"):
        nn.utils.clip_grad_value_(analog.parameters(), 0.1)


def test_a_gradient_reads_as_the_one_of_torch() -> None:
    digital, analog = networks()
    for model in (digital, analog):
        losses(model, times=2)
    for expected, got in zip(digital.parameters(), analog.parameters(), strict=True):
        assert expected.shape == got.shape and expected.grad is not None and got.grad is not None
        torch.testing.assert_close(got.grad + 0.0, expected.grad, rtol=1e-4, atol=1e-5)
        assert float(got.grad.norm()) == pytest.approx(float(expected.grad.norm()), rel=1e-5)


def test_pulses_follow_the_clipped_gradient() -> None:
    """A tenth of the gradient: a tenth of the way on average, and fewer pulses; the search is digital work."""
    torch.manual_seed(0)
    found = []
    for most in (None, 0.1):
        log = ActivityLog()
        model = convert(nn.Sequential(nn.Linear(40, 20, bias=False)), AnalogConfig(device("constant-step")), log=log)
        before = model[0].get_weights()[0].clone()
        optimizer = AnalogSGD(model, 0.001)
        x, d = torch.rand(1, 40), torch.rand(1, 20)
        norm = float(x.norm() * d.norm())
        for _ in range(400):
            optimizer.zero_grad()
            model(x).backward(d)
            if most:
                assert float(model[0].weight.grad.norm()) == pytest.approx(norm, rel=1e-5)
                nn.utils.clip_grad_norm_(model.parameters(), most * norm)
            optimizer.step()
        rows = log.take()
        updates = rows.select(rows.phase == Phase.UPDATE)
        moved = float(((before - model[0].get_weights()[0]) * (d.t() @ x)).sum())
        found.append((moved, int(updates.coincidences_down.sum()), set(updates.digital_ops.tolist())))
    (whole, pulses, none), (part, fewer, some) = found
    assert part == pytest.approx(whole / 10, rel=0.1)
    assert fewer == pytest.approx(pulses / 10, rel=0.1)
    products = 20 + 40  # multiplied and added up
    assert some == {next(iter(none)) + 2 * products + 20}


@pytest.mark.parametrize("forget", ["model", "optimizer"])
def test_zero_grad_forgets_the_pairs(forget: str) -> None:
    _, analog = networks()
    optimizer, before = AnalogSGD(analog, 0.5), [w.clone() for w in weights(analog)]
    losses(analog)
    (analog if forget == "model" else optimizer).zero_grad()
    optimizer.step()
    assert all(torch.equal(a, b) for a, b in zip(weights(analog), before, strict=True))


def test_a_frozen_layer_learns_nothing_and_lets_errors_through() -> None:
    _, analog = networks()
    first, last = (layer for layer in analog if hasattr(layer, "get_weights"))
    last.requires_grad_(False)
    before = [layer.get_weights()[0].clone() for layer in (first, last)]
    losses(analog)
    AnalogSGD(analog, 0.5).step()
    assert not torch.equal(first.get_weights()[0], before[0])
    assert torch.equal(last.get_weights()[0], before[1])
    assert not copy.deepcopy(last).weight.requires_grad


@pytest.mark.parametrize("of_torch", [torch.optim.SGD, torch.optim.Adam, torch.optim.AdamW])
def test_an_optimizer_of_torch_is_refused(of_torch: type[torch.optim.Optimizer]) -> None:
    _, analog = networks()
    optimizer = of_torch(analog.parameters(), lr=0.1)
    losses(analog)
    before = [w.clone() for w in weights(analog)]
    with pytest.raises(InputError, match=r"layer 0: its weight is on arrays and is to be changed .*rpusim\.AnalogSGD"):
        optimizer.step()
    assert torch.equal(weights(analog)[0], before[0])


@pytest.mark.parametrize("of_torch", [torch.optim.SGD, torch.optim.Adam, torch.optim.AdamW, torch.optim.Adagrad])
def test_any_optimizer_of_torch_trains_what_is_digital_beside_pulses(of_torch: type[torch.optim.Optimizer]) -> None:
    digital, analog = networks()
    norm = digital[3]
    arrays = [p for name, p in digital.named_parameters() if not name.startswith("3.")]
    pairs = (
        (digital, of_torch(norm.parameters(), lr=0.1), torch.optim.SGD(arrays, 0.5)),
        (analog, of_torch(digital_parameters(analog), lr=0.1), AnalogSGD(array_parameters(analog), 0.5)),
    )
    for model, *optimizers in pairs:
        for _ in range(3):
            for optimizer in optimizers:
                optimizer.zero_grad()
            losses(model)
            for optimizer in optimizers:
                optimizer.step()
    for expected, got in zip(weights(digital), weights(analog), strict=True):
        torch.testing.assert_close(got.reshape(expected.shape), expected, rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize(
    "scheduler",
    [
        lambda o: torch.optim.lr_scheduler.StepLR(o, 2, 0.1),
        lambda o: torch.optim.lr_scheduler.CosineAnnealingLR(o, 10),
        lambda o: torch.optim.lr_scheduler.OneCycleLR(o, 1.0, total_steps=10),
        lambda o: torch.optim.lr_scheduler.LambdaLR(o, lambda epoch: 0.5**epoch),
        lambda o: torch.optim.lr_scheduler.CyclicLR(o, 0.1, 1.0, 2),
    ],
)
def test_schedulers_of_torch_set_the_rate_of_arrays(scheduler) -> None:  # type: ignore[no-untyped-def]
    digital, analog = networks()
    for model, optimizer in (
        (digital, torch.optim.SGD(digital.parameters(), 0.5, momentum=0.0)),
        (analog, AnalogSGD(analog, 0.5)),
    ):
        schedule = scheduler(optimizer)
        for _ in range(5):
            optimizer.zero_grad()
            losses(model)
            optimizer.param_groups[0]["momentum"] = 0.0
            optimizer.step()
            schedule.step()
    for expected, got in zip(weights(digital), weights(analog), strict=True):
        torch.testing.assert_close(got.reshape(expected.shape), expected, rtol=1e-2, atol=1e-4)


def test_the_norm_of_groups_and_split_tiles_is_that_of_the_whole_matrix() -> None:
    torch.manual_seed(0)
    layer = nn.Linear(12, 9)
    analog = convert(nn.Sequential(layer), IDEAL, splits={"0": ((4, 5), (6, 7))})
    for model in (layer, analog):
        model(torch.linspace(-1, 1, 36).reshape(3, 12)).square().sum().backward()
    assert layer.bias is not None and layer.bias.grad is not None and layer.weight.grad is not None
    both = np.hypot(float(layer.weight.grad.norm()), float(layer.bias.grad.norm()))
    norms = [float(part.grad.norm()) for part in (analog[0].weight, analog[0].bias)]
    assert np.hypot(*norms) == pytest.approx(both, rel=1e-5)
