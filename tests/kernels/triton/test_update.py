"""Pulsed updates by Triton's kernels, interpreted or on a GPU, are those of the specification, to the bit.

Every device takes every pulse type; arrays are small because the interpreter is slow.
"""

import math
from dataclasses import dataclass, replace

import numpy as np
import pytest
import torch

pytest.importorskip("triton", reason="needs Triton: make test-gpu")
from rpusim.errors import InputError
from rpusim.kernels import UpdateParameters
from rpusim.kernels.arrays.array import DeviceArray
from rpusim.kernels.base.elementwise import exp, positive
from rpusim.kernels.base.paths import interpreted
from rpusim.kernels.devices import PULSED, ConstantStep
from rpusim.kernels.devices.variation import parameters_per_step
from rpusim.kernels.pulses import specification
from rpusim.kernels.pulses.trains import Execution, PulseType
from rpusim.kernels.tiles.presets import DEVICES
from rpusim.kernels.triton import devices, update

if not interpreted() and not torch.cuda.is_available():
    pytest.skip("needs a GPU or TRITON_INTERPRET=1: make test-gpu", allow_module_level=True)
DEVICE = "cpu" if interpreted() else "cuda"

ROWS, COLUMNS, STREAM, FIRST = 7, 9, (1, 2, 3), 5
SHORT = UpdateParameters(desired_bl=7, execution=Execution.EXACT)
OPTIONS = {
    "rounded": {"res": 0.1},
    "rounded by chance": {"res": 0.1, "sto_round": True},
    "mean count, rounded by chance": {"pulse_type": "mean_count", "res": 0.1, "sto_round": True},
    "implicit, rounded": {"pulse_type": "deterministic_implicit", "x_res_implicit": 0.1, "d_res_implicit": 20.0},
    "without management": {"update_bl_management": False, "update_management": False},
    "update management only": {"update_bl_management": False},
    "two words of slots": {"update_bl_management": False, "desired_bl": 37},
    "more slots where needed": {"update_bl_management": False, "fixed_bl": False, "desired_bl": 3},
    "clipped errors": {"um_grad_scale": 0.3},
}


def pairs(vectors=3, rows=ROWS, columns=COLUMNS):
    """Vectors with a zero in them, one that is all zeros, and one whose inputs are positive only."""
    generator = torch.Generator().manual_seed(vectors)
    x = torch.randn(vectors, columns, generator=generator)
    d = 0.5 * torch.randn(vectors, rows, generator=generator)
    x[0, 2], d[0, 1] = 0.0, 0.0
    x[1 % vectors] = x[1 % vectors].abs()
    return torch.cat([x, torch.zeros(1, columns)]), torch.cat([d, torch.ones(1, rows)])


def updated(function, device, parameters, where="cpu", learning_rate=0.05, only_up=False, lines=None):
    """Weights, counts, and pulses of every cell after one update."""
    cells = device.sample(ROWS, COLUMNS, STREAM)
    cells = replace(cells, **{name: value.to(where) for name, value in vars(cells).items() if value is not None})
    weights = cells.clip(torch.zeros(ROWS, COLUMNS, device=where))
    taken = torch.zeros(ROWS, COLUMNS, dtype=torch.int32, device=where)
    given = (value.to(where) for value in pairs())
    counts = function(weights, cells, device, *given, learning_rate, parameters, STREAM, FIRST, lines, only_up, taken)
    return weights.cpu(), np.stack(counts), taken.cpu()


def check(device, parameters, **options):
    ours = updated(update.update, device, parameters, DEVICE, **options)
    theirs = updated(specification.update, device, parameters, **options)
    assert torch.equal(ours[0], theirs[0])
    assert np.array_equal(ours[1], theirs[1])
    assert torch.equal(ours[2], theirs[2])
    return theirs


class TestEveryDevice:
    @pytest.mark.parametrize("pulse_type", list(PulseType))
    @pytest.mark.parametrize("kind", PULSED)
    def test_takes_the_pulses_of_the_specification_to_the_bit(self, kind, pulse_type):
        weights, counts, taken = check(PULSED[kind](), replace(SHORT, pulse_type=pulse_type))
        assert weights.any()
        assert int(taken.sum()) == int(counts[1].sum() + counts[2].sum())
        assert bool(taken.any()) == pulse_type.pulsed

    @pytest.mark.parametrize("kind", PULSED)
    def test_has_a_step_that_is_translated(self, kind):
        device = PULSED[kind]()
        number = parameters_per_step(device.sample(2, 2, (1,)).pulse)
        assert devices.why_not(device.step, number) is None

    @pytest.mark.parametrize("name", DEVICES)
    def test_of_a_preset_is_the_same_array_on_either_path(self, name):
        arrays = [DeviceArray(ROWS, COLUMNS, DEVICES[name].device, STREAM, path) for path in ("numba", "triton")]
        arrays[1].to(DEVICE)
        for array in arrays:
            array.count_wear()
            for rate in (0.05, -0.03):
                counts = array.pulse(*(value.to(array.weights.device) for value in pairs(2)), rate, SHORT)
                array.end_mini_batch()
            assert counts.execution is Execution.EXACT
        assert arrays[1].path_now == "triton"
        for one, other in zip(arrays[0].state_dict().values(), arrays[1].state_dict().values(), strict=True):
            assert torch.equal(one, other.cpu()) if isinstance(one, torch.Tensor) else one == other


class TestOptions:
    @pytest.mark.parametrize("options", OPTIONS.values(), ids=OPTIONS)
    def test_trains_are_those_of_the_specification(self, options):
        check(PULSED["soft-bounds"](), replace(SHORT, **options))

    @pytest.mark.parametrize("pulse_type", [PulseType.STOCHASTIC_COMPRESSED, PulseType.MEAN_COUNT])
    def test_one_sided_arrays_take_up_pulses_only(self, pulse_type):
        parameters = replace(SHORT, pulse_type=pulse_type)
        for learning_rate in (0.05, -0.05):
            of_lines = check(ConstantStep(), parameters, learning_rate=learning_rate, only_up=True, lines=(4, 4))
            assert of_lines[1][2].sum() == 0

    def test_no_noise_is_no_noise(self):
        check(ConstantStep(dw_min_std=0.0), SHORT)

    def test_any_division_into_calls_gives_the_same_weights(self):
        arrays = [DeviceArray(ROWS, COLUMNS, ConstantStep(), STREAM, "triton").to(DEVICE) for _ in range(2)]
        x, d = (value.to(DEVICE) for value in pairs())
        arrays[0].pulse(x, d, 0.05, SHORT)
        for vector in range(len(x)):
            arrays[1].pulse(x[vector : vector + 1], d[vector : vector + 1], 0.05, SHORT)
        assert torch.equal(arrays[0].weights, arrays[1].weights)

    def test_trains_that_do_not_fit_at_once_go_in_pieces(self, monkeypatch):
        monkeypatch.setattr(update, "MOST_BYTES", 4 * (ROWS + COLUMNS))
        check(ConstantStep(), SHORT)

    @pytest.mark.parametrize(("place", "name"), [(0, "input x"), (1, "error d")])
    @pytest.mark.parametrize("value", [math.nan, math.inf])
    def test_numbers_that_are_not_finite_are_refused_and_move_nothing(self, place, name, value):
        array = DeviceArray(ROWS, COLUMNS, ConstantStep(), STREAM, "triton").to(DEVICE)
        given = [values.to(DEVICE) for values in pairs()]
        given[place][2, 1] = value
        with pytest.raises(InputError, match=f"the {name} of an update holds NaN or infinite"):
            array.pulse(*given, 0.05, SHORT)
        assert not array.weights.any()


def _squared(weight):
    square = weight * weight
    return square / exp(square)


def new_step(weight, noise, size, slope):
    """A step that nobody has translated: with a function of its own, a division and a number."""
    here = size * positive(1.0 - slope * _squared(weight))
    return here + here * noise


def branching_step(weight, noise, size, slope):
    return torch.where(weight > 0, size, slope)


@dataclass(frozen=True)
class New(ConstantStep):
    kind = "new"

    @property
    def step(self):
        return new_step

    def step_parameters(self, steps, draw):
        return [steps.up, 1.0 + steps.up], [steps.down, 1.0 + steps.down]


@dataclass(frozen=True)
class Branching(New):
    kind = "branching"

    @property
    def step(self):
        return branching_step


class TestNewDevices:
    def test_a_step_in_plain_arithmetic_needs_nothing_else(self):
        check(New(), SHORT)

    def test_a_step_that_cannot_be_translated_is_computed_by_torch_and_said(self):
        array = DeviceArray(ROWS, COLUMNS, Branching(), STREAM, "triton").to(DEVICE)
        assert "'weight > 0' in branching_step has no counterpart" in array.way(SHORT).why
        check(Branching(), SHORT)
        array.pulse(*(value.to(DEVICE) for value in pairs()), 0.05, SHORT)
        assert array.weights.any()

    def test_an_array_says_that_it_does_not_merge(self):
        array = DeviceArray(2, 2, ConstantStep(), STREAM, "triton").to(DEVICE)
        assert array.way(UpdateParameters()) == (Execution.EXACT, "kernels of a GPU send every pulse by itself")
