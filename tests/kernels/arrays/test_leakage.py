"""What a capacitor holds leaks away exponentially, however short the ticks of the clock, each cell by itself."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import example, given, settings
from hypothesis import strategies as st

from rpusim.errors import InputError
from rpusim.kernels import CmosRpu, ConstantStep
from rpusim.kernels.arrays.array import DeviceArray
from rpusim.kernels.devices.presets import DEVICES

LEAKY = CmosRpu(retention=1.0, leakage_dtod=0.3, offset_dtod=0.01)


def array_of(device, path="numba", rows=20, columns=30):
    array = DeviceArray(rows, columns, device, (1, 2, 3), path)
    array.set_weights(torch.rand(rows, columns, generator=torch.Generator().manual_seed(5)) - 0.5)
    return array


def expected(array, start, seconds):
    """Of each cell, in double precision."""
    tau, rest = array.cells.retention.double(), array.cells.target.double()
    return rest + (start.double() - rest) * torch.exp(-seconds / tau)


@pytest.mark.parametrize("path", ["numba", "torch"])
@pytest.mark.parametrize(("ticks", "tick"), [(1, 3.0), (10, 0.1), (20_000, 2e-7), (5_000, 1e-9)])
def test_weights_decay_as_the_exponential_of_the_sum_of_all_ticks(path, ticks, tick):
    array = array_of(LEAKY, path, 4, 5)
    start = array.weights.clone()
    for _ in range(ticks if path == "numba" else min(ticks, 2000)):
        array.elapse(tick)
    goal = expected(array, start, array.clock)
    held = array.weights.double() + array.residue.double()
    assert ((held - goal).abs() <= 1e-11 * start.abs().clamp(min=0.1)).all()
    assert torch.equal(array.weights, held.float())


def test_a_tick_too_short_for_a_float32_is_not_lost():
    array = array_of(replace(LEAKY, leakage_dtod=0.0), rows=3, columns=3)
    start = array.weights.clone()
    array.elapse(1e-9)
    assert torch.equal(array.weights, start) and bool(array.residue.any())


@settings(max_examples=60, deadline=None)
@example(ticks=[0.5, 0.006097185539312562], spread=0.3, size=(16, 16))  # a quotient that a reciprocal misses
@given(
    ticks=st.lists(st.floats(-1e-3, 5.0) | st.floats(1e-4, 1e-2) | st.floats(1e-10, 1e-6), min_size=1, max_size=6),
    spread=st.sampled_from([0.0, 0.3, 2.0]),
    size=st.sampled_from([(1, 1), (7, 5), (16, 16)]),
)
def test_both_paths_leak_to_the_same_bits(ticks, spread, size):
    arrays = [array_of(replace(LEAKY, leakage_dtod=spread), path, *size) for path in ("numba", "torch")]
    for tick in ticks:
        for array in arrays:
            array.elapse(tick)
        assert torch.equal(arrays[0].weights, arrays[1].weights)
        assert torch.equal(arrays[0].residue, arrays[1].residue)


def test_time_that_passed_too_early_is_taken_back():
    array = array_of(LEAKY)
    start = array.weights.clone()
    array.elapse(0.7)
    array.elapse(-0.7)
    assert torch.allclose(array.weights, start, rtol=0, atol=1e-7) and array.clock == 0.0


def test_retention_and_resting_points_follow_from_two_transistors_that_leak_on_their_own():
    """1 / tau is the mean of two log-normal conductances; their difference over their sum is where a cell rests."""
    cells = LEAKY.sample(300, 300, (4,))
    spread = 0.3
    rate = (1.0 / cells.retention).numpy()
    mean, z = np.exp(spread**2 / 2), 5.0
    deviation = np.sqrt(np.exp(spread**2) * (np.exp(spread**2) - 1) / 2)
    assert rate.mean() == pytest.approx(mean, abs=z * deviation / 300)
    assert rate.std() == pytest.approx(deviation, rel=0.05)
    assert abs(float(cells.target.mean())) < z * float(cells.target.std()) / 300
    # (g_up - g_down) / (g_up + g_down) = tanh((ln g_up - ln g_down) / 2), the logarithms normal
    at = torch.atanh((cells.target - (cells.bound_max + cells.bound_min) / 2) / 0.6)
    assert float(at.std()) == pytest.approx(spread / np.sqrt(2), rel=0.02)


def test_currents_vary_on_their_own_and_the_capacitance_scales_both_steps():
    device = CmosRpu(dw_min=0.001, current_dtod=0.1, capacitance_dtod=0.05)
    cells = device.sample(300, 300, (5,))
    up, down = (cells.parameters(way)[0].numpy().ravel() / 0.001 for way in (True, False))
    assert up.std() == pytest.approx(np.hypot(0.1, 0.05), rel=0.02) and down.std() == pytest.approx(up.std(), rel=0.03)
    assert np.cov(up, down)[0, 1] == pytest.approx(0.05**2, abs=5 * float(up.std()) ** 2 / 300)


def test_both_ends_of_the_swing_shift_with_the_offset_of_the_read_out():
    cells = CmosRpu(offset_dtod=0.02).sample(200, 200, (6,))
    assert torch.allclose(cells.bound_max - cells.bound_min, torch.tensor(1.2), atol=1e-6)
    assert float(cells.bound_max.std()) == pytest.approx(0.02, rel=0.03)


def test_any_pulsed_device_may_leak_and_a_stuck_cell_stays_stuck():
    device = ConstantStep(retention=2.0, retention_dtod=0.2, corrupt_devices_prob=0.3)
    array = array_of(device)
    stuck = array.cells.bound_min == array.cells.bound_max
    before = array.weights.clone()
    array.elapse(100.0)
    assert bool(stuck.any()) and torch.equal(array.weights[stuck], before[stuck])
    assert float(array.weights[~stuck].abs().max()) < 1e-6


def test_what_does_not_leak_only_counts_the_seconds():
    array = array_of(ConstantStep())
    before = array.weights.clone()
    array.elapse(3600.0)
    assert torch.equal(array.weights, before) and array.clock == 3600.0 and not array.volatile
    assert array_of(DEVICES["cmos-rpu-2017"].device).volatile


def test_impossible_capacitors_are_refused():
    for field in ("retention", "current_dtod", "leakage_dtod", "offset_dtod", "capacitance_dtod"):
        with pytest.raises(InputError, match=f"{field}: -1 was given"):
            CmosRpu(**{field: -1})
