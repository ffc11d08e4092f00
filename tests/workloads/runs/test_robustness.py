"""Networks are tested on disturbed samples, off the clock, and nothing of it stays."""

from __future__ import annotations

import copy
import math

import pytest
import torch
from torch import nn

from rpusim.arch.contract.activity import ActivityLog
from rpusim.errors import InputError
from rpusim.kernels import AnalogConfig
from rpusim.kernels.devices import SoftBounds
from rpusim.kernels.layers import AnalogLayer
from rpusim.kernels.layers.convert import convert
from rpusim.workloads.runs.robustness import disturbed, worst
from rpusim.workloads.runs.settings import Robustness

SAMPLES, INPUTS = 4000, 8


def linear() -> nn.Sequential:
    torch.manual_seed(1)
    return nn.Sequential(nn.Linear(INPUTS, 2), nn.LogSoftmax(1))


def told_apart_by(model: nn.Sequential, margin: float) -> tuple[torch.Tensor, torch.Tensor]:
    """Samples whose difference of outputs is the margin, in favour of the right class, which alternates."""
    layer = model[0]
    assert isinstance(layer, nn.Linear)
    way, off = layer.weight[1] - layer.weight[0], layer.bias[1] - layer.bias[0]
    y = torch.arange(SAMPLES) % 2
    x = torch.randn(SAMPLES, INPUTS, generator=torch.Generator().manual_seed(2))
    wanted = (2.0 * y - 1.0) * margin
    return (x + ((wanted - off - x @ way) / (way @ way))[:, None] * way).detach(), y


def test_two_classes_of_a_linear_network_are_confused_by_exactly_the_step_that_closes_the_margin() -> None:
    """A step s to the sign of the gradient takes s sum|w_1 - w_0| off the margin (Goodfellow et al. 2015)."""
    model = linear()
    x, y = told_apart_by(model, 1.0)
    layer = model[0]
    assert isinstance(layer, nn.Linear)
    closes = 1.0 / float((layer.weight[1] - layer.weight[0]).abs().sum())
    given = Robustness(adversarial=(0.99 * closes, 1.01 * closes))
    found = disturbed({"test_error": model}, x, y, given, 0)["adversarial"]
    assert [row["test_error"] for row in found] == [0.0, 1.0]
    expected = -(2.0 * y[:, None] - 1.0) * (layer.weight[1] - layer.weight[0]).sign()
    assert torch.equal(worst(model, x, y), expected.detach())


def test_noise_confuses_as_many_as_the_normal_distribution_says() -> None:
    """The margin is lost with the probability Phi(-margin / (s |w_1 - w_0|)); 4 standard deviations of counting."""
    model = linear()
    x, y = told_apart_by(model, 1.0)
    layer = model[0]
    assert isinstance(layer, nn.Linear)
    norm = float((layer.weight[1] - layer.weight[0]).norm())
    for row in disturbed({"test_error": model}, x, y, Robustness(noise=(0.5, 1.0, 3.0)), 0)["noise"]:
        share = 0.5 * math.erfc(1.0 / (row["strength"] * norm) / math.sqrt(2.0))
        assert abs(row["test_error"] - share) < 4.0 * math.sqrt(share * (1.0 - share) / SAMPLES)


def test_nothing_of_it_stays() -> None:
    model = convert(linear(), AnalogConfig(SoftBounds()), seed=3)
    log = ActivityLog()
    for part in model.modules():
        if isinstance(part, AnalogLayer):
            part.log = log
    before = copy.deepcopy(model.state_dict())
    x, y = told_apart_by(linear(), 1.0)
    found = disturbed({"test_error": model}, x, y, Robustness(noise=(0.1,), adversarial=(0.1,)), 0)
    assert set(found) == {"noise", "adversarial"}
    assert len(log.take()) == 0
    for name, value in model.state_dict().items():
        assert str(value) == str(before[name])


def test_whole_numbers_are_refused_in_one_sentence() -> None:
    x, y = torch.zeros(4, 3, dtype=torch.int64), torch.zeros(4, dtype=torch.int64)
    with pytest.raises(InputError, match="robustness: samples are int64, which nothing can be added to"):
        disturbed({"test_error": linear()}, x, y, Robustness(noise=(0.1,)), 0)
    assert disturbed({"test_error": linear()}, x, y, Robustness(), 0) == {}
