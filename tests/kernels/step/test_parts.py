"""The parts of a compiled step: products, functions and windows give what numpy and torch give."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from rpusim.kernels.base.loops import compile_loop
from rpusim.kernels.mvm.whole import products
from rpusim.kernels.step.between import functions, smooth, windows
from rpusim.kernels.step.program import pooling

SIZES = st.integers(1, 23)


@settings(max_examples=40, deadline=None)
@given(SIZES, SIZES, SIZES, st.integers(0, 99))
def test_products_are_those_of_numpy_whatever_the_sizes(vectors: int, outputs: int, inputs: int, seed: int) -> None:
    random = np.random.default_rng(seed)
    u, w, d = (
        random.normal(size=s).astype(np.float32) for s in ((vectors, inputs), (outputs, inputs), (vectors, outputs))
    )
    y, z, less = np.empty((vectors, outputs), np.float32), np.empty((vectors, inputs), np.float32), w.copy()
    compile_loop(products.forward, fastmath=products.REORDERED)(u, w, y)
    compile_loop(products.backward, fastmath=products.REORDERED)(d, w, z)
    compile_loop(products.descend, fastmath={"contract"})(less, u, d, np.float32(0.1))
    np.testing.assert_allclose(y, u @ w.T, rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(z, d @ w, rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(less, w - 0.1 * d.T @ u, rtol=1e-4, atol=1e-5)


def test_a_wide_product_back_is_cut_into_strips_without_a_gap() -> None:
    random = np.random.default_rng(0)
    d, w = random.normal(size=(5, 6)).astype(np.float32), random.normal(size=(6, 1100)).astype(np.float32)
    z = np.empty((5, 1100), np.float32)
    compile_loop(products.backward, fastmath=products.REORDERED)(d, w, z)
    np.testing.assert_allclose(z, d @ w, rtol=1e-4, atol=1e-5)


MODULES: dict[str, tuple[nn.Module, float, float]] = {
    "relu": (nn.ReLU(), 0.0, 0.0),
    "sigmoid": (nn.Sigmoid(), 0.0, 0.0),
    "tanh": (nn.Tanh(), 0.0, 0.0),
    "leaky_relu": (nn.LeakyReLU(0.2), 0.2, 0.0),
    "elu": (nn.ELU(1.5), 1.5, 0.0),
    "silu": (nn.SiLU(), 0.0, 0.0),
    "hardtanh": (nn.Hardtanh(-0.5, 2.0), -0.5, 2.0),
    "softplus": (nn.Softplus(2.0, 10.0), 2.0, 10.0),
    "relu6": (nn.ReLU6(), 0.0, 6.0),
    "hardsigmoid": (nn.Hardsigmoid(), 0.0, 0.0),
}


@pytest.mark.parametrize("name", MODULES)
def test_functions_and_their_derivatives_are_torchs(name: str) -> None:
    module, a, b = MODULES[name]
    x = torch.cat([torch.linspace(-12, 12, 4001), torch.linspace(-1, 1, 4001), torch.tensor([-200.0, 0.0, 200.0])])
    x.requires_grad_(True)
    wanted = module(x)
    slope = torch.linspace(0.5, 2.0, len(x))
    wanted.backward(slope)
    assert x.grad is not None
    values, y, of_x = x.detach().numpy(), np.empty(len(x), np.float32), np.empty(len(x), np.float32)
    code = functions.NAMES.index(name)
    compile_loop(functions.apply, fastmath={"contract"})(code, np.float32(a), np.float32(b), values, y)
    compile_loop(functions.pass_back, fastmath={"contract"})(
        code, np.float32(a), np.float32(b), values, y, slope.numpy(), of_x
    )
    np.testing.assert_allclose(y, wanted.detach().numpy(), rtol=2e-6, atol=1e-7)
    np.testing.assert_allclose(of_x, x.grad.numpy(), rtol=5e-6, atol=2e-6)


SMOOTH: dict[str, tuple[nn.Module, float]] = {
    "gelu": (nn.GELU(), 0.0),
    "gelu tanh": (nn.GELU(approximate="tanh"), 0.0),
    "hardswish": (nn.Hardswish(), 0.0),
    "mish": (nn.Mish(), 0.0),
    "selu": (nn.SELU(), 0.0),
    "celu": (nn.CELU(0.6), 0.6),
    "log_sigmoid": (nn.LogSigmoid(), 0.0),
}


@pytest.mark.parametrize("name", SMOOTH)
def test_rare_functions_and_their_derivatives_are_torchs(name: str) -> None:
    module, a = SMOOTH[name]
    x = torch.cat([torch.linspace(-12, 12, 4001), torch.linspace(-1, 1, 4001), torch.tensor([-60.0, 0.0, 60.0])])
    x.requires_grad_(True)
    wanted, slope = module(x), torch.linspace(0.5, 2.0, len(x))
    wanted.backward(slope)
    assert x.grad is not None
    values, y, of_x = x.detach().numpy(), np.empty(len(x), np.float32), np.ones(len(x), np.float32)
    code = smooth.NAMES.index(name)
    compile_loop(smooth.apply, fastmath={"contract"})(code, np.float32(a), values, y)
    compile_loop(smooth.pass_back, fastmath={"contract"})(code, np.float32(a), values, y, slope.numpy(), True, of_x)
    np.testing.assert_allclose(y, wanted.detach().numpy(), rtol=2e-6, atol=1e-6)
    np.testing.assert_allclose(of_x, x.grad.numpy() + 1.0, rtol=5e-6, atol=4e-6)


def test_the_loss_and_its_gradient_are_torchs() -> None:
    generator = torch.Generator().manual_seed(1)
    logits = torch.randn(7, 10, generator=generator) * 4
    classes = torch.randint(0, 10, (7,), generator=generator)
    logits.requires_grad_(True)
    loss = nn.functional.cross_entropy(logits, classes)
    loss.backward()  # type: ignore[no-untyped-call]
    assert logits.grad is not None
    gradient, scratch = np.empty((7, 10), np.float32), np.empty(10, np.float32)
    learn = compile_loop(functions.learn_classes)
    found = learn(logits.detach().numpy(), classes.numpy(), gradient, scratch)
    assert found == pytest.approx(float(loss.detach()), rel=1e-6)
    np.testing.assert_allclose(gradient, logits.grad.numpy(), rtol=1e-5, atol=1e-7)
    for wrong in (np.nan, np.inf, -np.inf):
        bad = logits.detach().numpy().copy()
        bad[3, 4] = wrong
        assert not np.isfinite(learn(bad, classes.numpy(), gradient, scratch))


@settings(max_examples=60, deadline=None)
@given(st.data())
def test_pooling_and_its_gradient_are_torchs(data: st.DataObject) -> None:
    height, width = data.draw(st.integers(3, 9)), data.draw(st.integers(3, 9))
    kernel = data.draw(st.integers(1, 3)), data.draw(st.integers(1, 3))
    stride = data.draw(st.integers(1, 3)), data.draw(st.integers(1, 3))
    padding = data.draw(st.integers(0, kernel[0] // 2)), data.draw(st.integers(0, kernel[1] // 2))
    ceil, average, counted = data.draw(st.booleans()), data.draw(st.booleans()), data.draw(st.booleans())
    module: nn.Module = nn.MaxPool2d(kernel, stride, padding, ceil_mode=ceil)
    if average:
        module = nn.AvgPool2d(kernel, stride, padding, ceil_mode=ceil, count_include_pad=counted)
    x = torch.randn(2, 3, height, width, generator=torch.Generator().manual_seed(data.draw(st.integers(0, 99))))
    x.requires_grad_(True)
    wanted = module(x)
    slope = torch.arange(wanted.numel(), dtype=torch.float32).reshape(wanted.shape)
    wanted.backward(slope)
    assert x.grad is not None
    names = dict(height=height, width=width, tall=kernel[0], wide=kernel[1], down=stride[0], across=stride[1])
    names |= dict(
        top=padding[0], left=padding[1], rows=wanted.shape[2], columns=wanted.shape[3], pads_count=int(counted)
    )
    sizes = np.array(pooling(**names), np.int64)
    images, y = x.detach().numpy().reshape(6, -1), np.empty((6, wanted[0, 0].numel()), np.float32)
    of_x, of_y = np.empty_like(images), slope.numpy().reshape(6, -1)
    if average:
        loop = compile_loop(windows.average)
        loop(images, sizes, y, False)
        loop(of_x, sizes, of_y, True)
    else:
        chosen = np.empty(y.shape, np.int32)
        compile_loop(windows.largest)(images, sizes, y, chosen)
        compile_loop(windows.largest_back)(of_y, chosen, of_x)
    np.testing.assert_allclose(y, wanted.detach().numpy().reshape(6, -1), rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(of_x, x.grad.numpy().reshape(6, -1), rtol=1e-5, atol=1e-5)
