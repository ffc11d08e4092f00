"""The compiled step is the training that torch's modules, autograd and `AnalogSGD` do: one test over generated cases.

Random numbers have the same names, so weights, counters and rows of activity are equal, but for what rounding decides:
sums, exponentials and tangents are computed in another order, and a line whose random number lies within 1e-7 of its
probability may fire in one way and not in the other.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from rpusim.arch.contract.activity import COLUMNS, Activity, ActivityLog
from rpusim.kernels import AnalogConfig, AnalogSGD
from rpusim.kernels.cells.tiki_taka.transfer import Transfer
from rpusim.kernels.cells.vector import Vector
from rpusim.kernels.devices import ConstantStep, ExpStep, FloatingPointDevice, IdealDevice, LinearStep, SoftBounds
from rpusim.kernels.layers import AnalogLayer
from rpusim.kernels.layers.convert import convert
from rpusim.kernels.mvm.multiply import BoundManagement, IOParameters, NoiseManagement
from rpusim.kernels.mvm.wires import Wires
from rpusim.kernels.pulses.trains import UpdateParameters
from rpusim.kernels.step import CompiledStep, NotFinite, Unsuitable, compiled_step
from rpusim.workloads.capture.capture import capture_modes
from rpusim.workloads.runs.step_of import step_of

BATCH, RATE = 3, 0.1


class Residual(nn.Module):
    """A sum of two branches, one of which is read twice."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.inner, self.last = nn.Linear(12, 6), nn.Linear(6, 6), nn.Linear(6, 4)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = torch.relu(self.first(x.flatten(1)))
        x = x + torch.tanh(self.inner(x))
        return torch.log_softmax(self.last(x), 1)


def _convolution() -> nn.Module:
    return nn.Sequential(
        nn.Conv2d(1, 3, 3, padding=1),
        nn.Tanh(),
        nn.MaxPool2d(2),
        nn.Conv2d(3, 4, (1, 2)),
        nn.LeakyReLU(0.1),
        nn.AdaptiveAvgPool2d(1),
        nn.Flatten(),
        nn.Linear(4, 4),
        nn.LogSoftmax(1),
    )


def _chain(bias: bool = True) -> nn.Module:
    layers = nn.Linear(12, 7, bias=bias), nn.Sigmoid(), nn.Linear(7, 4, bias=bias)
    return nn.Sequential(nn.Flatten(), *layers, nn.LogSoftmax(1))


NETWORKS: dict[str, Callable[[], nn.Module]] = {
    "chain": _chain,
    "without bias": lambda: _chain(False),
    "convolution": _convolution,
    "residual": Residual,
}
DEVICES: dict[str, Any] = {
    "constant": ConstantStep(),
    "soft bounds": SoftBounds(dw_min=0.004),
    "linear, write noise": LinearStep(dw_min=0.004, write_noise_std=0.5),
    "exponential": ExpStep(dw_min=0.004),
    "forgetting": ConstantStep(lifetime=30.0, lifetime_dtod=0.1, diffusion=0.002),
    "floating point": FloatingPointDevice(),
    "ideal": IdealDevice(lifetime=40.0),
}
CELLS: dict[str, Any] = {
    "single": None,
    "vector": Vector(number=2),
    "transfer": Transfer(gamma=0.1, transfer_every=1.0),
}
PERIPHERIES: dict[str, IOParameters] = {
    "usual": IOParameters(),
    "perfect": IOParameters(is_perfect=True),
    "constant": IOParameters(noise_management=NoiseManagement.CONSTANT, nm_thres=2.0, inp_noise=0.01),
    "bounded": IOParameters(out_bound=0.3, bound_management=BoundManagement.ITERATIVE, out_noise_std=0.2),
    "by chance": IOParameters(inp_sto_round=True, out_sto_round=True, out_asymmetry=0.05),
    "wires": IOParameters(wires=Wires(load=2e-3, read_cells=24, driven_cells=16)),
}


def _both(network: str, config: AnalogConfig | None) -> list[tuple[nn.Module, ActivityLog | None]]:
    """Make the same network twice; config: None: in floating point."""
    made: list[tuple[nn.Module, ActivityLog | None]] = []
    for _ in range(2):
        torch.manual_seed(5)
        model, log = NETWORKS[network](), None
        if config is not None:
            model, log = convert(model, config, seed=3), ActivityLog()
            for part in model.modules():
                if isinstance(part, AnalogLayer):
                    part.log = log
        made.append((model, log))
    return made


def _samples(number: int) -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(9)
    return torch.randn(number, 1, 3, 4, generator=generator), torch.randint(0, 4, (number,), generator=generator)


def _by_torch(model: nn.Module, analog: bool, x: torch.Tensor, y: torch.Tensor, batch: int) -> list[float]:
    optimizer: torch.optim.Optimizer = torch.optim.SGD(model.parameters(), RATE)
    if analog:
        optimizer = AnalogSGD(model, RATE)
    losses = []
    for x_part, y_part in zip(torch.split(x, batch), torch.split(y, batch), strict=True):
        optimizer.zero_grad()
        loss = nn.functional.nll_loss(model(x_part), y_part)
        torch.autograd.backward(loss)
        optimizer.step()
        losses.append(float(loss.detach()))
    return losses


def _step(network: str, model: nn.Module, log: ActivityLog | None) -> CompiledStep:
    return step_of(capture_modes(NETWORKS[network](), (1, 3, 4))[0], model, log)


def _differs(one: Activity, other: Activity) -> float:
    """Share of rows that are not equal."""
    assert len(one) == len(other)
    rows = np.zeros(len(one), np.bool_)
    for name in COLUMNS:
        rows |= getattr(one, name) != getattr(other, name)
    return float(rows.mean()) if len(rows) else 0.0


@settings(max_examples=40, deadline=None)
@given(st.data())
def test_a_compiled_step_trains_as_torch_does(data: st.DataObject) -> None:
    _trains_as_torch_does(data, ("soft bounds", "forgetting", "floating point"))


@pytest.mark.slow
@settings(max_examples=200, deadline=None)
@given(st.data())
def test_a_compiled_step_trains_as_torch_does_with_every_device(data: st.DataObject) -> None:
    _trains_as_torch_does(data, tuple(DEVICES))


def _trains_as_torch_does(data: st.DataObject, devices: tuple[str, ...]) -> None:
    """Train a generated network in both ways, four mini-batches and a smaller one, and compare all that is left."""
    network = data.draw(st.sampled_from(sorted(NETWORKS)))
    device, cell = data.draw(st.sampled_from(devices)), data.draw(st.sampled_from(sorted(CELLS)))
    if device in ("floating point", "ideal"):
        cell = "single"
    kind = data.draw(st.sampled_from(["stochastic_compressed", "stochastic", "mean_count", "none_with_device"]))
    update = UpdateParameters(
        desired_bl=data.draw(st.sampled_from([7, 31])),
        pulse_type=kind if cell == "single" else "stochastic_compressed",
        execution=data.draw(st.sampled_from(["exact", "merged"])),
    )
    config = AnalogConfig(
        device=DEVICES[device],
        update=update,
        forward=PERIPHERIES[data.draw(st.sampled_from(sorted(PERIPHERIES)))],
        backward=PERIPHERIES[data.draw(st.sampled_from(["usual", "perfect", "by chance", "wires"]))],
        analog_bias=data.draw(st.booleans()),
        max_rows=data.draw(st.sampled_from([None, 3])),
        max_columns=data.draw(st.sampled_from([None, 4])),
        weight_scaling_omega=data.draw(st.sampled_from([0.0, 0.5])),
        weight_scaling_columnwise=data.draw(st.booleans()),
        **({} if CELLS[cell] is None else {"cell": CELLS[cell]}),
    )
    (ours, log), (theirs, their_log) = _both(network, config)
    x, y = _samples(4 * BATCH + 2)
    step = _step(network, ours, log)
    losses = step.train(x[: 4 * BATCH], y[: 4 * BATCH], BATCH, RATE) + step.train(x[-2:], y[-2:], 2, RATE)
    np.testing.assert_allclose(losses, _by_torch(theirs, True, x, y, BATCH), rtol=1e-4, atol=1e-5)
    assert log is not None and their_log is not None and log.step == their_log.step == 5
    assert _differs(log.take(), their_log.take()) <= 0.02
    states = zip(ours.state_dict().items(), theirs.state_dict().items(), strict=True)
    for (name, mine), (_, other) in states:
        if isinstance(mine, torch.Tensor):
            off = (mine.float() - other.float()).abs() > 1e-5
            assert float(off.float().mean()) <= 0.02, name
        else:
            assert str(mine) == str(other), name  # counters and names of the random numbers


@pytest.mark.parametrize("network", NETWORKS)
def test_a_network_in_floating_point_trains_as_torchs_does(network: str) -> None:
    (ours, _), (theirs, _) = _both(network, None)
    x, y = _samples(8 * BATCH)
    losses = _step(network, ours, None).train(x, y, BATCH, RATE)
    np.testing.assert_allclose(losses, _by_torch(theirs, False, x, y, BATCH), rtol=1e-5)
    for mine, other in zip(ours.parameters(), theirs.parameters(), strict=True):
        torch.testing.assert_close(mine, other, rtol=1e-4, atol=1e-6)


def test_many_mini_batches_in_one_call_are_the_same_as_one_after_the_other() -> None:
    (at_once, log), (one_by_one, other_log) = _both("convolution", AnalogConfig(device=SoftBounds(dw_min=0.004)))
    x, y = _samples(6 * BATCH)
    losses = _step("convolution", at_once, log).train(x, y, BATCH, RATE)
    step = _step("convolution", one_by_one, other_log)
    parts = zip(torch.split(x, BATCH), torch.split(y, BATCH), strict=True)
    assert losses == [loss for part in parts for loss in step.train(*part, BATCH, RATE)]
    assert log is not None and other_log is not None
    assert _differs(log.take(), other_log.take()) == 0.0
    for mine, other in zip(at_once.state_dict().values(), one_by_one.state_dict().values(), strict=True):
        if isinstance(mine, torch.Tensor):
            torch.testing.assert_close(mine, other, rtol=0.0, atol=0.0, equal_nan=True)
        else:
            assert str(mine) == str(other)


def test_a_loss_that_is_no_number_stops_before_anything_is_learned() -> None:
    (model, log), _ = _both("chain", AnalogConfig(device=SoftBounds(dw_min=0.004)))
    step, (x, y) = _step("chain", model, log), _samples(2 * BATCH)
    before = [parameter.detach().clone() for parameter in model.parameters()]
    x[0, 0, 0, 0] = torch.nan
    with pytest.raises(NotFinite):
        step.train(x, y, BATCH, RATE)
    for mine, other in zip(model.parameters(), before, strict=True):
        assert torch.equal(mine.detach() * 1.0, other * 1.0)


class Tied(nn.Module):
    """One weight, used twice."""

    def __init__(self) -> None:
        super().__init__()
        self.inner, self.last = nn.Linear(12, 12), nn.Linear(12, 4)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return torch.log_softmax(self.last(torch.tanh(self.inner(torch.tanh(self.inner(x.flatten(1)))))), 1)


@pytest.mark.parametrize(
    ("model", "reason"),
    [
        (Tied(), "no layer of its own|used more than once"),
        (nn.Sequential(nn.Flatten(), nn.Linear(12, 4), nn.Dropout(), nn.LogSoftmax(1)), "dropout"),
        (nn.Sequential(nn.Flatten(), nn.Linear(12, 4)), "log-softmax"),
        (nn.Sequential(nn.Flatten(), nn.Linear(12, 4), nn.GELU(), nn.LogSoftmax(1)), "gelu"),
        (nn.Sequential(nn.Flatten(), nn.Linear(12, 4), nn.PReLU(), nn.LogSoftmax(1)), "prelu"),
    ],
)
def test_what_a_step_cannot_do_is_said(model: nn.Module, reason: str) -> None:
    network = capture_modes(model, (1, 3, 4))[0]
    with pytest.raises(Unsuitable, match=reason):
        step_of(network, model, None)


def test_a_periphery_that_is_not_compiled_is_said() -> None:
    config = AnalogConfig(forward=replace(IOParameters(), v_offset_std=0.01))
    (model, log), _ = _both("chain", config)
    with pytest.raises(Unsuitable, match="periphery"):
        _step("chain", model, log)


@pytest.mark.parametrize("device", [SoftBounds(dw_min=0.004), FloatingPointDevice()])
def test_several_threads_give_the_same_bytes(device: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    (alone, _), (together, _) = _both("convolution", AnalogConfig(device=device))
    x, y = _samples(80)
    monkeypatch.setattr(compiled_step, "PARALLEL_WORK", 1)
    found = []
    for model, several in ((alone, False), (together, True)):
        monkeypatch.setattr(compiled_step, "several_threads", lambda several=several: several)
        found.append(_step("convolution", model, None).train(x, y, 40, RATE))
    assert found[0] == found[1]
    for mine, other in zip(alone.parameters(), together.parameters(), strict=True):
        assert torch.equal(mine.detach() * 1.0, other.detach() * 1.0)
