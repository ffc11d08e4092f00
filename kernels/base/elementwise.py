"""Functions for step functions: the same name works on torch tensors and, inside compiled loops, on float32 scalars.

A device writes its step once, with the arithmetic operators, ``abs`` and these functions. Called from Python they work
on torch tensors; when numba compiles the step, it finds here (by ``overload``) the scalar function of the same name.
Both give the same bits: exp and log are polynomials in which only correctly rounded float32 operations occur. A literal
would widen a scalar to float64; none is needed, as ``complement`` and ``positive`` stand for 1 - x and max(x, 0).

    exp(x) = 2^n (1 + r + r^2 E(r)),  n = rint(x / ln 2),  r = x - n ln 2;   relative error below 2e-7 for |x| < 87
    log(x) = n ln 2 + m + m^2 L(m),   x = 2^n (1 + m);                      relative error below 2e-7

E and L are fits at Chebyshev nodes; ln 2 is subtracted in two parts (Cody & Waite, 1980). Beyond |x| = 87 exp stays at
its value there: steps are finite whatever the parameters.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

import numpy as np
import torch
from numba.extending import overload

Tensor = torch.Tensor
Function = TypeVar("Function", bound=Callable[..., Any])

_EXP = (0.5, 0.166665763, 0.0416664667, 0.00836318173, 0.00139336521)
_LOG = (-0.49999994, 0.333336592, -0.250016093, 0.199731052, -0.165750474, 0.148064598, -0.142577946, 0.0900420249)
_LIMIT, _PER_LN2, _LN2_HIGH, _LN2_LOW, _LN2 = 87.0, 1.44269504, 0.693359375, -2.12194440e-4, 0.6931472
_SQRT_HALF_BITS = 0x3F3504F3


# --- torch ------------------------------------------------------------------------------------------------------------


def complement(x: Tensor) -> Tensor:
    """Subtract from one: 1 - x."""
    return 1.0 - x


def positive(x: Tensor) -> Tensor:
    """Cut off negative numbers: max(x, 0)."""
    return x.clamp(min=0.0)


def exp(x: Tensor) -> Tensor:
    """Raise e to the x; finite for every x."""
    x = x.clamp(-_LIMIT, _LIMIT)
    n = torch.round(x * _PER_LN2)
    r = (x - n * _LN2_HIGH) - n * _LN2_LOW
    e = torch.full_like(r, _EXP[-1])
    for coefficient in _EXP[-2::-1]:
        e = e * r + coefficient
    power_of_two = ((n.to(torch.int32) + 127) << 23).view(torch.float32)
    return ((e * r * r + r) + 1.0) * power_of_two


def log(x: Tensor) -> Tensor:
    """Take the natural logarithm of normal numbers x > 0."""
    pattern = x.contiguous().view(torch.int32)
    n = (pattern - _SQRT_HALF_BITS) >> 23
    m = (pattern - (n << 23)).view(torch.float32) - 1.0
    e = torch.full_like(m, _LOG[-1])
    for coefficient in _LOG[-2::-1]:
        e = e * m + coefficient
    return n.to(torch.float32) * _LN2 + (e * m * m + m)


def power(x: Tensor, exponent: Tensor) -> Tensor:
    """Raise x to the exponent for x > 0; 0 for x <= 0."""
    inside = x > 0
    return torch.where(inside, exp(log(torch.where(inside, x, 1.0)) * exponent), 0.0)


def interpolate(position: Tensor, nodes: tuple[Tensor, ...]) -> Tensor:
    """Follow straight lines between values at the places 0, 1, 2, ...; beyond the ends, the value of the end.

    position: where, counted in nodes. nodes: the values there, each of the shape of ``position``.
    """
    if len(nodes) == 1:
        return nodes[0]
    position = position.clamp(min=0.0)
    left = position.floor().clamp(max=len(nodes) - 2)
    share = (position - left).clamp(max=1.0)
    stacked, index = torch.stack(nodes, dim=-1), left.long().unsqueeze(-1)
    low, high = stacked.gather(-1, index).squeeze(-1), stacked.gather(-1, index + 1).squeeze(-1)
    return (1.0 - share) * low + share * high


# --- numba ------------------------------------------------------------------------------------------------------------

_F, _I = np.float32, np.int32
_zero, _one = _F(0), _F(1)
_limit, _per_ln2, _ln2_high, _ln2_low, _ln2 = _F(_LIMIT), _F(_PER_LN2), _F(_LN2_HIGH), _F(_LN2_LOW), _F(_LN2)
_e0, _e1, _e2, _e3, _e4 = (_F(c) for c in _EXP)
_l0, _l1, _l2, _l3, _l4, _l5, _l6, _l7 = (_F(c) for c in _LOG)
_sqrt_half = _I(_SQRT_HALF_BITS)


def _in_loops(function: Callable[..., Any]) -> Callable[[Function], Function]:
    """Register what compiled loops take for ``function``: a function of the arguments' types that returns the code.

    numba wants the same arguments from both, annotations included.
    """

    def register(choose: Function) -> Function:
        overload(function)(choose)
        return choose

    return register


@_in_loops(complement)
def _nb_complement(x: Any) -> Callable[..., Any]:
    def scalar(x: Any) -> Any:
        return _one - x

    return scalar


@_in_loops(positive)
def _nb_positive(x: Any) -> Callable[..., Any]:
    def scalar(x: Any) -> Any:
        return x if x > _zero else _zero

    return scalar


@_in_loops(exp)
def _nb_exp(x: Any) -> Callable[..., Any]:
    def scalar(x: Any) -> Any:
        x = min(max(x, -_limit), _limit)
        n = _F(np.rint(x * _per_ln2))
        r = (x - n * _ln2_high) - n * _ln2_low
        e = (((_e4 * r + _e3) * r + _e2) * r + _e1) * r + _e0
        power_of_two = _I((_I(n) + _I(127)) << _I(23)).view(_F)
        return ((e * r * r + r) + _one) * power_of_two

    return scalar


@_in_loops(log)
def _nb_log(x: Any) -> Callable[..., Any]:
    def scalar(x: Any) -> Any:
        pattern = _F(x).view(_I)
        n = _I(_I(pattern - _sqrt_half) >> _I(23))
        m = _I(pattern - _I(n << _I(23))).view(_F) - _one
        e = ((((((_l7 * m + _l6) * m + _l5) * m + _l4) * m + _l3) * m + _l2) * m + _l1) * m + _l0
        return _F(n) * _ln2 + (e * m * m + m)

    return scalar


@_in_loops(power)
def _nb_power(x: Any, exponent: Any) -> Callable[..., Any]:
    def scalar(x: Any, exponent: Any) -> Any:
        return exp(log(x) * exponent) if x > _zero else _zero

    return scalar


@_in_loops(interpolate)
def _nb_interpolate(position: Any, nodes: Any) -> Callable[..., Any]:
    last = len(nodes) - 2

    def only(position: Any, nodes: Any) -> Any:
        return nodes[0]

    def scalar(position: Any, nodes: Any) -> Any:
        position = max(position, _zero)
        left = min(int(position), last)
        share = min(position - _F(left), _one)
        return (_one - share) * nodes[left] + share * nodes[left + 1]

    return scalar if len(nodes) > 1 else only
