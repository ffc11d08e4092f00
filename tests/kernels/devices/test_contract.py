"""What every device fulfils, on both paths and with every pulse type, the one in docs/add-a-device.md included."""

import copy
import importlib.util
import re
import sys
from dataclasses import fields, replace
from pathlib import Path

import numpy as np
import pytest
import torch

from rpusim.errors import InputError
from rpusim.kernels import AnalogConfig, AnalogTile
from rpusim.kernels.arrays.array import DeviceArray
from rpusim.kernels.devices import (
    EXACT,
    KINDS,
    CmosRpu,
    ConstantStep,
    Drift,
    ExactDevice,
    ExpStep,
    FloatingPointDevice,
    IdealDevice,
    LinearStep,
    PiecewiseStep,
    PowStep,
    PowStepReference,
    SoftBounds,
    SoftBoundsPmax,
    SoftBoundsReference,
)
from rpusim.kernels.devices.response import mean_device
from rpusim.kernels.pulses.specification import PulseType, UpdateParameters

GUIDE = Path(__file__).parents[3] / "docs" / "add-a-device.md"
EXAMPLES = re.findall(r"^```python\n(.*?)^```$", GUIDE.read_text(encoding="utf-8"), flags=re.DOTALL | re.MULTILINE)


def device_of_the_guide(folder):
    """The class that a reader gets who pastes the example into a file."""
    path = folder / "biolek.py"
    path.write_text(EXAMPLES[0])
    place = importlib.util.spec_from_file_location("biolek", path)
    module = sys.modules["biolek"] = importlib.util.module_from_spec(place)
    place.loader.exec_module(module)
    return module.BiolekStep


NOISY = {"write_noise_std": 2.0, "corrupt_devices_prob": 0.1, "diffusion": 0.01, "lifetime": 50.0}
REFERRED = {"reference_mean": 0.05, "reference_std": 0.03, "subtract_symmetry_point": True}
CURVE = {"piecewise_up": (1.5, 1.0, 0.5), "piecewise_down": (0.2, 1.0, 2.0)}
ZOO = [
    ConstantStep(drift=Drift(0.1, nu_dtod=0.2)),
    LinearStep(gamma_up=0.4, gamma_down=0.7, **NOISY),
    LinearStep(gamma_up=0.1, gamma_down=0.7, reverse_up=True, reset=0.1),
    LinearStep(gamma_up=0.4, gamma_down=0.7, mult_noise=False),
    SoftBounds(dw_min_dtod_log_normal=True, **NOISY),
    SoftBoundsPmax(p_max=60, alpha=0.03, **NOISY),
    SoftBoundsReference(slope_up_dtod=0.1, slope_down_dtod=0.1, **REFERRED, **NOISY),
    SoftBoundsReference(mult_noise=True, **REFERRED),
    PowStep(pow_gamma=1.7, pow_up_down=0.2, pow_up_down_dtod=0.1, **NOISY),
    PowStepReference(pow_gamma=0.6, **REFERRED, reset_dtod=0.1),
    ExpStep(dw_min_std=2.0, **NOISY),
    ExpStep(dw_min_std_add=0.001, dw_min_std_slope=0.01),
    PiecewiseStep(**CURVE, **NOISY),
    PowStep(retention=20.0, retention_dtod=0.5, reset=0.1, **NOISY),
    CmosRpu(gamma_up=0.3, gamma_down=0.1, retention=200.0, leakage_dtod=0.3, offset_dtod=0.02, capacitance_dtod=0.1),
    IdealDevice(diffusion=0.01, lifetime=20.0),
    FloatingPointDevice(drift=Drift(0.05)),
    "biolek-step",
]
PATHS = ("torch", "numba")


def array_of(model, path, stream=(3, 1, 4), rows=6, columns=9):
    array = DeviceArray(rows, columns, model, stream, path)
    array.set_weights(torch.randn(rows, columns, generator=torch.Generator().manual_seed(8)) * 0.3)
    return array


def vectors(seed, rows=6, columns=9, count=3):
    generator = torch.Generator().manual_seed(seed)
    x, d = torch.randn(count, columns, generator=generator), 0.3 * torch.randn(count, rows, generator=generator)
    x[1, 2], d[2, 1] = 0.0, 0.0
    return x, d


def one_pulse(array, up):
    """One pulse on every cell."""
    rows, columns = array.weights.shape
    ones = torch.ones(1, columns), torch.ones(1, rows)
    rate = array.device.granularity * (-1 if up else 1)
    array.pulse(*ones, rate, UpdateParameters(1, False, False, PulseType.DETERMINISTIC_IMPLICIT))


def test_no_device_is_left_out():
    assert {model.kind for model in ZOO if model != "biolek-step"} == set(KINDS)


@pytest.fixture(scope="module")
def guide(tmp_path_factory):
    return device_of_the_guide(tmp_path_factory.mktemp("guide"))


@pytest.mark.parametrize("given", ZOO, ids=lambda m: m if isinstance(m, str) else f"{m.kind}{ZOO.index(m)}")
class TestEveryDevice:
    @pytest.fixture
    def model(self, given, guide):
        return guide(p=1.5, write_noise_std=1.0) if given == "biolek-step" else given

    def test_both_paths_agree_to_the_bit(self, model):
        arrays = [array_of(model, path) for path in PATHS]
        for number, pulse_type in enumerate(PulseType):
            x, d = vectors(number)
            slow, fast = (
                a.pulse(x, d, (-1) ** number * 0.02, UpdateParameters(31, pulse_type=pulse_type, execution="exact"))
                for a in arrays
            )
            for name, column in slow._asdict().items():
                assert np.array_equal(column, getattr(fast, name)), (pulse_type, name)
            assert torch.equal(arrays[0].weights, arrays[1].weights), pulse_type
            assert torch.equal(arrays[0].stored, arrays[1].stored), pulse_type

    @pytest.mark.parametrize("path", PATHS)
    def test_stored_weights_stay_within_the_bounds(self, model, path):
        array = array_of(model, path)
        for number in range(8):
            array.pulse(*vectors(number), 2.0 * (-1) ** (number // 2), UpdateParameters(31))
            array.end_mini_batch()
            array.reset(number, 3, 0.5)
            array.elapse(10.0)
            assert torch.isfinite(array.weights).all()
            assert (array.stored >= array.cells.bound_min).all() and (array.stored <= array.cells.bound_max).all()

    def test_alternating_pulses_lead_to_the_symmetry_point(self, model):
        if isinstance(model, ExactDevice):
            assert not model.symmetry_point(model.sample(2, 2, (0,))).any()
            return
        free = {"dw_min": 0.02, "up_down": 0.3} if fields_given(model, "dw_min") else {}
        spread = {"w_max_dtod": 0.1, "w_min_dtod": 0.1, "dw_min_dtod": 0.1, "up_down_dtod": 0.05}
        spread = {name: value for name, value in spread.items() if fields_given(model, name)}
        quiet = replace(model, **free, **spread, dw_min_std=0.0, write_noise_std=0.0)
        cells = quiet.sample(10, 10, (0, 0, 0))
        goal, silent = quiet.symmetry_point(cells), torch.zeros(10, 10)

        def size(up):
            return quiet.step(weight, silent, *cells.parameters(up))

        for weight in (cells.bound_min, cells.bound_max):
            for _ in range(1000):
                weight = cells.clip(weight + size(True))
                weight = cells.clip(weight - size(False))
            reach = torch.maximum(size(True), size(False)).clamp(min=1e-4)
            assert ((weight + size(True) / 2 - goal).abs() <= 1.5 * reach).all()

    @pytest.mark.parametrize("path", PATHS)
    def test_an_array_restored_from_its_state_continues_bit_for_bit(self, model, path):
        def go_on(array, seed):
            array.pulse(*vectors(seed), 0.05, UpdateParameters(31))
            array.end_mini_batch()
            array.reset(0, 2, 0.5)
            array.elapse(3.0)

        one, other = array_of(model, path), DeviceArray(6, 9, model, (9, 9, 9), path)
        go_on(one, 0)
        other.load_state_dict(copy.deepcopy(one.state_dict()))
        for seed in (1, 2):
            go_on(one, seed), go_on(other, seed)
            assert torch.equal(one.weights, other.weights) and torch.equal(one.stored, other.stored)

    def test_granularity_is_the_step_of_the_mean_cell_at_zero(self, model):
        if isinstance(model, ExactDevice):
            assert model.granularity == 1.0
            return
        free = {"w_max": 1.0, "w_min": -1.0, "up_down": 0.0} if fields_given(model, "dw_min") else {}
        plain = mean_device(replace(model, **free))
        if hasattr(plain, "reference_mean"):
            plain = replace(plain, reference_mean=0.0)
        if hasattr(plain, "pow_up_down"):
            plain = replace(plain, pow_up_down=0.0)
        cells, zero = plain.sample(1, 1, (0,)), torch.zeros(1, 1)
        up, down = (float(plain.step(zero, zero, *cells.parameters(way))) for way in (True, False))
        if isinstance(model, ExpStep):
            assert down == pytest.approx(model.granularity, rel=1e-6) and up == pytest.approx(down, rel=1e-3)
        else:
            assert (up + down) / 2 == pytest.approx(model.granularity, rel=1e-6)

    @pytest.mark.parametrize("path", PATHS)
    @pytest.mark.parametrize("pulse_type", PulseType)
    def test_what_is_no_number_is_refused(self, model, path, pulse_type):
        for bad in (float("nan"), float("inf")):
            array, (x, d) = array_of(model, path), vectors(0)
            before, x[0, 0] = array.weights.clone(), bad
            with pytest.raises(InputError, match="input x of an update holds NaN or infinite numbers"):
                array.pulse(x, d, 0.1, UpdateParameters(31, pulse_type=pulse_type))
            assert torch.equal(array.weights, before)

    def test_impossible_parameters_are_refused(self, model):
        with pytest.raises(InputError, match="reset_std: -1 was given"):
            replace(model, reset_std=-1)
        with pytest.raises(InputError, match="drift: 3 was given; accepted is a Drift"):
            replace(model, drift=3)


def fields_given(model, name):
    """Whether the user can choose this parameter."""
    return any(field.name == name and field.init for field in fields(model))


def test_the_guide_trains(guide):
    scope = {}
    exec(EXAMPLES[1], scope)
    assert scope["model"](torch.ones(1, 4)).shape == (1, 2)
    assert len(EXAMPLES[0].splitlines()) < 50


def test_exact_devices_are_those_without_pulses():
    for kind in EXACT.values():
        array = DeviceArray(2, 2, kind(), (0,), "numba")
        counts = array.pulse(torch.tensor([[1.0, 2.0]]), torch.tensor([[3.0, -1.0]]), 0.5, UpdateParameters())
        assert torch.equal(array.weights, torch.tensor([[-1.5, -3.0], [0.5, 1.0]]))
        assert not counts.slots.any() and counts.active_rows[0] == 2


@pytest.mark.parametrize("path", PATHS)
def test_a_floating_point_device_is_read_exactly_and_an_ideal_one_through_its_periphery(path):
    x, weights = torch.tensor([[0.3, -0.7]]), torch.tensor([[5.0, -0.25], [0.9, 0.8]])
    for kind, exact in ((FloatingPointDevice, True), (IdealDevice, False)):
        tile = AnalogTile(2, 2, AnalogConfig(device=kind()), path=path)
        tile.set_weights(weights)
        assert torch.allclose(tile.forward(x), x @ weights.t(), rtol=1e-6) == exact
        assert torch.allclose(tile.backward(x), x @ weights, rtol=1e-6) == exact
