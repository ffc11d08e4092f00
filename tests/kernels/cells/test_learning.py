"""What the cells are for: symmetry points are found, energy falls, and an asymmetric device learns after all."""

import math

import numpy as np
import pytest
import torch

from rpusim.kernels import (
    AnalogConfig,
    AnalogTile,
    ConstantStep,
    Hamiltonian,
    IOParameters,
    Reference,
    SoftBounds,
    Transfer,
    UpdateParameters,
    zero_shift,
)
from rpusim.kernels.arrays.array import DeviceArray

EXACT = {"dw_min_dtod": 0.0, "dw_min_std": 0.0, "up_down_dtod": 0.0, "w_max_dtod": 0.0, "w_min_dtod": 0.0}
PERFECT = IOParameters(is_perfect=True)
each_path = pytest.mark.parametrize("path", ["numba", "torch"])


# --- zero-shifting ----------------------------------------------------------------------------------------------------


@each_path
def test_zero_shifting_relaxes_exponentially_to_the_symmetry_point(path):
    """exp(-n (a_up / b_up + a_down / b_down)), to 0.5 %: each pulse acts after the one before."""
    device = SoftBounds(dw_min=0.001, w_max=0.6, w_min=-0.6, up_down=0.1, **EXACT)
    array = DeviceArray(2, 3, device, (1,), path)
    (up, _), (down, _) = array.cells.parameters(up=True), array.cells.parameters(up=False)
    rate = float((up / 0.6 + down / 0.6)[0, 0])
    symmetry_point = float(device.symmetry_point(array.cells)[0, 0])
    start = 0.5 - symmetry_point
    array.set_weights(torch.full((2, 3), 0.5))
    for pairs in (40, 60):
        done = zero_shift(array, pairs)
        assert done.pulses == 2 * pairs
    left = float(done.residual[0, 0]) / start
    assert left == pytest.approx(math.exp(-100 * rate), rel=0.005)
    array.set_weights(torch.full((2, 3), symmetry_point + 0.003))
    zero_shift(array, 500)
    # An up pulse last: the weight rests half a step above.
    assert torch.allclose(array.weights, torch.full((2, 3), symmetry_point), atol=0.001)


def test_one_percent_is_left_after_about_1380_pairs():
    """Step 0.001, bounds 0.6: ln(100) / (2 x 0.001 / 0.6) = 1381.6 pairs."""
    array = DeviceArray(1, 1, SoftBounds(dw_min=0.001, w_max=0.6, w_min=-0.6, **EXACT), (1,), "numba")
    array.set_weights(torch.tensor([[0.5]]))
    left = float(zero_shift(array, 1380).residual) / 0.5
    assert left == pytest.approx(0.01, abs=0.0015)  # the last pulse alone is 0.001


def test_every_cell_of_a_varied_array_comes_within_its_noise_of_its_own_symmetry_point():
    """Stationary spread of the random walk: a sigma_c2c sqrt(b / (2 a)) for noise sigma_c2c of steps a at bounds b."""
    device = SoftBounds(dw_min=0.002, up_down=0.2, up_down_dtod=0.1, dw_min_std=0.3)
    array = DeviceArray(40, 30, device, (2,), "numba")
    done = zero_shift(array, 3000)
    spread = 0.002 * 0.3 * (0.6 / (2 * 0.002)) ** 0.5
    assert float(array.device.symmetry_point(array.cells).std()) > 0.03
    assert float(done.residual.abs().median()) < 0.002 + spread
    assert (
        float(done.residual.abs().mean()) < 0.1 * float(array.device.symmetry_point(array.cells).abs().mean()) + 0.005
    )


def test_a_reference_cell_counts_from_the_symmetry_point():
    """Then equally many up and down pulses leave a weight of 0 where it is, but drive a plain device to its point."""
    device = SoftBounds(dw_min=0.002, up_down=0.3, up_down_dtod=0.1, dw_min_std=0.0)
    ends = {}
    for name, pairs in (("shifted", 3000), ("plain", 0)):
        tile = AnalogTile(20, 20, AnalogConfig(device, cell=Reference(zero_shift_pairs=pairs)))
        assert float(tile.weights.abs().max()) < 1e-6
        zero_shift(tile.cell.arrays[0], 500)
        tile.cell.show()
        ends[name] = float(tile.weights.abs().mean())
    assert ends["shifted"] < 0.003 < 0.05 < ends["plain"]


# --- Stochastic Hamiltonian Descent -----------------------------------------------------------------------------------


def test_parallel_reads_add_up_to_the_whole_array():
    """Over a cycle of orthogonal vectors, C gets lr A per read and nothing of other columns, to one pulse per read."""
    wide = ConstantStep(dw_min=1e-4, w_max=10.0, w_min=-10.0, **EXACT)
    fine = UpdateParameters(pulse_type="deterministic_implicit", desired_bl=10_000)
    cell = Hamiltonian(
        zero_shift_pairs=0,
        scale_transfer_lr=False,
        transfer_lr=0.05,
        transfer_forward=PERFECT,
        transfer_update=fine,
        devices=(wide, wide),
    )
    tile = AnalogTile(3, 5, AnalogConfig(wide, cell=cell))
    momentum = torch.linspace(-0.5, 0.5, 15).reshape(3, 5)
    tile.cell.arrays[0].set_weights(momentum)
    tile.update(torch.zeros(8, 5), torch.zeros(8, 3), 0.1)  # no gradient; 8 reads are a cycle for 5 columns
    assert torch.allclose(tile.weights, 8 * 0.05 * momentum, atol=8e-4)


@pytest.mark.parametrize("orthogonal", [True, False])
def test_total_energy_falls_under_hamiltonian_descent(orthogonal):
    """Loss |C - T|^2 / 2 on noisy samples plus the cost of asymmetry r |A|^2 / 2 falls from quarter to quarter.

    At first the loss turns into momentum, which friction then takes out: at most half of the energy is ever in A.
    """
    device = SoftBounds(dw_min=0.002, up_down=0.3, up_down_dtod=0.1, w_max=1.0, w_min=-1.0, dw_min_std=0.3)
    ratio, rate = 0.1, 0.02
    cell = Hamiltonian(transfer_forward=PERFECT, orthogonal=orthogonal, transfer_lr=ratio)
    tile = AnalogTile(6, 8, AnalogConfig(device, cell=cell))
    generator = torch.Generator().manual_seed(0)
    target = 0.2 * torch.randn(6, 8, generator=generator)
    energies, kinetic = [], []
    for _ in range(40):
        loss = float(((tile.weights - target) ** 2).sum()) / 2
        kinetic.append(ratio * float((tile.cell.arrays[0].weights ** 2).sum()) / 2)
        energies.append(loss + kinetic[-1])
        for _ in range(20):
            x = torch.randn(10, 8, generator=generator)
            noise = 0.1 * torch.randn(10, 6, generator=generator)
            tile.update(x, x @ (tile.weights - target).t() + noise, rate)
    start = float((target**2).sum()) / 2
    assert energies[0] == pytest.approx(start) and kinetic[0] < 1e-9
    smooth = np.reshape(energies, (4, 10)).mean(1)
    assert (np.diff(smooth) < 0).all() and smooth[-1] < 0.25 * start
    assert 0.1 * start < max(kinetic) < 0.5 * start


# --- learning ---------------------------------------------------------------------------------------------------------


def _regression_error(cell, vectors=6000, seed=0):
    """Error of a matrix learned from noisy linear targets by a strongly asymmetric device, relative to its size."""
    device = SoftBounds(dw_min=0.004, up_down=0.6, up_down_dtod=0.1, w_max=1.0, w_min=-1.0, dw_min_std=0.3)
    tile = AnalogTile(8, 10, AnalogConfig(device, cell=cell) if cell else AnalogConfig(device), seed=seed)
    generator = torch.Generator().manual_seed(seed)
    target = 0.3 * torch.randn(8, 10, generator=generator).clamp(-1.5, 1.5)
    errors = []
    for step in range(vectors // 10):
        x = torch.randn(10, 10, generator=generator)
        noise = 0.3 * torch.randn(10, 8, generator=generator)
        tile.update(x, x @ (tile.weights - target).t() + noise, 0.02)
        if step >= vectors // 10 - 50:
            errors.append(float((tile.weights - target).norm() / target.norm()))
    return float(np.mean(errors))


@pytest.mark.slow
def test_tiki_taka_learns_where_plain_descent_fails():
    plain = _regression_error(None)
    shifted = _regression_error(Reference(zero_shift_pairs=2000))
    tiki_taka = _regression_error(
        Transfer(
            zero_shift_pairs=2000,
            units_in_mbatch=False,
            transfer_forward=PERFECT,
            fast_lr=1.0,
            scale_transfer_lr=False,
            transfer_lr=0.2,
        )
    )
    assert plain > 0.8 and shifted < 0.5 * plain and tiki_taka < 0.35
