"""Residual learning and its family: closed forms without noise, and what they are for, biased symmetry points."""

import math
from dataclasses import replace

import numpy as np
import pytest
import torch

from rpusim.arch.contract.activity import ActivityLog, Phase
from rpusim.errors import InputError
from rpusim.kernels import (
    AnalogConfig,
    AnalogTile,
    ChoppedTransfer,
    ConstantStep,
    DynamicTransfer,
    EnhancedRider,
    FilteredResidual,
    IdealDevice,
    IOParameters,
    MultiTile,
    ResidualLearning,
    Rider,
    Selective,
    SoftBounds,
    Transfer,
    UpdateParameters,
)

QUIET = {"dw_min_dtod": 0.0, "dw_min_std": 0.0, "up_down_dtod": 0.0, "w_max_dtod": 0.0, "w_min_dtod": 0.0}
PERFECT = IOParameters(is_perfect=True)
STEP = 1e-4
FINE = ConstantStep(dw_min=STEP, w_max=10.0, w_min=-10.0, **QUIET)
EXACT = UpdateParameters(pulse_type="deterministic_implicit", desired_bl=10_000)
each_path = pytest.mark.parametrize("path", ["numba", "torch"])


def _tile(cell, device=FINE, rows=1, columns=1, path="numba", **options):
    return AnalogTile(rows, columns, AnalogConfig(device, update=EXACT, cell=cell), path=path, **options)


def _descend(tile, target, steps, rate):
    """Follow the gradient of |W - target|^2 / 2, one unit vector after the other; give W after every step."""
    seen = []
    for step in range(steps):
        x = torch.zeros(1, target.shape[1])
        x[0, step % target.shape[1]] = 1.0
        tile.update(x, x @ (tile.weights - target).t(), rate)
        seen.append(tile.get_weights().numpy())
    return np.array(seen)


def test_residual_learning_on_a_quadratic_is_a_linear_map():
    """(P, W - T) <- M (P, W - T), M = [[1 - a gamma, -a], [b (1 - a gamma), 1 - a b]], of exact devices."""
    rate, gamma, beta, target = 0.2, 0.3, 0.15, 0.7
    cell = ResidualLearning(gamma=gamma, transfer_lr=beta, transfer_forward=PERFECT, devices=(IdealDevice(),))
    seen = _descend(_tile(cell), torch.tensor([[target]]), 60, rate)[:, 0, 0]
    through = np.array([[1 - rate * gamma, -rate], [beta * (1 - rate * gamma), 1 - beta * rate]])
    assert np.abs(np.linalg.eigvals(through)).max() < 1.0
    for steps in (1, 7, 60):
        residual, main = np.linalg.matrix_power(through, steps) @ np.array([0.0, -target])
        assert seen[steps - 1] - target == pytest.approx(main + gamma * residual, abs=2e-6)


def test_residual_learning_comes_to_rest_where_tiki_taka_is_dragged_past():
    """At the least loss the residual is 0, the symmetry point; what is seen ends at the target."""
    cell = ResidualLearning(gamma=0.3, transfer_lr=0.15, transfer_forward=PERFECT, devices=(IdealDevice(),))
    tile = _tile(cell)
    _descend(tile, torch.tensor([[0.7]]), 600, 0.2)
    assert float(tile.cell.arrays[0].weights) == pytest.approx(0.0, abs=1e-5)
    assert float(tile.cell.arrays[1].weights) == pytest.approx(0.7, abs=1e-5)


@each_path
def test_the_filter_of_rlv2_charges_as_it_should(path):
    """H = s (1 - (1 - b)^n) towards s = lr P: the first pulse after ceil(ln(1 - theta / s) / ln(1 - b)) reads, and
    none ever where s is below the threshold."""
    device, share = replace(FINE, dw_min=0.01), 0.1
    for held, pulses in ((0.05, True), (0.0099, False)):
        cell = FilteredResidual(share=share, transfer_forward=PERFECT)
        tile = _tile(cell, device, path=path)
        tile.cell.arrays[0].set_weights(torch.full((1, 1), held))
        moved = []
        for _ in range(200):
            tile.update(torch.zeros(1, 1), torch.zeros(1, 1), 0.1)
            moved.append(float(tile.cell.arrays[1].weights))
        if pulses:
            first = math.ceil(math.log(1 - 0.01 / held) / math.log(1 - share))
            assert moved[first - 2] == 0.0 and moved[first - 1] == pytest.approx(0.01)
        else:
            assert not any(moved)


def test_rlv2_ends_where_the_gradient_is_less_than_half_a_pulse():
    """Trains that are not random send nothing once rate |W - T| < step / 2, here within 0.01 of the target."""
    cell = FilteredResidual(gamma=0.3, share=0.3, transfer_forward=PERFECT)
    seen = _descend(_tile(cell, replace(FINE, dw_min=0.002)), torch.tensor([[0.7]]), 1500, 0.1)[:, 0, 0]
    assert abs(seen[-50:] - 0.7).max() < 1.001 * 0.002 / (2 * 0.1)


@each_path
@pytest.mark.parametrize("period", [0, 4])
def test_rider_on_a_quadratic_is_what_its_equations_say(period, path):
    """Equations 1 to 5 in double precision, with and without a chopper: within a few of a thousand small steps.

    One cell; every vector is a cycle, and R is programmed every ``period`` of them (without a chopper every third).
    """
    rate, gamma, beta, share, target = 0.2, 0.4, 0.15, 0.25, 0.5
    options = {
        "gamma": gamma, "transfer_lr": beta, "scale_transfer_lr": False, "mean_share": share, "fast_lr": 0.0,
        "transfer_forward": PERFECT, "program": EXACT,
        "transfer_update": EXACT,
    }  # fmt: skip
    cell = EnhancedRider(in_chop_prob=1 / period, **options) if period else Rider(program_every=3, **options)
    seen = _descend(_tile(cell, path=path), torch.tensor([[target]]), 80, rate)[:, 0, 0]
    p = w = r = q = 0.0
    c = 1.0
    for step in range(80):
        p -= rate * c * (w + gamma * c * (p - r) - target)
        w, q = w + beta * c * (p - q), (1 - share) * q + share * p
        if (step + 1) % (period or 3) == 0:
            r, c = q, -c if period else c
        assert seen[step] == pytest.approx(w + gamma * c * (p - r), abs=30 * STEP), step


def _biased(cell, noise=0.3, steps=900):
    """Learn a matrix from noisy targets with cells whose symmetry points are far from 0; give the error, relative."""
    device = SoftBounds(dw_min=0.005, up_down=0.3, w_max=1.0, w_min=-1.0, **QUIET)
    tile = AnalogTile(4, 5, AnalogConfig(device, cell=cell))
    generator = torch.Generator().manual_seed(1)
    target = 0.25 * torch.randn(4, 5, generator=generator).clamp(-1.5, 1.5)
    errors = []
    for step in range(steps):
        x = torch.randn(10, 5, generator=generator)
        error = x @ (tile.weights - target).t() + noise * torch.randn(10, 4, generator=generator)
        tile.update(x, error, 0.02)
        if step >= steps - 100:
            errors.append(float((tile.weights - target).norm() / target.norm()))
    return float(np.mean(errors)), tile


def test_e_rider_finds_the_symmetry_points_and_their_bias_falls():
    """Cells at rest at 0.15 of their range: Tiki-Taka takes that for a gradient; the mean of E-RIDER is the points'."""
    common = {"transfer_forward": PERFECT, "scale_transfer_lr": False, "transfer_lr": 0.02, "gamma": 0.1}
    plain, _ = _biased(Transfer(units_in_mbatch=False, **common))
    tracked, tile = _biased(EnhancedRider(**common))
    array = tile.cell.arrays[0]
    points = array.device.symmetry_point(array.cells)
    assert float(points.mean()) > 0.14
    assert tracked < 0.8 * plain
    assert float(tile.cell.mean.mean()) == pytest.approx(float(points.mean()), abs=0.05)


def test_without_a_chopper_what_is_written_is_bound_to_the_mean():
    """The sum of v - Q over all reads is (Q at the end - at the start) / eta: W - (beta / eta) Q is 0, to a few steps.

    So RIDER can only reach weights for which Q is far from the symmetry points, unless eta is far below beta; with the
    sign that changes, E-RIDER has no such bond.
    """
    options = {"transfer_lr": 0.2, "scale_transfer_lr": False, "mean_share": 0.1, "transfer_forward": PERFECT}
    options |= {"transfer_update": EXACT, "program": EXACT}
    free = []
    for cell in (Rider(**options), EnhancedRider(in_chop_prob=0.25, **options)):
        tile = _tile(cell)
        _descend(tile, torch.tensor([[0.5]]), 100, 0.2)
        free.append(float(tile.cell.arrays[1].weights - 0.2 / 0.1 * tile.cell.mean))
    assert abs(free[0]) < 5 * STEP and abs(free[1]) > 0.1


@pytest.mark.parametrize("columns", [3, 12])
@pytest.mark.parametrize(("cell", "seen"), [(ChoppedTransfer, 0.1), (DynamicTransfer, 0.1), (EnhancedRider, 1.0)])
def test_what_vectors_bring_to_the_buffer_does_not_depend_on_the_array(cell, seen, columns):
    """n vectors bring n lr transfer_lr v / (a g) pulses to every cell's buffer, with a = auto_granularity and the
    granularity g, for any number of columns; of Tiki-Taka and AGAD gamma times that.

    So at the published settings (g 0.46, a 1000) 160,000 vectors, which are 40 epochs of 4,000 images, bring at most
    160,000 x 0.05 x 0.05 / 462 = 0.9 pulses for |v| = 1 with E-RIDER, 0.5 with AGAD and 0.002 with Tiki-Taka 2.
    """
    options = {"mean_share": 1e-9} if cell is EnhancedRider else {}
    made = cell(gamma=0.1, in_chop_prob=0.05, in_chop_random=False, transfer_lr=0.3, auto_granularity=1000.0,
                transfer_forward=PERFECT, **options)  # fmt: skip
    tile = _tile(made, replace(FINE, dw_min=0.01), rows=2, columns=columns, path="torch")
    tile.cell.arrays[0].set_weights(torch.full((2, columns), 0.5))
    for _ in range(24):
        tile.update(torch.zeros(1, columns), torch.zeros(1, 2), 0.05)
    expected = 24 * 0.05 * 0.3 * seen * 0.5 / (1000 * 0.01)
    assert tile.cell.buffer[0].flatten().tolist() == pytest.approx([expected] * 2 * columns, rel=1e-4)


def test_e_rider_programs_its_reference_when_the_chopper_turns():
    """5 columns, N = 4 cycles: 20 vectors from one programming to the next, when every column is read and written."""
    log = ActivityLog()
    cell = EnhancedRider(in_chop_prob=0.25, transfer_forward=PERFECT)
    tile = AnalogTile(3, 5, AnalogConfig(replace(FINE, dw_min=0.01), cell=cell), log=log)
    generator = torch.Generator().manual_seed(0)
    turned = []
    for _ in range(6):
        tile.update(torch.randn(10, 5, generator=generator), torch.randn(10, 3, generator=generator), 0.1)
        turned.append(float(tile.cell.slice_chopper[0]))
        log.step += 1
    assert turned == [1, -1, -1, 1, 1, -1]
    rows = log.take()
    rows = rows.select((rows.phase == Phase.TRANSFER) & (rows.array == 2))
    assert rows.step.tolist() == [1] * 5 + [3] * 5 + [5] * 5 and set(rows.vector) == {9}
    assert rows.passes.tolist() == [1] * 15 and int(rows.writes.sum()) > 0


def test_after_programming_the_reference_is_the_mean_to_a_step():
    cell = Rider(transfer_forward=PERFECT, program=EXACT)
    tile = _tile(cell, rows=3, columns=4)
    for seed in range(2):
        generator = torch.Generator().manual_seed(seed)
        tile.update(torch.randn(4, 4, generator=generator), torch.randn(4, 3, generator=generator), 0.1)
    assert bool(tile.cell.mean.any())
    assert torch.allclose(tile.cell.arrays[2].weights, tile.cell.mean, atol=1.01 * STEP)


# --- EaPU -------------------------------------------------------------------------------------------------------------


def test_what_is_collected_is_written_when_it_is_worth_it_and_nothing_is_lost():
    """A gradient of 0.3 pulses a mini-batch and a threshold of 4: every 14th mini-batch, round(4.2) pulses at once."""
    device = replace(FINE, dw_min=0.01)
    tile = _tile(Selective(threshold=4, probabilistic=False), device)
    moved = []
    for _ in range(28):
        tile.update(torch.ones(1, 1), -torch.ones(1, 1), 0.3 * 0.01)
        moved.append(float(tile.weights))
        assert float(tile.weights - tile.cell.chi) == pytest.approx(len(moved) * 0.003, abs=1e-6)
    assert [n for n in range(1, 28) if moved[n] != moved[n - 1]] == [13, 26]
    assert moved[13] == pytest.approx(0.04)


def test_drawn_writes_are_the_gradient_in_the_mean_and_rare():
    """A share |chi| / theta of 2,500 cells is written, each by theta: within 4.5 standard deviations."""
    device = replace(FINE, dw_min=0.01)
    log = ActivityLog()
    tile = _tile(Selective(threshold=4), device, rows=50, columns=50, log=log)
    tile.update(torch.ones(1, 50), -torch.ones(1, 50), 0.002)
    share = 0.002 / 0.04
    spread = (2500 * share * (1 - share)) ** 0.5
    written = int(torch.count_nonzero(tile.weights))
    assert abs(written - 2500 * share) < 4.5 * spread
    assert torch.allclose(tile.weights[tile.weights != 0], torch.tensor(0.04), atol=1e-6)
    rows = log.take()
    assert int(rows.writes.sum()) == written and not bool(tile.cell.chi.any())


# --- several arrays of few states -------------------------------------------------------------------------------------


def test_finer_arrays_learn_what_coarser_ones_leave():
    """Steps of 0.1, 0.025 and 0.00625 (gamma = 1/4): each array ends within its own step of the target."""
    device = ConstantStep(dw_min=0.1, w_max=1.0, w_min=-1.0, **QUIET)
    ends = []
    for number in (1, 2, 3):
        cell = MultiTile(number=number, gamma=0.25, patience=20, improvement=0.1)
        config = AnalogConfig(device, cell=cell)
        tile = AnalogTile(4, 5, config)
        generator = torch.Generator().manual_seed(3)
        target = 0.5 * torch.rand(4, 5, generator=generator) - 0.25
        for _ in range(1200):
            x = torch.randn(5, 5, generator=generator)
            tile.update(x, x @ (tile.weights - target).t(), 0.01)
        assert tile.cell.counters["array"] == number - 1
        ends.append(float((tile.weights - target).square().mean().sqrt()))
    assert ends[1] < 0.5 * ends[0] and ends[2] < 0.5 * ends[1] and ends[2] < 0.00625


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: ResidualLearning(gamma=0.0), "gamma: 0.0 was given; accepted is a number > 0, as residual-learning"),
        (lambda: FilteredResidual(share=0.0), "share: 0.0 was given; accepted is a number > 0"),
        (lambda: Rider(gamma=0.0), "gamma: 0.0 was given; accepted is a number > 0, as rider"),
        (lambda: Rider(zero_shift_pairs=5), "zero_shift_pairs: 5 was given; accepted is 0 with rider"),
        (lambda: EnhancedRider(in_chop_random=True), "in_chop_random: True was given; accepted is False with e-rider"),
        (lambda: EnhancedRider(in_chop_prob=0.0), "in_chop_prob: 0 was given; accepted is a number > 0"),
        (lambda: Selective(threshold=0), "threshold: 0 was given; accepted is an integer"),
        (lambda: MultiTile(gamma=0.001, number=4), "gamma: 0.001 was given; accepted is a number whose power"),
    ],
)
def test_wrong_parameters_are_refused_by_name(call, message):
    with pytest.raises(InputError, match=message):
        call()
