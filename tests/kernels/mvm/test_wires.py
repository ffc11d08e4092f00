"""The drop on wires: beside the whole circuit, in closed form, and the same on both paths."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from circuit import output

from rpusim.arch.contract import ladder
from rpusim.errors import InputError
from rpusim.kernels import IOParameters, SoftBounds
from rpusim.kernels.arrays.reads import Reader
from rpusim.kernels.mvm import compiled
from rpusim.kernels.mvm.multiply import Lines, multiply
from rpusim.kernels.mvm.wires import Wires, arriving

EXACT = {
    "out_noise": 0.0,
    "out_res": 0.0,
    "out_bound": 0.0,
    "inp_res": 0.0,
    "noise_management": "none",
    "bound_management": "none",
}
each_path = pytest.mark.parametrize("path", ["torch", "numba"])


def _multiply(x, weights, path="numba", **options):
    io = IOParameters(**{**EXACT, **options})
    weights, x = torch.as_tensor(weights, dtype=torch.float32), torch.as_tensor(x, dtype=torch.float32)
    return multiply(weights, x, io, Lines.sample(io, *weights.shape, (0,)), (0, 0, 0), 0, None, path).y


class TestBesideTheWholeCircuit:
    """24 x 20 cells that deviate by up to a hundredth, or half, from the mean; inputs of both signs, or of one."""

    ROWS, COLUMNS = 24, 20

    def _both(self, load, share, low, seed=0):
        rng = np.random.default_rng(seed)
        weights, x = rng.uniform(-1, 1, (self.ROWS, self.COLUMNS)), rng.uniform(low, 1, self.COLUMNS)
        lines = [0, self.ROWS // 2, self.ROWS - 1]
        solved = np.array([output(weights, line, share, 1 / load, x) for line in lines])
        model = _multiply(x[None], weights, wires=Wires(load, self.COLUMNS, self.ROWS))[0, lines].numpy()
        scale = np.linalg.norm(weights, axis=1).mean() * np.sqrt(np.mean(x**2))
        return np.abs(solved - model).max() / scale, np.abs(solved - weights[lines] @ x).max() / scale

    @pytest.mark.parametrize("low", [-1.0, 0.0])
    @pytest.mark.parametrize("load", [1e-5, 1e-4, 3e-4])
    def test_small_weights_lose_what_the_circuit_loses(self, load, low):
        """Left out are the product of the losses of both lines (at most 8 % each), and that a cell loads its own line.

        The latter is one part of the n / 2 that load it on average.
        """
        left, lost = self._both(load, 0.01, low)
        both = load * self.ROWS**2 / 2 * load * self.COLUMNS**2 / 2
        assert left <= 2 * both + lost * 2 / self.ROWS and left < lost / 20

    @pytest.mark.parametrize("low", [-1.0, 0.0])
    @pytest.mark.parametrize("load", [1e-5, 1e-4, 3e-4])
    def test_large_weights_are_met_to_a_tenth_of_the_loss(self, load, low):
        """Cells from half to one and a half of the mean: their lines are loaded more or less than the mean line."""
        left, lost = self._both(load, 0.5, low)
        assert left < lost / 10


@each_path
def test_a_uniform_input_on_equal_weights_is_the_product_of_three_profiles(path):
    load, read, driven = 2e-3, 30, 40
    across, along = (ladder.profile(load, n, np.arange(1, n + 1)) for n in (driven, read))
    y = _multiply(np.ones((1, read)), np.ones((driven, read)), path, wires=Wires(load, read, driven))
    assert y[0].numpy() == pytest.approx(across * (along**2).sum(), rel=1e-6)


@each_path
def test_lines_count_that_are_not_used(path):
    """A block of 3 x 4 at the near corner of 40 x 30 is a part of the larger product with zeros around it."""
    rng, wires = np.random.default_rng(1), Wires(1e-3, 30, 40)
    weights, x = rng.uniform(-1, 1, (40, 30)), np.zeros((2, 30))
    x[:, :4] = rng.uniform(-1, 1, (2, 4))
    near = weights.copy()
    near[:, 4:] = 0.0
    part = _multiply(x[:, :4], near[:3, :4], path, wires=wires)
    assert torch.allclose(part, _multiply(x, near, path, wires=wires)[:, :3], atol=1e-6)
    assert float((part - _multiply(x[:, :4], near[:3, :4], path)).abs().max()) > 1e-3


@each_path
def test_backwards_an_array_is_its_transpose(path):
    """By reciprocity, as far as losses of single lines go: u W v is the same from both sides to their square."""
    rng, wires = np.random.default_rng(2), Wires(1e-6, 30, 40)
    weights, x, d = rng.uniform(-1, 1, (40, 30)), rng.uniform(-1, 1, 30), rng.uniform(-1, 1, 40)
    forward = float(_multiply(x[None], weights, path, wires=wires)[0] @ torch.tensor(d, dtype=torch.float32))
    backward = float(_multiply(d[None], weights.T, path, wires=wires.turned)[0] @ torch.tensor(x, dtype=torch.float32))
    assert wires.turned.turned == wires
    assert forward == pytest.approx(backward, abs=1e-2)


@each_path
def test_no_load_changes_no_bit(path):
    rng = np.random.default_rng(3)
    weights, x = rng.uniform(-1, 1, (8, 9)), rng.uniform(-1, 1, (5, 9))
    assert torch.equal(_multiply(x, weights, path, wires=Wires(0.0, 9, 8)), _multiply(x, weights, path))


def test_vectors_multiplied_in_blocks_get_the_same_bits(monkeypatch):
    rng = np.random.default_rng(4)
    weights, x = rng.uniform(-1, 1, (60, 50)), rng.uniform(-1, 1, (1001, 50))
    options = {"noise_management": "abs_max", "out_bound": 2.0, "out_noise": 0.1, "wires": Wires(1e-4, 64, 64)}
    monkeypatch.setattr(compiled, "several_threads", lambda: False)
    monkeypatch.setattr(compiled, "BLOCK_NUMBERS", 1 << 40)
    whole = _multiply(x, weights, **options)
    monkeypatch.setattr(compiled, "BLOCK_NUMBERS", 100)
    assert torch.equal(whole, _multiply(x, weights, **options))


class TestReadsOfSlices:
    @pytest.mark.parametrize("by_columns", [True, False])
    @pytest.mark.parametrize("io", [{}, {"inp_noise": 0.05}, EXACT])
    def test_both_paths_agree_to_the_bit(self, by_columns, io):
        reader = Reader(IOParameters(**io, wires=Wires(1e-3, 30, 40)), 12, 9, (1, 2, 3), by_columns)
        weights = torch.rand(12, 9, generator=torch.Generator().manual_seed(0))
        slow, fast = (reader.read(weights, [0, 4, 7], 5, path) for path in ("torch", "numba"))
        assert torch.equal(slow, fast)

    @each_path
    def test_a_slice_loses_on_both_lines_and_on_its_own_current(self, path):
        wires, weights = Wires(1e-3, 30, 40), torch.rand(12, 9, generator=torch.Generator().manual_seed(1))
        read = Reader(IOParameters(**EXACT, wires=wires), 12, 9, (0,), True).read(weights, [6], 0, path)[0]
        along = ladder.profile(1e-3, 30, [7])[0] * (1 - ladder.potentials(1e-3, 30, 9)[6, 6])
        assert read.numpy() == pytest.approx(weights[:, 6].numpy() * arriving(wires, 12) * along, rel=1e-6)

    @each_path
    def test_what_a_slice_alone_leaves_out_is_small(self, path):
        """Cells beside it have the potential of the line, up to n^2 / 2 loads together; with random weights
        1 / sqrt(n) of it."""
        wires, weights = Wires(1e-5, 64, 64), torch.rand(64, 64, generator=torch.Generator().manual_seed(2)) * 2 - 1
        reader = Reader(IOParameters(**EXACT, wires=wires), 64, 64, (0,), True)
        alone = reader.read(weights, [63], 0, path)
        left_out = alone - reader.multiply(weights, reader.one_hot([63], alone.device), 0, path)
        assert 1e-4 < float(left_out.square().mean().sqrt()) < 1e-5 * 64**2 / 2 / 8


class TestSteps:
    def test_a_step_is_what_is_left_above_half_the_voltage(self):
        load, wires = 1e-4, Wires(1e-4, 30, 40)
        reach = wires.reach(3, 2).numpy()
        across, along = ladder.profile(load, 40, [1, 2, 3]), ladder.profile(load, 30, [1, 2])
        assert reach == pytest.approx(across[:, None] + along - 1.0, rel=1e-6)
        assert float(Wires(0.5, 30, 40).reach(40, 30).min()) == 0.0  # below half the voltage nothing moves

    def test_cells_far_away_take_smaller_steps_and_keep_their_bounds(self):
        reach = Wires(1e-4, 30, 40).reach(40, 30)
        device = SoftBounds(dw_min_dtod=0.0, up_down_dtod=0.0)
        whole, weaker = device.sample(40, 30, (5,)), device.sample(40, 30, (5,), reach)
        for up in (True, False):
            for one, other in zip(whole.parameters(up), weaker.parameters(up), strict=True):
                assert torch.allclose(other, one * reach)
        assert torch.equal(weaker.bound_max, whole.bound_max) and torch.equal(weaker.bound_min, whole.bound_min)

    def test_the_bias_column_that_is_perfect_keeps_its_step(self):
        reach = Wires(1e-3, 30, 40).reach(40, 30)
        cells = SoftBounds(perfect_bias=True).sample(40, 30, (5,), reach)
        assert torch.equal(cells.parameters(True)[0][:, -1], torch.full((40,), 0.001))


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"load": -1.0}, "load: -1.0 was given"),
        ({"read_cells": 0}, "read_cells: 0 was given; accepted is an integer >= 1"),
        ({"alone": 1}, "alone: 1 was given; accepted are True and False"),
    ],
)
def test_wires_that_cannot_be_are_refused(fields, message):
    with pytest.raises(InputError, match=message):
        replace(Wires(0.1, 3, 3), **fields)
    with pytest.raises(InputError, match="wires"):
        IOParameters(wires=0.1)


@each_path
@pytest.mark.parametrize("alone", [False, True])
def test_weights_behind_others_are_those_of_a_matrix_with_nothing_before_them(path, alone):
    """Lines that are not used are at ground, so zeros before the inputs and outputs in use stand for them."""
    rng = np.random.default_rng(5)
    weights, x = rng.uniform(-1, 1, (5, 7)).astype(np.float32), rng.uniform(-1, 1, (20, 7)).astype(np.float32)
    whole, padded = np.zeros((8, 11), np.float32), np.zeros((20, 11), np.float32)
    whole[3:, 4:], padded[:, 4:] = weights, x
    there = Wires(2e-3, 30, 25, alone)
    shared = _multiply(x, weights, path, wires=replace(there, first_read=4, first_driven=3))
    torch.testing.assert_close(shared, _multiply(padded, whole, path, wires=there)[:, 3:], rtol=2e-6, atol=2e-6)
    first = _multiply(x, weights, path, wires=there)
    assert not torch.allclose(shared, first, rtol=1e-3, atol=1e-3)  # it does matter where they lie
    steps = replace(there, first_read=4, first_driven=3).reach(5, 7)
    torch.testing.assert_close(steps, there.reach(8, 11)[3:, 4:])
