"""Arrays of devices: writing with noise, resets, decay, diffusion and drift, against their closed forms.

Statistical claims hold within 4 standard errors, seeds being fixed.
"""

import copy
import pickle

import numpy as np
import pytest
import torch

from rpusim.errors import InputError
from rpusim.kernels import AnalogConfig, AnalogTile, ConstantStep, SoftBounds, UpdateParameters
from rpusim.kernels.arrays.array import DeviceArray
from rpusim.kernels.devices import Drift, IdealDevice, LinearStep

EXACT = {"dw_min_dtod": 0.0, "dw_min_std": 0.0, "up_down_dtod": 0.0, "w_max_dtod": 0.0, "w_min_dtod": 0.0}
STRAIGHT = {**EXACT, "gamma_up_dtod": 0.0, "gamma_down_dtod": 0.0}
STREAM = (2, 7, 1)
each_path = pytest.mark.parametrize("path", ["torch", "numba"])


def array_of(model, rows=100, columns=100, path="torch"):
    return DeviceArray(rows, columns, model, STREAM, path)


def close(sample, mean, deviation):
    sample = sample.double().flatten()
    assert float(sample.mean()) == pytest.approx(mean, abs=4 * deviation / len(sample) ** 0.5)
    assert float(sample.std()) == pytest.approx(deviation, rel=4 / (2 * len(sample)) ** 0.5)


@each_path
def test_write_noise_is_that_of_dw_min_and_stays_until_a_cell_is_touched(path):
    array = array_of(LinearStep(dw_min=0.01, write_noise_std=2.0, **STRAIGHT), path=path)
    array.set_weights(torch.full((100, 100), 0.1))
    assert torch.equal(array.persistent, torch.full((100, 100), 0.1))
    close(array.weights - 0.1, 0.0, 0.02)
    before = array.weights.clone()
    x, d = torch.zeros(1, 100), torch.zeros(1, 100)
    x[0, :50], d[0, :60] = 1.0, 1.0
    array.pulse(x, d, 0.05, UpdateParameters(5, False, False, "deterministic_implicit"))
    touched = torch.zeros(100, 100, dtype=torch.bool)
    touched[:60, :50] = True
    assert torch.equal(array.weights[~touched], before[~touched])
    assert (array.weights[touched] != before[touched]).all()
    assert torch.allclose(array.persistent[touched], torch.tensor(0.05))
    close(array.weights[touched] - 0.05, 0.0, 0.02)
    correlation = np.corrcoef(array.weights[touched].numpy(), before[touched].numpy())[0, 1]
    assert abs(correlation) < 4 / 3000**0.5


@each_path
def test_write_noise_on_setting_can_be_left_out(path):
    array = array_of(LinearStep(write_noise_std=2.0, apply_write_noise_on_set=False, **EXACT), path=path)
    array.set_weights(torch.full((100, 100), 0.1))
    assert torch.equal(array.weights, torch.full((100, 100), 0.1))


@each_path
def test_slow_processes_move_the_persistent_weight_and_all_cells_are_seen_anew(path):
    model = LinearStep(dw_min=0.01, write_noise_std=1.0, lifetime=2.0, **EXACT)
    array = array_of(model, path=path)
    array.set_weights(torch.full((100, 100), 0.4))
    before = array.weights.clone()
    array.end_mini_batch()
    assert torch.allclose(array.persistent, torch.tensor(0.2))
    close(array.weights - 0.2, 0.0, 0.01)
    assert (array.weights - array.persistent != before - 0.4).float().mean() > 0.99


def test_without_write_noise_there_is_one_weight():
    array = array_of(LinearStep())
    assert array.persistent is None and array.stored is array.weights


def test_decay_follows_its_closed_form():
    model = ConstantStep(lifetime=5.0, reset=0.1, **EXACT)
    tile = AnalogTile(2, 3, AnalogConfig(device=model))
    tile.set_weights(torch.full((2, 3), 0.5))
    for _ in range(10):
        tile.end_mini_batch()
    assert torch.allclose(tile.get_weights(), torch.tensor((0.5 - 0.1) * 0.8**10 + 0.1), atol=1e-6)


def test_diffusion_walks_with_the_asked_deviation_within_the_bounds():
    model = ConstantStep(diffusion=0.01, **EXACT)
    tile = AnalogTile(100, 100, AnalogConfig(device=model))
    for _ in range(25):
        tile.end_mini_batch()
    assert float(tile.get_weights().std()) == pytest.approx(0.05, rel=0.03)
    assert float(tile.get_weights().abs().max()) <= 0.6


def test_reset_leaves_its_target_and_noise_in_the_columns_asked_for():
    array = array_of(SoftBounds(reset=0.1, reset_dtod=0.02, reset_std=0.03, **EXACT))
    array.set_weights(torch.full((100, 100), -0.3))
    array.reset(90, 30)
    hit = torch.zeros(100, dtype=torch.bool)
    hit[90:] = hit[:20] = True
    assert torch.equal(array.weights[:, ~hit], torch.full((100, 70), -0.3))
    close(array.weights[:, hit], 0.1, (0.02**2 + 0.03**2) ** 0.5)
    first = array.weights.clone()
    array.reset(90, 30)
    close((array.weights - first)[:, hit], 0.0, 0.03 * 2**0.5)


def test_reset_hits_cells_with_the_probability_asked_for():
    array = array_of(ConstantStep(**EXACT))
    array.set_weights(torch.full((100, 100), 0.5))
    array.reset(probability=0.3)
    share = float((array.weights != 0.5).float().mean())
    assert share == pytest.approx(0.3, abs=4 * (0.21 / 10_000) ** 0.5)


@each_path
def test_a_reset_of_whole_columns_leaves_none_half_done(path):
    """400 columns with a probability of 0.3: within 4 standard errors, and only where it was asked for."""
    array = array_of(ConstantStep(reset_std=0.0, **EXACT), 5, 500, path)
    array.set_weights(torch.full((5, 500), 0.5))
    array.reset(0, 400, 0.3, whole=True)
    hit = array.weights == 0.0
    assert torch.equal(hit.all(0), hit.any(0)) and not hit[:, 400:].any()
    assert float(hit[0, :400].float().mean()) == pytest.approx(0.3, abs=4 * (0.21 / 400) ** 0.5)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ((100, 1), "reset of 1 columns from column 100 was asked for; the array has 100"),
        ((0, 101), "reset of 101 columns"),
        ((-1, 1), "first: -1 was given"),
        ((0, 1, 1.5), "probability: 1.5 was given"),
    ],
)
def test_impossible_resets_are_refused(arguments, words):
    with pytest.raises(InputError, match=words):
        array_of(ConstantStep()).reset(*arguments)


@pytest.mark.parametrize("model", [ConstantStep(drift=Drift(0.06), **EXACT), IdealDevice(drift=Drift(0.06))])
def test_drift_is_a_power_of_the_time_since_writing(model):
    array = array_of(model, 2, 3)
    array.set_weights(torch.full((2, 3), 0.5))
    for elapsed in (10.0, 90.0, 900.0):
        array.elapse(elapsed)
    assert array.clock == 1000.0
    assert torch.allclose(array.weights, torch.tensor(0.5 * 1000**-0.06))


def test_a_cell_that_was_written_starts_to_drift_anew():
    array = array_of(ConstantStep(drift=Drift(0.1), **EXACT), 1, 2)
    array.set_weights(torch.tensor([[0.5, 0.5]]))
    array.elapse(100.0)
    array.set_weights(torch.tensor([[0.4, float(array.weights[0, 1])]]))
    array.elapse(100.0)
    assert array.weights[0].tolist() == pytest.approx([0.4, 0.5 * 200**-0.1], rel=1e-5)
    array.elapse(900.0)
    assert array.weights[0].tolist() == pytest.approx([0.4 * 900**-0.1, 0.5 * 1100**-0.1], rel=1e-5)


def test_drift_acts_on_the_conductance_behind_the_weight():
    """g = (w - 0.1) / 2 + 0.3 falls by the power law; so does its exponent with ln g."""
    law = Drift(0.05, wg_ratio=2.0, g_offset=0.3, w_offset=0.1, nu_k=0.01, log_g0=-1.0, t_0=10.0)
    array = array_of(ConstantStep(drift=law, **EXACT), 1, 3)
    start = np.array([-0.3, 0.1, 0.5])
    array.set_weights(torch.tensor(start[None], dtype=torch.float32))
    array.elapse(1000.0)
    conductance = (start - 0.1) / 2 + 0.3
    fallen = conductance * 100.0 ** -(0.05 - 0.01 * (np.log(conductance) + 1.0))
    assert array.weights[0].tolist() == pytest.approx((2 * (fallen - 0.3) + 0.1).tolist(), rel=1e-5)


def test_noise_of_drift_has_the_asked_deviation():
    array = array_of(ConstantStep(drift=Drift(0.1, w_noise_std=0.01), **EXACT))
    array.set_weights(torch.full((100, 100), 0.3))
    array.elapse(10.0)
    close(array.weights - 0.3 * 10**-0.1, 0.0, 0.01)
    array = array_of(ConstantStep(drift=Drift(0.1, nu_std=0.2), **EXACT))
    array.set_weights(torch.full((100, 100), 0.3))
    array.elapse(10.0)
    close(-(array.weights / 0.3).log10(), 0.1, 0.02)


def test_a_time_that_is_no_number_is_refused():
    with pytest.raises(InputError, match="seconds: nan was given"):
        array_of(ConstantStep()).elapse(float("nan"))


@pytest.mark.parametrize("moved", ["nothing", "copy", "pickle", "shared memory", "new buffers", "state"])
@pytest.mark.parametrize("model", [SoftBounds(dw_min=0.01), LinearStep(dw_min=0.01, write_noise_std=0.5)])
def test_pulses_reach_the_weights_wherever_they_lie_now(model, moved):
    """What is prepared for an array is prepared anew after it was copied, moved or restored."""
    arrays = [DeviceArray(5, 6, model, (1, 2, 3), "numba") for _ in range(2)]
    x, d, update = torch.rand(3, 6), torch.rand(3, 5), UpdateParameters()
    for array in arrays:
        array.pulse(x, d, 0.1, update)
    kept, found = arrays
    if moved == "copy":
        found = copy.deepcopy(found)
    elif moved == "pickle":
        found = pickle.loads(pickle.dumps(found))
    elif moved == "shared memory":
        found.share_memory()
    elif moved == "new buffers":
        found._apply(torch.clone)
    elif moved == "state":
        found = DeviceArray(5, 6, model, (7, 8, 9), "numba")
        found.pulse(x, d, 0.1, update)
        found.load_state_dict(kept.state_dict())
    for array in (kept, found):
        array.pulse(x, d, 0.1, update)
    assert torch.equal(kept.weights, found.weights) and torch.equal(kept.stored, found.stored)
