"""Models move to a GPU and train there: on a pretended one, which refuses what a GPU would refuse.

Without Triton the specification computes there, so that numbers are those of path "torch" on the CPU.
"""

from __future__ import annotations

import copy
from typing import Any

import pytest
import torch
from pretended import PretendedGPU
from torch import nn

from rpusim.kernels import AnalogSGD, configuration, convert
from rpusim.kernels.base import paths
from rpusim.kernels.inference import InferenceConfig, drift, program

WAYS = (
    *("ecram", "reram-es-2", "pcm", "tiki-taka-ecram", "ttv2-ecram", "chopped-ttv2-ecram", "agad-ecram"),
    *("mixed-precision-ecram", "eapu-ecram", "rl-ecram", "rlv2-ecram", "multi-tile-ecram", "rider-ecram"),
)


@pytest.fixture(autouse=True)
def without_triton(monkeypatch):
    monkeypatch.setattr(paths, "has_triton", lambda: False)


def network() -> nn.Module:
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(3, 4), nn.Tanh(), nn.Linear(4, 2))


def trained(model: nn.Module, device: str) -> dict[str, Any]:
    """The state of a model, brought back, after two mini-batches on a device."""
    model.to(device)
    optimizer = AnalogSGD(model, 0.1)
    generator = torch.Generator().manual_seed(1)
    for _ in range(2):
        x = torch.randn(2, 3, generator=generator)
        optimizer.zero_grad()
        model(x.to(device)).square().sum().backward()
        optimizer.step()
    return model.to("cpu").state_dict()


@pytest.mark.parametrize("way", WAYS)
def test_every_cell_trains_there_and_its_state_comes_back(way):
    one = convert(network(), configuration(way).config, path="torch", seed=2)
    other = copy.deepcopy(one)
    expected = trained(one, "cpu")
    with PretendedGPU():
        found = trained(other, "cuda")
    for name, value in expected.items():
        if isinstance(value, torch.Tensor):
            torch.testing.assert_close(found[name], value, rtol=0, atol=1e-6, equal_nan=True)
    fresh = convert(network(), configuration(way).config, seed=2)  # a state of one path loads in the other
    fresh.load_state_dict(found)


def test_programmed_weights_drift_there_and_the_host_waits_as_often_for_any_number_of_vectors():
    one, x = convert(network(), InferenceConfig(), path="torch", seed=3).eval(), torch.ones(2, 3)
    other = copy.deepcopy(one)
    program(one)
    drift(one, 3600.0)
    expected = one(x)
    with PretendedGPU() as gpu:
        other.to("cuda")
        program(other)
        drift(other, 3600.0)
        found = other(x.to("cuda")).to("cpu")
        waits = []
        for number in (1, 8):
            gpu.waits.clear()
            other(x.to("cuda").repeat(number, 1))
            waits.append(len(gpu.waits))
    torch.testing.assert_close(found, expected, rtol=0, atol=1e-6)
    assert waits[0] == waits[1]


def test_the_pretended_gpu_refuses_what_a_gpu_would():
    with PretendedGPU():
        there, here = torch.ones(3, device="cuda"), torch.ones(3)
        assert there.device.type == "cuda" and there.is_cuda and not there.is_cpu and (there * 2).is_cuda
        with pytest.raises(AssertionError, match="numpy of a tensor on a GPU"):
            there.numpy()
        with pytest.raises(AssertionError, match="on a GPU and of"):
            there + here
        assert torch.equal((there + here.to("cuda")).cpu(), here * 2)
    assert torch.ones(3).is_cpu
