"""Further functions of single values and their derivatives, in compiled loops: those that few networks have.

erf(x) = 1 - (a1 t + ... + a5 t^5) exp(-x^2), t = 1 / (1 + p x), for x >= 0, to 1.5e-7: Abramowitz & Stegun, Handbook of
Mathematical Functions (1964), 7.1.26.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from rpusim.kernels.base import elementwise
from rpusim.kernels.base.loops import Floats, inlined
from rpusim.kernels.base.rng import Integer
from rpusim.kernels.step.between.functions import hyperbolic_tangent, logistic

# Typed as Any because they are typed for tensors, which they take as well.
exp: Any = elementwise.exp
log: Any = elementwise.log

NAMES = ("gelu", "gelu tanh", "hardswish", "mish", "selu", "celu", "log_sigmoid", "abs", "exp")
"""Functions that `apply` and `pass_back` know; their codes are their places."""
GELU, GELU_TANH, HARDSWISH, MISH, SELU, CELU, LOG_SIGMOID, ABS, EXP = range(len(NAMES))

_F = np.float32
_0, _1, _2, _3, _6, _HALF = _F(0), _F(1), _F(2), _F(3), _F(6), _F(0.5)
_P, _A1, _A2 = _F(0.3275911), _F(0.254829592), _F(-0.284496736)
_A3, _A4, _A5 = _F(1.421413741), _F(-1.453152027), _F(1.061405429)
_PER_SQRT_2, _PER_SQRT_2PI = _F(0.70710678), _F(0.39894228)
_SLOPE, _CUBIC = _F(0.79788456), _F(0.044715)  # of the approximation by tanh: sqrt(2 / pi), and of the cube
_SELU_SCALE, _SELU_ALPHA = _F(1.0507009873554805), _F(1.6732632423543772)


@inlined
def error_function(x: np.float32) -> np.float32:
    """Compute erf(x) to 1.5e-7."""
    size = abs(x)
    t = _1 / (_1 + _P * size)
    found = _1 - ((((_A5 * t + _A4) * t + _A3) * t + _A2) * t + _A1) * t * exp(-size * size)
    return _F(found if x > _0 else -found)


@inlined
def soft_plus(x: np.float32) -> np.float32:
    """Compute log(1 + exp(x)); of large numbers it is x itself."""
    return _F((x if x > _0 else _0) + log(_1 + exp(-abs(x))))


def apply(function: Integer, a: np.float32, x: Floats, y: Floats) -> None:
    """Compute y = f(x), number by number. function: its code. a: parameter of CELU."""
    if function == GELU:
        for k in range(len(x)):
            y[k] = x[k] * (_HALF * (_1 + error_function(x[k] * _PER_SQRT_2)))
    elif function == GELU_TANH:
        for k in range(len(x)):
            inner = _SLOPE * (x[k] + _CUBIC * x[k] * x[k] * x[k])
            y[k] = _HALF * x[k] * (_1 + hyperbolic_tangent(inner))
    elif function == HARDSWISH:
        for k in range(len(x)):
            gate = x[k] + _3
            gate = gate if gate > _0 else _0
            y[k] = x[k] * (gate if gate < _6 else _6) / _6
    elif function == MISH:
        for k in range(len(x)):
            y[k] = x[k] * hyperbolic_tangent(soft_plus(x[k]))
    elif function == SELU:
        for k in range(len(x)):
            y[k] = _SELU_SCALE * (x[k] if x[k] > _0 else _SELU_ALPHA * (exp(x[k]) - _1))
    elif function == CELU:
        for k in range(len(x)):
            y[k] = x[k] if x[k] > _0 else a * (exp(x[k] / a) - _1)
    elif function == LOG_SIGMOID:
        for k in range(len(x)):
            y[k] = -soft_plus(-x[k])
    elif function == ABS:
        for k in range(len(x)):
            y[k] = abs(x[k])
    else:
        for k in range(len(x)):
            y[k] = exp(x[k])


def pass_back(function: Integer, a: np.float32, x: Floats, y: Floats, of_y: Floats, adds: bool, of_x: Floats) -> None:
    """Compute the gradient of x from that of y = f(x), or add it to what is there; arguments as for `apply`."""
    for k in range(len(x)):
        slope = _0
        if function == GELU:
            normal = _PER_SQRT_2PI * exp(-_HALF * x[k] * x[k])
            slope = _HALF * (_1 + error_function(x[k] * _PER_SQRT_2)) + x[k] * normal
        elif function == GELU_TANH:
            square = x[k] * x[k]
            tanh = hyperbolic_tangent(_SLOPE * (x[k] + _CUBIC * square * x[k]))
            inner = _SLOPE * (_1 + _3 * _CUBIC * square)
            slope = _HALF * (_1 + tanh) + _HALF * x[k] * (_1 - tanh * tanh) * inner
        elif function == HARDSWISH:
            slope = x[k] / _3 + _HALF
            slope = _0 if x[k] <= -_3 else (_1 if x[k] >= _3 else slope)
        elif function == MISH:
            tanh = hyperbolic_tangent(soft_plus(x[k]))
            slope = tanh + x[k] * (_1 - tanh * tanh) * logistic(x[k])
        elif function == SELU:
            slope = _SELU_SCALE if x[k] > _0 else y[k] + _SELU_SCALE * _SELU_ALPHA
        elif function == CELU:
            slope = _1 if x[k] > _0 else exp(x[k] / a)
        elif function == LOG_SIGMOID:
            slope = logistic(-x[k])
        elif function == ABS:
            slope = _1 if x[k] > _0 else (-_1 if x[k] < _0 else _0)
        else:
            slope = y[k]
        of_x[k] = of_x[k] + of_y[k] * slope if adds else of_y[k] * slope
