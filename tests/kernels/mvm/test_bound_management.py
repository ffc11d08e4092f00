"""Where bound management stops, to the pass: at its largest factor, and at the resolution of the input."""

from __future__ import annotations

import math

import pytest
import torch

from rpusim.kernels import IOParameters
from rpusim.kernels.mvm.multiply import Lines, multiply, noise_factor
from rpusim.kernels.mvm.specification import statistics

WAYS = [("torch", "abs_max"), ("numba", "abs_max"), ("numba", "max")]
"""The specification, the loops in one go, and the loops stage by stage."""


def passes(path: str, noise_management: str, **options: float) -> int:
    """Of a vector that clips however often its input is halved."""
    io = IOParameters(
        out_noise=0.0, out_res=0.0, out_bound=1e-30, noise_management=noise_management, **{"inp_res": 0.0, **options}
    )
    lines = Lines.sample(io, 1, 2, (0, 0, 0))
    return int(multiply(torch.ones(1, 2), torch.ones(1, 2), io, lines, (0, 0, 0), 0, None, path).passes[0])


@pytest.mark.parametrize(("path", "noise_management"), WAYS)
@pytest.mark.parametrize("largest", [0, 1, 2, 3, 4, 5, 7, 8, 9, 31, 32, 33])
def test_the_first_power_of_two_beyond_the_largest_factor_is_the_last(
    largest: int, path: str, noise_management: str
) -> None:
    """An input divided by 1, 2, 4, ..., up to the first of these that exceeds max_bm_factor."""
    powers = 1 if largest == 0 else 1 + math.floor(math.log2(largest)) + 1
    assert passes(path, noise_management, max_bm_factor=largest) == powers


@pytest.mark.parametrize(("path", "noise_management"), WAYS)
@pytest.mark.parametrize(("steps", "divided_by"), [(16, [1, 2, 4, 8]), (15, [1, 2, 4]), (17, [1, 2, 4, 8])])
def test_the_first_that_leaves_less_than_a_quarter_of_a_step_is_the_last(
    steps: int, divided_by: list[int], path: str, noise_management: str
) -> None:
    """max_bm_res 0.25 and ``steps`` from 0 to the bound: it stops beyond steps / 4."""
    assert passes(path, noise_management, inp_res=1 / (2 * steps)) == len(divided_by)


@pytest.mark.parametrize(("path", "noise_management"), WAYS)
def test_without_it_there_is_one_pass(path: str, noise_management: str) -> None:
    assert passes(path, noise_management, bound_management="none") == 1  # type: ignore[arg-type]


@pytest.mark.parametrize("path", ["torch", "numba"])
@pytest.mark.parametrize(("tested", "expected"), [({}, 2), ({"bm_test_negative_bound": False}, 1)])
def test_outputs_below_the_lower_bound_clip_unless_they_are_not_looked_at(
    path: str, tested: dict[str, bool], expected: int
) -> None:
    io = IOParameters(out_noise=0.0, out_bound=0.75, **tested)
    lines = Lines.sample(io, 1, 1, (0, 0, 0))
    product = multiply(-torch.ones(1, 1), torch.ones(1, 1), io, lines, (0, 0, 0), 0, None, path)
    assert product.passes.tolist() == [expected]


def test_worst_case_goes_no_further_than_the_input_resolves() -> None:
    """Inputs 0.4 and -0.8: their larger side over the bound, times the assumed weight; at most 0.8 x 0.25 / step."""
    seen = statistics(torch.tensor([[0.4, -0.8]]), True)
    for bound, expected in ((0.3, 0.8 * 0.6 / 0.3), (0.01, 0.8 * 0.25 / 0.05), (100.0, 0.8)):
        io = IOParameters(noise_management="abs_max_np_sum", inp_res=1 / 40, out_bound=bound)
        assert noise_factor(io, io.noise_management, seen, None)[0] == pytest.approx(expected)


@pytest.mark.parametrize("path", ["torch", "numba"])
@pytest.mark.parametrize(("noise_management", "expected"), [("abs_max", 4), ("abs_max_np_sum", 3)])
def test_worst_case_repeats_a_vector_undivided_only_where_that_changes_alpha(
    noise_management: str, expected: int, path: str
) -> None:
    """Four inputs of 0.6, cells of 2.5, bound 3: alpha 0.6 gives 10, at half the inputs 5, at a quarter 2.5.

    The repetition for the worst case has the alpha 0.6, too (2.4 x 0.6 / 3 = 0.48 is less): with abs_max_np_sum, which
    had it from the start, it would be the same vector again.
    """
    io = IOParameters(
        out_noise=0.0, out_res=0.0, out_bound=3.0, noise_management=noise_management,
        bound_management="iterative_worst_case",
    )  # fmt: skip
    lines = Lines.sample(io, 1, 4, (0, 0, 0))
    product = multiply(torch.full((1, 4), 2.5), torch.full((1, 4), 0.6), io, lines, (0, 0, 0), 0, None, path)
    assert product.passes.tolist() == [expected]
    assert float(product.y) == pytest.approx(6.0, rel=0.02)
