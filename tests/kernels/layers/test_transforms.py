"""What torch offers to do to a module or its parameters works on arrays, or is refused in one sentence."""

from __future__ import annotations

import copy
import pickle
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import nn

from rpusim.errors import InputError
from rpusim.kernels import AnalogConfig, AnalogSGD, IdealDevice, IOParameters, convert
from rpusim.kernels.inference import InferenceConfig

PERFECT = IOParameters(is_perfect=True)
PULSED = AnalogConfig(IdealDevice(), forward=PERFECT, backward=PERFECT)
SOFTWARE = InferenceConfig(None, compensation=None, forward=PERFECT)
each_kind = pytest.mark.parametrize("config", [PULSED, SOFTWARE], ids=["pulsed", "inference"])


def twins(config: Any) -> tuple[nn.Module, nn.Module, torch.Tensor]:
    torch.manual_seed(0)
    network = nn.Sequential(nn.Linear(4, 5), nn.Tanh(), nn.Linear(5, 2))
    return network, convert(network, config), torch.randn(3, 4)


@each_kind
def test_jacobians_copies_pickles_and_other_precisions_are_those_of_torch(config: Any) -> None:
    network, analog, x = twins(config)
    expected = torch.autograd.functional.jacobian(network, x)
    torch.testing.assert_close(torch.autograd.functional.jacobian(analog, x), expected, rtol=1e-4, atol=1e-5)
    for other in (copy.deepcopy(analog), pickle.loads(pickle.dumps(analog)), torch.compile(analog, backend="eager")):
        torch.testing.assert_close(other(x), network(x), rtol=1e-4, atol=1e-5)
    assert analog.double()(x.double()).dtype is torch.float64
    assert sum(p.numel() for p in analog.parameters()) == sum(p.numel() for p in network.parameters())


@each_kind
@pytest.mark.parametrize(
    ("asked", "said"),
    [
        (lambda m, x: torch.func.vmap(m)(x[None]), r"layer 0: torch\.func \(vmap"),
        (lambda m, x: torch.func.jacrev(m)(x), r"layer 0: torch\.func \(vmap"),
        (lambda m, x: torch.func.jvp(m, (x,), (x,)), r"layer 0: torch\.func \(vmap"),
        (lambda m, x: torch.export.export(m, (x,)), "layer 0: its weight|layer 0: torch.compile, torch.export"),
        (lambda m, x: torch.jit.trace(m, x), r"torch\.compile, torch\.export or torch\.jit was asked"),
        (lambda m, x: torch.jit.script(m), r"layer 0: torch\.jit\.script was asked"),
        (lambda m, x: torch.autograd.functional.hessian(lambda y: m(y).square().sum(), x), "a gradient of a gradient"),
        (lambda m, x: nn.init.xavier_uniform_(m[0].weight), "its weight is on arrays and is to be changed by uniform_"),
        (lambda m, x: nn.functional.linear(x.requires_grad_(), m[0].weight), "is used outside its layer's forward"),
        (lambda m, x: setattr(m[0].weight, "data", torch.zeros(5, 4)), r"is to be replaced through \.data"),
        (lambda m, x: m(x.to("meta")), "an input on meta was given to arrays on cpu"),
    ],
)  # fmt: skip
def test_what_cannot_be_is_one_sentence(config: Any, asked: Callable[..., Any], said: str) -> None:
    _, analog, x = twins(config)
    with pytest.raises(InputError, match=said):
        asked(analog, x)


@pytest.mark.parametrize(
    "replaced",
    [
        lambda m, x: torch.func.functional_call(m, {n: torch.zeros_like(p) for n, p in m.named_parameters()}, (x,)),
        lambda m, x: nn.utils.parametrizations.weight_norm(m[0])(x),
        lambda m, x: (setattr(m[0], "weight", nn.Parameter(torch.zeros(5, 4))), m(x)),
    ],
    ids=["functional_call", "weight_norm", "assignment"],
)
def test_other_weights_in_place_of_those_on_arrays_are_not_ignored(replaced: Callable[..., Any]) -> None:
    _, analog, x = twins(PULSED)
    with torch.no_grad(), pytest.raises(InputError, match=r"layer 0: its weight was replaced .*set_weights"):
        replaced(analog, x)


def test_averages_of_weights_and_sharpness_aware_steps_write_to_arrays_and_are_refused() -> None:
    _, analog, x = twins(PULSED)
    average = torch.optim.swa_utils.AveragedModel(analog)
    with pytest.raises(
        InputError, match=r"to be changed by copy_, but arrays learn by pulses; accepted: .*set_weights"
    ):
        average.update_parameters(analog)
    analog(x).square().sum().backward()
    with torch.no_grad(), pytest.raises(InputError, match="to be changed by add_"):
        for parameter in analog.parameters():
            parameter.add_(parameter.grad, alpha=0.05)


def test_reading_is_free_and_hooks_see_the_gradient() -> None:
    network, analog, x = twins(PULSED)
    seen: list[torch.Tensor] = []
    for model in (network, analog):
        model[0].weight.register_hook(lambda g: seen.append(g + 0.0))  # type: ignore[union-attr]
        model(x).square().sum().backward()
    torch.testing.assert_close(seen[1], seen[0], rtol=1e-4, atol=1e-5)
    with torch.no_grad():
        norms = [float(sum(p.square().sum() for p in model.parameters())) for model in (network, analog)]
    assert norms[0] == pytest.approx(norms[1], rel=1e-5)


def test_gradients_of_loss_scaling_that_overflow_are_found_and_the_step_is_left_out() -> None:
    _, analog, x = twins(PULSED)
    optimizer, scaler = AnalogSGD(analog, 0.1), torch.amp.GradScaler("cpu", init_scale=2.0**16)
    before = analog[0].get_weights()[0]  # type: ignore[operator]
    scaler.scale(analog(x).sum() * float("inf")).backward()
    scaler.step(optimizer)
    scaler.update()
    assert torch.equal(analog[0].get_weights()[0], before) and scaler.get_scale() == 2.0**15  # type: ignore[operator]
