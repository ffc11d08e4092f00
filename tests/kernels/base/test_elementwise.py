"""Functions for steps: accurate, and the same bits from torch and from compiled loops."""

import numba
import numpy as np
import pytest
import torch

from rpusim.kernels.base.elementwise import complement, exp, interpolate, log, positive, power

GENERATOR = np.random.default_rng(5)
WIDE = np.concatenate([GENERATOR.uniform(-90, 90, 20_000), GENERATOR.normal(size=20_000), [0.0, -0.0, 87.0, -87.0]])
POSITIVE = np.concatenate([np.exp(GENERATOR.uniform(-80, 80, 20_000)), GENERATOR.uniform(0, 2, 20_000) + 1e-30, [1.0]])


def compiled(function):
    """A function of one number over an array, as a compiled loop calls it."""
    scalar = numba.njit(function)

    @numba.njit(error_model="numpy")
    def loop(values, out):
        for i in range(len(values)):
            out[i] = scalar(values[i])

    def run(values):
        out = np.empty_like(values)
        loop(values, out)
        return out

    return run


@pytest.mark.parametrize(
    ("function", "values", "exact"),
    [
        (exp, WIDE, lambda x: np.exp(np.clip(x, -87, 87))),
        (log, POSITIVE, np.log),
        (complement, WIDE, lambda x: np.float32(1) - x),
        (positive, WIDE, lambda x: np.maximum(x, 0)),
    ],
    ids=["exp", "log", "complement", "positive"],
)
def test_functions_are_accurate_and_the_same_bits_on_both_paths(function, values, exact):
    single = values.astype(np.float32)
    slow, fast = function(torch.from_numpy(single)).numpy(), compiled(lambda x: function(x))(single)
    assert np.array_equal(slow.view(np.int32)[slow != 0], fast.view(np.int32)[slow != 0]) and not fast[slow == 0].any()
    wanted = exact(single.astype(np.float64))
    assert (np.abs(slow - wanted) <= 3e-7 * np.abs(wanted)).all()


def test_powers_are_accurate_and_zero_at_and_below_zero():
    base = np.concatenate([GENERATOR.uniform(0, 1, 5000), [1.0, 0.0, -0.1]]).astype(np.float32)
    for exponent in (0.0, 0.4, 1.0, 2.0, 5.5):
        of_exponent = torch.full((len(base),), exponent)
        slow = power(torch.from_numpy(base), of_exponent).numpy()
        inside = base > 0
        wide = base[inside].astype(np.float64)
        allowed = (5e-7 + 2e-7 * exponent * np.abs(np.log(wide))) * wide**exponent
        assert (np.abs(slow[inside] - wide**exponent) <= allowed).all() and not slow[~inside].any()
        single = np.float32(exponent)
        assert np.array_equal(slow, compiled(lambda x: power(x, single))(base))  # noqa: B023


def test_interpolation_is_that_of_numpy_on_both_paths():
    nodes = (0.2, 1.0, -0.5, 2.0)
    at = np.concatenate([GENERATOR.uniform(-1, 4, 5000), np.arange(-1, 5)]).astype(np.float32)
    singles = tuple(np.float32(node) for node in nodes)
    slow = interpolate(torch.from_numpy(at), tuple(torch.full((len(at),), node) for node in nodes)).numpy()
    assert np.allclose(slow, np.interp(at, range(4), nodes), atol=1e-6)
    assert np.array_equal(slow, compiled(lambda x: interpolate(x, singles))(at))
    one = (torch.tensor([3.0]),)
    assert interpolate(torch.tensor([7.0]), one) is one[0]
