"""Half-selected cells creep as the drivers' bits say, by a stated share of a step; without that they stay."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from rpusim.errors import InputError
from rpusim.kernels import AnalogConfig, AnalogTile, ConstantStep, DynamicTransfer, SoftBounds, UpdateParameters
from rpusim.kernels.arrays.array import DeviceArray
from rpusim.kernels.pulses.half_select import half_selected
from rpusim.kernels.pulses.trains import PulseType

QUIET = {"dw_min": 1e-3, "dw_min_std": 0.0}
STEADY = ConstantStep(**QUIET, dw_min_dtod=0.0, up_down_dtod=0.0, w_max=10.0, w_min=-10.0)
PULSED = [kind for kind in PulseType if kind.pulsed]


def pairs(seed: int, number: int = 3) -> tuple[torch.Tensor, torch.Tensor]:
    draw = np.random.default_rng(seed)
    x, d = ((draw.normal(size=(number, n)) * (draw.random((number, n)) < 0.7)).astype(np.float32) for n in (5, 4))
    return torch.from_numpy(x), torch.from_numpy(d)


@settings(deadline=None, max_examples=40)
@given(seed=st.integers(0, 2**31), kind=st.sampled_from(PULSED))
def test_every_pulse_of_a_line_selects_or_half_selects_each_of_its_cells(seed: int, kind: PulseType) -> None:
    """Row pulses x columns + column pulses x rows = half-selected + 2 x coincidences."""
    x, d = pairs(seed)
    update = UpdateParameters(pulse_type=kind, desired_bl=7)
    array = DeviceArray(4, 5, STEADY, (seed,), "numba")
    counts = array.pulse(x, d, 0.01, update)
    for vector in range(len(x)):
        by_row, by_column = half_selected(x[vector], d[vector], 0.01 / STEADY.granularity, update, (seed,), vector)
        met = counts.coincidences_up[vector] + counts.coincidences_down[vector]
        sent = counts.row_pulses[vector] * 5 + counts.column_pulses[vector] * 4
        assert float(by_row.sum() + by_column.sum()) == sent - 2 * met
        assert (by_row >= 0).all() and (by_column >= 0).all()


@settings(deadline=None, max_examples=40)
@given(seed=st.integers(0, 2**31), rate=st.sampled_from([-0.02, 0.01]), path=st.sampled_from(["numba", "torch"]))
def test_with_constant_steps_cells_move_by_counts(seed: int, rate: float, path: str) -> None:
    """w = w0 + dw (up - down) + h dw (pulses of a line alone, with its sign): closed form, on both paths."""
    x, d = pairs(seed)
    h, dw = 0.25, STEADY.dw_min
    still, creeping = (DeviceArray(4, 5, STEADY, (seed,), path, half_select=share) for share in (0.0, h))
    update = UpdateParameters(desired_bl=9, execution="exact")
    for array in (still, creeping):
        array.pulse(x, d, rate, update)
    expected = still.weights.clone()
    sign = 1.0 if rate > 0 else -1.0
    for vector in range(len(x)):
        by_row, by_column = half_selected(x[vector], d[vector], abs(rate) / dw, update, (seed,), vector)
        expected -= h * dw * sign * (by_row * torch.sign(d[vector])[:, None] + by_column * torch.sign(x[vector]))
    assert torch.allclose(creeping.weights, expected, atol=1e-6)


def test_both_paths_and_any_division_into_calls_are_the_same() -> None:
    x, d = pairs(3, 6)
    device = SoftBounds(dw_min=0.05, dw_min_std=0.3, write_noise_std=0.1)
    update = UpdateParameters(execution="exact")
    found = []
    for path, parts in (("numba", [6]), ("torch", [6]), ("numba", [2, 1, 3])):
        array = DeviceArray(4, 5, device, (7,), path, half_select=0.1)
        counts = [array.pulse(a, b, 0.3, update) for a, b in zip(x.split(parts), d.split(parts), strict=True)]
        found.append((array.stored.clone(), np.concatenate([c.coincidences_up for c in counts]).tolist()))
    assert found[0][1] == found[1][1] == found[2][1]
    assert torch.allclose(found[0][0], found[1][0], atol=1e-6)
    assert torch.equal(found[0][0], found[2][0])


def test_devices_that_only_rise_are_never_lowered() -> None:
    x, d = pairs(5)
    array = DeviceArray(4, 5, STEADY, (7,), "numba", half_select=0.5)
    array.pulse(x, d, 0.01, UpdateParameters(), only_up=True)
    assert (array.weights >= 0).all() and array.weights.any()


def test_transfers_disturb_too_and_bounds_hold() -> None:
    """A cell of two arrays goes step by step; what creeps ends at the bounds."""
    quiet = SoftBounds(dw_min=0.1, dw_min_std=0.0)
    cell = DynamicTransfer(transfer_every=1, fast_lr=0.5)
    weights = []
    for share in (0.0, 0.5):
        tile = AnalogTile(4, 5, AnalogConfig(quiet, cell=cell, half_select=share), seed=1)
        for seed in range(8):
            tile.update(*pairs(seed), 0.5)
        weights.append([array.weights.clone() for array in tile.cell.arrays])
        for array in tile.cell.arrays:
            assert torch.equal(array.cells.clip(array.weights), array.weights)
    assert not torch.equal(weights[0][0], weights[1][0])


def test_a_share_beyond_a_step_is_refused() -> None:
    with pytest.raises(InputError, match="half_select: 2 was given"):
        AnalogConfig(STEADY, half_select=2)
