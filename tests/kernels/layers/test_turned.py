"""Weights on arrays used transposed, as by a decoder that is tied to its encoder."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn
from torch.nn import functional

import rpusim
from rpusim.arch.contract.activity import ActivityLog, Phase
from rpusim.errors import InputError
from rpusim.kernels import AnalogConfig, IdealDevice, IOParameters, UpdateParameters
from rpusim.kernels.devices import SoftBounds
from rpusim.kernels.layers.convert import convert
from rpusim.kernels.layers.linear import AnalogLinear
from rpusim.kernels.pulses.trains import Execution

EXACT = AnalogConfig(IdealDevice(), forward=IOParameters(is_perfect=True), backward=IOParameters(is_perfect=True))
EXACTLY = UpdateParameters(desired_bl=7, execution=Execution.EXACT)
TURNS: list[Callable[[torch.Tensor], torch.Tensor]] = [
    lambda w: w.t(),
    lambda w: w.T,
    lambda w: w.mT,
    lambda w: w.transpose(0, 1),
    lambda w: w.transpose(-1, -2),
    lambda w: w.permute(1, 0),
    lambda w: torch.t(w),
    lambda w: w.swapaxes(1, 0),
]


class Autoencoder(nn.Module):
    """A decoder with the encoder's weight, and a bias of its own."""

    def __init__(self, inputs: int = 6, code: int = 3, bias: bool = True, turn: int = 0) -> None:
        super().__init__()
        self.coder, self.turn = nn.Linear(inputs, code, bias=bias), TURNS[turn]
        self.bias = nn.Parameter(torch.zeros(inputs)) if bias else None

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return functional.linear(torch.tanh(self.coder(x)), self.turn(self.coder.weight), self.bias)


@settings(deadline=None)
@given(
    inputs=st.integers(1, 9),
    code=st.integers(1, 9),
    rows=st.integers(1, 9),
    columns=st.integers(2, 9),
    bias=st.booleans(),
    analog_bias=st.booleans(),
    turn=st.sampled_from(range(len(TURNS))),
)
def test_exact_arrays_learn_tied_weights_as_torch_does(
    inputs: int, code: int, rows: int, columns: int, bias: bool, analog_bias: bool, turn: int
) -> None:
    torch.manual_seed(7)
    digital, x = Autoencoder(inputs, code, bias, turn), torch.randn(4, inputs)
    options = {"max_rows": rows, "max_columns": columns, "analog_bias": analog_bias}
    analog = convert(digital, AnalogConfig(**{**vars(EXACT), **options}))
    optimizers = torch.optim.SGD(digital.parameters(), 0.05), rpusim.AnalogSGD(analog.parameters(), lr=0.05)
    for _ in range(3):
        for module, optimizer in zip((digital, analog), optimizers, strict=True):
            optimizer.zero_grad()
            (module(x) - x).square().sum().backward()
            optimizer.step()
    torch.testing.assert_close(analog(x), digital(x), rtol=1e-3, atol=1e-4)


@settings(deadline=None)
@given(
    inputs=st.integers(1, 40),
    code=st.integers(1, 40),
    rows=st.integers(4, 40),
    noise=st.sampled_from([0.0, 0.1]),
    seed=st.integers(0, 99),
)
def test_both_paths_give_the_same_products_errors_and_weights(
    inputs: int, code: int, rows: int, noise: float, seed: int
) -> None:
    """Through converters and noise, forward, backward, and after an update by pulses."""
    io = IOParameters(out_noise=noise)
    config = AnalogConfig(SoftBounds(), forward=io, backward=io, update=EXACTLY, max_rows=rows, max_columns=rows)
    torch.manual_seed(seed)
    h, d = torch.randn(3, code), torch.randn(3, inputs)
    found = []
    for path in ("torch", "numba"):
        layer = AnalogLinear(inputs, code, config, seed=seed, path=path)
        x = h.clone().requires_grad_()
        y = functional.linear(x, layer.weight.t())
        y.backward(d)
        rpusim.AnalogSGD(layer.parameters(), lr=0.1).step()
        found.append((y.detach(), x.grad, layer.get_weights()[0]))
    for one, other in zip(*found, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-5, atol=1e-5)


def test_it_is_the_product_that_errors_take_through_the_array() -> None:
    """Same converters, same noise: a use transposed is a pass from rows to columns."""
    io = IOParameters(out_noise=0.2)
    config = AnalogConfig(SoftBounds(), forward=IOParameters(is_perfect=True), backward=io)
    one, other = (AnalogLinear(5, 4, config, bias=False, seed=3) for _ in range(2))
    h = torch.randn(6, 4)
    assert torch.equal(functional.linear(h, one.weight.t()), other.analog_backward(h))


def test_rows_of_a_use_transposed_say_what_it_is_and_which_lines_took_part() -> None:
    layer = AnalogLinear(5, 4, EXACT, bias=False, log=(log := ActivityLog()))
    h = torch.tensor([[1.0, 0.0, 2.0, 0.0]], requires_grad=True)
    functional.linear(h, layer.weight.t()).sum().backward()
    rows = log.take()
    assert rows.phase.tolist() == [Phase.FORWARD, Phase.BACKWARD]
    assert rows.active_rows.tolist() == [2, 4] and rows.active_columns.tolist() == [5, 5]


def test_a_product_from_the_right_is_one_with_the_weights_transposed() -> None:
    layer = AnalogLinear(5, 4, EXACT, bias=True)
    h, weight = torch.randn(2, 3, 4), layer.get_weights()[0]
    torch.testing.assert_close(h @ layer.weight, h @ weight)
    torch.testing.assert_close(h[0] @ layer.weight.t().t(), h[0] @ weight)


def test_frozen_weights_learn_nothing_from_it_and_pass_errors_on() -> None:
    model = convert(Autoencoder(), EXACT)
    model.coder.weight.requires_grad_(False)
    x = torch.randn(3, 6, requires_grad=True)
    model(x).sum().backward()
    assert model.coder.weight.grad is None and x.grad is not None and bool(x.grad.any())


def test_weights_transposed_read_as_what_the_cells_hold() -> None:
    layer = AnalogLinear(3, 2, EXACT)
    with torch.no_grad():
        assert torch.equal(layer.weight.t() + 0.0, layer.get_weights()[0].t())
    assert layer.weight.t().shape == (3, 2) and "transposed" in repr(layer.weight.t())
    assert layer.weight.t().tolist() == layer.get_weights()[0].t().tolist()


def test_what_arrays_cannot_do_with_them_is_a_sentence() -> None:
    layer = AnalogLinear(3, 2, EXACT)
    with pytest.raises(InputError, match=r"given to its weights transposed; accepted is a last dimension of 2"):
        functional.linear(torch.ones(1, 3), layer.weight.t())
    with pytest.raises(InputError, match=r"an input of torch.int64 was given; accepted are floating-point"):
        functional.linear(torch.ones(1, 2, dtype=torch.int64), layer.weight.t())
    only_infers = convert(Autoencoder(), rpusim.InferenceConfig())
    with pytest.raises(InputError, match=r"used transposed, which arrays that only infer.*accepted: arrays that learn"):
        only_infers(torch.ones(1, 6))
    h = torch.ones(1, 2, requires_grad=True)
    y = functional.linear(h, layer.weight.t())
    with pytest.raises(InputError, match=r"a gradient of a gradient was asked for"):
        torch.autograd.grad(y.sum(), h, create_graph=True)
