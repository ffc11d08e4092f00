"""Multiplications by Triton's kernels, interpreted or on a GPU, give what the specification gives.

Their numbers are the same to the bit where the product in the middle is: on the CPU it is the same one. On a GPU, whose
sums have another order, the arithmetic is made exact for such a claim: signals and weights are small binary fractions.
"""

from __future__ import annotations

from dataclasses import replace
from itertools import product
from typing import Any

import numpy as np
import pytest
import torch
from torch.overrides import TorchFunctionMode

from rpusim.kernels.mvm import by_triton
from rpusim.kernels.mvm.multiply import (
    BoundManagement,
    IOParameters,
    Lines,
    MVType,
    NoiseManagement,
    WeightNoise,
    multiply,
)
from rpusim.kernels.mvm.wires import Wires

pytest.importorskip("triton", reason="needs Triton: make test-gpu")
from rpusim.kernels.base.paths import interpreted

if not interpreted() and not torch.cuda.is_available():
    pytest.skip("needs a GPU or TRITON_INTERPRET=1: make test-gpu", allow_module_level=True)
DEVICE = "cpu" if interpreted() else "cuda"

STREAM = (3, 1, 4)
QUIET = IOParameters(inp_res=1 / 64, out_res=1 / 256, out_bound=4.0, out_noise=0.0)
RESOLUTIONS = {
    "continuous": {"inp_res": -1.0, "out_res": -1.0},
    "steps": {},
    "numbers of steps": {"inp_res": 16.0, "out_res": 32.0},
    "by chance": {"inp_sto_round": True, "out_sto_round": True},
}
NOISES = {
    "inputs": {"inp_noise": 0.05},
    "outputs": {"out_noise": 0.06},
    "each line": {"out_noise": 0.06, "out_noise_std": 0.5},
    "asymmetry": {"inp_asymmetry": 0.125, "out_asymmetry": 0.25},
    "all": {"inp_noise": 0.05, "out_noise": 0.06, "out_noise_std": 0.5, "inp_sto_round": True, "out_sto_round": True},
    "upper bound alone": {"out_noise": 0.06, "bm_test_negative_bound": False, "out_bound": 1.0},
    "digital factor": {"out_scale": 0.75, "out_noise": 0.06},
    "threshold": {"nm_thres": 1.0, "out_noise": 0.06},
    "wires": {"wires": Wires(load=0.01, read_cells=5, driven_cells=4), "out_noise": 0.06},
}


def signals(vectors: int, inputs: int, outputs: int, seed: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Weights and vectors of small binary fractions; one vector is empty, one has negative inputs only."""
    generator = torch.Generator().manual_seed(seed)
    weights = torch.randint(-32, 33, (outputs, inputs), generator=generator) / 64
    x = torch.randint(-16, 17, (vectors, inputs), generator=generator) / 16
    x[0] = 0.0
    x[1] = -x[1].abs()
    x[2, 0] = 1.0
    return weights, x


def both(io: IOParameters, weights: torch.Tensor, x: torch.Tensor, backward: bool = False, calls: int = 1) -> list[Any]:
    """(specification, kernels): what the last of several calls gives, and the running average after it."""
    matrix, x = (weights.t(), x[:, : len(weights)]) if backward else (weights, x)
    lines, found = Lines.sample(io, *matrix.shape, STREAM), []
    for path, device in (("torch", "cpu"), ("triton", DEVICE)):
        average = torch.full((1,), float("nan"), device=device)
        x_there, there = x.to(device), matrix.to(device)
        for call in range(calls):
            given = io, lines, STREAM, 7 + call * len(x), average
            done = multiply(there, x_there, *given, path=path, backward=backward)
        found.append((done, average))
    return found


def check(io: IOParameters, backward: bool = False, seed: int = 0, shape: tuple[int, int, int] = (5, 5, 4)) -> None:
    calls = 1 + (io.noise_management is NoiseManagement.AVERAGE_ABS_MAX)
    (expected, before), (done, after) = both(io, *signals(*shape, seed), backward=backward, calls=calls)
    np.testing.assert_array_equal(done.passes, expected.passes)
    np.testing.assert_array_equal(done.active, expected.active)
    exact = DEVICE == "cpu" and io.inp_step > 0.0 and io.wires is None  # else sums are rounded as their product is
    torch.testing.assert_close(done.y.cpu(), expected.y, rtol=0, atol=0 if exact else 2e-6)
    torch.testing.assert_close(after.cpu(), before, rtol=0, atol=0, equal_nan=True)


class TestReadsConform:
    """Every management x resolution x direction, every noise, and the edges."""

    @pytest.mark.parametrize("resolution", RESOLUTIONS)
    @pytest.mark.parametrize(("noise", "bound"), list(product(NoiseManagement, BoundManagement)))
    def test_every_management_forwards(self, noise, bound, resolution):
        given = {"noise_management": noise, "bound_management": bound, "out_bound": 1.0}
        check(replace(QUIET, **given, **RESOLUTIONS[resolution]))

    @pytest.mark.parametrize("resolution", RESOLUTIONS)
    @pytest.mark.parametrize("noise", NoiseManagement)
    def test_every_management_backwards(self, noise, resolution):
        given = {"noise_management": noise, "bound_management": BoundManagement.NONE, "out_bound": 1.0}
        check(replace(QUIET, **given, **RESOLUTIONS[resolution]), backward=True)

    def test_without_bounds(self):
        unmanaged = {"noise_management": NoiseManagement.NONE, "bound_management": BoundManagement.NONE}
        for backward in (False, True):
            check(replace(QUIET, inp_bound=-1.0, out_bound=-1.0, out_noise=0.06, **unmanaged), backward)

    @pytest.mark.parametrize("bound", BoundManagement)
    @pytest.mark.parametrize("noise", NOISES)
    def test_every_noise(self, noise, bound):
        check(replace(QUIET, bound_management=bound, **NOISES[noise]), seed=1)

    def test_a_perfect_periphery(self):
        check(IOParameters(is_perfect=True, out_scale=0.5))

    def test_more_lines_than_a_program_takes_at_a_time(self):
        check(replace(QUIET, out_noise=0.06, inp_noise=0.01, out_bound=64.0), shape=(3, 1030, 3))
        check(replace(QUIET, out_noise=0.06, inp_noise=0.01, out_bound=2.0), shape=(3, 3, 1030))

    def test_numbers_that_are_none_stay_so(self):
        weights, x = signals(6, 5, 4, 2)
        x[3, 2] = float("nan")
        (expected, _), (done, _) = both(QUIET, weights, x)
        torch.testing.assert_close(done.y.cpu(), expected.y, rtol=0, atol=1e-5, equal_nan=True)
        assert done.y[3].isnan().all() and not done.y[2].isnan().any()

    def test_no_vectors(self):
        weights, x = signals(6, 5, 4, 3)
        assert both(QUIET, weights, x[:0])[1][0].y.shape == (0, 4)

    def test_the_division_into_calls_changes_nothing(self):
        io, (weights, x) = replace(QUIET, out_noise=0.06, inp_noise=0.05), signals(6, 5, 4, 4)
        lines = Lines.sample(io, 4, 5, STREAM)
        there, vectors = weights.to(DEVICE), x.to(DEVICE)
        whole = multiply(there, vectors, io, lines, STREAM, 0, path="triton").y
        parts = [multiply(there, vectors[n : n + 2], io, lines, STREAM, n, path="triton").y for n in (0, 2, 4)]
        torch.testing.assert_close(torch.cat(parts), whole, rtol=0, atol=1e-6)


@pytest.mark.parametrize(
    "other",
    [
        {"mv_type": MVType.BIT_SERIAL},
        {"mv_type": MVType.POS_NEG_SEPARATE},
        {"ir_drop": 1.0},
        {"w_noise": 0.1, "w_noise_type": WeightNoise.PCM_READ},
    ],
)
def test_what_is_not_covered_takes_the_specification(other):
    io = replace(QUIET, **other)
    assert not by_triton.covers(io) and by_triton.covers(QUIET)
    check(io)


class Waits(TorchFunctionMode):
    """Counts where the host would wait for a GPU: numbers read, tensors brought back, sizes that depend on values."""

    _ASK = ("cpu", "numpy", "item", "tolist", "nonzero", "__bool__", "__float__", "__int__", "__index__", "__array__")

    def __init__(self) -> None:
        super().__init__()
        self.seen: list[str] = []

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        name = getattr(func, "__name__", "")
        if name in self._ASK and isinstance(args[0], torch.Tensor):
            self.seen.append(name)
        return func(*args, **(kwargs or {}))


@pytest.mark.parametrize("bound", [BoundManagement.NONE, BoundManagement.ITERATIVE])
def test_the_host_does_not_wait_for_single_vectors(bound):
    """Once for each round of bound management, and at the end for passes and inputs; as often for 2 as for 40."""
    io = replace(QUIET, bound_management=bound, out_bound=1.0, out_noise=0.06, noise_management="average_abs_max")
    weights, x = signals(6, 5, 4, 5)
    waits = []
    for number in (2, 40):
        # The same two vectors again and again take the same rounds.
        vectors = x[2:3].expand(number, -1).contiguous().to(DEVICE)
        lines, average = Lines.sample(replace(io, out_noise=0.0), 4, 5, STREAM), torch.full((1,), float("nan"))
        with Waits() as seen:
            done = multiply(
                weights.to(DEVICE), vectors, replace(io, out_noise=0.0), lines, STREAM, 0, average.to(DEVICE), "triton"
            )
        waits.append(seen.seen)
        assert len([name for name in seen.seen if name == "nonzero"]) <= done.passes.max()
    assert waits[0] == waits[1] and len(waits[0]) <= 2 + done.passes.max()
