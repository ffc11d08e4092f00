"""What the recorder notes is what the compiled loops count, and enough to repeat it."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from rpusim.kernels import SoftBounds, UpdateParameters
from rpusim.kernels.arrays.array import DeviceArray
from rpusim.kernels.pulses.recorder import Recorder, replay
from rpusim.kernels.pulses.trains import PulseType

PULSED = [kind for kind in PulseType if kind.pulsed]
QUIET = SoftBounds(dw_min=0.02, dw_min_std=0.0)


@settings(deadline=None, max_examples=60)
@given(seed=st.integers(0, 2**31), kind=st.sampled_from(PULSED), rate=st.sampled_from([-0.3, 0.1, 0.5]))
def test_pulses_that_are_noted_are_those_that_compiled_loops_send(seed: int, kind: PulseType, rate: float) -> None:
    draw = np.random.default_rng(seed)
    x, d = (
        torch.from_numpy((draw.normal(size=(4, n)) * (draw.random((4, n)) < 0.6)).astype(np.float32)) for n in (5, 3)
    )
    update = UpdateParameters(pulse_type=kind, desired_bl=7, execution="exact")
    noted, compiled = (DeviceArray(3, 5, QUIET, (seed, 1), "numba") for _ in range(2))
    noted.recorder = Recorder()
    before = noted.weights.clone()
    counts, expected = (array.pulse(x, d, rate, update) for array in (noted, compiled))
    for name in ("slots", "coincidences_up", "coincidences_down"):
        assert getattr(counts, name).tolist() == getattr(expected, name).tolist()
    assert torch.equal(noted.weights, compiled.weights)
    trains = noted.recorder.take()
    sent = np.flatnonzero(expected.slots)
    assert [t.slots for t in trains] == expected.slots[sent].tolist()
    assert [int(t.up.sum()) for t in trains] == expected.coincidences_up[sent].tolist()
    assert all((t.slot >= 0).all() and (t.slot < t.slots).all() for t in trains)
    for t in trains:
        replay(before, noted.cells, QUIET, t.row, t.column, t.up.astype(np.int64))
    assert torch.equal(before, compiled.weights)


def test_trains_of_both_signs_come_one_after_the_other() -> None:
    """Pulse type stochastic: columns with negative inputs fire in the second half of the slots."""
    array = DeviceArray(3, 4, QUIET, (1, 2), "numba")
    array.recorder = Recorder()
    x, d = torch.tensor([[1.0, -1.0, 0.8, -0.8]]), torch.tensor([[1.0, -1.0, 1.0]])
    array.pulse(x, d, 0.2, UpdateParameters(pulse_type="stochastic", update_bl_management=False))
    (train,) = array.recorder.take()
    assert train.slots == 62
    assert ((train.slot >= 31) == (train.column % 2 == 1)).all() and len(train.slot) > 10


@pytest.mark.parametrize("number", [0, 1])
def test_a_pair_without_a_train_is_none(number: int) -> None:
    array = DeviceArray(2, 2, QUIET, (1,), "numba")
    array.recorder = Recorder()
    array.pulse(torch.zeros(number, 2), torch.ones(number, 2), 0.1, UpdateParameters())
    assert array.recorder.take() == []
