"""Exact arrays, and the comparison of a module with its analog copy, for tests of layers."""

import copy

import torch

from rpusim.kernels import AnalogConfig, AnalogLayer, AnalogSGD, FloatingPointDevice, IOParameters
from rpusim.kernels.layers.convert import convert

_EXACT = IOParameters(is_perfect=True)
PERFECT = AnalogConfig(FloatingPointDevice(), forward=_EXACT, backward=_EXACT)


def leaves(value):
    """The tensors in nested tuples, in order."""
    if isinstance(value, torch.Tensor):
        return [value]
    return [leaf for part in value or () for leaf in leaves(part)]


def trained(module, inputs, call, steps=2, rate=0.1):
    """Outputs and gradients of the floating-point inputs over steps of SGD, the last outputs after the last step."""
    analog = any(isinstance(part, AnalogLayer) for part in module.modules())
    optimizer = AnalogSGD(module, rate) if analog else torch.optim.SGD(module.parameters(), rate)
    outcome = []
    for _ in range(steps):
        given = [x.clone().requires_grad_() if x.is_floating_point() else x for x in inputs]
        optimizer.zero_grad()
        outputs = leaves(call(module, *given))
        sum((y**2).mean() for y in outputs).backward()
        optimizer.step()
        outcome += [y.detach() for y in outputs] + [x.grad for x in given if x.grad is not None]
    with torch.no_grad():
        return outcome + leaves(call(module, *inputs))


def assert_trains_alike(digital, config, *inputs, call=lambda module, *x: module(*x), **options):
    """An analog copy gives what the module gives, forwards and backwards, and after training; returns the copy."""
    analog = convert(digital, config, **options)
    ours, theirs = trained(copy.deepcopy(analog), inputs, call), trained(copy.deepcopy(digital), inputs, call)
    assert len(ours) == len(theirs)
    for a, b in zip(ours, theirs, strict=True):
        assert a.shape == b.shape
        torch.testing.assert_close(a, b, atol=1e-5, rtol=1e-5)
    return analog
