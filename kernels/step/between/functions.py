"""Functions of single values and their derivatives, in compiled loops that the machine runs on many values at once.

tanh(x) = x + x^3 T(x^2) for x^2 <= 1/2, to 1e-7 (a fit at Chebyshev nodes); beyond, it is 1 - 2 / (exp(2x) + 1).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from rpusim.kernels.base import elementwise
from rpusim.kernels.base.loops import Floats, inlined
from rpusim.kernels.base.rng import Integer

# Typed as Any because they are typed for tensors, which they take as well.
exp: Any = elementwise.exp
log: Any = elementwise.log

_F = np.float32
_0, _1, _2, _HALF = _F(0), _F(1), _F(2), _F(0.5)
_T0, _T1, _T2 = _F(-0.33333331), _F(0.13333242), _F(-0.053946704)
_T3, _T4, _T5 = _F(0.021679992), _F(-0.0080892092), _F(0.0020389156)
_SMALL = _F(0.5)

NAMES = ("relu", "sigmoid", "tanh", "leaky_relu", "elu", "silu", "hardtanh", "softplus", "relu6", "hardsigmoid", "neg")
"""Functions that `apply` and `pass_back` know; their codes are their places."""
COMMON = NAMES[:3]
"""Those that nearly every network has; the others are compiled for networks that have any of them."""
RELU, SIGMOID, TANH, LEAKY_RELU, ELU, SILU, HARDTANH, SOFTPLUS, RELU6, HARDSIGMOID, NEG = range(len(NAMES))

WITH_RARE = 1  # whether there are others than `COMMON`, see `needs`


@inlined
def hyperbolic_tangent(x: np.float32) -> np.float32:
    """Compute tanh(x) to 2e-7."""
    square, size = x * x, abs(x)
    near = x + x * (square * (((((_T5 * square + _T4) * square + _T3) * square + _T2) * square + _T1) * square + _T0))
    far = _1 - _2 / (exp(_2 * size) + _1)
    return _F(near if square < _SMALL else (far if x > _0 else -far))


@inlined
def logistic(x: np.float32) -> np.float32:
    """Compute 1 / (1 + exp(-x)) to 2e-7."""
    return _F(_1 / (_1 + exp(-x)))


def apply(function: Integer, a: np.float32, b: np.float32, x: Floats, y: Floats) -> None:
    """Compute y = f(x), number by number. function: its code. a, b: parameters of those that have some."""
    if function == RELU:
        for k in range(len(x)):
            y[k] = x[k] if x[k] > _0 else _0
    elif function == SIGMOID:
        for k in range(len(x)):
            y[k] = logistic(x[k])
    elif function == TANH:
        for k in range(len(x)):
            y[k] = hyperbolic_tangent(x[k])
    elif not WITH_RARE:
        pass
    elif function == LEAKY_RELU:
        for k in range(len(x)):
            y[k] = x[k] if x[k] > _0 else a * x[k]
    elif function == ELU:
        for k in range(len(x)):
            y[k] = x[k] if x[k] > _0 else a * (exp(x[k]) - _1)
    elif function == SILU:
        for k in range(len(x)):
            y[k] = x[k] * logistic(x[k])
    elif function in (HARDTANH, RELU6):
        for k in range(len(x)):
            value = x[k] if x[k] > a else a
            y[k] = value if value < b else b
    elif function == SOFTPLUS:
        for k in range(len(x)):
            y[k] = x[k] if a * x[k] > b else log(_1 + exp(a * x[k])) / a
    elif function == HARDSIGMOID:
        for k in range(len(x)):
            value = x[k] / _F(6) + _HALF
            value = value if value > _0 else _0
            y[k] = value if value < _1 else _1
    else:
        for k in range(len(x)):
            y[k] = -x[k]


def pass_back(
    function: Integer, a: np.float32, b: np.float32, x: Floats, y: Floats, of_y: Floats, of_x: Floats
) -> None:
    """Compute the gradient of x from that of y = f(x), number by number; arguments as for `apply`."""
    if function == RELU:
        for k in range(len(x)):
            of_x[k] = of_y[k] if y[k] > _0 else _0
    elif function == SIGMOID:
        for k in range(len(x)):
            of_x[k] = of_y[k] * ((_1 - y[k]) * y[k])
    elif function == TANH:
        for k in range(len(x)):
            of_x[k] = of_y[k] * (_1 - y[k] * y[k])
    elif not WITH_RARE:
        pass
    elif function == LEAKY_RELU:
        for k in range(len(x)):
            of_x[k] = of_y[k] if x[k] > _0 else a * of_y[k]
    elif function == ELU:
        for k in range(len(x)):
            of_x[k] = of_y[k] if x[k] > _0 else of_y[k] * (y[k] + a)
    elif function == SILU:
        for k in range(len(x)):
            part = logistic(x[k])
            of_x[k] = of_y[k] * (part * (_1 + x[k] * (_1 - part)))
    elif function in (HARDTANH, RELU6):
        for k in range(len(x)):
            of_x[k] = of_y[k] if (x[k] > a) & (x[k] < b) else _0
    elif function == SOFTPLUS:
        for k in range(len(x)):
            of_x[k] = of_y[k] if a * x[k] > b else of_y[k] * logistic(a * x[k])
    elif function == HARDSIGMOID:
        for k in range(len(x)):
            of_x[k] = of_y[k] / _F(6) if (x[k] > _F(-3)) & (x[k] < _F(3)) else _0
    else:
        for k in range(len(x)):
            of_x[k] = -of_y[k]


def learn_classes(logits: Floats, classes: Sequence[Integer], gradient: Floats, chances: Floats) -> np.float32:
    """Compute the mean negative log-likelihood of classes, and its gradient with respect to the logits.

    logits, gradient: (samples, classes), the latter filled here. classes: the right one of each sample. chances:
    scratch (classes,). Returns the loss; NaN or infinity where logits are.
    """
    samples, number = logits.shape
    loss, share = _0, _F(1 / samples)
    for b in range(samples):
        top = logits[b, 0]
        for k in range(number):
            top = logits[b, k] if logits[b, k] > top else top
        total = _0
        for k in range(number):
            chances[k] = exp(logits[b, k] - top)
            total += chances[k]
        loss -= (logits[b, classes[b]] - top) - log(total)
        for k in range(number):
            gradient[b, k] = chances[k] / total * share
        gradient[b, classes[b]] -= share
    for b in range(samples):
        for k in range(number):
            loss += logits[b, k] - logits[b, k]  # what is no number was passed over, or cut off
    return loss * share
