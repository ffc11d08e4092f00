"""Steps of recurrent layers in compiled loops: gates and states, forward and back through time.

Rules and the order of gates are those of `rpusim.kernels.layers.recurrent`. What the input's matrix gives is there for
the whole sequence, (samples, steps, rows); what the state's matrix gives, for this step, (samples, rows).
"""

from __future__ import annotations

import numpy as np

from rpusim.kernels.base.loops import Floats
from rpusim.kernels.step.between.functions import hyperbolic_tangent, logistic

_F = np.float32
_0, _1 = _F(0), _F(1)
TANH, RELU, LSTM, GRU = range(4)
"""Codes of the rules, in the order of `rpusim.kernels.step.program.RULES`."""
KEPT_OF = (0, 0, 6, 3)
"""By rule: numbers of each unit that a step keeps. LSTM: gates i, f, g, o, state c and its tanh; GRU: gates r, z, n."""
STEP, STEPS, UNITS, STATE, OF_STATE, STATE_WANTED, BEFORE, OF_BEFORE, KEPT, KEPT_BEFORE, CARRIED = range(11)
"""What an instruction says: which step of how many; size of the state; places of the state after it, of its gradient,
and whether a later step has put one there; the same of the state before it (-1: nobody wants its gradient); of what it
and the step before it keep (-1: it is the first); of the gradient of c that goes from step to step."""


def forward(
    rule: int, given: Floats, products: Floats, before: Floats, old: Floats, kept: Floats, state: Floats, out: Floats
) -> None:
    """Make a step of one sample.

    given, products: (rows,). before, state: (units,). old, kept: what the step before, and this one, keep (KEPT_OF,
    units); old is empty at the first step. out: (units,), where the state is put, too.
    """
    units = len(state)
    if rule == LSTM:
        i, f, g, o, c, t = kept[0], kept[1], kept[2], kept[3], kept[4], kept[5]
        for k in range(units):
            i[k] = logistic(given[k] + products[k])
            f[k] = logistic(given[units + k] + products[units + k])
            g[k] = hyperbolic_tangent(given[2 * units + k] + products[2 * units + k])
            o[k] = logistic(given[3 * units + k] + products[3 * units + k])
        for k in range(units):
            c[k] = i[k] * g[k]
        if len(old):
            for k in range(units):
                c[k] = f[k] * old[4, k] + c[k]
        for k in range(units):
            t[k] = hyperbolic_tangent(c[k])
            state[k] = o[k] * t[k]
    elif rule == GRU:
        r, z, n = kept[0], kept[1], kept[2]
        for k in range(units):
            r[k] = logistic(given[k] + products[k])
            z[k] = logistic(given[units + k] + products[units + k])
        for k in range(units):
            n[k] = hyperbolic_tangent(given[2 * units + k] + r[k] * products[2 * units + k])
            state[k] = n[k] + z[k] * (before[k] - n[k])
    elif rule == TANH:
        for k in range(units):
            state[k] = hyperbolic_tangent(given[k] + products[k])
    else:
        for k in range(units):
            total = given[k] + products[k]
            state[k] = total if total > _0 else _0
    for k in range(units):
        out[k] = state[k]


def backward(
    rule: int,
    products: Floats,
    before: Floats,
    old: Floats,
    kept: Floats,
    state: Floats,
    of_state: Floats,
    carried: Floats,
    first: bool,
    last: bool,
    of_given: Floats,
    of_products: Floats,
    of_before: Floats,
) -> None:
    """Go back through a step of one sample; arguments as for `forward`, and the gradients of all of them.

    of_state: (units,), of the state after it. carried: (units,), the gradient of c on its way back; nothing of it is
    there yet at the ``last`` step. of_before: (units,), filled by a GRU unless it is empty.
    """
    units = len(state)
    if rule == LSTM:
        i, f, g, o, t = kept[0], kept[1], kept[2], kept[3], kept[5]
        for k in range(units):
            of_c = of_state[k] * o[k] * (_1 - t[k] * t[k])
            if not last:
                of_c += carried[k]
            carried[k] = of_c * f[k]
            of_given[k] = of_c * g[k] * (i[k] * (_1 - i[k]))
            of_given[units + k] = _0 if first else of_c * old[4, k] * (f[k] * (_1 - f[k]))
            of_given[2 * units + k] = of_c * i[k] * (_1 - g[k] * g[k])
            of_given[3 * units + k] = of_state[k] * t[k] * (o[k] * (_1 - o[k]))
    elif rule == GRU:
        r, z, n = kept[0], kept[1], kept[2]
        for k in range(units):
            of_n = of_state[k] * (_1 - z[k]) * (_1 - n[k] * n[k])
            of_given[2 * units + k] = of_n
            of_given[units + k] = of_state[k] * (before[k] - n[k]) * (z[k] * (_1 - z[k]))
            of_given[k] = of_n * products[2 * units + k] * (r[k] * (_1 - r[k]))
        for k in range(units):
            of_products[2 * units + k] = of_given[2 * units + k] * r[k]
        for k in range(2 * units):
            of_products[k] = of_given[k]
        for k in range(len(of_before)):
            of_before[k] = of_state[k] * z[k]
    elif rule == TANH:
        for k in range(units):
            of_given[k] = of_state[k] * (_1 - state[k] * state[k])
    else:
        for k in range(units):
            of_given[k] = of_state[k] if state[k] > _0 else _0
    if rule != GRU:
        for k in range(len(of_given)):
            of_products[k] = of_given[k]


def by_sample(x: Floats, uses: int, steps: int, samples: int, sorted_x: Floats) -> None:
    """Put vectors in the order of uses, samples, steps, that lie in the order of uses, steps, samples."""
    for use in range(uses):
        for t in range(steps):
            for b in range(samples):
                at, to = (use * steps + t) * samples + b, (use * samples + b) * steps + t
                for j in range(x.shape[1]):
                    sorted_x[to, j] = x[at, j]
