"""A digital checkpoint in an analog model: every kind of layer holds it, and what does not fit is one sentence."""

from __future__ import annotations

import warnings
from dataclasses import replace

import pytest
import torch
from torch import nn

from rpusim.errors import InputError
from rpusim.kernels import AnalogConfig, ClippedWeights, IdealDevice, IOParameters, convert, load_digital, preset
from rpusim.kernels.inference import InferenceConfig

EXACT = AnalogConfig(IdealDevice(), forward=IOParameters(is_perfect=True), backward=IOParameters(is_perfect=True))
SOFTWARE = InferenceConfig(None, compensation=None, forward=IOParameters(is_perfect=True))


class Every(nn.Module):
    """Linear, convolution in groups, norm, recurrent and attention layers."""

    def __init__(self) -> None:
        super().__init__()
        self.conv, self.norm = nn.Conv1d(4, 8, 3, groups=2, padding=1), nn.BatchNorm1d(8)
        self.lstm = nn.LSTM(8, 6, num_layers=2, batch_first=True, bidirectional=True)
        self.attention = nn.MultiheadAttention(12, 2, batch_first=True)
        self.other = nn.MultiheadAttention(12, 3, kdim=8, vdim=8, batch_first=True, bias=False)
        self.cell, self.last = nn.GRUCell(12, 5), nn.Linear(5, 2, bias=False)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        y = self.norm(self.conv(x)).transpose(1, 2)
        h = self.lstm(y)[0]
        h = h + self.attention(h, h, h)[0] + self.other(h, y, y)[0]
        return self.last(self.cell(h.mean(1)))  # type: ignore[no-any-return]


@pytest.mark.parametrize("config", [EXACT, SOFTWARE], ids=["pulsed", "inference"])
def test_the_twin_computes_as_the_network_whose_state_it_was_given(config: AnalogConfig) -> None:
    torch.manual_seed(0)
    first, second = Every().eval(), Every().eval()
    twin = convert(first, config).eval()
    load_digital(twin, second.state_dict())
    x = torch.randn(3, 4, 7)
    with torch.no_grad():
        torch.testing.assert_close(twin(x), second(x), rtol=1e-4, atol=1e-5)


def test_a_whole_model_that_is_one_layer_is_loaded_too() -> None:
    layer = nn.Linear(3, 2)
    twin = convert(nn.Linear(3, 2), EXACT)
    load_digital(twin, layer.state_dict())
    torch.testing.assert_close(twin.get_weights()[0], layer.weight.detach())


def test_what_does_not_fit_is_named() -> None:
    state, twin = nn.Sequential(nn.Linear(3, 2)).state_dict(), convert(nn.Sequential(nn.Linear(3, 2)), EXACT)
    with pytest.raises(InputError, match=r"state: lacks 0\.bias; accepted is the state_dict of the digital network"):
        load_digital(twin, {"0.weight": state["0.weight"]})
    with pytest.raises(InputError, match=r"state: has besides 1\.weight;"):
        load_digital(twin, {**state, "1.weight": torch.zeros(1)})
    with pytest.raises(InputError, match=r"0: weight: a shape of \(2, 4\) was given"):
        load_digital(twin, {**state, "0.weight": torch.zeros(2, 4)})
    load_digital(twin, {**state, "1.weight": torch.zeros(1)}, strict=False)


def test_torchs_own_loading_of_a_digital_state_says_what_to_do() -> None:
    twin = convert(nn.Sequential(nn.Linear(3, 2)), EXACT)
    with pytest.raises(InputError, match=r"0\.weight: a state of digital layers was given .*rpusim\.load_digital"):
        twin.load_state_dict(nn.Sequential(nn.Linear(3, 2)).state_dict())


class TestWeightsBeyondTheBoundsOfCells:
    def test_a_trained_model_that_does_not_fit_is_warned_about_with_numbers(self) -> None:
        network = nn.Sequential(nn.Linear(16, 12), nn.Tanh(), nn.Linear(12, 3))
        with torch.no_grad():
            network[0].weight.fill_(3.0)
        config = preset("ecram").config
        with pytest.warns(
            ClippedWeights, match=r"0: 192 weights .* times too large, the worst .* times; .*weight_scaling_omega"
        ):
            convert(network, config)

    def test_weights_that_fit_and_weights_that_are_scaled_are_not(self) -> None:
        network = nn.Sequential(nn.Linear(64, 12))
        config = preset("ecram").config
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            convert(network, config)
            with torch.no_grad():
                network[0].weight.mul_(50.0)
            scaled = convert(network, replace(config, weight_scaling_omega=0.3))
        assert scaled[0].lost.share < 0.05
